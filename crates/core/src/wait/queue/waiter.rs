//! The owner's side of a waiter: joining, looking for the token, leaving.

use super::list::{Node, Phase};
use super::{Lane, Line, Locked, WaitQueue};
#[cfg(weftwork_canary)]
use crate::canary::{self, Step};
use std::any::Any;
use std::fmt;
use std::marker::{PhantomData, PhantomPinned};
use std::pin::Pin;
use std::ptr::NonNull;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// A place in a [`WaitQueue`], pinned in the frame or the future that waits.
///
/// It is idle, or in the queue, or served with a token. Dropping it leaves the queue; a token that it
/// was given and did not take goes to [`Line::returned`].
///
/// It may wait again after it took its token.
///
/// ```
/// use std::pin::pin;
/// use std::task::{Context, Poll, Waker};
/// use weftwork_core::wait::queue::{Lane, Line, Locked, WaitQueue, Waiter};
///
/// /// Permits that are free.
/// struct Permits(u32);
///
/// impl Line for Permits {
///     type Shared = ();
///     type Ask = ();
///     type Token = ();
///     fn left(_: &mut Locked<'_, Self>, _: Lane) {}
///     fn returned(permits: &mut Locked<'_, Self>, (): ()) {
///         if permits.notify(Lane::First, ()).is_err() {
///             permits.0 += 1;
///         }
///     }
/// }
///
/// let queue = WaitQueue::new(Permits(0));
/// let mut context = Context::from_waker(Waker::noop());
/// let mut waiter = pin!(Waiter::new(&queue, ()));
/// let take = |permits: &mut Locked<'_, Permits>| {
///     permits.0 = permits.0.checked_sub(1)?;
///     Some(())
/// };
/// assert!(waiter.as_mut().poll_or(&mut context, take).is_pending());
/// queue.lock().notify(Lane::First, ()).unwrap();
/// assert_eq!(waiter.poll(&mut context), Poll::Ready(()));
/// ```
pub struct Waiter<'q, S: Line> {
    node: Node<S::Ask, S::Token>,
    /// Valid for as long as this lives: borrowed for `'q`, or kept by `keep`.
    queue: NonNull<WaitQueue<S>>,
    /// What the queue is a part of, if it is not borrowed.
    keep: Option<Arc<dyn Any + Send + Sync>>,
    borrow: PhantomData<&'q WaitQueue<S>>,
    /// The queue's lists point to the node.
    _pin: PhantomPinned,
}

// SAFETY: what takes the automatic impl away is the pointer, which is used as a shared reference to
// the queue; that is `Sync` if its state is `Send` and what is beside the lock is `Sync`, as `Line` wants.
unsafe impl<S: Line + Send> Send for Waiter<'_, S> {}
// SAFETY: as above.
unsafe impl<S: Line + Send> Sync for Waiter<'_, S> {}

impl<'q, S: Line> Waiter<'q, S> {
    /// Makes a waiter for the first lane of `queue`.
    pub fn new(queue: &'q WaitQueue<S>, ask: S::Ask) -> Self {
        Waiter::in_lane(queue, Lane::First, ask)
    }

    /// Makes a waiter for `lane` of `queue`.
    pub fn in_lane(queue: &'q WaitQueue<S>, lane: Lane, ask: S::Ask) -> Self {
        Waiter {
            node: Node::new(lane, ask),
            queue: NonNull::from(queue),
            keep: None,
            borrow: PhantomData,
            _pin: PhantomPinned,
        }
    }
}

impl<S: Line + 'static> Waiter<'static, S> {
    /// Makes a waiter for the queue that is a part of `owner`, which it keeps alive.
    pub fn owned<O: Any + Send + Sync>(
        owner: Arc<O>,
        queue: fn(&O) -> &WaitQueue<S>,
        lane: Lane,
        ask: S::Ask,
    ) -> Self {
        Waiter {
            node: Node::new(lane, ask),
            // A reference that was got from one to the owner, for any lifetime, is valid for as long
            // as the owner is shared; and shared it is while `keep` counts.
            queue: NonNull::from(queue(&owner)),
            keep: Some(owner),
            borrow: PhantomData,
            _pin: PhantomPinned,
        }
    }
}

