//! How a start ends: with an actor, or with the reason why there is none, and nothing left behind.

mod support;

use std::sync::mpsc::{Sender, channel};
use std::time::Duration;
use support::{Event, Puppet, Stage, everywhere, on_scheduler};
use weftwork_actor::{
    Actor, Context, InitError, Options, Pid, Reason, StartError, System, start, start_async,
};
use weftwork_core::wait::{Reason as WaitReason, wait};

/// Starts as it is told.
#[derive(Debug)]
struct Starter;

enum How {
    Ok,
    Ignore,
    Fail,
    Panic,
    Never,
    Stop,
}

impl Actor for Starter {
    type Args = (How, Sender<Pid>);
    fn init((how, who): Self::Args, ctx: &mut Context<Self>) -> Result<Self, InitError> {
        who.send(ctx.pid()).unwrap();
        match how {
            How::Ok => Ok(Starter),
            How::Ignore => Err(InitError::Ignore),
            How::Fail => Err(InitError::Failed(Reason::other("no disk"))),
            How::Panic => panic!("in init"),
            How::Never => wait(WaitReason::PARK, |_| std::task::Poll::Pending),
            How::Stop => {
                ctx.stop(Reason::other("at once"));
                Ok(Starter)
            }
        }
    }
}

#[test]
fn a_start_tells_how_init_ended() {
    everywhere(|system| {
        let go = |how| {
            let (who, pid) = channel();
            let started = start::<Starter>(system, (how, who), Options::new());
            (started, pid.recv().unwrap())
        };
        let (started, pid) = go(How::Ok);
        assert_eq!(started.unwrap().pid(), pid);
        pid.kill();
        let (started, pid) = go(How::Ignore);
        assert_eq!(started.unwrap_err(), StartError::Ignored);
        assert_eq!(pid.exit_reason(), Some(Reason::Normal));
        let (started, pid) = go(How::Fail);
        let failed = StartError::Failed(Reason::other("no disk"));
        assert_eq!(started.unwrap_err(), failed);
        assert!(!pid.is_alive());
        let (started, pid) = go(How::Panic);
        assert!(matches!(
            started.unwrap_err(),
            StartError::Failed(Reason::Panic(_))
        ));
        assert!(!pid.is_alive());
        let (started, _) = go(How::Stop);
        let end = started.unwrap().pid().watch().wait_down();
        assert!(matches!(end, Reason::NoProc) || end == Reason::other("at once"));
    });
}

#[test]
fn a_start_that_is_awaited_tells_the_same() {
    everywhere(|system| {
        let go = |how| {
            let (who, _pid) = channel();
            weftwork_core::block_on(async {
                start_async::<Starter>(system, (how, who), Options::new()).await
            })
        };
        go(How::Ok).unwrap().kill();
        assert_eq!(go(How::Ignore).unwrap_err(), StartError::Ignored);
    });
}

#[test]
fn an_init_that_never_returns_is_killed_when_the_time_is_over() {
    on_scheduler(2, |system| {
        // On a busy machine the time may be over before it begins.
        let begun = [5, 50, 500, 5_000].into_iter().find_map(|ms| {
            let (who, pid) = channel();
            let options = Options::new().timeout(Duration::from_millis(ms));
            let started = start::<Starter>(system, (How::Never, who), options);
            assert_eq!(started.unwrap_err(), StartError::Timeout);
            pid.recv().ok()
        });
        let pid = begun.expect("init is called within seconds");
        // It waits inside init: the kill unwinds it from there.
        let end = pid.watch().wait_down();
        assert!(matches!(end, Reason::Killed | Reason::NoProc));
    });
}

#[test]
fn a_child_that_fails_to_start_sends_its_parent_no_exit() {
    everywhere(|system| {
        let parent = Stage::trapping(system);
        for how in [How::Fail, How::Ignore, How::Panic] {
            let (who, _pid) = channel();
            parent.run(move |_, ctx| {
                let started = ctx.spawn_link::<Starter>((how, who), Options::new());
                assert!(started.is_err());
                assert_eq!(ctx.links(), []);
            });
        }
        assert_eq!(parent.so_far(), []);
    });
}

#[test]
fn others_that_init_was_linked_to_get_the_exit() {
    struct Linked;
    impl Actor for Linked {
        type Args = Pid;
        fn init(other: Pid, ctx: &mut Context<Self>) -> Result<Self, InitError> {
            ctx.link(&other).unwrap();
            Err(InitError::Failed(Reason::other("r")))
        }
    }
    everywhere(|system| {
        let other = Stage::trapping(system);
        assert!(start::<Linked>(system, other.pid(), Options::new()).is_err());
        assert!(matches!(other.next(), Event::Exit(_, reason) if reason == Reason::other("r")));
    });
}

#[test]
fn a_child_is_linked_before_its_init_runs_and_ends_with_its_parent() {
    struct Child;
    impl Actor for Child {
        type Args = ();
        fn init(_: (), ctx: &mut Context<Self>) -> Result<Self, InitError> {
            let parent = ctx.parent().unwrap();
            assert_eq!(ctx.links(), [parent]);
            Ok(Child)
        }
    }
    everywhere(|system| {
        let parent = Stage::new(system);
        let child = parent.get(|ctx| ctx.spawn_link::<Child>((), Options::new()).unwrap());
        let end = child.pid().watch();
        parent.stop(Reason::Shutdown);
        assert_eq!(end.wait_down(), Reason::Shutdown);
    });
}

#[test]
fn a_child_without_a_link_outlives_its_parent_and_one_with_a_monitor_is_watched() {
    everywhere(|system| {
        let parent = Stage::new(system);
        let (events, _told) = channel();
        let (child, other) = parent.get(move |ctx| {
            let other = ctx.spawn::<Puppet>(events.clone(), Options::new()).unwrap();
            let watched = ctx.spawn_monitor::<Puppet>(events, Options::new());
            (watched.unwrap().0, other)
        });
        child.stop(Reason::other("r"));
        assert_eq!(parent.next(), Event::Down(child.pid(), Reason::other("r")));
        parent.stop(Reason::Shutdown);
        other.ask(support::Note(1)).unwrap();
        other.kill();
    });
}

#[test]
fn an_executor_that_takes_no_more_refuses_the_start() {
    #[derive(Clone)]
    struct Closed;
    impl weftwork_core::Spawn for Closed {
        fn spawn_task(&self, task: weftwork_core::Task) -> Result<(), weftwork_core::Refused> {
            Err(weftwork_core::Refused(task))
        }
    }
    let system = System::new(&Closed);
    let (who, _pid) = channel();
    let started = start::<Starter>(&system, (How::Ok, who), Options::new());
    assert_eq!(started.unwrap_err(), StartError::Refused);
}

#[test]
fn names_are_for_reports() {
    everywhere(|system| {
        let stage = Stage::with(system, Options::new().name("clerk"));
        let pid = stage.pid();
        assert_eq!(pid.name(), Some("clerk"));
        assert_eq!(format!("{pid}"), format!("<0.{}>", pid.number()));
        assert_eq!(format!("{pid:?}"), format!("<0.{}>(clerk)", pid.number()));
        assert!(pid.type_name().ends_with("Puppet"));
    });
}
