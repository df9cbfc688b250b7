//! Supervisors: starts, restarts, counting, strategies, retries. The claims are OTP's.

#![allow(clippy::disallowed_types, reason = "tests may use std's locks")]

mod supervisor_support;
mod support;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use supervisor_support::{Moody, Panic, Stage, Worker, children, end, end_pid, pid, settle, start};
use support::everywhere;
use weftwork_actor::supervisor::{
    AdminError, AutoShutdown, ChildRef, ChildSpec, Report, Restart, SpecError, Strategy,
    SupervisorRef, SupervisorSpec,
};
use weftwork_actor::{InitError, Options, Pid, Reason, StartError, System};

fn boom() -> Reason {
    Reason::other("boom")
}

// Flags and children that are impossible.

#[test]
fn impossible_flags_fail_the_start_with_their_error_as_the_reason() {
    everywhere(|system| {
        let stage = Stage::new();
        let impossible = [
            SupervisorSpec::new().intensity(1, Duration::ZERO),
            SupervisorSpec::new()
                .child(stage.worker("a"))
                .child(stage.worker("a")),
            SupervisorSpec::new().child(stage.worker("a").significant()),
            SupervisorSpec::new()
                .auto_shutdown(AutoShutdown::AnySignificant)
                .child(stage.worker("a").significant()),
            SupervisorSpec::new()
                .strategy(Strategy::Dynamic)
                .child(stage.worker("a")),
        ];
        for spec in impossible {
            let error = spec.check().expect_err("it is impossible");
            let Err(StartError::Failed(Reason::Error(reason))) = spec.start(system) else {
                panic!("it has started")
            };
            assert_eq!(reason.downcast_ref::<SpecError>(), Some(&error));
        }
        assert!(stage.lines().is_empty(), "no child was started");
    });
}

// Starts.

#[test]
fn children_start_in_order_and_the_start_returns_after_the_init_of_the_last() {
    everywhere(|system| {
        let stage = Stage::new();
        let spec = stage
            .spec()
            .child(stage.worker("a"))
            .child(stage.worker("b"));
        let supervisor = start(system, spec.child(stage.worker("c")));
        assert_eq!(stage.lines(), ["up a", "up b", "up c"]);
        assert_eq!(supervisor.shutdown(), Reason::Shutdown);
        assert_eq!(
            stage.lines(),
            ["down c: shutdown", "down b: shutdown", "down a: shutdown"]
        );
    });
}

#[test]
fn a_child_that_ignores_its_start_keeps_an_empty_place_unless_it_is_temporary() {
    everywhere(|system| {
        let ignoring = |id: &str| {
            ChildSpec::new(id, |ctx| {
                ctx.start::<Moody>(InitError::Ignore, Options::new())
            })
        };
        let supervisor = start(
            system,
            SupervisorSpec::new()
                .child(ignoring("a"))
                .child(ignoring("b").restart(Restart::Temporary)),
        );
        assert_eq!(children(&supervisor), ["a ended"]);
        supervisor.shutdown();
    });
}

#[test]
fn a_child_that_does_not_start_undoes_those_before_it_in_reverse() {
    everywhere(|system| {
        let stage = Stage::new();
        *stage.failing.lock().unwrap() = 1;
        let spec = stage
            .spec()
            .child(stage.worker("a"))
            .child(stage.worker("b"));
        let spec = spec
            .child(stage.failing_worker("c"))
            .child(stage.worker("d"));
        let Err(StartError::Failed(reason)) = spec.start(system) else {
            panic!("it has started")
        };
        assert_eq!(
            reason,
            Reason::shutdown_with("child c did not start: not now")
        );
        assert_eq!(
            stage.lines(),
            [
                "up a",
                "up b",
                "no c",
                "down b: shutdown",
                "down a: shutdown"
            ]
        );
    });
}

#[test]
fn a_panic_in_init_or_in_the_start_is_a_failed_start() {
    everywhere(|system| {
        let panics = SupervisorSpec::new().child(ChildSpec::new("a", |_| -> Result<Pid, _> {
            panic!("in the start")
        }));
        let Err(StartError::Failed(reason)) = panics.start(system) else {
            panic!("it has started")
        };
        assert!(
            reason
                .to_string()
                .contains("child a did not start: panicked: in the start")
        );
        let failed = InitError::Failed(boom());
        let fails = SupervisorSpec::new().child(ChildSpec::new("a", move |ctx| {
            ctx.start::<Moody>(failed.clone(), Options::new())
        }));
        let Err(StartError::Failed(reason)) = fails.start(system) else {
            panic!("it has started")
        };
        assert_eq!(reason, Reason::shutdown_with("child a did not start: boom"));
    });
}

