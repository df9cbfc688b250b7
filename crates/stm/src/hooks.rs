//! What a transaction leaves for the time after it.

use crate::log::Hook;
use crate::tx::Tx;

impl Tx {
    /// Calls `f` after the transaction has committed: for effects that cannot be undone.
    ///
    /// Hooks run on the thread that ran the transaction, in the order in which they were registered, after
    /// all is visible and nothing is locked. They may run transactions, and may wait. If one panics, the
    /// others still run, and the first panic goes on from the call that ran the transaction, which is
    /// committed. A hook of a branch that is rolled back, or of an attempt that fails, is dropped.
    ///
    /// ```
    /// use weftwork_stm::{TVar, atomically};
    ///
    /// let stock = TVar::new(1);
    /// atomically(|tx| {
    ///     stock.update(tx, |n| n - 1)?;
    ///     tx.on_commit(|| println!("shipped"));
    ///     Ok(())
    /// });
    /// ```
    pub fn on_commit(&self, f: impl FnOnce() + 'static) {
        self.add_hook(Box::new(f), true);
    }

    /// Calls `f` after what was done so far was taken back: the attempt failed, retried, was aborted or
    /// panicked, or the branch in which this was called was rolled back.
    ///
    /// It runs after the attempt, as [`on_commit`](Self::on_commit) does; a body that runs several times
    /// registers it several times. If the attempt commits with the branch, `f` is dropped.
    ///
    /// ```
    /// use std::cell::Cell;
    /// use std::rc::Rc;
    /// use weftwork_stm::{abort, try_atomically};
    ///
    /// let undone = Rc::new(Cell::new(false));
    /// let result: Result<(), &str> = try_atomically(|tx| {
    ///     let undone = Rc::clone(&undone);
    ///     tx.on_abort(move || undone.set(true));
    ///     abort("no")
    /// });
    /// assert_eq!(result, Err("no"));
    /// assert!(undone.get());
    /// ```
    pub fn on_abort(&self, f: impl FnOnce() + 'static) {
        self.add_hook(Box::new(f), false);
    }

    fn add_hook(&self, hook: Hook, on_commit: bool) {
        self.log.is_rich.set(true);
        let hooks = if on_commit {
            &self.log.on_commit
        } else {
            &self.log.on_abort
        };
        hooks.borrow_mut().push(hook);
    }
}
