//! Collections under threads: nothing is lost, nothing comes twice, and what must hold always holds.

#![cfg(not(weftwork_loom))]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;
use weftwork_stm::{
    Stm, TArray, TBQueue, TChan, TMap, TPriorityQueue, TQueue, TRwLock, TSem, TSet, Tx, atomically,
    snapshot,
};
use weftwork_testkit::{iters, watchdog};

const LIMIT: Duration = Duration::from_secs(240);
const PRODUCERS: u64 = 3;
const CONSUMERS: u64 = 2;

fn number(producer: u64, nth: u64) -> u64 {
    producer << 32 | nth
}

/// Each producer pushes numbers of its own, the consumers pop as many; returns what each has got, in order.
fn produce_and_consume(
    each: u64,
    push: impl Fn(&Tx, u64) -> Stm<()> + Sync,
    pop: impl Fn(&Tx) -> Stm<u64> + Sync,
) -> Vec<Vec<u64>> {
    let share = PRODUCERS * each / CONSUMERS;
    thread::scope(|scope| {
        for producer in 0..PRODUCERS {
            let push = &push;
            scope.spawn(move || {
                (0..each).for_each(|n| atomically(|tx| push(tx, number(producer, n))));
            });
        }
        let consumers: Vec<_> = (0..CONSUMERS)
            .map(|_| scope.spawn(|| (0..share).map(|_| atomically(&pop)).collect()))
            .collect();
        consumers.into_iter().map(|c| c.join().unwrap()).collect()
    })
}

fn assert_each_once(each: u64, got: &[Vec<u64>]) {
    let mut all: Vec<u64> = got.concat();
    all.sort_unstable();
    let sent = (0..PRODUCERS).flat_map(|producer| (0..each).map(move |n| number(producer, n)));
    assert!(all.into_iter().eq(sent), "each number comes exactly once");
}

/// One consumer sees the numbers of one producer in order.
fn assert_in_order(got: &[Vec<u64>]) {
    for got in got {
        let mut last = BTreeMap::new();
        for number in got {
            let before = last.insert(number >> 32, *number);
            assert!(before < Some(*number), "{before:?} came before {number}");
        }
    }
}

fn each() -> u64 {
    iters(10_000, 4_000, 100) as u64
}

#[test]
fn a_queue_gives_each_value_once_and_those_of_one_thread_in_order() {
    let _dog = watchdog(LIMIT);
    let queue = TQueue::new();
    let push = |tx: &Tx, n| queue.push(tx, n);
    let got = produce_and_consume(each(), push, |tx| queue.pop(tx));
    assert_each_once(each(), &got);
    assert_in_order(&got);
    assert!(atomically(|tx| queue.is_empty(tx)));
}

#[test]
fn a_bounded_queue_gives_each_value_once_and_those_of_one_thread_in_order() {
    let _dog = watchdog(LIMIT);
    for capacity in [1, 2, 7, 64] {
        let each = each() / 4;
        let queue = TBQueue::new(capacity);
        let push = |tx: &Tx, n| queue.push(tx, n);
        let got = produce_and_consume(each, push, |tx| queue.pop(tx));
        assert_each_once(each, &got);
        assert_in_order(&got);
        assert!(atomically(|tx| queue.is_empty(tx)));
    }
}

#[test]
fn handles_of_one_place_in_a_channel_share_its_values() {
    let _dog = watchdog(LIMIT);
    let channel = TChan::new();
    let push = |tx: &Tx, n| channel.push(tx, n);
    let got = produce_and_consume(each(), push, |tx| channel.pop(tx));
    assert_each_once(each(), &got);
    assert_in_order(&got);
}

#[test]
fn each_of_several_channels_sees_each_value_in_the_same_order() {
    let _dog = watchdog(LIMIT);
    let each = each() / 2;
    let source = TChan::new();
    let channels = [(); 3].map(|()| atomically(|tx| source.duplicate(tx)));
    let got: Vec<Vec<u64>> = thread::scope(|scope| {
        let readers: Vec<_> = channels
            .iter()
            .map(|channel| {
                scope.spawn(move || {
                    let pop = |_| atomically(|tx| channel.pop(tx));
                    (0..PRODUCERS * each).map(pop).collect()
                })
            })
            .collect();
        for producer in 0..PRODUCERS {
            let source = &source;
            scope.spawn(move || {
                (0..each).for_each(|n| atomically(|tx| source.push(tx, number(producer, n))));
            });
        }
        readers.into_iter().map(|r| r.join().unwrap()).collect()
    });
    assert_each_once(each, &got[..1]);
    assert_in_order(&got);
    assert!(got.iter().all(|seen| *seen == got[0]));
}

