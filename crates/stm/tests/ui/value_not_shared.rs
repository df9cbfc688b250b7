//! Threads read a value together, so it must be one that may be shared.

use std::cell::Cell;
use weftwork_stm::TVar;

fn main() {
    let _ = TVar::new(Cell::new(1));
}
