//! The wait queue in every interleaving: serving against leaving, against another waker, against
//! joining. A served waiter's frame is gone as soon as it has seen its token: these models free it.
//!
//! Where a model of a canary fails, its waiter must not be dropped: its drop would be steps of a
//! model that has ended. Hence the `ManuallyDrop`, and std's `Arc`.
#![cfg(weftwork_loom)]

use std::mem::ManuallyDrop;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use weftwork_core::sync::atomic::{AtomicUsize, Ordering};
use weftwork_core::sync::thread;
use weftwork_core::wait::queue::{Lane, Line, Locked, WaitQueue, Waiter};
use weftwork_core::wait::{Parker, Reason, wait};
use weftwork_testkit::model;

/// Weakens one step for the rest of the test, in the canary build.
macro_rules! weaken {
    ($step:literal) => {
        #[cfg(weftwork_canary)]
        let _weak = weftwork_core::canary::weaken(weftwork_core::canary::Step::Of($step));
    };
}

/// So many permits; whoever leaves with one passes it on.
struct Permits(usize);

impl Line for Permits {
    type Shared = ();
    type Ask = ();
    type Token = ();
    fn left(_: &mut Locked<'_, Self>, _: Lane) {}
    fn returned(queue: &mut Locked<'_, Self>, (): ()) {
        release(queue);
    }
}

fn release(queue: &mut Locked<'_, Permits>) {
    if queue.notify(Lane::First, ()).is_err() {
        queue.0 += 1;
    }
}

fn take(queue: &mut Locked<'_, Permits>) -> Option<()> {
    queue.0 = queue.0.checked_sub(1)?;
    Some(())
}

fn acquire(queue: &WaitQueue<Permits>) {
    let mut waiter = pin!(Waiter::new(queue, ()));
    wait(Reason::PARK, |context| {
        waiter.as_mut().poll_or(context, take)
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic)]
fn canary_a_served_waiter_may_vanish_at_once() {
    weaken!("queue_mark_last");
    model("serve against take and free", 6, served_and_freed);
}

#[test]
#[cfg_attr(weftwork_canary, should_panic)]
fn canary_a_token_is_seen_whole_without_the_lock() {
    weaken!("queue_mark_release");
    model("serve against an unlocked look", 6, served_and_freed);
}

/// A waiter in a box, polled until served, then freed.
fn served_and_freed() {
    let queue = Arc::new(WaitQueue::new(Permits(0)));
    let parker = Arc::new(Parker::new());
    let waker = parker.waker();
    let mut context = Context::from_waker(&waker);
    // Joined before there is anybody to serve it.
    let mut waiter = ManuallyDrop::new(Box::pin(Waiter::new(&queue, ())));
    assert!(waiter.as_mut().poll_or(&mut context, take).is_pending());
    let other = thread::spawn({
        let queue = Arc::clone(&queue);
        move || release(&mut queue.lock())
    });
    // Looks without the lock, woken or not: what it finds served is gone at once.
    while waiter.as_mut().take().is_none() {
        parker.park(None);
    }
    drop(ManuallyDrop::into_inner(waiter));
    other.join().unwrap();
    assert_eq!(queue.lock().0, 0);
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "the permit was lost"))]
fn canary_a_token_whose_waiter_is_dropped_goes_on() {
    weaken!("queue_pass_on");
    model("serve against drop", 5, || {
        let queue = Arc::new(WaitQueue::new(Permits(0)));
        let mut waiter = Box::pin(Waiter::new(&queue, ()));
        let mut context = Context::from_waker(Waker::noop());
        assert!(waiter.as_mut().poll_or(&mut context, take).is_pending());
        let other = thread::spawn({
            let queue = Arc::clone(&queue);
            move || release(&mut queue.lock())
        });
        drop(waiter);
        other.join().unwrap();
        assert_eq!(queue.lock().0, 1, "the permit was lost");
    });
}

#[test]
fn the_token_of_a_dropped_waiter_wakes_the_next() {
    model("serve against drop, with another in line", 90, || {
        let queue = Arc::new(WaitQueue::new(Permits(0)));
        let mut first = Box::pin(Waiter::new(&queue, ()));
        let mut context = Context::from_waker(Waker::noop());
        assert!(first.as_mut().poll_or(&mut context, take).is_pending());
        let next = thread::spawn({
            let queue = Arc::clone(&queue);
            move || acquire(&queue)
        });
        let other = thread::spawn({
            let queue = Arc::clone(&queue);
            move || release(&mut queue.lock())
        });
        drop(first);
        other.join().unwrap();
        next.join().unwrap();
        assert_eq!(queue.lock().0, 0);
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic)]
fn canary_a_poll_with_another_waker_is_woken_or_ready() {
    weaken!("queue_look_again");
    model("serve against a poll with another waker", 16, || {
        let queue = Arc::new(WaitQueue::new(Permits(0)));
        let parkers = [(); 2].map(|()| Arc::new(Parker::new()));
        let wakers = [parkers[0].waker(), parkers[1].waker()];
        let mut waiter = ManuallyDrop::new(Box::pin(Waiter::new(&queue, ())));
        let mut context = Context::from_waker(&wakers[0]);
        assert!(waiter.as_mut().poll_or(&mut context, take).is_pending());
        let other = thread::spawn({
            let queue = Arc::clone(&queue);
            move || release(&mut queue.lock())
        });
        let mut context = Context::from_waker(&wakers[1]);
        while waiter.as_mut().poll(&mut context).is_pending() {
            parkers[1].park(None);
        }
        drop(ManuallyDrop::into_inner(waiter));
        other.join().unwrap();
    });
}

#[test]
fn notify_all_against_joining_serves_whoever_saw_the_old_state() {
    /// Whether the news is out.
    struct News(bool);
    impl Line for News {
        type Shared = ();
        type Ask = ();
        type Token = ();
        fn left(_: &mut Locked<'_, Self>, _: Lane) {}
        fn returned(_: &mut Locked<'_, Self>, (): ()) {}
    }
    model("notify_all against joining", 65, || {
        let queue = Arc::new(WaitQueue::new(News(false)));
        let seen = Arc::new(AtomicUsize::new(0));
        let readers = [(); 2].map(|()| {
            let (queue, seen) = (Arc::clone(&queue), Arc::clone(&seen));
            thread::spawn(move || {
                let mut waiter = pin!(Waiter::new(&queue, ()));
                wait(Reason::PARK, |context| {
                    waiter
                        .as_mut()
                        .poll_or(context, |news| news.0.then_some(()))
                });
                seen.fetch_add(1, Ordering::Relaxed);
            })
        });
        let mut news = queue.lock();
        news.0 = true;
        news.notify_all(Lane::First, || ());
        drop(news);
        for reader in readers {
            reader.join().unwrap();
        }
        assert_eq!(seen.load(Ordering::Relaxed), 2);
    });
}

#[test]
fn two_leave_while_a_third_is_served() {
    model("leave against leave against serve", 24, || {
        let queue = Arc::new(WaitQueue::new(Permits(0)));
        let leavers = [(); 2].map(|()| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                let mut waiter = pin!(Waiter::new(&queue, ()));
                let mut context = Context::from_waker(Waker::noop());
                let polled = waiter.as_mut().poll_or(&mut context, take);
                usize::from(polled.is_ready() || waiter.leave().is_some())
            })
        });
        release(&mut queue.lock());
        let taken: usize = leavers.map(|leaver| leaver.join().unwrap()).iter().sum();
        assert_eq!(taken + queue.lock().0, 1);
    });
}
