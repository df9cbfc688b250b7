//! The mutex: std's and parking_lot's contract, hand-overs, timeouts, cancellation, poison, holders.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use support::{Count, all_kinds, poll, runtime, until};
use weftwork_core::Event;
use weftwork_sync::{Condvar, MappedMutexGuard, Mutex, MutexGuard, Party};
use weftwork_testkit::{DropCounter, iters, watchdog};

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn parties_of_every_kind_add_up() {
    let _dog = watchdog(LIMIT);
    let each = iters(20_000, 2_000, 100) as u64;
    let total = Arc::new(Mutex::new(0));
    let (blocking, asynchronous) = (Arc::clone(&total), Arc::clone(&total));
    let parties = all_kinds(
        move || (0..each).for_each(|_| *blocking.lock() += 1),
        || {
            let total = Arc::clone(&asynchronous);
            async move {
                for _ in 0..each {
                    *total.lock_async().await += 1;
                }
            }
        },
    );
    assert_eq!(*total.lock(), parties * each);
    assert!(!total.is_locked());
}

#[test]
fn try_lock_takes_a_free_lock_and_no_other() {
    let mutex = Mutex::new(1);
    let guard = mutex.try_lock().unwrap();
    assert!(mutex.try_lock().is_none());
    drop(guard);
    assert!(mutex.try_lock().is_some());
}

#[test]
fn unsized_values_can_be_locked() {
    let mutex: Box<Mutex<[i32]>> = Box::new(Mutex::new([1, 2, 3]));
    mutex.lock()[0] = 4;
    assert_eq!(*mutex.lock(), [4, 2, 3]);
    let text: &Mutex<dyn std::fmt::Debug> = &Mutex::new("text");
    assert_eq!(format!("{:?}", &*text.lock()), "\"text\"");
}

#[test]
fn the_value_is_dropped_with_the_mutex_once() {
    let drops = DropCounter::new();
    let mutex = Mutex::new(drops.track(1));
    drop(mutex.lock());
    drop(mutex);
    drops.assert_none_live();
}

#[test]
fn debug_shows_the_value_or_that_it_is_locked() {
    let mutex = Mutex::new(7);
    assert_eq!(format!("{mutex:?}"), "Mutex { value: 7, .. }");
    let _guard = mutex.lock();
    assert_eq!(format!("{mutex:?}"), "Mutex { value: <locked>, .. }");
}

#[test]
fn a_timeout_is_never_early_and_leaves_the_mutex_in_order() {
    let _dog = watchdog(LIMIT);
    let mutex = Mutex::new(());
    let guard = mutex.lock();
    std::thread::scope(|s| {
        s.spawn(|| {
            let start = Instant::now();
            assert!(mutex.lock_timeout(Duration::from_millis(20)).is_err());
            assert!(start.elapsed() >= Duration::from_millis(20));
            assert!(mutex.lock_deadline(Instant::now()).is_err());
        });
    });
    drop(guard);
    assert!(mutex.try_lock().is_some());
}

#[test]
fn the_longest_timeout_waits_and_does_not_overflow() {
    let _dog = watchdog(LIMIT);
    let mutex = Mutex::new(());
    let guard = mutex.lock();
    std::thread::scope(|s| {
        let waiter = s.spawn(|| mutex.lock_timeout(Duration::MAX).is_ok());
        drop(guard);
        assert!(waiter.join().unwrap());
    });
}

#[test]
fn a_fair_unlock_hands_over_in_the_order_of_arrival_and_keeps_bargers_out() {
    let mutex = Mutex::new(());
    let guard = mutex.lock();
    let mut first = pin!(mutex.lock_async());
    let mut second = pin!(mutex.lock_async());
    assert!(poll(first.as_mut()).is_pending());
    assert!(poll(second.as_mut()).is_pending());
    MutexGuard::unlock_fair(guard);
    assert!(mutex.is_locked() && mutex.try_lock().is_none());
    assert!(poll(second.as_mut()).is_pending());
    let Poll::Ready(guard) = poll(first.as_mut()) else {
        panic!("the first has it");
    };
    MutexGuard::unlock_fair(guard);
    assert!(poll(second.as_mut()).is_ready());
    assert!(!mutex.is_locked());
}

#[test]
fn a_waiter_that_keeps_losing_gets_the_lock_within_a_bounded_number_of_wins() {
    let mutex = Mutex::new(());
    let mut guard = mutex.lock();
    let mut waiter = pin!(mutex.lock_async());
    for wins in 0..1000 {
        if poll(waiter.as_mut()).is_ready() {
            assert!(wins > 0);
            return;
        }
        drop(guard);
        // A barger: it comes before the waiter that was just woken.
        match mutex.try_lock() {
            Some(again) => guard = again,
            None => {
                assert!(poll(waiter.as_mut()).is_ready(), "reserved for it");
                return;
            }
        }
    }
    panic!("starved");
}

