//! A reference to a value lives as long as the attempt: the result cannot be one.

use weftwork_stm::{TVar, atomically};

fn main() {
    let name = TVar::new(String::from("Ada"));
    let escaped: &String = atomically(|tx| name.get(tx));
    println!("{escaped}");
}
