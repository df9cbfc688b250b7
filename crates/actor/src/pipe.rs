//! Work outside of an actor, whose outcome comes back to it as a message.
//!
//! The work is a task of its own on the actor's executor. Its outcome travels in a letter with the number of
//! the work, and is handled only if that is among the live ones when its turn comes: what was called off does
//! not arrive, not even out of the mailbox. With the actor all its work is cancelled, before anybody is told of
//! the end, and a letter that comes later finds the inbox closed: no other incarnation hears of it.

use crate::accept::{self, Accepts};
use crate::actor::Actor;
use crate::cell::CellRef;
use crate::context::Context;
use crate::mailbox::letter::{Class, Delivery, Kind, Letter};
use crate::mailbox::limit::Load;
use crate::number;
use crate::panics;
use crate::reason::Reason;
use crate::reply::Back;
use crate::table::Table;
use std::any::type_name;
use std::fmt;
use std::marker::PhantomData;
use std::pin::pin;
use weftwork_core::Spawn;
use weftwork_core::task::TaskRef;

/// Names one piece of work that an actor waits for: see [`Context::pipe`]. Another one is never named the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PipeRef(u64);

impl fmt::Display for PipeRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pipe {}", self.0)
    }
}

/// The work whose outcome was not handled yet; without a task, if the executor took none.
#[derive(Default)]
pub(crate) struct Pipes(Table<Option<TaskRef>>);

impl Pipes {
    /// Takes all tasks, to cancel them.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = TaskRef> + use<> {
        std::mem::take(&mut self.0).into_values().flatten()
    }
}

