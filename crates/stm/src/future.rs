//! Transactions as futures.
//!
//! A poll runs attempts until one commits, or has to wait; then the future is entered as a sleeper, with its
//! task's waker. Nothing is held between polls but the entries, which the drop takes out: no variable is
//! locked, nothing is pinned, and the serial turn is not kept. So a future may be dropped at any time, and
//! commits only in the poll that is `Ready`.

use crate::error::{Stm, TxError, TxFailed};
use crate::run::{Call, Run, Step};
use crate::tx::Tx;
use std::convert::Infallible;
use std::fmt;
use std::marker::PhantomData;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};
use weftwork_core::Event;

#[cfg(not(weftwork_loom))]
use weftwork_core::timer::SleepUntil;

/// A transaction between polls.
#[derive(Debug)]
struct Driven {
    /// `None` when it is over.
    run: Option<Run>,
    /// A model's clock does not go.
    #[cfg(not(weftwork_loom))]
    limit: Option<SleepUntil>,
}

impl Driven {
    fn new(call: Call) -> Driven {
        Driven {
            #[cfg(not(weftwork_loom))]
            limit: call
                .deadline
                .map(|deadline| SleepUntil::new(Some(deadline))),
            run: Some(Run::new(call)),
        }
    }

    fn poll<R, E>(
        &mut self,
        context: &mut Context<'_>,
        body: &mut impl FnMut(&Tx) -> Result<R, TxError<E>>,
    ) -> Poll<Result<Result<R, E>, TxFailed>> {
        let run = self
            .run
            .as_mut()
            .expect("a transaction is polled after its end");
        loop {
            if run.resume(context).is_pending() {
                #[cfg(not(weftwork_loom))]
                if let Some(limit) = &mut self.limit
                    && Pin::new(limit).poll(context).is_ready()
                {
                    self.run = None;
                    return Poll::Ready(Err(TxFailed::TimedOut));
                }
                return Poll::Pending;
            }
            let ended = match run.step(body) {
                Step::Pause(_) => continue,
                Step::Done(result) => Ok(result),
                Step::Failed(failed) => Err(failed),
            };
            self.run = None;
            return Poll::Ready(ended);
        }
    }
}

/// Declares a future over [`Driven`].
macro_rules! future {
    (
        $(#[$meta:meta])*
        $name:ident<$($parameter:ident),*>: $output:ty,
        where F: FnMut(&Tx) -> $body:ty,
        $poll:expr
    ) => {
        $(#[$meta])*
        #[must_use = "a transaction does nothing until it is awaited"]
        pub struct $name<F, $($parameter),*> {
            driven: Driven,
            body: F,
            _result: PhantomData<fn() -> ($($parameter,)*)>,
        }

        impl<F, $($parameter),*> $name<F, $($parameter),*> {
            pub(crate) fn new(call: Call, body: F) -> Self {
                $name {
                    driven: Driven::new(call),
                    body,
                    _result: PhantomData,
                }
            }
        }

        // The body is only ever used through a plain reference.
        impl<F, $($parameter),*> Unpin for $name<F, $($parameter),*> {}

        impl<F: FnMut(&Tx) -> $body, $($parameter),*> Future for $name<F, $($parameter),*> {
            type Output = $output;

            fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<$output> {
                let this = self.get_mut();
                $poll(&mut this.driven, &mut this.body, context)
            }
        }

        impl<F: FnMut(&Tx) -> $body, $($parameter),*> Event for $name<F, $($parameter),*> {}

        impl<F, $($parameter),*> fmt::Debug for $name<F, $($parameter),*> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    };
}

future! {
    /// A transaction as a future: see [`atomically_async`].
    Atomically<R>: R,
    where F: FnMut(&Tx) -> Stm<R>,
    |driven: &mut Driven, body: &mut F, context: &mut Context<'_>| {
        let ended = driven.poll::<R, Infallible>(context, &mut |tx| body(tx).map_err(TxError::Stop));
        ended.map(|ended| match ended {
            Ok(Ok(result)) => result,
            Err(_) => unreachable!("a transaction without limits has failed"),
        })
    }
}

future! {
    /// A transaction that may be aborted, as a future: see [`try_atomically_async`].
    TryAtomically<R, E>: Result<R, E>,
    where F: FnMut(&Tx) -> Result<R, TxError<E>>,
    |driven: &mut Driven, body: &mut F, context: &mut Context<'_>| {
        driven.poll(context, body).map(|ended| match ended {
            Ok(result) => result,
            Err(_) => unreachable!("a transaction without limits has failed"),
        })
    }
}

future! {
    /// A transaction with limits, as a future: see [`Transaction::run_async`](crate::Transaction::run_async).
    RunTransaction<R>: Result<R, TxFailed>,
    where F: FnMut(&Tx) -> Stm<R>,
    |driven: &mut Driven, body: &mut F, context: &mut Context<'_>| {
        let ended = driven.poll::<R, Infallible>(context, &mut |tx| body(tx).map_err(TxError::Stop));
        ended.map(|ended| ended.map(|Ok(result)| result))
    }
}

/// As [`atomically`](crate::atomically), as a future: where the body retries, the task waits.
///
/// The body runs inside the polls, on the polling thread, without waiting. The future commits only in the poll
/// that is `Ready`; until then it may be dropped, and nothing has happened. So it can be an arm of a `select!`:
/// it is an [`Event`].
///
/// Futures queue up for the serial turn as others do, but are passed while they are not polled.
///
/// # Panics
/// The polls panic as [`atomically`](crate::atomically) does.
///
/// ```
/// use weftwork_core::block_on;
/// use weftwork_stm::{TVar, atomically_async};
///
/// let letter = TVar::new(Some("hello"));
/// let text = block_on(atomically_async(|tx| match letter.replace(tx, None)? {
///     Some(text) => Ok(text),
///     None => tx.retry(),
/// }));
/// assert_eq!(text, "hello");
/// ```
#[track_caller]
pub fn atomically_async<R, F>(body: F) -> Atomically<F, R>
where
    F: FnMut(&Tx) -> Stm<R>,
{
    Atomically::new(Call::plain(Location::caller(), true), body)
}

/// As [`try_atomically`](crate::try_atomically), as a future: see [`atomically_async`].
///
/// # Panics
/// The polls panic as [`atomically`](crate::atomically) does.
///
/// ```
/// use weftwork_core::block_on;
/// use weftwork_stm::{abort, try_atomically_async};
///
/// let refused = block_on(try_atomically_async::<(), _, _>(|_| abort("no")));
/// assert_eq!(refused, Err("no"));
/// ```
#[track_caller]
pub fn try_atomically_async<R, E, F>(body: F) -> TryAtomically<F, R, E>
where
    F: FnMut(&Tx) -> Result<R, TxError<E>>,
{
    TryAtomically::new(Call::plain(Location::caller(), true), body)
}
