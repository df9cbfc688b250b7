//! Numbers for actors, monitors and timers: unique in the process, never used again.

use std::cell::Cell;
// Outside the models: the numbers are no part of any protocol.
use std::sync::atomic::{AtomicU64, Ordering};

/// How many numbers a thread takes at a time, so that starting an actor shares no cache line.
const BLOCK: u64 = 1 << 10;

/// The next number; the first one is 1.
pub(crate) fn next() -> u64 {
    static NEXT_BLOCK: AtomicU64 = AtomicU64::new(0);
    thread_local! {
        static NEXT: Cell<u64> = const { Cell::new(0) };
    }
    NEXT.with(|next| {
        let mut number = next.get();
        if number.is_multiple_of(BLOCK) {
            // Relaxed: only uniqueness is wanted.
            number = NEXT_BLOCK.fetch_add(1, Ordering::Relaxed) * BLOCK;
        }
        next.set(number + 1);
        number + 1
    })
}

#[cfg(all(test, not(weftwork_loom)))]
mod tests {
    use std::collections::HashSet;
    use weftwork_core::sync::thread;

    #[test]
    fn numbers_of_several_threads_are_distinct() {
        let threads: Vec<_> = (0..4)
            .map(|_| thread::spawn(|| (0..3000).map(|_| super::next()).collect::<Vec<_>>()))
            .collect();
        let mut seen = HashSet::new();
        for thread in threads {
            for number in thread.join().unwrap() {
                assert!(number != 0 && seen.insert(number));
            }
        }
    }
}
