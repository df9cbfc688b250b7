//! The wait queue: its order, who is woken and when, what leaving does, and which code runs unlocked.

use proptest::prelude::*;
use std::collections::VecDeque;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use weftwork_core::wait::queue::{Lane, Line, Locked, WaitQueue, Waiter};
use weftwork_core::wait::{Reason, wait};
use weftwork_testkit::{DropCounter, watchdog};

/// Hands numbers out, and remembers what came back.
#[derive(Default)]
struct Numbers {
    returned: Vec<u32>,
    left: Vec<Lane>,
}

impl Line for Numbers {
    type Shared = ();
    type Ask = u32;
    type Token = u32;
    fn left(queue: &mut Locked<'_, Self>, lane: Lane) {
        queue.left.push(lane);
    }
    fn returned(queue: &mut Locked<'_, Self>, token: u32) {
        queue.returned.push(token);
    }
}

/// A waker that counts its calls.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Count {
    fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

fn counter() -> (Arc<Count>, Waker) {
    let count = Arc::new(Count::default());
    (Arc::clone(&count), count.into())
}

type Boxed<'q> = Pin<Box<Waiter<'q, Numbers>>>;

fn join<'q>(queue: &'q WaitQueue<Numbers>, lane: Lane, ask: u32, waker: &Waker) -> Boxed<'q> {
    let mut waiter = Box::pin(Waiter::in_lane(queue, lane, ask));
    let polled = waiter
        .as_mut()
        .poll_or(&mut Context::from_waker(waker), |_| None);
    assert!(polled.is_pending());
    waiter
}

#[test]
fn waiters_are_served_in_the_order_they_came_each_lane_for_itself() {
    let queue = WaitQueue::new(Numbers::default());
    let (_, waker) = counter();
    let mut a = join(&queue, Lane::First, 1, &waker);
    let mut b = join(&queue, Lane::Second, 2, &waker);
    let mut c = join(&queue, Lane::First, 3, &waker);
    let mut locked = queue.lock();
    assert_eq!(locked.front(Lane::First), Some(&1));
    assert_eq!(locked.notify(Lane::First, 10), Ok(()));
    assert_eq!(locked.front(Lane::First), Some(&3));
    assert_eq!(locked.notify(Lane::First, 11), Ok(()));
    assert_eq!(locked.notify(Lane::First, 12), Err(12));
    assert!(locked.is_empty(Lane::First) && !locked.is_empty(Lane::Second));
    drop(locked);
    assert_eq!(a.as_mut().take(), Some(10));
    assert_eq!(b.as_mut().take(), None);
    assert_eq!(c.as_mut().take(), Some(11));
}

#[test]
fn one_that_joins_at_the_front_is_served_first() {
    let queue = WaitQueue::new(Numbers::default());
    let (_, waker) = counter();
    let mut a = join(&queue, Lane::First, 1, &waker);
    let mut b = Box::pin(Waiter::new(&queue, 2));
    b.as_mut().set_waker(&waker);
    queue.lock().push_front(b.as_mut());
    queue.lock().notify(Lane::First, 7).unwrap();
    assert!(b.as_mut().take().is_some() && a.as_mut().take().is_none());
}

