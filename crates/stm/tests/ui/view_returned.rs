//! A view lives as long as the snapshot.

use weftwork_stm::{TVar, snapshot};

fn main() {
    let name = TVar::new(String::from("Ada"));
    let escaped: &String = snapshot(|s| name.view(s));
    println!("{escaped}");
}
