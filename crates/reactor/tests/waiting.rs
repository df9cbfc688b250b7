//! Waiting, time and wakes.

mod support;

use std::io::Write;
use std::os::fd::AsRawFd;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use support::{NOW, T, pipe};
use weftwork_reactor::{Clock, Events, Interest, Mode, Poller, Wheel};
use weftwork_testkit::{iters, with_watchdog};

/// Pollers of both ways to count time, where the kernel has both.
fn pollers() -> [Poller; 2] {
    [
        Poller::new().unwrap(),
        Poller::with_millisecond_timeouts().unwrap(),
    ]
}

#[test]
fn the_millisecond_path_can_be_forced() {
    let [best, coarse] = pollers();
    assert!(!coarse.has_nanosecond_timeouts());
    if cfg!(weftwork_force_epoll_ms) {
        assert!(!best.has_nanosecond_timeouts());
    }
}

#[test]
fn a_wait_never_ends_before_its_timeout() {
    with_watchdog(Duration::from_secs(60), || {
        for poller in pollers() {
            let mut events = Events::with_capacity(4);
            for ns in [
                1, 999, 50_000, 999_999, 1_000_000, 1_000_001, 3_100_000, 20_000_000,
            ] {
                let timeout = Duration::from_nanos(ns);
                let start = Instant::now();
                assert_eq!(poller.wait(&mut events, Some(timeout)).unwrap(), 0);
                assert!(
                    start.elapsed() >= timeout,
                    "{timeout:?} took {:?}",
                    start.elapsed()
                );
            }
        }
    });
}

#[test]
fn a_zero_timeout_returns_at_once_with_and_without_events() {
    with_watchdog(Duration::from_secs(60), || {
        for poller in pollers() {
            let (reader, mut writer) = pipe();
            poller
                .add(reader.as_raw_fd(), T, Interest::READABLE, Mode::Edge)
                .unwrap();
            let mut events = Events::with_capacity(4);
            assert_eq!(poller.wait(&mut events, NOW).unwrap(), 0);
            writer.write_all(b"x").unwrap();
            assert_eq!(poller.wait(&mut events, NOW).unwrap(), 1);
        }
    });
}

#[test]
fn huge_timeouts_wait_and_do_not_wrap() {
    with_watchdog(Duration::from_secs(60), || {
        let millisecond = Duration::from_millis(1);
        let top = Duration::from_millis(i32::MAX as u64);
        let timeouts = [
            top - millisecond,
            top,
            top + millisecond,
            Duration::from_millis(u32::MAX.into()),
            Duration::from_secs(25 * 24 * 3600),
            Duration::from_secs(i64::MAX as u64),
            Duration::MAX,
        ];
        for poller in pollers() {
            for timeout in timeouts {
                let (reader, mut writer) = pipe();
                poller
                    .add(reader.as_raw_fd(), T, Interest::READABLE, Mode::Edge)
                    .unwrap();
                std::thread::scope(|scope| {
                    let waiting = scope.spawn(|| {
                        let mut events = Events::with_capacity(4);
                        poller.wait(&mut events, Some(timeout)).unwrap()
                    });
                    for _ in 0..20 {
                        std::thread::yield_now();
                    }
                    assert!(!waiting.is_finished(), "{timeout:?} ended at once");
                    writer.write_all(b"x").unwrap();
                    assert_eq!(
                        waiting.join().unwrap(),
                        1,
                        "{timeout:?} ended without the event"
                    );
                });
            }
        }
    });
}

#[test]
fn a_wake_before_the_wait_ends_it_and_only_it() {
    with_watchdog(Duration::from_secs(60), || {
        let poller = Poller::new().unwrap();
        let mut events = Events::with_capacity(4);
        for _ in 0..3 {
            poller.wake().unwrap();
        }
        assert_eq!(poller.wait(&mut events, None).unwrap(), 0);
        assert!(events.is_woken());
        let timeout = Duration::from_millis(5);
        let start = Instant::now();
        assert_eq!(poller.wait(&mut events, Some(timeout)).unwrap(), 0);
        assert!(!events.is_woken() && start.elapsed() >= timeout);
    });
}

