//! Letters from a thread to a green thread through a bare pointer: in order as it stands. With
//! `WEFTWORK_CANARY` in the environment nothing orders the two sides, and ThreadSanitizer must say so:
//! this shows that it sees what happens on green threads, and that no suppression is too wide.

mod parties;

use parties::{Crowd, Ledger, Letter, runtime};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::time::Duration;
use weftwork_testkit::{iters, watchdog};

fn main() {
    let _dog = watchdog(Duration::from_secs(60));
    let (publish, observe) = match std::env::var_os("WEFTWORK_CANARY") {
        None => (Ordering::Release, Ordering::Acquire),
        Some(_) => (Ordering::Relaxed, Ordering::Relaxed),
    };
    let letters = iters(10_000, 1_000, 10) as u64;
    let runtime = runtime();
    let ledger = Ledger::new();
    let slot: Arc<AtomicPtr<Letter>> = Arc::default();
    let mut crowd = Crowd::new(&runtime);
    {
        let (slot, ledger) = (Arc::clone(&slot), ledger.clone());
        crowd.thread(move || {
            for number in 0..letters {
                let letter = Box::into_raw(Box::new(ledger.write(number)));
                while slot
                    .compare_exchange(ptr::null_mut(), letter, publish, Ordering::Relaxed)
                    .is_err()
                {
                    std::thread::yield_now();
                }
                ledger.note_sent(number);
            }
        });
    }
    let reading = ledger.clone();
    crowd.green(move || {
        for _ in 0..letters {
            let letter = loop {
                let letter = slot.swap(ptr::null_mut(), observe);
                if !letter.is_null() {
                    break letter;
                }
                weftwork_sched::checkpoint();
            };
            // SAFETY: the pointer is of a box, and was in the slot once; whoever takes it from there
            // owns it.
            let letter = unsafe { Box::from_raw(letter) };
            reading.note_received(*letter);
        }
    });
    crowd.join();
    ledger.assert_balanced("letters");
}
