//! Supervisors: how children are stopped, when a supervisor stops by itself, and the administration. The
//! claims are OTP's, but for those of the stop deadline.

#![allow(clippy::disallowed_types, reason = "tests may use std's locks")]

mod supervisor_support;
mod support;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use supervisor_support::{
    Moody, Stage, Stubborn, Worker, children, end, end_pid, pid, settle, start, stubborn,
};
use support::{everywhere, on_scheduler};
use weftwork_actor::supervisor::{
    AddChildErrorKind, AdminError, AutoShutdown, ChildRef, ChildSpec, Kind, Report, Restart, Rules,
    Shutdown, SpecError, Strategy, SupervisorRef, SupervisorSpec,
};
use weftwork_actor::{Actor, Context, Exit, Handler, InitError, Options, Pid, Reason, System};

const MS: Duration = Duration::from_millis(1);

fn boom() -> Reason {
    Reason::other("boom")
}

// Stops.

#[test]
fn a_brutal_kill_gives_no_time_and_is_no_fault() {
    everywhere(|system| {
        let stage = Stage::new();
        let child = stage.worker("a").shutdown(Shutdown::BrutalKill);
        let supervisor = start(system, stage.spec().child(child));
        let watch = pid(&supervisor, "a").watch();
        supervisor.terminate_child("a").unwrap();
        assert_eq!(watch.wait_down(), Reason::Killed);
        assert_eq!(stage.lines(), ["up a"], "terminate was not called");
        assert_eq!(stage.reports(), []);
        supervisor.shutdown();
    });
}

#[test]
fn a_child_that_ignores_shutdown_is_killed_when_its_time_is_over_and_reported() {
    everywhere(|system| {
        let stage = Stage::new();
        let child = ChildSpec::new("s", stubborn).shutdown(Shutdown::Timeout(20 * MS));
        let spec = stage.spec().child(stage.worker("a")).child(child);
        let supervisor = start(system, spec.child(stage.worker("b")));
        let (child, before) = (pid(&supervisor, "s"), Instant::now());
        let watch = child.watch();
        supervisor.shutdown();
        assert_eq!(watch.wait_down(), Reason::Killed);
        assert!(before.elapsed() >= 20 * MS, "it had its time");
        let fault = Report::StopFailed {
            id: Some("s".into()),
            pid: child,
            reason: Reason::Killed,
        };
        assert_eq!(stage.reports(), [fault]);
        assert_eq!(stage.lines()[2..], ["down b: shutdown", "down a: shutdown"]);
    });
}

#[test]
fn infinity_waits_until_the_child_has_ended() {
    everywhere(|system| {
        let stage = Stage::new();
        let child = ChildSpec::new("s", stubborn).shutdown(Shutdown::Infinity);
        let supervisor = start(system, stage.spec().child(child));
        let (child, stopping) = (pid(&supervisor, "s"), supervisor.pid().watch());
        supervisor.stop(Reason::Shutdown);
        child.stop(Reason::Shutdown);
        assert_eq!(stopping.wait_down(), Reason::Shutdown);
        assert!(!child.is_alive());
        assert_eq!(stage.reports(), []);
    });
}

/// Breaks its link to the supervisor when it is told to.
struct Loner;

struct Leave;

impl Actor for Loner {
    type Args = ();
    fn init((): (), _: &mut Context<Self>) -> Result<Self, InitError> {
        Ok(Loner)
    }
}

impl Handler<Leave> for Loner {
    type Reply = ();
    fn handle(&mut self, _: Leave, ctx: &mut Context<Self>) {
        let parent = ctx.parent().expect("a supervisor started it");
        ctx.unlink(&parent);
    }
}

/// A supervisor with a child that has unlinked itself.
fn with_loner(system: &System, stage: &Stage) -> (SupervisorRef, ChildRef<Loner>) {
    let loner = ChildRef::<Loner>::new();
    let start_loner = loner.filled_by(|ctx| ctx.start::<Loner>((), Options::new()));
    let child = ChildSpec::new("l", start_loner).shutdown(Shutdown::Infinity);
    let supervisor = start(system, stage.spec().child(child));
    loner.wait().ask(Leave).unwrap();
    (supervisor, loner)
}