#[test]
fn one_waiter_at_a_time_is_woken_to_compete() {
    let mutex = Mutex::new(());
    let guard = mutex.lock();
    let counts = [(); 3].map(|()| Count::waker());
    let mut waiters = [(); 3].map(|()| Box::pin(mutex.lock_async()));
    for (waiter, (_, waker)) in waiters.iter_mut().zip(&counts) {
        let polled = waiter.as_mut().poll(&mut Context::from_waker(waker));
        assert!(polled.is_pending());
    }
    drop(guard);
    drop(mutex.lock());
    drop(mutex.lock());
    let woken: Vec<_> = counts.iter().map(|(count, _)| count.get()).collect();
    assert_eq!(woken, [1, 0, 0]);
}

/// D16, D55's kin: what was set aside for a future that is dropped goes to the next.
#[test]
fn a_dropped_future_passes_on_its_wake_and_its_hand_over() {
    for fair in [false, true] {
        let mutex = Mutex::new(());
        let guard = mutex.lock();
        let mut first = Box::pin(mutex.lock_async());
        assert!(poll(first.as_mut()).is_pending());
        let (count, waker) = Count::waker();
        let mut second = pin!(mutex.lock_async());
        let mut context = Context::from_waker(&waker);
        assert!(second.as_mut().poll(&mut context).is_pending());
        if fair {
            MutexGuard::unlock_fair(guard);
        } else {
            drop(guard);
        }
        assert_eq!(count.get(), 0);
        drop(first);
        assert_eq!(count.get(), 1);
        assert!(second.as_mut().poll(&mut context).is_ready());
    }
}

/// D20: a poll under another waker, right before and right after the unlock.
#[test]
fn the_waker_of_the_last_poll_is_the_one_that_is_called() {
    let mutex = Mutex::new(());
    let guard = mutex.lock();
    let mut waiter = pin!(mutex.lock_async());
    let [(old, old_waker), (new, new_waker)] = [(); 2].map(|()| Count::waker());
    for waker in [&old_waker, &new_waker] {
        let polled = waiter.as_mut().poll(&mut Context::from_waker(waker));
        assert!(polled.is_pending());
    }
    drop(guard);
    assert_eq!((old.get(), new.get()), (0, 1));
    // It was woken under one waker and is polled under another.
    let polled = waiter.as_mut().poll(&mut Context::from_waker(&old_waker));
    assert!(polled.is_ready());
}

#[test]
fn a_cancelled_green_thread_leaves_the_line_and_the_next_gets_the_lock() {
    let _dog = watchdog(LIMIT);
    let mutex = Arc::new(Mutex::new(0));
    let ours = Arc::clone(&mutex);
    runtime().run(move || {
        let guard = ours.lock();
        let waiting = Arc::new(AtomicUsize::new(0));
        let [first, second] = [(); 2].map(|()| {
            let (mutex, waiting) = (Arc::clone(&ours), Arc::clone(&waiting));
            weftwork_sched::spawn(move || {
                waiting.fetch_add(1, Ordering::SeqCst);
                *mutex.lock() += 1;
            })
        });
        while waiting.load(Ordering::SeqCst) < 2 {
            weftwork_sched::yield_now();
        }
        first.task_ref().cancel();
        assert!(first.join().unwrap_err().is_cancelled());
        drop(guard);
        second.join().unwrap();
    });
    assert_eq!(*mutex.lock(), 1);
}

#[test]
fn a_guard_survives_the_cancellation_of_its_holder_and_unlocks() {
    let _dog = watchdog(LIMIT);
    let mutex = Arc::new(Mutex::new(0));
    let ours = Arc::clone(&mutex);
    runtime().run(move || {
        let mutex = Arc::clone(&ours);
        let holder = weftwork_sched::spawn(move || {
            let _guard = mutex.lock();
            weftwork_sched::park();
            unreachable!("only a cancellation ends this");
        });
        while !ours.is_locked() {
            weftwork_sched::yield_now();
        }
        holder.task_ref().cancel();
        assert!(holder.join().unwrap_err().is_cancelled());
        assert!(!ours.is_locked());
    });
}

#[test]
fn a_green_thread_that_waits_lets_its_worker_go_on() {
    let _dog = watchdog(LIMIT);
    let runtime = weftwork_sched::Runtime::builder()
        .workers(1)
        .build()
        .unwrap();
    runtime.run(|| {
        let mutex = Arc::new(Mutex::new(0));
        let guard = mutex.lock();
        let waiter = weftwork_sched::spawn({
            let mutex = Arc::clone(&mutex);
            move || *mutex.lock() += 1
        });
        // The only worker runs the waiter until it waits, and comes back.
        weftwork_sched::yield_now();
        assert!(!waiter.is_finished());
        drop(guard);
        waiter.join().unwrap();
        assert_eq!(*mutex.lock(), 1);
    });
}

#[test]
fn a_mutex_does_not_poison_unless_asked_to() {
    let mutex = Mutex::new(1);
    let panicked = catch_unwind(|| {
        let _guard = mutex.lock();
        std::panic::resume_unwind(Box::new(()));
    });
    assert!(panicked.is_err() && !mutex.is_poisoned());
    assert_eq!(*mutex.lock(), 1);
}

