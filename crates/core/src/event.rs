//! What a `select` can wait for, besides its own channels.
//!
//! An event is a future with one more promise: it commits only in the poll that returns `Ready`.
//! So a select polls the events of its arms one after the other, takes the first that is ready, and
//! drops or keeps the others: nothing of theirs has happened. This is the waiting half of the events
//! of Concurrent ML (Reppy 1991); the choice between them is the select's.

use crate::task::JoinHandle;
use std::ops::DerefMut;
use std::pin::Pin;

/// A future that may be dropped before it is ready without anything being lost.
///
/// Implement it for the futures of waiting operations, to make them arms of `select!`.
///
/// The contract, beside that of [`Future`]:
/// 1. Nothing is taken, sent or counted before the poll that returns `Ready`. What another party may
///    have set aside for this future until then (a permit, a hand-over) goes on to the next one in
///    line when the future is dropped.
/// 2. A poll does not wait, and neither does the drop.
/// 3. It may be polled at any time, whether it was woken or not, and under another waker than before.
///
/// ```
/// use std::pin::Pin;
/// use std::task::{Context, Poll};
/// use weftwork_core::Event;
///
/// /// Happens at once.
/// struct Now;
///
/// impl Future for Now {
///     type Output = ();
///     fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
///         Poll::Ready(())
///     }
/// }
///
/// impl Event for Now {}
///
/// fn wait_for<E: Event>(event: E) -> E::Output {
///     weftwork_core::block_on(event)
/// }
/// wait_for(Now);
/// ```
#[must_use = "an event does nothing unless it is waited for"]
pub trait Event: Future {}

impl<E: Event + Unpin + ?Sized> Event for &mut E {}

impl<E: Event + Unpin + ?Sized> Event for Box<E> {}

impl<P: DerefMut<Target: Event>> Event for Pin<P> {}

/// The end of the task. Dropping the handle lets the task run on unobserved; wait for `&mut handle`
/// to keep it.
impl<T> Event for JoinHandle<T> {}
