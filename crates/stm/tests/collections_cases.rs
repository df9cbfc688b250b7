//! What other transactional memories got wrong in their collections, or test for, as claims of ours. After the
//! tests of GHC's stm and its issues, of rust-stm's queues and semaphores, and of ScalaSTM's maps.

#![cfg(not(weftwork_loom))]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;
use weftwork_stm::{
    Held, TBQueue, TBroadcast, TChan, TMVar, TMap, TPriorityQueue, TQueue, TRwLock, TSem, TVar, Tx,
    abort, atomically, snapshot, try_atomically,
};
use weftwork_testkit::watchdog;

const LIMIT: Duration = Duration::from_secs(60);

/// How often the body of a transaction runs, in the first run of which another thread does `meanwhile`.
fn attempts_while<R: Send>(
    body: impl Fn(&Tx) -> weftwork_stm::Stm<R>,
    meanwhile: impl Fn() + Send + Sync,
) -> usize {
    let attempts = Cell::new(0);
    atomically(|tx| {
        let result = body(tx)?;
        attempts.set(attempts.get() + 1);
        if attempts.get() == 1 {
            thread::scope(|scope| drop(scope.spawn(&meanwhile)));
        }
        Ok(result)
    });
    attempts.get()
}

// Bounded queues.

#[test]
fn a_bounded_queue_has_all_its_room_again_when_it_was_drained() {
    let _dog = watchdog(LIMIT);
    for capacity in 1..5 {
        let queue = TBQueue::new(capacity);
        for _ in 0..10 {
            atomically(|tx| (0..capacity).try_for_each(|n| queue.push(tx, n)));
            assert!(atomically(|tx| queue.is_full(tx)));
            assert!(atomically(|tx| queue.drain(tx)).into_iter().eq(0..capacity));
            assert_eq!(atomically(|tx| queue.len(tx)), 0);
        }
    }
}

#[test]
fn a_bounded_queue_is_drained_in_order_from_wherever_its_ring_begins() {
    let _dog = watchdog(LIMIT);
    const CAPACITY: usize = 4;
    for begin in 0..2 * CAPACITY {
        for len in 0..=CAPACITY {
            let queue = TBQueue::new(CAPACITY);
            for n in 0..begin {
                atomically(|tx| queue.push(tx, n));
                atomically(|tx| queue.pop(tx));
            }
            atomically(|tx| (0..len).try_for_each(|n| queue.push(tx, n)));
            assert!(atomically(|tx| queue.drain(tx)).into_iter().eq(0..len));
            assert!(atomically(|tx| queue.drain(tx)).is_empty());
            atomically(|tx| (0..CAPACITY).try_for_each(|n| queue.push(tx, n)));
            assert!(atomically(|tx| queue.try_push(tx, 9)).is_err());
        }
    }
}

#[test]
fn a_bounded_queue_without_capacity_never_takes_or_gives_a_value() {
    let _dog = watchdog(LIMIT);
    let queue = TBQueue::new(0);
    assert_eq!(queue.capacity(), 0);
    assert!(atomically(|tx| queue.try_push(tx, 1)).is_err());
    assert_eq!(atomically(|tx| queue.try_pop(tx)), None);
    assert!(atomically(|tx| Ok(queue.try_peek(tx)?.is_none())));
    assert_eq!(atomically(|tx| queue.drain(tx)), []);
    assert_eq!(atomically(|tx| queue.len(tx)), 0);
    assert!(atomically(|tx| Ok(
        queue.is_empty(tx)? && queue.is_full(tx)?
    )));
    let pushed = |tx: &Tx| tx.optionally(|tx| queue.push(tx, 1));
    assert_eq!(atomically(pushed), None, "a push would wait");
    let put_back = |tx: &Tx| tx.optionally(|tx| queue.push_front(tx, 1));
    assert_eq!(atomically(put_back), None);
    assert_eq!(atomically(|tx| tx.optionally(|tx| queue.pop(tx))), None);
    assert_eq!(snapshot(|s| queue.view(s).count()), 0);
}

