//! Exit signals, links and monitors: what Erlang/OTP does, item by item.

mod support;

use std::sync::mpsc::channel;
use support::{Event, Note, Stage, everywhere};
use weftwork_actor::{AskError, Pid, Reason};

#[test]
fn exit_normal_from_another_is_ignored_by_one_that_does_not_trap() {
    everywhere(|system| {
        let stage = Stage::new(system);
        stage.pid().exit(Reason::Normal);
        assert_eq!(stage.so_far(), []);
        assert!(stage.addr.is_alive());
    });
}

#[test]
fn exit_normal_to_itself_ends_one_that_does_not_trap() {
    everywhere(|system| {
        let stage = Stage::new(system);
        let end = stage.pid().watch();
        stage.tell(|_, ctx| ctx.exit(&ctx.pid(), Reason::Normal));
        assert_eq!(end.wait_down(), Reason::Normal);
        // A signal ended it: nothing is tidied up.
        assert_eq!(stage.events.iter().count(), 0);
    });
}

#[test]
fn exit_normal_to_itself_is_told_to_one_that_traps() {
    everywhere(|system| {
        let stage = Stage::trapping(system);
        stage.tell(|_, ctx| ctx.exit(&ctx.pid(), Reason::Normal));
        assert_eq!(stage.next(), Event::Exit(stage.pid(), Reason::Normal));
    });
}

#[test]
fn exit_with_another_reason_ends_one_that_does_not_trap() {
    everywhere(|system| {
        for reason in [Reason::Shutdown, Reason::other("r"), Reason::Killed] {
            let stage = Stage::new(system);
            let end = stage.pid().watch();
            stage.pid().exit(reason.clone());
            assert_eq!(end.wait_down(), reason);
        }
    });
}

#[test]
fn exit_with_another_reason_is_told_to_one_that_traps() {
    everywhere(|system| {
        let (stage, other) = (Stage::trapping(system), Stage::new(system));
        stage.pid().exit(Reason::other("r"));
        assert_eq!(
            stage.next(),
            Event::Exit(Pid::outside(), Reason::other("r"))
        );
        let to = stage.pid();
        other.run(move |_, ctx| ctx.exit(&to, Reason::Shutdown));
        assert_eq!(stage.next(), Event::Exit(other.pid(), Reason::Shutdown));
    });
}

#[test]
fn kill_cannot_be_trapped_and_links_see_killed() {
    everywhere(|system| {
        let (victim, linked) = (Stage::trapping(system), Stage::trapping(system));
        linked.link(&victim);
        let end = victim.pid().watch();
        victim.pid().kill();
        assert_eq!(end.wait_down(), Reason::Killed);
        assert_eq!(linked.next(), Event::Exit(victim.pid(), Reason::Killed));
        assert_eq!(victim.events.iter().count(), 0);
    });
}

#[test]
fn an_actor_that_stops_with_kill_is_trapped_as_kill() {
    everywhere(|system| {
        let (victim, linked) = (Stage::new(system), Stage::trapping(system));
        linked.link(&victim);
        victim.stop(Reason::Kill);
        assert_eq!(linked.next(), Event::Exit(victim.pid(), Reason::Kill));
        assert_eq!(linked.so_far(), []);
    });
}

#[test]
fn a_link_to_one_that_stops_with_kill_ends_the_other_with_kill() {
    everywhere(|system| {
        let (victim, linked) = (Stage::new(system), Stage::new(system));
        linked.link(&victim);
        let end = linked.pid().watch();
        victim.stop(Reason::Kill);
        assert_eq!(end.wait_down(), Reason::Kill);
    });
}

#[test]
fn a_normal_end_of_a_link_is_ignored_or_told() {
    everywhere(|system| {
        let (victim, plain, trapping) = (
            Stage::new(system),
            Stage::new(system),
            Stage::trapping(system),
        );
        plain.link(&victim);
        trapping.link(&victim);
        victim.stop(Reason::Normal);
        assert_eq!(trapping.next(), Event::Exit(victim.pid(), Reason::Normal));
        assert_eq!(plain.so_far(), []);
        assert!(plain.addr.is_alive());
    });
}

#[test]
fn any_other_end_of_a_link_ends_one_that_does_not_trap_with_the_same_reason() {
    everywhere(|system| {
        for reason in [
            Reason::Shutdown,
            Reason::shutdown_with("late"),
            Reason::other("r"),
            Reason::Killed,
        ] {
            let (victim, linked) = (Stage::new(system), Stage::new(system));
            linked.link(&victim);
            let end = linked.pid().watch();
            victim.stop(reason.clone());
            assert_eq!(end.wait_down(), reason);
        }
    });
}

#[test]
fn an_end_goes_along_a_row_of_links() {
    everywhere(|system| {
        let row: Vec<_> = (0..50).map(|_| Stage::new(system)).collect();
        for pair in row.windows(2) {
            pair[0].link(&pair[1]);
        }
        let end = row[49].pid().watch();
        row[0].pid().exit(Reason::other("r"));
        assert_eq!(end.wait_down(), Reason::other("r"));
    });
}

