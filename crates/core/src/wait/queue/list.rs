//! The nodes of the waiters and the lists they form: the one unsafe place of the wait queue.
//!
//! Invariants
//! 1. `phase`: the owner, with the queue locked, moves it from `IDLE` to `QUEUED` and back. Whoever
//!    has the queue locked moves it from `QUEUED` to `SERVED`, and the owner from there to `IDLE`.
//! 2. `body` belongs to whoever has the queue locked while the phase is `QUEUED`, and to the owner
//!    otherwise. The owner is whoever has the `Pin<&mut Waiter>`.
//! 3. A node in a list is `QUEUED`, pinned, and valid: its drop takes it out first.
//! 4. `SERVED` is the last that a server does to a node: the owner may see it at once, and the frame
//!    around the node be gone. So links, waker and token have been dealt with before.
//! 5. A list is a ring: `head` is its first node, `head.prev` its last.

#[cfg(weftwork_canary)]
use crate::canary::{self, Step};
use crate::sync::atomic::{AtomicU8, Ordering};
use crate::sync::cell::UnsafeCell;
use crate::wait::queue::Lane;
use std::ptr::NonNull;
use std::task::Waker;

/// In no list, without a token. Set by the owner.
const IDLE: u8 = 0;
/// In a list. Set by the owner under the lock; excludes that the owner touches the body without it.
const QUEUED: u8 = 1;
/// Out of the list, with a token. Set by the server; excludes that anybody but the owner touches it.
const SERVED: u8 = 2;

/// What a waiter is to its queue.
pub(super) struct Node<A, T> {
    phase: AtomicU8,
    body: UnsafeCell<Body<A, T>>,
}

pub(super) struct Body<A, T> {
    prev: Option<NonNull<Node<A, T>>>,
    next: Option<NonNull<Node<A, T>>>,
    /// When it joined: greater than that of all that joined before.
    number: u64,
    pub(super) waker: Option<Waker>,
    pub(super) token: Option<T>,
    pub(super) lane: Lane,
    pub(super) ask: A,
}

/// Where the owner finds its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Idle,
    Queued,
    Served,
}

// SAFETY: what takes the automatic impls away are the links and the cell in `body`. Invariant 2 gives
// the body one user at a time, who may be on another thread; hence `A: Send` and `T: Send`.
unsafe impl<A: Send, T: Send> Send for Node<A, T> {}
// SAFETY: as above; a shared reference alone gives access to `phase` only.
unsafe impl<A: Send, T: Send> Sync for Node<A, T> {}

impl<A, T> Node<A, T> {
    pub(super) fn new(lane: Lane, ask: A) -> Self {
        Node {
            phase: AtomicU8::new(IDLE),
            body: UnsafeCell::new(Body {
                prev: None,
                next: None,
                number: 0,
                waker: None,
                token: None,
                lane,
                ask,
            }),
        }
    }

    /// For the owner, who need not have the lock: `Queued` may be over at once, the others not.
    #[inline]
    pub(super) fn phase(&self) -> Phase {
        // Acquire: pairs with the release in `Lists::mark_served`, so that the token is seen, and
        // that the server is done with the node.
        match self.phase.load(Ordering::Acquire) {
            IDLE => Phase::Idle,
            QUEUED => Phase::Queued,
            _ => Phase::Served,
        }
    }

    /// Calls `f` with the body.
    ///
    /// # Safety
    /// The caller is the owner and the phase is not `Queued`, or the caller has the queue locked and
    /// the phase is `Queued`. `f` does not come back here.
    #[inline]
    pub(super) unsafe fn with<R>(&self, f: impl FnOnce(&mut Body<A, T>) -> R) -> R {
        // SAFETY: invariant 2 and the caller's promise: nobody else has the body.
        self.body.with_mut(|body| f(unsafe { &mut *body }))
    }

    /// Takes the token of a served node, which is idle then.
    ///
    /// # Safety
    /// The caller is the owner and the phase is `Served`.
    #[inline]
    pub(super) unsafe fn take_token(&self) -> T {
        // SAFETY: the caller is the owner and the phase is not `Queued`.
        let token = unsafe { self.with(|body| body.token.take()) };
        // Relaxed: only the owner reads it before it is queued again, under the lock.
        self.phase.store(IDLE, Ordering::Relaxed);
        token.expect("a served waiter has a token")
    }
}

/// At which end a node joins.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Front,
    Back,
}

/// The lanes of one queue, guarded by its lock.
pub(super) struct Lists<A, T> {
    heads: [Option<NonNull<Node<A, T>>>; 2],
    next_number: u64,
}

// SAFETY: what takes the automatic impl away are the pointers. The nodes are used under the queue's
// lock from any thread: hence `A: Send` and `T: Send`; a waker is.
unsafe impl<A: Send, T: Send> Send for Lists<A, T> {}

impl<A, T> Lists<A, T> {
    pub(super) const fn new() -> Self {
        Lists {
            heads: [None, None],
            next_number: 0,
        }
    }

    pub(super) fn is_empty(&self, lane: Lane) -> bool {
        self.heads[lane as usize].is_none()
    }

    /// Whether at least two nodes are in `lane`.
    pub(super) fn has_two(&self, lane: Lane) -> bool {
        self.heads[lane as usize].is_some_and(|head| {
            // SAFETY: the node is in the list: valid (3), and the caller's (2).
            unsafe { body(head, |body| body.next != Some(head)) }
        })
    }

    /// The number that the next one to join will have.
    pub(super) fn next_number(&self) -> u64 {
        self.next_number
    }

    pub(super) fn front(&self, lane: Lane) -> Option<&A> {
        let head = self.heads[lane as usize]?;
        // SAFETY: the node is in the list, so valid (3), and its body belongs to the caller (2), who
        // has borrowed the lists for as long as the answer lives.
        unsafe { head.as_ref().body.with(|body| Some(&(*body).ask)) }
    }

