//! What is reported of crashes, to whom, and when not. The hook is the process's: one test at a time.

mod support;

use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use support::{Do, Event, Note, Puppet, Stage, everywhere, on_scheduler};
use weftwork_actor::reports::{self, Crash, Incident};
use weftwork_actor::supervisor::{ChildSpec, Report, SupervisorSpec};
use weftwork_actor::{
    Actor, AsyncHandler, Context, InitError, Options, Reason, StartError, System, start,
};
use weftwork_core::sync::{Mutex, MutexGuard};

static ONE: Mutex<()> = Mutex::new(());

/// Takes the hook for itself, until it is dropped.
struct Reported {
    incidents: Receiver<Incident>,
    _one: MutexGuard<'static, ()>,
}

impl Reported {
    fn new() -> Self {
        let one = ONE.lock();
        let (sender, incidents) = channel();
        reports::set_hook(move |incident| drop(sender.send(incident.clone())));
        Reported {
            incidents,
            _one: one,
        }
    }

    fn crash(&self) -> Crash {
        match self.incidents.try_recv() {
            Ok(Incident::Crash(crash)) => crash,
            other => panic!("{other:?}"),
        }
    }

    fn is_quiet(&self) -> bool {
        self.incidents.try_iter().count() == 0
    }
}

impl Drop for Reported {
    fn drop(&mut self) {
        reports::silence();
    }
}

/// Ends a puppet by what it does, and waits for its end.
fn end_by(stage: &Stage, work: impl FnOnce(&mut Context<Puppet>) + Send + 'static) -> Reason {
    let end = stage.pid().watch();
    stage.tell(move |_, ctx| work(ctx));
    end.wait_down()
}

#[test]
fn a_panic_is_reported_once_with_all_that_is_known_before_anybody_hears_of_the_end() {
    let reported = Reported::new();
    everywhere(|system| {
        let parent = Stage::trapping(system);
        let (events, _events) = channel();
        let child = parent.get(|ctx| {
            let options = Options::new().name("clerk");
            ctx.spawn_link::<Puppet>(events, options).unwrap()
        });
        let other = Stage::trapping(system);
        let pid = child.pid();
        other.get(move |ctx| ctx.link(&pid)).unwrap();
        child.ask(Note(1)).unwrap();
        let me = child.clone();
        child
            .tell(Do(Box::new(move |_, _| {
                me.tell(Note(2)).unwrap();
                me.tell(Note(3)).unwrap();
                panic!("boom")
            })))
            .unwrap();
        assert!(matches!(parent.next(), Event::Exit(..)));
        let crash = reported.crash();
        assert_eq!(crash.pid, child.pid());
        assert_eq!(crash.pid.name(), Some("clerk"));
        assert!(crash.type_name.ends_with("Puppet"));
        assert!(crash.message.unwrap().ends_with("Do"));
        assert_eq!((crash.handled, crash.queue_len), (1, 2));
        assert_eq!(crash.parent, Some(parent.pid()));
        assert_eq!(crash.links, [parent.pid(), other.pid()]);
        let Reason::Panic(panic) = &crash.reason else {
            panic!("{crash}")
        };
        assert_eq!(panic.message(), "boom");
        assert!(panic.location().unwrap().0.ends_with("reports.rs"));
        let text = crash.to_string();
        for part in [
            "(clerk) crashed: panicked: boom at ",
            "Do; 1 handled, 2 queued; started by",
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert!(reported.is_quiet());
    });
}

#[test]
fn a_stop_with_an_error_is_a_crash_and_an_end_in_good_order_is_none() {
    let reported = Reported::new();
    everywhere(|system| {
        let stage = Stage::new(system);
        let reason = Reason::error("no disk");
        let given = reason.clone();
        end_by(&stage, move |ctx| ctx.stop(given));
        let crash = reported.crash();
        assert_eq!(crash.reason, reason);
        assert!(crash.message.unwrap().ends_with("Do"));

        let stage = Stage::new(system);
        stage.stop(Reason::other("from outside"));
        let crash = reported.crash();
        assert_eq!((crash.pid, crash.message), (stage.pid(), None));

        for good in [
            Reason::Normal,
            Reason::Shutdown,
            Reason::shutdown_with("done"),
        ] {
            let stage = Stage::new(system);
            end_by(&stage, move |ctx| ctx.stop(good));
        }
        assert!(reported.is_quiet());
    });
}

#[test]
fn an_end_by_a_signal_is_reported_by_nobody() {
    let reported = Reported::new();
    everywhere(|system| {
        let (one, other) = (Stage::new(system), Stage::new(system));
        one.link(&other);
        let end = other.pid().watch();
        one.pid().exit(Reason::other("r"));
        assert_eq!(end.wait_down(), Reason::other("r"));
        let killed = Stage::new(system);
        let end = killed.pid().watch();
        killed.pid().kill();
        end.wait_down();
        assert!(reported.is_quiet());
    });
}

#[test]
fn of_a_row_of_links_the_first_alone_is_reported() {
    let reported = Reported::new();
    on_scheduler(2, |system| {
        let row: Vec<_> = (0..10).map(|_| Stage::new(system)).collect();
        row.windows(2).for_each(|two| two[0].link(&two[1]));
        let last = row[9].pid().watch();
        end_by(&row[0], |_| panic!("boom"));
        assert!(last.wait_down().is_panic());
        assert_eq!(reported.crash().pid, row[0].pid());
        assert!(reported.is_quiet());
    });
}

/// Fails as its argument says.
struct Fails;

impl Actor for Fails {
    type Args = bool;
    fn init(panics: bool, _: &mut Context<Self>) -> Result<Self, InitError> {
        assert!(!panics, "in init");
        Err(InitError::failed("no disk"))
    }
}

/// Panics, or stops, behind an await.
struct Awaits;

impl Actor for Awaits {
    type Args = ();
    fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> {
        Ok(Awaits)
    }
}

impl AsyncHandler<bool> for Awaits {
    type Reply = ();
    async fn handle(&mut self, panics: bool, ctx: &mut Context<Self>) {
        std::future::ready(()).await;
        assert!(!panics, "behind an await");
        ctx.stop(Reason::other("r"));
    }
}

impl Drop for Awaits {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        assert!(
            !DROPS.load(std::sync::atomic::Ordering::SeqCst),
            "in the drop"
        );
    }
}