#[test]
fn a_wake_beside_events_hides_none_of_them() {
    let poller = Poller::new().unwrap();
    let (reader, mut writer) = pipe();
    poller
        .add(reader.as_raw_fd(), T, Interest::READABLE, Mode::Edge)
        .unwrap();
    writer.write_all(b"x").unwrap();
    poller.wake().unwrap();
    let mut events = Events::with_capacity(4);
    assert_eq!(poller.wait(&mut events, None).unwrap(), 1);
    assert!(events.is_woken());
}

#[test]
fn a_poll_without_blocking_leaves_the_wake_to_the_next_wait() {
    with_watchdog(Duration::from_secs(60), || {
        let poller = Poller::new().unwrap();
        let mut events = Events::with_capacity(4);
        poller.wake().unwrap();
        for _ in 0..3 {
            assert_eq!(poller.wait(&mut events, NOW).unwrap(), 0);
            assert!(!events.is_woken());
        }
        poller.wait(&mut events, None).unwrap();
        assert!(events.is_woken());
    });
}

#[test]
fn wakes_of_an_awake_poller_cost_no_system_call() {
    let poller = Poller::new().unwrap();
    for _ in 0..1000 {
        poller.wake().unwrap();
    }
    let stats = poller.stats();
    assert_eq!((stats.wakes_written, stats.wakes_elided), (0, 1000));
}

#[test]
fn a_storm_of_wakes_writes_at_most_once_per_sleep_and_loses_nothing() {
    with_watchdog(Duration::from_secs(300), || {
        const THREADS: usize = 4;
        let wakes = iters(200_000, 50_000, 1_000);
        let poller = Poller::new().unwrap();
        let produced = AtomicUsize::new(0);
        let mut waits = 0;
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for _ in 0..wakes {
                        produced.fetch_add(1, Ordering::Relaxed);
                        poller.wake().unwrap();
                    }
                });
            }
            let mut events = Events::with_capacity(4);
            // Ends only if the wake after the last item is not lost.
            while produced.load(Ordering::Relaxed) < THREADS * wakes {
                poller.wait(&mut events, None).unwrap();
                waits += 1;
            }
        });
        let stats = poller.stats();
        assert!(stats.wakes_written <= waits, "{stats:?} in {waits} waits");
        assert_eq!(
            stats.wakes_written + stats.wakes_elided,
            (THREADS * wakes) as u64
        );
    });
}

#[test]
fn a_helper_that_polls_does_not_rob_the_sleeper_of_its_wake() {
    with_watchdog(Duration::from_secs(300), || {
        let rounds = iters(5_000, 1_000, 50);
        let poller = Poller::new().unwrap();
        let over = AtomicBool::new(false);
        let round = AtomicUsize::new(0);
        let barrier = Barrier::new(2);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut events = Events::with_capacity(4);
                while !over.load(Ordering::SeqCst) {
                    poller.wait(&mut events, NOW).unwrap();
                }
            });
            scope.spawn(|| {
                for n in 1..=rounds {
                    barrier.wait();
                    round.store(n, Ordering::SeqCst);
                    poller.wake().unwrap();
                }
            });
            let mut events = Events::with_capacity(4);
            for n in 1..=rounds {
                barrier.wait();
                while round.load(Ordering::SeqCst) < n {
                    poller.wait(&mut events, None).unwrap();
                }
            }
            over.store(true, Ordering::SeqCst);
        });
    });
}

#[test]
fn every_thread_asleep_is_reached_if_the_waker_goes_on() {
    with_watchdog(Duration::from_secs(60), || {
        let poller = Poller::new().unwrap();
        std::thread::scope(|scope| {
            let sleepers = [(); 3].map(|()| {
                scope.spawn(|| {
                    let mut events = Events::with_capacity(4);
                    while !events.is_woken() {
                        poller.wait(&mut events, None).unwrap();
                    }
                })
            });
            while !sleepers.iter().all(|s| s.is_finished()) {
                poller.wake().unwrap();
                std::thread::yield_now();
            }
        });
    });
}