// Who is restarted.

#[test]
fn a_permanent_child_is_restarted_whatever_its_reason() {
    everywhere(|system| {
        let stage = Stage::new();
        let supervisor = start(system, stage.spec().child(stage.worker("a")));
        for reason in [Reason::Normal, Reason::Shutdown, Reason::Killed, boom()] {
            let old = pid(&supervisor, "a");
            end(&supervisor, "a", reason);
            assert_ne!(
                pid(&supervisor, "a"),
                old,
                "an incarnation has a pid of its own"
            );
        }
        supervisor.shutdown();
    });
}

#[test]
fn a_transient_child_that_ends_in_good_order_leaves_an_empty_place() {
    everywhere(|system| {
        let stage = Stage::new();
        let child = stage.worker("a").restart(Restart::Transient);
        let supervisor = start(system, stage.spec().child(child));
        for reason in [
            Reason::Normal,
            Reason::Shutdown,
            Reason::shutdown_with("done"),
        ] {
            end(&supervisor, "a", reason);
            assert_eq!(children(&supervisor), ["a ended"]);
            assert_eq!(stage.reports(), [], "there is nothing to worry about");
            assert!(supervisor.restart_child("a").unwrap().is_some());
        }
        for reason in [Reason::Killed, boom()] {
            end(&supervisor, "a", reason);
            assert_eq!(children(&supervisor), ["a"]);
        }
        supervisor.shutdown();
    });
}

#[test]
fn a_temporary_child_is_never_restarted_and_its_place_is_forgotten() {
    everywhere(|system| {
        let stage = Stage::new();
        let supervisor = start(system, stage.spec());
        for reason in [Reason::Normal, Reason::Killed, boom()] {
            let child = stage.worker("a").restart(Restart::Temporary);
            supervisor.start_child(child).unwrap();
            end(&supervisor, "a", reason);
            assert!(children(&supervisor).is_empty());
        }
        supervisor.shutdown();
    });
}

#[test]
fn an_exit_of_a_stranger_is_ignored() {
    everywhere(|system| {
        let stage = Stage::new();
        let supervisor = start(system, stage.spec().child(stage.worker("a")));
        supervisor.pid().exit(boom());
        settle(&supervisor);
        assert!(supervisor.is_alive());
        assert_eq!(stage.lines(), ["up a"]);
        supervisor.shutdown();
    });
}

#[test]
fn an_exit_of_its_parent_ends_a_supervisor_with_that_reason_after_its_children() {
    everywhere(|system| {
        let stage = Stage::new();
        let (log, below) = (stage.log.clone(), stage.spec());
        let inner = Arc::new(Mutex::new(Some(below.child(stage.worker("a")))));
        let top = start(
            system,
            SupervisorSpec::new().child(ChildSpec::supervisor("below", move || {
                inner.lock().unwrap().take().expect("it is started once")
            })),
        );
        let below = pid(&top, "below");
        let watch = below.watch();
        assert_eq!(top.shutdown(), Reason::Shutdown);
        assert_eq!(watch.wait_down(), Reason::Shutdown);
        log.send("end".into()).unwrap();
        assert_eq!(stage.lines(), ["up a", "down a: shutdown", "end"]);
    });
}

#[test]
fn a_panic_is_reported_with_its_place() {
    everywhere(|system| {
        let stage = Stage::new();
        let log = stage.log.clone();
        let (addr, found) = std::sync::mpsc::channel();
        let child = ChildSpec::new("a", move |ctx| {
            let started = ctx.start::<Worker>(("a".into(), log.clone()), Options::new())?;
            addr.send(started.clone()).unwrap();
            Ok(started)
        });
        let supervisor = start(system, stage.spec().child(child));
        let first = found.recv().unwrap();
        let watch = first.pid().watch();
        first.tell(Panic).unwrap();
        watch.wait_down();
        settle(&supervisor);
        let reports = stage.reports();
        let [Report::Ended { id, reason, .. }] = &reports[..] else {
            panic!("unexpected: {reports:?}")
        };
        assert_eq!(id.as_ref().map(|id| id.as_str()), Some("a"));
        let Reason::Panic(panic) = reason else {
            panic!("{reason}")
        };
        assert!(
            panic
                .location()
                .is_some_and(|(file, ..)| file.ends_with("mod.rs"))
        );
        supervisor.shutdown();
    });
}