static DROPS: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

#[test]
fn a_panic_in_init_is_a_crash_and_an_error_that_it_returns_is_its_starters() {
    let reported = Reported::new();
    everywhere(|system| {
        assert!(start::<Fails>(system, false, Options::new()).is_err());
        assert!(reported.is_quiet());
        let failed = start::<Fails>(system, true, Options::new()).unwrap_err();
        let crash = reported.crash();
        assert_eq!(failed, StartError::Failed(crash.reason));
    });
}

#[test]
fn a_handler_that_awaits_is_named_too_and_a_drop_that_panics_is_a_crash() {
    let reported = Reported::new();
    everywhere(|system| {
        for panics in [true, false] {
            let addr = start::<Awaits>(system, (), Options::new()).unwrap();
            let end = addr.pid().watch();
            addr.tell(panics).unwrap();
            let reason = end.wait_down();
            let crash = reported.crash();
            assert_eq!((crash.message, crash.reason), (Some("bool"), reason));
        }
        let addr = start::<Awaits>(system, (), Options::new()).unwrap();
        DROPS.store(true, std::sync::atomic::Ordering::SeqCst);
        let end = addr.pid().watch();
        addr.stop(Reason::Normal);
        assert!(end.wait_down().is_panic());
        DROPS.store(false, std::sync::atomic::Ordering::SeqCst);
        assert!(reported.crash().reason.is_panic());
        assert!(reported.is_quiet());
    });
}

