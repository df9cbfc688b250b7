//! Where actors run: any executor of tasks.

use crate::hooks::Hooks;
use crate::run::Runner;
use std::any::Any;
use std::fmt;
use std::sync::Arc;
use weftwork_core::task::TaskRef;
use weftwork_core::{Refused, Spawn, Task};

/// An executor that actors can be started on: whatever implements [`Spawn`] and can be shared.
///
/// An actor is a future's task on it. Children that an actor starts run on the same executor.
pub trait Executor: Spawn + Clone + Send + Sync + 'static {}

impl<E: Spawn + Clone + Send + Sync + 'static> Executor for E {}

/// An executor whose type is forgotten: how a cell remembers where its children go.
pub(crate) trait Engine: Spawn + Send + Sync {
    /// Spawns an actor's task. None: the executor takes no more.
    fn run(&self, runner: Runner) -> Option<TaskRef>;

    /// Who looks after its actors, in a test.
    fn hooks(&self) -> Option<&Hooks> {
        None
    }
}

impl<E: Executor> Engine for E {
    fn run(&self, runner: Runner) -> Option<TaskRef> {
        match self.spawn_future(runner) {
            Ok(handle) => Some(handle.task_ref()),
            Err(_) => None,
        }
    }
}

pub(crate) fn engine<E: Executor>(executor: &E) -> Arc<dyn Engine> {
    match (executor as &dyn Any).downcast_ref::<System>() {
        Some(system) => Arc::clone(&system.0),
        None => Arc::new(executor.clone()),
    }
}

/// An executor in a form that many actors share cheaply, and whose type is forgotten.
///
/// Starting actors on a clone of one `System` saves an allocation for each.
///
/// ```
/// use weftwork_actor::System;
/// # #[derive(Clone)] struct Threads;
/// # impl weftwork_core::Spawn for Threads {
/// #     fn spawn_task(&self, task: weftwork_core::Task) -> Result<(), weftwork_core::Refused> {
/// #         std::thread::spawn(move || task.run());
/// #         Ok(())
/// #     }
/// # }
///
/// let system = System::new(&Threads);
/// let same = system.clone();
/// # drop(same);
/// ```
#[derive(Clone)]
pub struct System(pub(crate) Arc<dyn Engine>);

impl System {
    /// Wraps an executor.
    pub fn new<E: Executor>(executor: &E) -> Self {
        System(engine(executor))
    }
}

impl Spawn for System {
    fn spawn_task(&self, task: Task) -> Result<(), Refused> {
        self.0.spawn_task(task)
    }
}

impl fmt::Debug for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("System").finish_non_exhaustive()
    }
}
