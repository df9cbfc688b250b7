//! The word of a oneshot channel: what each end has done, and who may touch which cell.
//!
//! Invariants
//! 1. An end is *done* once one of its `done` bits is set, which never goes away. `SENT` is set only
//!    while the receiver is not done, so a message that was sent can be received.
//! 2. The message's cell is the sender's until `SENT` is set and the receiver's from then on.
//! 3. A waker bit is set by its own end, only while the other end is not done. The cell of the waker
//!    is its own end's while the bit is clear, and nobody's while it is set. Whoever clears the bit
//!    owns the cell: the end itself, to replace its waker, or the end that gets done, which takes
//!    both wakers in the step in which it gets done.
//! 4. An end that has set its `gone` bit touches the memory no more. The second one to set it frees.
//!
//! Protocol: each step is one read-modify-write of the word. A waiter that registers after its peer
//! got done finds that in the same step and does not wait; one that registers before is found by the
//! peer. So no wake-up is lost, and no waker is left behind.
//!
//! Every step acquires and releases: what an end did to a cell before it gave the cell away happens
//! before what the next owner does to it. That is the partner of each ordering below: a step here
//! pairs with the steps of the other end here.

use std::convert::Infallible;
#[cfg(weftwork_canary)]
use weftwork_core::canary::{self, Step};
use weftwork_core::sync::atomic::{AtomicU32, Ordering};

/// By the sender, with a message in its cell.
pub(super) const SENT: u32 = 1;
/// By the sender, dropped without having sent. Excludes `SENT`.
const DROPPED: u32 = 1 << 1;
/// By the receiver, closed or dropped. Excludes a later `SENT`.
const CLOSED: u32 = 1 << 2;
/// The sender has left a waker.
const SENDER_WAITS: u32 = 1 << 3;
/// The receiver has left a waker.
const RECEIVER_WAITS: u32 = 1 << 4;
/// Either of the two.
const WAITERS: u32 = SENDER_WAITS | RECEIVER_WAITS;
/// By the sender, as its last step.
const SENDER_GONE: u32 = 1 << 5;
/// By the receiver, as its last step.
const RECEIVER_GONE: u32 = 1 << 6;

/// One end, seen from the word.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Sender,
    Receiver,
}

impl End {
    pub(super) fn other(self) -> End {
        match self {
            End::Sender => End::Receiver,
            End::Receiver => End::Sender,
        }
    }

    fn done(self) -> u32 {
        match self {
            End::Sender => SENT | DROPPED,
            End::Receiver => CLOSED,
        }
    }

    fn waits(self) -> u32 {
        match self {
            End::Sender => SENDER_WAITS,
            End::Receiver => RECEIVER_WAITS,
        }
    }

    fn gone(self) -> u32 {
        match self {
            End::Sender => SENDER_GONE,
            End::Receiver => RECEIVER_GONE,
        }
    }
}

/// What was seen in the word at one moment.
#[derive(Clone, Copy)]
pub(super) struct Snapshot(u32);

impl Snapshot {
    pub(super) fn is_sent(self) -> bool {
        self.0 & SENT != 0
    }

    pub(super) fn is_done(self, end: End) -> bool {
        self.0 & end.done() != 0
    }

    /// Whether the one who saw this in the step that made it done owns the waker of `end` now.
    pub(super) fn has_waker(self, end: End) -> bool {
        self.0 & end.waits() != 0
    }

    fn is_gone(self, end: End) -> bool {
        self.0 & end.gone() != 0
    }
}

/// What an end that is done has to do yet.
#[must_use]
pub(super) enum Exit {
    /// To take the wakers (and the message) that were seen, and then to [`State::leave`].
    Clear(Snapshot),
    /// Nothing: its `gone` bit is set.
    Left(Last),
}

/// Whether the memory is to be freed by the end that was told.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Last {
    Yes,
    No,
}

pub(super) struct State(AtomicU32);

impl State {
    pub(super) fn new() -> Self {
        State(AtomicU32::new(0))
    }

    pub(super) fn load(&self) -> Snapshot {
        // Acquire: a message that is seen as sent can be taken at once (see the head).
        Snapshot(self.0.load(Ordering::Acquire))
    }

    /// Repeats `step` until the word did not change meanwhile. Returns what was there before, or the
    /// value with which `step` gave up.
    fn update<E>(&self, mut step: impl FnMut(u32) -> Result<u32, E>) -> Result<Snapshot, E> {
        // Acquire, here and in the failure below: `step` may give up because the other end is done,
        // and what that end did before is then used (see the head).
        let mut seen = self.0.load(Ordering::Acquire);
        loop {
            let next = step(seen)?;
            match self
                .0
                .compare_exchange_weak(seen, next, Self::step_order(), Ordering::Acquire)
            {
                Ok(_) => return Ok(Snapshot(seen)),
                Err(now) => seen = now,
            }
        }
    }