#[test]
fn a_priority_queue_gives_each_value_once() {
    let _dog = watchdog(LIMIT);
    let queue = TPriorityQueue::new();
    let push = |tx: &Tx, n| queue.push(tx, n);
    let got = produce_and_consume(each(), push, |tx| queue.pop(tx));
    assert_each_once(each(), &got);
}

#[test]
fn two_queues_are_changed_at_once_or_not_at_all() {
    let _dog = watchdog(LIMIT);
    const VALUES: usize = 40;
    let queues = [TQueue::from_iter(0..VALUES), TQueue::new()];
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let movers = [0, 1].map(|from| {
            let queues = &queues;
            scope.spawn(move || {
                for _ in 0..iters(20_000, 5_000, 100) {
                    atomically(|tx| match queues[from].try_pop(tx)? {
                        Some(value) => queues[1 - from].push(tx, value),
                        None => Ok(()),
                    });
                }
            })
        });
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let seen: BTreeSet<usize> = snapshot(|s| {
                    queues
                        .iter()
                        .flat_map(|queue| queue.view(s).copied())
                        .collect()
                });
                assert_eq!(
                    seen.len(),
                    VALUES,
                    "a snapshot sees each value in one of the two"
                );
                let len = atomically(|tx| Ok(queues[0].len(tx)? + queues[1].len(tx)?));
                assert_eq!(len, VALUES);
            }
        });
        for mover in movers {
            mover.join().unwrap();
        }
        is_over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn swaps_leave_an_array_a_permutation() {
    let _dog = watchdog(LIMIT);
    const LEN: usize = 20;
    let array = TArray::from_fn(LEN, |n| n);
    thread::scope(|scope| {
        for seed in 1..4_usize {
            let array = &array;
            scope.spawn(move || {
                for n in 0..iters(20_000, 5_000, 100) {
                    let (left, right) = (n * seed % LEN, (n / 3 + seed) % LEN);
                    atomically(|tx| array.swap(tx, left, right));
                    if n % 64 == 0 {
                        let mut seen: Vec<usize> = snapshot(|s| array.view(s).copied().collect());
                        seen.sort_unstable();
                        assert!(seen.into_iter().eq(0..LEN));
                    }
                }
            });
        }
    });
}

#[test]
fn a_semaphore_gives_out_no_more_than_it_has_and_wakes_whoever_can_go_on() {
    let _dog = watchdog(LIMIT);
    const PERMITS: usize = 5;
    let (sem, in_use) = (TSem::new(PERMITS), AtomicUsize::new(0));
    thread::scope(|scope| {
        for wanted in 1..=PERMITS {
            let (sem, in_use) = (&sem, &in_use);
            scope.spawn(move || {
                for _ in 0..iters(3_000, 1_000, 30) {
                    atomically(|tx| sem.acquire(tx, wanted));
                    let before = in_use.fetch_add(wanted, Ordering::SeqCst);
                    assert!(before + wanted <= PERMITS, "{before} and {wanted} at once");
                    in_use.fetch_sub(wanted, Ordering::SeqCst);
                    atomically(|tx| sem.release(tx, wanted));
                }
            });
        }
    });
    assert_eq!(sem.available(), PERMITS);
}

#[test]
fn a_lock_lets_in_one_writer_or_several_readers() {
    let _dog = watchdog(LIMIT);
    let (lock, pair) = (TRwLock::new(), [AtomicU64::new(0), AtomicU64::new(0)]);
    let rounds = iters(5_000, 1_000, 30) as u64;
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..rounds {
                    // Two additions that are not atomic: a second writer would lose some.
                    lock.exclusively(|| {
                        for half in &pair {
                            half.store(half.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                        }
                    });
                }
            });
            scope.spawn(|| {
                for _ in 0..rounds {
                    let seen = lock.shared(|| pair.each_ref().map(|n| n.load(Ordering::Relaxed)));
                    assert_eq!(seen[0], seen[1], "a reader sees no writer at work");
                }
            });
        }
    });
    assert_eq!(pair.map(AtomicU64::into_inner), [2 * rounds; 2]);
}