#[test]
fn a_child_that_has_unlinked_itself_does_not_hang_the_stop() {
    everywhere(|system| {
        let (supervisor, loner) = with_loner(system, &Stage::new());
        let watch = loner.wait().pid().watch();
        assert_eq!(supervisor.terminate_child("l"), Ok(()));
        assert_eq!(watch.wait_down(), Reason::Shutdown);
        supervisor.restart_child("l").unwrap();
        loner.wait().ask(Leave).unwrap();
        assert_eq!(supervisor.shutdown(), Reason::Shutdown);
        assert!(loner.get().is_none());
    });
}

#[test]
fn a_child_that_unlinked_itself_and_died_is_found_out_when_it_is_stopped() {
    everywhere(|system| {
        let stage = Stage::new();
        let (supervisor, loner) = with_loner(system, &stage);
        let child = loner.wait().pid();
        end_pid(&supervisor, &child, boom());
        // As in OTP: nobody told the supervisor.
        assert_eq!(pid(&supervisor, "l"), child);
        assert_eq!(supervisor.terminate_child("l"), Ok(()));
        let fault = Report::StopFailed {
            id: Some("l".into()),
            pid: child,
            reason: boom(),
        };
        assert_eq!(stage.reports(), [fault]);
        supervisor.shutdown();
    });
}

#[test]
fn an_end_that_is_not_shutdown_is_reported_for_a_permanent_child_alone() {
    /// Ends so when it is to stop.
    struct Own(Reason);
    impl Actor for Own {
        type Args = Reason;
        fn init(reason: Reason, ctx: &mut Context<Self>) -> Result<Self, InitError> {
            ctx.trap_exit(true);
            Ok(Own(reason))
        }
        fn on_exit(&mut self, _: Exit, ctx: &mut Context<Self>) {
            ctx.stop(self.0.clone());
        }
    }
    everywhere(|system| {
        for (restart, reason, is_fault) in [
            (Restart::Permanent, Reason::Shutdown, false),
            (Restart::Permanent, Reason::Normal, true),
            (Restart::Permanent, Reason::shutdown_with("x"), true),
            (Restart::Permanent, boom(), true),
            (Restart::Transient, Reason::Normal, false),
            (Restart::Transient, Reason::shutdown_with("x"), false),
            (Restart::Transient, boom(), true),
            (Restart::Temporary, Reason::Normal, false),
            (Restart::Temporary, boom(), true),
        ] {
            let stage = Stage::new();
            let own = reason.clone();
            let child = ChildSpec::new("o", move |ctx| {
                weftwork_actor::start::<Own>(&ctx.system(), own.clone(), Options::new())
            });
            let supervisor = start(system, stage.spec().child(child.restart(restart)));
            supervisor.terminate_child("o").unwrap();
            let reports = stage.reports();
            assert_eq!(
                !reports.is_empty(),
                is_fault,
                "{restart:?} {reason}: {reports:?}"
            );
            supervisor.shutdown();
        }
    });
}

#[test]
fn an_overdue_stop_reports_who_blocks_and_kills_whoever_is_left() {
    everywhere(|system| {
        let stage = Stage::new();
        let child = |id: &str| ChildSpec::new(id, stubborn).shutdown(Shutdown::Infinity);
        let spec = stage.spec().stop_deadline(20 * MS).child(child("a"));
        let supervisor = start(system, spec.child(child("b")));
        assert_eq!(supervisor.shutdown(), Reason::Shutdown);
        let blamed: Vec<_> = (stage.reports().into_iter())
            .filter_map(|report| match report {
                Report::StopOverdue { id, .. } => id,
                _ => None,
            })
            .map(|id| id.to_string())
            .collect();
        assert_eq!(blamed, ["b", "a"]);
    });
}

#[test]
fn a_child_that_hangs_in_terminate_is_killed_from_there() {
    struct Hangs;
    impl Actor for Hangs {
        type Args = ();
        fn init((): (), ctx: &mut Context<Self>) -> Result<Self, InitError> {
            ctx.trap_exit(true);
            Ok(Hangs)
        }
        fn terminate(&mut self, _: &Reason, _: &mut Context<Self>) {
            // A wait for nothing, which only a scheduler can end.
            let (_sender, receiver) = weftwork_csp::bounded::<()>(1);
            let _ = receiver.recv();
        }
    }
    on_scheduler(1, |system| {
        let stage = Stage::new();
        let child = ChildSpec::new("h", |ctx| ctx.start::<Hangs>((), Options::new()))
            .shutdown(Shutdown::Timeout(20 * MS));
        let supervisor = start(system, stage.spec().child(child));
        assert_eq!(supervisor.shutdown(), Reason::Shutdown);
    });
}