/// A supervisor of one child, which is crashed once.
fn crash_supervised(system: &System, spec: SupervisorSpec) {
    let (events, _events) = channel();
    let (who, child) = channel();
    let spec = spec.name("app").child(ChildSpec::new("child", move |ctx| {
        let child = ctx.start::<Puppet>(events.clone(), Options::new())?;
        who.send(child.clone()).unwrap();
        Ok::<_, StartError>(child)
    }));
    let app = spec.start(system).unwrap();
    let first = child.recv().unwrap();
    let crashes = Do(Box::new(|_, _| panic!("boom")));
    first.tell(crashes).unwrap();
    child.recv().unwrap();
    app.shutdown();
}

#[test]
fn a_supervisor_without_a_function_of_its_own_reports_here() {
    let reported = Reported::new();
    everywhere(|system| {
        crash_supervised(system, SupervisorSpec::new());
        let all: Vec<_> = reported.incidents.try_iter().collect();
        let is = |incident: &Incident, what: fn(&Report) -> bool| {
            matches!(incident, Incident::Supervisor { pid, report }
                if pid.name() == Some("app") && what(report))
        };
        assert!(is(&all[0], |report| matches!(
            report,
            Report::Started { .. }
        )));
        assert!(matches!(&all[1], Incident::Crash(crash) if crash.reason.is_panic()));
        assert!(is(
            &all[2],
            |report| matches!(report, Report::Ended { reason, .. }
            if reason.is_panic())
        ));
        assert!(is(&all[3], |report| matches!(
            report,
            Report::Started { .. }
        )));
        assert_eq!(all.len(), 4);
        assert!(all[2].to_string().contains("(app): child child ended"));

        let (sender, own) = channel();
        let spec =
            SupervisorSpec::new().on_report(move |_, report| drop(sender.send(report.clone())));
        crash_supervised(system, spec);
        assert_eq!(own.iter().count(), 3);
        assert!(matches!(reported.crash().reason, Reason::Panic(_)));
        assert!(reported.is_quiet());
    });
}

#[test]
fn a_hook_that_panics_or_crashes_others_harms_nobody() {
    let reported = Reported::new();
    everywhere(|system| {
        reports::set_hook(|_| panic!("in the hook"));
        let stage = Stage::new(system);
        let watcher = Stage::trapping(system);
        watcher.link(&stage);
        assert!(end_by(&stage, |_| panic!("boom")).is_panic());
        assert!(matches!(watcher.next(), Event::Exit(_, Reason::Panic(_))));
        // A hook may set another one, and send.
        let (sender, told) = channel();
        let to = watcher.addr.clone();
        reports::set_hook(move |_| {
            to.try_tell(Note(7)).unwrap();
            reports::silence();
            sender.send(()).unwrap();
        });
        end_by(&Stage::new(system), |_| panic!("boom"));
        assert!(told.try_recv().is_ok());
        assert_eq!(watcher.next(), Event::Note(7));
        end_by(&Stage::new(system), |_| panic!("boom"));
        assert!(told.try_recv().is_err(), "it is silent");
    });
    drop(reported);
}

/// Crashes an actor in a process of its own, as the variable says.
#[test]
fn child_of_the_next_test() {
    let Ok(mode) = std::env::var("WEFTWORK_REPORTS") else {
        return;
    };
    std::panic::set_hook(Box::new(|_| {}));
    if mode == "silent" {
        reports::silence();
    }
    let _dog = weftwork_testkit::watchdog(Duration::from_secs(60));
    let rt = weftwork_sched::Runtime::builder()
        .workers(1)
        .build()
        .unwrap();
    crash_supervised(&System::new(rt.handle()), SupervisorSpec::new());
}

#[test]
fn by_default_a_crash_is_printed_to_standard_error_once() {
    let run = |mode: &str| {
        let program = std::env::current_exe().unwrap();
        let output = std::process::Command::new(program)
            .args(["child_of_the_next_test", "--exact", "--nocapture"])
            .env("WEFTWORK_REPORTS", mode)
            .output()
            .unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let printed = run("print");
    assert_eq!(
        printed.matches("crashed: panicked: boom at").count(),
        1,
        "{printed}"
    );
    assert_eq!(printed.matches("supervisor <0.").count(), 1, "{printed}");
    assert!(!printed.contains("started as"), "{printed}");
    assert_eq!(run("silent"), "");
}
