//! `park` and `unpark`: tokens, and who is woken.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use support::{Count, with_runtime, with_runtimes};
use weftwork_sched::{
    Thread, current, join, park, park_deadline, park_timeout, sleep, spawn, spawn_async, yield_now,
};
use weftwork_testkit::iters;

#[test]
fn an_unpark_before_the_park_lets_it_through() {
    with_runtimes(|rt| {
        rt.run(|| {
            current().unpark();
            park();
        });
    });
    support::watched(|| {
        current().unpark();
        park();
    });
}

#[test]
fn tokens_do_not_add_up() {
    with_runtime(1, |rt| {
        rt.run(|| {
            let me = current();
            me.unpark();
            me.unpark();
            park();
            let start = Instant::now();
            park_timeout(Duration::from_millis(5));
            // On one worker, with nobody else about, nothing wakes us for no reason.
            assert!(start.elapsed() >= Duration::from_millis(5));
        });
    });
}

#[test]
fn a_token_outlasts_waits_for_other_things() {
    with_runtimes(|rt| {
        rt.run(|| {
            let me = current();
            me.unpark();
            sleep(Duration::from_millis(2));
            yield_now();
            spawn(|| sleep(Duration::from_millis(1))).join().unwrap();
            let count = Arc::new(Count::new());
            let there = Arc::clone(&count);
            drop(spawn(move || there.add()));
            count.wait_for(1);
            park();
        });
    });
}

#[test]
fn a_token_left_during_a_sleep_does_not_end_the_sleep() {
    with_runtimes(|rt| {
        rt.run(|| {
            let me = current();
            let other = spawn(move || me.unpark());
            let start = Instant::now();
            sleep(Duration::from_millis(10));
            assert!(start.elapsed() >= Duration::from_millis(10));
            other.join().unwrap();
            park();
        });
    });
}

#[test]
fn a_token_for_the_joiner_is_not_taken_by_a_child_on_its_stack() {
    with_runtimes(|rt| {
        rt.run(|| {
            let me = current();
            // Started by the join, on this stack, if this worker comes to it first.
            let child = spawn(move || {
                me.unpark();
                park_timeout(Duration::from_millis(1));
            });
            child.join().unwrap();
            park();
        });
    });
}

#[test]
fn a_child_joined_in_place_can_be_unparked() {
    with_runtimes(|rt| {
        rt.run(|| {
            let (tell, told) = mpsc::channel::<Thread>();
            let woken = Arc::new(AtomicBool::new(false));
            let there = Arc::clone(&woken);
            let foreign = std::thread::spawn(move || {
                let thread = told.recv().unwrap();
                there.store(true, Ordering::SeqCst);
                thread.unpark();
            });
            spawn(move || {
                tell.send(current()).unwrap();
                while !woken.load(Ordering::SeqCst) {
                    park();
                }
            })
            .join()
            .unwrap();
            foreign.join().unwrap();
        });
    });
}

#[test]
fn two_green_threads_hand_a_ball_over() {
    let rounds = iters(20_000, 5_000, 200);
    with_runtimes(|rt| {
        rt.run(|| {
            let turn = Arc::new(AtomicUsize::new(0));
            let me = current();
            let there = Arc::clone(&turn);
            let (tell, told) = mpsc::channel();
            let other = spawn(move || {
                tell.send(current()).unwrap();
                for round in 0..rounds {
                    while there.load(Ordering::Acquire) != 2 * round + 1 {
                        park();
                    }
                    there.store(2 * round + 2, Ordering::Release);
                    me.unpark();
                }
            });
            let partner = loop {
                match told.try_recv() {
                    Ok(partner) => break partner,
                    Err(_) => yield_now(),
                }
            };
            for round in 0..rounds {
                turn.store(2 * round + 1, Ordering::Release);
                partner.unpark();
                while turn.load(Ordering::Acquire) != 2 * round + 2 {
                    park();
                }
            }
            other.join().unwrap();
        });
    });
}

#[test]
fn a_green_thread_and_an_os_thread_hand_a_ball_over() {
    let rounds = iters(2_000, 500, 50);
    with_runtimes(|rt| {
        let turn = Arc::new(AtomicUsize::new(0));
        let outside = current();
        let there = Arc::clone(&turn);
        let (tell, told) = mpsc::channel();
        let green = rt.spawn(move || {
            tell.send(current()).unwrap();
            for round in 0..rounds {
                while there.load(Ordering::Acquire) != 2 * round + 1 {
                    park();
                }
                there.store(2 * round + 2, Ordering::Release);
                outside.unpark();
            }
        });
        let partner = told.recv().unwrap();
        for round in 0..rounds {
            turn.store(2 * round + 1, Ordering::Release);
            partner.unpark();
            while turn.load(Ordering::Acquire) != 2 * round + 2 {
                park();
            }
        }
        green.join().unwrap();
    });
}

