//! Answers that come later, from elsewhere, or never; and circles of asks.

mod support;

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Barrier};
use std::time::Duration;
use support::{Note, Stage, everywhere, on_scheduler};
use weftwork_actor::{
    Actor, Addr, AskError, Context, DeferredHandler, Handler, InitError, Options, Reason, ReplyTo,
    start,
};

/// Passes questions on, keeps them, or drops them.
struct Clerk {
    kept: Option<ReplyTo<u64>>,
    next: Option<Addr<Clerk>>,
}

#[derive(Debug, PartialEq)]
enum Ask {
    Answer(u64),
    Keep,
    Drop,
    Forward(u64),
    Panic,
}

struct Release(u64);

impl Actor for Clerk {
    type Args = Option<Addr<Clerk>>;
    fn init(next: Self::Args, _: &mut Context<Self>) -> Result<Self, InitError> {
        Ok(Clerk { kept: None, next })
    }
}

impl DeferredHandler<Ask> for Clerk {
    type Reply = u64;
    fn handle(&mut self, ask: Ask, reply: ReplyTo<u64>, ctx: &mut Context<Self>) {
        match ask {
            Ask::Answer(n) => reply.send(n),
            Ask::Keep => self.kept = Some(reply),
            Ask::Drop => drop(reply),
            Ask::Forward(n) => ctx.forward(self.next.as_ref().unwrap(), Ask::Answer(n), reply),
            Ask::Panic => panic!("asked to"),
        }
    }
}

impl Handler<Release> for Clerk {
    type Reply = bool;
    fn handle(&mut self, Release(n): Release, _: &mut Context<Self>) -> bool {
        let kept = self.kept.take();
        let was = kept.is_some();
        if let Some(reply) = kept {
            reply.send(n);
        }
        was
    }
}

#[test]
fn an_answer_may_come_later_or_from_another_actor() {
    everywhere(|system| {
        let last = start::<Clerk>(system, None, Options::new()).unwrap();
        let first = start::<Clerk>(system, Some(last.clone()), Options::new()).unwrap();
        assert_eq!(first.ask(Ask::Answer(1)), Ok(1));
        assert_eq!(first.ask(Ask::Forward(2)), Ok(2));
        let asker = std::thread::spawn({
            let first = first.clone();
            move || first.ask(Ask::Keep)
        });
        while !first.ask(Release(3)).unwrap() {}
        assert_eq!(asker.join().unwrap(), Ok(3));
        first.kill();
        last.kill();
    });
}

#[test]
fn a_dropped_answer_is_told() {
    everywhere(|system| {
        let clerk = start::<Clerk>(system, None, Options::new()).unwrap();
        assert_eq!(clerk.ask(Ask::Drop), Err(AskError::NoReply));
        assert_eq!(clerk.ask(Ask::Answer(1)), Ok(1));
        clerk.kill();
    });
}

#[test]
fn the_end_of_the_one_who_was_asked_ends_the_ask_whoever_holds_the_answer() {
    everywhere(|system| {
        let clerk = start::<Clerk>(system, None, Options::new()).unwrap();
        let asker = std::thread::spawn({
            let clerk = clerk.clone();
            move || clerk.ask(Ask::Keep)
        });
        // It is kept when the clerk has it to give.
        let held = loop {
            let (sender, got) = std::sync::mpsc::channel();
            clerk.ask(Take(sender)).unwrap();
            if let Some(held) = got.recv().unwrap() {
                break held;
            }
        };
        clerk.stop(Reason::other("r"));
        assert_eq!(
            asker.join().unwrap(),
            Err(AskError::Died(Reason::other("r")))
        );
        assert!(held.is_closed());
        held.send(1);
    });
}

struct Take(std::sync::mpsc::Sender<Option<ReplyTo<u64>>>);

impl Handler<Take> for Clerk {
    type Reply = ();
    fn handle(&mut self, Take(to): Take, _: &mut Context<Self>) {
        to.send(self.kept.take()).unwrap();
    }
}

#[test]
fn a_panic_in_the_handler_ends_the_ask_with_its_reason_and_the_actor_is_dead_by_then() {
    everywhere(|system| {
        let clerk = start::<Clerk>(system, None, Options::new()).unwrap();
        let died = clerk.ask(Ask::Panic);
        let Err(AskError::Died(Reason::Panic(panic))) = died else {
            panic!("{died:?}")
        };
        assert_eq!(panic.message(), "asked to");
        assert!(!clerk.is_alive());
        let stage = Stage::new(system);
        let died = stage.addr.ask(support::Do(Box::new(|_, _| panic!("bang"))));
        let Err(AskError::Died(Reason::Panic(panic))) = died else {
            panic!("{died:?}")
        };
        assert_eq!(panic.message(), "bang");
        assert!(!stage.addr.is_alive());
    });
}

#[test]
fn asks_that_were_queued_when_the_actor_ended_find_the_reason() {
    everywhere(|system| {
        let stage = Stage::new(system);
        let gate = Arc::new(Barrier::new(2));
        let inside = Arc::clone(&gate);
        stage.tell(move |_, ctx| {
            inside.wait();
            inside.wait();
            ctx.stop(Reason::other("r"));
        });
        gate.wait();
        // The one that is being handled may count, too.
        let before = stage.pid().mailbox_len();
        let asker = std::thread::spawn({
            let addr = stage.addr.clone();
            move || addr.ask(Note(1))
        });
        while stage.pid().mailbox_len() <= before {
            std::thread::yield_now();
        }
        gate.wait();
        let got = asker.join().unwrap();
        assert_eq!(got, Err(AskError::Died(Reason::other("r"))));
    });
}

