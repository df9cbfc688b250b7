//! How the blocking calls of this crate wait: through core, after a short spin where that can help.

use std::task::{Context, Poll};
use std::time::Instant;
use weftwork_core::wait::{is_first_look, wait_deadline};
use weftwork_core::{Reason, TimedOut};

/// Waits until `poll` is ready, for ever or until `deadline`. The caller has just tried in vain.
///
/// On an OS thread core first polls without a waker that wakes. Here that look is skipped: it would
/// join a queue only to change the waker there at once.
#[track_caller]
pub(crate) fn wait_until<T>(
    reason: Reason,
    deadline: Option<Instant>,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Result<T, TimedOut> {
    let mut has_looked = false;
    wait_deadline(reason, deadline, |context| {
        if !has_looked && is_first_look(context.waker()) {
            has_looked = true;
            return Poll::Pending;
        }
        poll(context)
    })
}

/// Waits until `poll` is ready.
#[track_caller]
pub(crate) fn wait<T>(reason: Reason, poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    match wait_until(reason, None, poll) {
        Ok(value) => value,
        Err(TimedOut) => unreachable!("a wait without deadline timed out"),
    }
}

/// The pauses of the last round of a spin; each round has twice as many as the one before. Some two
/// microseconds in all.
#[cfg(not(weftwork_loom))]
const LAST_ROUND: usize = 32;

/// Tries again a few times, with pauses in between, where the other party may be running on another
/// processor: on an OS thread, if there is another processor. A green thread never spins: whom it
/// waits for may be on the same worker.
///
/// `attempt` gives `None` to go on, and `Some(false)` to give up.
#[cfg(not(weftwork_loom))]
#[inline]
pub(crate) fn spin(mut attempt: impl FnMut() -> Option<bool>) -> bool {
    if weftwork_core::host::is_hosted() || !has_processors() {
        return false;
    }
    let mut pauses = 1;
    while pauses <= LAST_ROUND {
        for _ in 0..pauses {
            weftwork_core::sync::hint::spin_loop();
        }
        if let Some(end) = attempt() {
            return end;
        }
        pauses *= 2;
    }
    false
}

/// A model does not spin: it visits what a spin would find anyway.
#[cfg(weftwork_loom)]
pub(crate) fn spin(_: impl FnMut() -> Option<bool>) -> bool {
    false
}

/// Whether this process may run on more than one processor.
#[cfg(not(weftwork_loom))]
fn has_processors() -> bool {
    // Outside the models: a fact about the machine, not part of any protocol.
    use std::sync::atomic::{AtomicUsize, Ordering};
    // Outside the models: as above.
    static PROCESSORS: AtomicUsize = AtomicUsize::new(0);
    // Relaxed: whoever finds nothing asks again.
    match PROCESSORS.load(Ordering::Relaxed) {
        0 => {
            let count = std::thread::available_parallelism().map_or(1, usize::from);
            PROCESSORS.store(count, Ordering::Relaxed);
            count > 1
        }
        count => count > 1,
    }
}
