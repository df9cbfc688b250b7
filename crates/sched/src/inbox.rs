//! The inbox of a worker: what other threads hand to it, and how they find out that it sleeps.
//!
//! An intrusive stack (Treiber 1986) that many push to and only the owner empties, whole. The head
//! word also says what the owner is doing, so that a push and the owner's going to sleep meet in
//! read-modify-writes on one word.
//!
//! Invariants
//! 1. The head is null (nothing to do), `ASLEEP`, `KICKED`, `CLOSED`, or the newest node of a list.
//! 2. Only the owner sets `ASLEEP`, and only from null. Whoever takes `ASLEEP` away other than the
//!    owner wakes the owner's poller, exactly once.
//! 3. A node is in at most one inbox, and belongs to the owner once it is pushed.
//! 4. `CLOSED`, set by the owner at its end, is never taken away, and takes no node.
//!
//! No push is lost: a push before `announce_sleep` makes the head non-null, so the owner does not
//! sleep; a push after it finds `ASLEEP` and wakes the owner.

use std::ptr::NonNull;
#[cfg(weftwork_canary)]
use weftwork_core::canary::{self, Step};
use weftwork_core::sync::atomic::{AtomicPtr, Ordering};

/// The link by which something lies in an inbox.
#[derive(Debug)]
pub struct Link {
    next: AtomicPtr<Link>,
}

impl Link {
    /// A link in no list.
    pub fn new() -> Self {
        Link {
            next: AtomicPtr::new(std::ptr::null_mut()),
        }
    }

    /// For the owner of the node.
    #[inline]
    pub fn next(&self) -> *mut Link {
        // Relaxed: the node was acquired as a whole, with the list it was in.
        self.next.load(Ordering::Relaxed)
    }

    /// For the owner of the node.
    #[inline]
    pub fn set_next(&self, next: *mut Link) {
        // Relaxed: published by the release of the list's head, or read by this thread alone.
        self.next.store(next, Ordering::Relaxed);
    }
}

/// Head while the owner sleeps or is about to. Set by the owner, excludes a push that does not wake.
const ASLEEP: *mut Link = std::ptr::without_provenance_mut(1);
/// Head after a `kick` of an empty inbox: there is no node, but something elsewhere to look at.
const KICKED: *mut Link = std::ptr::without_provenance_mut(2);
/// Head for ever after the owner has left. Set by the owner.
const CLOSED: *mut Link = std::ptr::without_provenance_mut(3);

/// What became of a node that was pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Pushed {
    /// The owner will take it.
    Taken,
    /// The owner will take it, once the caller has woken its poller.
    WakeOwner,
    /// The owner has left; the node is still the caller's.
    Closed,
}

/// See the module's page.
#[derive(Debug)]
pub struct Inbox {
    head: AtomicPtr<Link>,
}

impl Inbox {
    /// An empty inbox, whose owner is awake.
    pub fn new() -> Self {
        Inbox {
            head: AtomicPtr::new(std::ptr::null_mut()),
        }
    }

