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
use crate::mailbox::letter::Letter;
use crate::owned::Owned;
use crate::panics;
use crate::pid::Pid;
use crate::reason::Reason;
use crate::signal::{Cause, Observer, Signal};

/// Lets the signal in a letter arrive. What has to wait for its turn among the messages is returned, in a
/// letter. The caller is the owner of `cell`, whose part `own` is.
pub(crate) fn arrive(cell: &CellRef, own: &mut Owned, letter: Letter) -> Option<Letter> {
    match Signal::of(&letter) {
        // These only wait for their turn, in the letter they are in.
        Some(signal) if signal.is_event() => return Some(letter),
        // These stay in it.
        Some(Signal::Monitor { .. }) => {
            own.watched_by(letter);
            return None;
        }
        _ => {}
    }
    match Signal::from_letter(letter) {
        Signal::Exit {
            from,
            reason,
            cause,
        } => return exit(cell, own, from, reason, cause),
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
        Signal::Demonitor { reference } => own.unwatched_by(reference),
        Signal::Inspect(look) => look(own),
        Signal::Overflow => own.stop(cell, Reason::other("mailbox overflow")),
        Signal::Stop { .. } | Signal::Down { .. } | Signal::Monitor { .. } => {
            unreachable!("these stay in their letters")
        }
    }
    None
}

fn exit(
    cell: &CellRef,
    own: &mut Owned,
    from: Pid,
    reason: Reason,
    cause: Cause,
) -> Option<Letter> {
    let is_own = from.cell() == Some(cell);
    if cause == Cause::Link && !own.more().links.broken(from.number()) {
        return None;
    }
    let dies_of = if cause == Cause::Sent && matches!(reason, Reason::Kill) {
        Reason::Killed
    } else if own.traps_exit {
        let signal = Signal::Exit {
            from,
            reason,
            cause,
        };
        return Some(signal.into_letter());
    } else if matches!(reason, Reason::Normal) && !(is_own && cause == Cause::Sent) {
        return None;
    } else {
        reason
    };
    own.doom(cell, dies_of);
    None
}

/// Tells everybody of the end. The inbox is closed.
pub(crate) fn announce(cell: &CellRef, own: &mut Owned, reason: &Reason) {
    // Before anybody hears of the end: see `ends`.
    for call in own.take_hooks() {
        let _ = panics::catch(|| call(&cell.pid()));
    }
    if let Some(more) = &mut own.more {
        for peer in more.links.take() {
            peer.send(Signal::Exit {
                from: cell.pid(),
                reason: reason.clone(),
                cause: Cause::Link,
            });
        }
    }
    for (reference, observer) in own.take_watchers() {
        match observer {
            Observer::Actor(watcher) => {
                watcher.send(Signal::Down {
                    reference,
                    pid: cell.pid(),
                    reason: reason.clone(),
                });
            }
            Observer::Outside(watcher) => watcher.give(reason.clone()),
            // Called above.
            Observer::Hook(_) => {}
        }
    }
    if let Some(more) = &mut own.more {
        for (reference, target) in more.monitors.take_all() {
            target.send(Signal::Demonitor { reference });
        }
    }
}
