//! An `init` that awaits: what its start tells, and how it is called off.

mod support;

use std::sync::mpsc::{Sender, channel};
use std::time::Duration;
use support::{Event, Note, Stage, everywhere, on_scheduler};
use weftwork_actor::supervisor::{ChildSpec, SupervisorSpec};
use weftwork_actor::{
    AsyncActor, Context, Exit, Handler, InitError, Options, Pid, Reason, StartError, System, start,
    start_async,
};
use weftwork_csp::{Receiver, bounded};
use weftwork_testkit::{Counted, DropCounter};

enum Then {
    Ok,
    Ignore,
    Fail,
    Panic,
}

struct Args {
    gate: Receiver<()>,
    then: Then,
    traps: bool,
    events: Sender<Event>,
    who: Sender<Pid>,
    kept: Counted<()>,
}

#[derive(Debug)]
struct Slow {
    events: Sender<Event>,
}

impl AsyncActor for Slow {
    type Args = Args;

    async fn init(args: Args, ctx: &mut Context<Self>) -> Result<Self, InitError> {
        let _kept = args.kept;
        ctx.trap_exit(args.traps);
        ctx.continue_with(Note(1));
        ctx.send_after(Duration::ZERO, Note(3));
        args.who.send(ctx.pid()).unwrap();
        let _ = args.gate.recv_async().await;
        match args.then {
            Then::Ok => Ok(Slow {
                events: args.events,
            }),
            Then::Ignore => Err(InitError::Ignore),
            Then::Fail => Err(Reason::other("no disk").into()),
            Then::Panic => panic!("in init"),
        }
    }

    fn on_exit(&mut self, exit: Exit, _: &mut Context<Self>) {
        let _ = self.events.send(Event::Exit(exit.from, exit.reason));
    }

    fn terminate(&mut self, reason: &Reason, _: &mut Context<Self>) {
        let _ = self.events.send(Event::Terminate(reason.clone()));
    }
}

impl Handler<Note> for Slow {
    type Reply = u64;
    fn handle(&mut self, Note(n): Note, _: &mut Context<Self>) -> u64 {
        let _ = self.events.send(Event::Note(n));
        n
    }
}

/// A start that waits at a gate, on a thread of its own.
struct Starting {
    open: weftwork_csp::Sender<()>,
    events: std::sync::mpsc::Receiver<Event>,
    pid: Pid,
    drops: DropCounter,
    started: std::thread::JoinHandle<Result<weftwork_actor::Addr<Slow>, StartError>>,
}

fn begin(system: &System, then: Then, traps: bool, options: Options) -> Starting {
    try_begin(system, then, traps, options).expect("init has all the time")
}

/// None: the time of the start was over before `init` was called.
fn try_begin(system: &System, then: Then, traps: bool, options: Options) -> Option<Starting> {
    let (open, gate) = bounded(1);
    let (sender, events) = channel();
    let (who, pid) = channel();
    let drops = DropCounter::new();
    let args = Args {
        gate,
        then,
        traps,
        events: sender,
        who,
        kept: drops.track(()),
    };
    let system = system.clone();
    let started = std::thread::spawn(move || start::<Slow>(&system, args, options));
    Some(Starting {
        open,
        events,
        pid: pid.recv().ok()?,
        drops,
        started,
    })
}

#[test]
fn a_start_returns_when_the_future_is_ready_and_messages_wait_until_then() {
    everywhere(|system| {
        let slow = begin(system, Then::Ok, false, Options::new());
        let early: weftwork_actor::Addr<Slow> = slow.pid.downcast().expect("its type is known");
        early.tell(Note(2)).unwrap();
        assert!(!slow.started.is_finished());
        slow.open.send(()).unwrap();
        let addr = slow.started.join().unwrap().unwrap();
        assert_eq!(addr, early);
        assert_eq!(addr.ask(Note(4)), Ok(4));
        let mut first: Vec<_> = slow.events.iter().take(4).collect();
        // What it continues with comes before all else; the timer comes when it comes.
        assert_eq!(first[0], Event::Note(1));
        first.retain(|event| *event != Event::Note(3));
        assert_eq!(first, [Event::Note(1), Event::Note(2), Event::Note(4)]);
        addr.kill();
    });
}

#[test]
fn a_future_that_makes_no_actor_is_an_error_of_the_start_and_leaves_nothing() {
    everywhere(|system| {
        let go = |then| {
            let slow = begin(system, then, false, Options::new());
            let end = slow.pid.watch();
            slow.open.send(()).unwrap();
            let failed = slow.started.join().unwrap().unwrap_err();
            (
                failed,
                end.wait_down(),
                slow.drops.live(),
                slow.events.iter().count(),
            )
        };
        assert_eq!(
            go(Then::Ignore),
            (StartError::Ignored, Reason::Normal, 0, 0)
        );
        let no_disk = Reason::other("no disk");
        let failed = StartError::Failed(no_disk.clone());
        assert_eq!(go(Then::Fail), (failed, no_disk, 0, 0));
        let (failed, end, live, events) = go(Then::Panic);
        assert_eq!(
            (failed, live, events),
            (StartError::Failed(end.clone()), 0, 0)
        );
        assert!(end.is_panic());
    });
}

