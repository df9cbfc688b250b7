//! A running attempt, as its body sees it.
//!
//! Invariants
//! 1. Whatever was read was in the variables together at the time `time`: each node read was the newest one
//!    then. A read that finds a newer one moves `time` forward, if all that was read is still there, or stops
//!    the attempt. So even an attempt that is doomed has seen one consistent state (opacity).
//! 2. Once `fate` is not `Running`, the attempt does not commit, whatever the body returns.

use crate::canary::is_weak;
use crate::domain::domain;
use crate::error::{Stm, Stop};
use crate::log::Log;
use crate::node::{Fresh, NodeRef};
use crate::reclaim::Pin;
use crate::stats::Count;
use crate::var::inner::VarRef;
use crate::waiting::Source;
use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::panic::Location;
use std::sync::Arc;

/// Why an attempt does not commit, or that nothing speaks against it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Running,
    /// It ran into a variable that is newer than what it has read.
    Conflict,
    /// It waits for a change; asked for at `Tx::retries_at`.
    Retry,
    /// It wants to run alone from the start.
    Serial,
    /// It wants to make commuting changes at once, from the start.
    Eager,
}

/// What a conflict was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Another commit held the lock of a variable to write.
    Locked,
    /// A variable was newer than what was read before.
    Version,
    /// At the commit, something read had changed.
    Validation,
    /// Another transaction runs alone.
    Serial,
}

/// A running transaction: what the body of [`atomically`](crate::atomically) is given.
///
/// It is passed on by reference to whatever takes part in the transaction. It stays on its thread, and
/// inside its attempt.
pub struct Tx {
    pub(crate) log: Box<Log>,
    pub(crate) pin: Pin,
    /// The state that is read: that of this time. The thread has seen the clock at it, now or earlier.
    pub(crate) time: Cell<u64>,
    pub(crate) fate: Cell<Fate>,
    pub(crate) retries_at: Cell<&'static Location<'static>>,
    pub(crate) attempt: u32,
    /// Whether it has the serial turn.
    pub(crate) is_serial: bool,
    pub(crate) is_irrevocable: Cell<bool>,
    /// Whether it makes commuting changes at once.
    pub(crate) is_eager: bool,
    pub(crate) location: &'static Location<'static>,
    _of_this_thread: PhantomData<*mut ()>,
}

impl Tx {
    #[inline]
    pub(crate) fn begin(
        log: Box<Log>,
        pin: Pin,
        attempt: u32,
        is_serial: bool,
        is_eager: bool,
        location: &'static Location<'static>,
    ) -> Tx {
        // Any time that the thread has seen does: what is newer moves it. Alone, nothing is newer.
        let time = if is_serial {
            domain().clock.now()
        } else {
            log.time.get()
        };
        Tx {
            log,
            pin,
            time: Cell::new(time),
            fate: Cell::new(Fate::Running),
            retries_at: Cell::new(location),
            attempt,
            is_serial,
            is_irrevocable: Cell::new(false),
            is_eager,
            location,
            _of_this_thread: PhantomData,
        }
    }

    /// Waits until something that this transaction has read is changed by another, and then runs the body
    /// again from the start.
    ///
    /// What branches of an [`or_else`](Self::or_else) have read counts, too, also of those that were rolled
    /// back. A green thread or an OS thread parks; a future returns `Pending`. Each commit that writes one of
    /// the variables wakes all who wait for it.
    ///
    /// # Errors
    /// Always: hand the [`Stop`] back with `?`.
    ///
    /// # Panics
    /// The transaction has read nothing: nobody could ever wake it. The panic comes when it is about to wait.
    ///
    /// ```
    /// use std::thread;
    /// use weftwork_stm::{TVar, atomically};
    ///
    /// let letter = TVar::new(None);
    /// let sender = thread::spawn({
    ///     let letter = letter.clone();
    ///     move || letter.store(Some("hello"))
    /// });
    /// let text = atomically(|tx| match *letter.get(tx)? {
    ///     Some(text) => Ok(text),
    ///     None => tx.retry(),
    /// });
    /// assert_eq!(text, "hello");
    /// sender.join().unwrap();
    /// ```
    #[track_caller]
    pub fn retry<T>(&self) -> Stm<T> {
        if self.is_irrevocable.get() {
            panic!(
                "the transaction at {} is irrevocable and calls `retry`: what it has done cannot be undone",
                self.location
            );
        }
        if self.fate.get() == Fate::Running {
            self.retries_at.set(Location::caller());
        }
        Err(self.stop(Fate::Retry))
    }

