//! The order in which a select looks at its arms: a shuffle, so that none is preferred.

#[cfg(not(weftwork_loom))]
use std::cell::Cell;

#[cfg(not(weftwork_loom))]
thread_local! {
    /// The state of a xorshift generator (Marsaglia 2003).
    static RANDOM: Cell<u32> = const { Cell::new(0x9E37_79B9) };
}

/// A number below `limit`.
#[cfg(not(weftwork_loom))]
fn below(limit: usize) -> usize {
    // During a thread's exit there may be no state any more: then the order is always the same.
    RANDOM
        .try_with(|random| {
            let mut x = random.get();
            x ^= x << 13;
            x ^= x >> 17;
            x ^= x << 5;
            random.set(x);
            ((u64::from(x) * limit as u64) >> 32) as usize
        })
        .unwrap_or(0)
}

/// A model visits every interleaving of one order.
#[cfg(weftwork_loom)]
fn below(_: usize) -> usize {
    0
}

/// Shuffles, as Fisher and Yates do.
#[inline]
pub(super) fn shuffle<T>(items: &mut [T]) {
    for last in (1..items.len()).rev() {
        items.swap(last, below(last + 1));
    }
}
