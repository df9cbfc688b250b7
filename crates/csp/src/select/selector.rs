//! A select over a list of operations that is made at run time.

use super::event::EventArm;
use super::future::SelectFuture;
use super::handle::Handle;
use super::machine::{self, ready_one};
use super::observer::ready_until;
use super::operation::SelectedOperation;
use super::order::shuffle;
use crate::error::{ReadyTimeoutError, SelectTimeoutError, TryReadyError, TrySelectError};
use crate::{Receiver, Sender};
use std::fmt;
use std::pin::Pin;
use std::time::{Duration, Instant};
use weftwork_core::Event;
use weftwork_core::wait::deadline_after;

/// Waits for one of a list of operations.
///
/// The list is made of senders, receivers and events; the select chooses one that is ready, and that is
/// then completed with its handle. If several are ready, each is as likely to be chosen. Where the arms
/// are known when the program is written, `select!` is less work.
///
/// ```
/// use weftwork_csp::{Select, unbounded};
///
/// let channels: Vec<_> = (0..3).map(|_| unbounded()).collect();
/// channels[1].0.send("hello").unwrap();
///
/// let mut select = Select::new();
/// for (_, r) in &channels {
///     select.recv(r);
/// }
/// let operation = select.select();
/// let index = operation.index();
/// assert_eq!(index, 1);
/// assert_eq!(operation.recv(&channels[index].1), Ok("hello"));
/// ```
pub struct Select<'a> {
    handles: Vec<Handle<'a>>,
    next_index: usize,
    biased: bool,
}

// SAFETY: the handles are behind trait objects, which say nothing of threads. What a select does to a
// channel from another thread is to move a message from there into a packet, or back; a message gets to
// that thread's code only by its handle, which is only there if it is `Sync`. Events are.
unsafe impl Send for Select<'_> {}
// SAFETY: as above.
unsafe impl Sync for Select<'_> {}

impl<'a> Select<'a> {
    /// Makes an empty list, whose ready operations are equally likely to be chosen.
    #[must_use]
    pub fn new() -> Self {
        Select {
            handles: Vec::with_capacity(4),
            next_index: 0,
            biased: false,
        }
    }

    /// Makes an empty list, of whose ready operations the one added first is chosen.
    #[must_use]
    pub fn new_biased() -> Self {
        Select {
            biased: true,
            ..Select::new()
        }
    }

    fn add(&mut self, handle: &'a dyn super::handle::SelectHandle) -> usize {
        let index = self.next_index;
        self.next_index += 1;
        self.handles.push((handle, index));
        index
    }

    /// Adds a send and returns its number.
    pub fn send<T>(&mut self, s: &'a Sender<T>) -> usize {
        self.add(s)
    }

    /// Adds a receive and returns its number.
    pub fn recv<T>(&mut self, r: &'a Receiver<T>) -> usize {
        self.add(r)
    }

    /// Adds an event and returns its number.
    pub fn event<E>(&mut self, event: Pin<&'a EventArm<E>>) -> usize
    where
        E: Event + Send,
        E::Output: Send,
    {
        self.add(event.handle())
    }

    /// Removes an operation, for example because its channel is disconnected. Numbers are not reused.
    ///
    /// # Panics
    /// If there is none with that number.
    pub fn remove(&mut self, index: usize) {
        assert!(
            index < self.next_index,
            "index out of bounds; {index} >= {}",
            self.next_index,
        );
        let at = self
            .handles
            .iter()
            .position(|(_, number)| *number == index)
            .expect("no operation with this index");
        // The order counts where it decides.
        self.handles.remove(at);
    }

    /// Chooses an operation that is ready.
    ///
    /// # Errors
    /// None is.
    pub fn try_select(&mut self) -> Result<SelectedOperation<'a>, TrySelectError> {
        machine::try_select(&mut self.handles, self.biased)
    }

    /// Waits until an operation is ready, and chooses it.
    ///
    /// # Panics
    /// If the list is empty.
    #[track_caller]
    pub fn select(&mut self) -> SelectedOperation<'a> {
        machine::select(&mut self.handles, self.biased)
    }

    /// Waits until an operation is ready, at most for `timeout`.
    ///
    /// # Errors
    /// The time is over.
    #[track_caller]
    pub fn select_timeout(
        &mut self,
        timeout: Duration,
    ) -> Result<SelectedOperation<'a>, SelectTimeoutError> {
        machine::select_timeout(&mut self.handles, timeout, self.biased)
    }

    /// Waits until an operation is ready, at most until `deadline`.
    ///
    /// # Errors
    /// The time is over.
    #[track_caller]
    pub fn select_deadline(
        &mut self,
        deadline: Instant,
    ) -> Result<SelectedOperation<'a>, SelectTimeoutError> {
        machine::select_deadline(&mut self.handles, deadline, self.biased)
    }

    /// Waits until an operation is ready, as a future under any executor.
    ///
    /// # Panics
    /// If the list is empty.
    pub fn select_async(&mut self) -> SelectFuture<'_, 'a> {
        assert!(
            !self.handles.is_empty(),
            "no operations have been added to `Select`"
        );
        if !self.biased {
            shuffle(&mut self.handles);
        }
        SelectFuture::new(&self.handles)
    }

    /// Finds an operation that is ready, without choosing it.
    ///
    /// # Errors
    /// None is.
    pub fn try_ready(&mut self) -> Result<usize, TryReadyError> {
        self.mix();
        ready_one(&self.handles).ok_or(TryReadyError)
    }

    /// Waits until an operation is ready, without choosing it. Others may be quicker to do it: use the
    /// `try_` form afterwards.
    ///
    /// # Panics
    /// If the list is empty.
    #[track_caller]
    pub fn ready(&mut self) -> usize {
        assert!(
            !self.handles.is_empty(),
            "no operations have been added to `Select`"
        );
        self.mix();
        ready_until(&self.handles, None).expect("a wait without deadline timed out")
    }

    /// As [`ready`](Self::ready), at most for `timeout`.
    ///
    /// # Errors
    /// The time is over.
    #[track_caller]
    pub fn ready_timeout(&mut self, timeout: Duration) -> Result<usize, ReadyTimeoutError> {
        self.mix();
        ready_until(&self.handles, deadline_after(timeout)).ok_or(ReadyTimeoutError)
    }

    /// As [`ready`](Self::ready), at most until `deadline`.
    ///
    /// # Errors
    /// The time is over.
    #[track_caller]
    pub fn ready_deadline(&mut self, deadline: Instant) -> Result<usize, ReadyTimeoutError> {
        self.mix();
        ready_until(&self.handles, Some(deadline)).ok_or(ReadyTimeoutError)
    }

    fn mix(&mut self) {
        if !self.biased {
            shuffle(&mut self.handles);
        }
    }
}

impl Clone for Select<'_> {
    fn clone(&self) -> Self {
        Select {
            handles: self.handles.clone(),
            next_index: self.next_index,
            biased: self.biased,
        }
    }
}

impl Default for Select<'_> {
    fn default() -> Self {
        Select::new()
    }
}

impl fmt::Debug for Select<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Select { .. }")
    }
}