#[test]
fn linking_three_times_gives_one_exit() {
    everywhere(|system| {
        let (victim, linked) = (Stage::new(system), Stage::trapping(system));
        for _ in 0..3 {
            linked.link(&victim);
        }
        victim.link(&linked);
        victim.stop(Reason::Shutdown);
        assert_eq!(linked.next(), Event::Exit(victim.pid(), Reason::Shutdown));
        assert_eq!(linked.so_far(), []);
    });
}

#[test]
fn one_unlink_removes_the_link_at_both_ends() {
    everywhere(|system| {
        let (victim, linked) = (Stage::new(system), Stage::trapping(system));
        for _ in 0..3 {
            linked.link(&victim);
        }
        let pid = victim.pid();
        linked.run(move |_, ctx| ctx.unlink(&pid));
        assert_eq!(victim.get(|ctx| ctx.links()), []);
        assert_eq!(linked.get(|ctx| ctx.links()), []);
        victim.stop(Reason::other("r"));
        assert_eq!(linked.so_far(), []);
    });
}

#[test]
fn after_unlink_no_exit_arrives_not_even_one_that_was_queued() {
    everywhere(|system| {
        let (victim, linked) = (Stage::new(system), Stage::trapping(system));
        linked.link(&victim);
        let (pid, end) = (victim.pid(), victim.pid().watch());
        linked.run(move |_, ctx| {
            pid.exit(Reason::other("r"));
            // Its exit to this actor is in the mailbox by then.
            assert_eq!(end.wait_down(), Reason::other("r"));
            ctx.unlink(&pid);
        });
        assert_eq!(linked.so_far(), []);
    });
}

#[test]
fn unlinking_and_linking_again_is_linked() {
    everywhere(|system| {
        let (victim, linked) = (Stage::new(system), Stage::trapping(system));
        linked.link(&victim);
        let pid = victim.pid();
        linked.run(move |_, ctx| {
            ctx.unlink(&pid);
            ctx.link(&pid).unwrap();
        });
        victim.stop(Reason::Shutdown);
        assert_eq!(linked.next(), Event::Exit(victim.pid(), Reason::Shutdown));
        assert_eq!(linked.so_far(), []);
    });
}

#[test]
fn two_monitors_give_two_downs_and_each_only_one() {
    everywhere(|system| {
        let (victim, watching) = (Stage::new(system), Stage::new(system));
        let pid = victim.pid();
        watching.run(move |_, ctx| {
            assert_ne!(ctx.monitor(&pid), ctx.monitor(&pid));
        });
        victim.stop(Reason::other("r"));
        let down = Event::Down(victim.pid(), Reason::other("r"));
        assert_eq!([watching.next(), watching.next()], [down.clone(), down]);
        assert_eq!(watching.so_far(), []);
    });
}

#[test]
fn demonitor_removes_a_down_that_was_queued() {
    everywhere(|system| {
        let (victim, watching) = (Stage::new(system), Stage::new(system));
        let (pid, end) = (victim.pid(), victim.pid().watch());
        watching.run(move |_, ctx| {
            let monitor = ctx.monitor(&pid);
            let kept = ctx.monitor(&pid);
            pid.exit(Reason::other("r"));
            assert_eq!(end.wait_down(), Reason::other("r"));
            assert!(ctx.demonitor(monitor));
            assert!(!ctx.demonitor(monitor));
            assert_ne!(monitor, kept);
        });
        assert_eq!(
            watching.next(),
            Event::Down(victim.pid(), Reason::other("r"))
        );
        assert_eq!(watching.so_far(), []);
    });
}

#[test]
fn a_link_to_the_dead_is_an_exit_with_noproc_if_trapped() {
    everywhere(|system| {
        let (victim, linked) = (Stage::new(system), Stage::trapping(system));
        victim.stop(Reason::Normal);
        linked.link(&victim);
        assert_eq!(linked.next(), Event::Exit(victim.pid(), Reason::NoProc));
        assert_eq!(linked.get(|ctx| ctx.links()), []);
    });
}

#[test]
fn a_link_to_the_dead_is_an_error_for_one_that_does_not_trap() {
    everywhere(|system| {
        let (victim, linked) = (Stage::new(system), Stage::new(system));
        victim.stop(Reason::Normal);
        let pid = victim.pid();
        assert!(linked.get(move |ctx| ctx.link(&pid)).is_err());
        assert_eq!(linked.so_far(), []);
    });
}

#[test]
fn a_monitor_of_the_dead_is_a_down_with_noproc() {
    everywhere(|system| {
        let (victim, watching) = (Stage::new(system), Stage::new(system));
        victim.stop(Reason::other("r"));
        let pid = victim.pid();
        watching.run(move |_, ctx| {
            ctx.monitor(&pid);
        });
        assert_eq!(watching.next(), Event::Down(victim.pid(), Reason::NoProc));
        assert_eq!(victim.pid().watch().wait_down(), Reason::NoProc);
        assert_eq!(victim.pid().exit_reason(), Some(Reason::other("r")));
    });
}

