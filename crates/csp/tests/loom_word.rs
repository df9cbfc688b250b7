//! The word of a blocked operation alone, in every interleaving: claim against claim, two words at
//! once, and the owner that withdraws against a claim.
//!
//! The word is internal, so its file is a part of this test. A model whose name starts with `canary_`
//! is run a second time under `--cfg weftwork_canary` with the step it is about weakened, and must
//! then fail with the message it is given here.

#![cfg(weftwork_loom)]

#[allow(
    dead_code,
    unreachable_pub,
    reason = "a file of the library, of which a part is used here"
)]
#[path = "../src/waiting/signal.rs"]
mod signal;

use signal::{Outcome, Pair, Signal, Status, claim_pair};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize as Count;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Wake, Waker};
use weftwork_core::sync::cell::UnsafeCell;
use weftwork_core::sync::thread;
use weftwork_testkit::model;

/// Weakens one step for the rest of the test, in the canary build.
macro_rules! weaken {
    ($step:literal) => {
        #[cfg(weftwork_canary)]
        let _weak = weftwork_core::canary::weaken(weftwork_core::canary::Step::Of($step));
    };
}

/// A word, and a place that belongs to whoever has claimed it: loom watches the place.
struct Operation {
    signal: Signal,
    place: UnsafeCell<usize>,
}

// SAFETY: the protocol under test says who may reach the place; loom checks it.
unsafe impl Sync for Operation {}
// SAFETY: as above.
unsafe impl Send for Operation {}

impl Operation {
    /// An operation that waits.
    fn waiting() -> Self {
        let operation = Operation {
            signal: Signal::new(),
            place: UnsafeCell::new(0),
        };
        operation.signal.publish(Waker::noop().clone());
        operation
    }

    fn write(&self, value: usize) {
        // SAFETY: the caller has claimed the word; loom checks that it is alone.
        self.place.with_mut(|place| unsafe { *place = value });
    }

    fn read(&self) -> usize {
        // SAFETY: the caller is the owner and has seen the outcome; loom checks it.
        self.place.with(|place| unsafe { *place })
    }

    /// Claims it, brings `value`, says so.
    fn commit(&self, value: usize) -> bool {
        let Some(claim) = self.signal.try_claim() else {
            return false;
        };
        self.write(value);
        drop(claim.finish(Outcome::done(value)));
        true
    }
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "Causality violation"))]
fn canary_one_of_two_claims_is_granted() {
    weaken!("signal: try_claim");
    model("word: claim against claim", 3, || {
        let operation = Arc::new(Operation::waiting());
        let other = thread::spawn({
            let operation = Arc::clone(&operation);
            move || operation.commit(1)
        });
        let mine = operation.commit(2);
        let theirs = other.join().unwrap();
        assert!(mine != theirs);
        let winner = if mine { 2 } else { 1 };
        assert_eq!(operation.signal.status(), Status::Done(winner));
        assert_eq!(operation.read(), winner);
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "Causality violation"))]
fn canary_what_comes_with_an_outcome_is_seen_with_it() {
    weaken!("signal: settle");
    model("word: outcome against a look", 5, || {
        let operation = Arc::new(Operation::waiting());
        let other = thread::spawn({
            let operation = Arc::clone(&operation);
            move || assert!(operation.commit(1))
        });
        if let Status::Done(value) = operation.signal.status() {
            assert_eq!(operation.read(), value);
            operation.signal.reset();
            assert_eq!(operation.signal.status(), Status::Idle);
        }
        other.join().unwrap();
    });
}