#[test]
fn a_push_to_a_full_queue_waits_until_there_is_room() {
    let _dog = watchdog(LIMIT);
    let queue = TBQueue::new(1);
    atomically(|tx| queue.push(tx, 1));
    thread::scope(|scope| {
        scope.spawn(|| atomically(|tx| queue.push(tx, 2)));
        assert_eq!(atomically(|tx| queue.pop(tx)), 1);
        assert_eq!(atomically(|tx| queue.pop(tx)), 2);
    });
}

#[test]
fn producers_and_consumers_of_a_bounded_queue_do_not_conflict_in_its_middle() {
    let _dog = watchdog(LIMIT);
    let queue = TBQueue::new(4);
    atomically(|tx| (0..2).try_for_each(|n| queue.push(tx, n)));
    let pops = || {
        atomically(|tx| queue.pop(tx));
    };
    assert_eq!(attempts_while(|tx| queue.push(tx, 2), pops), 1);
    let pushes = || atomically(|tx| queue.push(tx, 3));
    assert_eq!(attempts_while(|tx| queue.pop(tx), pushes), 1);
}

// Looking.

#[test]
fn to_peek_writes_nothing() {
    let _dog = watchdog(LIMIT);
    let queue = TQueue::from_iter([1, 2]);
    let bounded = TBQueue::new(2);
    atomically(|tx| bounded.push(tx, 1));
    let channel = TChan::new();
    atomically(|tx| channel.push(tx, 1));
    let heap = TPriorityQueue::from_iter([1]);
    let place = TMVar::new(1);
    // Of two that peek at once, neither conflicts.
    let peek = |tx: &Tx| {
        let seen = [
            queue.peek(tx)?,
            bounded.peek(tx)?,
            channel.peek(tx)?,
            heap.peek(tx)?,
            place.read(tx)?,
        ];
        assert_eq!(seen, [&1; 5]);
        Ok(())
    };
    assert_eq!(attempts_while(peek, || atomically(peek)), 1);
}

#[test]
fn whoever_pushes_to_a_queue_does_not_conflict_with_whoever_pops() {
    let _dog = watchdog(LIMIT);
    let queue = TQueue::from_iter([1, 2, 3]);
    // Turns the values around, so that they are in front.
    atomically(|tx| queue.pop(tx));
    let pushes = || atomically(|tx| queue.push(tx, 4));
    assert_eq!(attempts_while(|tx| queue.pop(tx), pushes), 1);
    let pops = || {
        atomically(|tx| queue.pop(tx));
    };
    assert_eq!(attempts_while(|tx| queue.push(tx, 5), pops), 1);
    assert_eq!(atomically(|tx| queue.drain(tx)), [4, 5]);
}

#[test]
fn many_pushes_and_pops_take_no_more_than_their_number() {
    let _dog = watchdog(LIMIT);
    // Quadratic, this would take hours.
    let n = 100_000;
    let queue = TQueue::new();
    (0..n).for_each(|n| atomically(|tx| queue.push(tx, n)));
    (0..n).for_each(|n| {
        atomically(|tx| queue.push(tx, n));
        assert_eq!(atomically(|tx| queue.pop(tx)), n);
    });
    (0..n).for_each(|_| assert_eq!(atomically(|tx| queue.peek(tx).copied()), 0));
    assert_eq!(atomically(|tx| queue.len(tx)), n as usize);
}

// Channels.

#[test]
fn a_fork_of_a_channel_sees_what_is_there_and_what_comes() {
    let _dog = watchdog(LIMIT);
    let channel = TChan::new();
    atomically(|tx| (0..10).try_for_each(|n| channel.push(tx, n)));
    assert_eq!(atomically(|tx| channel.pop(tx)), 0);
    let fork = atomically(|tx| channel.fork(tx));
    atomically(|tx| (10..20).try_for_each(|n| fork.push(tx, n)));
    for channel in [&channel, &fork] {
        (1..20).for_each(|n| assert_eq!(atomically(|tx| channel.pop(tx)), n));
        assert!(atomically(|tx| channel.is_empty(tx)));
    }
}

