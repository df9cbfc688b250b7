//! An operation that is attempted under the lock of a queue, and again whenever news come.
//!
//! 1. What is there is taken by the attempt itself, so nothing happens before the poll that is ready,
//!    and a future that is dropped has lost nothing.
//! 2. What was granted to an operation goes to the attempt that follows in the same poll. If the
//!    operation is dropped first, it goes to [`Line::returned`].
//! 3. An attempt runs no code of the user's: it moves messages, it neither clones nor drops them. What
//!    is to be cloned or called is so by [`Operation::finish`], when the queue has been unlocked.

use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Instant;
use weftwork_core::wait::queue::{Line, Locked, WaitQueue, Waiter};
use weftwork_core::wait::{self, Reason, TimedOut};

/// What a waiter is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum News {
    /// Something changed: attempt again.
    Look,
    /// Something was set aside for the waiter alone.
    Granted,
}

/// An operation on the state `S` of a queue.
pub(crate) trait Operation<S: Line<Token = News>> {
    /// What is found under the lock.
    type Found;
    /// What it gives.
    type Output;

    /// Does it if it can be done now. `granted` says that something was set aside for it; such an
    /// attempt succeeds.
    fn attempt(&mut self, state: &mut Locked<'_, S>, granted: bool) -> Option<Self::Found>;

    /// Makes the output; the queue is unlocked. `None`: it is to be attempted again.
    fn finish(&mut self, found: Self::Found) -> Option<Self::Output>;
}

/// Does it now or not at all.
pub(crate) fn once<S: Line<Token = News>, O: Operation<S>>(
    queue: &WaitQueue<S>,
    mut operation: O,
) -> Result<O::Output, O> {
    loop {
        let mut state = queue.lock();
        let found = operation.attempt(&mut state, false);
        drop(state);
        let Some(found) = found else {
            return Err(operation);
        };
        if let Some(output) = operation.finish(found) {
            return Ok(output);
        }
    }
}

/// An operation, and its place in the queue.
pub(crate) struct Attempt<'q, S: Line<Token = News>, O> {
    waiter: Waiter<'q, S>,
    operation: O,
}

impl<'q, S: Line<Token = News>, O> Attempt<'q, S, O> {
    pub(crate) fn new(waiter: Waiter<'q, S>, operation: O) -> Self {
        Attempt { waiter, operation }
    }

    fn project(self: Pin<&mut Self>) -> (Pin<&mut Waiter<'q, S>>, &mut O) {
        // SAFETY: nothing is moved out of the reference here.
        let this = unsafe { self.get_unchecked_mut() };
        // SAFETY: the waiter is pinned with its owner: nobody else gets to it, there is no `Drop` for
        // the owner that could move it, and it is `!Unpin` like the owner.
        (
            unsafe { Pin::new_unchecked(&mut this.waiter) },
            &mut this.operation,
        )
    }

    /// The operation, which is not pinned.
    pub(crate) fn operation(self: Pin<&mut Self>) -> &mut O {
        self.project().1
    }

    /// Attempts, and waits for news as long as that is in vain.
    pub(crate) fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<O::Output>
    where
        O: Operation<S>,
    {
        let (mut waiter, operation) = self.project();
        let mut granted = false;
        loop {
            let mut found = None;
            let polled = waiter.as_mut().poll_or(context, |state| {
                found = operation.attempt(state, granted);
                found.as_ref().map(|_| News::Look)
            });
            match polled {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(news) => granted = news == News::Granted,
            }
            if let Some(output) = found.and_then(|found| operation.finish(found)) {
                return Poll::Ready(output);
            }
        }
    }
}

/// Waits on the current stack until `attempt` is done.
#[track_caller]
pub(crate) fn wait<S: Line<Token = News>, O: Operation<S>>(
    reason: Reason,
    attempt: Attempt<'_, S, O>,
) -> O::Output {
    let mut attempt = pin!(attempt);
    wait::wait(reason, |context| attempt.as_mut().poll(context))
}

/// Waits on the current stack until `attempt` is done, at most until `deadline`.
///
/// # Errors
/// The time was over first; here is what `give_up` makes of the operation.
#[track_caller]
pub(crate) fn wait_deadline<S: Line<Token = News>, O: Operation<S>, E>(
    reason: Reason,
    deadline: Option<Instant>,
    attempt: Attempt<'_, S, O>,
    give_up: impl FnOnce(&mut O) -> E,
) -> Result<O::Output, E> {
    let mut attempt = pin!(attempt);
    let done = wait::wait_deadline(reason, deadline, |context| attempt.as_mut().poll(context));
    done.map_err(|TimedOut| give_up(attempt.as_mut().operation()))
}

/// Makes `$name`, a structure whose one field is an [`Attempt`], a future and an event.
macro_rules! attempt_future {
    (
        $name:ident<$life:lifetime, $message:ident $(: $bound:ident)? $(, $function:ident)?>,
        $output:ty $(, $condition:ty)?
    ) => {
        impl<$life, $message $(: $bound)? $(, $function)?> Future
            for $name<$life, $message $(, $function)?>
        $(where $function: FnMut(&$message) -> $condition)?
        {
            type Output = $output;

            fn poll(
                self: ::std::pin::Pin<&mut Self>,
                context: &mut ::std::task::Context<'_>,
            ) -> ::std::task::Poll<Self::Output> {
                // SAFETY: the field is pinned with the structure: that has no other field, no `Drop`,
                // and no method that moves the field.
                unsafe { self.map_unchecked_mut(|future| &mut future.0) }.poll(context)
            }
        }

        impl<$life, $message $(: $bound)? $(, $function)?> ::weftwork_core::Event
            for $name<$life, $message $(, $function)?>
        $(where $function: FnMut(&$message) -> $condition)?
        {
        }

        impl<$message $(, $function)?> ::std::fmt::Debug for $name<'_, $message $(, $function)?> {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    };
}

pub(crate) use attempt_future;