impl<S: Line> Waiter<'_, S> {
    /// Whether this is a waiter of `queue`.
    pub fn is_of(&self, queue: &WaitQueue<S>) -> bool {
        std::ptr::eq(self.queue.as_ptr(), queue)
    }

    /// Whether it is in its queue or holds a token.
    pub fn is_busy(&self) -> bool {
        self.node.phase() != Phase::Idle
    }

    /// Whether it has been served and did not take its token yet. Does not lock.
    pub fn is_served(&self) -> bool {
        self.node.phase() == Phase::Served
    }

    /// Takes the token if the waiter has been served. Does not lock.
    #[inline]
    pub fn take(self: Pin<&mut Self>) -> Option<S::Token> {
        match self.node.phase() {
            // SAFETY: the caller has the pinned waiter to itself: it is the owner.
            Phase::Served => Some(unsafe { self.node.take_token() }),
            _ => None,
        }
    }

    /// Says whom to wake; before [`Locked::push_back`], and while the queue is not locked: the waker
    /// is cloned here. Does nothing to a waiter that is busy.
    pub fn set_waker(self: Pin<&mut Self>, waker: &Waker) {
        if self.is_busy() {
            return;
        }
        // SAFETY: the caller is the owner, the node is idle.
        let same = unsafe { self.node.with(|body| is(body.waker.as_ref(), waker)) };
        if !same {
            let waker = waker.clone();
            // SAFETY: as above.
            drop(unsafe { self.node.with(|body| body.waker.replace(waker)) });
        }
    }

    /// Waits: `Ready` with the token once the waiter has been served.
    ///
    /// An idle waiter locks the queue and asks `attempt`, which may take what is there, or joins
    /// behind the others. A waiter that is in the queue stays in its place and is woken by the waker
    /// of the last poll; `attempt` is not asked again.
    #[inline]
    pub fn poll_or(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        attempt: impl FnOnce(&mut Locked<'_, S>) -> Option<S::Token>,
    ) -> Poll<S::Token> {
        if self.is_busy() {
            return self.poll(context);
        }
        self.as_mut().set_waker(context.waker());
        // SAFETY: valid for as long as the waiter lives, which is longer than this call.
        let queue = unsafe { self.queue.as_ref() };
        let mut locked = queue.lock();
        if let Some(token) = attempt(&mut locked) {
            return Poll::Ready(token);
        }
        locked.push_back(self);
        Poll::Pending
    }

    /// Looks for the token: `Ready` if there is one. Otherwise the waiter will be woken by the
    /// context's waker.
    ///
    /// # Panics
    /// The waiter has not joined its queue.
    pub fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<S::Token> {
        if let Some(token) = self.as_mut().take() {
            return Poll::Ready(token);
        }
        assert!(self.is_busy(), "a waiter was polled that has not joined");
        // Twice at most: to see whose waker it is, and to change it. Cloned in between, unlocked.
        let mut new = None;
        loop {
            // SAFETY: as in `poll_or`.
            let queue = unsafe { self.queue.as_ref() };
            // Dropped after the queue was unlocked: see the order of the declarations.
            let old;
            let locked = queue.lock();
            // Looked at again, now that it cannot change.
            if !self.is_queued_under_lock() {
                drop(locked);
                return Poll::Ready(self.take().expect("served"));
            }
            // SAFETY: the queue is locked and the node is in it.
            let same = unsafe {
                self.node
                    .with(|body| is(body.waker.as_ref(), context.waker()))
            };
            if same {
                return Poll::Pending;
            }
            if let Some(waker) = new {
                // SAFETY: as above.
                old = unsafe { self.node.with(|body| body.waker.replace(waker)) };
                drop(locked);
                drop(old);
                return Poll::Pending;
            }
            drop(locked);
            new = Some(context.waker().clone());
        }
    }

    fn is_queued_under_lock(&self) -> bool {
        // Canary: the look from before the lock is taken for true.
        #[cfg(weftwork_canary)]
        if canary::is(Step::Of("queue_look_again")) {
            return true;
        }
        self.node.phase() == Phase::Queued
    }

    /// Leaves the queue, and gives the token if the waiter was served before it could.
    ///
    /// Without a token, [`Line::left`] has heard of it.
    pub fn leave(self: Pin<&mut Self>) -> Option<S::Token> {
        if self.node.phase() == Phase::Queued {
            self.unqueue();
        }
        self.take()
    }

    /// Takes the node out of the lists if it is there; the caller is the owner.
    fn unqueue(&self) {
        // SAFETY: as in `poll_or`.
        let queue = unsafe { self.queue.as_ref() };
        let mut locked = queue.lock();
        if !self.is_queued_under_lock() {
            return;
        }
        // SAFETY: the queue is locked and the node is in its lists.
        let (waker, lane) = unsafe {
            let lane = self.node.with(|body| body.lane);
            (locked.inner().lists.remove(self.node()), lane)
        };
        S::left(&mut locked, lane);
        drop(locked);
        drop(waker);
    }

    pub(super) fn node(&self) -> NonNull<Node<S::Ask, S::Token>> {
        NonNull::from(&self.node)
    }
}

fn is(old: Option<&Waker>, new: &Waker) -> bool {
    old.is_some_and(|old| old.will_wake(new))
}

impl<S: Line> Drop for Waiter<'_, S> {
    fn drop(&mut self) {
        // A model that failed has ended: what this did now would be steps of it.
        if cfg!(weftwork_loom) && std::thread::panicking() {
            return;
        }
        // Nothing is moved: the node is pinned until it is out of the lists.
        if self.node.phase() == Phase::Queued {
            self.unqueue();
        }
        if self.node.phase() == Phase::Served {
            // Canary: the token is dropped with its waiter.
            #[cfg(weftwork_canary)]
            if canary::is(Step::Of("queue_pass_on")) {
                return;
            }
            // SAFETY: the caller is the owner.
            let token = unsafe { self.node.take_token() };
            // SAFETY: as in `poll_or`.
            let queue = unsafe { self.queue.as_ref() };
            S::returned(&mut queue.lock(), token);
        }
    }
}

impl<S: Line> fmt::Debug for Waiter<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiter")
            .field("phase", &self.node.phase())
            .field("keeps_owner", &self.keep.is_some())
            .finish_non_exhaustive()
    }
}
