//! Scopes: borrowing children, and every way in which a scope can end.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use support::{Count, OnDrop, with_runtimes};
use weftwork_sched::{ScopedJoinHandle, park, scope, spawn, yield_now};
use weftwork_testkit::DropCounter;

#[test]
fn children_borrow_from_the_spawner_and_are_done_when_the_scope_is() {
    with_runtimes(|rt| {
        rt.run(|| {
            let mut numbers = [1, 2, 3, 4];
            let total = AtomicUsize::new(0);
            scope(|s| {
                for number in &mut numbers {
                    let total = &total;
                    s.spawn(move || {
                        yield_now();
                        *number *= 10;
                        total.fetch_add(*number, Ordering::Relaxed);
                    });
                }
            });
            assert_eq!(numbers, [10, 20, 30, 40]);
            assert_eq!(total.into_inner(), 100);
        });
    });
}

#[test]
fn handles_of_a_scope_give_outputs_that_borrow() {
    with_runtimes(|rt| {
        rt.run(|| {
            let text = String::from("one two");
            let (first, second) = scope(|s| {
                let first = s.spawn(|| text.split(' ').next());
                let second = s.spawn(|| text.split(' ').nth(1));
                (first.join().unwrap(), second.join().unwrap())
            });
            assert_eq!((first, second), (Some("one"), Some("two")));
        });
    });
}

#[test]
fn the_children_are_joined_when_the_body_panics() {
    with_runtimes(|rt| {
        rt.run(|| {
            let (go, ended) = (Count::new(), Count::new());
            let result = catch_unwind(AssertUnwindSafe(|| {
                scope(|s| {
                    s.spawn(|| {
                        let _ended = OnDrop(&ended);
                        go.wait_for(1);
                        yield_now();
                    });
                    go.add();
                    panic!("body");
                })
            }));
            assert_eq!(ended.get(), 1);
            let payload = result.unwrap_err();
            assert_eq!(payload.downcast_ref::<&str>(), Some(&"body"));
        });
    });
}

fn panics<'scope>(s: &'scope weftwork_sched::Scope<'scope, '_>) -> ScopedJoinHandle<'scope, ()> {
    s.spawn(|| panic!("child"))
}

#[test]
fn a_panic_of_a_child_that_nobody_joins_panics_the_scope() {
    with_runtimes(|rt| {
        rt.run(|| {
            for hold in [false, true] {
                let result = catch_unwind(|| {
                    scope(|s| {
                        let handle = panics(s);
                        if hold {
                            // The handle is there while the child panics, and goes unjoined.
                            while !handle.is_finished() {
                                yield_now();
                            }
                        }
                    });
                });
                let payload = result.expect_err("the scope did not panic");
                let text = payload.downcast_ref::<&str>().unwrap();
                assert!(text.contains("not joined"), "{text}");
            }
        });
    });
}

#[test]
fn a_panic_that_is_joined_stays_with_the_joiner() {
    with_runtimes(|rt| {
        rt.run(|| {
            let error = scope(|s| panics(s).join().unwrap_err());
            assert!(error.is_panic());
            assert!(error.to_string().ends_with("panicked: child"), "{error}");
        });
    });
}

#[test]
fn one_joined_panic_does_not_excuse_another() {
    with_runtimes(|rt| {
        rt.run(|| {
            let result = catch_unwind(|| {
                scope(|s| {
                    let (a, b) = (panics(s), panics(s));
                    assert!(a.join().is_err());
                    drop(b);
                });
            });
            result.expect_err("the scope did not panic");
        });
    });
}

#[test]
fn siblings_finish_although_one_panics() {
    with_runtimes(|rt| {
        rt.run(|| {
            let done = AtomicUsize::new(0);
            let result = catch_unwind(AssertUnwindSafe(|| {
                scope(|s| {
                    drop(panics(s));
                    for _ in 0..8 {
                        s.spawn(|| {
                            yield_now();
                            done.fetch_add(1, Ordering::Relaxed);
                        });
                    }
                });
            }));
            assert!(result.is_err());
            assert_eq!(done.into_inner(), 8);
        });
    });
}