    /// AcqRel: pairs with itself in the steps of the other end (see the head).
    fn step_order() -> Ordering {
        // Canary: the cells are handed over without order.
        #[cfg(weftwork_canary)]
        if canary::is(Step::Of("oneshot_order")) {
            return Ordering::Relaxed;
        }
        Ordering::AcqRel
    }

    /// The sender, whose message is in its cell, gives it to the receiver and leaves if nobody waits.
    ///
    /// # Errors
    /// The receiver is done: the message stays the sender's.
    pub(super) fn send(&self) -> Result<Exit, ()> {
        let before = self.update(|seen| match seen & CLOSED {
            0 => Ok(finished(seen, End::Sender, SENT, true)),
            _ => Err(()),
        })?;
        Ok(exit(before, End::Sender, true))
    }

    /// The sender is dropped without having sent.
    pub(super) fn drop_sender(&self) -> Exit {
        let Ok(before) =
            self.update(|seen| Ok::<u32, Infallible>(finished(seen, End::Sender, DROPPED, true)));
        exit(before, End::Sender, true)
    }

    /// The receiver wants no message any more, and leaves if it `may_leave`. It may not while a
    /// message is to be taken that it has not seen yet.
    pub(super) fn close(&self, may_leave: impl Fn(Snapshot) -> bool) -> Exit {
        let Ok(before) = self.update(|seen| {
            let leaves = may_leave(Snapshot(seen));
            Ok::<u32, Infallible>(finished(seen, End::Receiver, CLOSED, leaves))
        });
        exit(before, End::Receiver, may_leave(before))
    }

    /// The last step of an end that had something to clear.
    pub(super) fn leave(&self, end: End) -> Last {
        // AcqRel: pairs with itself at the other end, so that the one who frees the memory does so
        // after the other's last access.
        let before = Snapshot(self.0.fetch_or(end.gone(), Ordering::AcqRel));
        last(before, end)
    }

    /// Gives the waker in the cell of `end` to the other end.
    ///
    /// # Errors
    /// The other end is done and will not call it: the cell stays with `end`.
    pub(super) fn announce(&self, end: End) -> Result<(), ()> {
        // Canary: a waiter that looks before it leaps loses the race against the other end.
        #[cfg(weftwork_canary)]
        if canary::is(Step::Of("oneshot_announce")) {
            let seen = self.0.load(Ordering::Acquire);
            if seen & end.other().done() != 0 {
                return Err(());
            }
            self.0.store(seen | end.waits(), Ordering::Release);
            return Ok(());
        }
        self.update(|seen| match seen & end.other().done() {
            0 => Ok(seen | end.waits()),
            _ => Err(()),
        })
        .map(drop)
    }

    /// Takes the cell of the waker of `end` back, if it was given away.
    ///
    /// # Errors
    /// The other end is done: the waker is its own, if there was one.
    pub(super) fn withdraw(&self, end: End) -> Result<(), ()> {
        let seen = self.load();
        if !seen.is_done(end.other()) && !seen.has_waker(end) {
            return Ok(());
        }
        // Canary: an end takes its waker back while the other one is taking it.
        #[cfg(weftwork_canary)]
        if canary::is(Step::Of("oneshot_withdraw")) {
            self.0.fetch_and(!end.waits(), Ordering::AcqRel);
            return Ok(());
        }
        self.update(|seen| match seen & end.other().done() {
            0 => Ok(seen & !end.waits()),
            _ => Err(()),
        })
        .map(drop)
    }
}

/// The word after `end` got done with `bit`: it has taken both wakers, and has left if that was all.
fn finished(seen: u32, end: End, bit: u32, leaves: bool) -> u32 {
    if seen & WAITERS != 0 {
        (seen | bit) & !WAITERS
    } else if leaves {
        seen | bit | end.gone()
    } else {
        seen | bit
    }
}

fn exit(before: Snapshot, end: End, leaves: bool) -> Exit {
    if leaves && before.0 & WAITERS == 0 {
        Exit::Left(last(before, end))
    } else {
        Exit::Clear(before)
    }
}

fn last(before: Snapshot, end: End) -> Last {
    if before.is_gone(end.other()) {
        Last::Yes
    } else {
        Last::No
    }
}
