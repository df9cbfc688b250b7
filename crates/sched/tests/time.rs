//! Sleeps, limits and intervals. Never early is asserted; how late depends on the machine.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::{Count, OnDrop, with_runtime, with_runtimes};
use weftwork_sched::{
    MissedTicks, Sleep, TimedOut, block_on, checkpoint, interval, park, sleep, sleep_async,
    sleep_until, spawn, spawn_async, timeout, timeout_async, yield_now,
};
use weftwork_testkit::iters;

const MS: Duration = Duration::from_millis(1);

#[test]
fn a_sleep_is_never_early_wherever_it_is() {
    support::watched(|| {
        let start = Instant::now();
        sleep(3 * MS);
        assert!(start.elapsed() >= 3 * MS);
    });
    with_runtimes(|rt| {
        let sleepers: Vec<_> = (0..iters(300, 100, 20))
            .map(|n| {
                let time = Duration::from_micros(37 * n as u64);
                let green = rt.spawn(move || {
                    let start = Instant::now();
                    sleep(time);
                    assert!(start.elapsed() >= time);
                });
                let future = rt.spawn_async(async move {
                    let start = Instant::now();
                    sleep_async(time).await;
                    assert!(start.elapsed() >= time);
                });
                (green, future)
            })
            .collect();
        for (green, future) in sleepers {
            green.join().unwrap();
            future.join().unwrap();
        }
    });
}

#[test]
fn sleepers_on_one_worker_end_in_the_order_of_their_deadlines() {
    with_runtime(1, |rt| {
        rt.run(|| {
            let order = weftwork_core::sync::Mutex::new(Vec::new());
            weftwork_sched::scope(|s| {
                let start = Instant::now() + 2 * MS;
                for n in [3_u32, 1, 2, 0] {
                    let order = &order;
                    s.spawn(move || {
                        sleep_until(start + 4 * MS * n);
                        order.lock().push((n, Instant::now()));
                    });
                }
            });
            let order = order.into_inner();
            assert!(order.is_sorted_by_key(|(n, _)| *n), "{order:?}");
        });
    });
}

#[test]
fn a_deadline_that_has_passed_is_no_wait() {
    with_runtimes(|rt| {
        rt.run(|| {
            let past = Instant::now();
            sleep_until(past);
            sleep(Duration::ZERO);
            block_on(Sleep::until(past));
        });
    });
}

#[test]
fn a_sleep_without_end_is_ended_by_a_cancellation() {
    with_runtimes(|rt| {
        let green = rt.spawn(|| sleep(Duration::MAX));
        let future = rt.spawn_async(sleep_async(Duration::MAX));
        assert_eq!(sleep_async(Duration::MAX).deadline(), None);
        for task in [green, future] {
            task.cancel();
            assert!(task.join().unwrap_err().is_cancelled());
        }
    });
}

#[test]
fn a_sleep_that_is_dropped_disarms_its_timer() {
    with_runtimes(|rt| {
        rt.block_on(async {
            for _ in 0..100 {
                let mut far = Box::pin(sleep_async(Duration::from_secs(3600)));
                std::future::poll_fn(|context| {
                    assert!(far.as_mut().poll(context).is_pending());
                    std::task::Poll::Ready(())
                })
                .await;
            }
            sleep_async(MS).await;
        });
        // A runtime with an armed timer of an hour would still go to sleep; one whose timers hold
        // wakers of ended tasks would not be clean: `with_runtimes` looks.
    });
}

#[test]
fn a_sleep_polled_outside_of_a_runtime_says_so() {
    support::watched(|| {
        let missing = catch_unwind(|| block_on(sleep_async(MS))).unwrap_err();
        let text = missing.downcast_ref::<&str>().unwrap();
        assert!(text.contains("outside of a runtime"), "{text}");
    });
}

#[test]
fn a_sleep_serves_under_a_foreign_executor_that_entered_the_runtime() {
    with_runtimes(|rt| {
        let _entered = rt.enter();
        let start = Instant::now();
        block_on(sleep_async(2 * MS));
        assert!(start.elapsed() >= 2 * MS);
    });
}

