//! Watching an end from outside of actors.

mod support;

use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;
use support::{Stage, everywhere, on_scheduler};
use weftwork_actor::introspect;
use weftwork_actor::{Pid, Reason};
use weftwork_core::wait::TimedOut;

#[test]
fn a_watch_of_the_dead_says_noproc_and_the_pid_says_why() {
    everywhere(|system| {
        let stage = Stage::new(system);
        stage.stop(Reason::other("r"));
        let mut watch = stage.pid().watch();
        assert_eq!(watch.wait_timeout(Duration::ZERO), Ok(Reason::NoProc));
        assert_eq!(watch.wait_down(), Reason::NoProc);
        assert_eq!(weftwork_core::block_on(stage.pid().watch()), Reason::NoProc);
        assert_eq!(stage.pid().exit_reason(), Some(Reason::other("r")));
        assert_eq!(Pid::outside().watch().wait_down(), Reason::NoProc);
    });
}

#[test]
fn all_who_watch_are_told_threads_and_futures_alike_and_a_time_limit_may_be_repeated() {
    everywhere(|system| {
        let stage = Stage::new(system);
        let mut early = stage.pid().watch();
        assert_eq!(early.wait_timeout(Duration::from_millis(1)), Err(TimedOut));
        let mut polled = Box::pin(stage.pid().watch());
        let mut context = TaskContext::from_waker(Waker::noop());
        assert_eq!(polled.as_mut().poll(&mut context), Poll::Pending);
        let watches: Vec<_> = (0..4).map(|_| stage.pid().watch()).collect();
        let waiting: Vec<_> = watches
            .into_iter()
            .map(|watch| std::thread::spawn(move || watch.wait_down()))
            .collect();
        stage.pid().exit(Reason::other("r"));
        for thread in waiting {
            assert_eq!(thread.join().unwrap(), Reason::other("r"));
        }
        assert_eq!(weftwork_core::block_on(polled), Reason::other("r"));
        assert_eq!(early.wait_timeout(Duration::MAX), Ok(Reason::other("r")));
        // Asked again it says the same.
        assert_eq!(early.wait_down(), Reason::other("r"));
    });
}

#[test]
fn a_watch_that_is_dropped_leaves_nothing_behind() {
    on_scheduler(1, |system| {
        let stage = Stage::new(system);
        (0..1000).for_each(|_| drop(stage.pid().watch()));
        let inside = introspect::info(&stage.pid(), Duration::MAX).inside;
        assert_eq!(inside.unwrap().monitored_by, []);
        stage.stop(Reason::Normal);
    });
}
