//! The value of a watch channel, its version, and what is waited for.
//!
//! Invariants
//! 1. Each change puts another `Arc` in place and raises the version. What an `Arc` points to never
//!    changes, so a snapshot stays what it was.
//! 2. A receiver waits for a change only while it has seen the version that is there; each change, and
//!    the end of the last sender, tells all that wait. A sender waits for the end of the last receiver.
//! 3. What a change displaces is dropped after the queue was unlocked.

use super::{Receiver, Sender};
use crate::attempt::{News, Operation};
use crate::error::RecvError;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
#[cfg(weftwork_canary)]
use weftwork_core::canary::{self, Step};
use weftwork_core::sync::Arc as ChannelArc;
use weftwork_core::wait::queue::{Lane, Line, Locked, WaitQueue};

/// Where receivers wait for a change.
pub(super) const RECEIVERS: Lane = Lane::First;
/// Where senders wait for the end of the receivers.
pub(super) const SENDERS: Lane = Lane::Second;

pub(super) struct Value<T> {
    value: Arc<T>,
    version: u64,
    senders: usize,
    receivers: usize,
}

pub(super) type Queue<T> = WaitQueue<Value<T>>;

impl<T> Line for Value<T> {
    type Shared = ();
    type Ask = ();
    type Token = News;

    fn left(_: &mut Locked<'_, Self>, _: Lane) {}

    // All that wait are told of everything: nobody is told in the place of another.
    fn returned(_: &mut Locked<'_, Self>, _: News) {}
}

/// A snapshot of the value of a watch channel. Keeps nobody from changing it.
///
/// ```
/// let (sender, receiver) = weftwork_csp::watch::channel(1);
/// let before = receiver.borrow();
/// sender.send(2).unwrap();
/// assert_eq!((*before, *receiver.borrow()), (1, 2));
/// ```
pub struct Ref<T>(Arc<T>);

impl<T> Ref<T> {
    /// Gives the snapshot as an [`Arc`].
    ///
    /// ```
    /// use weftwork_csp::watch::{self, Ref};
    ///
    /// let (_sender, receiver) = watch::channel(1);
    /// assert_eq!(*Ref::into_arc(receiver.borrow()), 1);
    /// ```
    #[must_use]
    pub fn into_arc(this: Ref<T>) -> Arc<T> {
        this.0
    }
}

impl<T> Deref for Ref<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> Clone for Ref<T> {
    fn clone(&self) -> Self {
        Ref(Arc::clone(&self.0))
    }
}

impl<T: fmt::Debug> fmt::Debug for Ref<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

pub(super) fn channel<T>(value: T) -> (Sender<T>, Receiver<T>) {
    let queue = ChannelArc::new(WaitQueue::new(Value {
        value: Arc::new(value),
        version: 0,
        senders: 1,
        receivers: 1,
    }));
    let sender = Sender {
        queue: ChannelArc::clone(&queue),
    };
    (sender, Receiver { queue, seen: 0 })
}

/// Takes a snapshot; gives its version, too.
pub(super) fn snapshot<T>(queue: &Queue<T>) -> (Ref<T>, u64) {
    let state = queue.lock();
    (Ref(Arc::clone(&state.value)), state.version)
}

/// Puts another value in place and tells all that wait. Gives the one before.
fn replace<T>(state: &mut Locked<'_, Value<T>>, value: Arc<T>) -> Arc<T> {
    let before = std::mem::replace(&mut state.value, value);
    state.version += 1;
    state.notify_all(RECEIVERS, || News::Look);
    before
}

/// Changes the value if a receiver will see it.
pub(super) fn send<T>(queue: &Queue<T>, value: T) -> Result<(), T> {
    let value = Arc::new(value);
    let mut state = queue.lock();
    if state.receivers == 0 {
        drop(state);
        return Err(Arc::into_inner(value).expect("nobody else has seen the value"));
    }
    let before = replace(&mut state, value);
    drop(state);
    drop(before);
    Ok(())
}

/// Changes the value. Gives the one before.
pub(super) fn send_replace<T>(queue: &Queue<T>, value: T) -> Ref<T> {
    let value = Arc::new(value);
    let mut state = queue.lock();
    let before = replace(&mut state, value);
    drop(state);
    Ref(before)
}

/// Changes the value to `value` if it is still the one of `version`.
pub(super) fn send_if_same<T>(queue: &Queue<T>, version: u64, value: T) -> bool {
    let value = Arc::new(value);
    let mut state = queue.lock();
    // Canary: what another sender has put in place meanwhile is overwritten.
    #[cfg(weftwork_canary)]
    let version = match canary::is(Step::Of("watch_same_version")) {
        true => state.version,
        false => version,
    };
    if state.version != version {
        return false;
    }
    let before = replace(&mut state, value);
    drop(state);
    drop(before);
    true
}

/// How many receivers there are.
pub(super) fn receivers<T>(queue: &Queue<T>) -> usize {
    queue.lock().receivers
}

/// Whether a receiver that has seen version `seen` has something to see.
pub(super) fn has_changed<T>(queue: &Queue<T>, seen: u64) -> Result<bool, RecvError> {
    let state = queue.lock();
    if state.version == seen && state.senders == 0 {
        return Err(RecvError);
    }
    Ok(state.version != seen)
}

pub(super) fn add_sender<T>(queue: &Queue<T>) {
    queue.lock().senders += 1;
}

pub(super) fn remove_sender<T>(queue: &Queue<T>) {
    let mut state = queue.lock();
    state.senders -= 1;
    if state.senders == 0 {
        state.notify_all(RECEIVERS, || News::Look);
    }
}

/// Counts one more receiver; gives the version it has seen.
pub(super) fn add_receiver<T>(queue: &Queue<T>) -> u64 {
    let mut state = queue.lock();
    state.receivers += 1;
    state.version
}

pub(super) fn remove_receiver<T>(queue: &Queue<T>) {
    let mut state = queue.lock();
    state.receivers -= 1;
    if state.receivers == 0 {
        state.notify_all(SENDERS, || News::Look);
    }
}

/// Waits for a version other than the one seen, and sees it.
pub(super) struct Changed<'a>(pub(super) &'a mut u64);

impl<T> Operation<Value<T>> for Changed<'_> {
    type Found = Result<(), RecvError>;
    type Output = Result<(), RecvError>;