#[test]
fn what_is_put_back_into_a_channel_is_seen_by_no_relative() {
    let _dog = watchdog(LIMIT);
    let channel = TChan::new();
    let relative = atomically(|tx| channel.duplicate(tx));
    atomically(|tx| channel.push_front(tx, 1));
    assert!(atomically(|tx| relative.is_empty(tx)));
    atomically(|tx| channel.push(tx, 2));
    assert_eq!(atomically(|tx| relative.pop(tx)), 2);
    assert_eq!(
        atomically(|tx| Ok([channel.pop(tx)?, channel.pop(tx)?])),
        [1, 2]
    );
}

#[test]
fn a_channel_made_in_a_transaction_works_in_it() {
    let _dog = watchdog(LIMIT);
    let seen = atomically(|tx| {
        let news = TBroadcast::new();
        let early = news.subscribe(tx)?;
        news.push(tx, 1)?;
        let late = news.subscribe(tx)?;
        news.push(tx, 2)?;
        Ok([early.pop(tx)?, early.pop(tx)?, late.pop(tx)?])
    });
    assert_eq!(seen, [1, 2, 2]);
}

#[test]
fn what_an_aborted_transaction_pushed_never_comes() {
    let _dog = watchdog(LIMIT);
    let (channel, queue) = (TChan::new(), TQueue::new());
    let aborted: Result<(), ()> = try_atomically(|tx| {
        channel.push(tx, 1)?;
        queue.push(tx, 1)?;
        abort(())
    });
    assert!(aborted.is_err());
    atomically(|tx| channel.push(tx, 2));
    atomically(|tx| queue.push(tx, 2));
    assert_eq!(atomically(|tx| channel.pop(tx)), 2);
    assert_eq!(atomically(|tx| queue.pop(tx)), 2);
}

// Alternatives.

#[test]
fn a_pop_from_whichever_queue_has_something_takes_from_one() {
    let _dog = watchdog(LIMIT);
    let queues = [TQueue::new(), TQueue::new()];
    let pop = |tx: &Tx| tx.or_else(|tx| queues[0].pop(tx), |tx| queues[1].pop(tx));
    thread::scope(|scope| {
        for at in [1, 0, 1] {
            let popper = scope.spawn(|| atomically(pop));
            atomically(|tx| queues[at].push(tx, at));
            assert_eq!(popper.join().unwrap(), at);
        }
    });
    assert!(
        queues
            .iter()
            .all(|queue| atomically(|tx| queue.is_empty(tx)))
    );
}

#[test]
fn a_pop_in_a_branch_that_fails_later_is_taken_back() {
    let _dog = watchdog(LIMIT);
    let queue = TQueue::from_iter([1, 2]);
    let gate = TVar::new(false);
    let first = atomically(|tx| {
        let both = |tx: &Tx| {
            let value = queue.pop(tx)?;
            tx.check(*gate.get(tx)?)?;
            Ok(value + 10)
        };
        tx.or_else(both, |tx| queue.pop(tx))
    });
    assert_eq!(first, 1);
    assert_eq!(atomically(|tx| queue.pop(tx)), 2);
}

#[test]
fn two_threads_that_exchange_two_places_both_get_through() {
    let _dog = watchdog(LIMIT);
    let places = [TMVar::new(0), TMVar::new(1)];
    thread::scope(|scope| {
        for first in [0, 1] {
            let places = &places;
            scope.spawn(move || {
                for _ in 0..2_000 {
                    // In opposite orders, which would deadlock if they were locks.
                    atomically(|tx| {
                        let (one, other) = (places[first].take(tx)?, places[1 - first].take(tx)?);
                        places[first].put(tx, other)?;
                        places[1 - first].put(tx, one)
                    });
                }
            });
        }
    });
    let left = places.map(|place| place.load().unwrap());
    assert_eq!(left[0] + left[1], 1);
}

// Semaphores and locks.

#[test]
fn a_release_wakes_whoever_waits_for_that_many() {
    let _dog = watchdog(LIMIT);
    let (sem, got) = (TSem::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for wanted in [3, 2, 1] {
            let (sem, got) = (&sem, &got);
            scope.spawn(move || {
                atomically(|tx| sem.acquire(tx, wanted));
                got.fetch_add(wanted, Ordering::Relaxed);
            });
        }
        (0..6).for_each(|_| atomically(|tx| sem.release(tx, 1)));
    });
    assert_eq!((got.into_inner(), sem.available()), (6, 0));
}

