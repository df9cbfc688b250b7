//! What a `gen_server` does at its start, between messages and at its end.

mod support;

use std::sync::mpsc::{Sender, channel};
use std::time::Duration;
use support::{Event, Note, Puppet, Stage, everywhere};
use weftwork_actor::{
    Actor, AskError, Context, DeferredHandler, Handler, InitError, Options, Reason, ReplyTo, start,
};

/// Tells itself something in `init`, and wants something else first.
struct Eager(Sender<&'static str>);

struct Say(&'static str);

impl Actor for Eager {
    type Args = Sender<&'static str>;
    fn init(said: Self::Args, ctx: &mut Context<Self>) -> Result<Self, InitError> {
        assert!(ctx.pid().is_alive());
        ctx.send_self(Say("sent in init"));
        ctx.continue_with(Say("first"));
        ctx.continue_with(Say("second"));
        said.send("init").unwrap();
        Ok(Eager(said))
    }
}

impl Handler<Say> for Eager {
    type Reply = ();
    fn handle(&mut self, Say(word): Say, ctx: &mut Context<Self>) {
        self.0.send(word).unwrap();
        if word == "first" {
            ctx.continue_with(Say("third"));
        }
    }
}

#[test]
fn start_returns_after_init_and_continue_runs_before_anything_queued() {
    everywhere(|system| {
        let (sender, said) = channel();
        let eager = start::<Eager>(system, sender, Options::new()).unwrap();
        assert_eq!(said.try_recv(), Ok("init"), "start returned before init");
        eager.ask(Say("asked")).unwrap();
        let all: Vec<_> = said.try_iter().collect();
        assert_eq!(all, ["first", "second", "third", "sent in init", "asked"]);
        eager.kill();
    });
}

/// Keeps the answers.
struct Slow(Vec<ReplyTo<u64>>);

#[derive(Debug, PartialEq)]
struct Question;
#[derive(Debug, PartialEq)]
struct AnswerAll(u64);

impl Actor for Slow {
    type Args = ();
    fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> {
        Ok(Slow(Vec::new()))
    }
}

impl DeferredHandler<Question> for Slow {
    type Reply = u64;
    fn handle(&mut self, _: Question, reply: ReplyTo<u64>, _: &mut Context<Self>) {
        self.0.push(reply);
    }
}

impl Handler<AnswerAll> for Slow {
    type Reply = usize;
    fn handle(&mut self, AnswerAll(n): AnswerAll, _: &mut Context<Self>) -> usize {
        let waiting = self.0.iter().filter(|reply| !reply.is_closed()).count();
        self.0.drain(..).for_each(|reply| reply.send(n));
        waiting
    }
}

#[test]
fn an_answer_after_the_time_is_dropped_and_reaches_nobody() {
    everywhere(|system| {
        let (slow, stage) = (
            start::<Slow>(system, (), Options::new()).unwrap(),
            Stage::new(system),
        );
        let to = slow.clone();
        stage.run(move |_, _| {
            let late = to.ask_timeout(Question, Duration::from_millis(5));
            assert_eq!(late, Err(AskError::Timeout));
        });
        assert_eq!(slow.ask(AnswerAll(1)), Ok(0));
        assert_eq!(stage.so_far(), []);
        slow.kill();
    });
}

#[test]
fn who_is_asked_and_stops_answers_first() {
    everywhere(|system| {
        let stage = Stage::new(system);
        let end = stage.pid().watch();
        // The answer, though the actor ends with this handler.
        stage.run(|_, ctx| ctx.stop(Reason::other("r")));
        assert_eq!(end.wait_down(), Reason::other("r"));
        assert_eq!(stage.next(), Event::Terminate(Reason::other("r")));
    });
}

#[test]
fn terminate_is_called_on_a_stop_and_on_the_actors_own_crash() {
    everywhere(|system| {
        let stage = Stage::new(system);
        stage.stop(Reason::Shutdown);
        assert_eq!(stage.next(), Event::Terminate(Reason::Shutdown));

        let stage = Stage::new(system);
        stage.tell(|_, _| panic!("bang"));
        assert!(matches!(stage.next(), Event::Terminate(Reason::Panic(_))));
    });
}

#[test]
fn terminate_is_not_called_when_a_signal_ends_one_that_does_not_trap() {
    everywhere(|system| {
        let stage = Stage::new(system);
        stage.pid().exit(Reason::Shutdown);
        assert_eq!(stage.events.iter().count(), 0);
    });
}

#[test]
fn a_stop_comes_behind_the_messages_that_were_sent_before() {
    everywhere(|system| {
        let stage = Stage::new(system);
        (0..100).for_each(|n| stage.addr.tell(Note(n)).unwrap());
        stage.addr.stop(Reason::Normal);
        let events: Vec<_> = stage.events.iter().collect();
        assert_eq!(events.len(), 101);
        assert_eq!(events[99], Event::Note(99));
        assert_eq!(events[100], Event::Terminate(Reason::Normal));
    });
}

#[test]
fn the_first_reason_to_stop_counts() {
    everywhere(|system| {
        let stage = Stage::new(system);
        let end = stage.pid().watch();
        stage.run(|_, ctx| {
            ctx.stop(Reason::other("first"));
            ctx.stop(Reason::other("second"));
        });
        assert_eq!(end.wait_down(), Reason::other("first"));
    });
}

#[test]
fn an_ask_to_itself_is_an_error_that_names_it() {
    everywhere(|system| {
        let stage = Stage::new(system);
        let me = stage.addr.clone();
        stage.run(move |_, _| match me.ask(Note(1)) {
            Err(AskError::Cycle(Note(1), cycle)) => {
                assert_eq!(cycle.actors(), [me.pid()]);
                assert_eq!(cycle.to_string(), format!("{0} -> {0}", me.pid()));
            }
            other => panic!("an ask to itself gave {other:?}"),
        });
    });
}

#[test]
fn stopping_inside_terminate_and_asking_there_harms_nobody() {
    struct Odd(weftwork_actor::Addr<Puppet>);
    impl Actor for Odd {
        type Args = weftwork_actor::Addr<Puppet>;
        fn init(other: Self::Args, _: &mut Context<Self>) -> Result<Self, InitError> {
            Ok(Odd(other))
        }
        fn terminate(&mut self, _: &Reason, ctx: &mut Context<Self>) {
            ctx.stop(Reason::other("too late"));
            assert_eq!(self.0.ask(Note(7)), Ok(7));
        }
    }
    everywhere(|system| {
        let stage = Stage::new(system);
        let odd = start::<Odd>(system, stage.addr.clone(), Options::new()).unwrap();
        let end = odd.pid().watch();
        odd.stop(Reason::Shutdown);
        assert_eq!(end.wait_down(), Reason::Shutdown);
        assert_eq!(stage.next(), Event::Note(7));
    });
}

#[test]
fn signals_are_served_while_an_async_handler_awaits() {
    struct Awaits;
    struct Forever;
    impl Actor for Awaits {
        type Args = ();
        fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> {
            Ok(Awaits)
        }
    }
    impl weftwork_actor::AsyncHandler<Forever> for Awaits {
        type Reply = ();
        async fn handle(&mut self, _: Forever, _: &mut Context<Self>) {
            std::future::pending().await
        }
    }
    everywhere(|system| {
        let awaits = start::<Awaits>(system, (), Options::new()).unwrap();
        awaits.tell(Forever).unwrap();
        let linked = Stage::trapping(system);
        let pid = awaits.pid();
        linked.get(move |ctx| ctx.link(&pid)).unwrap();
        let end = awaits.pid().watch();
        awaits.pid().exit(Reason::Shutdown);
        assert_eq!(end.wait_down(), Reason::Shutdown);
        assert_eq!(linked.next(), Event::Exit(awaits.pid(), Reason::Shutdown));
    });
}

#[test]
fn an_async_handler_borrows_the_actor_and_answers_in_order() {
    struct Sums(u64);
    #[derive(Debug, PartialEq)]
    struct Add(u64, weftwork_actor::Addr<Puppet>);
    impl Actor for Sums {
        type Args = ();
        fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> {
            Ok(Sums(0))
        }
    }
    impl weftwork_actor::AsyncHandler<Add> for Sums {
        type Reply = u64;
        async fn handle(&mut self, Add(n, other): Add, ctx: &mut Context<Self>) -> u64 {
            let before = self.0;
            assert_eq!(other.ask_async(Note(n)).await, Ok(n));
            self.0 = before + n;
            if self.0 == 3 {
                ctx.stop(Reason::Normal);
            }
            self.0
        }
    }
    everywhere(|system| {
        let other = Stage::new(system);
        let sums = start::<Sums>(system, (), Options::new()).unwrap();
        let end = sums.pid().watch();
        sums.tell(Add(1, other.addr.clone())).unwrap();
        assert_eq!(sums.ask(Add(2, other.addr.clone())), Ok(3));
        assert_eq!(end.wait_down(), Reason::Normal);
    });
}

#[test]
fn trap_exit_tells_what_was_before() {
    everywhere(|system| {
        let stage = Stage::new(system);
        assert!(!stage.get(|ctx| ctx.trap_exit(true)));
        assert!(stage.get(|ctx| ctx.trap_exit(true)));
    });
}
