//! The semaphore: weights, order, closing, forgetting, dropping, and a sequential model.

mod support;

use proptest::prelude::*;
use std::collections::VecDeque;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};
use support::{all_kinds, poll, runtime};
use weftwork_sync::{
    AcquireFuture, AcquireTimeoutError, Semaphore, SemaphorePermit, TryAcquireError,
};
use weftwork_testkit::{iters, watchdog};

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn never_more_are_inside_than_there_are_permits() {
    let _dog = watchdog(LIMIT);
    let each = iters(2_000, 300, 30);
    let state = Arc::new((Semaphore::new(3), AtomicUsize::new(0)));
    let (blocking, asynchronous) = (Arc::clone(&state), Arc::clone(&state));
    fn enter(inside: &AtomicUsize, n: usize) {
        assert!(inside.fetch_add(n, Ordering::SeqCst) + n <= 3);
        inside.fetch_sub(n, Ordering::SeqCst);
    }
    all_kinds(
        move || {
            for n in 0..each {
                let n = n % 3 + 1;
                let _permits = blocking.0.acquire(n).unwrap();
                enter(&blocking.1, n);
            }
        },
        || {
            let state = Arc::clone(&asynchronous);
            async move {
                for n in 0..each {
                    let n = n % 3 + 1;
                    let _permits = state.0.acquire_async(n).await.unwrap();
                    enter(&state.1, n);
                }
            }
        },
    );
    assert_eq!(state.0.available_permits(), 3);
}

#[test]
fn a_big_request_is_not_starved_by_small_ones() {
    let semaphore = Semaphore::new(2);
    let held = semaphore.acquire(1).unwrap();
    let mut big = pin!(semaphore.acquire_async(2));
    assert!(poll(big.as_mut()).is_pending());
    // One is free, but it is not for those who came later.
    assert_eq!(semaphore.available_permits(), 1);
    assert_eq!(
        semaphore.try_acquire(1).unwrap_err(),
        TryAcquireError::NoPermits
    );
    let mut small = pin!(semaphore.acquire_async(1));
    assert!(poll(small.as_mut()).is_pending());
    drop(held);
    assert!(poll(small.as_mut()).is_pending());
    let Poll::Ready(Ok(permits)) = poll(big.as_mut()) else {
        panic!("it was first");
    };
    drop(permits);
    assert!(poll(small.as_mut()).is_ready());
}

#[test]
fn a_big_request_that_leaves_lets_the_small_ones_behind_it_in() {
    let semaphore = Semaphore::new(1);
    let mut big = Box::pin(semaphore.acquire_async(2));
    let mut small = pin!(semaphore.acquire_async(1));
    assert!(poll(big.as_mut()).is_pending());
    assert!(poll(small.as_mut()).is_pending());
    drop(big);
    assert!(poll(small.as_mut()).is_ready());
}

/// D16.
#[test]
fn permits_of_a_dropped_future_go_to_the_next() {
    let semaphore = Semaphore::new(0);
    let mut first = Box::pin(semaphore.acquire_async(1));
    let mut second = pin!(semaphore.acquire_async(1));
    assert!(poll(first.as_mut()).is_pending());
    assert!(poll(second.as_mut()).is_pending());
    semaphore.add_permits(1);
    drop(first);
    assert!(poll(second.as_mut()).is_ready());
}

#[test]
fn one_gift_serves_as_many_as_it_suffices_for() {
    let semaphore = Semaphore::new(0);
    let mut line: Vec<_> = (0..100)
        .map(|_| Box::pin(semaphore.acquire_async(2)))
        .collect();
    for future in &mut line {
        assert!(poll(future.as_mut()).is_pending());
    }
    semaphore.add_permits(101);
    let served = line
        .iter_mut()
        .map(|future| poll(future.as_mut()))
        .take_while(Poll::is_ready)
        .collect::<Vec<_>>();
    assert_eq!((served.len(), semaphore.available_permits()), (50, 1));
}

/// D55: a closed semaphore stays closed, whatever is forgotten, given back or added. D21: closing
/// reaches those who wait, with permits about or not.
#[test]
fn closing_is_for_good_and_reaches_all_that_wait() {
    let _dog = watchdog(LIMIT);
    let semaphore = Arc::new(Semaphore::new(2));
    let mut held = semaphore.acquire(2).unwrap();
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let semaphore = Arc::clone(&semaphore);
            std::thread::spawn(move || semaphore.acquire(1).map(|permit| permit.count()))
        })
        .collect();
    let mut future = pin!(semaphore.acquire_async(1));
    assert!(poll(future.as_mut()).is_pending());
    semaphore.close();
    assert!(matches!(poll(future.as_mut()), Poll::Ready(Err(_))));
    for thread in threads {
        assert!(thread.join().unwrap().is_err());
    }
    held.split(1).unwrap().forget();
    drop(held);
    semaphore.add_permits(3);
    assert_eq!(semaphore.forget(10), 4);
    semaphore.add_permits(1);
    assert!(semaphore.is_closed());
    assert_eq!(
        semaphore.try_acquire(1).unwrap_err(),
        TryAcquireError::Closed
    );
    let late = semaphore.acquire_timeout(1, LIMIT).unwrap_err();
    assert_eq!(late, AcquireTimeoutError::Closed);
    semaphore.close();
}

#[test]
fn timeouts_are_never_early_and_take_nothing() {
    let _dog = watchdog(LIMIT);
    let semaphore = Semaphore::new(1);
    let start = Instant::now();
    let late = semaphore
        .acquire_timeout(2, Duration::from_millis(20))
        .unwrap_err();
    assert_eq!(late, AcquireTimeoutError::TimedOut);
    assert!(start.elapsed() >= Duration::from_millis(20));
    assert_eq!(semaphore.available_permits(), 1);
    assert!(semaphore.acquire_timeout(1, Duration::MAX).is_ok());
    assert!(semaphore.acquire_deadline(1, Instant::now()).is_ok());
}

