//! The mailbox in every interleaving: pushes against going idle, against the end, and for room.
//!
//! A model whose name starts with `canary_` is run a second time under `--cfg weftwork_canary` with
//! the step it is about weakened, and must then fail with the message it is given here.

#![cfg(weftwork_loom)]

mod modelled;

use modelled::{Held, Queue};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize as Count, Ordering::SeqCst};
use std::task::{Context as TaskContext, Wake, Waker};
use weftwork_actor::{
    Actor, Context, Handler, InitError, Mailbox, OnFull, Options, Priority, Reason,
};
use weftwork_core::sync::thread;
use weftwork_testkit::model;

/// Weakens one step for the rest of the test, in the canary build.
macro_rules! weaken {
    ($step:literal) => {
        #[cfg(weftwork_canary)]
        let _weak = weftwork_core::canary::weaken(weftwork_core::canary::Step::Of($step));
    };
}

/// Counts what it handles, outside the model.
struct Counter(Arc<Count>);

/// Is counted for as long as it exists.
struct Token(#[expect(dead_code, reason = "held")] Arc<()>);

struct First(#[expect(dead_code, reason = "held")] u8);

impl Actor for Counter {
    type Args = Arc<Count>;
    fn init(handled: Self::Args, _: &mut Context<Self>) -> Result<Self, InitError> {
        Ok(Counter(handled))
    }
}

impl Handler<Token> for Counter {
    type Reply = ();
    fn handle(&mut self, _: Token, _: &mut Context<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

impl Handler<First> for Counter {
    type Reply = ();
    const PRIORITY: Priority = Priority::High;
    fn handle(&mut self, _: First, _: &mut Context<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "deadlock"))]
fn canary_a_push_while_the_actor_goes_idle_wakes_it() {
    weaken!("actor_idle");
    model("actor: push against going idle", 340, || {
        let (queue, handled) = (Queue::default(), Arc::new(Count::new(0)));
        let addr = queue.start::<Counter>(Arc::clone(&handled), Options::new());
        let other = thread::spawn({
            let addr = addr.clone();
            move || addr.tell(Token(Arc::new(()))).unwrap()
        });
        addr.tell(Token(Arc::new(()))).unwrap();
        queue.run_until(|| handled.load(SeqCst) == 2);
        other.join().unwrap();
        addr.kill();
        queue.run_until(|| !addr.is_alive());
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "deadlock"))]
fn canary_a_push_while_the_actor_takes_the_only_letter_is_not_lost() {
    weaken!("actor_alone");
    model("actor: push against taking the only letter", 55, || {
        let (queue, handled) = (Queue::default(), Arc::new(Count::new(0)));
        let addr = queue.start::<Counter>(Arc::clone(&handled), Options::new());
        // From now on it expects one message at a time.
        addr.tell(Token(Arc::new(()))).unwrap();
        queue.run_until(|| handled.load(SeqCst) == 1);
        let other = thread::spawn({
            let addr = addr.clone();
            move || addr.tell(Token(Arc::new(()))).unwrap()
        });
        addr.tell(Token(Arc::new(()))).unwrap();
        queue.run_until(|| handled.load(SeqCst) == 3);
        other.join().unwrap();
        addr.kill();
        queue.run_until(|| !addr.is_alive());
    });
}

#[test]
fn two_pushes_wake_the_actor_once_or_more_and_none_is_lost() {
    model("actor: two pushes against going idle", 3800, || {
        let (queue, handled) = (Queue::default(), Arc::new(Count::new(0)));
        let addr = queue.start::<Counter>(Arc::clone(&handled), Options::new());
        let plain = thread::spawn({
            let addr = addr.clone();
            move || addr.try_tell(Token(Arc::new(()))).unwrap()
        });
        let urgent = thread::spawn({
            let addr = addr.clone();
            move || addr.try_tell(First(1)).unwrap()
        });
        queue.run_until(|| handled.load(SeqCst) == 2);
        plain.join().unwrap();
        urgent.join().unwrap();
        addr.kill();
        queue.run_until(|| !addr.is_alive());
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "the message was lost"))]
fn canary_a_message_is_handled_or_handed_back_or_dropped_when_the_actor_stops() {
    weaken!("actor_close");
    model("actor: push against stop", 50, || {
        let (queue, handled) = (Queue::default(), Arc::new(Count::new(0)));
        let addr = queue.start::<Counter>(Arc::clone(&handled), Options::new());
        addr.stop(Reason::Normal);
        let token = Arc::new(());
        let other = thread::spawn({
            let (addr, message) = (addr.clone(), Token(Arc::clone(&token)));
            move || addr.tell(message).is_ok()
        });
        queue.run_until(|| !addr.is_alive());
        let is_sent = other.join().unwrap();
        drop(addr.release());
        assert_eq!(Arc::strong_count(&token), 1, "the message was lost");
        assert!(is_sent || handled.load(SeqCst) == 0);
    });
}

/// A waker that counts its calls, outside the model.
#[derive(Default)]
struct Calls(Count);

impl Wake for Calls {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "the sender was forgotten"))]
fn canary_a_sender_that_waits_for_room_gets_in() {
    weaken!("actor_room");
    model("actor: a full mailbox against the actor", 21, || {
        let (queue, handled) = (Queue::default(), Arc::new(Count::new(0)));
        let options = Options::new().mailbox(Mailbox::bounded(1));
        let addr = queue.start::<Counter>(Arc::clone(&handled), options);
        addr.tell(Token(Arc::new(()))).unwrap();
        let other = thread::spawn({
            let (queue, handled) = (queue.clone(), Arc::clone(&handled));
            move || queue.run_until(|| handled.load(SeqCst) >= 1)
        });
        let calls = Arc::new(Calls::default());
        let waker = Waker::from(Arc::clone(&calls));
        let mut context = TaskContext::from_waker(&waker);
        let mut sending = Held::new(Box::pin(addr.tell_async(Token(Arc::new(())))));
        let is_waiting = sending.as_mut().poll(&mut context).is_pending();
        other.join().unwrap();
        if is_waiting {
            assert_eq!(calls.0.load(SeqCst), 1, "the sender was forgotten");
            assert!(sending.as_mut().poll(&mut context).is_ready());
        }
        drop(sending.release());
        queue.run_until(|| handled.load(SeqCst) == 2);
        addr.kill();
        queue.run_until(|| !addr.is_alive());
    });
}

#[test]
fn a_sender_behind_one_that_gives_up_gets_in_where_bytes_are_bounded() {
    model(
        "actor: a sender that gives up against the actor",
        80,
        || {
            let (queue, handled) = (Queue::default(), Arc::new(Count::new(0)));
            let options = Options::new().mailbox(Mailbox::bounded(9).bytes(size_of::<Token>()));
            let addr = queue.start::<Counter>(Arc::clone(&handled), options);
            addr.tell(Token(Arc::new(()))).unwrap();
            let other = thread::spawn({
                let (queue, handled) = (queue.clone(), Arc::clone(&handled));
                move || queue.run_until(|| handled.load(SeqCst) >= 1)
            });
            let calls = Arc::new(Calls::default());
            let waker = Waker::from(Arc::clone(&calls));
            let mut context = TaskContext::from_waker(&waker);
            let mut first = Held::new(Box::pin(addr.tell_async(Token(Arc::new(())))));
            let mut second = Held::new(Box::pin(addr.tell_async(First(1))));
            let mut told = 1 + usize::from(first.as_mut().poll(&mut context).is_ready());
            let is_waiting = second.as_mut().poll(&mut context).is_pending();
            drop(first.release());
            other.join().unwrap();
            if is_waiting {
                // Behind a first message that did get in, it waits for that.
                queue.run_until(|| handled.load(SeqCst) >= told);
                assert!(calls.0.load(SeqCst) >= 1, "the sender was forgotten");
                assert!(second.as_mut().poll(&mut context).is_ready());
            }
            told += 1;
            drop(second.release());
            queue.run_until(|| handled.load(SeqCst) == told);
            addr.kill();
            queue.run_until(|| !addr.is_alive());
        },
    );
}

#[test]
fn a_sender_that_waits_for_room_is_told_of_the_end() {
    model("actor: a full mailbox against the end", 15, || {
        let (queue, handled) = (Queue::default(), Arc::new(Count::new(0)));
        let options = Options::new().mailbox(Mailbox::bounded(1));
        let addr = queue.start::<Counter>(Arc::clone(&handled), options);
        addr.tell(Token(Arc::new(()))).unwrap();
        addr.kill();
        let other = thread::spawn({
            let addr = addr.clone();
            move || addr.tell(Token(Arc::new(())))
        });
        queue.run_until(|| !addr.is_alive());
        // It got in before the end, or was told.
        let _ = other.join().unwrap();
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "deadlock"))]
fn canary_a_sender_that_drops_the_oldest_message_does_not_put_the_actor_to_sleep() {
    weaken!("actor_take");
    model("actor: drop the oldest against the actor", 1600, || {
        let (queue, handled) = (Queue::default(), Arc::new(Count::new(0)));
        let options = Options::new().mailbox(Mailbox::with(1, OnFull::DropOldest));
        let addr = queue.start::<Counter>(Arc::clone(&handled), options);
        let token = Arc::new(());
        addr.tell(Token(Arc::clone(&token))).unwrap();
        let other = thread::spawn({
            let (addr, message) = (addr.clone(), Token(Arc::clone(&token)));
            move || {
                addr.tell(message).unwrap();
                addr.stop(Reason::Normal);
            }
        });
        queue.run_until(|| !addr.is_alive());
        other.join().unwrap();
        drop(addr.release());
        assert_eq!(Arc::strong_count(&token), 1);
        assert!((1..=2).contains(&handled.load(SeqCst)));
    });
}
