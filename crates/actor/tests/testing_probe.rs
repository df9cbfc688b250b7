//! Probes: what they take, what they say when it is not what was expected.
#![cfg(not(weftwork_loom))]

mod support;
mod testing_support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;
use support::on_scheduler;
use testing_support::{Do, SECOND, Teller, Told};
use weftwork_actor::testing::{Probe, simulate};
use weftwork_actor::{AskError, Options, Reason, start};

/// What an assertion says that fails.
fn failure(test: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(test)).expect_err("the assertion fails");
    match payload.downcast_ref::<&str>() {
        Some(text) => (*text).into(),
        None => *payload.downcast::<String>().expect("with a text"),
    }
}

#[test]
fn a_probe_takes_messages_in_order_and_fishes_among_them() {
    support::everywhere(|system| {
        let probe = Probe::<u32>::start(system);
        for n in 0..10 {
            probe.recipient().tell(n).unwrap();
        }
        probe.expect(0);
        probe.expect_within(1, SECOND);
        assert_eq!(probe.receive(), 2);
        assert_eq!(probe.fish(|n| n % 4 == 0), 4);
        probe.expect(5);
        assert_eq!(probe.fish(|n| *n == 9), 9);
        probe.expect_none(Duration::from_millis(1));
    });
}

#[test]
fn a_probe_hears_of_ends_and_exits_in_order_with_messages() {
    support::everywhere(|system| {
        let probe = Probe::<Told>::start(system);
        let watched = start::<Teller>(system, probe.recipient(), Options::new()).unwrap();
        let linked = start::<Teller>(system, probe.recipient(), Options::new()).unwrap();
        probe.watch(&watched.pid());
        probe.link(&linked.pid());
        watched.tell(7).unwrap();
        watched.stop(Reason::Shutdown);
        probe.expect(Told::Number(7));
        probe.expect(Told::Terminate(Reason::Shutdown));
        assert_eq!(probe.expect_down(&watched.pid()), Reason::Shutdown);
        linked.kill();
        assert_eq!(probe.expect_exit(&linked.pid()), Reason::Killed);
        // Both were gone before.
        probe.watch(&watched.pid());
        assert_eq!(probe.expect_down(&watched.pid()), Reason::NoProc);
        probe.link(&linked.pid());
        assert_eq!(probe.expect_exit(&linked.pid()), Reason::NoProc);
    });
}

#[test]
fn the_end_of_a_probe_ends_whom_it_is_linked_to_if_it_is_killed() {
    on_scheduler(1, |system| {
        let probe = Probe::<Told>::start(system);
        let other = Probe::<Told>::start(system);
        let linked = start::<Teller>(system, other.recipient(), Options::new()).unwrap();
        probe.link(&linked.pid());
        other.watch(&linked.pid());
        probe.pid().kill();
        assert_eq!(other.expect_down(&linked.pid()), Reason::Killed);
    });
}

#[test]
fn a_probe_answers_what_it_was_asked_or_gives_the_answer_up() {
    simulate(1, |lab| {
        let probe = lab.probe::<Told>();
        let asked = Probe::<&'static str, u32>::start(&lab.system());
        let teller = lab.start::<Teller>(probe.recipient());
        let ask = |question: &'static str| {
            let addr = asked.addr();
            let work = move |teller: &mut Teller, _: &mut _| match addr.ask(question) {
                Ok(n) => teller.tell(Told::Number(n)),
                Err(error) => {
                    assert!(matches!(error, AskError::NoReply), "{error}");
                    teller.tell(Told::Number(0));
                }
            };
            teller.tell(Do::new(work)).unwrap();
        };
        ask("how many");
        asked.expect("how many");
        asked.reply(3);
        probe.expect(Told::Number(3));
        // The next one is taken: nobody will answer this one.
        ask("unheard");
        asked.expect("unheard");
        asked.recipient().tell("told").unwrap();
        asked.expect("told");
        probe.expect(Told::Number(0));
        asked.reply(1);
        let text = failure(|| asked.reply(2));
        assert!(text.contains("no message to reply to"), "{text}");
    });
}

#[test]
fn assertions_say_what_came_instead_and_what_is_behind_it() {
    simulate(1, |lab| {
        let probe = Probe::<Told>::named(&lab.system(), "logger");
        let text = failure(|| probe.expect(Told::Number(1)));
        let expected = "(logger) expected Number(1), but nothing came in 3s";
        assert!(text.ends_with(expected), "{text}");

        let teller = lab.start::<Teller>(probe.recipient());
        probe.watch(&teller.pid());
        for n in 2..=4 {
            teller.tell(n).unwrap();
        }
        lab.run_until_idle();
        let text = failure(|| probe.expect(Told::Number(1)));
        let expected = "expected Number(1), but Number(2) came; behind it: Number(3), Number(4)";
        assert!(text.ends_with(expected), "{text}");
        let text = failure(|| drop(probe.expect_down(&teller.pid())));
        assert!(text.contains("expected the down of <0."), "{text}");
        let expected = "but Number(3) came; behind it: Number(4)";
        assert!(text.ends_with(expected), "{text}");
        let text = failure(|| drop(probe.expect_exit(&teller.pid())));
        assert!(text.contains("expected an exit of <0."), "{text}");

        teller.kill();
        let text = failure(|| drop(probe.receive()));
        assert!(
            text.contains("expected a message, but the down of"),
            "{text}"
        );
        assert!(text.ends_with("(killed) came"), "{text}");
        probe.recipient().tell(Told::Number(5)).unwrap();
        let text = failure(|| probe.expect_none(SECOND));
        assert!(
            text.ends_with("expected nothing, but Number(5) came"),
            "{text}"
        );
        for n in 0..20 {
            probe.recipient().tell(Told::Number(n)).unwrap();
        }
        lab.run_until_idle();
        let text = failure(|| probe.expect(Told::Number(1)));
        assert!(text.ends_with("Number(8), and 11 more"), "{text}");
    });
}

#[test]
fn a_probe_that_fishes_in_vain_lists_its_catch() {
    simulate(1, |lab| {
        let probe = lab.probe::<u32>();
        for n in [1, 2] {
            probe.recipient().tell(n).unwrap();
        }
        let before = lab.clock().elapsed();
        let text = failure(|| assert_eq!(probe.fish(|n| *n > 2), 3));
        assert!(text.ends_with("in 3s these came: [1, 2]"), "{text}");
        // Three seconds of the lab's.
        assert_eq!(lab.clock().elapsed() - before, SECOND * 3);
    });
}