// How often.

/// A clock that goes when it is told to.
#[derive(Clone)]
struct Manual(Arc<Mutex<Instant>>);

impl Manual {
    fn new() -> Self {
        Manual(Arc::new(Mutex::new(Instant::now())))
    }
    fn advance(&self, by: Duration) {
        *self.0.lock().unwrap() += by;
    }
    fn reader(&self) -> impl Fn() -> Instant + Send + Sync + 'static {
        let clock = self.clone();
        move || *clock.0.lock().unwrap()
    }
}

#[test]
fn intensity_n_allows_n_restarts_in_the_period_and_one_more_ends_the_supervisor() {
    everywhere(|system| {
        let stage = Stage::new();
        let spec = stage.spec().intensity(2, Duration::from_secs(5));
        let supervisor = start(
            system,
            spec.child(stage.worker("a")).child(stage.worker("b")),
        );
        let watch = supervisor.pid().watch();
        // The count is the supervisor's, across its children.
        end(&supervisor, "a", boom());
        end(&supervisor, "b", boom());
        assert!(supervisor.is_alive());
        end(&supervisor, "b", boom());
        assert_eq!(watch.wait_down(), Reason::Shutdown);
        assert_eq!(
            stage.lines(),
            [
                "up a",
                "up b",
                "down a: boom",
                "up a",
                "down b: boom",
                "up b",
                "down b: boom",
                "down a: shutdown"
            ]
        );
        let gave_up = Report::GaveUp {
            id: Some("b".into()),
        };
        assert_eq!(stage.reports().last(), Some(&gave_up));
    });
}

#[test]
fn an_intensity_of_zero_gives_up_at_the_first_crash() {
    everywhere(|system| {
        let stage = Stage::new();
        let spec = stage.spec().intensity(0, Duration::from_secs(5));
        let supervisor = start(system, spec.child(stage.worker("a")));
        let watch = supervisor.pid().watch();
        end(&supervisor, "a", boom());
        assert_eq!(watch.wait_down(), Reason::Shutdown);
    });
}

#[test]
fn the_window_slides_to_the_nanosecond() {
    everywhere(|system| {
        let (stage, clock) = (Stage::new(), Manual::new());
        let period = Duration::from_millis(300);
        let spec = stage.spec().intensity(2, period).clock(clock.reader());
        let supervisor = start(system, spec.child(stage.worker("a")));
        // One crash per 250 ms is never more than two in any 300 ms.
        for _ in 0..20 {
            end(&supervisor, "a", boom());
            clock.advance(Duration::from_millis(250));
        }
        assert!(supervisor.is_alive());
        clock.advance(period + Duration::from_nanos(1));
        let watch = supervisor.pid().watch();
        for step in [
            Duration::from_millis(149),
            Duration::from_millis(151),
            Duration::ZERO,
        ] {
            end(&supervisor, "a", boom());
            clock.advance(step);
        }
        // Three, the last one exactly a period after the first.
        assert_eq!(watch.wait_down(), Reason::Shutdown);
    });
}

#[test]
fn a_group_restart_counts_once_and_calls_of_the_administration_do_not_count() {
    everywhere(|system| {
        let stage = Stage::new();
        let spec = stage.spec().strategy(Strategy::OneForAll);
        let mut spec = spec.intensity(2, Duration::from_secs(60));
        for name in ["a", "b", "c", "d"] {
            spec = spec.child(stage.worker(name));
        }
        let supervisor = start(system, spec);
        for _ in 0..5 {
            supervisor.terminate_child("a").unwrap();
            supervisor.restart_child("a").unwrap();
        }
        end(&supervisor, "a", boom());
        end(&supervisor, "d", boom());
        assert!(supervisor.is_alive());
        assert_eq!(supervisor.count_children().unwrap().active, 4);
        supervisor.shutdown();
    });
}

#[test]
fn giving_up_escalates_and_is_counted_above_for_a_permanent_supervisor() {
    everywhere(|system| {
        let (stage, worker) = (Stage::new(), ChildRef::<Worker>::new());
        let spec = stage.spec().intensity(1, Duration::from_secs(60));
        let spec = spec.child(stage.worker("sibling"));
        let top = start(system, spec.child(fragile("below", &worker, &stage)));
        let watch = top.pid().watch();
        let (first, below) = (worker.wait(), pid(&top, "below"));
        let ended = below.watch();
        end_pid(&top, &first.pid(), boom());
        assert_eq!(ended.wait_down(), Reason::Shutdown);
        let second = worker.wait_other_than(&first.pid());
        assert_ne!(pid(&top, "below"), below);
        end_pid(&top, &second.pid(), boom());
        assert_eq!(watch.wait_down(), Reason::Shutdown);
        assert_eq!(stage.lines().last().unwrap(), "down sibling: shutdown");
    });
}

