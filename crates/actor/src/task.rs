//! Work in an actor of its own, whose result somebody awaits: Elixir's `Task`.
//!
//! A task that an actor starts by [`Context::task`](crate::Context::task) is linked to it: if one fails, so
//! does the other. One started by [`Context::task_nolink`](crate::Context::task_nolink), or from outside by
//! [`spawn`], stands alone, and its failure is a value. Either way the result, or the reason why there is
//! none, is got once, by [`Task::wait`], [`Task::wait_timeout`] (Elixir's `yield`), [`Task::shutdown`], or
//! by awaiting it.
//!
//! ```
//! use std::time::Duration;
//! use weftwork_actor::{Reason, task};
//!
//! # let rt = weftwork_sched::Runtime::builder().workers(2).build()?;
//! let sum = task::spawn(rt.handle(), || (1..=10).sum::<u32>())?;
//! assert_eq!(sum.wait(), Ok(55));
//!
//! // A failure is a reason.
//! let fails = task::spawn(rt.handle(), || -> u32 { panic!("no luck") })?;
//! assert!(fails.wait().unwrap_err().is_panic());
//!
//! // One that takes too long is stopped.
//! let (_open, gate) = weftwork_csp::bounded::<()>(1);
//! let mut waits = task::spawn_async(rt.handle(), async move { gate.recv_async().await.is_ok() })?;
//! assert_eq!(waits.wait_timeout(Duration::from_millis(1)), None);
//! assert_eq!(waits.shutdown(Duration::ZERO), Some(Err(Reason::Killed)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::actor::{Actor, AsyncHandler, Handler, InitError};
use crate::context::Context;
use crate::error::StartError;
use crate::executor::Executor;
use crate::options::Options;
use crate::pid::Pid;
use crate::reason::Reason;
use crate::start::start;
use crate::watcher::Watcher;
use std::fmt;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};
use weftwork_csp::oneshot;

/// Work that is done in an actor of its own. Dropping it lets the work go on, and its result is dropped.
///
/// It is a future, too: ready with what [`wait`](Self::wait) returns.
pub struct Task<T> {
    pid: Pid,
    result: oneshot::Receiver<T>,
    end: Watcher,
    /// The result was not sent: the reason is to come.
    has_failed: bool,
}

/// Does work of the caller's.
struct Worker;

/// The work, and where its result goes.
struct Run<F, T>(F, oneshot::Sender<T>);

/// As `Run`, for a future.
struct Await<F, T>(F, oneshot::Sender<T>);

impl Actor for Worker {
    type Args = Box<dyn FnOnce(&mut Context<Worker>) + Send>;

    fn init(begin: Self::Args, ctx: &mut Context<Self>) -> Result<Self, InitError> {
        begin(ctx);
        Ok(Worker)
    }
}

impl<F, T> Handler<Run<F, T>> for Worker
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    type Reply = ();

    fn handle(&mut self, Run(work, result): Run<F, T>, ctx: &mut Context<Self>) {
        // Nobody may want it any more.
        drop(result.send(work()));
        ctx.stop(Reason::Normal);
    }
}

impl<F, T> AsyncHandler<Await<F, T>> for Worker
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    type Reply = ();

    async fn handle(&mut self, Await(work, result): Await<F, T>, ctx: &mut Context<Self>) {
        drop(result.send(work.await));
        ctx.stop(Reason::Normal);
    }
}

/// What a worker begins with: its one message, and where the result comes out.
fn sync_work<F, T>(work: F) -> (<Worker as Actor>::Args, oneshot::Receiver<T>)
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let (sender, result) = oneshot::channel();
    let begin = Box::new(|ctx: &mut Context<Worker>| ctx.continue_with(Run(work, sender)));
    (begin, result)
}

fn async_work<F, T>(work: F) -> (<Worker as Actor>::Args, oneshot::Receiver<T>)
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let (sender, result) = oneshot::channel();
    let begin = Box::new(|ctx: &mut Context<Worker>| ctx.continue_with(Await(work, sender)));
    (begin, result)
}

/// Starts a closure as a task that is linked to nobody. Waits until it has begun.
///
/// ```
/// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
/// use weftwork_actor::task;
///
/// let task = task::spawn(rt.handle(), || 6 * 7)?;
/// assert_eq!(task.wait(), Ok(42));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The executor takes no more tasks.
#[track_caller]
pub fn spawn<T: Send + 'static>(
    executor: &impl Executor,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<Task<T>, StartError> {
    let (begin, result) = sync_work(work);
    let worker = start::<Worker>(executor, begin, Options::new().name("task"))?;
    Ok(Task::new(worker.pid(), result))
}

