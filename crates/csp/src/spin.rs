//! How long an OS thread looks for its outcome before it sleeps.
//!
//! Green threads and futures never spin: the peer may need the very worker they run on. An OS thread
//! looks for a moment, less than a sleep and a wake-up cost. The peer may need a processor for its part,
//! so after a few pauses the thread offers its own, which costs little if nobody wants it. It gives up
//! after some microseconds: thousands of threads may be waiting. Measured: `docs/design/channels.md`.

use weftwork_core::sync::{hint, sized, thread};

/// Rounds of looking, between which the processor pauses twice as long each.
const PAUSES: u32 = sized(2, 0) as u32;
/// Rounds of looking, between which others get the processor.
const YIELDS: usize = sized(32, 0);

/// Looks until `done` says so; false: it never did.
#[inline]
#[cfg_attr(
    weftwork_loom,
    expect(clippy::reversed_empty_ranges, reason = "a model does not spin")
)]
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
