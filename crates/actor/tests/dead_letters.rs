//! No message is lost without a word: handled, handed back, or a dead letter.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use support::{Note, Puppet, Stage, on_scheduler};
use weftwork_actor::dead_letters::{self, Cause, Counts, DeadLetter};
use weftwork_actor::{
    Actor, Addr, Context, DeferredHandler, Handler, InitError, Mailbox, OnFull, Options, Reason,
    ReplyTo, System, start,
};
use weftwork_testkit::iters;

/// A puppet that waits until the sender is dropped.
fn blocked(system: &System, mailbox: Mailbox) -> (Stage, Sender<()>) {
    let stage = Stage::with(system, Options::new().mailbox(mailbox));
    let (open, gate) = channel();
    let (inside, entered) = channel();
    stage.tell(move |_, _| {
        inside.send(()).unwrap();
        let _ = Receiver::<()>::recv(&gate);
    });
    entered.recv().unwrap();
    (stage, open)
}

struct Operator(Sender<DeadLetter>);

impl Actor for Operator {
    type Args = Sender<DeadLetter>;
    fn init(to: Self::Args, ctx: &mut Context<Self>) -> Result<Self, InitError> {
        dead_letters::subscribe(&ctx.addr().recipient(), 4);
        Ok(Operator(to))
    }
}

impl Handler<DeadLetter> for Operator {
    type Reply = ();
    fn handle(&mut self, letter: DeadLetter, _: &mut Context<Self>) {
        self.0.send(letter).unwrap();
    }
}

/// Passes every question on.
struct Relay(Addr<Puppet>);

impl Actor for Relay {
    type Args = Addr<Puppet>;
    fn init(to: Self::Args, _: &mut Context<Self>) -> Result<Self, InitError> {
        Ok(Relay(to))
    }
}

impl DeferredHandler<Note> for Relay {
    type Reply = u64;
    fn handle(&mut self, note: Note, reply: ReplyTo<u64>, ctx: &mut Context<Self>) {
        ctx.forward(&self.0, note, reply);
    }
}

/// How often each kind of message was lost while `f` ran. The counts are the process's, so this file has one
/// test that looks at them.
fn lost(f: impl FnOnce()) -> (u64, u64, u64) {
    let difference = |before: Counts, after: Counts| {
        let full = after.full - before.full;
        (
            after.ended - before.ended,
            full,
            after.forward - before.forward,
        )
    };
    let before = dead_letters::counts();
    f();
    difference(before, dead_letters::counts())
}

fn counts_are_exact(system: &System) {
    // An end leaves what was in the mailbox and aside.
    let counted = lost(|| {
        let (stage, open) = blocked(system, Mailbox::default());
        stage.tell(|_, ctx| {
            ctx.stash(Note(1));
            ctx.continue_with(Note(2));
            ctx.stop(Reason::Normal);
        });
        for n in 3..6 {
            stage.addr.tell(Note(n)).unwrap();
        }
        let end = stage.pid().watch();
        drop(open);
        end.wait_down();
        // The letters are dropped after the end is told: wait for the last.
        while dead_letters::counts().ended < 5 {
            std::thread::yield_now();
        }
    });
    assert_eq!(counted, (5, 0, 0));
    // A mailbox that drops.
    for on_full in [OnFull::DropNewest, OnFull::DropOldest] {
        let (stage, open) = blocked(system, Mailbox::with(2, on_full));
        let counted = lost(|| {
            for n in 0..5 {
                stage.addr.tell(Note(n)).unwrap();
            }
            stage.addr.recipient::<Note, _>().tell(Note(5)).unwrap();
        });
        assert_eq!(counted, (0, 4, 0), "{on_full:?}");
        drop(open);
        stage.stop(Reason::Normal);
    }
    // A question that was passed on to the dead.
    let counted = lost(|| {
        let dead = Stage::new(system);
        dead.stop(Reason::Normal);
        let relay = start::<Relay>(system, dead.addr.clone(), Options::new()).unwrap();
        assert!(relay.ask(Note(1)).is_err());
        relay.kill();
    });
    assert_eq!(counted, (0, 0, 1));
}