#[test]
fn a_future_that_is_never_ready_is_dropped_when_the_time_of_the_start_is_over() {
    everywhere(|system| {
        // On a busy machine the time may be over before it begins.
        let slow = [5, 50, 500, 5_000].into_iter().find_map(|ms| {
            let options = Options::new().timeout(Duration::from_millis(ms));
            try_begin(system, Then::Ok, true, options)
        });
        let slow = slow.expect("init is called within seconds");
        let end = slow.pid.watch();
        assert_eq!(
            slow.started.join().unwrap().unwrap_err(),
            StartError::Timeout
        );
        assert!(matches!(end.wait_down(), Reason::Killed | Reason::NoProc));
        assert_eq!(slow.drops.live(), 0);
        // Its gate was dropped with it.
        assert!(slow.open.send(()).is_err());
        assert_eq!(slow.events.iter().count(), 0, "terminate is not called");
    });
}

#[test]
fn an_exit_ends_a_future_where_it_awaits_unless_it_is_trapped() {
    everywhere(|system| {
        let slow = begin(system, Then::Ok, false, Options::new());
        slow.pid.exit(Reason::other("r"));
        let failed = StartError::Failed(Reason::other("r"));
        assert_eq!(slow.started.join().unwrap().unwrap_err(), failed);
        assert_eq!(slow.drops.live(), 0);

        let slow = begin(system, Then::Ok, false, Options::new());
        slow.pid.kill();
        let failed = StartError::Failed(Reason::Killed);
        assert_eq!(slow.started.join().unwrap().unwrap_err(), failed);

        let slow = begin(system, Then::Ok, true, Options::new());
        slow.pid.exit(Reason::other("r"));
        slow.open.send(()).unwrap();
        let addr = slow.started.join().unwrap().unwrap();
        addr.ask(Note(2)).unwrap();
        let exit = Event::Exit(Pid::outside(), Reason::other("r"));
        assert!(slow.events.iter().take(4).any(|event| event == exit));
        addr.kill();
    });
}

#[test]
fn a_stop_that_comes_while_a_future_awaits_is_served_afterwards() {
    everywhere(|system| {
        let slow = begin(system, Then::Ok, false, Options::new());
        slow.pid.stop(Reason::Shutdown);
        let end = slow.pid.watch();
        slow.open.send(()).unwrap();
        slow.started.join().unwrap().unwrap();
        assert_eq!(end.wait_down(), Reason::Shutdown);
        assert_eq!(
            slow.events.iter().last(),
            Some(Event::Terminate(Reason::Shutdown))
        );
    });
}

#[test]
fn a_start_that_is_awaited_may_be_dropped_and_the_actor_starts_nevertheless() {
    on_scheduler(2, |system| {
        let (open, gate) = bounded(1);
        let (events, _heard) = channel();
        let (who, pid) = channel();
        let args = Args {
            gate,
            then: Then::Ok,
            traps: false,
            events,
            who,
            kept: DropCounter::new().track(()),
        };
        let mut starting = Box::pin(start_async::<Slow>(system, args, Options::new()));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(starting.as_mut().poll(&mut context).is_pending());
        let pid = pid.recv().unwrap();
        drop(starting);
        open.send(()).unwrap();
        let addr: weftwork_actor::Addr<Slow> = pid.downcast().unwrap();
        assert_eq!(addr.ask(Note(2)), Ok(2));
        addr.kill();
    });
}

/// Awaits an answer of whoever it is given, before it is there.
struct Asks;

impl AsyncActor for Asks {
    type Args = weftwork_actor::Addr<support::Puppet>;
    async fn init(of: Self::Args, _: &mut Context<Self>) -> Result<Self, InitError> {
        match of.ask_async(Note(1)).await {
            Ok(_) => Ok(Asks),
            Err(error) => Err(InitError::failed(error.to_string())),
        }
    }
}

#[test]
fn a_future_may_ask_others_and_is_told_of_a_circle_if_it_asks_who_starts_it() {
    on_scheduler(2, |system| {
        let (starter, other) = (Stage::new(system), Stage::new(system));
        let of = other.addr.clone();
        let asks = starter.get(|ctx| ctx.spawn::<Asks>(of, Options::new()));
        asks.unwrap().kill();
        let of = starter.addr.clone();
        let asks = starter.get(|ctx| ctx.spawn::<Asks>(of, Options::new()));
        let StartError::Failed(reason) = asks.unwrap_err() else {
            panic!("it has failed")
        };
        assert!(reason.to_string().contains("wait for itself"), "{reason}");
    });
}

#[test]
fn a_supervisor_starts_and_restarts_one_whose_init_awaits() {
    everywhere(|system| {
        let other = Stage::new(system);
        let of = other.addr.clone();
        let child = move |ctx: &mut weftwork_actor::supervisor::StartContext<'_>| {
            ctx.start::<Asks>(of.clone(), Options::new())
        };
        let spec = SupervisorSpec::new().child(ChildSpec::new("asks", child));
        let app = spec.start(system).unwrap();
        let first = app.which_children().unwrap()[0].clone();
        let weftwork_actor::supervisor::ChildState::Running(pid) = first.state else {
            panic!("it runs")
        };
        pid.kill();
        assert_eq!(other.next(), Event::Note(1));
        assert_eq!(other.next(), Event::Note(1));
        app.shutdown();
    });
}
