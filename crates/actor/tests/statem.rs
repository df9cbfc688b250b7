//! State machines behave as OTP's `gen_statem`: the checklist, item by item.

mod support;

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;
use support::{everywhere, on_scheduler};
use weftwork_actor::statem::{Call, Cast, Entry, Event, Machine, Next, StateMachine, Step};
use weftwork_actor::{Addr, InitError, Options, Reason, System, start};

type State = &'static str;

/// Does what its events say.
struct Puppet {
    log: Sender<String>,
    on_enter: Vec<(State, Enter)>,
}

type Enter = Box<dyn Fn(&mut Entry<'_, Puppet>) + Send>;
type Act = Box<dyn Fn(State, &mut Step<'_, Puppet>) -> Option<Next<State>> + Send>;

/// A name for the log, and what it does. `None` postpones it.
struct Input(&'static str, Act);

impl StateMachine for Puppet {
    type Args = (Sender<String>, Vec<(State, Enter)>, Vec<Input>);
    type State = State;
    type Event = Input;
    type Reply = String;

    fn init(
        (log, on_enter, first): Self::Args,
        step: &mut Step<'_, Self>,
    ) -> Result<(Self, State), InitError> {
        for input in first {
            step.next_event(input);
        }
        Ok((Puppet { log, on_enter }, "s1"))
    }

    fn enter(&mut self, old: &State, new: &State, entry: &mut Entry<'_, Self>) {
        self.log.send(format!("enter {old} {new}")).unwrap();
        for (state, act) in &self.on_enter {
            if state == new {
                act(entry);
            }
        }
    }

    fn handle(
        &mut self,
        state: &State,
        event: Event<Self>,
        step: &mut Step<'_, Self>,
    ) -> Next<State> {
        let (kind, input) = match &event {
            Event::Cast(input) => ("cast", input),
            Event::Call(input, _) => ("call", input),
            Event::Internal(input) => ("internal", input),
            Event::StateTimeout(input) => ("state timeout", input),
            Event::EventTimeout(input) => ("event timeout", input),
            Event::Timeout(_, input) => ("timeout", input),
            Event::Exit(exit) => {
                self.log.send(format!("exit {}", exit.reason)).unwrap();
                return Next::Keep;
            }
            Event::Down(_) => return Next::Keep,
        };
        let line = format!("{kind} {} in {state}", input.0);
        let next = (input.1)(state, step);
        self.log.send(line.clone()).unwrap();
        match (next, event) {
            (None, event) => step.postpone(event),
            (Some(next), Event::Call(_, reply)) => {
                reply.send(line);
                next
            }
            (Some(next), _) => next,
        }
    }

    fn terminate(&mut self, reason: &Reason, state: &State) {
        self.log
            .send(format!("terminate {reason} in {state}"))
            .unwrap();
    }
}

fn input(
    name: &'static str,
    act: impl Fn(State, &mut Step<'_, Puppet>) -> Option<Next<State>> + Send + 'static,
) -> Input {
    Input(name, Box::new(act))
}

/// An event that does nothing.
fn note(name: &'static str) -> Input {
    input(name, |_, _| Some(Next::Keep))
}

/// An event that changes the state.
fn go(to: State) -> Input {
    input("go", move |_, _| Some(Next::To(to)))
}

/// An event that is postponed unless the state is this one.
fn only_in(name: &'static str, state: State) -> Input {
    input(name, move |now, _| (now == state).then_some(Next::Keep))
}

struct Stage {
    addr: Addr<Machine<Puppet>>,
    log: Receiver<String>,
}

impl Stage {
    fn new(system: &System) -> Stage {
        Stage::with(system, Vec::new(), Vec::new())
    }

    fn with(system: &System, on_enter: Vec<(State, Enter)>, first: Vec<Input>) -> Stage {
        let (sender, log) = channel();
        let args = (sender, on_enter, first);
        let addr = start::<Machine<Puppet>>(system, args, Options::new()).unwrap();
        Stage { addr, log }
    }

    fn cast(&self, input: Input) {
        self.addr.tell(Cast(input)).unwrap();
    }

    /// The log until now: the machine has handled all that was cast before.
    fn so_far(&self) -> Vec<String> {
        self.addr.ask(Call(note("sync"))).unwrap();
        let lines = self.log.try_iter().filter(|line| !line.contains("sync"));
        lines.collect()
    }

    fn next(&self) -> String {
        self.log.recv().unwrap()
    }
}

#[test]
fn postponed_events_come_again_in_order_before_newer_ones_only_after_a_change() {
    everywhere(|system| {
        let stage = Stage::new(system);
        // All are in the mailbox before the first is handled.
        let (open, gate) = channel::<()>();
        stage.cast(input("gate", move |_, _| {
            let _ = gate.recv();
            Some(Next::Keep)
        }));
        stage.cast(only_in("a", "s2"));
        stage.cast(only_in("b", "s2"));
        stage.cast(input("same", |_, _| Some(Next::To("s1"))));
        stage.cast(go("s2"));
        stage.cast(note("newer"));
        drop(open);
        assert_eq!(
            stage.so_far(),
            [
                "enter s1 s1",
                "cast gate in s1",
                "cast a in s1",
                "cast b in s1",
                "cast same in s1",
                "cast go in s1",
                "enter s1 s2",
                "cast a in s2",
                "cast b in s2",
                "cast newer in s2",
            ]
        );
        stage.addr.kill();
    });
}

#[test]
fn an_event_that_is_postponed_with_a_change_comes_again_at_once() {
    everywhere(|system| {
        let stage = Stage::new(system);
        let (sender, seen) = channel();
        stage.cast(input("x", move |state, _| {
            sender.send(state).unwrap();
            (state == "s3").then_some(Next::Keep)
        }));
        stage.cast(only_in("y", "s2"));
        stage.cast(go("s2"));
        stage.cast(go("s3"));
        stage.so_far();
        assert_eq!(seen.try_iter().collect::<Vec<_>>(), ["s1", "s2", "s3"]);
        stage.addr.kill();
    });
}

#[test]
fn inserted_events_run_before_queued_ones_in_order() {
    everywhere(|system| {
        let stage = Stage::new(system);
        stage.cast(input("first", |_, step| {
            step.next_event(input("i1", |_, step| {
                step.next_event(note("i1a"));
                Some(Next::Keep)
            }));
            step.next_event(note("i2"));
            Some(Next::To("s2"))
        }));
        stage.cast(note("queued"));
        assert_eq!(
            stage.so_far(),
            [
                "enter s1 s1",
                "cast first in s1",
                "enter s1 s2",
                "internal i1 in s2",
                "internal i1a in s2",
                "internal i2 in s2",
                "cast queued in s2",
            ]
        );
        stage.addr.kill();
    });
}

#[test]
fn inserted_events_of_init_run_before_what_was_sent_and_after_entering() {
    everywhere(|system| {
        let stage = Stage::with(system, Vec::new(), vec![note("one"), note("two")]);
        stage.cast(note("cast"));
        let expected = [
            "enter s1 s1",
            "internal one in s1",
            "internal two in s1",
            "cast cast in s1",
        ];
        assert_eq!(stage.so_far(), expected);
        stage.addr.kill();
    });
}

#[test]
fn a_state_is_entered_at_the_start_on_change_and_on_repeat_before_any_event() {
    everywhere(|system| {
        let stage = Stage::new(system);
        stage.cast(go("s1"));
        stage.cast(go("s2"));
        stage.cast(only_in("p", "s1"));
        stage.cast(input("again", |_, _| Some(Next::Repeat)));
        assert_eq!(
            stage.so_far(),
            [
                "enter s1 s1",
                "cast go in s1",
                "cast go in s1",
                "enter s1 s2",
                "cast p in s2",
                "cast again in s2",
                "enter s2 s2",
            ]
        );
        stage.addr.kill();
    });
}

#[test]
fn a_state_timeout_of_no_time_comes_before_a_cast_that_waits_in_the_mailbox() {
    everywhere(|system| {
        let stage = Stage::new(system);
        let (open, gate) = channel::<()>();
        stage.cast(input("set", move |_, step| {
            let _ = gate.recv();
            step.state_timeout(Duration::ZERO, note("now"));
            step.timeout("named", Duration::ZERO, note("named"));
            step.next_event(note("inserted"));
            Some(Next::Keep)
        }));
        stage.cast(note("queued"));
        drop(open);
        assert_eq!(
            stage.so_far(),
            [
                "enter s1 s1",
                "cast set in s1",
                "internal inserted in s1",
                "state timeout now in s1",
                "timeout named in s1",
                "cast queued in s1",
            ]
        );
        stage.addr.kill();
    });
}

#[test]
fn an_event_timeout_of_no_time_is_ended_by_any_event_an_inserted_one_too() {
    everywhere(|system| {
        let stage = Stage::new(system);
        stage.cast(input("inserts", |_, step| {
            step.next_event(note("inserted"));
            step.event_timeout(Duration::ZERO, note("never"));
            Some(Next::Keep)
        }));
        stage.cast(input("alone", |_, step| {
            step.event_timeout(Duration::ZERO, note("at once"));
            Some(Next::Keep)
        }));
        stage.cast(note("queued"));
        assert_eq!(
            stage.so_far(),
            [
                "enter s1 s1",
                "cast inserts in s1",
                "internal inserted in s1",
                "cast alone in s1",
                "event timeout at once in s1",
                "cast queued in s1",
            ]
        );
        stage.addr.kill();
    });
}

#[test]
fn an_event_timeout_is_ended_by_any_event_and_others_are_not() {
    everywhere(|system| {
        let stage = Stage::new(system);
        let short = Duration::from_millis(20);
        stage.cast(input("set", move |_, step| {
            step.event_timeout(short, note("never"));
            step.state_timeout(short, note("of the state"));
            step.timeout("n", short, note("named"));
            Some(Next::Keep)
        }));
        stage.cast(note("any"));
        let expected = ["enter s1 s1", "cast set in s1", "cast any in s1"];
        assert_eq!([stage.next(), stage.next(), stage.next()], expected);
        assert_eq!(stage.next(), "state timeout of the state in s1");
        assert_eq!(stage.next(), "timeout named in s1");
        // One that nothing ends comes.
        stage.cast(input("set", move |_, step| {
            step.event_timeout(short, note("nothing came"));
            Some(Next::Keep)
        }));
        assert_eq!(stage.next(), "cast set in s1");
        assert_eq!(stage.next(), "event timeout nothing came in s1");
        stage.addr.kill();
    });
}

#[test]
fn a_change_ends_the_state_timeout_and_a_named_one_survives_it() {
    everywhere(|system| {
        let (short, long) = (Duration::from_millis(10), Duration::from_secs(60));
        let on_enter: Enter = Box::new(move |entry| entry.state_timeout(short, note("of s3")));
        let stage = Stage::with(system, vec![("s3", on_enter)], Vec::new());
        stage.cast(input("set", move |_, step| {
            step.state_timeout(short, note("never"));
            step.timeout("n", short * 2, note("named"));
            step.timeout("gone", short, note("never"));
            step.timeout("long", long, note("never"));
            Some(Next::Keep)
        }));
        stage.cast(input("change", move |_, step| {
            step.cancel_timeout("gone");
            // For the new state.
            step.state_timeout(short, note("of s2"));
            Some(Next::To("s2"))
        }));
        let expected = [
            "enter s1 s1",
            "cast set in s1",
            "cast change in s1",
            "enter s1 s2",
        ];
        assert_eq!([(); 4].map(|()| stage.next()), expected);
        let mut both = [stage.next(), stage.next()];
        both.sort();
        assert_eq!(both, ["state timeout of s2 in s2", "timeout named in s2"]);
        stage.cast(go("s3"));
        assert_eq!(
            [stage.next(), stage.next()],
            ["cast go in s2", "enter s2 s3"]
        );
        assert_eq!(stage.next(), "state timeout of s3 in s3");
        stage.addr.kill();
    });
}

#[test]
fn a_zero_state_timeout_ends_with_a_change_by_an_event_before_it() {
    everywhere(|system| {
        let stage = Stage::new(system);
        stage.cast(input("set", |_, step| {
            step.state_timeout(Duration::ZERO, note("never"));
            step.next_event(go("s2"));
            Some(Next::Keep)
        }));
        let expected = [
            "enter s1 s1",
            "cast set in s1",
            "internal go in s1",
            "enter s1 s2",
        ];
        assert_eq!(stage.so_far(), expected);
        stage.addr.kill();
    });
}

#[test]
fn a_postponed_call_is_answered_when_its_state_has_come_and_an_end_answers_the_rest() {
    on_scheduler(2, |system| {
        let stage = Stage::new(system);
        let addr = stage.addr.clone();
        let asker = std::thread::spawn(move || addr.ask(Call(only_in("q", "s2"))));
        while stage.next() != "call q in s1" {}
        stage.cast(go("s2"));
        assert_eq!(asker.join().unwrap().unwrap(), "call q in s2");
        let addr = stage.addr.clone();
        let asker = std::thread::spawn(move || addr.ask(Call(only_in("r", "s9"))));
        while stage.next() != "call r in s2" {}
        stage.cast(input("stop", |_, _| {
            Some(Next::Stop(Reason::other("done")))
        }));
        let error = asker.join().unwrap().unwrap_err();
        assert_eq!(error.to_string(), "actor ended before it answered: done");
        assert_eq!(stage.next(), "cast stop in s2");
        assert_eq!(stage.next(), "terminate done in s2");
    });
}

#[test]
fn a_machine_that_inserts_events_for_ever_can_be_killed() {
    fn again() -> Input {
        input("again", |_, step| {
            step.next_event(again());
            Some(Next::Keep)
        })
    }
    on_scheduler(1, |system| {
        let stage = Stage::new(system);
        stage.cast(again());
        let end = stage.addr.pid().watch();
        stage.addr.kill();
        assert_eq!(end.wait_down(), Reason::Killed);
    });
}