fn the_stream_is_sampled(system: &System) {
    let (sender, letters) = channel();
    let operator = start::<Operator>(system, sender, Options::new()).unwrap();
    let (stage, open) = blocked(system, Mailbox::with(1, OnFull::DropNewest));
    for n in 0..101 {
        stage.addr.tell(Note(n)).unwrap();
    }
    let first: Vec<_> = letters.iter().take(4).collect();
    for letter in &first {
        assert_eq!(letter.to, stage.pid());
        assert_eq!(letter.cause, Cause::Full);
        assert!(letter.message.ends_with("Note"));
        assert_eq!(letter.skipped, 0);
    }
    // A storm of a hundred is told by a few.
    assert!(letters.try_iter().count() < 50);
    let end = operator.pid().watch();
    operator.kill();
    end.wait_down();
    // Nobody listens any more: nothing breaks.
    stage.addr.tell(Note(0)).unwrap();
    drop(open);
    stage.stop(Reason::Normal);
}

fn each_message_of_a_hook_is_handled_or_returned_once(system: &System) {
    let rounds = iters(3_000, 500, 50);
    let (handled, returned) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    struct Counting(Arc<AtomicUsize>);
    impl Actor for Counting {
        type Args = Arc<AtomicUsize>;
        fn init(count: Self::Args, _: &mut Context<Self>) -> Result<Self, InitError> {
            Ok(Counting(count))
        }
    }
    impl Handler<Note> for Counting {
        type Reply = ();
        fn handle(&mut self, _: Note, _: &mut Context<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    const EACH: usize = 8;
    std::thread::scope(|threads| {
        for round in 0..rounds {
            let on_full = [OnFull::DropOldest, OnFull::DropNewest, OnFull::Fail][round % 3];
            let options = Options::new().mailbox(Mailbox::with(2, on_full));
            let actor = start::<Counting>(system, Arc::clone(&handled), options).unwrap();
            let send = |actor: &Addr<Counting>, returned: &Arc<AtomicUsize>| {
                for n in 0..EACH {
                    let returned = Arc::clone(returned);
                    let back = move |_: Note| {
                        returned.fetch_add(1, Ordering::SeqCst);
                    };
                    actor.tell_or_return(Note(n as u64), back);
                }
            };
            if round % 16 == 0 {
                let (actor, returned) = (actor.clone(), Arc::clone(&returned));
                threads.spawn(move || send(&actor, &returned));
            } else {
                send(&actor, &returned);
            }
            actor.kill();
        }
    });
    // The last ones are dropped by actors that are ending.
    while handled.load(Ordering::SeqCst) + returned.load(Ordering::SeqCst) < rounds * EACH {
        std::thread::yield_now();
    }
    let sum = handled.load(Ordering::SeqCst) + returned.load(Ordering::SeqCst);
    assert_eq!(sum, rounds * EACH);
    assert!(returned.load(Ordering::SeqCst) > 0);
}

#[test]
fn dead_letters_are_counted_sampled_and_returned() {
    on_scheduler(2, counts_are_exact);
    on_scheduler(2, the_stream_is_sampled);
    on_scheduler(2, each_message_of_a_hook_is_handled_or_returned_once);
    on_scheduler(2, a_hook_that_panics_harms_nobody);
}

fn a_hook_that_panics_harms_nobody(system: &System) {
    let (stage, open) = blocked(system, Mailbox::default());
    stage
        .addr
        .tell_or_return(Note(1), |_| panic!("as the test wants"));
    let (sender, returned) = channel();
    stage
        .addr
        .tell_or_return(Note(2), move |note| sender.send(note).unwrap());
    let end = stage.pid().watch();
    stage.pid().exit(Reason::other("enough"));
    drop(open);
    assert_eq!(end.wait_down(), Reason::other("enough"));
    assert_eq!(returned.recv(), Ok(Note(2)));
}