#[test]
fn permits_taken_by_an_aborted_transaction_are_back() {
    let _dog = watchdog(LIMIT);
    let sem = TSem::new(2);
    let aborted: Result<(), ()> = try_atomically(|tx| {
        sem.acquire(tx, 2)?;
        assert_eq!(sem.permits(tx)?, 0);
        abort(())
    });
    assert!(aborted.is_err());
    assert_eq!(sem.available(), 2);
}

#[test]
fn more_permits_than_a_number_can_say_are_refused() {
    let _dog = watchdog(LIMIT);
    let sem = TSem::new(usize::MAX);
    let too_many = thread::spawn({
        let sem = sem.clone();
        move || atomically(|tx| sem.release(tx, 1))
    });
    assert!(too_many.join().is_err());
    assert_eq!(sem.available(), usize::MAX);
}

#[test]
fn a_lock_that_nobody_holds_cannot_be_given_back() {
    let _dog = watchdog(LIMIT);
    type Give = fn(&TRwLock, &Tx) -> weftwork_stm::Stm<()>;
    let wrong: [Give; 4] = [
        TRwLock::unlock_shared,
        TRwLock::unlock_exclusive,
        TRwLock::downgrade,
        TRwLock::upgrade,
    ];
    for give in wrong {
        let lock = TRwLock::new();
        let given = thread::spawn({
            let lock = lock.clone();
            move || atomically(|tx| give(&lock, tx))
        });
        assert!(given.join().is_err());
        assert_eq!(lock.held(), Held::Free);
    }
}

#[test]
fn a_writer_waits_for_all_readers_and_a_panic_gives_the_lock_back() {
    let _dog = watchdog(LIMIT);
    let lock = TRwLock::new();
    atomically(|tx| lock.lock_shared(tx));
    atomically(|tx| lock.lock_shared(tx));
    thread::scope(|scope| {
        let writer = scope.spawn(|| lock.exclusively(|| panic!("the writer panics")));
        atomically(|tx| lock.unlock_shared(tx));
        atomically(|tx| lock.unlock_shared(tx));
        assert!(writer.join().is_err());
    });
    assert_eq!(lock.held(), Held::Free);
}

// Maps.

#[test]
fn changes_of_an_aborted_transaction_are_in_no_view_of_the_map() {
    let _dog = watchdog(LIMIT);
    let map = TMap::from([(1, "one"), (2, "two")]);
    let aborted: Result<(), ()> = try_atomically(|tx| {
        map.insert(tx, 3, "three")?;
        map.remove(tx, &1)?;
        assert_eq!(map.len(tx)?, 2);
        assert_eq!(map.iter(tx).count(), 2);
        abort(())
    });
    assert!(aborted.is_err());
    let seen: BTreeMap<i32, &str> =
        snapshot(|s| map.view(s).iter().map(|(k, v)| (*k, *v)).collect());
    assert_eq!(seen, BTreeMap::from([(1, "one"), (2, "two")]));
    assert_eq!(atomically(|tx| map.len(tx)), 2);
}

#[test]
fn an_iteration_in_a_transaction_is_of_one_state_whatever_others_commit() {
    let _dog = watchdog(LIMIT);
    let map = (0..1000).map(|key| (key, 0)).collect::<TMap<_, _>>();
    let round = AtomicUsize::new(0);
    let seen = atomically(|tx| {
        let mut seen = Vec::new();
        for (n, entry) in map.iter(tx).enumerate() {
            seen.push(*entry?.1);
            if n == 500 && round.fetch_add(1, Ordering::Relaxed) == 0 {
                // All others change when half was seen.
                let all = || {
                    atomically(|tx| (0..1000).try_for_each(|k| map.insert(tx, k, 1).map(drop)));
                };
                thread::scope(|scope| drop(scope.spawn(all)));
            }
        }
        Ok(seen)
    });
    assert_eq!(seen.len(), 1000);
    assert!(seen.iter().all(|value| *value == seen[0]), "half and half");
}

