//! Supervisors: what OTP leaves to others, what other actor libraries got wrong, and many children.

#![allow(clippy::disallowed_types, reason = "tests may use std's locks")]

mod supervisor_support;
mod support;

use std::collections::HashMap;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};
use supervisor_support::{
    Moody, Panic, Stage, Stubborn, Worker, children, end, end_pid, pid, settle, start,
};
use support::{everywhere, on_scheduler};
use weftwork_actor::registry::Registry;
use weftwork_actor::supervisor::{
    AddChildErrorKind, Backoff, ChildRef, ChildSpec, ChildState, Limit, Report, Restart, Rules,
    Shutdown, Strategy, SupervisorRef, SupervisorSpec,
};
use weftwork_actor::{Actor, Context, Handler, InitError, Options, Pid, Reason, System};
use weftwork_testkit::iters;

const MS: Duration = Duration::from_millis(1);

fn boom() -> Reason {
    Reason::other("boom")
}

// Beyond OTP.

#[test]
fn a_restart_with_back_off_never_comes_early_and_calls_are_served_meanwhile() {
    everywhere(|system| {
        let (stage, worker) = (Stage::new(), ChildRef::<Worker>::new());
        let log = stage.log.clone();
        let start_worker = worker
            .filled_by(move |ctx| ctx.start::<Worker>(("w".into(), log.clone()), Options::new()));
        let backoff = Backoff::new(30 * MS, 1000 * MS).jitter(0.5);
        let child = ChildSpec::new("w", start_worker).backoff(backoff);
        let supervisor = start(system, stage.spec().child(child));
        let mut wait = 30 * MS;
        for _ in 0..2 {
            let (old, before) = (worker.wait().pid(), Instant::now());
            end_pid(&supervisor, &old, boom());
            let meanwhile = children(&supervisor);
            // It never comes early; on a busy machine the look may come late.
            if before.elapsed() < wait {
                assert_eq!(meanwhile, ["w restarting"]);
            }
            let new = worker.wait_other_than(&old);
            assert!(before.elapsed() >= wait);
            wait *= 2;
            drop(new);
        }
        supervisor.shutdown();
    });
}

#[test]
fn a_back_off_is_called_off_by_a_stop_and_by_the_end_of_the_supervisor() {
    everywhere(|system| {
        let stage = Stage::new();
        let hour = Duration::from_secs(3600);
        let child = stage.worker("w").backoff(Backoff::new(hour, hour));
        let supervisor = start(system, stage.spec().child(child));
        end(&supervisor, "w", boom());
        assert_eq!(supervisor.terminate_child("w"), Ok(()));
        assert_eq!(children(&supervisor), ["w ended"]);
        assert!(supervisor.restart_child("w").unwrap().is_some());
        end(&supervisor, "w", boom());
        assert_eq!(supervisor.shutdown(), Reason::Shutdown);
    });
}

#[test]
fn a_child_beyond_its_own_limit_is_given_up_and_its_siblings_go_on() {
    everywhere(|system| {
        let stage = Stage::new();
        let limit = Limit::new(2, Duration::from_secs(60)).or_leave();
        let spec = stage.spec().child(stage.worker("good"));
        let supervisor = start(system, spec.child(stage.worker("bad").limit(limit)));
        let good = pid(&supervisor, "good");
        for _ in 0..3 {
            end(&supervisor, "bad", boom());
        }
        assert_eq!(children(&supervisor), ["bad ended", "good"]);
        assert_eq!(pid(&supervisor, "good"), good);
        let reached = Report::LimitReached {
            id: Some("bad".into()),
        };
        assert_eq!(stage.reports().last(), Some(&reached));
        supervisor.shutdown();
    });
}

#[test]
fn a_child_ref_resolves_to_the_incarnation_that_lives_and_to_none_in_between() {
    everywhere(|system| {
        let (stage, worker) = (Stage::new(), ChildRef::<Worker>::new());
        assert!(worker.get().is_none());
        assert!(worker.wait_timeout(Duration::ZERO).is_err());
        let log = stage.log.clone();
        let start_worker = worker
            .filled_by(move |ctx| ctx.start::<Worker>(("w".into(), log.clone()), Options::new()));
        let supervisor = start(
            system,
            stage.spec().child(ChildSpec::new("w", start_worker)),
        );
        let first = worker.get().expect("it was started");
        end(&supervisor, "w", boom());
        assert_ne!(worker.get().unwrap().pid(), first.pid());
        supervisor.terminate_child("w").unwrap();
        assert!(worker.get().is_none());
        supervisor.shutdown();
    });
}

