//! Faults in a lab: each happens when it is to, and has the effect that is stated.
#![cfg(not(weftwork_loom))]

mod testing_support;

use std::time::Duration;
use testing_support::{Do, SECOND, Teller, Told};
use weftwork_actor::supervisor::{ChildRef, ChildSpec, SupervisorSpec};
use weftwork_actor::testing::{Fault, Lab, Probe, SignalKind, Target, explore, simulate};
use weftwork_actor::{Addr, AskError, Options, Reason, StartError, start};

/// A probe and two actors that tell it things.
fn pair(lab: &Lab) -> (Probe<Told>, Addr<Teller>, Addr<Teller>) {
    let probe = lab.probe::<Told>();
    let one = lab.start::<Teller>(probe.recipient());
    let other = lab.start::<Teller>(probe.recipient());
    (probe, one, other)
}

#[test]
fn the_nth_message_panics_and_the_asker_hears_the_reason() {
    simulate(1, |lab| {
        let (probe, one, other) = pair(lab);
        let fault = lab.inject(Fault::panic(&one.pid()).nth(2));
        assert_eq!(one.ask(1).unwrap(), 1);
        other.ask(1).unwrap();
        other.ask(2).unwrap();
        let Err(AskError::Died(reason)) = one.ask(2) else {
            panic!("it died")
        };
        assert!(reason.to_string().contains("injected fault"), "{reason}");
        assert_eq!(fault.hits(), 1);
        for n in [1, 1, 2] {
            probe.expect(Told::Number(n));
        }
        // As after a panic of its own.
        assert!(matches!(probe.receive(), Told::Terminate(reason) if reason.is_panic()));
    });
}

#[test]
fn messages_are_counted_by_their_type_if_that_is_asked_for() {
    simulate(1, |lab| {
        let (_, one, _) = pair(lab);
        lab.inject(Fault::kill(Target::actor::<Teller>()).only::<Do>().nth(2));
        for n in 0..5 {
            one.ask(n).unwrap();
        }
        one.ask(Do::new(|_, _| {})).unwrap();
        let died = one.ask(Do::new(|_, _| {}));
        assert!(
            matches!(died, Err(AskError::Died(Reason::Killed))),
            "{died:?}"
        );
    });
}

#[test]
fn a_restarted_actor_goes_on_after_the_fault_of_the_one_before() {
    explore(0..10, |lab| {
        let probe = lab.probe::<Told>();
        let told = probe.recipient();
        let child = ChildRef::<Teller>::new();
        let options = Options::new().name("child");
        let start = child.filled_by(move |ctx| ctx.start::<Teller>(told.clone(), options.clone()));
        let spec = SupervisorSpec::new().child(ChildSpec::new("child", start));
        let app = spec.start(&lab.system()).unwrap();
        lab.inject(Fault::kill("child").nth(3));
        let first = child.wait();
        for n in 0..2 {
            first.ask(n).unwrap();
        }
        first.ask(2).unwrap_err();
        let second = child.wait_other_than(&first.pid());
        for n in 0..5 {
            second.ask(n).unwrap();
        }
        let trace = lab.trace().to_string();
        assert!(trace.contains("! child#3: kill at a message"), "{trace}");
        assert!(trace.contains("child#3 ends: killed"), "{trace}");
        assert!(trace.contains("restarts child child"), "{trace}");
        assert!(trace.contains("child#4 is started by"), "{trace}");
        app.shutdown();
    });
}

#[test]
fn a_lost_message_is_not_told_to_its_sender_and_its_asker_waits_for_the_limit() {
    simulate(1, |lab| {
        let (probe, one, _) = pair(lab);
        let lost = lab.inject(
            Fault::drop_message(Target::test(), &one.pid())
                .nth(2)
                .times(2),
        );
        for n in 1..=2 {
            one.tell(n).unwrap();
        }
        let unanswered = one.ask(3);
        assert!(
            matches!(unanswered, Err(AskError::Timeout)),
            "{unanswered:?}"
        );
        assert_eq!(lab.clock().elapsed(), SECOND * 5);
        one.tell(4).unwrap();
        probe.expect(Told::Number(1));
        probe.expect(Told::Number(4));
        assert_eq!(lost.hits(), 2);
        // It takes no room.
        lab.run_until_idle();
        assert_eq!(one.pid().mailbox_len(), 0);
    });
}

#[test]
fn what_is_sent_behind_a_late_message_stays_behind_it_and_others_do_not_wait() {
    simulate(1, |lab| {
        let (probe, one, other) = pair(lab);
        lab.inject(Fault::delay_message(Target::test(), &one.pid(), SECOND));
        one.tell(1).unwrap();
        one.tell(2).unwrap();
        let to = one.clone();
        other.ask(Do::new(move |_, _| to.tell(3).unwrap())).unwrap();
        one.stop(Reason::Shutdown);
        lab.advance(Duration::from_millis(999));
        probe.expect(Told::Number(3));
        probe.expect_none(Duration::ZERO);
        lab.advance(Duration::from_millis(1));
        probe.expect(Told::Number(1));
        probe.expect(Told::Number(2));
        probe.expect(Told::Terminate(Reason::Shutdown));
    });
}

#[test]
fn a_lost_link_leaves_the_sender_linked_and_the_receiver_not() {
    simulate(1, |lab| {
        let (probe, one, other) = pair(lab);
        lab.inject(Fault::drop_signal(
            SignalKind::Link,
            &one.pid(),
            &other.pid(),
        ));
        one.ask(Do::link(&other.pid())).unwrap();
        // The end of the receiver reaches nobody.
        probe.watch(&one.pid());
        other.kill();
        lab.run_until_idle();
        assert!(one.is_alive());
        let pid = other.pid();
        one.ask(Do::new(move |_, ctx| assert_eq!(ctx.links(), [pid])))
            .unwrap();
        probe.expect_none(SECOND);
    });
}

