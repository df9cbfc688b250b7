//! The transactional memory `async-stm`, whose transactions are awaited, and what a wake-up between
//! tasks on tokio takes without it.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use async_stm::{TVar, atomically, guard};
use tokio::sync::Notify;

use crate::peers::threads::OsThreads;
use crate::registry::{Bench, Entry};
use crate::transactions::wake::{AsyncBell, wake_on_tokio};
use crate::transactions::{Numbers, entries};

pub(crate) const ENTRIES: &[Entry] = &entries::<OsThreads, Vec<TVar<u64>>>("async-stm");

pub(crate) const WAKES: &[Entry] = &[
    Entry::measure(Bench::StmWake, "async-stm", wake_on_tokio::<TVar<u64>>),
    Entry::measure(Bench::StmWake, "tokio", wake_on_tokio::<Notified>),
];

/// Runs a transaction that does not wait for a condition: its first poll completes it, however
/// often it has to start over. A thread without an executor is the quickest place for it.
fn at_once<T>(transaction: impl Future<Output = T>) -> T {
    match pin!(transaction).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("a transaction without `retry` does not wait"),
    }
}

impl Numbers for Vec<TVar<u64>> {
    fn new(values: Vec<u64>) -> Self {
        values.into_iter().map(TVar::new).collect()
    }

    fn read(&self, index: usize) -> u64 {
        at_once(atomically(|| Ok(*self[index].read()?)))
    }

    fn add_one(&self, index: usize) {
        at_once(atomically(|| {
            let value = *self[index].read()?;
            self[index].write(value + 1)
        }));
    }

    fn transfer(&self, from: usize, to: usize) {
        at_once(atomically(|| {
            let left = *self[from].read()?;
            let there = *self[to].read()?;
            if left > 0 {
                self[from].write(left - 1)?;
                self[to].write(there + 1)?;
            }
            Ok(())
        }));
    }

    fn sum(&self) -> u64 {
        at_once(atomically(|| {
            let mut sum = 0;
            for number in self {
                sum += *number.read()?;
            }
            Ok(sum)
        }))
    }
}

impl AsyncBell for TVar<u64> {
    fn new() -> Self {
        TVar::new(0)
    }

    async fn ring(&self, round: u64) {
        atomically(|| self.write(round)).await;
    }

    async fn wait(&self, round: u64, looked: impl Fn() + Send + Sync) {
        atomically(|| {
            looked();
            guard(*self.read()? >= round)
        })
        .await;
    }
}

/// A number and a notification, for one task that waits.
struct Notified {
    number: AtomicU64,
    changed: Notify,
}

impl AsyncBell for Notified {
    fn new() -> Self {
        Notified {
            number: AtomicU64::new(0),
            changed: Notify::new(),
        }
    }

    async fn ring(&self, round: u64) {
        self.number.store(round, Ordering::SeqCst);
        self.changed.notify_one();
    }

    async fn wait(&self, round: u64, looked: impl Fn() + Send + Sync) {
        loop {
            looked();
            if self.number.load(Ordering::SeqCst) >= round {
                return;
            }
            // A notification that came before is not lost: it completes this at once.
            self.changed.notified().await;
        }
    }
}