#[test]
fn a_poisoned_mutex_panics_naming_the_line_or_says_so_until_it_is_cleared() {
    let mutex = Mutex::poisoning(1);
    let line = line!() + 2;
    let panicked = catch_unwind(|| {
        let mut guard = mutex.lock();
        *guard = 2;
        std::panic::resume_unwind(Box::new(()));
    });
    assert!(panicked.is_err() && mutex.is_poisoned() && !mutex.is_locked());
    let refused = catch_unwind(|| drop(mutex.lock())).unwrap_err();
    let message = refused.downcast_ref::<String>().unwrap();
    assert!(message.contains(&format!("mutex.rs:{line}:")), "{message}");
    assert!(catch_unwind(|| drop(mutex.try_lock())).is_err());
    assert!(!mutex.is_locked(), "a refused lock is given up");
    let error = mutex.lock_checked().unwrap_err();
    assert_eq!(error.location().map(|at| at.line()), Some(line));
    assert_eq!(*error.into_inner(), 2);
    mutex.clear_poison();
    assert_eq!(*mutex.lock(), 2);
}

#[test]
fn a_guard_taken_while_panicking_does_not_poison() {
    struct Locks<'a>(&'a Mutex<i32>);
    impl Drop for Locks<'_> {
        fn drop(&mut self) {
            *self.0.lock() += 1;
        }
    }
    let mutex = Mutex::poisoning(1);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _locks = Locks(&mutex);
        std::panic::resume_unwind(Box::new(()));
    }));
    assert!(panicked.is_err() && !mutex.is_poisoned());
    assert_eq!(*mutex.lock(), 2);
    // A poisoned one lets a destructor in, too: a second panic would end the process.
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _locks = Locks(&mutex);
        let _guard = mutex.lock();
        std::panic::resume_unwind(Box::new(()));
    }));
    assert!(panicked.is_err() && mutex.is_poisoned());
    assert_eq!(**mutex.lock_checked().unwrap_err().get_ref(), 3);
}

#[test]
fn a_mapped_guard_poisons_and_unlocks_as_the_whole_one_does() {
    let mutex = Mutex::poisoning((1, 2));
    let mut part = MutexGuard::map(mutex.lock(), |pair| &mut pair.1);
    *part += 1;
    let part = MappedMutexGuard::map(part, |n| n);
    assert!(mutex.try_lock().is_none());
    drop(part);
    assert_eq!(*mutex.lock(), (1, 3));
    let panicked = catch_unwind(|| {
        let _part = MutexGuard::map(mutex.lock(), |pair| &mut pair.0);
        std::panic::resume_unwind(Box::new(()));
    });
    assert!(panicked.is_err() && mutex.is_poisoned());
}

#[test]
fn the_holder_is_named_by_party_and_line() {
    let _dog = watchdog(LIMIT);
    let mutex = Arc::new(Mutex::new(()));
    let line = line!() + 1;
    let guard = mutex.lock();
    let holder = mutex.holder().unwrap();
    assert_eq!(
        (holder.party, holder.location.line()),
        (Party::current(), line)
    );
    assert!(matches!(holder.party, Party::Thread(_)));
    drop(guard);
    assert!(mutex.holder().is_none());
    let theirs = Arc::clone(&mutex);
    runtime().run(move || {
        let [a, b] = [(); 2].map(|()| {
            let mutex = Arc::clone(&theirs);
            weftwork_sched::spawn(move || {
                let _guard = mutex.lock();
                weftwork_sched::yield_now();
                mutex.holder().unwrap().party
            })
        });
        let ids = [a.id(), b.id()].map(|id| id.get());
        let parties = [a.join().unwrap(), b.join().unwrap()];
        for (id, party) in ids.into_iter().zip(parties) {
            assert!(matches!(party, Party::Task(number) if number.get() == id));
        }
    });
}

/// D46: a wait in the destructor of a thread-local.
#[test]
fn a_destructor_of_a_thread_local_may_wait() {
    static MUTEX: Mutex<u32> = Mutex::new(0);
    static LOCKING: AtomicBool = AtomicBool::new(false);
    struct Locks;
    impl Drop for Locks {
        fn drop(&mut self) {
            LOCKING.store(true, Ordering::SeqCst);
            *MUTEX.lock() += 1;
        }
    }
    thread_local!(static LOCKS: Locks = const { Locks });
    let _dog = watchdog(LIMIT);
    let guard = MUTEX.lock();
    let thread = std::thread::spawn(|| LOCKS.with(|_| ()));
    until(|| LOCKING.load(Ordering::SeqCst));
    drop(guard);
    thread.join().unwrap();
    assert_eq!(*MUTEX.lock(), 1);
}

#[test]
fn futures_of_locks_are_events_and_may_go_to_other_threads() {
    fn is_event<E: Event + Send>(_: E) {}
    is_event(Mutex::new(0).lock_async());
    fn is_sync<T: Sync + Send>() {}
    is_sync::<Mutex<std::cell::Cell<i32>>>();
    is_sync::<Condvar>();
}

#[test]
fn an_idle_mutex_is_small() {
    // The word, the notes for reports, the lanes of the queue.
    assert!(size_of::<Mutex<()>>() <= 96, "{}", size_of::<Mutex<()>>());
}