#[test]
fn the_waker_of_the_last_poll_is_called_once_after_the_queue_was_unlocked() {
    struct Looks(&'static WaitQueue<Numbers>, AtomicUsize);
    impl Wake for Looks {
        fn wake(self: Arc<Self>) {
            // Would wait for ever if the queue were locked.
            drop(self.0.lock());
            self.1.fetch_add(1, Ordering::Relaxed);
        }
    }
    let _dog = watchdog(Duration::from_secs(60));
    static QUEUE: WaitQueue<Numbers> = WaitQueue::new(Numbers {
        returned: Vec::new(),
        left: Vec::new(),
    });
    let (before, old) = counter();
    let looks = Arc::new(Looks(&QUEUE, AtomicUsize::new(0)));
    let new = Waker::from(Arc::clone(&looks));
    let mut waiter = join(&QUEUE, Lane::First, 1, &old);
    let mut context = Context::from_waker(&new);
    assert!(waiter.as_mut().poll(&mut context).is_pending());
    let mut locked = QUEUE.lock();
    locked.notify(Lane::First, 5).unwrap();
    assert_eq!(looks.1.load(Ordering::Relaxed), 0);
    drop(locked);
    assert_eq!((before.get(), looks.1.load(Ordering::Relaxed)), (0, 1));
    assert_eq!(waiter.as_mut().poll(&mut context), Poll::Ready(5));
}

#[test]
fn wakers_are_cloned_and_dropped_while_the_queue_is_unlocked() {
    /// Locks the queue in its clone and in its drop.
    struct Touchy;
    static QUEUE: OnceLock<WaitQueue<Numbers>> = OnceLock::new();
    static TOUCHED: AtomicUsize = AtomicUsize::new(0);
    fn touch() {
        drop(QUEUE.get().unwrap().lock());
        TOUCHED.fetch_add(1, Ordering::Relaxed);
    }
    mod table {
        use std::task::{RawWaker, RawWakerVTable};
        pub(super) static TABLE: RawWakerVTable = RawWakerVTable::new(
            |data| {
                super::touch_from_waker();
                RawWaker::new(data.wrapping_byte_add(1), &TABLE)
            },
            |_| super::touch_from_waker(),
            |_| super::touch_from_waker(),
            |_| super::touch_from_waker(),
        );
    }
    TOUCH.set(touch).unwrap();
    impl Touchy {
        fn waker(n: usize) -> Waker {
            let data = std::ptr::without_provenance::<()>(n * 4096);
            // SAFETY: the functions do nothing with the data.
            unsafe { Waker::from_raw(std::task::RawWaker::new(data, &table::TABLE)) }
        }
    }
    let _dog = watchdog(Duration::from_secs(60));
    let queue = QUEUE.get_or_init(WaitQueue::default);
    let mut waiter = join(queue, Lane::First, 1, &Touchy::waker(1));
    let second = Touchy::waker(2);
    let polled = waiter.as_mut().poll(&mut Context::from_waker(&second));
    assert!(polled.is_pending());
    assert_eq!(waiter.as_mut().leave(), None);
    let before = TOUCHED.load(Ordering::Relaxed);
    assert!(before >= 4, "cloned twice, dropped twice");
}

static TOUCH: OnceLock<fn()> = OnceLock::new();

fn touch_from_waker() {
    TOUCH.get().unwrap()();
}

#[test]
fn a_waiter_that_leaves_is_reported_and_those_behind_it_move_up() {
    let queue = WaitQueue::new(Numbers::default());
    let (count, waker) = counter();
    let a = join(&queue, Lane::Second, 1, &waker);
    let b = join(&queue, Lane::Second, 2, &waker);
    drop(a);
    assert_eq!(queue.lock().left, [Lane::Second]);
    assert_eq!(queue.lock().front(Lane::Second), Some(&2));
    drop(b);
    assert!(queue.lock().is_empty(Lane::Second));
    assert_eq!(count.get(), 0);
}

#[test]
fn the_token_of_a_waiter_that_is_dropped_goes_back_and_a_taken_one_does_not() {
    let queue = WaitQueue::new(Numbers::default());
    let (_, waker) = counter();
    let a = join(&queue, Lane::First, 1, &waker);
    let mut b = join(&queue, Lane::First, 2, &waker);
    queue.lock().notify(Lane::First, 10).unwrap();
    queue.lock().notify(Lane::First, 20).unwrap();
    drop(a);
    assert_eq!(b.as_mut().leave(), Some(20));
    drop(b);
    assert_eq!(queue.lock().returned, [10]);
    assert!(queue.lock().left.is_empty());
}

#[test]
fn a_served_waiter_may_wait_again() {
    let queue = WaitQueue::new(Numbers::default());
    let (count, waker) = counter();
    let mut context = Context::from_waker(&waker);
    let mut waiter = join(&queue, Lane::First, 1, &waker);
    for n in 0..3 {
        queue.lock().notify(Lane::First, n).unwrap();
        assert_eq!(waiter.as_mut().poll(&mut context), Poll::Ready(n));
        assert!(waiter.as_mut().poll_or(&mut context, |_| None).is_pending());
    }
    assert_eq!(count.get(), 3);
}

#[test]
fn notify_all_serves_those_queued_at_its_start_alone_and_all_of_them() {
    /// Joins a waiter of its own when it is woken, before the others are.
    struct Joins(Arc<WaitQueue<Numbers>>, Mutex<Vec<Boxed<'static>>>, bool);
    impl Wake for Joins {
        fn wake(self: Arc<Self>) {
            let queue = Arc::clone(&self.0);
            let mut waiter = Box::pin(Waiter::owned(queue, |queue| queue, Lane::First, 99));
            waiter.as_mut().set_waker(Waker::noop());
            if self.2 {
                self.0.lock().push_front(waiter.as_mut());
            } else {
                self.0.lock().push_back(waiter.as_mut());
            }
            self.1.lock().unwrap().push(waiter);
        }
    }
    for front in [false, true] {
        let queue = Arc::new(WaitQueue::new(Numbers::default()));
        let joins = Arc::new(Joins(Arc::clone(&queue), Mutex::default(), front));
        let waker = Waker::from(Arc::clone(&joins));
        let mut waiters: Vec<_> = (0..100)
            .map(|n| join(&queue, Lane::First, n, &waker))
            .collect();
        let mut next = 0;
        queue.lock().notify_all(Lane::First, || {
            next += 1;
            next
        });
        for (n, waiter) in (1..).zip(&mut waiters) {
            assert_eq!(waiter.as_mut().take(), Some(n));
        }
        let mut late = joins.1.lock().unwrap();
        assert_eq!(late.len(), 100);
        assert!(late.iter().all(|waiter| !waiter.is_served()));
        late.clear();
    }
}

#[test]
fn a_waker_that_panics_does_not_keep_the_others_asleep() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("a waker of the user's");
        }
    }
    let queue = WaitQueue::new(Numbers::default());
    let (count, waker) = counter();
    let bad = Waker::from(Arc::new(Panics));
    let _waiters = [
        join(&queue, Lane::First, 1, &waker),
        join(&queue, Lane::First, 2, &bad),
        join(&queue, Lane::First, 3, &waker),
        join(&queue, Lane::First, 4, &waker),
    ];
    let woken = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        queue.lock().notify_all(Lane::First, || 0);
    }));
    assert!(woken.is_err());
    assert_eq!(count.get(), 3);
}

