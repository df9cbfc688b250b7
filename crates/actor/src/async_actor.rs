//! Actors whose `init` awaits.

use crate::actor::{Actor, Down, Exit, InitError};
use crate::context::Context;
use crate::init::{Beginning, Begun, Seat, leave_word};
use crate::reason::Reason;
use crate::vtable;

/// An [`Actor`] whose `init` is a future: it connects, loads or asks before there is a state.
///
/// Whoever implements this is an [`Actor`], and is started, supervised and sent to as any other. `start`
/// returns when the future is ready.
///
/// ```
/// use weftwork_actor::{AsyncActor, Context, Handler, InitError, Options, start};
///
/// struct Cache(Vec<u32>);
///
/// impl AsyncActor for Cache {
///     type Args = weftwork_csp::Receiver<u32>;
///     async fn init(source: Self::Args, _: &mut Context<Self>) -> Result<Self, InitError> {
///         let mut all = Vec::new();
///         while let Ok(next) = source.recv_async().await {
///             all.push(next);
///         }
///         Ok(Cache(all))
///     }
/// }
///
/// impl Handler<usize> for Cache {
///     type Reply = Option<u32>;
///     fn handle(&mut self, at: usize, _: &mut Context<Self>) -> Option<u32> {
///         self.0.get(at).copied()
///     }
/// }
///
/// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
/// let (sender, source) = weftwork_csp::bounded(4);
/// (1..=3).for_each(|n| sender.send(n).unwrap());
/// drop(sender);
/// let cache = start::<Cache>(rt.handle(), source, Options::new())?;
/// assert_eq!(cache.ask(1).unwrap(), Some(2));
/// # cache.kill();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait AsyncActor: Sized + Send + 'static {
    /// What it is started with.
    type Args: Send + 'static;

    /// Makes the state: see [`Actor::init`].
    ///
    /// Until it is ready messages wait in the mailbox. Signals are served: a kill, an exit that is not
    /// trapped, and the end of the [time limit](crate::Options::timeout) drop the future where it awaits, and
    /// the start fails with that reason.
    ///
    /// # Errors
    /// There shall be no actor: see [`InitError`].
    fn init(
        args: Self::Args,
        ctx: &mut Context<Self>,
    ) -> impl Future<Output = Result<Self, InitError>> + Send;

    /// Hears of an exit signal: see [`Actor::on_exit`].
    fn on_exit(&mut self, exit: Exit, ctx: &mut Context<Self>) {
        let _ = (exit, ctx);
    }

    /// Hears that an actor has ended that this one monitors: see [`Actor::on_down`].
    fn on_down(&mut self, down: Down, ctx: &mut Context<Self>) {
        let _ = (down, ctx);
    }

    /// Tidies up, last of all: see [`Actor::terminate`].
    fn terminate(&mut self, reason: &Reason, ctx: &mut Context<Self>) {
        let _ = (reason, ctx);
    }
}

impl<A: AsyncActor> Actor for A {
    type Args = A::Args;

    /// Not how an actor is started; who calls it waits for the future.
    fn init(args: Self::Args, ctx: &mut Context<Self>) -> Result<Self, InitError> {
        weftwork_core::block_on(<A as AsyncActor>::init(args, ctx))
    }

    fn begin(seat: Seat<'_, Self>) -> Begun {
        let (cell, args) = (seat.cell.clone(), seat.args);
        let future = async move {
            // SAFETY: polled and dropped by the owner alone, which reaches the parts of the cell only through
            // short borrows while there is this future; the context does not outlive it.
            let mut ctx = unsafe { Context::<A>::new(cell.pointer()) };
            let made = <A as AsyncActor>::init(args, &mut ctx).await;
            // SAFETY: as above, and the cell is of this type.
            let made = made.map(|actor| unsafe { vtable::enter(&cell, actor) });
            leave_word(&cell, made);
        };
        Begun(Beginning::Awaits(Box::pin(future)))
    }

    fn on_exit(&mut self, exit: Exit, ctx: &mut Context<Self>) {
        AsyncActor::on_exit(self, exit, ctx);
    }

    fn on_down(&mut self, down: Down, ctx: &mut Context<Self>) {
        AsyncActor::on_down(self, down, ctx);
    }

    fn terminate(&mut self, reason: &Reason, ctx: &mut Context<Self>) {
        AsyncActor::terminate(self, reason, ctx);
    }
}