#[test]
fn a_restarted_child_has_its_registered_name_again_at_once() {
    everywhere(|system| {
        let (stage, names) = (Stage::new(), Registry::new());
        let (log, registry) = (stage.log.clone(), names.clone());
        let child = ChildSpec::new("w", move |ctx| {
            let options = Options::new().register(registry.clone(), "worker");
            ctx.start::<Worker>(("w".into(), log.clone()), options)
        });
        let supervisor = start(system, stage.spec().child(child));
        for reason in [boom(), Reason::Killed].iter().cycle().take(40) {
            end(&supervisor, "w", reason.clone());
            assert_eq!(names.whereis("worker"), Some(pid(&supervisor, "w")));
        }
        let reports = stage.reports();
        let failed = |report: &Report| matches!(report, Report::StartFailed { .. });
        assert!(
            !reports.iter().any(failed),
            "the name was free each time: {reports:?}"
        );
        supervisor.shutdown();
        assert_eq!(names.whereis("worker"), None);
    });
}

#[test]
fn a_supervisor_has_the_name_of_its_options_or_of_its_place() {
    everywhere(|system| {
        let names = Registry::new();
        let options = Options::new().register(names.clone(), "app");
        let below = ChildSpec::supervisor("below", SupervisorSpec::new);
        let top = start(system, SupervisorSpec::new().options(options).child(below));
        assert_eq!(names.whereis("app"), Some(top.pid()));
        assert_eq!(pid(&top, "below").name(), Some("below"));
        top.shutdown();
        assert_eq!(names.whereis("app"), None);
    });
}

// What others got wrong.

#[test]
fn a_panic_restarts_a_child_and_a_clean_stop_ends_it_for_good() {
    // Others did not catch panics, and restarted what had stopped by itself.
    everywhere(|system| {
        let (stage, worker) = (Stage::new(), ChildRef::<Worker>::new());
        let log = stage.log.clone();
        let start_worker = worker
            .filled_by(move |ctx| ctx.start::<Worker>(("w".into(), log.clone()), Options::new()));
        let child = ChildSpec::new("w", start_worker).restart(Restart::Transient);
        let supervisor = start(system, stage.spec().child(child));
        let first = worker.wait();
        first.tell(Panic).unwrap();
        let second = worker.wait_other_than(&first.pid());
        end_pid(&supervisor, &second.pid(), Reason::Normal);
        assert_eq!(children(&supervisor), ["w ended"]);
        assert_eq!(
            stage.lines(),
            ["up w", "down w: panic", "up w", "down w: normal"]
        );
        supervisor.shutdown();
    });
}

#[test]
fn a_supervisor_outlives_the_stop_of_a_child() {
    everywhere(|system| {
        let stage = Stage::new();
        let supervisor = start(system, stage.spec().child(stage.worker("a")));
        supervisor.terminate_child("a").unwrap();
        assert!(supervisor.is_alive());
        supervisor.shutdown();
    });
}

#[test]
fn a_child_that_links_back_and_dies_overflows_no_stack() {
    /// Links itself to its parent, again.
    struct Clingy;
    impl Actor for Clingy {
        type Args = ();
        fn init((): (), ctx: &mut Context<Self>) -> Result<Self, InitError> {
            let parent = ctx.parent().expect("a supervisor started it");
            ctx.link(&parent).map_err(InitError::failed)?;
            Ok(Clingy)
        }
    }
    everywhere(|system| {
        let child = ChildSpec::new("c", |ctx| ctx.start::<Clingy>((), Options::new()));
        let supervisor = start(system, Stage::new().spec().child(child));
        for _ in 0..50 {
            end(&supervisor, "c", Reason::Killed);
        }
        assert_eq!(children(&supervisor), ["c"]);
        supervisor.shutdown();
    });
}

