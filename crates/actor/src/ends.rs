//! Being called at an actor's end, by its task: how tables of actors stay free of the dead.
//!
//! The call comes after the inbox is closed, so whoever is called finds the actor dead, and before links and
//! monitors are told: who has heard of an end finds no trace of the actor in those tables. It is asked for by
//! a signal, like a monitor, so it comes exactly once, or the asker is told that the actor has ended.

use crate::pid::Pid;
use crate::signal::{Observer, Signal};

/// What is called.
pub(crate) type AtEnd = Box<dyn FnOnce(&Pid) + Send>;

/// Asks an actor to call `at_end` at its end. A panic in it is lost. False: the actor has ended.
pub(crate) fn call_at_end(
    pid: &Pid,
    reference: u64,
    at_end: impl FnOnce(&Pid) + Send + 'static,
) -> bool {
    pid.cell().is_some_and(|cell| {
        cell.send(Signal::Monitor {
            reference,
            watcher: Observer::Hook(Box::new(at_end)),
        })
    })
}

/// Takes back what [`call_at_end`] has asked for, unless it is being called.
pub(crate) fn call_off(pid: &Pid, reference: u64) {
    if let Some(cell) = pid.cell() {
        cell.send(Signal::Demonitor { reference });
    }
}
