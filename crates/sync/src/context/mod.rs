//! Cancellation that reaches down a tree: deadlines, causes, callbacks, values.

mod node;
mod slab;

use crate::project::project;
use crate::{reason, waiting};
use node::{Callback, End, Node, State};
use std::any::Any;
use std::error::Error;
use std::fmt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task;
use std::time::{Duration, Instant};
use weftwork_core::wait::deadline_after;
use weftwork_core::wait::queue::Waiter;
use weftwork_core::{Event, TimedOut};

/// Why a context was cancelled, in the words of who cancelled it.
pub type Cause = Arc<dyn Error + Send + Sync>;

/// How a context ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContextError {
    /// Somebody cancelled it, or one above it.
    Cancelled,
    /// Its deadline passed, or that of one above it.
    DeadlineExceeded,
}

impl fmt::Display for ContextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ContextError::Cancelled => "context was cancelled",
            ContextError::DeadlineExceeded => "context deadline exceeded",
        })
    }
}

impl Error for ContextError {}

/// What a piece of work and all that it starts have in common: when to stop, and why. (After Go's.)
///
/// Contexts form a tree. One that ends, by a [`Canceler`] or by its deadline, ends all below it, and
/// stays ended. Clones are the same context. A context ends nothing by itself: the work looks at
/// [`err`](Self::err), or waits for [`done`](Self::done) beside what else it waits for.
///
/// A child that is dropped leaves nothing in its parent. Dropping the canceler cancels nothing: see
/// [`Canceler::drop_guard`].
///
/// ```
/// use std::time::Duration;
/// use weftwork_sync::{Context, ContextError};
///
/// let (request, cancel) = Context::background().with_timeout(Duration::from_secs(30));
/// let (query, _) = request.with_cancel();
/// let worker = std::thread::spawn(move || query.wait());
/// cancel.cancel();
/// assert_eq!(worker.join().unwrap(), ContextError::Cancelled);
/// assert_eq!(request.err(), Some(ContextError::Cancelled));
/// ```
#[derive(Clone)]
pub struct Context {
    node: Arc<Node>,
    values: Option<Arc<Values>>,
}

/// The values of a context, the last one first.
struct Values {
    value: Arc<dyn Any + Send + Sync>,
    before: Option<Arc<Values>>,
}

impl Context {
    /// Makes a context that does not end: the root of a tree.
    ///
    /// ```
    /// assert!(weftwork_sync::Context::background().err().is_none());
    /// ```
    #[must_use]
    pub fn background() -> Self {
        Context {
            node: Node::root(),
            values: None,
        }
    }

    fn below(&self, expiry: Option<(Instant, Option<Cause>)>) -> (Context, Canceler) {
        let node = self.node.child(expiry);
        let canceler = Canceler {
            node: Arc::clone(&node),
        };
        let values = self.values.clone();
        (Context { node, values }, canceler)
    }

    /// Makes a child, and what cancels it.
    ///
    /// ```
    /// use weftwork_sync::Context;
    ///
    /// let (context, cancel) = Context::background().with_cancel();
    /// cancel.cancel();
    /// assert!(context.is_done());
    /// ```
    pub fn with_cancel(&self) -> (Context, Canceler) {
        self.below(None)
    }

    /// Makes a child that ends at `deadline`, if this one does not end before, and what cancels it.
    ///
    /// # Panics
    /// This is the first timer of the process, and the system refuses the thread for it.
    ///
    /// ```
    /// use std::time::Instant;
    /// use weftwork_sync::{Context, ContextError};
    ///
    /// let (context, _) = Context::background().with_deadline(Instant::now());
    /// assert_eq!(context.err(), Some(ContextError::DeadlineExceeded));
    /// ```
    pub fn with_deadline(&self, deadline: Instant) -> (Context, Canceler) {
        self.below(Some((deadline, None)))
    }

    /// As [`with_deadline`](Self::with_deadline), with the cause that it has if the deadline ends it.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::time::Instant;
    /// use weftwork_sync::Context;
    ///
    /// let cause = Arc::new(std::io::Error::other("the budget is spent"));
    /// let (context, _) = Context::background().with_deadline_cause(Instant::now(), cause);
    /// assert_eq!(context.cause().unwrap().to_string(), "the budget is spent");
    /// ```
    pub fn with_deadline_cause(&self, deadline: Instant, cause: Cause) -> (Context, Canceler) {
        self.below(Some((deadline, Some(cause))))
    }

    /// Makes a child that ends when `timeout` is over, and what cancels it. A time so long that its
    /// end cannot be told never ends.
    ///
    /// ```
    /// use std::time::Duration;
    /// use weftwork_sync::{Context, ContextError};
    ///
    /// let (context, _) = Context::background().with_timeout(Duration::from_millis(1));
    /// assert_eq!(context.wait(), ContextError::DeadlineExceeded);
    /// ```
    pub fn with_timeout(&self, timeout: Duration) -> (Context, Canceler) {
        self.below(deadline_after(timeout).map(|deadline| (deadline, None)))
    }

