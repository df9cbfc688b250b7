//! A transaction stays inside its body.

use weftwork_stm::atomically;

fn main() {
    let mut escaped = None;
    atomically(|tx| {
        escaped = Some(tx);
        Ok(())
    });
    println!("{escaped:?}");
}
