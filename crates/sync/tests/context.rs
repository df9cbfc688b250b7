//! Contexts: the tree, deadlines, causes, callbacks, values, and that nothing is left behind.

mod support;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::task::Poll;
use std::time::{Duration, Instant};
use support::{poll, runtime};
use weftwork_sync::{Context, ContextError};
use weftwork_testkit::{DropCounter, watchdog};

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn a_cancellation_reaches_all_below_and_none_above_or_beside() {
    let root = Context::background();
    let (top, _) = root.with_cancel();
    let (left, cancel_left) = top.with_cancel();
    let (right, _) = top.with_cancel();
    let below: Vec<_> = (0..10).map(|_| left.with_cancel().0).collect();
    let leaf = below[3].with_timeout(LIMIT).0;
    assert!(cancel_left.cancel());
    assert!(left.is_done() && below.iter().all(Context::is_done));
    assert_eq!(leaf.err(), Some(ContextError::Cancelled));
    assert!(!top.is_done() && !right.is_done() && !root.is_done());
    assert!(
        left.with_cancel().0.is_done(),
        "a child made later has ended, too"
    );
}

#[test]
fn the_first_end_counts_with_its_cause() {
    let (context, cancel) = Context::background().with_cancel();
    let (child, _) = context.with_cancel();
    assert!(context.cause().is_none() && context.check().is_ok());
    assert!(cancel.cancel_with(std::io::Error::other("first")));
    assert!(!cancel.cancel_with(std::io::Error::other("second")));
    assert_eq!(child.cause().unwrap().to_string(), "first");
    assert_eq!(child.check(), Err(ContextError::Cancelled));
    let (plain, cancel) = Context::background().with_cancel();
    cancel.cancel();
    let cause = plain.cause().unwrap();
    assert_eq!(cause.downcast_ref(), Some(&ContextError::Cancelled));
}

#[test]
fn waiters_of_every_kind_hear_of_the_end() {
    let _dog = watchdog(LIMIT);
    let (context, cancel) = Context::background().with_cancel();
    let thread = std::thread::spawn({
        let context = context.clone();
        move || context.wait()
    });
    let foreign = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap();
    let task = foreign.spawn({
        let context = context.clone();
        async move { context.done().await }
    });
    let ended = runtime().run({
        let context = context.clone();
        move || {
            let waiter = weftwork_sched::spawn(move || context.wait());
            weftwork_sched::yield_now();
            cancel.cancel();
            waiter.join().unwrap()
        }
    });
    assert_eq!(ended, ContextError::Cancelled);
    assert_eq!(thread.join().unwrap(), ended);
    assert_eq!(foreign.block_on(task).unwrap(), ended);
    assert_eq!(context.wait_timeout(Duration::ZERO), Ok(ended));
}

#[test]
fn a_deadline_ends_the_context_and_never_early() {
    let _dog = watchdog(LIMIT);
    let deadline = Instant::now() + Duration::from_millis(20);
    let (context, cancel) = Context::background().with_deadline(deadline);
    let (child, _) = context.with_timeout(LIMIT);
    assert_eq!(child.deadline(), Some(deadline), "the parent's is earlier");
    assert_eq!(child.wait(), ContextError::DeadlineExceeded);
    assert!(Instant::now() >= deadline);
    assert_eq!(context.err(), Some(ContextError::DeadlineExceeded));
    assert!(!cancel.cancel());
    let (endless, _) = Context::background().with_timeout(Duration::MAX);
    assert!(endless.deadline().is_none() && !endless.is_done());
}

#[test]
fn a_wait_that_times_out_leaves_the_context_alone() {
    let (context, cancel) = Context::background().with_cancel();
    assert!(context.wait_timeout(Duration::from_millis(1)).is_err());
    let mut done = pin!(context.done());
    assert!(poll(done.as_mut()).is_pending());
    cancel.cancel();
    assert_eq!(poll(done), Poll::Ready(ContextError::Cancelled));
}