impl<A: Actor> Context<A> {
    /// Runs a future outside of the actor, on the same executor, and handles what `into` makes of its outcome:
    /// its output, or the reason why there is none, if it panicked or was cancelled. Meanwhile the actor goes
    /// on with its messages.
    ///
    /// `into` runs in the actor, right before the handler. The message gets in however full the mailbox is,
    /// and comes behind those that have arrived by then. The work ends with the actor, at the latest.
    ///
    /// ```
    /// use weftwork_actor::{Actor, Context, Handler, InitError, Options, Reason, start};
    /// use weftwork_csp::{Receiver, Sender, bounded};
    ///
    /// struct Page {
    ///     requests: Receiver<&'static str>,
    ///     shown: Sender<String>,
    /// }
    ///
    /// struct Load;
    /// struct Loaded(Result<String, Reason>);
    ///
    /// impl Actor for Page {
    ///     type Args = Page;
    ///     fn init(page: Page, _: &mut Context<Self>) -> Result<Self, InitError> {
    ///         Ok(page)
    ///     }
    /// }
    ///
    /// impl Handler<Load> for Page {
    ///     type Reply = ();
    ///     fn handle(&mut self, _: Load, ctx: &mut Context<Self>) {
    ///         let requests = self.requests.clone();
    ///         let work = async move { format!("<{}>", requests.recv_async().await.unwrap()) };
    ///         ctx.pipe(work, Loaded);
    ///     }
    /// }
    ///
    /// impl Handler<Loaded> for Page {
    ///     type Reply = ();
    ///     fn handle(&mut self, Loaded(text): Loaded, _: &mut Context<Self>) {
    ///         self.shown.send(text.unwrap_or_else(|reason| reason.to_string())).unwrap();
    ///     }
    /// }
    ///
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// let (request, requests) = bounded(1);
    /// let (shown, screen) = bounded(1);
    /// let page = start::<Page>(rt.handle(), Page { requests, shown }, Options::new())?;
    /// page.tell(Load).unwrap();
    /// request.send("home").unwrap();
    /// assert_eq!(screen.recv().unwrap(), "<home>");
    /// # page.kill();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pipe<T, M, K>(
        &mut self,
        work: impl Future<Output = T> + Send + 'static,
        into: impl FnOnce(Result<T, Reason>) -> M + Send + 'static,
    ) -> PipeRef
    where
        A: Accepts<M, K>,
        T: Send + 'static,
        M: Send + 'static,
        K: 'static,
    {
        let number = number::next();
        let outlet = self.outlet::<T, M, K>(number, into);
        let work = async move {
            let mut work = pin!(work);
            let poll = |context: &mut std::task::Context<'_>| match panics::catch(|| {
                work.as_mut().poll(context)
            }) {
                Ok(polled) => polled.map(Ok),
                Err(reason) => std::task::Poll::Ready(Err(reason)),
            };
            let outcome = std::future::poll_fn(poll).await;
            outlet.post(outcome);
        };
        let task = self.system().spawn_future(work).ok();
        self.note(number, task.map(|task| task.task_ref()))
    }

    /// As [`pipe`](Self::pipe), for a closure, which may wait as a handler may: where the executor has green
    /// threads in one of its own, elsewhere in a thread. When it is called off, or the actor ends, it unwinds
    /// from where it waits, if a scheduler can reach it there; one that computes goes on to its end, and what
    /// it returns is dropped.
    ///
    /// ```
    /// use weftwork_actor::{Actor, Context, DeferredHandler, Handler, InitError, Options, ReplyTo, start};
    ///
    /// /// Counts words, and is told of more of them meanwhile.
    /// struct Counter;
    ///
    /// struct Counted(usize, ReplyTo<usize>);
    ///
    /// impl Actor for Counter {
    ///     type Args = ();
    ///     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> {
    ///         Ok(Counter)
    ///     }
    /// }
    ///
    /// impl DeferredHandler<&'static str> for Counter {
    ///     type Reply = usize;
    ///     fn handle(&mut self, text: &'static str, reply: ReplyTo<usize>, ctx: &mut Context<Self>) {
    ///         let work = move || text.split(' ').count();
    ///         ctx.pipe_blocking(work, |words| Counted(words.unwrap_or(0), reply));
    ///     }
    /// }
    ///
    /// impl Handler<Counted> for Counter {
    ///     type Reply = ();
    ///     fn handle(&mut self, Counted(words, reply): Counted, _: &mut Context<Self>) {
    ///         reply.send(words);
    ///     }
    /// }
    ///
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// let counter = start::<Counter>(rt.handle(), (), Options::new())?;
    /// assert_eq!(counter.ask("to and fro").unwrap(), 3);
    /// # counter.kill();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pipe_blocking<T, M, K>(
        &mut self,
        work: impl FnOnce() -> T + Send + 'static,
        into: impl FnOnce(Result<T, Reason>) -> M + Send + 'static,
    ) -> PipeRef
    where
        A: Accepts<M, K>,
        T: Send + 'static,
        M: Send + 'static,
        K: 'static,
    {
        let number = number::next();
        let outlet = self.outlet::<T, M, K>(number, into);
        let work = move || outlet.post(panics::catch(work));
        let task = self.system().spawn_fn(work).ok();
        self.note(number, task.map(|task| task.task_ref()))
    }

    /// Calls work off: its task is cancelled, and its outcome not handled any more, even if it lies in the
    /// mailbox. False: it has been handled.
    ///
    /// ```
    /// use weftwork_actor::{Actor, Context, Handler, InitError, Options, Reason, start};
    ///
    /// struct Search;
    ///
    /// struct Found(Result<u32, Reason>);
    ///
    /// impl Actor for Search {
    ///     type Args = ();
    ///     fn init(_: (), ctx: &mut Context<Self>) -> Result<Self, InitError> {
    ///         let for_ever = ctx.pipe(std::future::pending(), Found);
    ///         assert!(ctx.cancel_pipe(for_ever));
    ///         assert!(!ctx.cancel_pipe(for_ever));
    ///         Ok(Search)
    ///     }
    /// }
    ///
    /// impl Handler<Found> for Search {
    ///     type Reply = ();
    ///     fn handle(&mut self, Found(n): Found, _: &mut Context<Self>) {
    ///         unreachable!("{n:?} was called off");
    ///     }
    /// }
    ///
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// let search = start::<Search>(rt.handle(), (), Options::new())?;
    /// # search.kill();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cancel_pipe(&mut self, pipe: PipeRef) -> bool {
        match self.own().more().pipes.0.remove(pipe.0) {
            Some(task) => {
                if let Some(task) = task {
                    task.cancel();
                }
                true
            }
            None => false,
        }
    }

    fn note(&mut self, number: u64, task: Option<TaskRef>) -> PipeRef {
        self.own().more().pipes.0.insert(number, task);
        PipeRef(number)
    }

    fn outlet<T, M, K>(
        &self,
        number: u64,
        into: impl FnOnce(Result<T, Reason>) -> M + Send + 'static,
    ) -> Outlet<T, impl FnOnce(Result<T, Reason>) + Send + 'static>
    where
        A: Accepts<M, K>,
        T: Send + 'static,
        M: Send + 'static,
        K: 'static,
    {
        let cell = self.cell().clone();
        let post = move |outcome| {
            let piped = Piped {
                number,
                outcome,
                into,
            };
            cell.room.admit(Load::ONE);
            // If the actor has ended it is dropped.
            drop(cell.push_message(letter::<A, M, K, T, _>(piped)));
        };
        Outlet(Some(post), PhantomData)
    }
}

