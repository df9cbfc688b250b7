//! One attempt: the body, the commit, and the end of it, whichever way it ends.
//!
//! Invariants
//! 1. When code of users runs after the body (drops, hooks, wakers), the attempt is over: it is not the thread's
//!    current transaction, and nothing is locked.
//! 2. Sleepers are woken before anything else that may panic.

use crate::commit;
use crate::current::{self, Entered, Kind};
use crate::domain::domain;
use crate::error::TxError;
use crate::log::{Hook, Log};
use crate::reclaim::{self, Pin};
use crate::run::Pause;
use crate::serial::Turn;
use crate::stats::Count;
use crate::tx::{Cause, Fate, Tx};
use crate::waiting::Registration;
use std::mem;
use std::panic::{self, AssertUnwindSafe, Location, catch_unwind};

/// How an attempt ended.
pub(crate) enum Outcome<R, E> {
    Commit(R, Count),
    Abort(E),
    Conflict(Cause),
    Retry(Pause),
    /// It starts again at once.
    Again,
    Eager,
    Serial,
}

/// Makes one attempt. Nothing of it is left when this returns, except what a pause has entered.
#[inline]
pub(crate) fn attempt<R, E>(
    location: &'static Location<'static>,
    attempts: u32,
    turn: Option<Turn>,
    is_eager: bool,
    body: &mut impl FnMut(&Tx) -> Result<R, TxError<E>>,
) -> Outcome<R, E> {
    let log = current::take_log();
    let is_serial = turn.is_some();
    // Alone, a change that waits for the commit wins nothing; and what is irrevocable must not start again.
    let is_eager = is_eager || is_serial;
    let tx = Tx::begin(log, reclaim::pin(), attempts, is_serial, is_eager, location);
    let unwound = Unwound(&tx);
    // Both end, also by a panic, before a hook or a drop of the user's runs: those may run transactions.
    let entered = (Entered::enter(Kind::Transaction, location), turn);
    let result = body(&tx);
    let fate = tx.fate.get();
    match result {
        Ok(value) if fate == Fate::Running => {
            let mut count = Count::ReadOnlyCommit;
            if !tx.log.is_unwritten() {
                if let Err(cause) = commit::commit(&tx) {
                    drop(entered);
                    mem::forget(unwound);
                    end(tx, false);
                    drop(value);
                    return Outcome::Conflict(cause);
                }
                count = Count::Commit;
            }
            tx.log.counters.count(count);
            drop(entered);
            mem::forget(unwound);
            end(tx, true);
            Outcome::Commit(value, count)
        }
        result => {
            let verdict = verdict(&tx, fate, matches!(result, Err(TxError::Abort(_))));
            drop(entered);
            mem::forget(unwound);
            end(tx, false);
            match (verdict, result) {
                (Verdict::Aborted, Err(TxError::Abort(reason))) => Outcome::Abort(reason),
                (Verdict::Conflict, _) => Outcome::Conflict(Cause::Version),
                (Verdict::Retry(pause), _) => Outcome::Retry(pause),
                (Verdict::Serial, _) => Outcome::Serial,
                (Verdict::Eager, _) => Outcome::Eager,
                _ => Outcome::Again,
            }
        }
    }
}

enum Verdict {
    Aborted,
    Conflict,
    Retry(Pause),
    /// It would wait, but what it has read has changed already.
    Changed,
    Serial,
    Eager,
}

/// What becomes of an attempt that does not commit.
#[cold]
fn verdict(tx: &Tx, fate: Fate, has_aborted: bool) -> Verdict {
    match fate {
        Fate::Running if has_aborted => {
            assert!(
                !tx.is_irrevocable.get(),
                "the transaction at {} is irrevocable and aborts: what it has done cannot be undone",
                tx.location
            );
            Verdict::Aborted
        }
        Fate::Running => panic!(
            "the body of the transaction at {} returns a `Stop` that its attempt has not issued",
            tx.location
        ),
        Fate::Conflict => Verdict::Conflict,
        Fate::Retry => register(tx),
        Fate::Serial => Verdict::Serial,
        Fate::Eager => Verdict::Eager,
    }
}

/// Enters the attempt as a sleeper for all that it has read.
fn register(tx: &Tx) -> Verdict {
    let location = tx.retries_at.get();
    let reads = &tx.log.reads;
    let sources = tx.log.sources.take();
    assert!(
        reads.len() != 0 || !sources.is_empty(),
        "the transaction at {} calls `retry` at {location} without having read anything: nobody could wake it",
        tx.location
    );
    let mut registration = Registration::new(&domain().table);
    if !reads.all_distinct(|read| registration.add(read.var, read.node)) {
        return Verdict::Changed;
    }
    Verdict::Retry(Pause::Change(registration, sources))
}

/// Ends an attempt: wakes, forgets, unpins, runs the hooks. Nothing of it is left when user code runs.
#[inline]
fn end(tx: Tx, has_committed: bool) {
    let Tx { log, pin, .. } = tx;
    let wakes = log.wakes.take();
    if !wakes.is_empty() {
        commit::wake(&wakes);
    }
    if log.is_rich.get() {
        end_rich(log, pin, has_committed);
    } else {
        log.clear();
        current::give_back(log);
        drop(pin);
    }
}

#[cold]
fn end_rich(log: Box<Log>, pin: Pin, has_committed: bool) {
    let hooks = take_hooks(&log, has_committed);
    log.clear();
    current::give_back(log);
    drop(pin);
    run_hooks(hooks);
}

#[cold]
fn take_hooks(log: &Log, has_committed: bool) -> Vec<Hook> {
    let mut hooks = log.undone.take();
    hooks.extend(if has_committed {
        log.on_commit.take()
    } else {
        log.on_abort.take()
    });
    hooks
}

/// Runs all hooks in order; the first panic goes on after the last.
#[cold]
fn run_hooks(hooks: Vec<Hook>) {
    let mut panicked = None;
    for hook in hooks {
        let ran = catch_unwind(AssertUnwindSafe(hook));
        panicked = panicked.or(ran.err());
    }
    if let Some(payload) = panicked {
        panic::resume_unwind(payload);
    }
}

/// Runs the hooks of an attempt whose body panicked.
struct Unwound<'tx>(&'tx Tx);

impl Drop for Unwound<'_> {
    fn drop(&mut self) {
        let hooks = take_hooks(&self.0.log, false);
        // A panic of theirs on top of the body's would abort the process: that one is reported alone.
        let _ = catch_unwind(AssertUnwindSafe(|| run_hooks(hooks)));
    }
}
