//! Locks of other libraries.

use crate::locks::{AsyncLock, Lock, mutex, mutex_on_tokio};
use crate::peers::threads::OsThreads;
use crate::registry::{Bench, Entry};

pub(crate) const ENTRIES: &[Entry] = &[
    Entry::measure(
        Bench::Mutex,
        "parking_lot",
        mutex::<OsThreads, parking_lot::Mutex<u64>>,
    ),
    Entry::measure(
        Bench::Mutex,
        "std",
        mutex::<OsThreads, std::sync::Mutex<u64>>,
    ),
    Entry::measure(
        Bench::Mutex,
        "tokio",
        mutex_on_tokio::<tokio::sync::Mutex<u64>>,
    ),
];

impl Lock for parking_lot::Mutex<u64> {
    fn add_one(&self) {
        *self.lock() += 1;
    }

    fn total(&self) -> u64 {
        *self.lock()
    }
}

impl Lock for std::sync::Mutex<u64> {
    fn add_one(&self) {
        *self.lock().expect("no holder panics") += 1;
    }

    fn total(&self) -> u64 {
        *self.lock().expect("no holder panics")
    }
}

impl AsyncLock for tokio::sync::Mutex<u64> {
    async fn add_one(&self) {
        *self.lock().await += 1;
    }

    async fn total(&self) -> u64 {
        *self.lock().await
    }
}