#[test]
fn giving_up_is_an_end_in_good_order_for_a_transient_supervisor() {
    everywhere(|system| {
        let (stage, worker) = (Stage::new(), ChildRef::<Worker>::new());
        let below = fragile("below", &worker, &stage).restart(Restart::Transient);
        let top = start(
            system,
            stage
                .spec()
                .intensity(0, Duration::from_secs(1))
                .child(below),
        );
        let ended = pid(&top, "below").watch();
        worker.wait().pid().kill();
        assert_eq!(ended.wait_down(), Reason::Shutdown);
        assert_eq!(children(&top), ["below ended"]);
        top.shutdown();
    });
}

/// A supervisor that gives up when its worker crashes.
fn fragile(id: &str, worker: &ChildRef<Worker>, stage: &Stage) -> ChildSpec {
    let (worker, log) = (worker.clone(), stage.log.clone());
    ChildSpec::supervisor(id, move || {
        let log = log.clone();
        let start = worker.filled_by(move |ctx| {
            ctx.start::<Worker>(("worker".into(), log.clone()), Options::new())
        });
        SupervisorSpec::new()
            .intensity(0, Duration::from_secs(5))
            .child(ChildSpec::new("worker", start))
    })
}

// Who else.

/// Four workers, under this strategy, all up.
fn four(system: &System, stage: &Stage, strategy: Strategy) -> SupervisorRef {
    let mut spec = stage.spec().strategy(strategy);
    for name in ["a", "b", "c", "d"] {
        spec = spec.child(stage.worker(name));
    }
    let supervisor = start(system, spec);
    assert_eq!(stage.lines(), ["up a", "up b", "up c", "up d"]);
    supervisor
}

#[test]
fn one_for_one_restarts_the_child_alone() {
    everywhere(|system| {
        let stage = Stage::new();
        let supervisor = four(system, &stage, Strategy::OneForOne);
        end(&supervisor, "b", boom());
        assert_eq!(stage.lines(), ["down b: boom", "up b"]);
        supervisor.shutdown();
    });
}

#[test]
fn rest_for_one_stops_the_later_ones_in_reverse_and_starts_all_of_them_in_order() {
    everywhere(|system| {
        let stage = Stage::new();
        let supervisor = four(system, &stage, Strategy::RestForOne);
        end(&supervisor, "b", boom());
        assert_eq!(
            stage.lines(),
            [
                "down b: boom",
                "down d: shutdown",
                "down c: shutdown",
                "up b",
                "up c",
                "up d"
            ]
        );
        supervisor.shutdown();
    });
}

#[test]
fn one_for_all_stops_the_others_in_reverse_and_starts_all_in_order() {
    everywhere(|system| {
        let stage = Stage::new();
        let supervisor = four(system, &stage, Strategy::OneForAll);
        end(&supervisor, "b", boom());
        assert_eq!(
            stage.lines(),
            [
                "down b: boom",
                "down d: shutdown",
                "down c: shutdown",
                "down a: shutdown",
                "up a",
                "up b",
                "up c",
                "up d"
            ]
        );
        supervisor.shutdown();
    });
}

#[test]
fn the_order_of_a_group_is_the_same_each_time() {
    everywhere(|system| {
        let stage = Stage::new();
        let supervisor = four(system, &stage, Strategy::OneForAll);
        let mut orders = Vec::new();
        for _ in 0..12 {
            end(&supervisor, "a", boom());
            orders.push(stage.lines());
        }
        orders.dedup();
        assert_eq!(orders.len(), 1, "{orders:?}");
        supervisor.shutdown();
    });
}

#[test]
fn temporary_siblings_are_stopped_by_a_group_restart_and_not_started_again() {
    everywhere(|system| {
        let stage = Stage::new();
        let spec = stage
            .spec()
            .strategy(Strategy::OneForAll)
            .child(stage.worker("a"));
        let temporary = stage.worker("never").restart(Restart::Temporary);
        let supervisor = start(system, spec.child(temporary).child(stage.worker("c")));
        stage.lines();
        end(&supervisor, "a", boom());
        assert_eq!(
            stage.lines(),
            [
                "down a: boom",
                "down c: shutdown",
                "down never: shutdown",
                "up a",
                "up c"
            ]
        );
        assert_eq!(children(&supervisor), ["c", "a"]);
        supervisor.shutdown();
    });
}

