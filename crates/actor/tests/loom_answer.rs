//! The place for an answer in every interleaving: the giver that gives or is dropped against the asker that
//! waits, looks, polls anew or leaves.
//!
//! A model whose name starts with `canary_` is run a second time under `--cfg weftwork_canary` with
//! the step it is about weakened, and must then fail with the message it is given here.

#![cfg(weftwork_loom)]

mod modelled;

use modelled::Held;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize as Count;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;
use weftwork_actor::protocol::{Asker, place};
use weftwork_core::sync::thread;
use weftwork_testkit::{DropCounter, model};

/// Weakens one step for the rest of the test, in the canary build.
macro_rules! weaken {
    ($step:literal) => {
        #[cfg(weftwork_canary)]
        let _weak = weftwork_core::canary::weaken(weftwork_core::canary::Step::Of($step));
    };
}

/// A waker that counts its calls, outside the model.
#[derive(Default)]
struct Calls(Count);

impl Calls {
    fn get(&self) -> usize {
        self.0.load(SeqCst)
    }
}

impl Wake for Calls {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn poll<R>(asker: &mut Asker<R>, calls: &Arc<Calls>) -> Poll<Option<R>> {
    let waker = Waker::from(Arc::clone(calls));
    asker.poll(&mut Context::from_waker(&waker))
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "Causality violation"))]
fn canary_an_answer_is_seen_whole() {
    weaken!("answer_order");
    model("answer: give against a look and a drop", 8, || {
        let drops = DropCounter::new();
        let (giver, asker) = place();
        let mut asker = Held::new(asker);
        let answer = drops.track(7);
        let other = thread::spawn(move || giver.give(answer));
        if let Poll::Ready(answer) = asker.look() {
            assert!(answer.is_some());
        }
        drop(asker);
        other.join().unwrap();
        drops.assert_none_live();
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "deadlock"))]
fn canary_an_asker_that_waits_is_woken() {
    weaken!("answer_announce");
    model("answer: give against a wait", 13, || {
        let (giver, asker) = place();
        let mut asker = Held::new(asker);
        let other = thread::spawn(move || giver.give(7));
        assert_eq!(weftwork_core::block_on(&mut *asker), Some(7));
        other.join().unwrap();
    });
}

#[test]
fn an_asker_that_waits_is_told_of_a_giver_that_is_dropped() {
    model("answer: drop of the giver against a wait", 13, || {
        let (giver, asker) = place::<u32>();
        let mut asker = Held::new(asker);
        let other = thread::spawn(move || drop(giver));
        assert_eq!(asker.wait(None), Ok(None));
        other.join().unwrap();
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "Causality violation"))]
fn canary_an_asker_that_polls_with_another_waker_is_woken_by_that() {
    weaken!("answer_withdraw");
    model("answer: give against a poll with another waker", 10, || {
        let (giver, asker) = place();
        let mut asker = Held::new(asker);
        let (first, second) = (Arc::new(Calls::default()), Arc::new(Calls::default()));
        assert!(poll(&mut asker, &first).is_pending());
        let other = thread::spawn(move || giver.give(7));
        let polled = poll(&mut asker, &second);
        other.join().unwrap();
        match polled {
            Poll::Ready(answer) => assert_eq!(answer, Some(7)),
            Poll::Pending => {
                assert_eq!((first.get(), second.get()), (0, 1));
                assert_eq!(asker.look(), Poll::Ready(Some(7)));
            }
        }
        drop(asker);
        // Neither waker was left behind.
        let counts = (Arc::strong_count(&first), Arc::strong_count(&second));
        assert_eq!(counts, (1, 1));
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "is dropped"))]
fn canary_an_answer_to_one_that_leaves_is_dropped() {
    weaken!("answer_leave");
    model("answer: give against a drop after a poll", 10, || {
        let drops = DropCounter::new();
        let calls = Arc::new(Calls::default());
        let (giver, asker) = place();
        let mut asker = Held::new(asker);
        assert!(poll(&mut asker, &calls).is_pending());
        let answer = drops.track(7);
        let other = thread::spawn(move || giver.give(answer));
        drop(asker);
        other.join().unwrap();
        assert_eq!(drops.live(), 0, "an answer that nobody takes is dropped");
        // The waker is gone, too, whether it was called or not.
        assert_eq!(Arc::strong_count(&calls), 1);
    });
}

#[test]
fn an_asker_whose_time_is_over_leaves_nothing_behind() {
    model("answer: give against a wait that may time out", 50, || {
        let drops = DropCounter::new();
        let (giver, asker) = place();
        let mut asker = Held::new(asker);
        let answer = drops.track(7);
        let other = thread::spawn(move || giver.give(answer));
        drop(asker.wait(Some(Instant::now())));
        drop(asker);
        other.join().unwrap();
        drops.assert_none_live();
    });
}
