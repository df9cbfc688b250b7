//! The commit: lock all that is written, take a stamp, look once more at all that was read, publish.
//!
//! | step | against whom |
//! | --- | --- |
//! | 1. lock each variable to write | committers of the same variable |
//! | 2. a stamp: the commit's place in the order of all | readers: who sees the clock at that stamp from now on sees the locks |
//! | 3. validate: unless nobody took a stamp since `time`, each node read is still the newest, not locked by others | committers that took theirs before: they are seen locked or published |
//! | 4. apply commuting closures | |
//! | 5. publish each node, which unlocks | |
//!
//! The stamp comes before the validation. If it came after, a commit T1 that has validated `x` could get a
//! later time than a T2 that wrote `x` in between, though T1 saw the `x` before: a snapshot at T2's time
//! would see T2's write and not T1's, and no serial order explains that.
//!
//! No code of users runs between 1 and 5, except commuting closures.

use crate::canary::is_weak;
use crate::clock::Stamp;
use crate::commute::Commute;
use crate::current::Committing;
use crate::domain::domain;
use crate::log::writes::{Entry, Writes};
use crate::node::Fresh;
use crate::reclaim::{self, Pin};
use crate::run::{GATE, PATIENCE};
use crate::serial::{Outside, Place};
use crate::stats::{self, Count};
use crate::tx::{Cause, Tx};
use crate::var::inner::{VarRef, Word};
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use weftwork_core::sync::{hint, sized, thread};
use weftwork_core::wait;

/// How often a committer looks at a lock of another's before it gives up its own.
const SPINS: usize = sized(128, 1);

/// Commits an attempt that has written something: all of it becomes visible, or nothing.
///
/// One that has only read need not come here: all was in the variables together at `tx.time`.
pub(crate) fn commit(tx: &Tx) -> Result<(), Cause> {
    let has_commutes = tx.log.is_rich.get() && !tx.log.commutes.borrow().is_empty();
    tx.log.with_writes(|writes| {
        if has_commutes {
            add_entries(tx, writes);
        }
        if writes.entries.is_empty() {
            // All that was written was rolled back.
            return Ok(());
        }
        lock_all(&mut writes.entries, tx.is_serial)?;
        let is_early = is_weak("stm: tick before validation");
        let held_early = is_early && validate(tx, writes);
        let stamp = stamp(tx, &writes.entries);
        if stamp.is_serial && !tx.is_serial && !is_weak("stm: gate") {
            unlock_all(&writes.entries);
            return Err(Cause::Serial);
        }
        let needs_validation = !stamp.is_next && !tx.is_serial;
        if needs_validation && !held_early && !validate(tx, writes) {
            unlock_all(&writes.entries);
            return Err(Cause::Validation);
        }
        if has_commutes {
            apply_commutes(tx, writes);
        }
        while let Some(entry) = writes.entries.pop() {
            let (Some(fresh), Some(found)) = (entry.fresh, entry.found) else {
                unreachable!("every entry was locked and has a value");
            };
            if entry.var.replace(&tx.pin, found, fresh, stamp.now) {
                note_waiters(tx, entry.var);
            }
        }
        writes.end_commit();
        Ok(())
    })
}

/// Takes the commit's place in the order of all. Everything that is written is locked.
#[inline]
fn stamp(tx: &Tx, entries: &[Entry]) -> Stamp {
    let clock = &domain().clock;
    let newest = || {
        let version = |entry: &Entry| entry.found.map_or(0, |found| found.node().version());
        entries.iter().map(version).max().unwrap_or(0)
    };
    let log = &tx.log;
    if log.rhythm.shares() && !tx.is_serial {
        return clock.share(newest());
    }
    let stamp = clock.tick(tx.time.get(), newest);
    log.rhythm.note_tick(stamp.is_next);
    log.time.set(stamp.now);
    stamp
}

/// Whether all that was read is still there, and not about to be replaced by others.
fn validate(tx: &Tx, writes: &Writes) -> bool {
    tx.log.all_reads(|read| {
        let word = read.var.look();
        let is_ours = || writes.may_have(read.var) && writes.find(read.var).is_some();
        word.node() == read.node
            && (!word.is_locked() || is_weak("stm: locks in validation") || is_ours())
    })
}

