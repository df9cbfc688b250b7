//! A hook runs when the transaction is over: it cannot use it.

use weftwork_stm::{TVar, atomically};

fn main() {
    let count = TVar::new(0);
    atomically(|tx| {
        tx.on_commit(|| drop(count.get(tx)));
        Ok(())
    });
}
