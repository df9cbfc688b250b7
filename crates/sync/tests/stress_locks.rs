//! Locks that guard plain memory, taken by parties of every kind, with and without patience.

#[path = "../../csp/tests/parties/mod.rs"]
mod parties;

use parties::{Crowd, poll_for, report, runtime};
use std::cell::UnsafeCell;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use weftwork_sched::Runtime;
use weftwork_sync::{Mutex, OnceLock, RwLock, RwLockWriteGuard, Semaphore};
use weftwork_testkit::{DropCounter, iters, watchdog};

/// Some microseconds, other ones each time.
fn patience(turn: usize) -> Duration {
    Duration::from_micros(turn as u64 * 37 % 64)
}

/// Two numbers that are equal whenever nobody writes.
#[derive(Default)]
struct Pair(u64, u64);

impl Pair {
    fn add(&mut self) {
        assert_eq!(self.0, self.1, "somebody else writes");
        self.0 += 1;
        self.1 += 1;
    }

    fn check(&self) {
        assert_eq!(self.0, self.1, "somebody writes meanwhile");
    }
}

fn a_mutex_lets_one_in(runtime: &Runtime, turns: usize) {
    let start = Instant::now();
    let pair = Arc::new(Mutex::new(Pair::default()));
    let mut crowd = Crowd::new(runtime);
    let with = |work: fn(&Mutex<Pair>, usize)| {
        let pair = Arc::clone(&pair);
        move || (0..turns).for_each(|turn| work(&pair, turn))
    };
    let patient = with(|pair, _| pair.lock().add());
    let hasty = with(|pair, turn| {
        (turn..)
            .find_map(|turn| pair.lock_timeout(patience(turn)).ok())
            .expect("it is free at times")
            .add();
    });
    let trying = with(|pair, _| {
        loop {
            if let Some(mut pair) = pair.try_lock() {
                return pair.add();
            }
            std::thread::yield_now();
        }
    });
    let leaving = with(|pair, turn| {
        (turn..)
            .find_map(|turn| poll_for(pin!(pair.lock_async()), patience(turn)))
            .expect("it is free at times")
            .add();
    });
    crowd.thread(patient.clone());
    crowd.thread(hasty.clone());
    crowd.thread(trying);
    crowd.thread(leaving);
    crowd.green(patient.clone());
    crowd.green(patient);
    crowd.green(hasty);
    let awaited = Arc::clone(&pair);
    crowd.future(async move || {
        for _ in 0..turns {
            awaited.lock_async().await.add();
        }
    });
    crowd.join();
    assert_eq!(pair.lock().0, 8 * turns as u64);
    report("mutex", start);
}

fn a_rwlock_lets_one_writer_in_or_many_readers(runtime: &Runtime, turns: usize) {
    let start = Instant::now();
    let pair = Arc::new(RwLock::new(Pair::default()));
    let mut crowd = Crowd::new(runtime);
    let with = |work: fn(&RwLock<Pair>, usize)| {
        let pair = Arc::clone(&pair);
        move || (0..turns).for_each(|turn| work(&pair, turn))
    };
    let both = with(|pair, turn| {
        pair.write().add();
        pair.read().check();
        if let Ok(pair) = pair.read_timeout(patience(turn)) {
            pair.check();
        }
    });
    let downgrading = with(|pair, turn| {
        let mut pair = (turn..)
            .find_map(|turn| pair.write_timeout(patience(turn)).ok())
            .expect("it is free at times");
        pair.add();
        let written = pair.0;
        let pair = RwLockWriteGuard::downgrade(pair);
        pair.check();
        assert_eq!(pair.0, written, "a writer came in between");
    });
    let leaving = with(|pair, turn| {
        if let Some(pair) = poll_for(pin!(pair.read_async()), patience(turn)) {
            pair.check();
        }
        (turn..)
            .find_map(|turn| poll_for(pin!(pair.write_async()), patience(turn)))
            .expect("it is free at times")
            .add();
    });
    crowd.thread(both.clone());
    crowd.thread(downgrading.clone());
    crowd.thread(leaving);
    crowd.green(both.clone());
    crowd.green(both);
    crowd.green(downgrading);
    let awaited = Arc::clone(&pair);
    crowd.future(async move || {
        for _ in 0..turns {
            awaited.write_async().await.add();
            awaited.read_async().await.check();
        }
    });
    crowd.join();
    assert_eq!(pair.read().0, 7 * turns as u64);
    report("rwlock", start);
}