#[test]
fn a_question_of_a_child_to_the_supervisor_that_stops_it_is_an_error_and_no_deadlock() {
    /// Asks its supervisor when it ends.
    struct Curious {
        slot: Arc<Mutex<Option<SupervisorRef>>>,
        answer: std::sync::mpsc::Sender<AdminError>,
    }
    type Args = (
        Arc<Mutex<Option<SupervisorRef>>>,
        std::sync::mpsc::Sender<AdminError>,
    );
    impl Actor for Curious {
        type Args = Args;
        fn init((slot, answer): Args, ctx: &mut Context<Self>) -> Result<Self, InitError> {
            ctx.trap_exit(true);
            Ok(Curious { slot, answer })
        }
        fn terminate(&mut self, _: &Reason, _: &mut Context<Self>) {
            let supervisor = self.slot.lock().unwrap().take().unwrap();
            let _ = self.answer.send(supervisor.which_children().unwrap_err());
        }
    }
    everywhere(|system| {
        let slot = Arc::new(Mutex::new(None));
        let (answer, answers) = std::sync::mpsc::channel();
        let args = (Arc::clone(&slot), answer);
        let child = ChildSpec::new("c", move |ctx| {
            *args.0.lock().unwrap() = Some(ctx.supervisor());
            ctx.start::<Curious>(args.clone(), Options::new())
        });
        let supervisor = start(system, SupervisorSpec::new().child(child));
        supervisor.terminate_child("c").unwrap();
        assert_eq!(answers.recv(), Ok(AdminError::Cycle));
        supervisor.shutdown();
    });
}

#[test]
fn the_old_incarnation_is_over_before_the_next_init_begins() {
    /// Says when it is dropped, which is after `terminate`.
    struct Late(String, std::sync::mpsc::Sender<String>);
    impl Actor for Late {
        type Args = std::sync::mpsc::Sender<String>;
        fn init(log: Self::Args, ctx: &mut Context<Self>) -> Result<Self, InitError> {
            ctx.trap_exit(true);
            log.send("up".into()).unwrap();
            Ok(Late("down".into(), log))
        }
    }
    impl Drop for Late {
        fn drop(&mut self) {
            for _ in 0..100 {
                std::thread::yield_now();
            }
            let _ = self.1.send(std::mem::take(&mut self.0));
        }
    }
    everywhere(|system| {
        let (log, lines) = std::sync::mpsc::channel();
        let child = ChildSpec::new("l", move |ctx| {
            ctx.start::<Late>(log.clone(), Options::new())
        });
        let supervisor = start(system, Stage::new().spec().child(child));
        for _ in 0..20 {
            end(&supervisor, "l", boom());
            supervisor.terminate_child("l").unwrap();
            supervisor.restart_child("l").unwrap();
        }
        supervisor.shutdown();
        let lines: Vec<String> = lines.try_iter().collect();
        assert_eq!(lines.len(), 2 * 41);
        assert!(lines.chunks(2).all(|pair| pair == ["up", "down"]));
    });
}

// The end by itself.

#[test]
fn the_first_end_of_a_significant_child_stops_a_supervisor_that_any_stops() {
    everywhere(|system| {
        for (restart, reason, stops) in [
            (Restart::Transient, Reason::Normal, true),
            (Restart::Transient, Reason::Shutdown, true),
            (Restart::Transient, Reason::shutdown_with("x"), true),
            (Restart::Transient, boom(), false),
            (Restart::Temporary, Reason::Normal, true),
            (Restart::Temporary, boom(), true),
        ] {
            let stage = Stage::new();
            let spec = stage.spec().auto_shutdown(AutoShutdown::AnySignificant);
            let spec = spec.child(stage.worker("other"));
            let child = stage.worker("s").restart(restart).significant();
            let supervisor = start(system, spec.child(child));
            let watch = supervisor.pid().watch();
            end(&supervisor, "s", reason.clone());
            if stops {
                assert_eq!(watch.wait_down(), Reason::Shutdown);
                assert_eq!(stage.lines().last().unwrap(), "down other: shutdown");
            } else {
                assert_eq!(children(&supervisor), ["s", "other"], "{reason}");
                supervisor.shutdown();
            }
        }
    });
}

