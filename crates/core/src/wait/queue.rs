//! A queue of waiters that live in what waits: the base of every lock, semaphore and notification.
//!
//! A [`WaitQueue`] is a small lock over some state and two first-in-first-out lanes of [`Waiter`]s. A
//! waiter is a part of the frame or the future that waits, so waiting allocates nothing; it leaves
//! its queue when it is dropped. Whoever has the queue [locked](WaitQueue::lock) serves a waiter by
//! handing it a token: the permit, the lock, the news. The state is a [`Line`], which says what
//! becomes of a token whose waiter was dropped before it looked, so that none is lost.
//!
//! Invariants
//! 1. A waiter is in at most one lane of one queue, the queue it was made for.
//! 2. Wakers are cloned, called and dropped while no queue is locked by the calling code.
//! 3. A token is taken by the waiter it was given to, or goes to [`Line::returned`]: exactly one.
//!
//! The protocol, and why no wake and no token is lost: `docs/design/wait-queue.md`.

mod batch;
mod list;
mod waiter;

pub use waiter::Waiter;

use crate::sync::{Mutex, MutexGuard};
use batch::Batch;
use list::Lists;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;

/// One of the two lanes of a queue; first come, first served within each.
///
/// A queue whose waiters all want the same uses the first alone. A lock for readers and writers puts
/// the writers into the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Lane {
    /// The first lane.
    #[default]
    First,
    /// The second lane.
    Second,
}

/// The state beside the waiters, and what becomes of a waiter that leaves.
///
/// Both methods run while the queue is locked and may serve other waiters; they must not wait, nor
/// run code of the user's.
pub trait Line: Sized {
    /// What is beside the lock and is used without it, such as an atomic word; `()` for nothing.
    type Shared: Sync;
    /// What a waiter says about itself when it joins, such as how much it wants.
    type Ask: Send;
    /// What a served waiter is given.
    type Token: Send;

    /// Hears that a waiter left its lane before it was served: those behind it may be served now.
    fn left(queue: &mut Locked<'_, Self>, lane: Lane);

    /// Takes back the token of a waiter that was served and dropped before it took it. Usually the
    /// next one in line gets it.
    fn returned(queue: &mut Locked<'_, Self>, token: Self::Token);
}

/// A lock over `S` and the waiters for something that `S` knows of.
///
/// ```
/// use std::pin::pin;
/// use weftwork_core::wait::queue::{Lane, Line, Locked, WaitQueue, Waiter};
/// use weftwork_core::wait::{Reason, wait};
///
/// /// Whether the gate is open.
/// struct Open(bool);
///
/// impl Line for Open {
///     type Shared = ();
///     type Ask = ();
///     type Token = ();
///     fn left(_: &mut Locked<'_, Self>, _: Lane) {}
///     fn returned(_: &mut Locked<'_, Self>, (): ()) {} // The gate stays open for all.
/// }
///
/// static GATE: WaitQueue<Open> = WaitQueue::new(Open(false));
///
/// let guest = std::thread::spawn(|| {
///     let mut waiter = pin!(Waiter::new(&GATE, ()));
///     wait(Reason::new("gate"), |context| {
///         waiter.as_mut().poll_or(context, |gate| gate.0.then_some(()))
///     });
/// });
/// let mut gate = GATE.lock();
/// gate.0 = true;
/// gate.notify_all(Lane::First, || ());
/// drop(gate); // The guests are woken here.
/// guest.join().unwrap();
/// ```
pub struct WaitQueue<S: Line> {
    shared: S::Shared,
    inner: Mutex<Inner<S>>,
}

struct Inner<S: Line> {
    lists: Lists<S::Ask, S::Token>,
    state: S,
}

impl<S: Line<Shared = ()>> WaitQueue<S> {
    /// Makes a queue that nobody waits in.
    #[cfg(not(weftwork_loom))]
    pub const fn new(state: S) -> Self {
        WaitQueue::with_shared((), state)
    }

    /// Makes a queue that nobody waits in.
    #[cfg(weftwork_loom)]
    pub fn new(state: S) -> Self {
        WaitQueue::with_shared((), state)
    }
}

impl<S: Line> WaitQueue<S> {
    /// Makes a queue that nobody waits in, with something beside its lock.
    #[cfg(not(weftwork_loom))]
    pub const fn with_shared(shared: S::Shared, state: S) -> Self {
        WaitQueue {
            shared,
            inner: Mutex::new(Inner {
                lists: Lists::new(),
                state,
            }),
        }
    }

    /// Makes a queue that nobody waits in, with something beside its lock.
    #[cfg(weftwork_loom)]
    pub fn with_shared(shared: S::Shared, state: S) -> Self {
        WaitQueue {
            shared,
            inner: Mutex::new(Inner {
                lists: Lists::new(),
                state,
            }),
        }
    }

    /// What is beside the lock.
    #[inline]
    pub fn shared(&self) -> &S::Shared {
        &self.shared
    }

    /// Locks the queue. What is done under the lock must be short and must not wait.
    #[inline]
    pub fn lock(&self) -> Locked<'_, S> {
        Locked {
            inner: Some(self.inner.lock()),
            wakers: Batch::new(),
            queue: self,
        }
    }
}

// No code of the user's runs under the lock, so no panic of theirs leaves the state half changed.
impl<S: Line> RefUnwindSafe for WaitQueue<S> {}
impl<S: Line> UnwindSafe for WaitQueue<S> {}

impl<S: Line> fmt::Debug for WaitQueue<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitQueue").finish_non_exhaustive()
    }
}