    /// Gives this context with a value more, which is found by its type.
    ///
    /// ```
    /// use weftwork_sync::Context;
    ///
    /// #[derive(Debug, PartialEq)]
    /// struct RequestId(u64);
    ///
    /// let context = Context::background().with_value(RequestId(7));
    /// assert_eq!(context.value::<RequestId>().as_deref(), Some(&RequestId(7)));
    /// ```
    #[must_use]
    pub fn with_value<T: Any + Send + Sync>(&self, value: T) -> Context {
        let values = Values {
            value: Arc::new(value),
            before: self.values.clone(),
        };
        Context {
            node: Arc::clone(&self.node),
            values: Some(Arc::new(values)),
        }
    }

    /// The value of type `T`; if there are several, the last that was given.
    ///
    /// ```
    /// assert!(weftwork_sync::Context::background().value::<u32>().is_none());
    /// ```
    #[must_use]
    pub fn value<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        let mut values = self.values.as_deref();
        while let Some(last) = values {
            if let Ok(value) = Arc::clone(&last.value).downcast::<T>() {
                return Some(value);
            }
            values = last.before.as_deref();
        }
        None
    }

    /// Gives a context with the same values that does not end with this one: for work that must go on.
    ///
    /// ```
    /// use weftwork_sync::Context;
    ///
    /// let (context, cancel) = Context::background().with_value(7_u32).with_cancel();
    /// let cleanup = context.without_cancel();
    /// cancel.cancel();
    /// assert!(!cleanup.is_done());
    /// assert_eq!(cleanup.value::<u32>().as_deref(), Some(&7));
    /// ```
    #[must_use]
    pub fn without_cancel(&self) -> Context {
        Context {
            node: Node::root(),
            values: self.values.clone(),
        }
    }

    /// When it ends at the latest, by its own deadline or one above it.
    ///
    /// ```
    /// assert!(weftwork_sync::Context::background().deadline().is_none());
    /// ```
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.node.deadline
    }

    /// Whether it has ended: one load.
    ///
    /// ```
    /// assert!(!weftwork_sync::Context::background().is_done());
    /// ```
    #[must_use]
    #[inline]
    pub fn is_done(&self) -> bool {
        self.node.is_ended()
    }

    /// How it ended, if it has.
    ///
    /// ```
    /// assert_eq!(weftwork_sync::Context::background().err(), None);
    /// ```
    #[must_use]
    pub fn err(&self) -> Option<ContextError> {
        self.node.end().map(|end| end.error)
    }

    /// Why it ended, if it has: the cause that was given, or else the [`ContextError`].
    ///
    /// ```
    /// use weftwork_sync::Context;
    ///
    /// let (context, cancel) = Context::background().with_cancel();
    /// cancel.cancel_with(std::io::Error::other("the peer hung up"));
    /// assert_eq!(context.cause().unwrap().to_string(), "the peer hung up");
    /// ```
    #[must_use]
    pub fn cause(&self) -> Option<Cause> {
        let end = self.node.end()?;
        Some(end.cause.unwrap_or_else(|| Arc::new(end.error)))
    }

    /// Fails if it has ended: for the `?` at the start of a step.
    ///
    /// # Errors
    /// How it ended.
    ///
    /// ```
    /// use weftwork_sync::{Context, ContextError};
    ///
    /// fn step(context: &Context) -> Result<u32, ContextError> {
    ///     context.check()?;
    ///     Ok(1)
    /// }
    /// assert_eq!(step(&Context::background()), Ok(1));
    /// ```
    pub fn check(&self) -> Result<(), ContextError> {
        self.err().map_or(Ok(()), Err)
    }

    /// Gives a future that is ready, with how it ended, when the context has ended.
    ///
    /// ```
    /// use weftwork_sync::{Context, ContextError};
    ///
    /// let (context, cancel) = Context::background().with_cancel();
    /// std::thread::spawn(move || cancel.cancel());
    /// assert_eq!(weftwork_core::block_on(context.done()), ContextError::Cancelled);
    /// ```
    pub fn done(&self) -> Done<'_> {
        Done {
            context: self,
            waiter: Waiter::new(&self.node.queue, ()),
        }
    }

    /// Waits until the context has ended, and says how.
    ///
    /// ```
    /// use weftwork_sync::{Context, ContextError};
    ///
    /// let (context, cancel) = Context::background().with_cancel();
    /// std::thread::spawn(move || cancel.cancel());
    /// assert_eq!(context.wait(), ContextError::Cancelled);
    /// ```
    #[track_caller]
    pub fn wait(&self) -> ContextError {
        let mut done = pin!(self.done());
        waiting::wait(reason::CONTEXT, |context| done.as_mut().poll(context))
    }

    /// Waits until the context has ended, for at most `timeout`.
    ///
    /// # Errors
    /// The time was over first.
    ///
    /// ```
    /// use std::time::Duration;
    /// use weftwork_sync::Context;
    ///
    /// assert!(Context::background().wait_timeout(Duration::from_millis(1)).is_err());
    /// ```
    #[track_caller]
    pub fn wait_timeout(&self, timeout: Duration) -> Result<ContextError, TimedOut> {
        let mut done = pin!(self.done());
        waiting::wait_until(reason::CONTEXT, deadline_after(timeout), |context| {
            done.as_mut().poll(context)
        })
    }

    /// Calls `f` once when the context ends; at once if it has.
    ///
    /// It is called by whoever ends the context, on that thread, when no lock is held: for a deadline
    /// that is the timer thread of the process. So it is to be short and not to wait; a longer one
    /// spawns. If it panics, the others are called nevertheless, and the panic goes on to who ended
    /// the context.
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use weftwork_sync::Context;
    ///
    /// let (context, cancel) = Context::background().with_cancel();
    /// let (tx, rx) = mpsc::channel();
    /// let _after = context.after_func(move || tx.send("over").unwrap());
    /// cancel.cancel();
    /// assert_eq!(rx.recv(), Ok("over"));
    /// ```
    pub fn after_func(&self, f: impl FnOnce() + Send + 'static) -> AfterFunc {
        let f: Callback = Box::new(f);
        let key = match self.node.hang_callback(f) {
            Ok(key) => Some(key),
            Err(f) => {
                f();
                None
            }
        };
        AfterFunc {
            node: Arc::clone(&self.node),
            key,
        }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("deadline", &self.deadline())
            .field("err", &self.err())
            .finish_non_exhaustive()
    }
}

