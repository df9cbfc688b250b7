//! Messages and signals that arrive late.

use crate::cell::CellRef;
use crate::dead_letters;
use crate::mailbox::inbox::Pushed;
use crate::mailbox::letter::Letter;
use crate::reason::Reason;
use crate::signal::{Cause, Observer, Signal};
use crate::testing::ManualClock;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Instant;
use weftwork_core::sync::Mutex;

/// What is in a parcel.
pub(super) enum Load {
    Message(Letter),
    Signal(Signal),
}

struct Parcel {
    to: CellRef,
    load: Mutex<Option<Load>>,
}

/// Lets `load` arrive at `due`.
pub(super) fn send(clock: &ManualClock, due: Instant, to: CellRef, load: Load) {
    let load = Mutex::new(Some(load));
    let parcel = Waker::from(Arc::new(Parcel { to, load }));
    clock.call_at(due, parcel).detach();
}

impl Wake for Parcel {
    fn wake(self: Arc<Self>) {
        let load = self.load.lock().take();
        match load {
            None => {}
            Some(Load::Message(letter)) => match self.to.place_message(letter) {
                Ok(Pushed::Wake) => self.to.wake(),
                Ok(Pushed::Quiet) => {}
                Err(letter) => dead_letters::note(&self.to, letter),
            },
            Some(Load::Signal(signal)) if self.to.is_alive() => {
                self.to.put_signal(signal);
            }
            Some(Load::Signal(signal)) => bounce(&self.to, signal),
        }
    }
}

/// A signal finds that its receiver has ended meanwhile.
fn bounce(to: &CellRef, signal: Signal) {
    match signal {
        Signal::Link { from } => {
            from.put_signal(Signal::Exit {
                from: to.pid(),
                reason: Reason::NoProc,
                cause: Cause::Link,
            });
        }
        Signal::Monitor {
            reference,
            watcher: Observer::Actor(watcher),
        } => {
            watcher.put_signal(Signal::Down {
                reference,
                pid: to.pid(),
                reason: Reason::NoProc,
            });
        }
        Signal::Monitor {
            watcher: Observer::Outside(watcher),
            ..
        } => watcher.give(Reason::NoProc),
        _ => {}
    }
}