/// Where an outcome goes: exactly one, that of a task that was cancelled if there is no other.
struct Outlet<T, P: FnOnce(Result<T, Reason>)>(Option<P>, PhantomData<fn(T)>);

impl<T, P: FnOnce(Result<T, Reason>)> Outlet<T, P> {
    fn post(mut self, outcome: Result<T, Reason>) {
        if let Some(post) = self.0.take() {
            post(outcome);
        }
    }
}

impl<T, P: FnOnce(Result<T, Reason>)> Drop for Outlet<T, P> {
    fn drop(&mut self) {
        if let Some(post) = self.0.take() {
            post(Err(Reason::Killed));
        }
    }
}

/// An outcome on its way to the actor.
struct Piped<T, F> {
    number: u64,
    outcome: Result<T, Reason>,
    into: F,
}

struct ClassOf<A, M, K, P>(PhantomData<fn(A, M, K, P)>);

impl<A, M, K, T, F> ClassOf<A, M, K, Piped<T, F>>
where
    A: Accepts<M, K>,
    M: Send + 'static,
    K: 'static,
    T: Send + 'static,
    F: FnOnce(Result<T, Reason>) -> M + Send + 'static,
{
    const CLASS: Class = Class {
        kind: Kind::Message(A::RANK),
        name: Some(type_name::<M>),
        deliver: deliver::<A, M, K, T, F>,
        discard: Letter::discard::<Piped<T, F>>,
    };
}

fn letter<A, M, K, T, F>(piped: Piped<T, F>) -> Letter
where
    A: Accepts<M, K>,
    M: Send + 'static,
    K: 'static,
    T: Send + 'static,
    F: FnOnce(Result<T, Reason>) -> M + Send + 'static,
{
    Letter::new(const { &ClassOf::<A, M, K, Piped<T, F>>::CLASS }, piped)
}

/// # Safety
/// As for `accept::deliver`; the letter is of the class above.
unsafe fn deliver<A, M, K, T, F>(letter: Letter, cell: &CellRef) -> Delivery
where
    A: Accepts<M, K>,
    M: Send + 'static,
    K: 'static,
    T: Send + 'static,
    F: FnOnce(Result<T, Reason>) -> M + Send + 'static,
{
    // SAFETY: letters of this class hold this.
    let piped = unsafe { letter.open::<Piped<T, F>>() };
    // SAFETY: the caller is the owner and holds no reference to its part.
    let is_live = unsafe { cell.owned() }.more().pipes.0.remove(piped.number);
    if is_live.is_none() {
        return Delivery::Done;
    }
    let message = (piped.into)(piped.outcome);
    let letter = accept::letter::<A, M, K>(message, Back::none());
    let deliver = letter.class().deliver;
    // SAFETY: the same contract; the letter was made for an `A` just now.
    unsafe { deliver(letter, cell) }
}