#[test]
fn an_owned_waiter_keeps_its_queue_alive() {
    let drops = DropCounter::new();
    let queue = Arc::new((WaitQueue::new(Numbers::default()), drops.track(())));
    let (_, waker) = counter();
    let mut waiter = Box::pin(Waiter::owned(queue, |pair| &pair.0, Lane::First, 1));
    let mut context = Context::from_waker(&waker);
    assert!(waiter.as_mut().poll_or(&mut context, |_| None).is_pending());
    assert_eq!(drops.live(), 1);
    drop(waiter);
    drops.assert_none_live();
}

#[test]
#[should_panic(expected = "not made for")]
fn a_waiter_of_another_queue_is_refused() {
    let queues = [(); 2].map(|()| WaitQueue::new(Numbers::default()));
    let waiter = pin!(Waiter::new(&queues[0], 1));
    queues[1].lock().push_back(waiter);
}

#[test]
#[should_panic(expected = "joined a queue twice")]
fn a_waiter_that_waits_is_refused() {
    let queue = WaitQueue::new(Numbers::default());
    let mut waiter = join(&queue, Lane::First, 1, Waker::noop());
    queue.lock().push_back(waiter.as_mut());
}

#[test]
fn threads_hand_a_number_around_in_the_order_they_joined() {
    let _dog = watchdog(Duration::from_secs(60));
    let queue = WaitQueue::new(Numbers::default());
    let order = Mutex::new(Vec::new());
    std::thread::scope(|s| {
        for n in 0..4 {
            let (queue, order) = (&queue, &order);
            s.spawn(move || {
                let mut waiter = pin!(Waiter::new(queue, n));
                let got = wait(Reason::PARK, |context| {
                    waiter.as_mut().poll_or(context, |_| None)
                });
                order.lock().unwrap().push((n, got));
            });
        }
        for got in 0..4 {
            let asked = loop {
                let mut locked = queue.lock();
                if let Some(&asked) = locked.front(Lane::First) {
                    locked.notify(Lane::First, got).unwrap();
                    break asked;
                }
                drop(locked);
                std::thread::yield_now();
            };
            while !order.lock().unwrap().contains(&(asked, got)) {
                std::thread::yield_now();
            }
        }
    });
}