#[test]
fn work_within_its_limit_gives_its_output() {
    with_runtimes(|rt| {
        rt.run(|| {
            let mut here = vec![1];
            let length = timeout(support::AMPLE, || {
                yield_now();
                here.push(2);
                here.len()
            });
            assert_eq!((length, here.len()), (Ok(2), 2));
        });
        let _entered = rt.enter();
        assert_eq!(timeout(support::AMPLE, || 5), Ok(5));
    });
}

#[test]
fn work_over_its_limit_is_unwound_before_timeout_returns() {
    with_runtimes(|rt| {
        let (began, ended) = (Count::new(), Count::new());
        // Where much else runs, the time may be over before the work has begun: then once more.
        let over = |work: &(dyn Fn() + Sync)| {
            let before = began.get();
            while began.get() == before {
                let start = Instant::now();
                let result = timeout(2 * MS, || {
                    began.add();
                    let _ended = OnDrop(&ended);
                    work();
                });
                assert_eq!(result, Err(TimedOut));
                assert!(start.elapsed() >= 2 * MS);
                assert_eq!(ended.get(), began.get());
            }
        };
        rt.run(|| {
            over(&|| sleep(Duration::MAX));
            over(&|| loop {
                park();
            });
            over(&|| loop {
                checkpoint();
            });
            over(&|| loop {
                yield_now();
            });
            over(&|| block_on(std::future::pending()));
        });
        let _entered = rt.enter();
        over(&|| loop {
            park();
        });
        assert_eq!(ended.get(), 6);
    });
}

#[test]
fn work_that_ends_although_its_time_is_over_is_not_lost() {
    with_runtimes(|rt| {
        let result = rt.run(|| {
            timeout(MS, || {
                let start = Instant::now();
                // Does not look whether it was cancelled.
                while start.elapsed() < 5 * MS {
                    std::hint::spin_loop();
                }
                7
            })
        });
        assert_eq!(result, Ok(7));
    });
}

#[test]
fn a_panic_of_limited_work_is_the_callers() {
    with_runtimes(|rt| {
        rt.run(|| {
            let payload = catch_unwind(AssertUnwindSafe(|| {
                timeout(support::AMPLE, || -> () { panic!("work") })
            }))
            .unwrap_err();
            assert_eq!(payload.downcast_ref::<&str>(), Some(&"work"));
        });
    });
}

#[test]
fn timeouts_nest_and_the_outer_one_reaches_the_innermost_wait() {
    with_runtimes(|rt| {
        let ended = Count::new();
        rt.run(|| {
            let result = timeout(2 * MS, || {
                let _outer = OnDrop(&ended);
                timeout(Duration::MAX, || {
                    let _inner = OnDrop(&ended);
                    sleep(Duration::MAX);
                })
            });
            assert_eq!(result, Err(TimedOut));
        });
        assert_eq!(ended.get(), 2);
    });
}

#[test]
fn a_cancellation_of_the_caller_is_passed_to_the_limited_work() {
    with_runtimes(|rt| {
        let (started, ended) = (Arc::new(Count::new()), Arc::new(Count::new()));
        let (started_there, ended_there) = (Arc::clone(&started), Arc::clone(&ended));
        let task = rt.spawn(move || {
            timeout(Duration::MAX, || {
                let _ended = OnDrop(&ended_there);
                started_there.add();
                sleep(Duration::MAX);
            })
        });
        started.wait_for(1);
        task.cancel();
        assert!(task.join().unwrap_err().is_cancelled());
        assert_eq!(ended.get(), 1);
    });
}

#[test]
fn a_limited_call_on_a_runtime_that_has_ended_panics() {
    support::watched(|| {
        let rt = support::runtime(1);
        let _entered = rt.enter();
        drop(rt);
        let payload = catch_unwind(|| timeout(MS, || ())).unwrap_err();
        let text = payload.downcast_ref::<&str>().expect("a message");
        assert!(text.contains("shut down"), "{text}");
    });
}

#[test]
fn a_future_has_both_outcomes_of_a_limit_too() {
    with_runtimes(|rt| {
        let ended = Arc::new(Count::new());
        let there = Arc::clone(&ended);
        rt.block_on(async move {
            assert_eq!(timeout_async(support::AMPLE, async { 5 }).await, Ok(5));
            let start = Instant::now();
            let over = timeout_async(2 * MS, async {
                let _ended = OnDrop(&there);
                std::future::pending::<()>().await;
            });
            assert_eq!(over.await, Err(TimedOut));
            assert!(start.elapsed() >= 2 * MS);
            assert_eq!(there.get(), 1);
        });
        assert_eq!(ended.get(), 1);
    });
}

