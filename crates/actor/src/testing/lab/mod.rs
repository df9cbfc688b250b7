//! Simulations: the actors of a test, one at a time, in an order that a seed decides.

mod explore;
mod fault;
mod parcel;
mod seat;
mod target;
mod trace;
mod turns;
mod witness;

pub use explore::{Failure, explore, search, simulate};
pub use fault::{Fault, Injection};
pub use target::{SignalKind, Target};
pub use trace::{Happened, Trace, TraceEvent};
pub(crate) use witness::Witness;

use crate::actor::Actor;
use crate::addr::Addr;
use crate::executor::{Engine, System, engine};
use crate::options::Options;
use crate::start::start;
use crate::testing::hooks::{Hooked, Hooks};
use crate::testing::{ManualClock, Probe};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;
use turns::{Player, TEST, Turns};
use weftwork_core::{Refused, Spawn, Task};

/// A simulation: an executor that runs the actors of a test one at a time, in an order that a seed decides, by
/// a clock of its own. Made by [`simulate`], [`search`] and [`explore`].
///
/// # Who runs when
///
/// While the test computes nothing else runs. The actors run when the test waits: for an answer, a start, an
/// end, a [probe](Probe), room in a mailbox; or when it says so by a method here. After each message, each poll
/// and at each wait whoever comes next is drawn from all that could go on, the test included. So one seed
/// stands for one interleaving of messages; a handler that does not wait is not interrupted.
///
/// All draws come from the seed. The same seed and the same test give the same [`Trace`], as long as the test
/// and its actors have no other source of chance: no wall clock, no hashing with random keys, no threads of
/// their own.
///
/// # Waiting
///
/// A handler may wait, in plain blocking style, for whatever waits through `weftwork_core`: asks, starts,
/// channels, locks. Then the others go on; its stack stays on an OS thread of the lab meanwhile. Of all
/// threads of the lab, the test's among them, one at a time runs. What blocks a thread by other means, a
/// channel of std's for one, blocks the lab.
///
/// # Time
///
/// The clock of the lab is a [`ManualClock`]. It stands while anybody can run. When nobody can and the test
/// waits, it goes on to the next alarm at once, so a wait of an hour takes no time; if there is no alarm, the
/// wait is for ever, and panics with a list of all who wait. The clock is also that of all time limits of
/// waits through `weftwork_core`, such as a `recv_timeout`. Other timers (`core::timer`, std's clock) know
/// nothing of it.
///
/// # The end
///
/// When the test returns or panics, what is left of the actors is killed, waits included. A wait that cannot
/// be interrupted keeps its thread.
pub struct Lab {
    seed: u64,
    turns: Arc<Turns>,
    witness: Arc<Witness>,
    system: System,
    /// The lab stays on its thread.
    thread: PhantomData<*mut ()>,
}

impl Lab {
    fn new(seed: u64) -> Self {
        let clock = ManualClock::new();
        let turns = Turns::new(seed, clock.clone());
        let witness = Arc::new(Witness::new(seed, clock.clone(), Arc::clone(&turns)));
        let hooks = Hooks::new(clock, Some(Arc::clone(&witness)));
        let inner = engine(&Player(Arc::clone(&turns)));
        let hooked: Arc<dyn Engine> = Arc::new(Hooked::new(inner, hooks));
        Lab {
            seed,
            turns,
            witness,
            system: System(hooked),
            thread: PhantomData,
        }
    }

    /// Runs `test` as the lab's, and ends the lab.
    fn run<R>(&self, test: impl FnOnce(&Lab) -> R) -> R {
        struct Close<'a>(&'a Lab);
        impl Drop for Close<'_> {
            fn drop(&mut self) {
                self.0.witness.stop();
                self.0.turns.close();
                self.0.witness.close();
            }
        }
        seat::occupy(&self.turns, TEST, |_| {
            let _close = Close(self);
            test(self)
        })
    }

    /// The seed.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The lab as an executor that actors can be started on, by [`start`](crate::start()) or whatever else
    /// takes an [`Executor`](crate::Executor).
    #[must_use]
    pub fn system(&self) -> System {
        self.system.clone()
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> ManualClock {
        self.turns.clock.clone()
    }

    /// Starts an actor. For options there is [`start`](crate::start()) with the [`system`](Self::system).
    ///
    /// # Panics
    /// The actor does not start.
    #[track_caller]
    pub fn start<A: Actor>(&self, args: A::Args) -> Addr<A> {
        match start::<A>(&self.system, args, Options::new()) {
            Ok(addr) => addr,
            Err(error) => panic!("{}: {error}", std::any::type_name::<A>()),
        }
    }

    /// Starts a probe.
    #[must_use]
    #[track_caller]
    pub fn probe<M: Send + 'static>(&self) -> Probe<M> {
        Probe::start(&self.system)
    }

    /// Runs all that can run at the present time, until nobody can. The clock stands.
    ///
    /// # Panics
    /// There is no end to it: see [`limit`](Self::limit).
    #[track_caller]
    pub fn run_until_idle(&self) {
        assert!(
            self.turns.run_until_idle(),
            "the lab does not come to rest: its actors go on and on at one point in time"
        );
    }

    /// Lets so much time pass: from alarm to alarm, and at each all that can run runs.
    ///
    /// # Panics
    /// As [`run_until_idle`](Self::run_until_idle).
    #[track_caller]
    pub fn advance(&self, by: Duration) {
        let clock = &self.turns.clock;
        let end = clock.now().checked_add(by).expect("the time can be told");
        self.run_until_idle();
        while let Some(next) = clock.until_next()
            && clock.now() + next <= end
        {
            clock.advance(next);
            self.run_until_idle();
        }
        clock.fire_until(Some(end));
        self.run_until_idle();
    }

    /// Lets time pass until `is_so`, which is asked whenever all have come to rest.
    ///
    /// # Panics
    /// It is not so, and no alarm is set any more. Or as [`run_until_idle`](Self::run_until_idle).
    #[track_caller]
    pub fn run_until(&self, mut is_so: impl FnMut() -> bool) {
        self.run_until_idle();
        while !is_so() {
            let moved = self.turns.clock.advance_to_next();
            assert!(
                moved.is_some(),
                "it does not come to pass: nothing can run, and no alarm is set"
            );
            self.run_until_idle();
        }
    }

    /// Lets something go wrong.
    pub fn inject(&self, fault: Fault) -> Injection {
        self.witness.inject(fault)
    }

    /// One of `0..n`, drawn by the seed: for a test that chooses what it does.
    ///
    /// # Panics
    /// `n` is zero.
    #[must_use]
    pub fn draw(&self, n: usize) -> usize {
        assert!(n > 0, "there is nothing to choose from");
        (self.witness.draw() % n as u64) as usize
    }

    /// Adds a line to the trace.
    pub fn note(&self, text: &str) {
        self.witness.note(text);
    }

    /// What has happened until now.
    #[must_use]
    pub fn trace(&self) -> Trace {
        self.witness.trace()
    }

    /// Says how many turns there may be while the test waits, before the lab takes it that there is no end; a
    /// million without this.
    pub fn limit(&self, turns: u64) {
        self.turns.set_limit(turns);
    }
}

/// Tasks of other kinds run in the lab, too, in turn with the actors. For futures take the
/// [`system`](Lab::system), which can be cloned.
impl Spawn for Lab {
    fn spawn_task(&self, task: Task) -> Result<(), Refused> {
        self.system.spawn_task(task)
    }
}

impl fmt::Debug for Lab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lab")
            .field("seed", &self.seed)
            .field("clock", &self.turns.clock)
            .finish_non_exhaustive()
    }
}