#[derive(Debug, Clone)]
enum Step {
    Back(usize),
    Front(usize),
    Notify,
    NotifyAll,
    Leave(usize),
    Drop(usize),
    Take(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let slot = 0..8_usize;
    prop_oneof![
        3 => slot.clone().prop_map(Step::Back),
        1 => slot.clone().prop_map(Step::Front),
        2 => Just(Step::Notify),
        1 => Just(Step::NotifyAll),
        1 => slot.clone().prop_map(Step::Leave),
        1 => slot.clone().prop_map(Step::Drop),
        2 => slot.prop_map(Step::Take),
    ]
}

proptest! {
    /// Eight waiters against a `VecDeque` of their numbers.
    #[test]
    fn the_queue_does_what_a_deque_does(steps in proptest::collection::vec(step(), 0..80)) {
        let queue = WaitQueue::new(Numbers::default());
        let mut waiters: Vec<Boxed<'_>> =
            (0..8).map(|n| Box::pin(Waiter::new(&queue, n))).collect();
        let mut line: VecDeque<usize> = VecDeque::new();
        let mut tokens = [None; 8];
        let mut returned = Vec::new();
        for (n, step) in (0..).zip(steps) {
            match step {
                Step::Back(k) | Step::Front(k) if line.contains(&k) || tokens[k].is_some() => {}
                Step::Back(k) => {
                    waiters[k].as_mut().set_waker(Waker::noop());
                    queue.lock().push_back(waiters[k].as_mut());
                    line.push_back(k);
                }
                Step::Front(k) => {
                    waiters[k].as_mut().set_waker(Waker::noop());
                    queue.lock().push_front(waiters[k].as_mut());
                    line.push_front(k);
                }
                Step::Notify => {
                    let served = line.pop_front();
                    prop_assert_eq!(queue.lock().notify(Lane::First, n).is_ok(), served.is_some());
                    if let Some(k) = served {
                        tokens[k] = Some(n);
                    }
                }
                Step::NotifyAll => {
                    queue.lock().notify_all(Lane::First, || n);
                    line.drain(..).for_each(|k| tokens[k] = Some(n));
                }
                Step::Leave(k) => {
                    prop_assert_eq!(waiters[k].as_mut().leave(), tokens[k].take());
                    line.retain(|other| *other != k);
                }
                Step::Drop(k) => {
                    waiters[k] = Box::pin(Waiter::new(&queue, u32::try_from(k).unwrap()));
                    returned.extend(tokens[k].take());
                    line.retain(|other| *other != k);
                }
                Step::Take(k) => {
                    prop_assert_eq!(waiters[k].as_mut().take(), tokens[k].take());
                }
            }
            let front = line.front().map(|k| u32::try_from(*k).unwrap());
            prop_assert_eq!(queue.lock().front(Lane::First).copied(), front);
        }
        drop(waiters);
        returned.extend(tokens.into_iter().flatten());
        prop_assert_eq!(&queue.lock().returned, &returned);
    }
}