#[test]
fn a_cancelled_owner_cancels_its_children_and_waits_for_them() {
    with_runtimes(|rt| {
        let (started, ended) = (Arc::new(Count::new()), Arc::new(Count::new()));
        let (started_there, ended_there) = (Arc::clone(&started), Arc::clone(&ended));
        let owner = rt.spawn(move || {
            let ended = &*ended_there;
            let _last = OnDrop(ended);
            scope(|s| {
                for _ in 0..3 {
                    s.spawn(|| {
                        let _ended = OnDrop(ended);
                        started_there.add();
                        loop {
                            park();
                        }
                    });
                }
            });
        });
        started.wait_for(3);
        owner.cancel();
        assert!(owner.join().unwrap_err().is_cancelled());
        assert_eq!(ended.get(), 4);
    });
}

#[test]
fn a_child_spawned_by_a_child_after_the_cancellation_is_cancelled_too() {
    with_runtimes(|rt| {
        let started = Arc::new(Count::new());
        let started_there = Arc::clone(&started);
        let owner = rt.spawn(move || {
            scope(|s| {
                s.spawn(|| {
                    started_there.add();
                    let first = catch_unwind(|| {
                        loop {
                            park();
                        }
                    });
                    // Unwinds from its first wait, unless nobody tells it to.
                    s.spawn(|| {
                        loop {
                            park();
                        }
                    });
                    drop(first);
                });
            });
        });
        started.wait_for(1);
        owner.cancel();
        assert!(owner.join().unwrap_err().is_cancelled());
    });
}

#[test]
fn a_scope_can_cancel_its_children() {
    with_runtimes(|rt| {
        rt.run(|| {
            let started = Count::new();
            scope(|s| {
                let child = s.spawn(|| {
                    started.add();
                    loop {
                        park();
                    }
                });
                started.wait_for(1);
                s.cancel();
                assert!(child.join().unwrap_err().is_cancelled());
                let alone = s.spawn(|| {
                    loop {
                        park();
                    }
                });
                alone.cancel();
            });
        });
    });
}

#[test]
fn scopes_nest_and_children_spawn_into_the_outer_one() {
    with_runtimes(|rt| {
        rt.run(|| {
            let total = AtomicUsize::new(0);
            scope(|outer| {
                for _ in 0..4 {
                    outer.spawn(|| {
                        scope(|inner| {
                            for _ in 0..4 {
                                inner.spawn(|| {
                                    yield_now();
                                    total.fetch_add(1, Ordering::Relaxed);
                                    outer.spawn(|| total.fetch_add(100, Ordering::Relaxed));
                                });
                            }
                        });
                    });
                }
            });
            assert_eq!(total.into_inner(), 16 + 1600);
        });
    });
}

#[test]
fn an_output_that_is_not_joined_is_dropped_by_the_end_of_the_scope() {
    with_runtimes(|rt| {
        rt.run(|| {
            let drops = DropCounter::new();
            scope(|s| {
                drop(s.spawn(|| drops.track(1)));
                let _unused = s.spawn(|| {
                    yield_now();
                    drops.track(2)
                });
            });
            assert_eq!(drops.created(), 2);
            drops.assert_none_live();
        });
    });
}

#[test]
fn an_os_thread_that_entered_a_runtime_has_scopes_too() {
    with_runtimes(|rt| {
        let _entered = rt.enter();
        let mut here = 0;
        scope(|s| {
            s.spawn(|| here = 5);
        });
        assert_eq!(here, 5);
    });
}

#[test]
fn what_a_child_borrows_is_not_used_after_the_scope() {
    with_runtimes(|rt| {
        rt.run(|| {
            for _ in 0..weftwork_testkit::iters(1_000, 200, 20) {
                let alive = Arc::new(AtomicBool::new(true));
                scope(|s| {
                    for _ in 0..3 {
                        let alive = &alive;
                        s.spawn(move || assert!(alive.load(Ordering::Relaxed)));
                    }
                });
                alive.store(false, Ordering::Relaxed);
                // Every reference that a child held is gone.
                assert_eq!(Arc::strong_count(&alive), 1);
            }
        });
    });
}

#[test]
fn a_scope_inside_a_join_in_place_waits_for_its_own() {
    with_runtimes(|rt| {
        let n = rt.run(|| {
            spawn(|| {
                let mut n = 0;
                scope(|s| {
                    s.spawn(|| n = 9);
                });
                n
            })
            .join()
            .unwrap()
        });
        assert_eq!(n, 9);
    });
}
