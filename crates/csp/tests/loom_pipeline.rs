//! The stages of a pipeline in every interleaving: a failure against the end it causes, and a consumer
//! that goes away against a stage that waits.
//!
//! A model whose name starts with `canary_` is run a second time under `--cfg weftwork_canary` with
//! the step it is about weakened, and must then fail with the message it is given here.

#![cfg(weftwork_loom)]

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use weftwork_csp::group::ThreadPerTask;
use weftwork_csp::pipeline::Flow;
use weftwork_csp::{bounded, unbounded};
use weftwork_testkit::model;

/// Weakens one step for the rest of the test, in the canary build.
macro_rules! weaken {
    ($step:literal) => {
        #[cfg(weftwork_canary)]
        let _weak = weftwork_core::canary::weaken(weftwork_core::canary::Step::Of($step));
    };
}

#[test]
#[cfg_attr(
    weftwork_canary,
    should_panic(expected = "a failure looked like a plain end")
)]
fn canary_an_end_that_a_failure_has_caused_is_no_plain_end() {
    weaken!("pipeline_note_first");
    model("pipeline: a panic against recv", 60, || {
        let (sender, input) = unbounded();
        sender.send(1).unwrap();
        drop(sender);
        let work = |_: i32| -> i32 { resume_unwind(Box::new("payload")) };
        let output = Flow::from(input).map(&ThreadPerTask, 1, work).unwrap();
        let caught = catch_unwind(AssertUnwindSafe(|| output.recv()));
        let payload = caught.expect_err("a failure looked like a plain end");
        assert_eq!(payload.downcast_ref(), Some(&"payload"));
    });
}

#[test]
fn a_stage_that_waits_is_told_that_nobody_wants_its_output() {
    model(
        "pipeline: the drop of the output against a wait",
        170,
        || {
            let (sender, input) = bounded::<i32>(1);
            let output = Flow::from(input).map(&ThreadPerTask, 1, |n| n).unwrap();
            drop(output);
            assert!(weftwork_core::block_on(sender.closed()).is_none());
        },
    );
}