#[test]
fn the_last_look_before_sleep_can_keep_a_wait_from_blocking() {
    with_watchdog(Duration::from_secs(60), || {
        let poller = Poller::new().unwrap();
        let mut events = Events::with_capacity(4);
        assert_eq!(poller.wait_with(&mut events, None, || false).unwrap(), 0);
        // Announced as asleep, so a wake in between is written, and the wait returns.
        let woken = poller.wait_with(&mut events, None, || {
            poller.wake().unwrap();
            true
        });
        assert_eq!(woken.unwrap(), 0);
        assert!(events.is_woken());
        assert_eq!(poller.stats().wakes_written, 1);
        let unused = poller.wait_with(&mut events, NOW, || unreachable!("cannot block"));
        assert_eq!(unused.unwrap(), 0);
    });
}

#[test]
fn a_panic_in_the_last_look_leaves_the_poller_awake() {
    with_watchdog(Duration::from_secs(60), || {
        let poller = Poller::new().unwrap();
        let mut events = Events::with_capacity(4);
        let wait = std::panic::AssertUnwindSafe(|| {
            poller.wait_with(&mut events, None, || panic!("the caller's"))
        });
        assert!(std::panic::catch_unwind(wait).is_err());
        poller.wake().unwrap();
        assert_eq!(poller.stats().wakes_written, 0, "nobody sleeps");
        poller.wait(&mut events, None).unwrap();
        assert!(events.is_woken());
    });
}

#[test]
fn signals_neither_shorten_a_wait_nor_lengthen_it_nor_spoil_wakes() {
    static CAUGHT: AtomicUsize = AtomicUsize::new(0);
    extern "C" fn count(_: libc::c_int) {
        CAUGHT.fetch_add(1, Ordering::Relaxed);
    }
    with_watchdog(Duration::from_secs(60), || {
        let handler: extern "C" fn(libc::c_int) = count;
        // SAFETY: a sigaction of zeroes is valid; the handler only adds to an atomic, and the
        // structs outlive the call.
        let set = unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = handler as usize;
            action.sa_flags = libc::SA_RESTART;
            libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut())
        };
        support::check(set).unwrap();
        for poller in pollers() {
            // SAFETY: pthread_self has no requirements.
            let me = unsafe { libc::pthread_self() };
            let over = AtomicBool::new(false);
            let timeout = Duration::from_millis(100);
            let start = Instant::now();
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    while !over.load(Ordering::SeqCst) {
                        // SAFETY: the thread lives: it waits for this one at the end of the scope.
                        unsafe { libc::pthread_kill(me, libc::SIGUSR1) };
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    poller.wake().unwrap();
                });
                let mut events = Events::with_capacity(4);
                assert_eq!(poller.wait(&mut events, Some(timeout)).unwrap(), 0);
                assert!(start.elapsed() >= timeout, "a signal shortened the wait");
                over.store(true, Ordering::SeqCst);
                poller.wait(&mut events, None).unwrap();
                assert!(events.is_woken());
            });
        }
        assert!(
            CAUGHT.load(Ordering::Relaxed) > 10,
            "the signals did not arrive"
        );
    });
}

#[test]
fn a_new_earliest_timer_interrupts_a_longer_wait() {
    with_watchdog(Duration::from_secs(120), || {
        let poller = Poller::new().unwrap();
        let clock = Clock::new();
        let wheel = weftwork_core::sync::Mutex::new(Wheel::new(clock.now_ns()));
        let rounds = iters(300, 50, 5);
        let (fired_to, fired) = std::sync::mpsc::channel();
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut events = Events::with_capacity(4);
                let mut due = Vec::new();
                wheel
                    .lock()
                    .insert(clock.deadline(Duration::from_secs(60)), u64::MAX);
                while !over.load(Ordering::SeqCst) {
                    let next = wheel.lock().next_deadline().unwrap();
                    let timeout = Clock::remaining(clock.now_ns(), next);
                    poller.wait(&mut events, timeout).unwrap();
                    let now = clock.now_ns();
                    wheel.lock().advance(now, &mut due);
                    for deadline in due.drain(..) {
                        fired_to.send((deadline, now)).unwrap();
                    }
                }
            });
            for _ in 0..rounds {
                let deadline = clock.deadline(Duration::from_millis(2));
                wheel.lock().insert(deadline, deadline);
                poller.wake().unwrap();
                let (fired, at) = fired.recv().unwrap();
                assert_eq!(fired, deadline);
                assert!(at >= deadline, "fired {} ns early", deadline - at);
            }
            over.store(true, Ordering::SeqCst);
            poller.wake().unwrap();
        });
    });
}