#[test]
fn many_parked_green_threads_all_wake() {
    let tasks = iters(5_000, 2_000, 200);
    with_runtimes(|rt| {
        let (tell, told) = mpsc::channel();
        let go = Arc::new(AtomicBool::new(false));
        let handles: Vec<_> = (0..tasks)
            .map(|_| {
                let (tell, go) = (tell.clone(), Arc::clone(&go));
                rt.spawn(move || {
                    tell.send(current()).unwrap();
                    while !go.load(Ordering::SeqCst) {
                        park();
                    }
                })
            })
            .collect();
        let threads: Vec<Thread> = (0..tasks).map(|_| told.recv().unwrap()).collect();
        go.store(true, Ordering::SeqCst);
        threads.iter().for_each(Thread::unpark);
        handles
            .into_iter()
            .for_each(|handle| handle.join().unwrap());
    });
}

#[test]
fn unparking_a_task_that_has_ended_is_harmless() {
    with_runtimes(|rt| {
        let gone = rt.run(|| spawn(current).join().unwrap());
        gone.unpark();
        rt.run(|| {
            gone.unpark();
            // Whatever runs on that stack now sleeps as long as it wants.
            let start = Instant::now();
            spawn(|| sleep(Duration::from_millis(2))).join().unwrap();
            assert!(start.elapsed() >= Duration::from_millis(2));
        });
        gone.unpark();
        assert!(gone.id().is_some());
    });
}

#[test]
fn a_handle_outlives_its_runtime() {
    support::watched(|| {
        let rt = support::runtime(2);
        let (ended, parked) = rt.run(|| {
            let (tell, told) = mpsc::channel();
            drop(spawn(move || {
                tell.send(current()).unwrap();
                loop {
                    park();
                }
            }));
            let parked = loop {
                match told.try_recv() {
                    Ok(thread) => break thread,
                    Err(_) => yield_now(),
                }
            };
            (current(), parked)
        });
        drop(rt);
        for thread in [ended, parked] {
            thread.unpark();
            let copy = thread.clone();
            drop(thread);
            std::thread::spawn(move || copy.unpark()).join().unwrap();
        }
    });
}

#[test]
fn a_park_with_a_limit_ends_not_before_it() {
    fn waits_out(limit: Duration) {
        let start = Instant::now();
        while start.elapsed() < limit {
            let before = Instant::now();
            park_deadline(start + limit);
            assert!(Instant::now() >= before);
        }
        // A time that has passed is no wait at all.
        park_deadline(start);
        park_timeout(Duration::ZERO);
    }
    with_runtimes(|rt| {
        rt.run(|| waits_out(Duration::from_millis(3)));
        waits_out(Duration::from_millis(3));
    });
}

#[test]
fn an_unpark_ends_a_park_with_a_limit() {
    with_runtimes(|rt| {
        rt.run(|| {
            let me = current();
            let woken = Arc::new(AtomicBool::new(false));
            let there = Arc::clone(&woken);
            let other = spawn(move || {
                there.store(true, Ordering::SeqCst);
                me.unpark();
            });
            while !woken.load(Ordering::SeqCst) {
                park_timeout(Duration::MAX);
            }
            other.join().unwrap();
        });
    });
}

#[test]
fn a_stolen_half_of_a_join_parks_for_itself() {
    with_runtimes(|rt| {
        rt.run(|| {
            let (tell, told) = mpsc::channel::<Thread>();
            let foreign = std::thread::spawn(move || {
                for thread in told {
                    thread.unpark();
                }
            });
            let other = tell.clone();
            join(
                || {
                    for _ in 0..100 {
                        tell.send(current()).unwrap();
                        park();
                    }
                },
                || {
                    for _ in 0..100 {
                        other.send(current()).unwrap();
                        park();
                    }
                },
            );
            drop((tell, other));
            foreign.join().unwrap();
        });
    });
}

#[test]
fn a_poll_can_park_too() {
    with_runtimes(|rt| {
        let (tell, told) = mpsc::channel::<Thread>();
        let future = rt.spawn_async(async move {
            tell.send(current()).unwrap();
            park();
            spawn_async(async { 5 }).await.unwrap()
        });
        told.recv().unwrap().unpark();
        assert_eq!(future.join().unwrap(), 5);
    });
}