#[test]
fn the_last_end_of_a_significant_child_stops_a_supervisor_that_all_stop() {
    everywhere(|system| {
        let stage = Stage::new();
        let spec = stage.spec().auto_shutdown(AutoShutdown::AllSignificant);
        let significant = |id| stage.worker(id).restart(Restart::Transient).significant();
        let spec = spec.child(significant("s")).child(stage.worker("other"));
        let supervisor = start(system, spec.child(significant("t")));
        let watch = supervisor.pid().watch();
        end(&supervisor, "s", Reason::Normal);
        end(&supervisor, "other", Reason::Normal);
        assert!(supervisor.is_alive());
        end(&supervisor, "t", Reason::Normal);
        assert_eq!(watch.wait_down(), Reason::Shutdown);
    });
}

#[test]
fn a_stop_by_the_supervisor_is_not_an_end_by_itself() {
    everywhere(|system| {
        let stage = Stage::new();
        let spec = stage.spec().auto_shutdown(AutoShutdown::AnySignificant);
        let spec = spec.strategy(Strategy::OneForAll).child(stage.worker("a"));
        let temporary = stage.worker("t").restart(Restart::Temporary).significant();
        let transient = stage.worker("s").restart(Restart::Transient).significant();
        let supervisor = start(system, spec.child(temporary).child(transient));
        supervisor.terminate_child("s").unwrap();
        supervisor.restart_child("s").unwrap();
        // Of the group: `t` is stopped by it, too.
        end(&supervisor, "a", boom());
        assert_eq!(children(&supervisor), ["s", "a"]);
        supervisor.shutdown();
    });
}

#[test]
fn an_end_by_itself_escalates_through_significant_supervisors() {
    everywhere(|system| {
        let (stage, worker) = (Stage::new(), ChildRef::<Worker>::new());
        let (filling, log) = (worker.clone(), stage.log.clone());
        let below = ChildSpec::supervisor("below", move || {
            let log = log.clone();
            let start = filling.filled_by(move |ctx| {
                ctx.start::<Worker>(("w".into(), log.clone()), Options::new())
            });
            let child = ChildSpec::new("w", start)
                .restart(Restart::Transient)
                .significant();
            SupervisorSpec::new()
                .auto_shutdown(AutoShutdown::AnySignificant)
                .child(child)
        });
        let spec = stage.spec().auto_shutdown(AutoShutdown::AllSignificant);
        let below = below.restart(Restart::Transient).significant();
        let top = start(system, spec.child(below));
        let watch = top.pid().watch();
        worker.wait().stop(Reason::Normal);
        assert_eq!(watch.wait_down(), Reason::Shutdown);
    });
}

// The administration.

#[test]
fn start_child_adds_behind_the_others_and_refuses_a_second_child_of_one_id() {
    everywhere(|system| {
        let stage = Stage::new();
        let supervisor = start(system, stage.spec().child(stage.worker("a")));
        let b = supervisor.start_child(stage.worker("b")).unwrap().unwrap();
        assert_eq!(children(&supervisor), ["b", "a"]);
        let error = supervisor.start_child(stage.worker("b")).unwrap_err();
        assert_eq!(error.kind(), &AddChildErrorKind::AlreadyStarted(b));
        supervisor.terminate_child("b").unwrap();
        let error = supervisor.start_child(stage.worker("b")).unwrap_err();
        assert_eq!(error.kind(), &AddChildErrorKind::AlreadyPresent);
        let again = error.into_spec().expect("it is handed back");
        supervisor.delete_child("b").unwrap();
        assert!(supervisor.start_child(again).unwrap().is_some());
        supervisor.shutdown();
    });
}

