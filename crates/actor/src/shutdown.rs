//! Coordinated shutdown: phases in order, each with a deadline, and a report of who was late.
//!
//! A [`Shutdown`] knows its phases from the beginning; whoever has something to do in one says so while the
//! program runs. [`run`](Shutdown::run) goes through the phases: all that is to be done in one is done at the
//! same time, the next begins when all is done or the time is over. What is late is killed and named in the
//! [`Report`]; a shutdown always ends. The idea is Akka's; OTP stops applications in reverse order, and waits
//! for each without a limit.
//!
//! ```
//! use std::time::Duration;
//! use weftwork_actor::shutdown::Shutdown;
//! use weftwork_actor::{Options, start};
//! # use weftwork_actor::{Actor, Context, InitError};
//! # struct Server;
//! # impl Actor for Server {
//! #     type Args = ();
//! #     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> { Ok(Server) }
//! # }
//! # let rt = weftwork_sched::Runtime::builder().workers(2).build()?;
//!
//! let limit = Duration::from_secs(5);
//! let shutdown = Shutdown::new([("close doors", limit), ("stop actors", limit)]);
//! let server = start::<Server>(rt.handle(), (), Options::new())?;
//! shutdown.add("close doors", "listener", || { /* close it */ })?;
//! shutdown.stop("stop actors", &server.pid())?;
//!
//! let report = shutdown.run(rt.handle()).expect("it runs once");
//! assert!(report.is_clean(), "{report}");
//! assert!(!server.is_alive());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::clock::Clock;
use crate::executor::{Executor, engine};
use crate::pid::Pid;
use crate::reason::Reason;
use crate::task::{self, Task};
use crate::watcher::Watcher;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use weftwork_core::sync::Mutex;

/// The phases of a shutdown, and what is to be done in each. Clones are alike.
#[derive(Clone)]
pub struct Shutdown(Arc<Mutex<State>>);

enum State {
    Waiting(Vec<Phase>),
    /// It runs, or has run.
    Begun,
}

struct Phase {
    name: Arc<str>,
    limit: Duration,
    jobs: Vec<Job>,
}

enum Job {
    Work(Arc<str>, Box<dyn FnOnce() + Send>),
    Stop(Pid),
}

/// Nothing was added to a shutdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddError {
    /// It has no phase of this name.
    NoPhase,
    /// It runs, or has run.
    Begun,
}

impl fmt::Display for AddError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AddError::NoPhase => "shutdown has no such phase",
            AddError::Begun => "shutdown has begun",
        })
    }
}

impl Error for AddError {}

impl Shutdown {
    /// Makes a shutdown of phases: the name of each, and how long it may take.
    pub fn new<N: Into<Arc<str>>>(phases: impl IntoIterator<Item = (N, Duration)>) -> Self {
        let phase = |(name, limit): (N, Duration)| Phase {
            name: name.into(),
            limit,
            jobs: Vec::new(),
        };
        let phases = phases.into_iter().map(phase).collect();
        Shutdown(Arc::new(Mutex::new(State::Waiting(phases))))
    }

    /// Adds work to a phase, under a name for the report. It runs as a [task].
    ///
    /// # Errors
    /// There is no such phase, or the shutdown has begun.
    pub fn add(
        &self,
        phase: &str,
        name: impl Into<Arc<str>>,
        work: impl FnOnce() + Send + 'static,
    ) -> Result<(), AddError> {
        self.put(phase, Job::Work(name.into(), Box::new(work)))
    }

    /// Adds the end of an actor to a phase: it is asked to [stop](Pid::stop) with [`Reason::Shutdown`], behind
    /// the messages that it has, whether it traps exits or not. Give the root of a tree of supervisors, which
    /// stops the others.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub fn stop(&self, phase: &str, pid: &Pid) -> Result<(), AddError> {
        self.put(phase, Job::Stop(pid.clone()))
    }

    fn put(&self, phase: &str, job: Job) -> Result<(), AddError> {
        let mut state = self.0.lock();
        // On an error the job is dropped when the lock is gone: locals go before arguments.
        let State::Waiting(phases) = &mut *state else {
            return Err(AddError::Begun);
        };
        let phase = phases.iter_mut().find(|one| *one.name == *phase);
        phase.ok_or(AddError::NoPhase)?.jobs.push(job);
        Ok(())
    }

    /// Shuts down: waits until all phases are through, and reports. `None`: somebody else has begun.
    ///
    /// Work and actors that are late are killed, and not waited for: a handler that computes goes on while
    /// later phases run. The calling green thread or OS thread parks. Not to be called from an actor that is
    /// itself to be stopped: it would be late.
    #[track_caller]
    pub fn run(&self, executor: &impl Executor) -> Option<Report> {
        let state = std::mem::replace(&mut *self.0.lock(), State::Begun);
        let State::Waiting(phases) = state else {
            return None;
        };
        let run = |phase| run_phase(executor, phase);
        Some(Report {
            phases: phases.into_iter().map(run).collect(),
        })
    }
}