#[test]
fn inserts_of_different_keys_all_arrive_while_the_map_grows() {
    let _dog = watchdog(LIMIT);
    let map = TMap::new();
    let each = iters(20_000, 10_000, 300) as u64;
    thread::scope(|scope| {
        for thread in 0..4 {
            let map = &map;
            scope.spawn(move || {
                for n in 0..each {
                    let key = number(thread, n);
                    assert_eq!(atomically(|tx| map.insert(tx, key, n)), None);
                    // Look for one of another thread, whether or not it is there yet.
                    let other = number((thread + 1) % 4, n);
                    let seen = atomically(|tx| Ok(map.get(tx, &other)?.copied()));
                    assert!(seen.is_none_or(|value| value == n));
                    if n % 3 == 0 {
                        assert_eq!(atomically(|tx| map.remove(tx, &key)), Some(n));
                    }
                }
            });
        }
    });
    let left = |thread| {
        (0..each)
            .filter(|n| n % 3 != 0)
            .map(move |n| (number(thread, n), n))
    };
    let expected: BTreeMap<u64, u64> = (0..4).flat_map(left).collect();
    let seen: BTreeMap<u64, u64> =
        snapshot(|s| map.view(s).iter().map(|(k, n)| (*k, *n)).collect());
    assert_eq!(atomically(|tx| map.len(tx)), expected.len());
    assert!(seen == expected);
}

#[test]
fn whoever_looks_at_all_of_a_map_sees_every_transfer_whole_while_it_grows() {
    let _dog = watchdog(LIMIT);
    const TOKENS: u64 = 1_000;
    let map = TMap::from([(0, TOKENS)]);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let movers: Vec<_> = (1..=2_u64)
            .map(|seed| {
                let map = &map;
                scope.spawn(move || {
                    let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                    for _ in 0..iters(20_000, 5_000, 100) {
                        random ^= random << 13;
                        random ^= random >> 7;
                        random ^= random << 17;
                        let (from, to) = (random % 3_000, (random >> 32) % 3_000);
                        atomically(|tx| {
                            let Some(tokens) = map.remove(tx, &from)? else {
                                return Ok(());
                            };
                            // Some stay, if there are several.
                            let moved = tokens.div_ceil(2);
                            if tokens > moved {
                                map.insert(tx, from, tokens - moved)?;
                            }
                            map.alter(tx, to, |there| Some(there.unwrap_or(&0) + moved))
                        });
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                snapshot(|s| {
                    let view = map.view(s);
                    assert_eq!(view.iter().map(|(_, tokens)| tokens).sum::<u64>(), TOKENS);
                    assert_eq!(view.iter().count(), view.len());
                });
            }
        });
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let (sum, count, len) = atomically(|tx| {
                    let tokens = map.iter(tx).map(|entry| Ok(*entry?.1));
                    let tokens = tokens.collect::<Stm<Vec<u64>>>()?;
                    Ok((tokens.iter().sum::<u64>(), tokens.len(), map.len(tx)?))
                });
                assert_eq!((sum, count), (TOKENS, len));
            }
        });
        movers.into_iter().for_each(|mover| mover.join().unwrap());
        is_over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn an_element_is_in_one_of_two_sets_at_all_times() {
    let _dog = watchdog(LIMIT);
    const ELEMENTS: usize = 50;
    let sets = [TSet::from_iter(0..ELEMENTS), TSet::<usize>::new()];
    thread::scope(|scope| {
        for from in [0, 1] {
            let sets = &sets;
            scope.spawn(move || {
                for n in 0..iters(10_000, 3_000, 100) {
                    let element = n * 7 % ELEMENTS;
                    atomically(|tx| {
                        if sets[from].remove(tx, &element)? {
                            assert!(sets[1 - from].insert(tx, element)?);
                        }
                        Ok(())
                    });
                }
            });
            scope.spawn(move || {
                for n in 0..iters(3_000, 1_000, 30) {
                    let element = n * 3 % ELEMENTS;
                    let is_in = atomically(|tx| {
                        Ok([
                            sets[0].contains(tx, &element)?,
                            sets[1].contains(tx, &element)?,
                        ])
                    });
                    assert!(is_in[0] != is_in[1]);
                    let len = snapshot(|s| sets[0].view(s).len() + sets[1].view(s).len());
                    assert_eq!(len, ELEMENTS);
                }
            });
        }
    });
}