#[test]
fn a_panic_is_a_reason_with_its_text_and_place() {
    everywhere(|system| {
        let (victim, linked) = (Stage::new(system), Stage::trapping(system));
        linked.link(&victim);
        let line = line!() + 1;
        victim.tell(|_, _| panic!("boom {}", 7));
        let Event::Exit(from, Reason::Panic(panic)) = linked.next() else {
            panic!("an exit with a panic")
        };
        assert_eq!(from, victim.pid());
        assert_eq!(panic.message(), "boom 7");
        let (file, at, _) = panic.location().unwrap();
        assert!(file.ends_with("exit_signals.rs"));
        assert_eq!(at, line);
    });
}

#[test]
fn an_error_and_a_stop_are_the_reason_itself() {
    everywhere(|system| {
        for reason in [Reason::error("e"), Reason::other("r")] {
            let stage = Stage::new(system);
            let end = stage.pid().watch();
            let with = reason.clone();
            stage.run(move |_, ctx| ctx.stop(with));
            assert_eq!(end.wait_down(), reason);
        }
    });
}

#[test]
fn messages_and_an_exit_of_one_sender_arrive_in_order() {
    everywhere(|system| {
        let (sender, receiver) = (Stage::new(system), Stage::trapping(system));
        receiver.link(&sender);
        let to = receiver.addr.clone();
        sender.tell(move |_, ctx| {
            for n in 1..=3 {
                to.tell(Note(n)).unwrap();
            }
            ctx.exit(&to.pid(), Reason::other("sent"));
            to.tell(Note(4)).unwrap();
            ctx.stop(Reason::other("end"));
        });
        let events: Vec<_> = (0..6).map(|_| receiver.next()).collect();
        assert_eq!(
            events,
            [
                Event::Note(1),
                Event::Note(2),
                Event::Note(3),
                Event::Exit(sender.pid(), Reason::other("sent")),
                Event::Note(4),
                Event::Exit(sender.pid(), Reason::other("end")),
            ]
        );
    });
}

#[test]
fn messages_and_a_down_of_one_sender_arrive_in_order() {
    everywhere(|system| {
        let (sender, receiver) = (Stage::new(system), Stage::new(system));
        let pid = sender.pid();
        receiver.run(move |_, ctx| {
            ctx.monitor(&pid);
        });
        let to = receiver.addr.clone();
        sender.tell(move |_, ctx| {
            (1..=3).for_each(|n| to.tell(Note(n)).unwrap());
            ctx.stop(Reason::Normal);
        });
        let events: Vec<_> = (0..4).map(|_| receiver.next()).collect();
        let down = Event::Down(sender.pid(), Reason::Normal);
        assert_eq!(
            events,
            [Event::Note(1), Event::Note(2), Event::Note(3), down]
        );
    });
}

#[test]
fn an_exit_of_the_parent_stops_one_that_traps_and_others_are_told() {
    everywhere(|system| {
        let parent = Stage::new(system);
        let (events, told) = channel();
        let child = parent.get(move |ctx| {
            let options = weftwork_actor::Options::new();
            ctx.spawn_link::<support::Puppet>(events, options).unwrap()
        });
        let child = Stage {
            addr: child,
            events: told,
        };
        child.run(|_, ctx| {
            ctx.trap_exit(true);
        });
        assert_eq!(child.get(|ctx| ctx.parent()), Some(parent.pid()));
        // From others: told.
        child.pid().exit(Reason::Shutdown);
        assert_eq!(child.next(), Event::Exit(Pid::outside(), Reason::Shutdown));
        // From the parent: stopped.
        let end = child.pid().watch();
        let pid = child.pid();
        parent.run(move |_, ctx| ctx.exit(&pid, Reason::other("enough")));
        assert_eq!(end.wait_down(), Reason::other("enough"));
        assert_eq!(child.next(), Event::Terminate(Reason::other("enough")));
        assert!(child.events.recv().is_err());
    });
}

#[test]
fn an_ask_to_one_that_dies_tells_the_reason() {
    everywhere(|system| {
        let stage = Stage::new(system);
        let got = stage.addr.ask(support::Do(Box::new(|_, ctx| {
            ctx.exit(&ctx.pid(), Reason::Kill)
        })));
        // The handler returned before the signal took effect.
        assert!(matches!(got, Ok(()) | Err(AskError::Died(Reason::Killed))));
        let end = stage.pid().watch();
        assert!(matches!(end.wait_down(), Reason::Killed | Reason::NoProc));
        assert!(matches!(
            stage.addr.ask(Note(1)),
            Err(AskError::Dead(Note(1)))
        ));
        assert!(stage.addr.tell(Note(2)).unwrap_err().is_dead());
    });
}