/// As [`spawn`], for a future.
///
/// ```
/// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
/// use weftwork_actor::task;
///
/// let task = task::spawn_async(rt.handle(), async { 6 * 7 })?;
/// assert_eq!(weftwork_core::block_on(task), Ok(42));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As `spawn`.
#[track_caller]
pub fn spawn_async<T: Send + 'static>(
    executor: &impl Executor,
    work: impl Future<Output = T> + Send + 'static,
) -> Result<Task<T>, StartError> {
    let (begin, result) = async_work(work);
    let worker = start::<Worker>(executor, begin, Options::new().name("task"))?;
    Ok(Task::new(worker.pid(), result))
}

impl<A: Actor> Context<A> {
    /// Starts a closure as a task that is linked to this actor, on the same executor. If the task fails
    /// this actor gets an exit signal, and the other way round; a task that is done harms nobody.
    ///
    /// ```
    /// use weftwork_actor::{Actor, Context, Handler, InitError, Options, start};
    ///
    /// struct Adder;
    ///
    /// impl Actor for Adder {
    ///     type Args = ();
    ///     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> {
    ///         Ok(Adder)
    ///     }
    /// }
    ///
    /// impl Handler<Vec<u32>> for Adder {
    ///     type Reply = u32;
    ///     fn handle(&mut self, mut numbers: Vec<u32>, ctx: &mut Context<Self>) -> u32 {
    ///         let half = numbers.split_off(numbers.len() / 2);
    ///         let task = ctx.task(move || half.iter().sum::<u32>()).unwrap();
    ///         numbers.iter().sum::<u32>() + task.wait().unwrap()
    ///     }
    /// }
    ///
    /// # let rt = weftwork_sched::Runtime::builder().workers(2).build()?;
    /// let adder = start::<Adder>(rt.handle(), (), Options::new())?;
    /// assert_eq!(adder.ask(vec![1, 2, 3, 4]).unwrap(), 10);
    /// # adder.kill();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The executor takes no more tasks.
    #[track_caller]
    pub fn task<T: Send + 'static>(
        &mut self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Task<T>, StartError> {
        let (begin, result) = sync_work(work);
        let worker = self.spawn_link::<Worker>(begin, Options::new().name("task"))?;
        Ok(Task::new(worker.pid(), result))
    }

    /// As [`task`](Self::task), for a future.
    ///
    /// # Errors
    /// As `task`.
    #[track_caller]
    pub fn task_async<T: Send + 'static>(
        &mut self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<Task<T>, StartError> {
        let (begin, result) = async_work(work);
        let worker = self.spawn_link::<Worker>(begin, Options::new().name("task"))?;
        Ok(Task::new(worker.pid(), result))
    }

    /// As [`task`](Self::task), without a link: a failure is told by [`Task::wait`] alone, and the task
    /// goes on when this actor ends.
    ///
    /// ```
    /// use weftwork_actor::{Actor, Context, Handler, InitError, Options, start};
    ///
    /// struct Careful;
    ///
    /// impl Actor for Careful {
    ///     type Args = ();
    ///     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> {
    ///         Ok(Careful)
    ///     }
    /// }
    ///
    /// impl Handler<&'static str> for Careful {
    ///     type Reply = Option<u32>;
    ///     fn handle(&mut self, text: &'static str, ctx: &mut Context<Self>) -> Option<u32> {
    ///         let task = ctx.task_nolink(move || text.parse::<u32>().unwrap()).unwrap();
    ///         task.wait().ok()
    ///     }
    /// }
    ///
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// let careful = start::<Careful>(rt.handle(), (), Options::new())?;
    /// assert_eq!(careful.ask("7").unwrap(), Some(7));
    /// assert_eq!(careful.ask("seven").unwrap(), None);
    /// # careful.kill();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As `task`.
    #[track_caller]
    pub fn task_nolink<T: Send + 'static>(
        &mut self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Task<T>, StartError> {
        let (begin, result) = sync_work(work);
        let worker = self.spawn::<Worker>(begin, Options::new().name("task"))?;
        Ok(Task::new(worker.pid(), result))
    }

    /// As [`task_nolink`](Self::task_nolink), for a future.
    ///
    /// # Errors
    /// As `task`.
    #[track_caller]
    pub fn task_async_nolink<T: Send + 'static>(
        &mut self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<Task<T>, StartError> {
        let (begin, result) = async_work(work);
        let worker = self.spawn::<Worker>(begin, Options::new().name("task"))?;
        Ok(Task::new(worker.pid(), result))
    }
}

