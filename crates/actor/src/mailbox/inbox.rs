//! The shared end of a mailbox: a stack that many push to and one takes whole.
//!
//! One word: nothing, `IDLE`, `AWAITING`, `CLOSED`, or the newest letter, whose `next` is the one before it;
//! with the address of a letter the mark `UNCOUNTED`.
//!
//! Invariants
//! 1. Only the consumer, the actor's task, moves the word to nothing, `IDLE`, `AWAITING` or `CLOSED`. `CLOSED`
//!    stays.
//! 2. The consumer sleeps only after it has moved the word to `IDLE` or `AWAITING`: from nothing, or from a
//!    letter that was alone, which it takes by that. Whoever moves the word from there to a letter wakes it.
//!    One sender does, so a sleeping actor is woken once. (One that has taken a letter that way may be at
//!    work still: then it is polled once more than need be.)
//! 3. A letter that was pushed is taken by the consumer or by its `close`: no letter comes in behind a
//!    close, and the sender of each is told.
//! 4. `IDLE` says besides that the mailbox is empty, `AWAITING` does not. So a message that moves the word from
//!    `IDLE` finds room in any mailbox without counting; it marks the word, and the mark stays until the
//!    letters are taken: the oldest of them is not counted in the room.
//!
//! No wake is lost, because going idle and pushing read-modify-write the one word: whichever comes second
//! sees the other. There is no moment in which a letter is announced but not linked, as in a queue whose
//! push is an exchange and a store; that is what makes a close exact, without a spin (`docs/design/actors.md`).

use super::chain::Chain;
use super::letter::{Class, Kind, Letter, Node};
use super::priority::Priority;
use std::ptr::{self, NonNull};
use weftwork_core::sync::atomic::{AtomicPtr, Ordering};

#[cfg(weftwork_canary)]
use weftwork_core::canary::{self, Step};

/// Nothing is here, the mailbox is empty, and the next push wakes. Set and cleared as in invariant 2.
fn idle() -> *mut Node {
    ptr::without_provenance_mut(1)
}

/// As `IDLE`, but messages lie on the shelf: the actor awaits something else.
fn awaiting() -> *mut Node {
    ptr::without_provenance_mut(2)
}

/// Nothing comes in any more.
fn closed() -> *mut Node {
    ptr::without_provenance_mut(3)
}

/// Set in the address of the newest letter: see invariant 4. Letters are aligned to more than two.
const UNCOUNTED: usize = 1;

fn is_letter(word: *mut Node) -> bool {
    word.addr() > 3
}