/// Cancels a context. Clones cancel the same; dropping them does nothing.
#[derive(Clone)]
pub struct Canceler {
    node: Arc<Node>,
}

impl Canceler {
    /// Ends the context and all below it. False: it had ended before.
    ///
    /// Wakes those who wait, and calls the callbacks.
    ///
    /// ```
    /// use weftwork_sync::Context;
    ///
    /// let (_context, cancel) = Context::background().with_cancel();
    /// assert!(cancel.cancel());
    /// assert!(!cancel.cancel());
    /// ```
    pub fn cancel(&self) -> bool {
        self.node.cancel(End {
            error: ContextError::Cancelled,
            cause: None,
        })
    }

    /// As [`cancel`](Self::cancel), and says why.
    ///
    /// ```
    /// use weftwork_sync::{Context, ContextError};
    ///
    /// let (context, cancel) = Context::background().with_cancel();
    /// cancel.cancel_with(std::io::Error::other("shutting down"));
    /// assert_eq!(context.err(), Some(ContextError::Cancelled));
    /// ```
    pub fn cancel_with(&self, cause: impl Error + Send + Sync + 'static) -> bool {
        self.node.cancel(End {
            error: ContextError::Cancelled,
            cause: Some(Arc::new(cause)),
        })
    }

    /// Gives a guard that cancels when it is dropped.
    ///
    /// ```
    /// use weftwork_sync::Context;
    ///
    /// let (context, cancel) = Context::background().with_cancel();
    /// {
    ///     let _guard = cancel.drop_guard();
    /// }
    /// assert!(context.is_done());
    /// ```
    pub fn drop_guard(self) -> impl Drop + Send + Sync + fmt::Debug {
        CancelOnDrop(self)
    }
}

impl fmt::Debug for Canceler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Canceler").finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct CancelOnDrop(Canceler);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// A callback that waits for the end of a context: see [`Context::after_func`]. Dropping this leaves
/// it waiting.
pub struct AfterFunc {
    node: Arc<Node>,
    key: Option<usize>,
}

impl AfterFunc {
    /// Calls the callback off. False: it has been called, or is about to be.
    ///
    /// ```
    /// use weftwork_sync::Context;
    ///
    /// let (context, cancel) = Context::background().with_cancel();
    /// assert!(context.after_func(|| unreachable!()).stop());
    /// cancel.cancel();
    /// ```
    pub fn stop(self) -> bool {
        let callback = self.key.and_then(|key| self.node.take_callback(key));
        callback.is_some()
    }
}

impl fmt::Debug for AfterFunc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AfterFunc").finish_non_exhaustive()
    }
}

/// Waits for the end of a context: see [`Context::done`].
#[must_use = "a future does nothing unless it is polled"]
#[derive(Debug)]
pub struct Done<'a> {
    context: &'a Context,
    waiter: Waiter<'a, State>,
}

impl Future for Done<'_> {
    type Output = ContextError;

    fn poll(mut self: Pin<&mut Self>, context: &mut task::Context<'_>) -> task::Poll<ContextError> {
        if !self.context.is_done() {
            let polled =
                project!(self.waiter).poll_or(context, |queue| queue.has_ended().then_some(()));
            std::task::ready!(polled);
        }
        let end = self.context.err();
        task::Poll::Ready(end.expect("it has ended"))
    }
}

impl Event for Done<'_> {}