/// Asks the next one in its handler.
struct Link(Option<Addr<Link>>);

struct Set(Addr<Link>);
struct Go(u32);

impl Actor for Link {
    type Args = ();
    fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> {
        Ok(Link(None))
    }
}

impl Handler<Set> for Link {
    type Reply = ();
    fn handle(&mut self, Set(next): Set, _: &mut Context<Self>) {
        self.0 = Some(next);
    }
}

impl Handler<Go> for Link {
    /// How the ask of the last one ended.
    type Reply = String;
    fn handle(&mut self, Go(n): Go, _: &mut Context<Self>) -> String {
        match self.0.as_ref().unwrap().ask(Go(n + 1)) {
            Ok(text) => text,
            Err(error) => error.to_string(),
        }
    }
}

#[test]
fn a_circle_of_asks_is_told_at_once_and_named() {
    everywhere(|system| {
        for len in 2..5 {
            let ring: Vec<_> = (0..len)
                .map(|_| start::<Link>(system, (), Options::new()).unwrap())
                .collect();
            for (n, link) in ring.iter().enumerate() {
                link.ask(Set(ring[(n + 1) % len].clone())).unwrap();
            }
            let text = ring[0].ask_timeout(Go(0), Duration::from_secs(60)).unwrap();
            // Named from the one that would close it.
            let mut names: Vec<_> = ring.iter().map(|link| link.pid().to_string()).collect();
            names.rotate_right(1);
            names.push(names[0].clone());
            let expected = format!("ask would wait for itself: {}", names.join(" -> "));
            assert_eq!(text, expected);
            ring.iter().for_each(Addr::kill);
        }
    });
}

#[test]
fn of_two_that_ask_each_other_at_once_neither_waits_for_the_time_limit() {
    on_scheduler(2, |system| {
        for _ in 0..200 {
            let a = start::<Link>(system, (), Options::new()).unwrap();
            let b = start::<Link>(system, (), Options::new()).unwrap();
            a.ask(Set(b.clone())).unwrap();
            b.ask(Set(a.clone())).unwrap();
            let limit = Duration::from_secs(3600);
            let other = std::thread::spawn({
                let a = a.clone();
                move || a.ask_timeout(Go(0), limit).unwrap()
            });
            let text = b.ask_timeout(Go(0), limit).unwrap();
            assert!(text.starts_with("ask would wait for itself"), "{text}");
            other.join().unwrap();
            a.kill();
            b.kill();
        }
    });
}

#[test]
fn who_has_passed_the_answer_on_may_ask_back() {
    struct Relay(Addr<Stage2>);
    struct Stage2(Option<ReplyTo<u64>>);
    #[derive(Debug, PartialEq)]
    struct Q;
    struct Finish;
    impl Actor for Relay {
        type Args = Addr<Stage2>;
        fn init(to: Self::Args, _: &mut Context<Self>) -> Result<Self, InitError> {
            Ok(Relay(to))
        }
    }
    impl DeferredHandler<Q> for Relay {
        type Reply = u64;
        fn handle(&mut self, _: Q, reply: ReplyTo<u64>, ctx: &mut Context<Self>) {
            ctx.forward(&self.0, Q, reply);
        }
    }
    impl Actor for Stage2 {
        type Args = ();
        fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> {
            Ok(Stage2(None))
        }
    }
    impl DeferredHandler<Q> for Stage2 {
        type Reply = u64;
        fn handle(&mut self, _: Q, reply: ReplyTo<u64>, ctx: &mut Context<Self>) {
            self.0 = Some(reply);
            ctx.send_self(Finish);
        }
    }
    impl Handler<Finish> for Stage2 {
        type Reply = ();
        fn handle(&mut self, _: Finish, _: &mut Context<Self>) {
            self.0.take().unwrap().send(5);
        }
    }
    everywhere(|system| {
        let last = start::<Stage2>(system, (), Options::new()).unwrap();
        let relay = start::<Relay>(system, last.clone(), Options::new()).unwrap();
        let stage = Stage::new(system);
        let to = relay.clone();
        stage.run(move |_, _| assert_eq!(to.ask(Q), Ok(5)));
        relay.kill();
        last.kill();
    });
}

/// Keeps a question for ever.
struct Keeper(Vec<ReplyTo<u64>>);

impl Actor for Keeper {
    type Args = ();
    fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> {
        Ok(Keeper(Vec::new()))
    }
}

impl DeferredHandler<Sender<()>> for Keeper {
    type Reply = u64;
    fn handle(&mut self, kept: Sender<()>, reply: ReplyTo<u64>, _: &mut Context<Self>) {
        self.0.push(reply);
        kept.send(()).unwrap();
    }
}

#[test]
fn a_question_that_an_actor_keeps_in_its_state_is_answered_by_the_reason_of_its_end() {
    everywhere(|system| {
        for _ in 0..20 {
            let keeper = start::<Keeper>(system, (), Options::new()).unwrap();
            let addr = keeper.clone();
            let (sender, kept) = channel();
            let asker =
                std::thread::spawn(move || addr.ask(sender).map_err(|error| error.to_string()));
            kept.recv().unwrap();
            keeper.stop(Reason::other("done"));
            let error = asker.join().unwrap().unwrap_err();
            assert_eq!(error, "actor ended before it answered: done");
        }
    });
}