#[test]
fn start_child_keeps_the_place_of_a_child_that_ignores_and_not_of_one_that_fails() {
    everywhere(|system| {
        let stage = Stage::new();
        let supervisor = start(system, stage.spec());
        let moody = |id: &str, error: InitError| {
            ChildSpec::new(id, move |ctx| {
                ctx.start::<Moody>(error.clone(), Options::new())
            })
        };
        let ignored = supervisor.start_child(moody("i", InitError::Ignore));
        assert_eq!(ignored.unwrap(), None);
        let temporary = moody("t", InitError::Ignore).restart(Restart::Temporary);
        assert_eq!(supervisor.start_child(temporary).unwrap(), None);
        let failed = supervisor.start_child(moody("f", InitError::Failed(boom())));
        let error = failed.unwrap_err();
        assert_eq!(error.kind(), &AddChildErrorKind::Failed(boom()));
        assert_eq!(error.into_spec().unwrap().id().unwrap().as_str(), "f");
        assert_eq!(children(&supervisor), ["i ended"]);
        assert_eq!(supervisor.restart_child("i"), Ok(None));
        supervisor.shutdown();
    });
}

#[test]
fn start_child_refuses_what_is_impossible_and_what_is_too_many() {
    everywhere(|system| {
        let stage = Stage::new();
        let supervisor = start(system, stage.spec().max_children(1));
        let transient = stage.worker("s").restart(Restart::Transient).significant();
        let error = supervisor.start_child(transient).unwrap_err();
        let impossible = SpecError::SignificantForNothing(Some("s".into()));
        assert_eq!(error.kind(), &AddChildErrorKind::Impossible(impossible));
        supervisor.start_child(stage.worker("a")).unwrap();
        let error = supervisor.start_child(stage.worker("b")).unwrap_err();
        assert_eq!(error.kind(), &AddChildErrorKind::TooMany);
        supervisor.shutdown();
        let error = supervisor.start_child(stage.worker("c")).unwrap_err();
        assert_eq!(error.kind(), &AddChildErrorKind::Down(Reason::Shutdown));
        assert!(error.into_spec().is_some());
    });
}

#[test]
fn terminate_restart_and_delete_say_what_is_in_the_way() {
    everywhere(|system| {
        let stage = Stage::new();
        let spec = stage.spec().child(stage.worker("a"));
        let temporary = stage.worker("t").restart(Restart::Temporary);
        let supervisor = start(system, spec.child(temporary));
        assert_eq!(supervisor.restart_child("a"), Err(AdminError::Running));
        assert_eq!(supervisor.delete_child("a"), Err(AdminError::Running));
        assert_eq!(supervisor.terminate_child("a"), Ok(()));
        assert_eq!(
            supervisor.terminate_child("a"),
            Ok(()),
            "it does not run: fine"
        );
        assert_eq!(children(&supervisor), ["t", "a ended"]);
        assert!(supervisor.restart_child("a").unwrap().is_some());
        supervisor.terminate_child("a").unwrap();
        assert_eq!(supervisor.delete_child("a"), Ok(()));
        assert_eq!(supervisor.terminate_child("t"), Ok(()));
        for id in ["a", "t", "nobody"] {
            assert_eq!(supervisor.terminate_child(id), Err(AdminError::NotFound));
            assert_eq!(supervisor.restart_child(id), Err(AdminError::NotFound));
            assert_eq!(supervisor.delete_child(id), Err(AdminError::NotFound));
        }
        supervisor.shutdown();
        assert_eq!(
            supervisor.delete_child("a"),
            Err(AdminError::Down(Reason::Shutdown))
        );
    });
}

#[test]
fn a_restart_by_hand_that_fails_leaves_the_place_empty() {
    everywhere(|system| {
        let stage = Stage::new();
        let supervisor = start(system, stage.spec().child(stage.failing_worker("a")));
        supervisor.terminate_child("a").unwrap();
        *stage.failing.lock().unwrap() = 1;
        let failed = AdminError::Failed(Reason::other("not now"));
        assert_eq!(supervisor.restart_child("a"), Err(failed));
        assert_eq!(children(&supervisor), ["a ended"]);
        supervisor.shutdown();
    });
}