#[test]
fn a_temporary_child_that_crashes_takes_no_sibling_along() {
    everywhere(|system| {
        let stage = Stage::new();
        let spec = stage
            .spec()
            .strategy(Strategy::OneForAll)
            .child(stage.worker("a"));
        let supervisor = start(
            system,
            spec.child(stage.worker("t").restart(Restart::Temporary)),
        );
        stage.lines();
        end(&supervisor, "t", boom());
        assert_eq!(stage.lines(), ["down t: boom"]);
        supervisor.shutdown();
    });
}

// Again.

#[test]
fn a_failed_restart_is_tried_again_and_each_try_counts() {
    everywhere(|system| {
        let stage = Stage::new();
        let spec = stage.spec().intensity(3, Duration::from_secs(60));
        let spec = spec.child(stage.failing_worker("a"));
        let supervisor = start(system, spec.child(stage.worker("b")));
        let watch = supervisor.pid().watch();
        stage.lines();
        *stage.failing.lock().unwrap() = 2;
        end(&supervisor, "a", boom());
        let lines: Vec<_> = (0..4).map(|_| stage.next()).collect();
        assert_eq!(lines, ["down a: boom", "no a", "no a", "up a"]);
        assert!(supervisor.is_alive(), "a crash and two tries were three");
        end(&supervisor, "b", boom());
        assert_eq!(watch.wait_down(), Reason::Shutdown);
    });
}

#[test]
fn a_restart_that_keeps_failing_ends_at_the_limit_instead_of_hanging() {
    everywhere(|system| {
        let stage = Stage::new();
        let spec = stage.spec().intensity(5, Duration::from_secs(60));
        let supervisor = start(system, spec.child(stage.failing_worker("a")));
        let watch = supervisor.pid().watch();
        *stage.failing.lock().unwrap() = u32::MAX;
        pid(&supervisor, "a").kill();
        assert_eq!(watch.wait_down(), Reason::Shutdown);
        let tries = stage.lines().iter().filter(|line| *line == "no a").count();
        assert_eq!(tries, 5);
    });
}

#[test]
fn other_messages_are_served_between_the_tries_of_a_restart() {
    everywhere(|system| {
        let stage = Stage::new();
        let spec = stage.spec().intensity(u32::MAX, Duration::from_secs(1));
        let supervisor = start(system, spec.child(stage.failing_worker("a")));
        *stage.failing.lock().unwrap() = u32::MAX;
        pid(&supervisor, "a").kill();
        // It tries for ever; calls get their turn nevertheless.
        while children(&supervisor) != ["a restarting"] {}
        assert_eq!(supervisor.restart_child("a"), Err(AdminError::Restarting));
        assert_eq!(supervisor.delete_child("a"), Err(AdminError::Restarting));
        assert_eq!(supervisor.find_child("a"), Ok(None));
        assert!(supervisor.start_child(stage.worker("b")).unwrap().is_some());
        assert_eq!(supervisor.terminate_child("a"), Ok(()));
        assert_eq!(children(&supervisor), ["b", "a ended"]);
        supervisor.shutdown();
    });
}

#[test]
fn one_for_all_tries_again_with_all_children_and_rest_for_one_from_the_failed_one_on() {
    everywhere(|system| {
        for (strategy, again) in [
            (
                Strategy::OneForAll,
                &["down a: shutdown", "up a", "up b", "up c"][..],
            ),
            (Strategy::RestForOne, &["up b", "up c"][..]),
        ] {
            let stage = Stage::new();
            let spec = stage.spec().strategy(strategy).child(stage.worker("a"));
            let spec = spec
                .child(stage.failing_worker("b"))
                .child(stage.worker("c"));
            let supervisor = start(system, spec);
            stage.lines();
            *stage.failing.lock().unwrap() = 1;
            end(&supervisor, "a", boom());
            let first = [
                "down a: boom",
                "down c: shutdown",
                "down b: shutdown",
                "up a",
                "no b",
            ];
            for line in first.iter().chain(again) {
                assert_eq!(stage.next(), *line);
            }
            settle(&supervisor);
            assert_eq!(children(&supervisor), ["c", "b", "a"]);
            supervisor.shutdown();
        }
    });
}
