//! Locks in the place of transactions: one for each number, taken in the order of the numbers; one
//! for all of them; one for each part of a map. And a wake-up by `park` and `unpark`.

use std::collections::HashMap;
use std::thread;

use parking_lot::Mutex;

use crate::peers::threads::OsThreads;
use crate::registry::{Bench, Entry};
use crate::transactions::map::{Map, map};
use crate::transactions::wake::{Parked, Unpark, wake};
use crate::transactions::{Numbers, entries};

pub(crate) const ORDERED: &[Entry] = &entries::<OsThreads, Vec<Mutex<u64>>>("ordered-locks");

pub(crate) const ONE: &[Entry] = &entries::<OsThreads, Mutex<Vec<u64>>>("one-lock");

pub(crate) const MAPS_AND_WAKES: &[Entry] = &[
    Entry::measure(Bench::StmMap, "sharded-locks", map::<OsThreads, Sharded>),
    Entry::measure(
        Bench::StmMap,
        "one-lock",
        map::<OsThreads, Mutex<HashMap<u64, u64>>>,
    ),
    Entry::measure(
        Bench::StmWake,
        "std",
        wake::<OsThreads, Parked<thread::Thread>>,
    ),
];

impl Numbers for Vec<Mutex<u64>> {
    fn new(values: Vec<u64>) -> Self {
        values.into_iter().map(Mutex::new).collect()
    }

    fn read(&self, index: usize) -> u64 {
        *self[index].lock()
    }

    fn add_one(&self, index: usize) {
        *self[index].lock() += 1;
    }

    fn transfer(&self, from: usize, to: usize) {
        let (mut left, mut there);
        if from < to {
            left = self[from].lock();
            there = self[to].lock();
        } else {
            there = self[to].lock();
            left = self[from].lock();
        }
        if *left > 0 {
            *left -= 1;
            *there += 1;
        }
    }

    fn sum(&self) -> u64 {
        // All at one moment: no lock is released before the last is taken.
        let held: Vec<_> = self.iter().map(Mutex::lock).collect();
        held.iter().map(|number| **number).sum()
    }
}

impl Numbers for Mutex<Vec<u64>> {
    fn new(values: Vec<u64>) -> Self {
        Mutex::new(values)
    }

    fn read(&self, index: usize) -> u64 {
        self.lock()[index]
    }

    fn add_one(&self, index: usize) {
        self.lock()[index] += 1;
    }

    fn transfer(&self, from: usize, to: usize) {
        let mut numbers = self.lock();
        if numbers[from] > 0 {
            numbers[from] -= 1;
            numbers[to] += 1;
        }
    }

    fn sum(&self) -> u64 {
        self.lock().iter().sum()
    }
}

/// So many parts of a map.
const SHARDS: u64 = 64;

/// A map in parts, each under a lock of its own.
struct Sharded(Vec<Mutex<HashMap<u64, u64>>>);

impl Sharded {
    /// Returns the part a key belongs to. The keys are drawn at random: they need no hash for that.
    fn shard(&self, key: u64) -> &Mutex<HashMap<u64, u64>> {
        &self.0[(key % SHARDS) as usize]
    }
}

impl Map for Sharded {
    fn new() -> Self {
        Sharded((0..SHARDS).map(|_| Mutex::default()).collect())
    }

    fn get(&self, key: u64) -> Option<u64> {
        Map::get(self.shard(key), key)
    }

    fn insert(&self, key: u64, value: u64) -> Option<u64> {
        Map::insert(self.shard(key), key, value)
    }

    fn remove(&self, key: u64) -> Option<u64> {
        Map::remove(self.shard(key), key)
    }

    fn len(&self) -> u64 {
        self.0.iter().map(Map::len).sum()
    }
}

impl Map for Mutex<HashMap<u64, u64>> {
    fn new() -> Self {
        Mutex::default()
    }

    fn get(&self, key: u64) -> Option<u64> {
        self.lock().get(&key).copied()
    }

    fn insert(&self, key: u64, value: u64) -> Option<u64> {
        self.lock().insert(key, value)
    }

    fn remove(&self, key: u64) -> Option<u64> {
        self.lock().remove(&key)
    }

    fn len(&self) -> u64 {
        self.lock().len() as u64
    }
}

impl Unpark for thread::Thread {
    fn current() -> Self {
        thread::current()
    }

    fn park() {
        thread::park();
    }

    fn unpark(&self) {
        thread::Thread::unpark(self);
    }
}
