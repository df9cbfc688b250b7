//! A selected operation is to be completed.

#![deny(unused_must_use)]

use weftwork_csp::{Select, unbounded};

fn main() {
    let (_s, r) = unbounded::<()>();
    let mut select = Select::new();
    select.recv(&r);
    select.select();
}
