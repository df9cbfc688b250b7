//! What the tests of supervisors share: a worker that logs its ups and downs, and a stage with the log.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::disallowed_types,
    reason = "each test uses a part; tests may use std's locks"
)]

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use weftwork_actor::supervisor::{
    ChildSpec, ChildState, Report, StartContext, SupervisorRef, SupervisorSpec,
};
use weftwork_actor::{
    Actor, Addr, Context, Exit, Handler, InitError, Options, Pid, Reason, StartError, System,
};

/// Traps exits, and logs its start and its end.
#[derive(Debug)]
pub struct Worker {
    name: String,
    log: Log,
}

/// Lets a worker end with this reason.
pub struct Die(pub Reason);

/// Lets a worker panic.
pub struct Panic;

/// Where workers log.
pub type Log = Sender<String>;

impl Actor for Worker {
    type Args = (String, Log);

    fn init((name, log): (String, Log), ctx: &mut Context<Self>) -> Result<Self, InitError> {
        ctx.trap_exit(true);
        let _ = log.send(format!("up {name}"));
        Ok(Worker { name, log })
    }

    fn on_exit(&mut self, exit: Exit, ctx: &mut Context<Self>) {
        ctx.stop(exit.reason);
    }

    fn terminate(&mut self, reason: &Reason, _: &mut Context<Self>) {
        let text = if reason.is_panic() {
            "panic".into()
        } else {
            reason.to_string()
        };
        let _ = self.log.send(format!("down {}: {text}", self.name));
    }
}

impl Handler<Die> for Worker {
    type Reply = ();
    fn handle(&mut self, Die(reason): Die, ctx: &mut Context<Self>) {
        ctx.stop(reason);
    }
}

impl Handler<Panic> for Worker {
    type Reply = ();
    fn handle(&mut self, _: Panic, _: &mut Context<Self>) {
        panic!("told to");
    }
}

/// An actor whose `init` ends as it is told.
#[derive(Debug)]
pub struct Moody;

impl Actor for Moody {
    type Args = InitError;
    fn init(error: InitError, _: &mut Context<Self>) -> Result<Self, InitError> {
        Err(error)
    }
}

/// Traps exits and does nothing about them.
#[derive(Debug)]
pub struct Stubborn;

impl Actor for Stubborn {
    type Args = ();
    fn init((): (), ctx: &mut Context<Self>) -> Result<Self, InitError> {
        ctx.trap_exit(true);
        Ok(Stubborn)
    }
}

/// Starts a stubborn actor that does not obey the supervisor, which is not its parent.
pub fn stubborn(ctx: &mut StartContext<'_>) -> Result<Addr<Stubborn>, StartError> {
    weftwork_actor::start::<Stubborn>(&ctx.system(), (), Options::new())
}

pub struct Stage {
    pub log: Log,
    lines: Receiver<String>,
    reports: Arc<Mutex<Vec<Report>>>,
    /// How many of the next starts fail.
    pub failing: Arc<Mutex<u32>>,
}

impl Stage {
    pub fn new() -> Self {
        let (log, lines) = channel();
        Stage {
            log,
            lines,
            reports: Arc::default(),
            failing: Arc::default(),
        }
    }

    /// A worker as a child.
    pub fn worker(&self, name: &str) -> ChildSpec {
        let (log, owned) = (self.log.clone(), name.to_owned());
        ChildSpec::new(name, move |ctx| {
            ctx.start::<Worker>((owned.clone(), log.clone()), Options::new().name(&*owned))
        })
    }

    /// A worker whose starts fail while `failing` says so.
    pub fn failing_worker(&self, name: &str) -> ChildSpec {
        let (log, owned) = (self.log.clone(), name.to_owned());
        let failing = Arc::clone(&self.failing);
        ChildSpec::new(name, move |ctx| {
            {
                let mut failing = failing.lock().unwrap();
                if *failing > 0 {
                    *failing -= 1;
                    let _ = log.send(format!("no {owned}"));
                    return Err(StartError::Failed(Reason::other("not now")));
                }
            }
            ctx.start::<Worker>((owned.clone(), log.clone()), Options::new())
        })
    }

    /// A supervisor that reports here.
    pub fn spec(&self) -> SupervisorSpec {
        let reports = Arc::clone(&self.reports);
        SupervisorSpec::new()
            .intensity(100, Duration::from_secs(60))
            .on_report(move |_, report| reports.lock().unwrap().push(report.clone()))
    }

    /// The lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.lines.try_iter().collect()
    }

    /// The next line.
    pub fn next(&self) -> String {
        self.lines.recv().unwrap()
    }

    /// What was reported, without the starts.
    pub fn reports(&self) -> Vec<Report> {
        let mut reports = self.reports.lock().unwrap();
        reports.retain(|report| !matches!(report, Report::Started { .. }));
        std::mem::take(&mut reports)
    }
}

/// Starts a supervisor that is to start.
pub fn start(system: &System, spec: SupervisorSpec) -> SupervisorRef {
    spec.start(system).expect("it starts")
}

/// The pid of a child that runs.
pub fn pid(supervisor: &SupervisorRef, id: &str) -> Pid {
    let found = supervisor.find_child(id).expect("there is the child");
    found.expect("it runs")
}

/// Ends a child with a reason, and waits until the supervisor has acted.
pub fn end(supervisor: &SupervisorRef, id: &str, reason: Reason) {
    end_pid(supervisor, &pid(supervisor, id), reason);
}

/// As `end`, by pid.
pub fn end_pid(supervisor: &SupervisorRef, pid: &Pid, reason: Reason) {
    let watch = pid.watch();
    match reason {
        Reason::Killed => pid.kill(),
        reason => pid.stop(reason),
    }
    watch.wait_down();
    settle(supervisor);
}

/// Waits until the supervisor has served what was there, or has ended.
pub fn settle(supervisor: &SupervisorRef) {
    let _ = supervisor.count_children();
}

/// The children in a list, as text.
pub fn children(supervisor: &SupervisorRef) -> Vec<String> {
    let list = supervisor.which_children().expect("it lives");
    let text = |child: &weftwork_actor::supervisor::ChildInfo| {
        let id = child.id.as_ref().map_or("-", |id| id.as_str());
        match &child.state {
            ChildState::Running(_) => id.to_owned(),
            ChildState::Restarting => format!("{id} restarting"),
            ChildState::Ended => format!("{id} ended"),
        }
    };
    list.iter().map(text).collect()
}