impl<S: Line<Shared = ()> + Default> Default for WaitQueue<S> {
    fn default() -> Self {
        WaitQueue::new(S::default())
    }
}

/// A locked queue: access to its state, and the right to serve its waiters.
///
/// The wakers of those that were served are called when this is dropped, after the queue has been
/// unlocked. Where one of them panics, the others are called nevertheless.
///
/// ```
/// use weftwork_core::wait::queue::{Lane, Line, Locked, WaitQueue};
///
/// struct Total(u32);
///
/// impl Line for Total {
///     type Shared = ();
///     type Ask = ();
///     type Token = u32;
///     fn left(_: &mut Locked<'_, Self>, _: Lane) {}
///     fn returned(total: &mut Locked<'_, Self>, token: u32) {
///         total.0 += token;
///     }
/// }
///
/// let queue = WaitQueue::new(Total(1));
/// let mut locked = queue.lock();
/// locked.0 += 1;
/// assert!(locked.is_empty(Lane::First));
/// // Nobody waits: the token is handed back.
/// assert_eq!(locked.notify(Lane::First, 7), Err(7));
/// ```
pub struct Locked<'q, S: Line> {
    /// `None` only inside `breathe` and `drop`.
    inner: Option<MutexGuard<'q, Inner<S>>>,
    wakers: Batch,
    queue: &'q WaitQueue<S>,
}

impl<'q, S: Line> Locked<'q, S> {
    /// What is beside the lock.
    #[must_use]
    pub fn shared(&self) -> &'q S::Shared {
        &self.queue.shared
    }

    /// Puts `waiter` behind all others of its lane. Its waker must have been set: see
    /// [`Waiter::set_waker`].
    ///
    /// # Panics
    /// The waiter is in a queue already, was made for another one, or holds a token.
    pub fn push_back(&mut self, waiter: Pin<&mut Waiter<'_, S>>) {
        self.check(&waiter);
        // SAFETY: the waiter is pinned, idle and of this queue, as was checked; its drop takes it
        // out of this queue's lists.
        unsafe { self.inner().lists.push(waiter.node(), list::End::Back) }
    }

    /// Puts `waiter` before all others of its lane: for one that was served before its time.
    ///
    /// # Panics
    /// As [`push_back`](Self::push_back).
    pub fn push_front(&mut self, waiter: Pin<&mut Waiter<'_, S>>) {
        self.check(&waiter);
        // SAFETY: as in `push_back`.
        unsafe { self.inner().lists.push(waiter.node(), list::End::Front) }
    }

    fn check(&self, waiter: &Waiter<'_, S>) {
        assert!(
            waiter.is_of(self.queue),
            "a waiter joined a queue that it was not made for"
        );
        assert!(!waiter.is_busy(), "a waiter joined a queue twice");
    }

    /// Whether nobody waits in `lane`.
    #[must_use]
    pub fn is_empty(&self, lane: Lane) -> bool {
        self.get().lists.is_empty(lane)
    }

    /// Whether at least two wait in `lane`: somebody is left when one has been served.
    #[must_use]
    pub fn has_two(&self, lane: Lane) -> bool {
        self.get().lists.has_two(lane)
    }

    /// What the first waiter of `lane` asks for.
    #[must_use]
    pub fn front(&self, lane: Lane) -> Option<&S::Ask> {
        self.get().lists.front(lane)
    }

    /// Serves the first waiter of `lane`: takes it out, gives it `token`, and calls its waker once
    /// the queue is unlocked.
    ///
    /// # Errors
    /// Nobody waits in `lane`: the token is handed back.
    pub fn notify(&mut self, lane: Lane, token: S::Token) -> Result<(), S::Token> {
        let waker = self.inner().lists.serve_front(lane, token)?;
        self.wakers.push(waker);
        Ok(())
    }

    /// Serves all that wait in `lane` now. Those that join meanwhile are not touched: after every few
    /// waiters the queue is unlocked while their wakers are called, and so the state may change.
    pub fn notify_all(&mut self, lane: Lane, mut token: impl FnMut() -> S::Token) {
        let until = self.get().lists.next_number();
        while let Some(waker) = self.inner().lists.serve_before(lane, until, &mut token) {
            self.wakers.push(waker);
            if self.wakers.is_full() {
                self.breathe();
            }
        }
    }

    /// Whether as many wakers are to be called as fit without an allocation. Whoever serves many
    /// waiters in a loop then calls [`breathe`](Self::breathe).
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.wakers.is_full()
    }

    /// Unlocks the queue, calls the wakers of those that were served, and locks it again. The state
    /// may have changed meanwhile.
    pub fn breathe(&mut self) {
        self.inner = None;
        self.wakers.wake();
        self.inner = Some(self.queue.inner.lock());
    }

    fn get(&self) -> &Inner<S> {
        self.inner.as_ref().expect("locked outside of `breathe`")
    }

    fn inner(&mut self) -> &mut Inner<S> {
        self.inner.as_mut().expect("locked outside of `breathe`")
    }
}

impl<S: Line> Drop for Locked<'_, S> {
    #[inline]
    fn drop(&mut self) {
        self.inner = None;
        self.wakers.wake();
    }
}

impl<S: Line> Deref for Locked<'_, S> {
    type Target = S;
    fn deref(&self) -> &S {
        &self.get().state
    }
}

impl<S: Line> DerefMut for Locked<'_, S> {
    fn deref_mut(&mut self) -> &mut S {
        &mut self.inner().state
    }
}

impl<S: Line> fmt::Debug for Locked<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Locked").finish_non_exhaustive()
    }
}
