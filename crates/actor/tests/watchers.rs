//! Many who watch one actor, of whom some leave.

mod support;

use support::{Event, Stage, everywhere};
use weftwork_actor::introspect;
use weftwork_actor::{Reason, Watcher};

use std::time::Duration;

/// Watches `count` times, and calls off those that `leaves` says.
fn watch(stage: &Stage, count: usize, leaves: impl Fn(usize) -> bool) -> Vec<Watcher> {
    let all: Vec<_> = (0..count).map(|_| stage.pid().watch()).collect();
    let mut stay = Vec::new();
    for (n, watcher) in all.into_iter().enumerate() {
        if !leaves(n) {
            stay.push(watcher);
        }
    }
    stay
}

#[test]
fn each_that_has_not_left_is_told_whichever_came_first() {
    everywhere(|system| {
        for count in [1, 2, 3, 8, 20] {
            for gone in [None, Some(0), Some(1), Some(count - 1)] {
                let stage = Stage::new(system);
                let watchers = watch(&stage, count, |n| Some(n) == gone);
                stage.addr.stop(Reason::Shutdown);
                for watcher in watchers {
                    assert_eq!(watcher.wait_down(), Reason::Shutdown);
                }
            }
        }
    });
}

#[test]
fn one_that_watches_after_all_have_left_is_told() {
    everywhere(|system| {
        let stage = Stage::new(system);
        drop(watch(&stage, 3, |_| false));
        let last = watch(&stage, 2, |n| n == 0);
        stage.addr.stop(Reason::Shutdown);
        for watcher in last {
            assert_eq!(watcher.wait_down(), Reason::Shutdown);
        }
    });
}

#[test]
fn a_watcher_that_was_told_in_time_says_so_again() {
    everywhere(|system| {
        let stage = Stage::new(system);
        let mut watcher = stage.pid().watch();
        assert!(watcher.wait_timeout(Duration::from_millis(1)).is_err());
        stage.addr.stop(Reason::Shutdown);
        for _ in 0..2 {
            assert_eq!(watcher.wait_timeout(Duration::MAX), Ok(Reason::Shutdown));
        }
        assert_eq!(watcher.wait_down(), Reason::Shutdown);
    });
}

#[test]
fn actors_that_monitor_are_named_and_told_beside_watchers_from_outside() {
    everywhere(|system| {
        let (first, other, watched) = (Stage::new(system), Stage::new(system), Stage::new(system));
        let pid = watched.pid();
        for stage in [&first, &other] {
            let pid = pid.clone();
            stage.run(move |_, ctx| {
                ctx.monitor(&pid);
            });
        }
        let watcher = pid.watch();
        let inside = introspect::info(&pid, Duration::MAX).inside.unwrap();
        let mut monitors = vec![first.pid(), other.pid()];
        monitors.sort();
        assert_eq!(inside.monitored_by, monitors);
        watched.addr.stop(Reason::Shutdown);
        assert_eq!(watcher.wait_down(), Reason::Shutdown);
        for stage in [first, other] {
            let told = stage.events.recv().unwrap();
            assert_eq!(told, Event::Down(pid.clone(), Reason::Shutdown));
        }
    });
}