/// A job that was begun.
enum Running {
    Work(Arc<str>, Task<()>),
    Stop(Pid, Watcher),
}

#[track_caller]
fn run_phase(executor: &impl Executor, phase: Phase) -> PhaseReport {
    let engine = engine(executor);
    let clock = Clock::of(&*engine);
    let begin = clock.now();
    let deadline = clock.deadline_after(phase.limit);
    let mut report = PhaseReport {
        name: phase.name,
        took: Duration::ZERO,
        late: Vec::new(),
        failed: Vec::new(),
    };
    let mut running = Vec::new();
    for job in phase.jobs {
        match job {
            Job::Work(name, work) => match task::spawn(executor, work) {
                Ok(task) => running.push(Running::Work(name, task)),
                Err(error) => report.failed.push((name, Reason::error(error))),
            },
            Job::Stop(pid) => {
                let watcher = pid.watch();
                // An exit would be ignored by a supervisor: this is not its parent.
                pid.stop(Reason::Shutdown);
                running.push(Running::Stop(pid, watcher));
            }
        }
    }
    for job in running {
        let left = clock.left(deadline);
        match job {
            Running::Work(name, mut task) => match task.wait_timeout(left) {
                Some(Ok(())) => {}
                Some(Err(reason)) => report.failed.push((name, reason)),
                None => {
                    task.pid().kill();
                    report.late.push(name);
                }
            },
            Running::Stop(pid, mut watcher) => match watcher.wait_timeout(left) {
                // It may have ended before for reasons of its own, which others are told.
                Ok(_) => {}
                Err(_) => {
                    pid.kill();
                    report
                        .late
                        .push(format!("{pid:?} ({})", pid.type_name()).into());
                }
            },
        }
    }
    report.took = clock.now().saturating_duration_since(begin);
    report
}

/// How a shutdown went. Displayed as a line for each phase.
///
/// ```
/// use std::time::Duration;
/// use weftwork_actor::shutdown::Shutdown;
///
/// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
/// let shutdown = Shutdown::new([("drain", Duration::from_millis(1)), ("stop", Duration::from_secs(5))]);
/// let (_open, gate) = weftwork_csp::bounded::<()>(1);
/// shutdown.add("drain", "queue", move || assert!(gate.recv().is_err()))?;
/// shutdown.add("stop", "disk", || panic!("is full"))?;
/// let report = shutdown.run(rt.handle()).expect("it runs once");
/// assert!(!report.is_clean());
/// assert_eq!(*report.phases()[0].late[0], *"queue");
/// assert_eq!(*report.phases()[1].failed[0].0, *"disk");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    phases: Vec<PhaseReport>,
}

/// How a phase went.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PhaseReport {
    /// Its name.
    pub name: Arc<str>,
    /// How long it took.
    pub took: Duration,
    /// What was not done in time, and killed.
    pub late: Vec<Arc<str>>,
    /// Work that failed, and why.
    pub failed: Vec<(Arc<str>, Reason)>,
}

impl Report {
    /// The phases, in order.
    #[must_use]
    pub fn phases(&self) -> &[PhaseReport] {
        &self.phases
    }

    /// Whether nothing was late and nothing failed.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let is_clean = |phase: &PhaseReport| phase.late.is_empty() && phase.failed.is_empty();
        self.phases.iter().all(is_clean)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, phase) in self.phases.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}: {:?}", phase.name, phase.took)?;
            for name in &phase.late {
                write!(f, ", {name} was late")?;
            }
            for (name, reason) in &phase.failed {
                write!(f, ", {name} failed: {reason}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = f.debug_list();
        if let State::Waiting(phases) = &*self.0.lock() {
            list.entries(phases.iter().map(|phase| &phase.name));
        }
        list.finish()
    }
}
