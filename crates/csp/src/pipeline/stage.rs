//! A task of a pipeline: what it reads, where it writes, and how its failure is told.
//!
//! Invariants
//! 1. A failure is noted before the outputs of the stage are closed or dropped. So whoever finds an
//!    output at its end finds the failure, too, be it of this stage or of one before: those in between
//!    have just ended, as after the plain end of their input.
//! 2. A stage that does not get to the end of its work, because it was cancelled or never run, has failed.

use super::Flow;
use crate::Sender;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
#[cfg(weftwork_canary)]
use weftwork_core::canary::{self, Step};
use weftwork_core::sync::Mutex;
use weftwork_core::wait::cancel::is_cancel_unwind;
use weftwork_core::wait::{self, Reason};

const STAGE: Reason = Reason::new("pipeline_stage");

/// Why a stage ended before its input did.
enum Failure {
    Panicked(Box<dyn Any + Send>),
    /// Cancelled, or dropped by its executor.
    Unfinished,
    /// The payload was given to one who asked before.
    Told,
}

/// Where the workers of a stage note the first failure, for those who receive from it.
pub(super) struct Fault {
    own: Mutex<Option<Failure>>,
    /// Those of the stages before.
    above: Vec<Arc<Fault>>,
}

impl Fault {
    /// Makes the place for a stage that reads from `inputs`.
    pub(super) fn below<'a, A: 'a>(inputs: impl IntoIterator<Item = &'a Flow<A>>) -> Arc<Fault> {
        let above = inputs.into_iter().filter_map(|input| input.fault.clone());
        Arc::new(Fault {
            own: Mutex::default(),
            above: above.collect(),
        })
    }

    fn note(&self, failure: Failure) {
        let mut own = self.own.lock();
        if own.is_none() {
            *own = Some(failure);
            return;
        }
        drop(own);
        // A surplus payload is dropped here, unlocked.
        drop(failure);
    }

    /// Panics if there was a failure: with its payload for the first who asks.
    #[track_caller]
    pub(super) fn raise(&self) {
        self.above.iter().for_each(|above| above.raise());
        let mut own = self.own.lock();
        let failure = match &mut *own {
            Some(failure) => std::mem::replace(failure, Failure::Told),
            None => return,
        };
        drop(own);
        match failure {
            Failure::Panicked(payload) => resume_unwind(payload),
            Failure::Unfinished => panic!("a stage of the pipeline was cancelled"),
            Failure::Told => panic!("a stage of the pipeline failed"),
        }
    }
}

/// One task of a stage, from before it is spawned.
pub(super) struct Stage<B> {
    fault: Arc<Fault>,
    outputs: Vec<Sender<B>>,
    done: bool,
}

impl<B> Stage<B> {
    pub(super) fn new(fault: &Arc<Fault>, outputs: Vec<Sender<B>>) -> Self {
        Stage {
            fault: Arc::clone(fault),
            outputs,
            done: false,
        }
    }

    /// Does the work of the task, which reads with [`next`] and writes to the outputs.
    pub(super) fn run(mut self, work: impl FnOnce(&[Sender<B>])) {
        match catch_unwind(AssertUnwindSafe(|| work(&self.outputs))) {
            Ok(()) => self.done = true,
            // Goes on with its way out of the task, which drops the stage.
            Err(payload) if is_cancel_unwind(&*payload) => resume_unwind(payload),
            Err(payload) => self.fail(Failure::Panicked(payload)),
        }
    }

    fn fail(&mut self, failure: Failure) {
        self.done = true;
        // Canary: the outputs are at their end before the failure is noted.
        #[cfg(weftwork_canary)]
        if canary::is(Step::Of("pipeline_note_first")) {
            self.outputs.iter().for_each(|output| {
                output.close();
            });
        }
        self.fault.note(failure);
        // The other workers of the stage stop at their next send.
        for output in &self.outputs {
            output.close();
        }
    }
}

impl<B> Drop for Stage<B> {
    fn drop(&mut self) {
        if !self.done {
            self.fail(Failure::Unfinished);
        }
    }
}

/// Waits for the next message of `input`. `None`: the input has ended, or nobody wants `outputs` any more.
pub(super) fn next<A, B>(input: &Flow<A>, outputs: &[Sender<B>]) -> Option<A> {
    if let Ok(message) = input.receiver.try_recv() {
        return Some(message);
    }
    let mut received = pin!(input.receiver.recv_async());
    let mut wanted: Vec<_> = outputs.iter().map(|o| Box::pin(o.closed())).collect();
    let next = wait::wait(STAGE, |context| {
        if let Poll::Ready(received) = received.as_mut().poll(context) {
            return Poll::Ready(Some(received));
        }
        wanted.retain_mut(|closed| closed.as_mut().poll(context).is_pending());
        if wanted.is_empty() {
            return Poll::Ready(None);
        }
        Poll::Pending
    });
    next?.ok()
}