#[test]
fn counts_tell_places_running_children_supervisors_and_workers() {
    everywhere(|system| {
        let stage = Stage::new();
        let spec = stage
            .spec()
            .child(stage.worker("a"))
            .child(stage.worker("b"));
        let spec = spec.child(ChildSpec::supervisor("s", SupervisorSpec::new));
        let supervisor = start(system, spec);
        supervisor.terminate_child("a").unwrap();
        let counts = supervisor.count_children().unwrap();
        assert_eq!((counts.specs, counts.active), (3, 2));
        assert_eq!((counts.supervisors, counts.workers), (1, 2));
        let list = supervisor.which_children().unwrap();
        assert_eq!(list[0].kind, Kind::Supervisor);
        supervisor.shutdown();
    });
}

// Dynamic supervisors.

fn session(stage: &Stage) -> ChildSpec {
    let log = stage.log.clone();
    ChildSpec::dynamic(move |ctx| {
        ctx.start::<Worker>(("session".into(), log.clone()), Options::new())
    })
}

#[test]
fn dynamic_children_have_no_ids_and_are_stopped_by_pid() {
    everywhere(|system| {
        let stage = Stage::new();
        let rules = Rules::new().restart(Restart::Transient);
        let supervisor = start(
            system,
            SupervisorSpec::dynamic(rules).intensity(9, 1000 * MS),
        );
        let pids: Vec<Pid> = (0..3)
            .map(|_| supervisor.start_child(session(&stage)).unwrap().unwrap())
            .collect();
        assert_eq!(children(&supervisor), ["-", "-", "-"]);
        for refused in [
            supervisor.terminate_child("a"),
            supervisor.delete_child("a"),
            supervisor.restart_child("a").map(drop),
        ] {
            assert_eq!(refused, Err(AdminError::Dynamic));
        }
        assert_eq!(supervisor.terminate_pid(&pids[0]), Ok(()));
        assert_eq!(
            supervisor.terminate_pid(&pids[0]),
            Ok(()),
            "it is over: fine"
        );
        assert_eq!(
            supervisor.terminate_pid(&supervisor.pid()),
            Err(AdminError::NotFound)
        );
        // One ends in good order, one crashes: the place of the first is forgotten, too.
        end_pid(&supervisor, &pids[1], Reason::Normal);
        end_pid(&supervisor, &pids[2], boom());
        let counts = supervisor.count_children().unwrap();
        assert_eq!((counts.specs, counts.active, counts.workers), (1, 1, 1));
        supervisor.shutdown();
    });
}

#[test]
fn dynamic_children_are_stopped_at_once_with_one_time_for_all() {
    everywhere(|system| {
        let rules = Rules::new().shutdown(Shutdown::Timeout(50 * MS));
        let supervisor = start(system, SupervisorSpec::dynamic(rules));
        let pids: Vec<Pid> = (0..20)
            .map(|_| {
                supervisor
                    .start_child(ChildSpec::dynamic(stubborn))
                    .unwrap()
                    .unwrap()
            })
            .collect();
        let before = Instant::now();
        supervisor.shutdown();
        let took = before.elapsed();
        assert!(took >= 50 * MS && took < 20 * 50 * MS, "{took:?}");
        assert!(
            pids.iter()
                .all(|pid| pid.exit_reason() == Some(Reason::Killed))
        );
    });
}

#[test]
fn a_child_that_starts_once_takes_what_it_needs_along_and_is_never_restarted() {
    everywhere(|system| {
        let supervisor = start(system, SupervisorSpec::dynamic(Rules::new()));
        let owned = std::sync::mpsc::channel::<u8>().1;
        let child = ChildSpec::dynamic_once(move |ctx| {
            drop(owned);
            ctx.start::<Stubborn>((), Options::new())
        });
        let pid = supervisor.start_child(child).unwrap().unwrap();
        end_pid(&supervisor, &pid, boom());
        settle(&supervisor);
        assert_eq!(supervisor.count_children().unwrap().workers, 0);
        supervisor.shutdown();
    });
}

#[test]
fn an_impossible_rule_of_a_dynamic_supervisor_fails_its_start() {
    let rules = Rules::new().restart(Restart::Transient).significant();
    let error = SupervisorSpec::dynamic(rules).check();
    assert_eq!(error, Err(SpecError::SignificantForNothing(None)));
    let fine = SupervisorSpec::dynamic(Rules::new()).auto_shutdown(AutoShutdown::AnySignificant);
    assert_eq!(fine.check(), Err(SpecError::DynamicAutoShutdown));
}