/// Supervisors in supervisors, with a worker in the innermost.
fn nested(depth: usize, stage: &Stage) -> SupervisorSpec {
    let mut inner: Box<dyn FnMut() -> SupervisorSpec + Send> = {
        let log = stage.log.clone();
        Box::new(move || {
            let log = log.clone();
            let child = ChildSpec::new("w", move |ctx| {
                ctx.start::<Worker>(("w".into(), log.clone()), Options::new())
            });
            SupervisorSpec::new().child(child)
        })
    };
    for _ in 0..depth {
        let mut below = Some(inner);
        inner = Box::new(move || {
            let below = below.take().expect("it is started once");
            SupervisorSpec::new().child(ChildSpec::supervisor("below", below))
        });
    }
    inner()
}

#[test]
fn a_deep_tree_starts_and_stops_as_a_whole() {
    on_scheduler(1, |system| {
        let stage = Stage::new();
        let depth = 100;
        let top = start(system, nested(depth, &stage));
        assert_eq!(stage.lines(), ["up w"]);
        assert_eq!(top.shutdown(), Reason::Shutdown);
        assert_eq!(stage.lines(), ["down w: shutdown"]);
    });
}

#[test]
fn the_shutdown_of_a_child_is_its_own_affair() {
    // Some stopped children without their hook, some ran the hook of killed ones: here each child says.
    everywhere(|system| {
        let stage = Stage::new();
        let spec = stage.spec().child(stage.worker("tidy"));
        let supervisor = start(
            system,
            spec.child(stage.worker("quick").shutdown(Shutdown::BrutalKill)),
        );
        supervisor.shutdown();
        assert_eq!(
            stage.lines(),
            ["up tidy", "up quick", "down tidy: shutdown"]
        );
    });
}

#[test]
fn a_failed_start_leaves_no_trace() {
    everywhere(|system| {
        let stage = Stage::new();
        let supervisor = start(system, stage.spec());
        for n in 0..20 {
            let failed = InitError::Failed(boom());
            let child = ChildSpec::new("c", move |ctx| {
                ctx.start::<Moody>(failed.clone(), Options::new())
            });
            assert!(supervisor.start_child(child).is_err(), "{n}");
        }
        assert!(children(&supervisor).is_empty());
        assert!(supervisor.start_child(stage.worker("c")).unwrap().is_some());
        supervisor.shutdown();
    });
}

/// Its `init` waits for nothing.
struct Endless;

impl Actor for Endless {
    type Args = ();
    fn init((): (), _: &mut Context<Self>) -> Result<Self, InitError> {
        let (_sender, receiver) = weftwork_csp::bounded::<()>(1);
        let _ = receiver.recv();
        Ok(Endless)
    }
}

#[test]
fn an_init_that_never_returns_is_a_failed_start_when_its_time_is_over() {
    on_scheduler(1, |system| {
        let stage = Stage::new();
        let supervisor = start(system, stage.spec().child(stage.worker("a")));
        let endless = ChildSpec::new("e", |ctx| {
            ctx.start::<Endless>((), Options::new().timeout(20 * MS))
        });
        let error = supervisor.start_child(endless).unwrap_err();
        let reason = "child did not start: actor did not start in time";
        assert_eq!(error.to_string(), reason);
        assert_eq!(children(&supervisor), ["a"]);
        supervisor.shutdown();
    });
}

#[test]
fn a_supervisor_that_is_killed_while_it_starts_a_child_ends_and_so_do_its_children() {
    on_scheduler(1, |system| {
        let stage = Stage::new();
        let supervisor = start(system, stage.spec().child(stage.worker("a")));
        let worker = pid(&supervisor, "a").watch();
        let (starting, started) = channel();
        let adding = {
            let supervisor = supervisor.clone();
            std::thread::spawn(move || {
                let endless = ChildSpec::once("e", move |ctx| {
                    starting.send(()).unwrap();
                    ctx.start::<Endless>((), Options::new())
                });
                supervisor.start_child(endless).unwrap_err()
            })
        };
        started.recv().unwrap();
        supervisor.pid().kill();
        let error = adding.join().unwrap();
        // Who is interrupted first is not specified: the child in its `init`, or its supervisor.
        let kinds = [
            AddChildErrorKind::Down(Reason::Killed),
            AddChildErrorKind::Failed(Reason::Killed),
        ];
        assert!(kinds.contains(error.kind()), "{error:?}");
        assert_eq!(worker.wait_down(), Reason::Killed);
    });
}

// Many, and storms.

