//! What leaves a collection is dropped, soon and once, and long ones are dropped without recursion.

#![cfg(not(weftwork_loom))]

use std::sync::Arc;
use std::thread;
use std::time::Duration;
use weftwork_stm::{
    TBQueue, TBroadcast, TChan, TMVar, TMap, TPriorityQueue, TQueue, atomically, flush,
};
use weftwork_testkit::{DropCounter, iters, watchdog};

const LIMIT: Duration = Duration::from_secs(120);

/// Waits until no more than `most` values are alive: another test's transaction may hold it up.
fn assert_dropped(drops: &DropCounter, most: usize) {
    while drops.live() > most {
        flush();
        thread::yield_now();
    }
}

#[test]
fn a_busy_collection_keeps_no_value_that_has_left_it() {
    let _dog = watchdog(LIMIT);
    let drops = DropCounter::new();
    let value = |n: usize| Arc::new(drops.track(n));
    let (queue, bounded, channel) = (TQueue::new(), TBQueue::new(2), TChan::new());
    let (heap, place, map) = (TPriorityQueue::new(), TMVar::empty(), TMap::new());
    let mut most = 0;
    for n in 0..iters(20_000, 5_000, 200) {
        atomically(|tx| {
            queue.push(tx, value(n))?;
            bounded.push(tx, value(n))?;
            channel.push(tx, value(n))?;
            heap.push(tx, value(n))?;
            place.put(tx, value(n))?;
            map.insert(tx, n, value(n)).map(drop)
        });
        atomically(|tx| {
            let left = [
                queue.pop(tx)?,
                bounded.pop(tx)?,
                channel.pop(tx)?,
                heap.pop(tx)?,
            ];
            assert!(left.iter().all(|left| ***left == n));
            assert_eq!(**place.take(tx)?, n);
            assert!(map.remove(tx, &n)?.is_some_and(|left| **left == n));
            Ok(())
        });
        most = most.max(drops.live());
    }
    // Far fewer than went through, although nobody waits for them to be dropped.
    assert!(
        most < drops.created() / 3,
        "{most} of {} at once",
        drops.created()
    );
    assert_dropped(&drops, 0);
}

#[test]
fn what_is_broadcast_without_subscribers_is_dropped() {
    let _dog = watchdog(LIMIT);
    let drops = DropCounter::new();
    let news = TBroadcast::new();
    for n in 0..1_000 {
        let value = Arc::new(drops.track(n));
        atomically(|tx| news.push(tx, value.clone()));
    }
    assert_dropped(&drops, 1);
    let listener = atomically(|tx| news.subscribe(tx));
    let value = Arc::new(drops.track(7));
    atomically(|tx| news.push(tx, value.clone()));
    assert_eq!(**atomically(|tx| listener.pop(tx)), 7);
}

#[test]
fn a_collection_that_is_dropped_drops_what_is_in_it() {
    let _dog = watchdog(LIMIT);
    let drops = DropCounter::new();
    let value = |n: usize| Arc::new(drops.track(n));
    let collections = (
        TQueue::new(),
        TBQueue::new(100),
        TChan::new(),
        TPriorityQueue::new(),
        TMap::new(),
        TMVar::new(value(0)),
    );
    for n in 0..100 {
        let (queue, bounded, channel, heap, map, _) = &collections;
        atomically(|tx| {
            queue.push(tx, value(n))?;
            bounded.push(tx, value(n))?;
            channel.push(tx, value(n))?;
            heap.push(tx, value(n))?;
            map.insert(tx, n, value(n)).map(drop)
        });
    }
    assert!(drops.live() >= 501);
    drop(collections);
    assert_dropped(&drops, 0);
}

#[test]
fn long_collections_are_dropped_without_recursion() {
    let _dog = watchdog(LIMIT);
    let len = iters(200_000, 100_000, 1_000);
    let on_a_small_stack = thread::Builder::new()
        .stack_size(128 * 1024)
        .spawn(move || {
            let drops = DropCounter::new();
            let (queue, channel, unread) = (TQueue::new(), TChan::new(), TChan::new());
            let heap = TPriorityQueue::new();
            for n in 0..len {
                let value = Arc::new(drops.track(n));
                atomically(|tx| {
                    queue.push(tx, value.clone())?;
                    channel.push(tx, value.clone())?;
                    unread.push_front(tx, value.clone())?;
                    heap.push(tx, value.clone())
                });
            }
            // Half of the queue is turned around.
            (0..2).for_each(|_| drop(atomically(|tx| queue.pop(tx))));
            assert!(drops.live() >= len);
            drop((queue, channel, unread, heap));
            assert_dropped(&drops, 0);
        });
    on_a_small_stack.unwrap().join().unwrap();
}
