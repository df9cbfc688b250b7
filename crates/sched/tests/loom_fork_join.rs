//! The end of a stolen half in every interleaving: its result is seen, and nothing is touched late.
//!
//! The forker's frame and its carrier are told apart, as in the scheduler: the frame is gone when the
//! forker has seen the latch open, the carrier lives as long as somebody holds a reference.

#![cfg(weftwork_loom)]
#![allow(
    clippy::arc_with_non_send_sync,
    reason = "the threads of a model share what the protocol under test lets them share"
)]

mod models;

use models::{Sleeper, run, weaken};
use std::sync::Arc;
use weftwork_core::sync::cell::UnsafeCell;
use weftwork_sched::protocol::{Latch, Mail, Outcome};
use weftwork_testkit::model;

struct Carrier {
    mail: Mail,
    away: Sleeper,
}

struct World {
    latch: Latch,
    /// Written when the frame is left: whoever looks into the frame then is caught.
    frame: UnsafeCell<bool>,
    result: UnsafeCell<Option<u32>>,
    carrier: Arc<Carrier>,
}

impl World {
    fn new() -> Arc<Self> {
        let (mail, away) = (Mail::new(), Sleeper::new());
        Arc::new(World {
            latch: Latch::new(),
            frame: UnsafeCell::new(true),
            result: UnsafeCell::new(None),
            carrier: Arc::new(Carrier { mail, away }),
        })
    }

    /// As the thief: `Job::run`.
    fn steal(&self, outcome: Outcome) {
        if outcome == Outcome::Done {
            // SAFETY: the thief's until the latch is open.
            self.result.with_mut(|result| unsafe { *result = Some(7) });
        }
        let carrier = self.latch.open(outcome, || {
            // SAFETY: the frame is there, loom checks that.
            assert!(self.frame.with(|frame| unsafe { *frame }));
            Arc::clone(&self.carrier)
        });
        if carrier.mail.leave(false) {
            carrier.away.wake();
        }
    }

    /// As the forker: the wait of `fork`, and the end of its frame.
    fn join(&self) -> Option<u32> {
        let outcome = loop {
            match self.latch.outcome() {
                Some(outcome) => break outcome,
                None => {
                    self.carrier.away.sleep();
                    let _ = self.carrier.mail.collect();
                }
            }
        };
        // SAFETY: the latch is open: the result is the forker's.
        let result = self.result.with_mut(|result| unsafe { (*result).take() });
        assert_eq!(result.is_some(), outcome == Outcome::Done);
        // SAFETY: nobody else is in the frame any more, loom checks that.
        self.frame.with_mut(|frame| unsafe { *frame = false });
        result
    }
}

fn steal_and_join(name: &str) {
    model(name, 10, || {
        let world = World::new();
        let thief = run(&world, |world| world.steal(Outcome::Done));
        assert_eq!(world.join(), Some(7));
        thief.join().unwrap();
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "Causality violation"))]
fn canary_the_thief_touches_nothing_after_the_latch_is_open() {
    weaken!("latch: reference after the store");
    steal_and_join("open against the end of the frame");
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "Causality violation"))]
fn canary_the_result_is_in_place_when_the_latch_is_open() {
    weaken!("latch: open");
    steal_and_join("result against open");
}

#[test]
fn an_abandoned_half_lets_its_forker_go() {
    model("abandon against join", 10, || {
        let world = World::new();
        let queue = run(&world, |world| world.steal(Outcome::Abandoned));
        assert_eq!(world.join(), None);
        queue.join().unwrap();
    });
}