    /// Goes on if `condition` holds, and [retries](Self::retry) otherwise.
    ///
    /// # Errors
    /// The condition does not hold: hand the [`Stop`] back with `?`.
    ///
    /// ```
    /// use weftwork_stm::{TVar, atomically};
    ///
    /// let stock = TVar::new(3_u32);
    /// atomically(|tx| {
    ///     let n = *stock.get(tx)?;
    ///     tx.check(n >= 2)?;
    ///     stock.set(tx, n - 2)
    /// });
    /// assert_eq!(stock.load(), 1);
    /// ```
    #[track_caller]
    #[inline]
    pub fn check(&self, condition: bool) -> Stm<()> {
        if condition { Ok(()) } else { self.retry() }
    }

    /// How often the body was begun before, in this transaction.
    ///
    /// ```
    /// assert_eq!(weftwork_stm::atomically(|tx| Ok(tx.attempt())), 0);
    /// ```
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Ends the attempt, unless it has ended already.
    pub(crate) fn stop(&self, fate: Fate) -> Stop {
        if self.fate.get() == Fate::Running {
            self.fate.set(fate);
        }
        Stop::issue()
    }

    /// The node that the attempt sees in `var`.
    #[inline]
    pub(crate) fn read(&self, var: VarRef) -> Stm<NodeRef> {
        if self.log.may_have_written(var) {
            self.read_own(var)
        } else {
            self.read_shared(var)
        }
    }

    /// As [`read`](Self::read), of a variable that this attempt has probably written.
    fn read_own(&self, var: VarRef) -> Stm<NodeRef> {
        if let Some(node) = self.log.written(var) {
            return Ok(node);
        }
        let node = self.read_shared(var)?;
        if self.has_commutes(var) {
            self.apply_commutes(var, node)
        } else {
            Ok(node)
        }
    }

    #[inline]
    fn read_shared(&self, var: VarRef) -> Stm<NodeRef> {
        let word = var.look();
        if !word.is_locked() {
            let node = word.node();
            if node.version() <= self.time.get() {
                self.log.reads.push(var, node);
                return Ok(node);
            }
        }
        self.read_slowly(var)
    }

    #[cold]
    fn read_slowly(&self, var: VarRef) -> Stm<NodeRef> {
        loop {
            let node = var.look_unlocked().node();
            if node.version() <= self.time.get() {
                self.log.reads.push(var, node);
                return Ok(node);
            }
            if !self.extend(node.version()) {
                return Err(self.stop(Fate::Conflict));
            }
        }
    }

    /// Moves the time forward to now, which is `stamp` at least, if all that was read is still there.
    fn extend(&self, stamp: u64) -> bool {
        let now = domain().clock.reach(stamp);
        self.log.time.set(now);
        self.log.rhythm.note_newer();
        let still = self.log.all_reads(|read| read.var.look().is(read.node));
        if still {
            let now = if is_weak("stm: extension") {
                domain().clock.now()
            } else {
                now
            };
            self.time.set(now);
            self.log.counters.count(Count::Extension);
        }
        still
    }

    #[inline]
    pub(crate) fn write(&self, var: VarRef, fresh: Fresh) -> Stm<()> {
        if self.has_commutes(var) {
            self.drop_commutes(var)?;
        }
        self.log.write(var, fresh);
        Ok(())
    }

    /// Makes the rest of this transaction certain to commit: from here on it runs alone, cannot conflict, and
    /// may do what cannot be undone.
    ///
    /// The first call makes the body start again from the beginning, after those who asked before. Nobody
    /// else commits until the transaction ends; readers and snapshots go on. Be quick.
    ///
    /// # Errors
    /// The body has to start again: hand the [`Stop`] back with `?`.
    ///
    /// # Panics
    /// Not here: but a [`retry`](Self::retry) or an abort that reaches the end of an irrevocable transaction
    /// breaks its promise, and panics.
    ///
    /// ```
    /// use weftwork_stm::{TVar, atomically};
    ///
    /// let next = TVar::new(1);
    /// atomically(|tx| {
    ///     let n = *next.get(tx)?;
    ///     tx.irrevocable()?;
    ///     println!("number {n} is sold"); // Once, and then the commit follows.
    ///     next.set(tx, n + 1)
    /// });
    /// ```
    pub fn irrevocable(&self) -> Stm<()> {
        if !self.is_serial {
            return Err(self.stop(Fate::Serial));
        }
        self.is_irrevocable.set(true);
        Ok(())
    }

    /// Makes a [retry](Self::retry) wait for `source`, too.
    pub(crate) fn wait_also(&self, source: Arc<dyn Source>) {
        self.log.is_rich.set(true);
        self.log.sources.borrow_mut().push(source);
    }
}

impl fmt::Debug for Tx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tx")
            .field("attempt", &self.attempt)
            .field("location", &self.location)
            .finish_non_exhaustive()
    }
}
