//! What `docs/soundness.md` says safe code may rely on, and what it says safe code must expect.
//!
//! The first half are guarantees. The second half are consequences of sharing an OS thread, which
//! surprise but break no memory; if one of them goes away, the page must change with the test.

use std::cell::{Cell, RefCell};
use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, OnceLock};
use std::thread::ThreadId;
use std::time::Duration;

use weftwork::prelude::*;
use weftwork::time::{TimedOut, sleep_async};
use weftwork::{Thread, current, is_cancelled, park};
use weftwork_testkit::{DropCounter, iters, with_watchdog};

const LIMIT: Duration = Duration::from_secs(120);

/// Runs `test` on a runtime with so many workers, which must end without leftovers.
fn on_workers<T: Send>(workers: usize, test: impl FnOnce() -> T + Send) -> T {
    with_watchdog(LIMIT, move || {
        let rt = Runtime::builder().workers(workers).build().unwrap();
        let value = rt.run(test);
        let report = rt.shutdown(Duration::from_secs(30));
        assert!(report.is_clean(), "{report}");
        value
    })
}

/// A place where one green thread waits until another lets it go on.
#[derive(Clone, Default)]
struct Latch(Arc<(OnceLock<Thread>, AtomicBool)>);

impl Latch {
    fn wait(&self) {
        assert!(self.0.0.set(current()).is_ok(), "one waits");
        // A park may end for no reason.
        while !self.0.1.load(Ordering::Acquire) {
            park();
        }
    }

    /// Lets others run until somebody waits.
    fn until_waited_for(&self) -> &Thread {
        loop {
            if let Some(thread) = self.0.0.get() {
                return thread;
            }
            sleep(Duration::from_micros(100));
        }
    }

    fn open(&self) {
        self.0.1.store(true, Ordering::Release);
        self.until_waited_for().unpark();
    }
}

thread_local! {
    static ANCHOR: Rc<Cell<usize>> = Rc::new(Cell::new(0));
    static NESTING: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
}

/// Where the thread-local variable lies, computed afresh.
#[inline(never)]
fn anchor_address() -> usize {
    ANCHOR.with(|anchor| std::ptr::from_ref(black_box(anchor)).addr())
}

fn os_thread() -> ThreadId {
    std::thread::current().id()
}

/// Makes every worker start one task: each holds its worker until all have one.
fn on_every_worker<T: Send + 'static>(
    workers: usize,
    work: impl Fn() -> T + Send + Sync + 'static,
) -> Vec<T> {
    let together = Arc::new(Barrier::new(workers));
    let work = Arc::new(work);
    let tasks: Vec<_> = (0..workers)
        .map(|_| {
            let (together, work) = (Arc::clone(&together), Arc::clone(&work));
            spawn(move || {
                together.wait();
                work()
            })
        })
        .collect();
    tasks.into_iter().map(|task| task.join().unwrap()).collect()
}

#[test]
fn a_started_green_thread_stays_on_its_os_thread_whoever_wakes_it() {
    let threads = on_workers(4, || {
        let rounds = iters(500, 50, 5);
        // One green thread per worker, each waking the next: most wakes come from another worker.
        let ring: Arc<[OnceLock<Thread>; 4]> = Arc::default();
        let ready = Arc::new(Barrier::new(4));
        let number = AtomicUsize::new(0);
        on_every_worker(4, move || {
            // Relaxed: a number each, no more.
            let me = number.fetch_add(1, Ordering::Relaxed);
            let (thread, address) = (os_thread(), anchor_address());
            assert!(ring[me].set(current()).is_ok());
            ready.wait();
            let next = ring[(me + 1) % 4].get().unwrap();
            for _ in 0..rounds {
                next.unpark();
                weftwork::park_timeout(Duration::from_millis(1));
                assert_eq!((os_thread(), anchor_address()), (thread, address));
                yield_now();
                assert_eq!((os_thread(), anchor_address()), (thread, address));
            }
            sleep(Duration::from_millis(1));
            assert_eq!((os_thread(), anchor_address()), (thread, address));
            thread
        })
    });
    let mut distinct = threads.clone();
    distinct.sort_by_key(|thread| format!("{thread:?}"));
    distinct.dedup();
    assert_eq!(distinct.len(), 4, "each worker had one: {threads:?}");
}