#[test]
fn a_lost_exit_of_a_link_lets_the_survivor_go_on_and_a_late_one_ends_it_later() {
    simulate(1, |lab| {
        let (probe, one, other) = pair(lab);
        let any = Target::any;
        one.ask(Do::link(&other.pid())).unwrap();
        lab.inject(Fault::drop_signal(SignalKind::LinkExit, any(), any()));
        other.kill();
        lab.advance(SECOND * 60);
        assert!(one.is_alive());

        let third = lab.start::<Teller>(probe.recipient());
        one.ask(Do::link(&third.pid())).unwrap();
        lab.inject(Fault::delay_signal(
            SignalKind::LinkExit,
            &third.pid(),
            any(),
            SECOND,
        ));
        third.kill();
        lab.advance(Duration::from_millis(999));
        assert!(one.is_alive());
        lab.advance(Duration::from_millis(1));
        assert_eq!(one.pid().exit_reason(), Some(Reason::Killed));
    });
}

#[test]
fn a_lost_down_or_monitor_leaves_the_watcher_unaware_and_a_late_monitor_finds_nobody() {
    simulate(1, |lab| {
        let (probe, one, other) = pair(lab);
        lab.inject(Fault::drop_signal(
            SignalKind::Down,
            Target::any(),
            &one.pid(),
        ));
        one.ask(Do::monitor(&other.pid())).unwrap();
        other.kill();
        probe.expect_none(SECOND);

        let third = lab.start::<Teller>(probe.recipient());
        lab.inject(Fault::drop_signal(
            SignalKind::Monitor,
            &one.pid(),
            &third.pid(),
        ));
        one.ask(Do::monitor(&third.pid())).unwrap();
        lab.inject(Fault::delay_signal(
            SignalKind::Monitor,
            &one.pid(),
            &third.pid(),
            SECOND,
        ));
        one.ask(Do::monitor(&third.pid())).unwrap();
        third.kill();
        lab.run_until_idle();
        probe.expect_none(Duration::ZERO);
        lab.advance(SECOND);
        probe.expect(Told::Down(Reason::NoProc));
        probe.expect_none(SECOND);
    });
}

#[test]
fn a_lost_unlink_is_final_for_the_sender_alone() {
    simulate(1, |lab| {
        let (_probe, one, other) = pair(lab);
        one.ask(Do::link(&other.pid())).unwrap();
        lab.inject(Fault::drop_signal(
            SignalKind::Unlink,
            &one.pid(),
            Target::any(),
        ));
        let pid = other.pid();
        one.ask(Do::new(move |_, ctx| ctx.unlink(&pid))).unwrap();
        other.kill();
        lab.run_until_idle();
        assert!(one.is_alive());
    });
}

#[test]
fn a_lost_stop_or_exit_lets_the_receiver_go_on_but_a_kill_is_not_lost() {
    simulate(1, |lab| {
        let (_probe, one, _) = pair(lab);
        lab.inject(Fault::drop_signal(SignalKind::Any, Target::test(), &one.pid()).always());
        one.stop(Reason::Normal);
        one.pid().exit(Reason::Shutdown);
        lab.run_until_idle();
        assert!(one.is_alive());
        one.kill();
        lab.run_until_idle();
        assert_eq!(one.pid().exit_reason(), Some(Reason::Killed));
    });
}

#[test]
fn a_start_is_refused_and_an_init_fails_so_often() {
    simulate(1, |lab| {
        let probe = lab.probe::<Told>();
        let start = |name: &'static str| {
            start::<Teller>(&lab.system(), probe.recipient(), Options::new().name(name))
        };
        lab.inject(Fault::refuse_start("refused"));
        lab.inject(Fault::fail_init("failing").times(2));
        assert_eq!(start("refused").unwrap_err(), StartError::Refused);
        assert!(start("refused").is_ok());
        for _ in 0..2 {
            let error = start("failing").unwrap_err();
            let StartError::Failed(reason) = error else {
                panic!("{error}")
            };
            assert_eq!(reason, Reason::other("injected fault"));
        }
        assert!(start("failing").is_ok());
    });
}

#[test]
fn a_supervisor_tries_again_while_the_init_of_its_child_fails() {
    explore(0..10, |lab| {
        let probe = lab.probe::<Told>();
        let told = probe.recipient();
        let child = ChildRef::<Teller>::new();
        let start = child.filled_by(move |ctx| ctx.start::<Teller>(told.clone(), Options::new()));
        let spec = SupervisorSpec::new()
            .intensity(4, SECOND)
            .child(ChildSpec::new("child", start));
        let app = spec.start(&lab.system()).unwrap();
        let first = child.wait();
        lab.inject(Fault::fail_init(Target::actor::<Teller>()).times(3));
        first.kill();
        let second = child.wait_other_than(&first.pid());
        second.ask(1).unwrap();
        // One crash and three tries were allowed. One more is too many.
        let end = app.pid().watch();
        second.kill();
        assert_eq!(end.wait_down(), Reason::Shutdown);
    });
}

#[test]
fn chances_are_drawn_by_the_seed() {
    let lost = |seed| {
        simulate(seed, |lab| {
            let (_probe, one, _) = pair(lab);
            let fault = lab.inject(Fault::drop_message(Target::any(), &one.pid()).chance(0.25));
            for n in 0..400 {
                one.tell(n).unwrap();
            }
            fault.hits()
        })
    };
    assert_eq!(lost(1), lost(1));
    assert!((50..150).contains(&lost(1)), "{}", lost(1));
    assert!((2..12).any(|seed| lost(seed) != lost(1)));
}