/// The newest letter, and whether the oldest is not counted.
fn parts(word: *mut Node) -> (*mut Node, bool) {
    let is_marked = word.addr() & UNCOUNTED != 0;
    (word.map_addr(|address| address & !UNCOUNTED), is_marked)
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

/// What the consumer takes.
pub(crate) struct Taken {
    /// Oldest first.
    pub(crate) letters: Chain,
    /// There is nothing among them but messages of the normal priority.
    pub(crate) is_plain: bool,
    /// The first one is a message that is not counted in the room.
    pub(crate) is_first_uncounted: bool,
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
            let (below, mark) = if is_letter(seen) {
                let (newest, is_marked) = parts(seen);
                (newest, usize::from(is_marked))
            } else {
                (ptr::null_mut(), 0)
            };
            // SAFETY: as above.
            unsafe { Node::set_next(node, below) };
            // AcqRel: releases the letter to `take` and `close`; acquires what the consumer did before
            // it went idle, its waker above all (partners: `try_idle`, `take_alone`).
            match self.word.compare_exchange_weak(
                seen,
                node.as_ptr().map_addr(|address| address | mark),
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) if is_letter(seen) || seen.is_null() => return Ok(Pushed::Quiet),
                Ok(_) => return Ok(Pushed::Wake),
                Err(now) => seen = now,
            }
        }
    }

    /// Whether the mailbox is empty and its actor sleeps, or will without a look at the word. A guess, but for
    /// the consumer, whose own mark it is: that it is there still.
    #[inline]
    pub(crate) fn is_idle(&self) -> bool {
        // Relaxed: `push_to_idle` finds out; a letter that the consumer does not see has woken it.
        self.word.load(Ordering::Relaxed) == idle()
    }

    /// Puts a message in that is not counted in the room, if the mailbox is empty and its actor sleeps: the
    /// caller wakes it.
    ///
    /// # Errors
    /// It is not so: the letter is handed back.
    #[inline]
    pub(crate) fn push_to_idle(&self, letter: Letter) -> Result<(), Letter> {
        let node = letter.into_raw();
        // SAFETY: not pushed, so it is still ours.
        unsafe { Node::set_next(node, ptr::null_mut()) };
        let marked = node.as_ptr().map_addr(|address| address | UNCOUNTED);
        // AcqRel: as in `push`.
        let pushed =
            self.word
                .compare_exchange(idle(), marked, Ordering::AcqRel, Ordering::Relaxed);
        match pushed {
            Ok(_) => Ok(()),
            // SAFETY: as above.
            Err(_) => Err(unsafe { Letter::from_raw(node) }),
        }
    }

    /// Takes all letters. For the consumer, or whoever locks it out: a sender that makes room. A word that
    /// says that the actor sleeps stays as it is, or the actor would sleep through the next push.
    #[inline]
    pub(crate) fn take(&self) -> Taken {
        // Canary: a sleeping actor's word is taken, too.
        #[cfg(weftwork_canary)]
        let always = canary::is(Step::Of("actor_take"));
        #[cfg(not(weftwork_canary))]
        let always = false;
        // Relaxed: a letter that is not seen here is seen by `try_idle`.
        if !is_letter(self.word.load(Ordering::Relaxed)) && !always {
            return Taken::nothing();
        }

        // Acquire: pairs with the releases of the pushes.
        in_order(self.word.swap(ptr::null_mut(), Ordering::Acquire))
    }

    /// Takes a message that is alone and not counted, by going idle: the next push wakes. For a consumer that
    /// has nothing on its shelf, and expects to sleep when the message is handled.
    #[inline]
    pub(crate) fn take_alone(&self) -> Option<Letter> {
        // Acquire: pairs with the release of the push, whose letter is looked at.
        let seen = self.word.load(Ordering::Acquire);
        let (newest, is_marked) = parts(seen);
        if !is_letter(seen) || !is_marked {
            return None;
        }
        let node = NonNull::new(newest)?;
        // SAFETY: the consumer's once it was pushed, and only the consumer, who calls this, takes it.
        if !unsafe { Node::next(node) }.is_null() {
            return None;
        }
        // Canary: whatever came in meanwhile is overwritten.
        #[cfg(weftwork_canary)]
        if canary::is(Step::Of("actor_alone")) {
            self.word.swap(idle(), Ordering::AcqRel);
            // SAFETY: as below.
            return Some(unsafe { Letter::from_raw(node) });
        }
        // Release: pairs with the acquire of the push that finds the word idle. Relaxed on failure: `take`
        // takes it.
        self.word
            .compare_exchange(seen, idle(), Ordering::Release, Ordering::Relaxed)
            .ok()?;
        // SAFETY: taken, and ours alone.
        Some(unsafe { Letter::from_raw(node) })
    }

    /// Announces that the consumer sleeps. `is_empty`: nothing lies on its shelf. False: there is a letter.
    /// For the consumer.
    #[inline]
    pub(crate) fn try_idle(&self, is_empty: bool) -> bool {
        let idle = if is_empty { idle() } else { awaiting() };
        // Canary: a consumer that looks first, and announces its sleep afterwards.
        #[cfg(weftwork_canary)]
        if canary::is(Step::Of("actor_idle")) {
            if is_letter(self.word.load(Ordering::Acquire)) {
                return false;
            }
            self.word.swap(idle, Ordering::AcqRel);
            return true;
        }
        // Relaxed: the consumer's own mark, or only the starting guess for the exchange below.
        let mut seen = self.word.load(Ordering::Relaxed);
        loop {
            if is_letter(seen) {
                return false;
            }
            if seen == idle || seen == closed() {
                return true;
            }
            // Release: pairs with the acquire of the push that finds the consumer asleep. Relaxed on
            // failure: a letter is taken by `take`.
            match self
                .word
                .compare_exchange(seen, idle, Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
    }

    /// Lets no letter in any more, and takes those that are there. For the consumer.
    pub(crate) fn close(&self) -> Chain {
        // Canary: a close that takes first, and closes afterwards.
        #[cfg(weftwork_canary)]
        if canary::is(Step::Of("actor_close")) {
            let letters = self.take().letters;
            self.word.swap(closed(), Ordering::AcqRel);
            return letters;
        }
        // AcqRel: acquires the letters, and releases the end to those who find it closed.
        in_order(self.word.swap(closed(), Ordering::AcqRel)).letters
    }

    pub(crate) fn is_closed(&self) -> bool {
        // Acquire: pairs with the release of `close`.
        self.word.load(Ordering::Acquire) == closed()
    }

    /// How many letters are not counted in the room. A report.
    pub(crate) fn uncounted(&self) -> usize {
        // Relaxed: a report.
        let word = self.word.load(Ordering::Relaxed);
        usize::from(is_letter(word) && parts(word).1)
    }
}

impl Taken {
    const fn nothing() -> Self {
        Taken {
            letters: Chain::new(),
            is_plain: true,
            is_first_uncounted: false,
        }
    }
}

/// Turns what was on the stack into a chain, oldest first.
#[inline]
fn in_order(word: *mut Node) -> Taken {
    let mut taken = Taken::nothing();
    if !is_letter(word) {
        return taken;
    }
    let (mut newest, is_marked) = parts(word);
    taken.is_first_uncounted = is_marked;
    let mut class: *const Class = ptr::null();
    while let Some(node) = NonNull::new(newest) {
        // SAFETY: a node of the stack that we took is ours alone, each once.
        let letter = unsafe {
            newest = Node::next(node);
            Letter::from_raw(node)
        };
        if !ptr::eq(class, letter.class()) {
            class = letter.class();
            taken.is_plain &= letter.class().kind == Kind::Message(Priority::Normal);
        }
        taken.letters.push_front(letter);
    }
    taken
}

impl Drop for Inbox {
    fn drop(&mut self) {
        drop(in_order(self.word.load(Ordering::Acquire)));
    }
}
