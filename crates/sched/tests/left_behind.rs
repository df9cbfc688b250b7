//! What is left behind because it will not end, and what a caller forgets. It leaks, on purpose.

// AddressSanitizer's leak checker would report exactly what is asserted here.
#![cfg(not(weftwork_asan))]

mod support;

use std::panic::catch_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use support::{Count, watched};
use weftwork_sched::{
    Runtime, block_on, park, scope, sleep, sleep_async, spawn_local, try_yield_now, yield_now,
};
use weftwork_testkit::DropCounter;

const NOW: Duration = Duration::ZERO;
/// How long those that refuse have, which is also long enough for those that do not.
const LIMIT: Duration = Duration::from_millis(400);

fn impatient(workers: usize) -> Runtime {
    Runtime::builder()
        .workers(workers)
        .unwind_limit(LIMIT)
        .build()
        .unwrap()
}

#[test]
fn a_task_that_catches_its_cancellation_and_waits_on_is_abandoned() {
    watched(|| {
        for kind in 0..4 {
            let rt = impatient(2);
            let ready = Arc::new(Count::new());
            let there = Arc::clone(&ready);
            let task = rt.spawn(move || {
                there.add();
                loop {
                    let _ = match kind {
                        0 => catch_unwind(|| park()),
                        1 => catch_unwind(|| sleep(Duration::from_micros(100))),
                        2 => catch_unwind(|| yield_now()),
                        _ => catch_unwind(|| {
                            let _ = try_yield_now();
                        }),
                    };
                }
            });
            let other = rt.spawn(|| {
                loop {
                    park();
                }
            });
            ready.wait_for(1);
            let report = rt.shutdown(NOW);
            assert_eq!(
                (report.abandoned(), report.stuck_threads()),
                (1, 0),
                "{report}"
            );
            assert!(!report.is_clean());
            assert!(!task.is_finished());
            assert!(other.join().unwrap_err().is_cancelled());
        }
    });
}

#[test]
fn a_destructor_that_waits_for_ever_is_abandoned() {
    struct Never(Arc<Count>);
    impl Drop for Never {
        fn drop(&mut self) {
            self.0.add();
            block_on(std::future::pending())
        }
    }
    watched(|| {
        for kind in 0..2 {
            let rt = impatient(1);
            let ready = Arc::new(Count::new());
            let never = Never(Arc::clone(&ready));
            let there = Arc::clone(&ready);
            if kind == 0 {
                drop(rt.spawn(move || {
                    let _never = never;
                    there.add();
                    loop {
                        park();
                    }
                }));
            } else {
                drop(rt.spawn_async(async move {
                    let _never = never;
                    there.add();
                    std::future::pending::<()>().await;
                }));
            }
            ready.wait_for(1);
            let report = rt.shutdown(NOW);
            ready.wait_for(2);
            assert_eq!(
                (report.abandoned(), report.stuck_threads()),
                (1, 0),
                "{report}"
            );
        }
    });
}

#[test]
fn a_task_that_never_yields_is_reported_and_the_others_end() {
    watched(|| {
        let rt = impatient(2);
        let (ready, release) = (Arc::new(Count::new()), Arc::new(AtomicBool::new(false)));
        let drops = DropCounter::new();
        let (ready_there, release_there) = (Arc::clone(&ready), Arc::clone(&release));
        // A future that was suspended, and is in the stuck worker's hand when the runtime ends.
        let held = drops.track(());
        let stuck = rt.spawn_async(async move {
            let _held = held;
            sleep_async(Duration::from_micros(10)).await;
            ready_there.add();
            while !release_there.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
        });
        let others: Vec<_> = (0..4)
            .map(|_| {
                rt.spawn(|| {
                    loop {
                        yield_now();
                    }
                })
            })
            .collect();
        ready.wait_for(1);
        let report = rt.shutdown(NOW);
        assert_eq!(report.stuck_threads(), 1, "{report}");
        assert!(report.abandoned() >= 1, "{report}");
        // Those behind the stuck one on its worker cannot end before it; the others have.
        let ended = others.iter().filter(|task| task.is_finished()).count();
        assert_eq!(ended as u64 + report.abandoned(), 5, "{report}");
        // The stuck task comes back after all: its worker leaves in good order.
        release.store(true, Ordering::SeqCst);
        assert!(stuck.join().is_ok());
        drops.assert_none_live();
    });
}

#[test]
fn a_local_runtime_abandons_a_task_that_refuses_to_end() {
    watched(|| {
        for kind in 0..3 {
            let rt = Runtime::builder()
                .unwind_limit(LIMIT)
                .build_local()
                .unwrap();
            rt.run(|| {
                drop(spawn_local(move || {
                    loop {
                        let _ = match kind {
                            0 => catch_unwind(|| park()),
                            1 => catch_unwind(|| yield_now()),
                            _ => {
                                struct Never;
                                impl Drop for Never {
                                    fn drop(&mut self) {
                                        block_on(std::future::pending())
                                    }
                                }
                                let _never = Never;
                                park();
                                Ok(())
                            }
                        };
                    }
                }));
                yield_now();
                sleep(Duration::from_millis(1));
            });
            let report = rt.shutdown(Duration::ZERO);
            assert_eq!(report.abandoned(), 1, "{report}");
        }
    });
}

#[test]
fn a_forgotten_handle_does_not_hide_a_panic() {
    support::with_runtimes(|rt| {
        rt.run(|| {
            let result = catch_unwind(|| scope(|s| std::mem::forget(s.spawn(|| panic!("child")))));
            result.expect_err("the scope did not panic");
        });
    });
}
