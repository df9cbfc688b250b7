//! Histories of the mutex and the semaphore under stress, held against their sequential meaning.

mod support;

use std::time::Duration;
use support::runtime;
use weftwork_sync::{Mutex, Semaphore};
use weftwork_testkit::{Log, Model, Recorder, check, iters, watchdog};

/// A counter: each operation answers the value before.
struct Counter;

impl Model for Counter {
    type State = u64;
    type Op = ();
    type Ret = u64;

    fn initial(&self) -> u64 {
        0
    }

    fn step(&self, state: &u64, (): &(), ret: Option<&u64>) -> Option<u64> {
        ret.is_none_or(|ret| ret == state).then_some(state + 1)
    }
}

#[test]
fn a_counter_under_a_mutex_is_linearizable() {
    let _dog = watchdog(Duration::from_secs(120));
    for round in 0..iters(200, 30, 3) {
        let counter = Mutex::new(0);
        let recorder = Recorder::new();
        let add = |log: &mut Log<(), u64>| {
            for _ in 0..5 {
                log.record((), || {
                    let mut counter = counter.lock();
                    let before = *counter;
                    // Every other round a holder is switched away.
                    if round % 2 == 0 {
                        std::thread::yield_now();
                    }
                    *counter = before + 1;
                    before
                });
            }
        };
        std::thread::scope(|s| {
            for _ in 0..3 {
                let mut log = recorder.log();
                let add = &add;
                s.spawn(move || add(&mut log));
            }
            let logs = [recorder.log(), recorder.log()];
            runtime().run(|| {
                weftwork_sched::scope(|s| {
                    for mut log in logs {
                        let add = &add;
                        s.spawn(move || add(&mut log));
                    }
                });
            });
        });
        check(&Counter, &recorder.finish()).unwrap();
    }
}

/// What is asked of a semaphore with two permits.
#[derive(Debug, Clone)]
enum Ask {
    /// Take so many, waiting for them.
    Acquire(usize),
    /// Take one if it is there.
    Try,
    /// Give so many back.
    Give(usize),
}

struct Permits;

impl Model for Permits {
    type State = usize;
    type Op = Ask;
    type Ret = bool;

    fn initial(&self) -> usize {
        2
    }

    fn step(&self, free: &usize, op: &Ask, ret: Option<&bool>) -> Option<usize> {
        match op {
            Ask::Acquire(n) => free.checked_sub(*n),
            // It may fail though one is free: for somebody that waits.
            Ask::Try if ret == Some(&false) => Some(*free),
            Ask::Try => free.checked_sub(1),
            Ask::Give(n) => Some(free + n),
        }
    }
}

#[test]
fn a_semaphore_is_linearizable() {
    let _dog = watchdog(Duration::from_secs(120));
    for _ in 0..iters(200, 30, 3) {
        let semaphore = Semaphore::new(2);
        let recorder = Recorder::new();
        std::thread::scope(|s| {
            for party in 0..4 {
                let mut log = recorder.log();
                let semaphore = &semaphore;
                s.spawn(move || {
                    for turn in 0..4 {
                        let n = (party + turn) % 2 + 1;
                        let permits = if party == 3 {
                            let mut taken = None;
                            log.record(Ask::Try, || {
                                taken = semaphore.try_acquire(1).ok();
                                taken.is_some()
                            });
                            let Some(permit) = taken else { continue };
                            permit
                        } else {
                            let mut taken = None;
                            log.record(Ask::Acquire(n), || {
                                taken = Some(semaphore.acquire(n).unwrap());
                                true
                            });
                            taken.unwrap()
                        };
                        std::thread::yield_now();
                        log.record(Ask::Give(permits.count()), || {
                            drop(permits);
                            true
                        });
                    }
                });
            }
        });
        check(&Permits, &recorder.finish()).unwrap();
        assert_eq!(semaphore.available_permits(), 2);
    }
}
