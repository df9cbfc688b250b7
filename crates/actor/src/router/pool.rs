//! A pool: members that are started together, and replaced when they end.
//!
//! The members are linked to a keeper, an actor that traps exits. When one ends, whatever the reason, it
//! starts another in the same place; a member that had lived for less than [`SHORT`], or that does not
//! start, is replaced after a pause that doubles from [`FIRST_PAUSE`] to [`LAST_PAUSE`], so that what cannot
//! live costs little. The messages in a mailbox die with the member, as with every actor.

use super::routes::Router;
use crate::actor::{Actor, Exit, Handler, InitError};
use crate::addr::Addr;
use crate::context::Context;
use crate::error::StartError;
use crate::executor::Executor;
use crate::options::Options;
use crate::pid::Pid;
use crate::reason::Reason;
use crate::start::start;
use std::collections::HashMap;
use std::fmt;
use std::ops::Deref;
use std::time::{Duration, Instant};

const SHORT: Duration = Duration::from_secs(1);
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LAST_PAUSE: Duration = Duration::from_secs(5);

/// A number of actors of one kind, each replaced when it ends. It is a [`Router`] among them.
///
/// Dropping it ends nothing: see [`stop`](Self::stop).
///
/// ```
/// # use weftwork_actor::{Actor, Context, Handler, InitError, Options};
/// # struct Echo;
/// # impl Actor for Echo {
/// #     type Args = ();
/// #     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> { Ok(Echo) }
/// # }
/// # impl Handler<u32> for Echo {
/// #     type Reply = u32;
/// #     fn handle(&mut self, n: u32, _: &mut Context<Self>) -> u32 { n }
/// # }
/// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
/// use weftwork_actor::router::Pool;
///
/// let pool = Pool::<Echo>::start(rt.handle(), 2, (), Options::new())?;
/// let first = pool.next()?;
/// first.kill();
/// // Another one comes in its place.
/// while pool.members().contains(&first) {
///     std::thread::yield_now();
/// }
/// assert_eq!(pool.members().len(), 2);
///
/// let end = pool.keeper().watch();
/// pool.stop();
/// assert!(end.wait_down().is_normal());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Pool<A: Actor> {
    router: Router<A>,
    keeper: Pid,
}

impl<A: Actor> Pool<A>
where
    A::Args: Clone,
{
    /// Starts `size` members with the same arguments, and waits until all of their `init`s have returned.
    /// The options are for each of the members.
    ///
    /// # Errors
    /// One of them did not start. There is no pool, and those that did are ended.
    ///
    /// # Panics
    /// `size` is zero: nobody would take any message.
    #[track_caller]
    pub fn start(
        executor: &impl Executor,
        size: usize,
        args: A::Args,
        options: Options,
    ) -> Result<Pool<A>, StartError> {
        assert!(size > 0, "a pool without members takes no messages");
        let router = Router::new([]);
        let plan = Plan {
            router: router.clone(),
            size,
            args,
            options,
        };
        let keeper = start::<Keeper<A>>(executor, plan, Options::new().name("pool"))?;
        Ok(Pool {
            router,
            keeper: keeper.pid(),
        })
    }

    /// Stops the pool: the members are sent an exit with [`Reason::Shutdown`], and not replaced. Does not
    /// wait; who wants to know [watches](Pid::watch) the members or the [keeper](Self::keeper).
    pub fn stop(&self) {
        self.keeper.stop(Reason::Shutdown);
    }
}

impl<A: Actor> Pool<A> {
    /// The actor that starts and replaces the members.
    #[must_use]
    pub fn keeper(&self) -> &Pid {
        &self.keeper
    }
}

impl<A: Actor> Deref for Pool<A> {
    type Target = Router<A>;

    fn deref(&self) -> &Router<A> {
        &self.router
    }
}

impl<A: Actor> Clone for Pool<A> {
    fn clone(&self) -> Self {
        Pool {
            router: self.router.clone(),
            keeper: self.keeper.clone(),
        }
    }
}

impl<A: Actor> fmt::Debug for Pool<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("router", &self.router)
            .finish_non_exhaustive()
    }
}

/// What a keeper is started with.
struct Plan<A: Actor> {
    router: Router<A>,
    size: usize,
    args: A::Args,
    options: Options,
}

/// Starts and replaces the members.
struct Keeper<A: Actor> {
    plan: Plan<A>,
    places: Vec<Place<A>>,
    by_pid: HashMap<Pid, usize>,
}

struct Place<A> {
    member: Addr<A>,
    since: Instant,
    pause: Duration,
}

/// Start a member in this place.
struct Replace(usize);

impl<A: Actor> Keeper<A>
where
    A::Args: Clone,
{
    fn start_one(plan: &Plan<A>, ctx: &mut Context<Self>) -> Result<Addr<A>, StartError> {
        ctx.spawn_link::<A>(plan.args.clone(), plan.options.clone())
    }

    fn publish(&self) {
        (self.plan.router).set(self.places.iter().map(|place| place.member.clone()));
    }

    fn replace_later(&mut self, at: usize, ctx: &mut Context<Self>) {
        let place = &mut self.places[at];
        let pause = place.pause;
        place.pause = (pause * 2).min(LAST_PAUSE);
        ctx.send_after(pause, Replace(at));
    }

    fn replace(&mut self, at: usize, ctx: &mut Context<Self>) {
        match Self::start_one(&self.plan, ctx) {
            Ok(member) => {
                self.by_pid.insert(member.pid(), at);
                let place = &mut self.places[at];
                (place.member, place.since) = (member, ctx.cell().clock().now());
                self.publish();
            }
            Err(_) => self.replace_later(at, ctx),
        }
    }
}

impl<A: Actor> Actor for Keeper<A>
where
    A::Args: Clone,
{
    type Args = Plan<A>;

    fn init(plan: Plan<A>, ctx: &mut Context<Self>) -> Result<Self, InitError> {
        ctx.trap_exit(true);
        let mut keeper = Keeper {
            places: Vec::with_capacity(plan.size),
            by_pid: HashMap::with_capacity(plan.size),
            plan,
        };
        for at in 0..keeper.plan.size {
            let member = Self::start_one(&keeper.plan, ctx).map_err(|error| match error {
                StartError::Failed(reason) => InitError::Failed(reason),
                other => InitError::failed(other),
            })?;
            keeper.by_pid.insert(member.pid(), at);
            keeper.places.push(Place {
                member,
                since: ctx.cell().clock().now(),
                pause: FIRST_PAUSE,
            });
        }
        keeper.publish();
        Ok(keeper)
    }

    fn on_exit(&mut self, exit: Exit, ctx: &mut Context<Self>) {
        match self.by_pid.remove(&exit.from) {
            Some(at) => {
                let now = ctx.cell().clock().now();
                if now.saturating_duration_since(self.places[at].since) < SHORT {
                    return self.replace_later(at, ctx);
                }
                self.places[at].pause = FIRST_PAUSE;
                self.replace(at, ctx);
            }
            // Somebody wants the pool to end.
            None => ctx.stop(exit.reason),
        }
    }
}

impl<A: Actor> Handler<Replace> for Keeper<A>
where
    A::Args: Clone,
{
    type Reply = ();

    fn handle(&mut self, Replace(at): Replace, ctx: &mut Context<Self>) {
        self.replace(at, ctx);
    }
}