    fn attempt(&mut self, state: &mut Locked<'_, Value<T>>, _: bool) -> Option<Self::Found> {
        if *self.0 != state.version {
            *self.0 = state.version;
            return Some(Ok(()));
        }
        (state.senders == 0).then_some(Err(RecvError))
    }

    fn finish(&mut self, found: Self::Found) -> Option<Self::Output> {
        Some(found)
    }
}

/// Waits for a value that is as wanted, and sees it.
pub(super) struct WaitFor<'a, F> {
    seen: &'a mut u64,
    /// The version that was asked about last.
    asked: Option<u64>,
    wanted: F,
}

impl<'a, F> WaitFor<'a, F> {
    pub(super) fn new(seen: &'a mut u64, wanted: F) -> Self {
        WaitFor {
            seen,
            asked: None,
            wanted,
        }
    }
}

impl<T, F: FnMut(&T) -> bool> Operation<Value<T>> for WaitFor<'_, F> {
    type Found = Result<(Ref<T>, u64), RecvError>;
    type Output = Result<Ref<T>, RecvError>;

    fn attempt(&mut self, state: &mut Locked<'_, Value<T>>, _: bool) -> Option<Self::Found> {
        if self.asked != Some(state.version) {
            return Some(Ok((Ref(Arc::clone(&state.value)), state.version)));
        }
        (state.senders == 0).then_some(Err(RecvError))
    }

    fn finish(&mut self, found: Self::Found) -> Option<Self::Output> {
        let (value, version) = match found {
            Ok(found) => found,
            Err(error) => return Some(Err(error)),
        };
        self.asked = Some(version);
        *self.seen = version;
        (self.wanted)(&value).then_some(Ok(value))
    }
}

/// Waits for the end of the last receiver.
pub(super) struct NoReceiver;

impl<T> Operation<Value<T>> for NoReceiver {
    type Found = ();
    type Output = ();

    fn attempt(&mut self, state: &mut Locked<'_, Value<T>>, _: bool) -> Option<()> {
        (state.receivers == 0).then_some(())
    }

    fn finish(&mut self, (): ()) -> Option<()> {
        Some(())
    }
}