    /// Hands a node to the owner.
    ///
    /// # Safety
    /// The node is alive and in no list until the owner has taken it out.
    pub unsafe fn push(&self, node: NonNull<Link>) -> Pushed {
        // Relaxed: only the starting guess for the exchange below.
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            if head == CLOSED {
                return Pushed::Closed;
            }
            let next = if is_list(head) {
                head
            } else {
                std::ptr::null_mut()
            };
            // SAFETY: alive, says the caller, and ours until the exchange succeeds.
            unsafe { node.as_ref() }.set_next(next);
            // Canary: a pusher that finds the owner awake and stores its list unchecked.
            #[cfg(weftwork_canary)]
            if head.is_null() && canary::is(Step::Of("inbox: push")) {
                self.head.store(node.as_ptr(), Ordering::Release);
                return Pushed::Taken;
            }
            // Release: publishes the node, and what was done before the push, to `take` (whose
            // acquire also covers the nodes below, through the chain of exchanges).
            match self.head.compare_exchange_weak(
                head,
                node.as_ptr(),
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) if head == ASLEEP => return Pushed::WakeOwner,
                Ok(_) => return Pushed::Taken,
                Err(seen) => head = seen,
            }
        }
    }

    /// Makes the owner look around. True: it slept, and the caller wakes its poller.
    #[must_use]
    pub fn kick(&self) -> bool {
        // Relaxed: only the starting guess for the exchange below.
        let mut head = self.head.load(Ordering::Relaxed);
        // Canary: a kick that does nothing because the owner is awake, which may have looked.
        #[cfg(weftwork_canary)]
        if head.is_null() && canary::is(Step::Of("inbox: kick")) {
            return false;
        }
        loop {
            if head == CLOSED {
                return false;
            }
            let next = if is_list(head) { head } else { KICKED };
            // Release: publishes what was done before the kick, even when a list is there already
            // (partner: `take`).
            match self
                .head
                .compare_exchange_weak(head, next, Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) => return head == ASLEEP,
                Err(seen) => head = seen,
            }
        }
    }

    /// Announces that the owner is going to sleep. False: there is something to take.
    #[must_use]
    pub fn announce_sleep(&self) -> bool {
        // Canary: an announcement over the mail that came since the last look.
        #[cfg(weftwork_canary)]
        if canary::is(Step::Of("inbox: announce_sleep")) {
            let empty = self.head.load(Ordering::Acquire).is_null();
            if empty {
                self.head.store(ASLEEP, Ordering::Release);
            }
            return empty;
        }
        // AcqRel: the release orders the owner's last look at the queues before the announcement
        // for those who find it; the acquire is for symmetry with `take` on failure.
        self.head
            .compare_exchange(
                std::ptr::null_mut(),
                ASLEEP,
                Ordering::AcqRel,
                Ordering::Relaxed,
            )
            .is_ok()
    }

    /// Whether there may be something to take. Never false for long after a push.
    #[inline]
    pub fn has_mail(&self) -> bool {
        // Relaxed: a hint, read by the owner before it takes.
        !self.head.load(Ordering::Relaxed).is_null()
    }

    /// Whether the owner has announced that it sleeps, and nobody has come since. For the owner.
    pub fn is_announced(&self) -> bool {
        // Relaxed: only the owner sets it; whether another has taken it away by now is a hint.
        self.head.load(Ordering::Relaxed) == ASLEEP
    }

    /// Takes everything, oldest first, and ends the owner's sleep. `None`: there was no node.
    pub fn take(&self) -> Option<NonNull<Link>> {
        self.take_and_leave(std::ptr::null_mut())
    }

    /// Takes everything for the last time: what comes later is refused.
    pub fn close(&self) -> Option<NonNull<Link>> {
        self.take_and_leave(CLOSED)
    }

    fn take_and_leave(&self, next_head: *mut Link) -> Option<NonNull<Link>> {
        // Acquire: pairs with the releases in `push` and `kick`.
        #[cfg(not(weftwork_canary))]
        let head = self.head.swap(next_head, Ordering::Acquire);
        // Canary: mail that comes between a look and a clearing is thrown away.
        #[cfg(weftwork_canary)]
        let head = if canary::is(Step::Of("inbox: take")) {
            let head = self.head.load(Ordering::Acquire);
            self.head.store(next_head, Ordering::Release);
            head
        } else {
            self.head.swap(next_head, Ordering::Acquire)
        };
        if !is_list(head) {
            return None;
        }
        // Newest first: turn it around.
        let mut newer: *mut Link = std::ptr::null_mut();
        let mut node = NonNull::new(head);
        while let Some(this) = node {
            // SAFETY: the nodes of a list that was taken are alive and the owner's (invariant 3).
            let link = unsafe { this.as_ref() };
            let older = link.next();
            link.set_next(newer);
            newer = this.as_ptr();
            node = NonNull::new(older);
        }
        NonNull::new(newer)
    }
}

fn is_list(head: *mut Link) -> bool {
    head.addr() > CLOSED.addr()
}

impl Default for Link {
    fn default() -> Self {
        Link::new()
    }
}

impl Default for Inbox {
    fn default() -> Self {
        Inbox::new()
    }
}

#[cfg(all(test, not(weftwork_loom)))]
mod tests {
    use super::*;

    #[test]
    fn take_returns_the_oldest_first() {
        let (a, b) = (Link::new(), Link::new());
        let inbox = Inbox::new();
        // SAFETY: both nodes outlive the inbox's use of them and are in no other list.
        unsafe {
            assert_eq!(inbox.push(NonNull::from(&a)), Pushed::Taken);
            assert_eq!(inbox.push(NonNull::from(&b)), Pushed::Taken);
        }
        assert_eq!(inbox.take(), Some(NonNull::from(&a)));
        assert_eq!(a.next(), (&raw const b).cast_mut());
        assert!(b.next().is_null());
        assert_eq!(inbox.take(), None);
    }

    #[test]
    fn only_the_first_push_or_kick_after_the_announcement_wakes() {
        let (a, b) = (Link::new(), Link::new());
        let inbox = Inbox::new();
        assert!(inbox.announce_sleep());
        // SAFETY: as above.
        unsafe {
            assert_eq!(inbox.push(NonNull::from(&a)), Pushed::WakeOwner);
            assert_eq!(inbox.push(NonNull::from(&b)), Pushed::Taken);
        }
        assert!(!inbox.kick());
        assert!(!inbox.announce_sleep());
        assert!(inbox.take().is_some());
        assert!(inbox.announce_sleep());
        assert!(inbox.kick());
        assert!(inbox.has_mail());
        assert!(inbox.take().is_none());
        assert!(!inbox.has_mail());
    }

    #[test]
    fn a_closed_inbox_refuses_nodes_and_wakes_nobody() {
        let (a, b) = (Link::new(), Link::new());
        let inbox = Inbox::new();
        // SAFETY: as above.
        unsafe {
            assert_eq!(inbox.push(NonNull::from(&a)), Pushed::Taken);
            assert_eq!(inbox.close(), Some(NonNull::from(&a)));
            assert_eq!(inbox.push(NonNull::from(&b)), Pushed::Closed);
        }
        assert!(!inbox.kick());
    }
}
