//! How long an OS thread looks for its outcome before it sleeps.
//!
//! Green threads and futures never spin: the peer may need the very worker they run on. An OS thread
//! spins for about a microsecond, less than a sleep and a wake-up cost; with more threads than
//! processors the peer needs a processor, so it then offers its own a few times. It gives up soon:
//! thousands of threads may be waiting. Measured: `docs/design/channels.md`.

use weftwork_core::sync::{hint, sized, thread};

/// Rounds of looking, between which the processor pauses twice as long each.
const PAUSES: u32 = sized(6, 0) as u32;
/// Rounds of looking, between which others get the processor.
const YIELDS: usize = sized(4, 0);

/// Looks until `done` says so; false: it never did.
#[inline]
pub(crate) fn until(done: impl Fn() -> bool) -> bool {
    for round in 0..PAUSES {
        for _ in 0..1_u32 << round {
            hint::spin_loop();
        }
        if done() {
            return true;
        }
    }
    for _ in 0..YIELDS {
        thread::yield_now();
        if done() {
            return true;
        }
    }
    false
}