#[test]
fn a_callback_is_called_once_without_a_lock_and_not_after_it_was_stopped() {
    let _dog = watchdog(LIMIT);
    let (context, cancel) = Context::background().with_cancel();
    let (tx, rx) = mpsc::channel();
    let after = context.after_func({
        let context = context.clone();
        move || {
            // Uses the context, makes children of it, waits for it.
            assert_eq!(context.wait(), ContextError::Cancelled);
            assert!(context.with_cancel().0.is_done());
            tx.send(()).unwrap();
        }
    });
    let stopped = context.after_func(|| unreachable!("it was stopped"));
    assert!(stopped.stop());
    cancel.cancel();
    cancel.cancel();
    assert_eq!(rx.try_iter().count(), 1);
    assert!(!after.stop());
    let late = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&late);
    let _at_once = context.after_func(move || {
        counts.fetch_add(1, Ordering::SeqCst);
    });
    assert_eq!(late.load(Ordering::SeqCst), 1);
}

#[test]
fn a_callback_that_panics_does_not_keep_the_others_from_being_called() {
    let (context, cancel) = Context::background().with_cancel();
    let called = Arc::new(AtomicUsize::new(0));
    let _after: Vec<_> = (0..3)
        .map(|n| {
            let called = Arc::clone(&called);
            context.after_func(move || {
                called.fetch_add(1, Ordering::SeqCst);
                if n == 0 {
                    std::panic::resume_unwind(Box::new("a callback of the user's"));
                }
            })
        })
        .collect();
    let cancelled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| cancel.cancel()));
    assert!(cancelled.is_err() && context.is_done());
    assert_eq!(called.load(Ordering::SeqCst), 3);
}

#[test]
fn what_hangs_on_a_context_is_dropped_with_it_or_when_it_is_taken_off() {
    let drops = DropCounter::new();
    let (context, cancel) = Context::background().with_cancel();
    for _ in 0..1000 {
        // A long-lived parent keeps nothing of its children.
        let (child, cancel_child) = context.with_timeout(LIMIT);
        let held = drops.track(());
        let _after = child.after_func(move || drop(held));
        cancel_child.cancel();
    }
    drops.assert_none_live();
    let held = drops.track(());
    let stopped = context.after_func(move || drop(held));
    assert!(stopped.stop());
    drops.assert_none_live();
    let held = drops.track(());
    let _kept = context.with_value(held);
    drop(_kept);
    let held = drops.track(());
    let after = context.after_func(move || drop(held));
    drop((context, cancel, after));
    drops.assert_none_live();
}

#[test]
fn values_are_found_by_type_the_last_one_first_and_survive_without_cancel() {
    let root = Context::background().with_value(1_u32).with_value("a");
    let (child, cancel) = root.with_value(2_u32).with_cancel();
    assert_eq!(child.value::<u32>().as_deref(), Some(&2));
    assert_eq!(root.value::<u32>().as_deref(), Some(&1));
    assert_eq!(child.value::<&str>().as_deref(), Some(&"a"));
    assert!(child.value::<u64>().is_none());
    let detached = child.without_cancel();
    cancel.cancel();
    assert!(!detached.is_done() && detached.deadline().is_none());
    assert_eq!(detached.value::<u32>().as_deref(), Some(&2));
}

#[test]
fn a_deep_tree_is_ended_and_dropped_without_deep_recursion() {
    let (root, cancel) = Context::background().with_cancel();
    let mut leaf = root.clone();
    let mut inner = Vec::new();
    for _ in 0..100_000 {
        inner.push(leaf.clone());
        leaf = leaf.with_cancel().0;
    }
    cancel.cancel();
    assert!(leaf.is_done());
    let mut chain = Context::background();
    for _ in 0..100_000 {
        chain = chain.with_cancel().0;
    }
    drop(chain);
}

#[test]
fn children_made_while_the_parent_ends_end_as_well() {
    let _dog = watchdog(LIMIT);
    for _ in 0..200 {
        let (context, cancel) = Context::background().with_cancel();
        std::thread::scope(|s| {
            let children = s.spawn(|| (0..20).map(|_| context.with_cancel()).collect::<Vec<_>>());
            cancel.cancel();
            for (child, _) in children.join().unwrap() {
                assert_eq!(child.wait(), ContextError::Cancelled);
            }
        });
    }
}

#[test]
fn cancelling_children_and_parent_at_once_is_in_order() {
    let _dog = watchdog(LIMIT);
    for _ in 0..200 {
        let (context, cancel) = Context::background().with_cancel();
        let children: Vec<_> = (0..8).map(|_| context.with_cancel()).collect();
        std::thread::scope(|s| {
            s.spawn(|| {
                children
                    .iter()
                    .filter(|(_, cancel)| cancel.cancel())
                    .count()
            });
            s.spawn(|| cancel.cancel());
        });
        assert!(children.iter().all(|(child, _)| child.is_done()));
    }
}