    /// Links `node` in.
    ///
    /// # Safety
    /// The caller is the owner, and `node` is pinned, idle, and taken out of these lists by its drop.
    pub(super) unsafe fn push(&mut self, node: NonNull<Node<A, T>>, end: End) {
        let number = self.next_number;
        self.next_number += 1;
        // SAFETY: the caller owns the idle node.
        let lane = unsafe {
            body(node, |body| {
                body.number = number;
                body.lane
            })
        };
        let head = &mut self.heads[lane as usize];
        match *head {
            // SAFETY: as above.
            None => unsafe {
                body(node, |body| {
                    body.prev = Some(node);
                    body.next = Some(node);
                });
            },
            // SAFETY: `first` and its neighbours are in the list: valid (3), and the caller's (2).
            Some(first) => unsafe {
                let last = body(first, |first| first.prev.replace(node)).expect("a ring");
                body(last, |last| last.next = Some(node));
                body(node, |body| {
                    body.prev = Some(last);
                    body.next = Some(first);
                });
            },
        }
        if head.is_none() || end == End::Front {
            *head = Some(node);
        }
        // SAFETY: the caller's node is valid. Relaxed: others read it under the lock alone.
        unsafe { node.as_ref() }
            .phase
            .store(QUEUED, Ordering::Relaxed);
    }

    /// Takes `node` out of its list and leaves it idle, without its waker.
    ///
    /// # Safety
    /// `node` is in these lists.
    pub(super) unsafe fn remove(&mut self, node: NonNull<Node<A, T>>) -> Option<Waker> {
        // SAFETY: the caller's promise.
        let waker = unsafe { self.unlink(node) };
        // SAFETY: valid (3). Relaxed: only the owner, who asked for this, reads it without the lock.
        unsafe { node.as_ref() }
            .phase
            .store(IDLE, Ordering::Relaxed);
        waker
    }

    /// Serves the first waiter of `lane`, and gives its waker; hands the token back if there is none.
    pub(super) fn serve_front(&mut self, lane: Lane, token: T) -> Result<Option<Waker>, T> {
        let Some(node) = self.heads[lane as usize] else {
            return Err(token);
        };
        // SAFETY: the node is in the list.
        Ok(unsafe { self.serve(node, token) })
    }

    /// Serves the first waiter of `lane` whose number is below `until`, and gives its waker.
    pub(super) fn serve_before(
        &mut self,
        lane: Lane,
        until: u64,
        token: impl FnOnce() -> T,
    ) -> Option<Option<Waker>> {
        let head = self.heads[lane as usize]?;
        let mut node = head;
        // One with a higher number joined later: at the end, or before all others.
        loop {
            // SAFETY: the node is in the list: valid (3), and the caller's (2).
            let (number, next) = unsafe { body(node, |body| (body.number, body.next)) };
            if number < until {
                break;
            }
            node = next.expect("a ring");
            if node == head {
                return None;
            }
        }
        // SAFETY: the node is in the list.
        Some(unsafe { self.serve(node, token()) })
    }

    /// # Safety
    /// `node` is in these lists.
    unsafe fn serve(&mut self, node: NonNull<Node<A, T>>, token: T) -> Option<Waker> {
        // Canary: the mark before the waker is out, when the frame may be gone already.
        #[cfg(weftwork_canary)]
        if canary::is(Step::Of("queue_mark_last")) {
            // SAFETY: none; the model must find that.
            unsafe {
                body(node, |body| body.token = Some(token));
                Self::mark_served(node);
                return self.unlink(node);
            }
        }
        // SAFETY: the node is in the list, so its body is the caller's until it is marked.
        unsafe {
            let waker = self.unlink(node);
            body(node, |body| body.token = Some(token));
            Self::mark_served(node);
            waker
        }
    }

    /// # Safety
    /// `node` was in these lists until now; it is not used after this (4).
    unsafe fn mark_served(node: NonNull<Node<A, T>>) {
        #[cfg(weftwork_canary)]
        if canary::is(Step::Of("queue_mark_release")) {
            // SAFETY: the caller's promise.
            unsafe { node.as_ref() }
                .phase
                .store(SERVED, Ordering::Relaxed);
            return;
        }
        // SAFETY: valid up to here: the owner, who would drop it, needs the lock until it sees this.
        // Release: pairs with the Acquire in `Node::phase`.
        unsafe { node.as_ref() }
            .phase
            .store(SERVED, Ordering::Release);
    }

    /// # Safety
    /// `node` is in these lists.
    unsafe fn unlink(&mut self, node: NonNull<Node<A, T>>) -> Option<Waker> {
        // SAFETY: the node and its neighbours are in the list: valid (3), and the caller's (2).
        let (prev, next, lane, waker) = unsafe {
            body(node, |body| {
                let prev = body.prev.take().expect("a ring");
                let next = body.next.take().expect("a ring");
                (prev, next, body.lane, body.waker.take())
            })
        };
        let head = &mut self.heads[lane as usize];
        if next == node {
            *head = None;
            return waker;
        }
        // SAFETY: as above; they may be one and the same node, and so come one after the other.
        unsafe {
            body(prev, |prev| prev.next = Some(next));
            body(next, |next| next.prev = Some(prev));
        }
        if *head == Some(node) {
            *head = Some(next);
        }
        waker
    }
}

/// # Safety
/// As [`Node::with`]; the node is valid.
#[inline]
unsafe fn body<A, T, R>(node: NonNull<Node<A, T>>, f: impl FnOnce(&mut Body<A, T>) -> R) -> R {
    // SAFETY: the caller's promise.
    unsafe { node.as_ref().with(f) }
}
