//! The commit: lock all that is written, tick, look once more at all that was read, publish.
//!
//! | step | against whom |
//! | --- | --- |
//! | 1. lock each variable to write | committers of the same variable |
//! | 2. tick: the commit's place in the order of all | readers: who reads the clock from now on sees the locks |
//! | 3. validate: unless nobody ticked since `time`, each node read is still the newest, not locked by others | committers that ticked before: they are seen locked or published |
//! | 4. apply commuting closures | |
//! | 5. publish each node, which unlocks | |
//!
//! The tick comes before the validation. If it came after, a commit T1 that has validated `x` could get a
//! later time than a T2 that wrote `x` in between, though T1 saw the `x` before: a snapshot at T2's time
//! would see T2's write and not T1's, and no serial order explains that.
//!
//! No code of users runs between 1 and 5, except commuting closures.

use crate::domain::domain;
use crate::log::writes::Entry;
use crate::node::{Fresh, Header};
use crate::reclaim::{self, Pin};
use crate::run::{GATE, PATIENCE};
use crate::serial::{Outside, Place};
use crate::tx::{Cause, Tx};
use crate::var::inner::{Inner, Word};
use std::ptr::NonNull;
use weftwork_core::sync::{hint, sized, thread};
use weftwork_core::wait;

/// How often a committer looks at a lock of another's before it gives up its own.
const SPINS: usize = sized(128, 1);

/// Addresses of variables whose waiters are to be woken.
pub(crate) type Wakes = Vec<usize>;

/// Commits the attempt: all of it becomes visible, or nothing.
#[inline]
pub(crate) fn commit(tx: &Tx) -> Result<Wakes, Cause> {
    if tx.log.is_read_only() {
        // All was in the variables together at `tx.time`.
        return Ok(Wakes::new());
    }
    tx.log.with_writes(|writes| {
        let entries = &mut writes.entries;
        lock_all(entries, tx.is_serial)?;
        let tick = domain().clock.tick();
        if tick.is_serial && !tx.is_serial {
            unlock_all(entries);
            return Err(Cause::Serial);
        }
        if tick.before != tx.time.get() && !tx.is_serial {
            let holds = tx.log.all_reads(|read| {
                // SAFETY: pinned since the read.
                let word = unsafe { read.var.as_ref() }.look();
                word.node() == read.node && (!word.is_locked() || owns(entries, read.var))
            });
            if !holds {
                unlock_all(entries);
                return Err(Cause::Validation);
            }
        }
        Ok(publish_all(entries, tick.now, &tx.pin))
    })
}

/// Whether `var` is one of `entries`, all of which are locked by us.
fn owns(entries: &[Entry], var: NonNull<Inner>) -> bool {
    entries.iter().any(|entry| entry.var == var)
}

#[inline]
fn lock_all(entries: &mut [Entry], is_serial: bool) -> Result<(), Cause> {
    for n in 0..entries.len() {
        // SAFETY: pinned since the write.
        let var = unsafe { entries[n].var.as_ref() };
        let mut spins = 0;
        let found = loop {
            if let Some(found) = var.try_lock() {
                break found;
            }
            if is_serial && spins >= SPINS {
                // Whoever has it steps back, or has ticked before us and publishes.
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
            // SAFETY: pinned since the write.
            unsafe { entry.var.as_ref() }.unlock(found);
        }
    }
}

#[inline]
fn publish_all(entries: &mut Vec<Entry>, now: u64, pin: &Pin) -> Wakes {
    let mut wakes = Wakes::new();
    for entry in entries.drain(..) {
        let (Some(fresh), Some(found)) = (entry.fresh, entry.found) else {
            unreachable!("every entry was locked and has a value");
        };
        if publish(pin, entry.var, fresh, found, now) {
            wakes.push(entry.var.addr().get());
        }
    }
    wakes
}

/// Replaces the node of a variable that we have locked, and unlocks it. Whether somebody waits for it.
#[inline]
fn publish(pin: &Pin, var: NonNull<Inner>, fresh: Fresh, found: Word, now: u64) -> bool {
    let old = found.node();
    // SAFETY: found published, and pinned since.
    debug_assert!(unsafe { Header::version(old) } < now);
    let dispose = fresh.dispose();
    let node = fresh.publish(now, Some(old));
    // SAFETY: pinned since the variable was met.
    unsafe { var.as_ref() }.publish(node);
    // SAFETY: replaced just now, by us alone, who had the lock; so retired once. Who pins from now on and
    // then reads the clock does not follow `prev` from the new node. Nodes of one variable are of one type.
    unsafe { reclaim::retire(pin, old.cast(), dispose) };
    found.has_waiters()
}

/// Wakes who waits for one of the variables.
pub(crate) fn wake(wakes: Wakes) {
    for address in wakes {
        domain().table.wake(address);
    }
}

/// A commit of one write.
#[track_caller]
pub(crate) fn store(var: NonNull<Inner>, fresh: Fresh) {
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
            let now = domain().clock.tick().now;
            finish_store(&pin, var, fresh, found, now);
            drop(turn);
            return;
        }
    }
}

#[inline]
fn try_store(var: NonNull<Inner>, fresh: Fresh) -> Result<(), Fresh> {
    let pin = reclaim::pin();
    let found = lock_for_store(var);
    let tick = domain().clock.tick();
    if tick.is_serial {
        // SAFETY: the caller has met the variable by a handle that it keeps.
        unsafe { var.as_ref() }.unlock(found);
        return Err(fresh);
    }
    finish_store(&pin, var, fresh, found, tick.now);
    Ok(())
}

/// Takes the one lock, however long it takes: who waits for no second one holds up nobody.
#[inline]
fn lock_for_store(var: NonNull<Inner>) -> Word {
    // SAFETY: the caller of `store` has met the variable by a handle that it keeps.
    let var = unsafe { var.as_ref() };
    loop {
        if let Some(found) = var.try_lock() {
            return found;
        }
        var.look_unlocked();
    }
}

fn finish_store(pin: &Pin, var: NonNull<Inner>, fresh: Fresh, found: Word, now: u64) {
    let has_waiters = publish(pin, var, fresh, found, now);
    if has_waiters {
        domain().table.wake(var.addr().get());
    }
}
