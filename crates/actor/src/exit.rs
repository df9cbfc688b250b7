//! What a signal does when it arrives, and the algebra of exits.
//!
//! | exit signal | actor does not trap | actor traps |
//! | --- | --- | --- |
//! | sent, `Kill` | ends as `Killed` | ends as `Killed` |
//! | sent by another, `Normal` | ignored | told |
//! | sent by itself, `Normal` | ends as `Normal` | told |
//! | sent, any other reason | ends with it | told |
//! | of a link that is there, `Normal` | ignored | told |
//! | of a link that is there, any other reason, `Kill` too | ends with it | told |
//! | of a link that is not there | ignored | ignored |
//!
//! "Told" is [`on_exit`](crate::Actor::on_exit), when the exit's turn comes among the messages; from the
//! parent it is a stop with that reason instead.

use crate::cell::CellRef;
use crate::owned::Owned;
use crate::panics;
use crate::pid::Pid;
use crate::reason::Reason;
use crate::signal::{Cause, Observer, Signal};

/// What becomes of a signal that has arrived.
pub(crate) enum Arrival {
    /// It has done what it does.
    Done,
    /// It is put among the messages, to be performed when its turn comes.
    Queue(Signal),
}

/// Lets a signal arrive. The caller is the owner of `cell`, whose part `own` is.
pub(crate) fn arrive(cell: &CellRef, own: &mut Owned, signal: Signal) -> Arrival {
    match signal {
        Signal::Exit {
            from,
            reason,
            cause,
        } => return exit(cell, own, from, reason, cause),
        event @ (Signal::Stop { .. } | Signal::Down { .. }) => return Arrival::Queue(event),
        Signal::Link { from } => own.more().links.linked_by(from),
        Signal::Unlink { from, id } => {
            own.more().links.unlinked_by(from.number);
            let from_here = cell.number;
            from.send(Signal::Unlinked {
                from: from_here,
                id,
            });
        }
        Signal::Unlinked { from, id } => own.more().links.answered(from, id),
        Signal::Monitor { reference, watcher } => own.more().watchers.insert(reference, watcher),
        Signal::Demonitor { reference } => own.more().watchers.remove(reference),
        Signal::Inspect(look) => look(own),
        Signal::Overflow => own.stop(Reason::other("mailbox overflow")),
    }
    Arrival::Done
}

fn exit(cell: &CellRef, own: &mut Owned, from: Pid, reason: Reason, cause: Cause) -> Arrival {
    let is_own = from.cell() == Some(cell);
    if cause == Cause::Link && !own.more().links.broken(from.number()) {
        return Arrival::Done;
    }
    let dies_of = if cause == Cause::Sent && matches!(reason, Reason::Kill) {
        Reason::Killed
    } else if own.traps_exit {
        return Arrival::Queue(Signal::Exit {
            from,
            reason,
            cause,
        });
    } else if matches!(reason, Reason::Normal) && !(is_own && cause == Cause::Sent) {
        return Arrival::Done;
    } else {
        reason
    };
    own.doom(dies_of);
    Arrival::Done
}

/// Tells everybody of the end. The inbox is closed.
pub(crate) fn announce(cell: &CellRef, own: &mut Owned, reason: &Reason) {
    let Some(more) = &mut own.more else { return };
    let mut observers = Vec::new();
    for (reference, observer) in more.watchers.take() {
        match observer {
            // Before anybody hears of the end: see `ends`.
            Observer::Hook(call) => drop(panics::catch(|| call(&cell.pid()))),
            other => observers.push((reference, other)),
        }
    }
    for peer in more.links.take() {
        peer.send(Signal::Exit {
            from: cell.pid(),
            reason: reason.clone(),
            cause: Cause::Link,
        });
    }
    for (reference, observer) in observers {
        match observer {
            Observer::Actor(watcher) => {
                watcher.send(Signal::Down {
                    reference,
                    pid: cell.pid(),
                    reason: reason.clone(),
                });
            }
            // He may have gone.
            Observer::Outside(watcher) => drop(watcher.send(reason.clone())),
            Observer::Hook(_) => {}
        }
    }
    for (reference, target) in more.monitors.take_all() {
        target.send(Signal::Demonitor { reference });
    }
}