#[test]
fn a_cancelled_green_thread_leaves_the_line() {
    let _dog = watchdog(LIMIT);
    runtime().run(|| {
        let semaphore = Arc::new(Semaphore::new(0));
        let parties = [2, 1].map(|n| {
            let semaphore = Arc::clone(&semaphore);
            weftwork_sched::spawn(move || semaphore.acquire(n).unwrap().forget())
        });
        semaphore.add_permits(1);
        // The first waits for a second permit, or has not come yet.
        parties[0].task_ref().cancel();
        let [first, second] = parties;
        assert!(first.join().unwrap_err().is_cancelled());
        second.join().unwrap();
        assert_eq!(semaphore.available_permits(), 0);
    });
}

#[test]
fn owned_permits_and_futures_keep_the_semaphore() {
    let semaphore = Arc::new(Semaphore::new(1));
    let permit = Arc::clone(&semaphore).acquire_owned(1).unwrap();
    let mut future = Box::pin(Arc::clone(&semaphore).acquire_owned_async(1));
    assert!(poll(future.as_mut()).is_pending());
    assert!(Arc::clone(&semaphore).try_acquire_owned(1).is_err());
    drop(semaphore);
    drop(permit);
    assert!(matches!(poll(future.as_mut()), Poll::Ready(Ok(_))));
}

#[test]
fn permits_split_and_merge() {
    let semaphore = Semaphore::new(3);
    let mut all = semaphore.acquire(3).unwrap();
    assert!(all.split(4).is_none());
    let one = all.split(1).unwrap();
    assert_eq!((all.count(), one.count()), (2, 1));
    all.merge(one);
    drop(all);
    assert_eq!(semaphore.available_permits(), 3);
}

#[test]
fn zero_permits_are_had_at_once_and_too_many_are_refused() {
    let semaphore = Semaphore::new(0);
    assert_eq!(semaphore.acquire(0).unwrap().count(), 0);
    assert!(std::panic::catch_unwind(|| Semaphore::new(usize::MAX)).is_err());
    semaphore.add_permits(Semaphore::MAX_PERMITS);
    assert!(std::panic::catch_unwind(|| semaphore.add_permits(1)).is_err());
    assert_eq!(semaphore.available_permits(), Semaphore::MAX_PERMITS);
    let mut never = pin!(semaphore.acquire_async(usize::MAX));
    assert!(poll(never.as_mut()).is_pending());
}

#[derive(Debug, Clone)]
enum Step {
    Ask(usize, usize),
    Look(usize),
    Drop(usize),
    Add(usize),
    Forget(usize),
    Try(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let party = 0..5_usize;
    prop_oneof![
        3 => (party.clone(), 0..5_usize).prop_map(|(n, permits)| Step::Ask(n, permits)),
        2 => party.clone().prop_map(Step::Look),
        3 => party.prop_map(Step::Drop),
        1 => (0..4_usize).prop_map(Step::Add),
        1 => (0..3_usize).prop_map(Step::Forget),
        1 => (0..3_usize).prop_map(Step::Try),
    ]
}

proptest! {
    /// Five parties against a number and a line.
    #[test]
    fn the_semaphore_does_what_the_sequential_one_does(
        steps in proptest::collection::vec(step(), 0..80)
    ) {
        let semaphore = Semaphore::new(4);
        let mut free = 4_usize;
        let mut line: VecDeque<(usize, usize)> = VecDeque::new();
        let mut given = [None; 5];
        let mut futures: [Option<Pin<Box<AcquireFuture<'_>>>>; 5] = Default::default();
        let mut permits: [Option<SemaphorePermit<'_>>; 5] = Default::default();
        for step in steps {
            match step {
                Step::Ask(n, _) if futures[n].is_some() || permits[n].is_some() => {}
                Step::Ask(n, wanted) => {
                    let mut future = Box::pin(semaphore.acquire_async(wanted));
                    let polled = poll(future.as_mut());
                    line.push_back((n, wanted));
                    prop_assert_eq!(polled.is_ready(), line.len() == 1 && wanted <= free);
                    match polled {
                        Poll::Ready(permit) => permits[n] = Some(permit.unwrap()),
                        Poll::Pending => futures[n] = Some(future),
                    }
                }
                Step::Look(n) => {
                    if let Some(mut future) = futures[n].take() {
                        match poll(future.as_mut()) {
                            Poll::Ready(permit) => permits[n] = Some(permit.unwrap()),
                            Poll::Pending => futures[n] = Some(future),
                        }
                        prop_assert_eq!(permits[n].is_some(), given[n].is_some());
                    }
                }
                Step::Drop(n) => {
                    futures[n] = None;
                    permits[n] = None;
                    line.retain(|(other, _)| *other != n);
                    free += given[n].take().unwrap_or(0);
                }
                Step::Add(n) => {
                    semaphore.add_permits(n);
                    free += n;
                }
                Step::Forget(n) => {
                    prop_assert_eq!(semaphore.forget(n), n.min(free));
                    free -= n.min(free);
                }
                Step::Try(n) => {
                    let taken = semaphore.try_acquire(n).is_ok();
                    prop_assert_eq!(taken, line.is_empty() && n <= free);
                }
            }
            while let Some(&(n, wanted)) = line.front().filter(|(_, wanted)| *wanted <= free) {
                line.pop_front();
                free -= wanted;
                given[n] = Some(wanted);
            }
            prop_assert_eq!(semaphore.available_permits(), free);
        }
    }
}