/// Gives each variable that commuting changes wait for an entry, to be filled in later.
#[cold]
fn add_entries(tx: &Tx, writes: &mut Writes) {
    for commute in &*tx.log.commutes.borrow() {
        if writes.find(commute.var).is_none() {
            writes.append(commute.var, None);
        }
    }
}

/// Computes the commuting changes, of what is in the variables now. Nothing can fail after it; if a closure
/// panics, all is unlocked as it was.
#[cold]
fn apply_commutes(tx: &Tx, writes: &mut Writes) {
    let commutes = tx.log.commutes.take();
    let committing = Committing::enter();
    let applied = catch_unwind(AssertUnwindSafe(|| {
        for Commute { var, change } in commutes {
            let n = writes.find(var).expect("every commute has an entry");
            let entry = &writes.entries[n];
            let newest = || entry.found.expect("every entry is locked").node();
            let node = entry.fresh.as_ref().map_or_else(newest, Fresh::node);
            let fresh = change(node);
            writes.fill(n, fresh);
        }
    }));
    drop(committing);
    if let Err(payload) = applied {
        unlock_all(&writes.entries);
        panic::resume_unwind(payload);
    }
}

#[inline]
fn lock_all(entries: &mut [Entry], is_serial: bool) -> Result<(), Cause> {
    for n in 0..entries.len() {
        let var = entries[n].var;
        let mut spins = 0;
        let found = loop {
            if let Some(found) = var.try_lock() {
                break found;
            }
            if is_serial && spins >= SPINS {
                // Whoever has it steps back, or has its stamp from before ours and publishes.
                thread::yield_now();
            } else if spins == SPINS {
                unlock_all(&entries[..n]);
                return Err(Cause::Locked);
            }
            spins += 1;
            hint::spin_loop();
        };
        entries[n].found = Some(found);
    }
    Ok(())
}

#[cold]
fn unlock_all(entries: &[Entry]) {
    for entry in entries {
        if let Some(found) = entry.found {
            entry.var.unlock(found);
        }
    }
}

#[cold]
fn note_waiters(tx: &Tx, var: VarRef) {
    let mut wakes = tx.log.wakes.take();
    wakes.push(var.address());
    tx.log.wakes.set(wakes);
}

/// Wakes who waits for one of the variables at these addresses.
#[cold]
pub(crate) fn wake(wakes: &[usize]) {
    let mut woken = 0;
    for &address in wakes {
        woken += domain().table.wake(address);
    }
    stats::shared().add(Count::Wake, woken as u64);
}

/// A commit of one write.
#[track_caller]
pub(crate) fn store(var: VarRef, fresh: Fresh) {
    let mut fresh = fresh;
    let mut turns = 0;
    loop {
        match try_store(var, fresh) {
            Ok(()) => return,
            Err(back) => fresh = back,
        }
        // Another runs alone. A store waits for it, and after some turns of others for its own.
        turns += 1;
        if turns <= PATIENCE {
            let outside = Outside::new();
            wait::wait(GATE, |context| outside.poll(context));
        } else {
            let mut place = Place::new(false);
            let turn = wait::wait(GATE, |context| place.poll(context));
            drop(place);
            let pin = reclaim::pin();
            let found = lock_for_store(var);
            let now = stamp_store(found).now;
            finish_store(&pin, var, fresh, found, now);
            drop(turn);
            return;
        }
    }
}

#[inline]
fn try_store(var: VarRef, fresh: Fresh) -> Result<(), Fresh> {
    let pin = reclaim::pin();
    let found = lock_for_store(var);
    let stamp = stamp_store(found);
    if stamp.is_serial {
        var.unlock(found);
        return Err(fresh);
    }
    finish_store(&pin, var, fresh, found, stamp.now);
    Ok(())
}

#[inline]
fn stamp_store(found: Word) -> Stamp {
    domain()
        .clock
        .tick(domain().clock.now(), || found.node().version())
}

/// Takes the one lock, however long it takes: who waits for no second one holds up nobody.
#[inline]
fn lock_for_store(var: VarRef) -> Word {
    loop {
        if let Some(found) = var.try_lock() {
            return found;
        }
        var.look_unlocked();
    }
}

fn finish_store(pin: &Pin, var: VarRef, fresh: Fresh, found: Word, now: u64) {
    if var.replace(pin, found, fresh, now) {
        wake(&[var.address()]);
    }
}
