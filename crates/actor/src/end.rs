//! The end of an actor, whatever the cause: its steps, in the order on which everybody relies.
//!
//! 1. The rest of a handler is dropped, work outside is cancelled; `terminate` is called, if it is to be; the state is dropped;
//!    a crash is reported.
//! 2. The reason is written and the inbox closed: from here on the actor counts as dead, and whoever sends
//!    or links is told so. Links and monitors that had arrived before are noted.
//! 3. Links, watchers and senders that wait are told.
//! 4. The messages that were not handled are dropped; their askers find the reason.
//!
//! Why in this order: "The end" in `docs/design/actors.md`.

use crate::actor::InitError;
use crate::cell::CellRef;
use crate::dead_letters;
use crate::exit;
#[cfg(weftwork_canary)]
use crate::mailbox::chain::Chain;
use crate::owned::Phase;
use crate::panics;
use crate::reason::Reason;
use crate::reports;
#[cfg(weftwork_canary)]
use crate::run::take_inbox;
use crate::run::{sort, with};
use crate::start::Made;
use std::mem::replace;
#[cfg(weftwork_canary)]
use weftwork_core::canary::{self, Step as Weak};

/// Ends the actor, whose owner the caller is. `failure` is how its `init` failed, if it did.
pub(crate) fn end(
    cell: &CellRef,
    mut reason: Reason,
    terminates: bool,
    failure: Option<InitError>,
) {
    let vtable = cell.vtable;
    cell.begin_end();
    if let Some(handling) = with(cell, |own| own.handling.take()) {
        let _ = panics::drop_caught(handling);
    }
    for task in with(cell, |own| own.more.as_mut().map(|more| more.pipes.take()))
        .into_iter()
        .flatten()
    {
        task.cancel();
    }
    let has_panicked = matches!(failure, Some(InitError::Failed(Reason::Panic(_))));
    let mut is_crash = terminates || has_panicked;
    if terminates {
        // SAFETY: we are the owner, and the table is the cell's.
        if let Err(panic) = panics::catch(|| unsafe { (vtable.terminate)(cell, &reason) }) {
            reason = panic;
        }
    }
    // SAFETY: as above.
    if let Err(panic) = panics::catch(|| unsafe { (vtable.clear)(cell) })
        && reason.is_normal()
    {
        reason = panic;
        is_crash = true;
    }
    if is_crash && !reason.is_normal() {
        reports::crash(cell, &reason);
    }
    let before = with(cell, |own| replace(&mut own.phase, Phase::Ended));
    // Canary: the end is told first, and the inbox closed afterwards.
    #[cfg(weftwork_canary)]
    if canary::is(Weak::Of("actor_announce")) {
        take_inbox(cell);
        with(cell, |own| exit::announce(cell, own, &reason));
        with(cell, |own| own.more = None);
    }
    // SAFETY: we are the owner, and the inbox is open.
    unsafe { cell.set_exit(reason.clone()) };
    let mut rest = cell.shelf(|shelf| {
        let mut rest = std::mem::take(&mut shelf.unsorted);
        rest.append(cell.inbox.close());
        rest
    });
    // Canary: what came in last is not looked at.
    #[cfg(weftwork_canary)]
    if canary::is(Weak::Of("actor_late")) || canary::is(Weak::Of("actor_announce")) {
        rest = Chain::new();
    }
    sort(cell, &mut rest);
    if let Some(hooks) = cell.hooks() {
        hooks.ended(cell, &reason);
    }
    with(cell, |own| exit::announce(cell, own, &reason));
    cell.room.close();
    let (more, parent) = with(cell, |own| (own.more.take(), own.parent.take()));
    // One whose `init` has not returned has not told.
    if before != Phase::Running {
        let failure = failure.unwrap_or(InitError::Failed(reason));
        Made::tell(cell, Err(Box::new(failure)));
    }
    drop(parent);
    if let Some(mut more) = more {
        more.pending.give_up();
        dead_letters::bury(cell, std::mem::take(&mut more.next));
        dead_letters::bury(cell, std::mem::take(&mut more.stash));
        let _ = panics::drop_caught(more);
    }
    let mut shelf = cell.shelf(|shelf| shelf.take_all());
    while let Some(letter) = shelf.lanes.pop() {
        dead_letters::note(cell, letter);
    }
}
