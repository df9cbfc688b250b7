//! Watching an actor's handlers: which one runs, since when, and a trace of them.

use super::info::inspect;
use crate::number;
use crate::pid::Pid;
use crate::recipient::Recipient;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use weftwork_core::sync::Mutex;

/// A handler began or ended.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Trace {
    /// A handler is about to run.
    Begin {
        /// Whose.
        pid: Pid,
        /// The name of the message's type.
        message: &'static str,
    },
    /// It has returned, or panicked.
    End {
        /// Whose.
        pid: Pid,
        /// The name of the message's type.
        message: &'static str,
        /// How long it took.
        took: Duration,
    },
}

/// Watches the handlers of one actor as long as it is kept. Dropping it ends the watch.
///
/// A watched actor reads the clock twice for each message.
///
/// ```
/// use weftwork_actor::introspect::{Probe, Trace};
/// use weftwork_actor::{Actor, Context, Handler, InitError, Options, start};
///
/// struct Tracer(Vec<Trace>);
///
/// impl Actor for Tracer {
///     type Args = ();
///     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> {
///         Ok(Tracer(Vec::new()))
///     }
/// }
///
/// impl Handler<Trace> for Tracer {
///     type Reply = ();
///     fn handle(&mut self, trace: Trace, _: &mut Context<Self>) {
///         self.0.push(trace);
///     }
/// }
///
/// /// How many it has heard of.
/// impl Handler<()> for Tracer {
///     type Reply = usize;
///     fn handle(&mut self, _: (), _: &mut Context<Self>) -> usize {
///         self.0.len()
///     }
/// }
///
/// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
/// let tracer = start::<Tracer>(rt.handle(), (), Options::new())?;
/// let traced = start::<Tracer>(rt.handle(), (), Options::new())?;
/// let probe = Probe::tracing(&traced.pid(), tracer.recipient()).expect("it is alive");
/// traced.ask(()).unwrap();
/// traced.ask(()).unwrap();
/// // Two begin; the end of the second may come behind its answer.
/// assert!(tracer.ask(()).unwrap() >= 3);
/// # drop(probe);
/// # tracer.kill();
/// # traced.kill();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a probe that is dropped watches no more"]
pub struct Probe {
    pid: Pid,
    watch: Arc<Watch>,
}

impl Probe {
    /// Watches an actor's handlers. `None`: it has ended.
    #[must_use]
    pub fn new(pid: &Pid) -> Option<Probe> {
        Probe::attach(pid, None)
    }

    /// As [`new`](Self::new), and tells `to` of each handler. What does not get into its mailbox is left out.
    #[must_use]
    pub fn tracing(pid: &Pid, to: Recipient<Trace>) -> Option<Probe> {
        Probe::attach(pid, Some(to))
    }

    fn attach(pid: &Pid, to: Option<Recipient<Trace>>) -> Option<Probe> {
        let watch = Arc::new(Watch {
            number: number::next(),
            running: Mutex::new(None),
            to,
        });
        let its = Arc::clone(&watch);
        // It takes effect before whatever the caller sends afterwards.
        inspect(pid, move |own| own.more().watches.0.push(its))?;
        Some(Probe {
            pid: pid.clone(),
            watch,
        })
    }

    /// Whom it watches.
    #[must_use]
    pub fn pid(&self) -> &Pid {
        &self.pid
    }

    /// The name of the type of message whose handler runs just now, and for how long it has.
    #[must_use]
    pub fn running(&self) -> Option<(&'static str, Duration)> {
        let running = *self.watch.running.lock();
        running.map(|(message, since)| (message, since.elapsed()))
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        let number = self.watch.number;
        drop(inspect(&self.pid, move |own| {
            own.more().watches.0.retain(|watch| watch.number != number);
        }));
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("Probe");
        f.field("pid", &self.pid)
            .field("running", &self.running())
            .finish()
    }
}

/// What a probe and its actor share.
struct Watch {
    number: u64,
    running: Mutex<Option<(&'static str, Instant)>>,
    to: Option<Recipient<Trace>>,
}

/// The watches of an actor: few.
#[derive(Default, Clone)]
pub(crate) struct Watches(Vec<Arc<Watch>>);

impl Watches {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// A handler is about to run. Called by the actor, which holds no reference to its part.
    pub(crate) fn begin(&self, pid: &Pid, message: &'static str) {
        let now = Instant::now();
        for watch in &self.0 {
            *watch.running.lock() = Some((message, now));
            watch.tell(|| Trace::Begin {
                pid: pid.clone(),
                message,
            });
        }
    }

    /// It has returned.
    pub(crate) fn end(&self, pid: &Pid) {
        for watch in &self.0 {
            // One that came while the handler ran saw no beginning.
            if let Some((message, since)) = watch.running.lock().take() {
                watch.tell(|| Trace::End {
                    pid: pid.clone(),
                    message,
                    took: since.elapsed(),
                });
            }
        }
    }
}

impl Watch {
    fn tell(&self, trace: impl FnOnce() -> Trace) {
        if let Some(to) = &self.to {
            drop(to.try_tell(trace()));
        }
    }
}
