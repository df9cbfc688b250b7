//! The barrier and the wait group: rounds, leaders, leaving, counting.

mod support;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;
use support::{all_kinds, poll, runtime};
use weftwork_sync::{Barrier, WaitGroup};
use weftwork_testkit::{iters, watchdog};

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn parties_of_every_kind_go_on_together_with_one_leader_a_round() {
    let _dog = watchdog(LIMIT);
    let rounds = iters(500, 100, 10);
    let state = Arc::new((Barrier::new(10), AtomicUsize::new(0), AtomicUsize::new(0)));
    let (blocking, asynchronous) = (Arc::clone(&state), Arc::clone(&state));
    all_kinds(
        move || {
            for round in 1..=rounds {
                blocking.1.fetch_add(1, Ordering::SeqCst);
                let is_leader = blocking.0.wait().is_leader();
                assert!(
                    blocking.1.load(Ordering::SeqCst) >= round * 10,
                    "went on early"
                );
                blocking
                    .2
                    .fetch_add(usize::from(is_leader), Ordering::SeqCst);
            }
        },
        || {
            let state = Arc::clone(&asynchronous);
            async move {
                for round in 1..=rounds {
                    state.1.fetch_add(1, Ordering::SeqCst);
                    let is_leader = state.0.wait_async().await.is_leader();
                    assert!(
                        state.1.load(Ordering::SeqCst) >= round * 10,
                        "went on early"
                    );
                    state.2.fetch_add(usize::from(is_leader), Ordering::SeqCst);
                }
            }
        },
    );
    assert_eq!(state.2.load(Ordering::SeqCst), rounds);
}

#[test]
fn one_that_leaves_has_not_arrived() {
    let barrier = Barrier::new(2);
    let mut left = Box::pin(barrier.wait_async());
    assert!(poll(left.as_mut()).is_pending());
    drop(left);
    assert!(barrier.wait_timeout(Duration::from_millis(1)).is_err());
    let mut first = pin!(barrier.wait_async());
    assert!(poll(first.as_mut()).is_pending());
    assert!(barrier.wait().is_leader());
    assert!(matches!(poll(first), Poll::Ready(result) if !result.is_leader()));
}

#[test]
fn a_cancelled_party_is_replaced_by_another() {
    let _dog = watchdog(LIMIT);
    runtime().run(|| {
        let barrier = Arc::new((Barrier::new(2), AtomicUsize::new(0)));
        let waits = |barrier: &Arc<(Barrier, AtomicUsize)>| {
            let barrier = Arc::clone(barrier);
            weftwork_sched::spawn(move || {
                barrier.1.fetch_add(1, Ordering::SeqCst);
                barrier.0.wait();
            })
        };
        let first = waits(&barrier);
        while barrier.1.load(Ordering::SeqCst) < 1 {
            weftwork_sched::yield_now();
        }
        first.task_ref().cancel();
        assert!(first.join().unwrap_err().is_cancelled());
        let second = waits(&barrier);
        barrier.0.wait();
        second.join().unwrap();
    });
}

#[test]
fn a_group_is_done_when_the_last_member_is() {
    let _dog = watchdog(LIMIT);
    let ended = Arc::new(AtomicUsize::new(0));
    let theirs = Arc::clone(&ended);
    runtime().run(move || {
        let group = WaitGroup::new();
        for _ in 0..100 {
            let member = group.clone();
            let ended = Arc::clone(&theirs);
            drop(weftwork_sched::spawn(move || {
                // Relaxed: the group orders it.
                ended.fetch_add(1, Ordering::Relaxed);
                drop(member);
            }));
        }
        group.wait();
        assert_eq!(theirs.load(Ordering::Relaxed), 100);
    });
}

#[test]
fn a_future_of_a_group_is_ready_when_the_count_comes_to_nothing() {
    let group = WaitGroup::new();
    group.add(2);
    let member = group.clone();
    let handle = group.clone();
    let mut done = pin!(handle.wait_async());
    assert!(poll(done.as_mut()).is_pending());
    drop(member);
    group.done();
    group.done();
    assert!(poll(done.as_mut()).is_pending(), "the handle is a member");
    drop(group);
    assert!(poll(done.as_mut()).is_ready());
}

#[test]
fn a_wait_that_times_out_gives_a_member_back() {
    let group = WaitGroup::new();
    let member = group.clone();
    let group = group
        .wait_timeout(Duration::from_millis(1))
        .unwrap_err()
        .into_inner();
    let mut others = pin!(member.wait_async());
    assert!(poll(others.as_mut()).is_pending());
    drop(group);
    assert!(poll(others.as_mut()).is_ready());
}

#[test]
#[should_panic(expected = "without an `add`")]
fn done_without_add_is_refused() {
    WaitGroup::new().done();
}