#[test]
fn values_that_are_not_send_may_be_held_across_waits() {
    // The classic hole of stackful coroutines in safe code: a clone of a thread-local `Rc` that is
    // dropped after a wait, on another thread, beside the thread's own counting.
    let rounds = iters(200, 40, 4);
    let total = Arc::new(AtomicUsize::new(0));
    let sum = Arc::clone(&total);
    on_workers(4, move || {
        let tasks: Vec<_> = (0..64)
            .map(|n| {
                let sum = Arc::clone(&sum);
                spawn(move || {
                    let mine = Rc::new(Cell::new(0));
                    for round in 0..rounds {
                        let anchor = ANCHOR.with(Rc::clone);
                        let other = Rc::clone(&mine);
                        if (n + round) % 7 == 0 {
                            sleep(Duration::from_micros(50));
                        } else {
                            yield_now();
                        }
                        anchor.set(anchor.get() + 1);
                        other.set(other.get() + 1);
                        assert!(ANCHOR.with(|now| Rc::ptr_eq(now, &anchor)));
                    }
                    assert_eq!((mine.get(), Rc::strong_count(&mine)), (rounds, 1));
                    // Relaxed: read after all were joined.
                    sum.fetch_add(mine.get(), Ordering::Relaxed);
                })
            })
            .collect();
        for task in tasks {
            task.join().unwrap();
        }
        // Nobody holds a clone any more, on no worker.
        let counts = on_every_worker(4, || ANCHOR.with(|a| (Rc::strong_count(a), a.get())));
        assert!(counts.iter().all(|(count, _)| *count == 1), "{counts:?}");
        let counted: usize = counts.iter().map(|(_, value)| value).sum();
        assert_eq!(counted, 64 * rounds);
    });
    assert_eq!(total.load(Ordering::Relaxed), 64 * rounds);
}

