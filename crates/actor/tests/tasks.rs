//! Tasks: a result or a reason, linked or not, stopped in time.

mod support;

use std::sync::mpsc::channel;
use std::time::Duration;
use support::{Event, Stage, everywhere, on_scheduler};
use weftwork_actor::{Reason, task};

#[test]
fn a_task_hands_over_its_result_or_the_reason_why_there_is_none() {
    everywhere(|system| {
        assert_eq!(task::spawn(system, || 6 * 7).unwrap().wait(), Ok(42));
        let fails = task::spawn(system, || -> u8 { panic!("as the test wants") }).unwrap();
        let Err(Reason::Panic(panic)) = fails.wait() else {
            panic!("it panicked")
        };
        assert_eq!(panic.message(), "as the test wants");
        assert_eq!(
            task::spawn_async(system, async { 7 }).unwrap().wait(),
            Ok(7)
        );
        let awaited = task::spawn_async(system, async { 8 }).unwrap();
        assert_eq!(weftwork_core::block_on(awaited), Ok(8));
        let fails = task::spawn_async(system, async { panic!("as the test wants") });
        let fails: Result<(), _> = weftwork_core::block_on(fails.unwrap());
        assert!(fails.unwrap_err().is_panic());
    });
}

#[test]
fn a_linked_task_that_fails_ends_its_actor_and_one_that_is_done_does_not() {
    everywhere(|system| {
        let stage = Stage::new(system);
        stage.run(|_, ctx| assert_eq!(ctx.task(|| 1).unwrap().wait(), Ok(1)));
        stage.run(|_, ctx| {
            let task = ctx.task_async(async { 2 }).unwrap();
            assert_eq!(task.wait(), Ok(2));
        });
        assert!(stage.addr.is_alive());
        let end = stage.pid().watch();
        stage.tell(|_, ctx| {
            let fails = ctx.task(|| -> u8 { panic!("as the test wants") }).unwrap();
            assert!(fails.wait().unwrap_err().is_panic());
        });
        assert!(end.wait_down().is_panic());
    });
}

#[test]
fn the_end_of_an_actor_ends_its_linked_task_and_not_the_other_one() {
    everywhere(|system| {
        let stage = Stage::new(system);
        let (open, gate) = weftwork_csp::bounded::<()>(1);
        let (linked, alone) = {
            let gate = gate.clone();
            stage.get(move |ctx| {
                let other = gate.clone();
                let linked = ctx.task_async(async move { gate.recv_async().await.is_ok() });
                let alone = ctx.task_async_nolink(async move { other.recv_async().await.is_ok() });
                (linked.unwrap(), alone.unwrap())
            })
        };
        stage.stop(Reason::other("enough"));
        assert_eq!(linked.wait(), Err(Reason::other("enough")));
        open.send(()).unwrap();
        assert_eq!(alone.wait(), Ok(true));
    });
}

#[test]
fn a_task_without_a_link_fails_alone() {
    everywhere(|system| {
        let stage = Stage::trapping(system);
        stage.run(|_, ctx| {
            let fails = ctx
                .task_nolink(|| -> u8 { panic!("as the test wants") })
                .unwrap();
            assert!(fails.wait().unwrap_err().is_panic());
        });
        assert_eq!(stage.so_far(), Vec::<Event>::new());
        stage.stop(Reason::Normal);
    });
}

#[test]
fn a_wait_with_a_limit_may_be_repeated() {
    everywhere(|system| {
        let (open, gate) = weftwork_csp::bounded::<u32>(1);
        let mut waits =
            task::spawn_async(system, async move { gate.recv_async().await.unwrap() }).unwrap();
        assert_eq!(waits.wait_timeout(Duration::from_millis(2)), None);
        open.send(5).unwrap();
        assert_eq!(waits.wait_timeout(Duration::MAX), Some(Ok(5)));
    });
}

#[test]
fn shutdown_asks_then_kills_and_hands_over_a_result_that_was_ready() {
    everywhere(|system| {
        let long = Duration::from_secs(60);
        let forever = || task::spawn_async(system, std::future::pending::<u8>()).unwrap();
        assert_eq!(forever().shutdown(long), None);
        assert_eq!(
            forever().shutdown(Duration::ZERO),
            Some(Err(Reason::Killed))
        );
        let ready = task::spawn(system, || 3).unwrap();
        let end = ready.pid().watch();
        end.wait_down();
        assert_eq!(ready.shutdown(long), Some(Ok(3)));
        let failed = task::spawn(system, || -> u8 { panic!("as the test wants") }).unwrap();
        failed.pid().watch().wait_down();
        assert!(failed.shutdown(long).unwrap().unwrap_err().is_panic());
    });
}

#[test]
fn a_closure_that_waits_under_a_scheduler_is_killed_where_it_waits() {
    on_scheduler(2, |system| {
        let (_open, gate) = weftwork_csp::bounded::<()>(1);
        let (begun, begins) = channel();
        let waits = task::spawn(system, move || {
            begun.send(()).unwrap();
            gate.recv().is_ok()
        });
        begins.recv().unwrap();
        let got = waits.unwrap().shutdown(Duration::from_millis(1));
        assert_eq!(got, Some(Err(Reason::Killed)));
    });
}
