//! Being told of mailboxes that are long and of handlers that take long (OTP's `system_monitor`).
//!
//! An actor looks at those that it was given, once per period. An alarm is raised when a limit is passed,
//! and cleared when it is passed no more: once each, not once per look.

use super::probe::Probe;
use crate::actor::{Actor, Handler, InitError};
use crate::addr::Addr;
use crate::context::Context;
use crate::error::StartError;
use crate::executor::Executor;
use crate::options::Options;
use crate::pid::Pid;
use crate::recipient::Recipient;
use crate::start::start;
use std::time::Duration;

/// What is too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// So many messages in a mailbox.
    pub queue_len: usize,
    /// So long in one handler.
    pub handler: Duration,
    /// How often to look: what lasts for less may go unseen.
    pub period: Duration,
}

/// Ten thousand messages, a second; a look every hundred milliseconds.
impl Default for Limits {
    fn default() -> Self {
        Limits {
            queue_len: 10_000,
            handler: Duration::from_secs(1),
            period: Duration::from_millis(100),
        }
    }
}

/// A limit is passed, or is no more.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Alarm {
    /// By whom.
    pub pid: Pid,
    /// Which.
    pub kind: AlarmKind,
    /// Whether it is passed; if not the alarm is cleared.
    pub is_raised: bool,
}

/// What an alarm is about, with the value that was seen; that of a cleared one is the last that was raised.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum AlarmKind {
    /// So many messages wait.
    LongQueue(usize),
    /// The handler of this type of message has run for so long.
    LongHandler(&'static str, Duration),
}

/// Looks after actors, and raises alarms. Dropping it ends nothing: see [`stop`](Self::stop).
///
/// ```
/// use weftwork_actor::introspect::{Alarm, Alarms, Limits};
/// use weftwork_actor::{Actor, Context, Handler, InitError, Options, start};
///
/// struct Pager;
///
/// impl Actor for Pager {
///     type Args = ();
///     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> {
///         Ok(Pager)
///     }
/// }
///
/// impl Handler<Alarm> for Pager {
///     type Reply = ();
///     fn handle(&mut self, alarm: Alarm, _: &mut Context<Self>) {
///         eprintln!("{alarm:?}");
///     }
/// }
///
/// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
/// let pager = start::<Pager>(rt.handle(), (), Options::new())?;
/// let alarms = Alarms::start(rt.handle(), Limits::default(), pager.recipient())?;
/// alarms.watch(&pager.pid());
/// alarms.stop();
/// # pager.kill();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Alarms(Addr<Guard>);

impl Alarms {
    /// Starts to look after actors, none at first. Alarms are told to `to`, and left out if its mailbox is
    /// full.
    ///
    /// # Errors
    /// The executor takes no more tasks.
    ///
    /// # Panics
    /// The period is zero.
    #[track_caller]
    pub fn start(
        executor: &impl Executor,
        limits: Limits,
        to: Recipient<Alarm>,
    ) -> Result<Alarms, StartError> {
        assert!(!limits.period.is_zero(), "a guard that never rests");
        let guard = start::<Guard>(executor, (limits, to), Options::new().name("alarms"))?;
        Ok(Alarms(guard))
    }

    /// Looks after an actor, too, until it ends.
    pub fn watch(&self, pid: &Pid) {
        // It has ended: so has the guard's work.
        drop(self.0.tell(Watch(pid.clone())));
    }

    /// Looks after nobody any more.
    pub fn stop(&self) {
        self.0.stop(crate::Reason::Normal);
    }
}

/// Looks after actors.
#[derive(Debug)]
struct Guard {
    limits: Limits,
    to: Recipient<Alarm>,
    watched: Vec<Watched>,
}

#[derive(Debug)]
struct Watched {
    probe: Probe,
    queue: Option<AlarmKind>,
    handler: Option<AlarmKind>,
}

struct Watch(Pid);

#[derive(Clone)]
struct Look;

impl Actor for Guard {
    type Args = (Limits, Recipient<Alarm>);

    fn init((limits, to): Self::Args, ctx: &mut Context<Self>) -> Result<Self, InitError> {
        ctx.send_every(limits.period, Look);
        Ok(Guard {
            limits,
            to,
            watched: Vec::new(),
        })
    }
}

impl Handler<Watch> for Guard {
    type Reply = ();

    fn handle(&mut self, Watch(pid): Watch, _: &mut Context<Self>) {
        if let Some(probe) = Probe::new(&pid) {
            self.watched.push(Watched {
                probe,
                queue: None,
                handler: None,
            });
        }
    }
}

impl Handler<Look> for Guard {
    type Reply = ();

    fn handle(&mut self, _: Look, _: &mut Context<Self>) {
        let Guard {
            limits,
            to,
            watched,
        } = self;
        watched.retain(|one| one.probe.pid().is_alive());
        for Watched {
            probe,
            queue,
            handler,
        } in watched
        {
            let pid = probe.pid();
            let len = pid.mailbox_len();
            let long_queue = (len >= limits.queue_len).then_some(AlarmKind::LongQueue(len));
            change(to, pid, queue, long_queue);
            let long_handler = (probe.running())
                .filter(|(_, time)| *time >= limits.handler)
                .map(|(message, time)| AlarmKind::LongHandler(message, time));
            change(to, pid, handler, long_handler);
        }
    }
}

/// Tells of a change, if it is one.
fn change(
    to: &Recipient<Alarm>,
    pid: &Pid,
    before: &mut Option<AlarmKind>,
    now: Option<AlarmKind>,
) {
    let alarm = match (*before, now) {
        (None, Some(kind)) => Some((kind, true)),
        (Some(kind), None) => Some((kind, false)),
        _ => None,
    };
    *before = now;
    if let Some((kind, is_raised)) = alarm {
        drop(to.try_tell(Alarm {
            pid: pid.clone(),
            kind,
            is_raised,
        }));
    }
}