#[test]
fn a_hundred_thousand_dynamic_children_start_crash_and_stop() {
    /// As small as an actor gets.
    struct Leaf;
    impl Actor for Leaf {
        type Args = ();
        fn init((): (), _: &mut Context<Self>) -> Result<Self, InitError> {
            Ok(Leaf)
        }
    }
    let many = iters(100_000, 20_000, 500) as usize;
    on_scheduler(2, |system| {
        let rules = Rules::new().restart(Restart::Transient);
        let spec = SupervisorSpec::dynamic(rules).intensity(u32::MAX, Duration::from_secs(3600));
        let supervisor = start(system, spec);
        let pids: Vec<Pid> = (0..many)
            .map(|_| {
                let leaf = ChildSpec::dynamic(|ctx| ctx.start::<Leaf>((), Options::new()));
                supervisor.start_child(leaf).unwrap().unwrap()
            })
            .collect();
        let crashing = pids.iter().step_by(10);
        let leaving = pids.iter().skip(1).step_by(10);
        // Watched before they end: who comes later may hear of an end before the supervisor does.
        let ends: Vec<_> = crashing
            .clone()
            .chain(leaving.clone())
            .map(Pid::watch)
            .collect();
        crashing.for_each(Pid::kill);
        leaving.for_each(|pid| pid.stop(Reason::Normal));
        for end in ends {
            end.wait_down();
        }
        let counts = supervisor.count_children().unwrap();
        assert_eq!(
            (counts.active, counts.workers),
            (many - many / 10, many - many / 10)
        );
        assert_eq!(supervisor.terminate_pid(&pids[2]), Ok(()));
        supervisor.shutdown();
        assert!(pids.iter().all(|pid| !pid.is_alive()));
    });
}

/// A supervisor of three workers, which the references resolve to.
fn subtree(
    id: &'static str,
    stage: &Stage,
    strategy: Strategy,
) -> (ChildSpec, [ChildRef<Worker>; 3]) {
    let refs = [ChildRef::new(), ChildRef::new(), ChildRef::new()];
    let (log, filled) = (stage.log.clone(), refs.clone());
    let subtree = ChildSpec::supervisor(id, move || {
        let mut spec = SupervisorSpec::new()
            .strategy(strategy)
            .intensity(3, 1000 * MS);
        for (n, worker) in filled.iter().enumerate() {
            let (log, name) = (log.clone(), format!("{id} {n}"));
            let child = name.clone();
            let start = worker.filled_by(move |ctx| {
                ctx.start::<Worker>((name.clone(), log.clone()), Options::new())
            });
            spec = spec.child(ChildSpec::new(child, start));
        }
        spec
    });
    (subtree, refs)
}

#[test]
fn a_crash_storm_takes_no_sibling_subtree_down() {
    everywhere(|system| {
        for strategy in [
            Strategy::OneForOne,
            Strategy::OneForAll,
            Strategy::RestForOne,
        ] {
            let stage = Stage::new();
            let (calm, calm_refs) = subtree("calm", &stage, Strategy::OneForAll);
            let (storm, storm_refs) = subtree("storm", &stage, strategy);
            let spec = stage.spec().intensity(u32::MAX, Duration::from_secs(3600));
            let top = start(system, spec.child(calm).child(storm));
            let pids = |refs: &[ChildRef<Worker>; 3]| refs.clone().map(|one| one.wait().pid());
            let before = pids(&calm_refs);
            for _ in 0..iters(30, 30, 3) {
                // Crashes until the supervisor gives up and is restarted itself.
                let supervisor = pid(&top, "storm");
                let mut down = supervisor.watch();
                while down.wait_timeout(Duration::ZERO).is_err() {
                    for worker in &storm_refs {
                        if let Some(worker) = worker.get() {
                            worker.kill();
                        }
                    }
                }
                assert_eq!(supervisor.exit_reason(), Some(Reason::Shutdown));
                settle(&top);
            }
            assert_eq!(pids(&calm_refs), before);
            assert_eq!(children(&top), ["storm", "calm"]);
            top.shutdown();
        }
    });
}

/// Counts what it is told.
struct Counter(u64);

struct Add;

impl Actor for Counter {
    type Args = ();
    fn init((): (), _: &mut Context<Self>) -> Result<Self, InitError> {
        Ok(Counter(0))
    }
}

impl Handler<Add> for Counter {
    type Reply = u64;
    fn handle(&mut self, _: Add, _: &mut Context<Self>) -> u64 {
        self.0 += 1;
        self.0
    }
}