/// Memory that is guarded by nothing but a semaphore.
#[derive(Default)]
struct Guarded(UnsafeCell<Pair>);

// SAFETY: the pair is changed by who holds all permits and read by who holds one.
unsafe impl Sync for Guarded {}

const PERMITS: usize = 3;

fn a_semaphore_orders_what_its_permits_guard(runtime: &Runtime, turns: usize) {
    let start = Instant::now();
    let shared = Arc::new((Semaphore::new(PERMITS), Guarded::default()));
    let add = |guarded: &Guarded| {
        // SAFETY: the caller holds all permits.
        unsafe { (*guarded.0.get()).add() }
    };
    let check = |guarded: &Guarded| {
        // SAFETY: the caller holds a permit, so nobody holds all.
        unsafe { (*guarded.0.get()).check() }
    };
    let mut crowd = Crowd::new(runtime);
    let patient = {
        let shared = Arc::clone(&shared);
        move || {
            let (semaphore, guarded) = &*shared;
            for turn in 0..turns {
                let all = semaphore.acquire(PERMITS).unwrap();
                add(guarded);
                drop(all);
                if let Ok(one) = semaphore.acquire_timeout(1, patience(turn)) {
                    check(guarded);
                    drop(one);
                }
            }
        }
    };
    let leaving = {
        let shared = Arc::clone(&shared);
        move || {
            let (semaphore, guarded) = &*shared;
            for turn in 0..turns {
                let all = (turn..)
                    .find_map(|turn| {
                        poll_for(pin!(semaphore.acquire_async(PERMITS)), patience(turn))
                    })
                    .expect("they are free at times")
                    .unwrap();
                add(guarded);
                drop(all);
                if let Ok(one) = semaphore.try_acquire(1) {
                    check(guarded);
                    drop(one);
                }
            }
        }
    };
    crowd.thread(patient.clone());
    crowd.thread(leaving);
    crowd.green(patient.clone());
    crowd.green(patient);
    let awaited = Arc::clone(&shared);
    crowd.future(async move || {
        let (semaphore, guarded) = &*awaited;
        for _ in 0..turns {
            let all = semaphore.acquire_async(PERMITS).await.unwrap();
            add(guarded);
            drop(all);
            let one = semaphore.acquire_async(1).await.unwrap();
            check(guarded);
            drop(one);
        }
    });
    crowd.join();
    assert_eq!(shared.0.available_permits(), PERMITS);
    let shared = Arc::into_inner(shared).expect("all parties are through");
    assert_eq!(shared.1.0.into_inner().0, 5 * turns as u64);
    report("semaphore", start);
}

fn a_cell_is_initialised_once_and_seen_whole(runtime: &Runtime, rounds: usize) {
    let start = Instant::now();
    let drops = DropCounter::new();
    for round in 0..rounds {
        let cell = Arc::new(OnceLock::new());
        let mut crowd = Crowd::new(runtime);
        let work = || {
            let (cell, drops) = (Arc::clone(&cell), drops.clone());
            move || {
                let value = cell.get_or_init(|| drops.track(Box::new(round)));
                assert_eq!(***value, round);
            }
        };
        crowd.thread(work());
        crowd.thread(work());
        crowd.green(work());
        crowd.green(work());
        crowd.join();
        drops.assert_live(1);
    }
    drops.assert_none_live();
    assert_eq!(drops.created(), rounds);
    report("once", start);
}

fn main() {
    let _dog = watchdog(Duration::from_secs(120));
    let runtime = runtime();
    let turns = iters(10_000, 5_000, 20);
    a_mutex_lets_one_in(&runtime, turns);
    a_rwlock_lets_one_writer_in_or_many_readers(&runtime, turns);
    a_semaphore_orders_what_its_permits_guard(&runtime, turns);
    a_cell_is_initialised_once_and_seen_whole(&runtime, iters(1_000, 500, 5));
}