impl<T: Send + 'static> Task<T> {
    fn new(pid: Pid, result: oneshot::Receiver<T>) -> Self {
        Task {
            end: pid.watch(),
            pid,
            result,
            has_failed: false,
        }
    }

    /// Who does the work.
    #[must_use]
    pub fn pid(&self) -> &Pid {
        &self.pid
    }

    /// Waits for the result. The calling green thread or OS thread parks.
    ///
    /// # Errors
    /// The task ended without one: this is why.
    #[track_caller]
    pub fn wait(mut self) -> Result<T, Reason> {
        // Without a deadline it does not come back without a result.
        self.wait_deadline(None).unwrap_or(Err(Reason::Killed))
    }

    /// Waits for the result, for so long at most; `None` if the time was over first. Then it may be called
    /// again. (Elixir's `yield`.)
    ///
    /// ```
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// use std::time::Duration;
    /// use weftwork_actor::task;
    ///
    /// let (open, gate) = weftwork_csp::bounded(1);
    /// let mut task = task::spawn(rt.handle(), move || gate.recv().unwrap())?;
    /// assert_eq!(task.wait_timeout(Duration::from_millis(1)), None);
    /// open.send(7)?;
    /// assert_eq!(task.wait_timeout(Duration::from_secs(60)), Some(Ok(7)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn wait_timeout(&mut self, timeout: Duration) -> Option<Result<T, Reason>> {
        let deadline = self.pid.clock().deadline_after(timeout);
        self.wait_deadline(deadline)
    }

    #[track_caller]
    fn wait_deadline(&mut self, deadline: Option<Instant>) -> Option<Result<T, Reason>> {
        if !self.has_failed {
            match self.pid.clock().receive(&mut self.result, deadline) {
                Ok(result) => return Some(Ok(result)),
                Err(oneshot::RecvTimeoutError::Timeout) => return None,
                Err(oneshot::RecvTimeoutError::Disconnected) => self.has_failed = true,
            }
        }
        let reason = self.end_by(deadline)?;
        Some(Err(self.why(Some(reason))))
    }

    #[track_caller]
    fn end_by(&mut self, deadline: Option<Instant>) -> Option<Reason> {
        let left = self.pid.clock().left(deadline);
        self.end.wait_timeout(left).ok()
    }

    /// The reason to tell; one that had ended before it was watched knows its own.
    fn why(&self, reason: Option<Reason>) -> Reason {
        match reason {
            Some(Reason::NoProc) | None => self.pid.exit_reason().unwrap_or(Reason::NoProc),
            Some(reason) => reason,
        }
    }

    /// Stops the task: asks it to, gives it so long, then kills it, and waits until it has ended. `None`: it
    /// ended as it was told, without a result; otherwise its result, which it may have got ready meanwhile,
    /// or why there is none.
    ///
    /// A closure that waits under a scheduler, and a future where it awaits, end at once when they are
    /// asked to; one that computes goes on to its end, and this waits for it.
    ///
    /// ```
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// use std::time::Duration;
    /// use weftwork_actor::task;
    ///
    /// let (_open, gate) = weftwork_csp::bounded::<()>(1);
    /// let waits = task::spawn_async(rt.handle(), async move { gate.recv_async().await.is_ok() })?;
    /// // It ended as it was told.
    /// assert_eq!(waits.shutdown(Duration::from_secs(60)), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn shutdown(mut self, timeout: Duration) -> Option<Result<T, Reason>> {
        if timeout.is_zero() {
            self.pid.kill();
        } else {
            self.pid.exit(Reason::Shutdown);
        }
        let got = self.wait_timeout(timeout).unwrap_or_else(|| {
            self.pid.kill();
            self.wait_deadline(None).unwrap_or(Err(Reason::Killed))
        });
        match got {
            Err(Reason::Shutdown) => None,
            got => Some(got),
        }
    }
}

impl<T: Send + 'static> Future for Task<T> {
    type Output = Result<T, Reason>;

    fn poll(mut self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<Self::Output> {
        if !self.has_failed {
            match Pin::new(&mut self.result).poll(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(result)) => return Poll::Ready(Ok(result)),
                Poll::Ready(Err(_)) => self.has_failed = true,
            }
        }
        let polled = Pin::new(&mut self.end).poll(context);
        polled.map(|reason| Err(self.why(Some(reason))))
    }
}

impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("pid", &self.pid)
            .finish_non_exhaustive()
    }
}
