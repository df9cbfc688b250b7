//! The shared end of a mailbox: a stack that many push to and one takes whole.
//!
//! One word: nothing, `IDLE`, `CLOSED`, or the newest letter, whose `next` is the one before it.
//!
//! Invariants
//! 1. Only the consumer, the actor's task, moves the word to nothing, `IDLE` or `CLOSED`. `CLOSED` stays.
//! 2. The consumer sleeps only after it has moved the word from nothing to `IDLE`; whoever moves it from
//!    `IDLE` to a letter wakes it. One sender does, so an idle actor is woken once.
//! 3. A letter that was pushed is taken by the consumer or by its `close`: no letter comes in behind a
//!    close, and the sender of each is told.
//!
//! No wake is lost, because going idle and pushing read-modify-write the one word: whichever comes second
//! sees the other. There is no moment in which a letter is announced but not linked, as in a queue whose
//! push is an exchange and a store; that is what makes a close exact, without a spin (`docs/design/actors.md`).

use super::chain::Chain;
use super::letter::{Letter, Node};
use std::ptr::{self, NonNull};
use weftwork_core::sync::atomic::{AtomicPtr, Ordering};

#[cfg(weftwork_canary)]
use weftwork_core::canary::{self, Step};

/// Nothing is here and the actor sleeps. Set and cleared as in invariant 2.
fn idle() -> *mut Node {
    ptr::without_provenance_mut(1)
}

/// Nothing comes in any more.
fn closed() -> *mut Node {
    ptr::without_provenance_mut(2)
}

fn is_letter(word: *mut Node) -> bool {
    word.addr() > 2
}

/// What a push found.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Pushed {
    /// The actor is awake, or somebody else has to wake it.
    Quiet,
    /// The actor sleeps: wake it.
    Wake,
}

pub(crate) struct Inbox {
    word: AtomicPtr<Node>,
}

impl Inbox {
    pub(crate) fn new() -> Self {
        Inbox {
            word: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// Puts a letter in.
    ///
    /// # Errors
    /// The inbox is closed: the letter is handed back.
    #[inline]
    pub(crate) fn push(&self, letter: Letter) -> Result<Pushed, Letter> {
        let node = letter.into_raw();
        // Relaxed: only the starting guess for the exchange below.
        let mut seen = self.word.load(Ordering::Relaxed);
        loop {
            if seen == closed() {
                // SAFETY: not pushed, so it is still ours.
                return Err(unsafe { Letter::from_raw(node) });
            }
            let below = if is_letter(seen) {
                seen
            } else {
                ptr::null_mut()
            };
            // SAFETY: as above.
            unsafe { Node::set_next(node, below) };
            // AcqRel: releases the letter to `take` and `close`; acquires what the consumer did before
            // it went idle, its waker above all (partner: `try_idle`).
            match self.word.compare_exchange_weak(
                seen,
                node.as_ptr(),
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) if seen == idle() => return Ok(Pushed::Wake),
                Ok(_) => return Ok(Pushed::Quiet),
                Err(now) => seen = now,
            }
        }
    }

    /// Takes all letters, oldest first. For the consumer, or whoever locks it out: a sender that makes room.
    /// An idle word stays idle, or the actor would sleep through the next push.
    #[inline]
    pub(crate) fn take(&self) -> Chain {
        // Canary: a sleeping actor's word is taken, too.
        #[cfg(weftwork_canary)]
        let always = canary::is(Step::Of("actor_take"));
        #[cfg(not(weftwork_canary))]
        let always = false;
        // Relaxed: a letter that is not seen here is seen by `try_idle`.
        if !is_letter(self.word.load(Ordering::Relaxed)) && !always {
            return Chain::new();
        }

        // Acquire: pairs with the releases of the pushes.
        in_order(self.word.swap(ptr::null_mut(), Ordering::Acquire))
    }

    /// Announces that the consumer sleeps. False: there is a letter. For the consumer.
    #[inline]
    pub(crate) fn try_idle(&self) -> bool {
        // Canary: a consumer that looks first, and announces its sleep afterwards.
        #[cfg(weftwork_canary)]
        if canary::is(Step::Of("actor_idle")) {
            if is_letter(self.word.load(Ordering::Acquire)) {
                return false;
            }
            self.word.swap(idle(), Ordering::AcqRel);
            return true;
        }
        // Release: pairs with the acquire of the push that finds the consumer asleep. Relaxed on
        // failure: a letter is taken by `take`.
        match self.word.compare_exchange(
            ptr::null_mut(),
            idle(),
            Ordering::Release,
            Ordering::Relaxed,
        ) {
            Ok(_) => true,
            Err(seen) => !is_letter(seen),
        }
    }

    /// Lets no letter in any more, and takes those that are there. For the consumer.
    pub(crate) fn close(&self) -> Chain {
        // Canary: a close that takes first, and closes afterwards.
        #[cfg(weftwork_canary)]
        if canary::is(Step::Of("actor_close")) {
            let chain = self.take();
            self.word.swap(closed(), Ordering::AcqRel);
            return chain;
        }
        // AcqRel: acquires the letters, and releases the end to those who find it closed.
        in_order(self.word.swap(closed(), Ordering::AcqRel))
    }

    pub(crate) fn is_closed(&self) -> bool {
        // Acquire: pairs with the release of `close`.
        self.word.load(Ordering::Acquire) == closed()
    }
}

/// Turns what was on the stack into a chain, oldest first.
#[inline]
fn in_order(mut word: *mut Node) -> Chain {
    let mut chain = Chain::new();
    if !is_letter(word) {
        return chain;
    }
    while let Some(node) = NonNull::new(word) {
        // SAFETY: a node of the stack that we took is ours alone, each once.
        unsafe {
            word = Node::next(node);
            chain.push_front(Letter::from_raw(node));
        }
    }
    chain
}

impl Drop for Inbox {
    fn drop(&mut self) {
        drop(in_order(self.word.load(Ordering::Acquire)));
    }
}