#[test]
fn under_random_kills_every_question_is_answered_or_refused_and_the_tree_is_whole_again() {
    everywhere(|system| {
        const WORKERS: usize = 8;
        let rounds = iters(2_000, 1_000, 100);
        let stage = Stage::new();
        let refs: Vec<ChildRef<Counter>> = (0..WORKERS).map(|_| ChildRef::new()).collect();
        let mut spec = stage.spec().intensity(u32::MAX, Duration::from_secs(3600));
        for (n, counter) in refs.iter().enumerate() {
            let start = counter.filled_by(|ctx| ctx.start::<Counter>((), Options::new()));
            spec = spec.child(ChildSpec::new(format!("c{n}"), start));
        }
        let supervisor = start(system, spec);
        std::thread::scope(|scope| {
            for thread in 0..2_u64 {
                let refs = &refs;
                scope.spawn(move || {
                    let mut random = thread + 1;
                    for round in 0..rounds {
                        random = random
                            .wrapping_mul(6_364_136_223_846_793_005)
                            .wrapping_add(1);
                        let counter = refs[(random >> 33) as usize % WORKERS].wait();
                        if thread == 0 && round % 3 == 0 {
                            counter.kill();
                        } else {
                            // Answered by a live one, or refused by a dead one: nothing hangs.
                            let _ = counter.ask(Add);
                        }
                    }
                });
            }
        });
        settle(&supervisor);
        let list = supervisor.which_children().unwrap();
        let running: HashMap<_, _> = (list.into_iter())
            .filter_map(|child| match child.state {
                ChildState::Running(pid) => Some((child.id?, pid)),
                _ => None,
            })
            .collect();
        assert_eq!(running.len(), WORKERS);
        for counter in &refs {
            // A kill may still be on its way to this one.
            while counter.wait().ask(Add).is_err() {}
        }
        supervisor.shutdown();
    });
}

#[test]
fn the_children_of_a_killed_supervisor_end_with_it() {
    everywhere(|system| {
        let (stage, worker) = (Stage::new(), ChildRef::<Worker>::new());
        let (filled, log) = (worker.clone(), stage.log.clone());
        let below = ChildSpec::supervisor("below", move || {
            let log = log.clone();
            let start = filled.filled_by(move |ctx| {
                ctx.start::<Worker>(("w".into(), log.clone()), Options::new())
            });
            SupervisorSpec::new().child(ChildSpec::new("w", start))
        });
        let top = start(system, stage.spec().child(below));
        let old = worker.wait();
        let ended = old.pid().watch();
        pid(&top, "below").kill();
        assert_eq!(ended.wait_down(), Reason::Killed);
        assert!(worker.wait_other_than(&old.pid()).is_alive());
        top.shutdown();
    });
}

#[test]
fn a_stop_in_the_middle_of_a_storm_leaves_nobody_behind() {
    everywhere(|system| {
        for _ in 0..iters(20, 20, 3) {
            let (pids, started) = channel();
            let mut spec = Stage::new()
                .spec()
                .intensity(u32::MAX, Duration::from_secs(3600));
            for n in 0..4 {
                let pids = pids.clone();
                spec = spec.child(ChildSpec::new(format!("c{n}"), move |ctx| {
                    let child = ctx.start::<Stubborn>((), Options::new())?;
                    let _ = pids.send(child.pid());
                    Ok(child)
                }));
            }
            let supervisor = start(system, spec);
            drop(pids);
            let killer = supervisor.clone();
            let storm = std::thread::spawn(move || kill_until_down(&killer));
            for _ in 0..20 {
                settle(&supervisor);
            }
            supervisor.shutdown();
            storm.join().unwrap();
            assert!(started.iter().all(|pid: Pid| !pid.is_alive()));
        }
    });

    fn kill_until_down(supervisor: &SupervisorRef) {
        while let Ok(list) = supervisor.which_children() {
            for child in list {
                if let ChildState::Running(pid) = child.state {
                    pid.kill();
                }
            }
        }
    }
}

#[test]
fn a_supervisor_serves_a_system_of_any_executor() {
    fn on(system: &System) {
        let stage = Stage::new();
        let supervisor = weftwork_core::block_on(stage.spec().start_async(system)).unwrap();
        let added = weftwork_core::block_on(supervisor.start_child_async(stage.worker("a")));
        assert!(added.unwrap().is_some());
        supervisor.shutdown();
    }
    everywhere(on);
}
