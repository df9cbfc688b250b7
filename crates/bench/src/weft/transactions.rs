//! Our transactions: of green threads (`weftwork`) and of threads of the operating system without a
//! runtime (`weftwork-threads`); where all is only read, also by snapshots (`weftwork-snapshot`);
//! where there is something to wait for, also awaited by tasks on tokio (`weftwork-tokio`). Beside
//! them, a wake-up of green threads without a transaction (`weftwork-park`).

use super::green::GreenThreads;
use super::{TMap, TVar, Thread, atomically, atomically_async, current, park, snapshot, stats};
use crate::peers::threads::OsThreads;
use crate::registry::{Bench, Entry};
use crate::transactions::contention::long_reader;
use crate::transactions::map::{Map, map};
use crate::transactions::numbers::read;
use crate::transactions::wake::{AsyncBell, Bell, Parked, Unpark, wake, wake_on_tokio};
use crate::transactions::{Numbers, entries};

pub(crate) const GREEN: &[Entry] = &entries::<GreenThreads, Vec<TVar<u64>>>("weftwork");

pub(crate) const THREADS: &[Entry] = &entries::<OsThreads, Vec<TVar<u64>>>("weftwork-threads");

pub(crate) const MORE: &[Entry] = &[
    Entry::measure(
        Bench::StmRead,
        "weftwork-snapshot",
        read::<GreenThreads, Snapshots>,
    ),
    Entry::measure(
        Bench::StmLongReader,
        "weftwork-snapshot",
        long_reader::<GreenThreads, Snapshots>,
    ),
    Entry::measure(Bench::StmWake, "weftwork", wake::<GreenThreads, TVar<u64>>),
    Entry::measure(
        Bench::StmWake,
        "weftwork-threads",
        wake::<OsThreads, TVar<u64>>,
    ),
    Entry::measure(Bench::StmWake, "weftwork-tokio", wake_on_tokio::<TVar<u64>>),
    Entry::measure(
        Bench::StmWake,
        "weftwork-park",
        wake::<GreenThreads, Parked<Thread>>,
    ),
    Entry::measure(
        Bench::StmMap,
        "weftwork",
        map::<GreenThreads, TMap<u64, u64>>,
    ),
    Entry::measure(
        Bench::StmMap,
        "weftwork-threads",
        map::<OsThreads, TMap<u64, u64>>,
    ),
];

impl Numbers for Vec<TVar<u64>> {
    fn new(values: Vec<u64>) -> Self {
        values.into_iter().map(TVar::new).collect()
    }

    fn read(&self, index: usize) -> u64 {
        atomically(|tx| self[index].get(tx).copied())
    }

    fn add_one(&self, index: usize) {
        atomically(|tx| self[index].update(tx, |value| value + 1));
    }

    fn transfer(&self, from: usize, to: usize) {
        atomically(|tx| {
            let left = *self[from].get(tx)?;
            let there = *self[to].get(tx)?;
            if left > 0 {
                self[from].set(tx, left - 1)?;
                self[to].set(tx, there + 1)?;
            }
            Ok(())
        });
    }

    fn sum(&self) -> u64 {
        atomically(|tx| {
            let mut sum = 0;
            for number in self {
                sum += number.get(tx)?;
            }
            Ok(sum)
        })
    }

    fn audit(&self) -> u64 {
        snapshot(|moment| self.iter().map(|number| number.view(moment)).sum())
    }

    fn backlog() -> Option<u64> {
        Some(stats().backlog.nodes as u64)
    }
}

/// The same, but all numbers are read by a snapshot wherever they are.
struct Snapshots(Vec<TVar<u64>>);

impl Numbers for Snapshots {
    fn new(values: Vec<u64>) -> Self {
        Snapshots(Numbers::new(values))
    }

    fn read(&self, index: usize) -> u64 {
        self.0.read(index)
    }

    fn add_one(&self, index: usize) {
        self.0.add_one(index);
    }

    fn transfer(&self, from: usize, to: usize) {
        self.0.transfer(from, to);
    }

    fn sum(&self) -> u64 {
        self.0.audit()
    }
}

impl Bell for TVar<u64> {
    fn new() -> Self {
        TVar::new(0)
    }

    fn ring(&self, round: u64) {
        atomically(|tx| self.set(tx, round));
    }

    fn wait(&self, round: u64, looked: impl Fn()) {
        atomically(|tx| {
            looked();
            tx.check(*self.get(tx)? >= round)
        });
    }
}

impl AsyncBell for TVar<u64> {
    fn new() -> Self {
        TVar::new(0)
    }

    async fn ring(&self, round: u64) {
        atomically_async(|tx| self.set(tx, round)).await;
    }

    async fn wait(&self, round: u64, looked: impl Fn() + Send + Sync) {
        atomically_async(|tx| {
            looked();
            tx.check(*self.get(tx)? >= round)
        })
        .await;
    }
}

impl Map for TMap<u64, u64> {
    fn new() -> Self {
        TMap::new()
    }

    fn get(&self, key: u64) -> Option<u64> {
        atomically(|tx| Ok(TMap::get(self, tx, &key)?.copied()))
    }

    fn insert(&self, key: u64, value: u64) -> Option<u64> {
        atomically(|tx| TMap::insert(self, tx, key, value))
    }

    fn remove(&self, key: u64) -> Option<u64> {
        atomically(|tx| TMap::remove(self, tx, &key))
    }

    fn len(&self) -> u64 {
        atomically(|tx| TMap::len(self, tx)) as u64
    }
}

impl Unpark for Thread {
    fn current() -> Self {
        current()
    }

    fn park() {
        park();
    }

    fn unpark(&self) {
        Thread::unpark(self);
    }
}
