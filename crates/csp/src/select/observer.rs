//! Waiting until an arm is ready, without doing it: others may be quicker afterwards.

use super::handle::Handle;
use super::machine::{Nodes, ready_one};
use crate::waiting::{Node, Signal};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;
use weftwork_core::wait::{Reason, TimedOut, is_first_look, wait_deadline};

const READY: Reason = Reason::new("select_ready");

/// Nodes at all arms, which are told of changes there; taken back when it goes.
struct Observer<'h, 'a> {
    handles: &'h [Handle<'a>],
    nodes: Nodes,
    signal: Signal,
}

impl Observer<'_, '_> {
    fn node(&self, arm: usize) -> Pin<&Node> {
        let nodes: &[Node] = self.nodes.as_ref();
        // SAFETY: the observer stays in the frame of `ready_until`, and takes them back in its drop.
        unsafe { Pin::new_unchecked(&nodes[arm]) }
    }

    fn poll(&self, context: &mut Context<'_>) -> Poll<usize> {
        self.stop();
        if let Some(index) = ready_one(self.handles) {
            return Poll::Ready(index);
        }
        if is_first_look(context.waker()) {
            return Poll::Pending;
        }
        self.signal.publish(context.waker().clone());
        for (arm, (handle, index)) in self.handles.iter().enumerate() {
            if !handle.observe(&self.signal, self.node(arm), arm) {
                return Poll::Ready(*index);
            }
        }
        Poll::Pending
    }

    fn stop(&self) {
        self.signal.withdraw();
        for (arm, (handle, _)) in self.handles.iter().enumerate() {
            handle.delist(self.node(arm).get_ref());
        }
        self.signal.reset();
    }
}

impl Drop for Observer<'_, '_> {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Waits until an arm is ready, until `deadline`.
#[track_caller]
pub(crate) fn ready_until(handles: &[Handle<'_>], deadline: Option<Instant>) -> Option<usize> {
    weftwork_core::wait::checkpoint();
    if let Some(index) = ready_one(handles) {
        return Some(index);
    }
    let observer = Observer {
        handles,
        nodes: Nodes::new(handles.len()),
        signal: Signal::new(),
    };
    loop {
        let dues = handles.iter().filter_map(|(handle, _)| handle.due());
        let until = dues.chain(deadline).min();
        match wait_deadline(READY, until, |context| observer.poll(context)) {
            Ok(index) => return Some(index),
            Err(TimedOut) if deadline.is_some_and(|deadline| deadline <= Instant::now()) => {
                return ready_one(handles);
            }
            Err(TimedOut) => {}
        }
    }
}
