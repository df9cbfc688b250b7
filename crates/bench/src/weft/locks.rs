//! Our lock: of green threads (`weftwork`), of threads of the operating system without a runtime
//! (`weftwork-threads`), and awaited by tasks on tokio (`weftwork-tokio`).

use super::Mutex;
use super::green::GreenThreads;
use crate::locks::{AsyncLock, Lock, mutex, mutex_on_tokio};
use crate::peers::threads::OsThreads;
use crate::registry::{Bench, Entry};

pub(crate) const ENTRIES: &[Entry] = &[
    Entry::measure(Bench::Mutex, "weftwork", mutex::<GreenThreads, Mutex<u64>>),
    Entry::measure(
        Bench::Mutex,
        "weftwork-threads",
        mutex::<OsThreads, Mutex<u64>>,
    ),
    Entry::measure(Bench::Mutex, "weftwork-tokio", mutex_on_tokio::<Mutex<u64>>),
];

impl Lock for Mutex<u64> {
    fn add_one(&self) {
        *self.lock() += 1;
    }

    fn total(&self) -> u64 {
        *self.lock()
    }
}

impl AsyncLock for Mutex<u64> {
    async fn add_one(&self) {
        *self.lock_async().await += 1;
    }

    async fn total(&self) -> u64 {
        *self.lock_async().await
    }
}
