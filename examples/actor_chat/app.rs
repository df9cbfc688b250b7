//! The tree of supervisors, and how it comes down.
//!
//! Shutdown is in phases, each with a limit: first nobody comes in any more; then everybody is said goodbye
//! to, and the sessions end as their clients answer; then the tree is stopped, with whoever has not answered.

use std::panic;
use std::time::Duration;

use tungstenite::protocol::frame::coding::CloseCode;
use weftwork::Handle;
use weftwork::actor::reports::{self, Incident};
use weftwork::actor::shutdown::{Report, Shutdown};
use weftwork::actor::supervisor::{
    self, ChildSpec, Counts, Kind, Restart, Rules, Strategy, SupervisorRef, SupervisorSpec,
};
use weftwork::actor::{Actor, Context, Reason, StartError};
use weftwork::net::TcpListener;

use crate::Outcome;
use crate::door::Door;
use crate::hub::{Hub, OVERFLOW};
use crate::session::{Goodbye, Session};

/// What a panic says that was asked for.
pub(crate) const ON_PURPOSE: &str = "crash on purpose";

/// Crashes an actor. Where a panic would be the end of the process, it stops with an error instead.
pub(crate) fn crash<A: Actor>(ctx: &mut Context<A>) {
    if cfg!(panic = "unwind") {
        panic!("{ON_PURPOSE}");
    }
    ctx.stop(Reason::other(ON_PURPOSE));
}

/// Whether a reason is that of a crash, asked for or not.
pub(crate) fn is_crash(reason: &Reason) -> bool {
    reason.is_panic() || *reason == Reason::other(ON_PURPOSE)
}

/// How many sessions and rooms there may be.
const MOST_SESSIONS: usize = 18_000;
const MOST_ROOMS: usize = 10_000;

/// How many crashes of rooms are bad luck.
const ROOM_CRASHES: u32 = 2_000;

/// A chat that runs.
#[derive(Debug, Clone)]
pub(crate) struct App {
    hub: Hub,
    root: SupervisorRef,
}

impl App {
    /// Starts everybody on the runtime; connections come in at `listener`.
    pub(crate) fn start(
        runtime: &Handle,
        listener: TcpListener,
        history: usize,
    ) -> Result<App, StartError> {
        let hub = Hub::new(history);
        let (for_rooms, for_sessions, for_door) = (hub.clone(), hub.clone(), hub.clone());
        let rooms = ChildSpec::new("rooms", move |ctx| {
            let rooms = ctx.supervise(rooms(&for_rooms))?;
            for_rooms.set_rooms(rooms.clone());
            Ok(rooms)
        });
        let sessions = ChildSpec::new("sessions", move |ctx| {
            let sessions = ctx.supervise(sessions(&for_sessions))?;
            for_sessions.set_sessions(sessions.clone());
            Ok(sessions)
        });
        // The closure has the listener, so a door that crashes loses no connection that waits; it goes with
        // the door's place.
        let door = ChildSpec::new("door", move |ctx| {
            let listener = listener.try_clone();
            let listener = listener.map_err(|e| StartError::Failed(e.to_string().into()))?;
            ctx.start::<Door>((listener, for_door.clone()), Default::default())
        });
        let root = SupervisorSpec::new()
            .name("app")
            .strategy(Strategy::RestForOne)
            .intensity(3, Duration::from_secs(10))
            .child(rooms.kind(Kind::Supervisor))
            .child(sessions.kind(Kind::Supervisor))
            .child(door)
            .start(runtime)?;
        Ok(App { hub, root })
    }

    pub(crate) fn hub(&self) -> &Hub {
        &self.hub
    }

    /// What the supervisors of sessions and of rooms count.
    pub(crate) fn children(&self) -> Outcome<(Counts, Counts)> {
        let count = |of: Option<SupervisorRef>| {
            let supervisor = of.ok_or("a supervisor is missing")?;
            supervisor.count_children().map_err(|e| e.to_string())
        };
        Ok((count(self.hub.sessions())?, count(self.hub.rooms())?))
    }

    /// Shuts down, and tells how that went.
    pub(crate) fn shut_down(&self, runtime: &Handle) -> Outcome<Report> {
        let shutdown = Shutdown::new([
            ("close the door", Duration::from_secs(5)),
            ("say goodbye", Duration::from_secs(20)),
            ("stop", Duration::from_secs(10)),
        ]);
        let app = self.clone();
        shutdown
            .add("close the door", "door", move || app.close_door())
            .and_then(|()| {
                let hub = self.hub.clone();
                shutdown.add("say goodbye", "sessions", move || say_goodbye(&hub))
            })
            .and_then(|()| shutdown.stop("stop", &self.root.pid()))
            .map_err(|e| e.to_string())?;
        shutdown
            .run(runtime)
            .ok_or_else(|| "it runs already".to_owned())
    }

    fn close_door(&self) {
        let closed = self.root.terminate_child("door");
        closed
            .and_then(|()| self.root.delete_child("door"))
            .unwrap_or_else(|e| panic!("the door is not closed: {e}"));
    }
}

/// The supervisor of rooms: one that crashes is started again, and the others do not notice.
fn rooms(hub: &Hub) -> SupervisorSpec {
    let hub = hub.clone();
    SupervisorSpec::new()
        .intensity(ROOM_CRASHES, Duration::from_secs(10))
        .max_children(MOST_ROOMS)
        .on_report(move |_, report| hub.counts().of_rooms(report))
}

/// The supervisor of sessions: one that crashes is gone, for so is its connection. The client comes again.
fn sessions(hub: &Hub) -> SupervisorSpec {
    let hub = hub.clone();
    SupervisorSpec::dynamic(Rules::new().restart(Restart::Temporary))
        .max_children(MOST_SESSIONS)
        .on_report(move |_, report| hub.counts().of_sessions(report))
}

/// Says goodbye to everybody, and waits until all have answered or are overdue.
fn say_goodbye(hub: &Hub) {
    let named = hub.names().registered();
    let sessions = named
        .into_iter()
        .filter_map(|(_, pid)| pid.downcast::<Session>());
    let watchers: Vec<_> = sessions
        .filter_map(|session| {
            let watcher = session.pid().watch();
            let goodbye = Goodbye(CloseCode::Away, "the server is going down");
            // One that is full, or has ended, is leaving anyhow.
            session.try_tell(goodbye).ok().map(|()| watcher)
        })
        .collect();
    for watcher in watchers {
        watcher.wait_down();
    }
}

/// Keeps what was asked for out of the log: panics, crashes, and the ends of sessions that are too slow.
/// To be called before the first actor is started.
pub(crate) fn quiet_on_purpose() {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if info.payload_as_str() != Some(ON_PURPOSE) {
            report(info);
        }
    }));
    reports::set_hook(|incident| {
        if let Incident::Supervisor {
            report: supervisor::Report::Started { .. },
            ..
        } = incident
        {
            return;
        }
        let text = incident.to_string();
        if ![ON_PURPOSE, OVERFLOW].iter().any(|why| text.contains(why)) {
            eprintln!("{text}");
        }
    });
}
