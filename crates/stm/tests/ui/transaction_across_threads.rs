//! A transaction stays on its thread.

use std::thread;
use weftwork_stm::{TVar, atomically};

fn main() {
    let count = TVar::new(0);
    atomically(|tx| {
        thread::scope(|scope| {
            scope.spawn(|| count.set(tx, 1).is_ok());
        });
        Ok(())
    });
}
