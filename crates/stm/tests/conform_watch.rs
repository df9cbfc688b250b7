//! Watches: each change is seen, none is seen twice, and whoever stops waiting leaves nothing behind.

mod support;

use std::task::Poll;
use std::thread;
use support::{Bell, poll, watched};
use weftwork_core::block_on;
use weftwork_stm::{TVar, Watch, atomically};
use weftwork_testkit::iters;

#[test]
fn what_was_there_at_the_beginning_is_no_change() {
    watched(|| {
        let var = TVar::new(1);
        let mut watch = var.watch();
        let (bell, waker) = Bell::new();
        assert!(!watch.has_changed());
        let mut changed = watch.changed_async();
        assert_eq!(poll(&mut changed, &waker), Poll::Pending);
        var.store(1);
        assert_eq!(bell.rings(), 1, "an equal value is a change");
        assert_eq!(poll(&mut changed, &waker), Poll::Ready(()));
        drop(changed);
        assert!(!watch.has_changed());
    });
}

#[test]
fn a_change_before_the_wait_is_not_missed() {
    watched(|| {
        let var = TVar::new(0);
        let mut watch = var.watch();
        for n in 1..4 {
            atomically(|tx| var.set(tx, n));
            assert!(watch.has_changed());
            watch.changed();
            assert!(!watch.has_changed());
            assert_eq!(watch.load(), n);
        }
    });
}

#[test]
fn several_changes_may_be_one() {
    watched(|| {
        let var = TVar::new(0);
        let mut watch = var.watch();
        (1..100).for_each(|n| var.store(n));
        block_on(watch.changed_async());
        assert!(!watch.has_changed());
        assert_eq!(watch.load(), 99);
    });
}

#[test]
fn a_load_counts_as_a_look() {
    watched(|| {
        let var = TVar::new(0);
        let mut watch = var.watch();
        var.store(1);
        assert_eq!(watch.load(), 1);
        assert!(!watch.has_changed());
        let (_, waker) = Bell::new();
        assert!(poll(&mut watch.changed_async(), &waker).is_pending());
    });
}

#[test]
fn a_wait_that_is_dropped_has_seen_nothing_and_leaves_nothing() {
    watched(|| {
        let var = TVar::new(0);
        let mut watch = var.watch();
        let (bell, waker) = Bell::new();
        for n in 1..100 {
            {
                let mut changed = watch.changed_async();
                assert!(poll(&mut changed, &waker).is_pending());
                assert_eq!(bell.left_behind(), 1);
                if n % 2 == 0 {
                    var.store(n);
                }
            }
            assert_eq!((bell.left_behind(), bell.rings()), (0, n / 2));
            assert_eq!(watch.has_changed(), n % 2 == 0);
            if n % 2 == 0 {
                watch.changed();
            }
        }
    });
}

#[test]
fn watches_see_changes_one_by_one_if_the_writer_waits_for_them() {
    watched(|| {
        let (ping, pong) = (TVar::new(0), TVar::new(0));
        let rounds = iters(20_000, 5_000, 100);
        let follow = |mut watch: Watch<usize>, answer: Option<&TVar<usize>>| {
            for n in 1..=rounds {
                watch.changed();
                assert_eq!(watch.load(), n);
                if let Some(answer) = answer {
                    answer.store(n);
                }
            }
        };
        let (of_ping, mut of_pong) = (ping.watch(), pong.watch());
        thread::scope(|scope| {
            scope.spawn(|| follow(of_ping, Some(&pong)));
            for n in 1..=rounds {
                ping.store(n);
                of_pong.changed();
                assert_eq!(of_pong.load(), n);
            }
        });
    });
}

#[test]
fn a_watch_never_goes_back() {
    watched(|| {
        let var = TVar::new(0);
        let rounds = iters(20_000, 5_000, 100);
        thread::scope(|scope| {
            for _ in 0..2 {
                let mut watch = var.watch();
                scope.spawn(move || {
                    let mut last = watch.load();
                    while last < rounds {
                        watch.changed();
                        let now = watch.load();
                        assert!(now > last, "{now} after {last}");
                        last = now;
                    }
                });
            }
            for _ in 0..rounds {
                atomically(|tx| var.update(tx, |n| n + 1));
            }
        });
    });
}

#[test]
fn a_watch_keeps_its_variable() {
    watched(|| {
        let var = TVar::new(String::from("kept"));
        let mut watch = var.watch();
        drop(var);
        assert_eq!(watch.load(), "kept");
    });
}