#[test]
#[cfg_attr(
    weftwork_canary,
    should_panic(expected = "exceeded maximum number of branches")
)]
fn canary_two_that_claim_each_other_do_not_wait_for_each_other() {
    weaken!("signal: claim_pair");
    model("word: claim_pair against claim_pair, crosswise", 3, || {
        let both = Arc::new([Operation::waiting(), Operation::waiting()]);
        let pair = |both: &[Operation; 2], mine: usize| {
            let (me, peer) = (&both[mine], &both[1 - mine]);
            match claim_pair(&me.signal, &peer.signal) {
                Pair::Both(own, other) => {
                    me.write(mine);
                    peer.write(mine);
                    drop(other.finish(Outcome::done(mine)));
                    drop(own.finish(Outcome::done(mine)));
                    true
                }
                Pair::FirstGone | Pair::SecondGone => false,
            }
        };
        let other = thread::spawn({
            let both = Arc::clone(&both);
            move || pair(&both, 1)
        });
        let mine = pair(&both, 0);
        assert!(mine != other.join().unwrap(), "one pairs, one is paired");
        let winner = if mine { 0 } else { 1 };
        for operation in &*both {
            assert_eq!(operation.signal.status(), Status::Done(winner));
            assert_eq!(operation.read(), winner);
        }
    });
}

#[test]
fn of_a_pair_and_a_claim_one_is_granted_and_the_rest_waits_on() {
    for paired_first in [true, false] {
        model("word: claim_pair against claim", 3, move || {
            let both = Arc::new([Operation::waiting(), Operation::waiting()]);
            let other = thread::spawn({
                let both = Arc::clone(&both);
                // Of the second, whatever its address.
                move || both[1].commit(7)
            });
            let (first, second) = if paired_first { (0, 1) } else { (1, 0) };
            let paired = match claim_pair(&both[first].signal, &both[second].signal) {
                Pair::Both(one, two) => {
                    drop(two.finish(Outcome::done(9)));
                    drop(one.finish(Outcome::done(9)));
                    true
                }
                Pair::FirstGone => {
                    assert!(!paired_first);
                    false
                }
                Pair::SecondGone => {
                    assert!(paired_first);
                    false
                }
            };
            assert!(paired != other.join().unwrap());
            let [free, taken] = [0, 1].map(|n: usize| both[n].signal.status());
            if paired {
                assert_eq!([free, taken], [Status::Done(9); 2]);
            } else {
                assert_eq!([free, taken], [Status::Waiting, Status::Done(7)]);
            }
        });
    }
}

#[test]
fn an_operation_is_withdrawn_or_done() {
    model("word: withdraw against claim", 5, || {
        let operation = Arc::new(Operation::waiting());
        let other = thread::spawn({
            let operation = Arc::clone(&operation);
            move || operation.commit(1)
        });
        let withdrawn = operation.signal.withdraw();
        if !withdrawn {
            assert_eq!(operation.signal.status(), Status::Done(1));
            assert_eq!(operation.read(), 1);
        }
        operation.signal.reset();
        assert!(withdrawn != other.join().unwrap());
    });
}

#[test]
fn a_claim_that_is_given_up_leaves_the_operation_to_others() {
    model("word: abandoned claim against claim", 3, || {
        let operation = Arc::new(Operation::waiting());
        let other = thread::spawn({
            let operation = Arc::clone(&operation);
            move || match operation.signal.try_claim() {
                Some(claim) => {
                    operation.write(3);
                    claim.abandon();
                }
                None => assert_eq!(operation.signal.status(), Status::Done(1)),
            }
        });
        assert!(operation.commit(1), "nobody else wanted it");
        other.join().unwrap();
        assert_eq!(operation.read(), 1);
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
fn the_waker_that_was_left_last_is_called() {
    model("word: another waker against a claim", 3, || {
        let calls = [(); 2].map(|()| Arc::new(Calls::default()));
        let operation = Arc::new(Operation::waiting());
        assert!(
            operation
                .signal
                .set_waker(&mut Some(Arc::clone(&calls[0]).into()))
        );
        let other = thread::spawn({
            let operation = Arc::clone(&operation);
            move || {
                let claim = operation.signal.try_claim().expect("nobody else ends it");
                claim.finish(Outcome::fired(0)).unwrap().wake();
            }
        });
        let mut waker = Some(Arc::clone(&calls[1]).into());
        let waits = operation.signal.set_waker(&mut waker);
        other.join().unwrap();
        let counts = [0, 1].map(|n: usize| calls[n].0.load(SeqCst));
        assert_eq!(counts, if waits { [0, 1] } else { [1, 0] });
    });
}