#[test]
fn the_first_tick_is_at_once_and_the_others_are_not_early() {
    with_runtimes(|rt| {
        rt.run(|| {
            let start = Instant::now();
            let mut ticks = interval(2 * MS);
            let first = ticks.tick();
            for n in 1..5 {
                assert_eq!(ticks.tick(), first + 2 * MS * n);
                assert!(start.elapsed() >= 2 * MS * n);
            }
        });
        let ticked = rt.spawn_async(async {
            let mut ticks = interval(MS);
            let first = ticks.tick_async().await;
            ticks.tick_async().await - first
        });
        assert_eq!(ticked.join().unwrap(), MS);
    });
}

#[test]
fn missed_ticks_follow_the_policy() {
    /// Ticks once, misses at least four periods, and returns the times of the next two ticks, in
    /// periods since the first.
    fn miss(policy: MissedTicks) -> (Duration, [Duration; 2], Duration) {
        let period = 2 * MS;
        let mut ticks = interval(period).missed_ticks(policy);
        let first = ticks.tick();
        sleep_until(first + 4 * period + period / 2);
        let late = Instant::now();
        let two = [ticks.tick() - first, ticks.tick() - first];
        (late - first, two, period)
    }
    with_runtimes(|rt| {
        rt.run(|| {
            let (_, two, period) = miss(MissedTicks::Burst);
            assert_eq!(two, [period, 2 * period]);
            let (late, two, period) = miss(MissedTicks::Delay);
            assert!(two[0] >= period);
            assert!(two[1] >= late + period);
            let (late, two, period) = miss(MissedTicks::Skip);
            assert!(
                two.iter()
                    .all(|due| due.as_nanos() % period.as_nanos() == 0)
            );
            assert!(two[0] < two[1] && two[1] > late - period);
        });
    });
}

#[test]
fn a_tick_that_a_cancellation_interrupts_is_not_lost() {
    with_runtimes(|rt| {
        rt.run(|| {
            let mut ticks = interval(4 * MS);
            let first = ticks.tick();
            assert!(timeout(MS, || ticks.tick()).is_err() || first.elapsed() >= 4 * MS);
            let next = ticks.tick();
            assert!(next == first + 4 * MS || next == first + 8 * MS);
        });
    });
}

#[test]
fn an_interval_without_length_is_refused() {
    let refused = catch_unwind(|| interval(Duration::ZERO));
    assert!(refused.is_err());
}

#[test]
fn an_absurdly_long_interval_ticks_once() {
    with_runtimes(|rt| {
        let task = rt.spawn(|| {
            let mut ticks = interval(Duration::MAX);
            ticks.tick();
            ticks.tick();
        });
        task.cancel();
        assert!(task.join().unwrap_err().is_cancelled());
    });
}

#[test]
fn a_timer_fires_although_other_tasks_are_always_ready() {
    with_runtimes(|rt| {
        let busy: Vec<_> = (0..3)
            .map(|_| {
                rt.spawn(|| {
                    loop {
                        yield_now();
                    }
                })
            })
            .collect();
        rt.run(|| sleep(2 * MS));
        rt.block_on(sleep_async(2 * MS));
        for task in busy {
            task.cancel();
            assert!(task.join().unwrap_err().is_cancelled());
        }
    });
}

#[test]
fn many_timers_that_are_disarmed_leave_the_others_alone() {
    with_runtimes(|rt| {
        rt.run(|| {
            let kept: Vec<_> = (0..200)
                .map(|n| {
                    let sleeper = spawn_async(sleep_async(Duration::from_secs(3600)));
                    let kept = spawn(move || sleep(Duration::from_micros(10 * n)));
                    sleeper.cancel();
                    assert!(sleeper.join().unwrap_err().is_cancelled());
                    kept
                })
                .collect();
            kept.into_iter().for_each(|task| task.join().unwrap());
        });
    });
}
