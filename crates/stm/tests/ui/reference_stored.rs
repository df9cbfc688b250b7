//! A reference to a value lives as long as the attempt: it cannot be kept outside.

use weftwork_stm::{TVar, atomically};

fn main() {
    let name = TVar::new(String::from("Ada"));
    let mut escaped = None;
    atomically(|tx| {
        escaped = Some(name.get(tx)?);
        Ok(())
    });
    println!("{escaped:?}");
}