#[test]
fn a_future_stays_on_its_thread_while_it_waits_inside_a_poll() {
    on_workers(4, || {
        let tasks: Vec<_> = (0..32)
            .map(|_| {
                spawn_async(async {
                    for _ in 0..20 {
                        let (thread, address) = (os_thread(), anchor_address());
                        let held = ANCHOR.with(Rc::clone);
                        sleep(Duration::from_micros(50));
                        assert_eq!((os_thread(), anchor_address()), (thread, address));
                        drop(held);
                        sleep_async(Duration::from_micros(50)).await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.join().unwrap();
        }
    });
}

#[test]
fn a_cancelled_scope_does_not_leave_before_its_children() {
    let drops = DropCounter::new();
    let counter = drops.clone();
    on_workers(2, move || {
        let started = Arc::new(Barrier::new(2));
        let at_start = Arc::clone(&started);
        let parent = spawn(move || {
            let local = counter.track([7_u64; 64]);
            let seen = AtomicBool::new(false);
            let result = catch_unwind(AssertUnwindSafe(|| {
                scope(|s| {
                    // A handle that is forgotten, and one that is not.
                    let forgotten = s.spawn(|| {
                        blocking(|| at_start.wait());
                        // Cancelled here; what is borrowed is still there while this unwinds.
                        let _check = OnDrop(|| {
                            yield_now();
                            seen.store(local.iter().all(|&n| n == 7), Ordering::Relaxed);
                        });
                        park();
                    });
                    // The leak check would rightly speak of it.
                    if cfg!(weftwork_asan) {
                        drop(forgotten);
                    } else {
                        std::mem::forget(forgotten);
                    }
                    let _ = s.spawn(|| sleep(Duration::MAX));
                });
            }));
            assert!(result.is_err(), "the scope passes the cancellation on");
            assert!(seen.load(Ordering::Relaxed), "the child unwound first");
            assert!(is_cancelled());
        });
        blocking(|| started.wait());
        parent.cancel();
        // It caught the unwinding and returned: that counts as an end by itself.
        parent.join().unwrap();
    });
    drops.assert_none_live();
}

struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

#[test]
fn a_caught_cancellation_comes_again_at_the_next_wait() {
    on_workers(1, || {
        let latch = Latch::default();
        let inside = latch.clone();
        let task = spawn(move || {
            let mut caught = 0;
            if catch_unwind(AssertUnwindSafe(|| inside.wait())).is_err() {
                caught += 1;
            }
            while caught < 3 {
                if catch_unwind(park).is_err() {
                    caught += 1;
                }
            }
            caught
        });
        latch.until_waited_for();
        task.cancel();
        assert_eq!(task.join().unwrap(), 3);
    });
}

#[test]
fn a_cancelled_task_may_wait_in_its_destructors() {
    on_workers(1, || {
        let waited = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&waited);
        let latch = Latch::default();
        let inside = latch.clone();
        let task = spawn(move || {
            let _late = OnDrop(|| {
                // Not unwound a second time, which would abort the process.
                sleep(Duration::from_millis(1));
                flag.store(true, Ordering::Relaxed);
            });
            inside.wait();
        });
        latch.until_waited_for();
        task.cancel();
        assert!(task.join().unwrap_err().is_cancelled());
        assert!(waited.load(Ordering::Relaxed));
    });
}

/// Lends a thread-local of a worker to the blocking pool, which keeps it past the end of the runtime.
#[test]
fn a_thread_local_that_was_lent_outlives_the_runtime_that_gave_up_on_its_borrower() {
    static DESTROYED: AtomicBool = AtomicBool::new(false);
    struct Lent(u32);
    impl Drop for Lent {
        fn drop(&mut self) {
            DESTROYED.store(true, Ordering::SeqCst);
        }
    }
    thread_local! {
        static LENT: Lent = const { Lent(7) };
    }
    with_watchdog(LIMIT, || {
        let borrowed = Arc::new(Barrier::new(2));
        let over = Arc::new(Barrier::new(2));
        let seen = Arc::new(Barrier::new(2));
        let rt = Runtime::builder()
            .workers(1)
            .unwind_limit(Duration::from_millis(10))
            .build()
            .unwrap();
        let there = (borrowed.clone(), over.clone(), seen.clone());
        drop(rt.spawn(move || {
            LENT.with(|lent| {
                blocking(|| {
                    there.0.wait();
                    there.1.wait();
                    assert_eq!(lent.0, 7);
                    there.2.wait();
                });
            });
        }));
        borrowed.wait();
        let report = rt.shutdown(Duration::ZERO);
        assert_eq!(report.abandoned(), 1, "{report}");
        over.wait();
        seen.wait();
        assert!(!DESTROYED.load(Ordering::SeqCst));
    });
}

#[test]
fn a_limit_ends_what_borrows_before_it_returns() {
    on_workers(2, || {
        let mut log = Vec::new();
        let result = timeout(Duration::from_millis(1), || {
            log.push("started");
            let _end = OnDrop(|| sleep(Duration::from_millis(1)));
            sleep(Duration::MAX);
        });
        assert_eq!(result, Err(TimedOut));
        // The borrow is over: the child has ended.
        log.push("returned");
        assert_eq!(log, ["started", "returned"]);
    });
}

#[test]
fn a_mutable_borrow_of_a_thread_local_across_a_wait_meets_siblings() {
    on_workers(1, || {
        let latch = Latch::default();
        let inside = latch.clone();
        let holder = spawn(move || NESTING.with_borrow_mut(|_held| inside.wait()));
        latch.until_waited_for();
        assert!(NESTING.with(|cell| cell.try_borrow_mut().is_err()));
        holder.cancel();
        assert!(holder.join().unwrap_err().is_cancelled());
        assert!(
            NESTING.with(|cell| cell.try_borrow_mut().is_ok()),
            "the unwinding gave it back"
        );
    });
}

#[test]
fn closures_of_two_green_threads_do_not_nest_on_their_thread() {
    // What a scoped thread-local variable assumes: who entered last leaves first.
    fn enter(name: &'static str, latch: &Latch) -> &'static str {
        NESTING.with_borrow_mut(|stack| stack.push(name));
        latch.wait();
        NESTING.with_borrow_mut(|stack| stack.pop().unwrap())
    }
    on_workers(1, || {
        let latches = [Latch::default(), Latch::default()];
        let [first, other] = latches.clone();
        let first = spawn(move || enter("first", &first));
        latches[0].until_waited_for();
        let other = spawn(move || enter("other", &other));
        latches[1].until_waited_for();
        latches[0].open();
        assert_eq!(
            first.join().unwrap(),
            "other",
            "it takes the wrong entry away"
        );
        latches[1].open();
        assert_eq!(other.join().unwrap(), "first");
    });
}

#[test]
fn siblings_see_the_panic_of_a_task_whose_destructor_waits() {
    on_workers(1, || {
        let latch = Latch::default();
        let inside = latch.clone();
        let unwinding = spawn(move || {
            let _wait = OnDrop(move || inside.wait());
            std::panic::resume_unwind(Box::new("quietly"));
        });
        latch.until_waited_for();
        assert!(
            std::thread::panicking(),
            "of the other task, on the same thread"
        );
        // A mutex that is locked and given back by a panic now is not poisoned: std takes the panic
        // for one that was there before the lock.
        let mutex = std::sync::Mutex::new(());
        let result = catch_unwind(AssertUnwindSafe(|| {
            let _held = mutex.lock().unwrap();
            std::panic::resume_unwind(Box::new("of this task"));
        }));
        assert!(result.is_err() && !mutex.is_poisoned());
        latch.open();
        assert!(unwinding.join().unwrap_err().is_panic());
        assert!(!std::thread::panicking());
    });
}

#[test]
fn an_overflow_of_a_green_thread_is_reported_and_ends_the_process() {
    const CHILD: &str = "WEFTWORK_TEST_OVERFLOW";
    if std::env::var_os(CHILD).is_some() {
        let rt = Runtime::builder().workers(1).build().unwrap();
        rt.run(|| {
            let task = weftwork::task::TaskBuilder::named("endless").spawn(|| descend(0));
            let _ = task.join();
        });
        return;
    }
    let name = "an_overflow_of_a_green_thread_is_reported_and_ends_the_process";
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{text}");
    assert!(
        text.contains("endless"),
        "the report names the task: {text}"
    );
    assert!(
        text.contains("soundness.rs"),
        "and where it was spawned: {text}"
    );
}

#[allow(unconditional_recursion, reason = "that is the point")]
fn descend(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    descend(depth + 1) + frame[black_box(3)]
}