#[test]
fn a_view_of_a_map_does_not_change_while_the_map_does() {
    let _dog = watchdog(LIMIT);
    let map = (0..100).map(|key| (key, 0)).collect::<TMap<i32, i32>>();
    snapshot(|s| {
        let view = map.view(s);
        let change = || {
            for key in 0..2000 {
                atomically(|tx| map.insert(tx, key, 1));
            }
            for key in 0..50 {
                atomically(|tx| map.remove(tx, &key));
            }
        };
        let mut entries = view.iter();
        assert_eq!(entries.next().map(|(_, value)| *value), Some(0));
        thread::scope(|scope| drop(scope.spawn(change)));
        // The iteration that was begun, and another one.
        assert_eq!(entries.map(|(_, value)| value + 1).sum::<i32>(), 99);
        assert_eq!(view.iter().map(|(_, value)| value + 1).sum::<i32>(), 100);
        assert_eq!(
            (view.len(), view.get(&7), view.get(&1000)),
            (100, Some(&0), None)
        );
    });
    assert_eq!(atomically(|tx| map.len(tx)), 1950);
}

#[test]
fn two_inserts_of_different_keys_do_not_conflict() {
    let _dog = watchdog(LIMIT);
    let map = TMap::with_capacity(1_000_000);
    let mut conflicts = 0;
    for key in 0..100 {
        let other = || {
            atomically(|tx| map.insert(tx, key + 1000, key));
        };
        conflicts += attempts_while(|tx| map.insert(tx, key, key), other) - 1;
    }
    // Two keys may be in one bucket out of 131072.
    assert!(conflicts <= 1, "{conflicts} of 100 conflicted");
    assert_eq!(atomically(|tx| map.len(tx)), 200);
}

#[test]
fn whoever_waits_for_a_key_is_woken_also_when_its_bucket_is_split() {
    let _dog = watchdog(LIMIT);
    let map = TMap::new();
    thread::scope(|scope| {
        let waiters: Vec<_> = (0..8)
            .map(|n| {
                let map = &map;
                scope.spawn(move || atomically(|tx| map.wait(tx, &(n * 1000)).copied()))
            })
            .collect();
        for key in (1..8000).filter(|key| key % 1000 != 0) {
            atomically(|tx| map.insert(tx, key, key));
        }
        for key in (0..8).map(|n| n * 1000) {
            atomically(|tx| map.insert(tx, key, key));
        }
        let got = waiters.into_iter().map(|waiter| waiter.join().unwrap());
        assert!(got.eq((0..8).map(|n| n * 1000)));
    });
}

#[test]
fn a_clone_of_a_key_or_a_hash_that_panics_leaves_the_map_whole() {
    #[derive(PartialEq, Eq)]
    struct Key(u32);

    static PANICS: AtomicUsize = AtomicUsize::new(usize::MAX);

    fn step() {
        if PANICS.fetch_sub(1, Ordering::Relaxed) == 0 {
            panic!("the key panics");
        }
    }

    impl Clone for Key {
        fn clone(&self) -> Self {
            step();
            Key(self.0)
        }
    }

    impl std::hash::Hash for Key {
        fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
            step();
            self.0.hash(state);
        }
    }

    let _dog = watchdog(LIMIT);
    let map = TMap::new();
    let mut expected = 0;
    for n in 0..3000_u32 {
        PANICS.store(n as usize % 40, Ordering::Relaxed);
        let inserted = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            atomically(|tx| map.insert(tx, Key(n), n))
        }));
        PANICS.store(usize::MAX, Ordering::Relaxed);
        // A panic after the commit, while buckets are moved, does not undo the insert.
        let is_in = atomically(|tx| map.contains_key(tx, &Key(n)));
        assert!(is_in || inserted.is_err());
        expected += usize::from(is_in);
    }
    assert!((1..3000).contains(&expected));
    assert_eq!(atomically(|tx| map.len(tx)), expected);
    assert_eq!(snapshot(|s| map.view(s).iter().count()), expected);
    assert_eq!(
        snapshot(|s| (0..3000)
            .filter(|n| map.view(s).contains_key(&Key(*n)))
            .count()),
        expected
    );
}
