//! What the rest of the crate asks in a test: see `crate::hooks`.

use crate::actor::InitError;
use crate::cell::{CellRef, Header};
use crate::executor::Engine;
use crate::hooks::Injected;
use crate::mailbox::inbox::Pushed;
use crate::mailbox::letter::Letter;
use crate::reason::Reason;
use crate::run::Runner;
use crate::signal::Signal;
use crate::testing::ManualClock;
use crate::testing::lab::Witness;
use std::fmt;
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;
use weftwork_core::task::TaskRef;
use weftwork_core::{Refused, Spawn, Task};

pub(crate) use crate::testing::clock::Alarm;

/// A clock, and in a simulation the witness of all that happens.
#[derive(Clone)]
pub(crate) struct Hooks {
    clock: ManualClock,
    witness: Option<Arc<Witness>>,
}

impl Hooks {
    pub(crate) fn new(clock: ManualClock, witness: Option<Arc<Witness>>) -> Self {
        Hooks { clock, witness }
    }

    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    pub(crate) fn call_at(&self, due: Instant, waker: Waker) -> Alarm {
        self.clock.call_at(due, waker)
    }

    /// A draw, where draws come from a seed.
    pub(crate) fn random(&self) -> Option<u64> {
        Some(self.witness.as_ref()?.draw())
    }

    pub(crate) fn is_simulation(&self) -> bool {
        self.witness.is_some()
    }

    /// An actor is about to be spawned. False: it shall be refused.
    pub(crate) fn starts(&self, cell: &CellRef, parent: Option<&CellRef>) -> bool {
        (self.witness.as_ref()).is_none_or(|witness| witness.starts(cell, parent))
    }

    /// An `init` is about to run. It may be made to fail.
    pub(crate) fn fails_init(&self, cell: &CellRef) -> Option<InitError> {
        self.witness.as_ref()?.fails_init(cell)
    }

    /// Sends a message that was admitted, unless it is lost or late.
    pub(crate) fn message(&self, to: &Header, letter: Letter) -> Result<Pushed, Letter> {
        match &self.witness {
            None => to.place_message(letter),
            Some(witness) => witness.message(to, letter),
        }
    }

    /// Sends a signal, unless it is lost or late. False: the actor has ended.
    pub(crate) fn signal(&self, to: &Header, signal: Signal) -> bool {
        match &self.witness {
            None => to.put_signal(signal),
            Some(witness) => witness.signal(to, signal),
        }
    }

    /// A message is about to be handled.
    pub(crate) fn handles(&self, cell: &CellRef, letter: &Letter) -> Option<Injected> {
        self.witness.as_ref()?.handles(cell, letter)
    }

    /// An actor has ended; nobody was told yet.
    pub(crate) fn ended(&self, cell: &CellRef, reason: &Reason) {
        if let Some(witness) = &self.witness {
            witness.ended(cell, reason);
        }
    }

    /// A supervisor did something.
    pub(crate) fn supervisor(&self, cell: &CellRef, what: fmt::Arguments<'_>) {
        if let Some(witness) = &self.witness {
            witness.supervisor(cell, what);
        }
    }
}

/// An executor with hooks.
pub(crate) struct Hooked {
    inner: Arc<dyn Engine>,
    hooks: Hooks,
}

impl Hooked {
    pub(crate) fn new(inner: Arc<dyn Engine>, hooks: Hooks) -> Self {
        Hooked { inner, hooks }
    }
}

impl Spawn for Hooked {
    fn spawn_task(&self, task: Task) -> Result<(), Refused> {
        self.inner.spawn_task(task)
    }
}

impl Engine for Hooked {
    fn run(&self, runner: Runner) -> Option<TaskRef> {
        self.inner.run(runner)
    }

    fn hooks(&self) -> Option<&Hooks> {
        Some(&self.hooks)
    }
}
