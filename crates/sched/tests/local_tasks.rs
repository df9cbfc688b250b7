//! Thread-bound tasks: they may hold what must not leave its thread, and never do.

mod support;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc;
use std::task::{Poll, Waker};
use std::time::Duration;
use support::{Count, with_runtime, with_runtimes};
use weftwork_sched::{
    block_on, current, park, sleep, spawn, spawn_local, spawn_local_async, yield_now,
};
use weftwork_testkit::iters;

/// Asserts in every method and in its drop that it is on the thread it was made on.
struct Bound(std::thread::ThreadId, Rc<()>);

impl Bound {
    fn new() -> Self {
        Bound(std::thread::current().id(), Rc::new(()))
    }

    fn check(&self) {
        assert_eq!(self.0, std::thread::current().id(), "left its thread");
        assert!(Rc::strong_count(&self.1) > 0);
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        self.check();
    }
}

#[test]
fn what_is_not_send_stays_on_its_thread() {
    with_runtimes(|rt| {
        // Others keep the workers hungry.
        let tasks: Vec<_> = (0..4)
            .map(|_| {
                rt.spawn(|| {
                    let handles: Vec<_> = (0..iters(100, 50, 10))
                        .map(|n| {
                            let bound = Bound::new();
                            if n % 2 == 0 {
                                spawn_local(move || {
                                    bound.check();
                                    yield_now();
                                    sleep(Duration::from_micros(10));
                                    bound.check();
                                    bound
                                })
                            } else {
                                spawn_local_async(async move {
                                    bound.check();
                                    weftwork_sched::sleep_async(Duration::from_micros(10)).await;
                                    spawn(|| ()).await.unwrap();
                                    bound.check();
                                    bound
                                })
                            }
                        })
                        .collect();
                    for handle in handles {
                        handle.join().unwrap().check();
                    }
                })
            })
            .collect();
        tasks.into_iter().for_each(|task| task.join().unwrap());
    });
}

#[test]
fn a_local_future_is_woken_from_another_thread_and_polled_on_its_own() {
    with_runtimes(|rt| {
        let (tell, told) = mpsc::channel::<Waker>();
        let foreign = std::thread::spawn(move || told.iter().for_each(Waker::wake));
        let rounds = iters(500, 100, 10);
        rt.run(move || {
            let bound = Bound::new();
            let future = spawn_local_async(async move {
                for _ in 0..rounds {
                    let mut sent = false;
                    std::future::poll_fn(|context| {
                        bound.check();
                        if std::mem::replace(&mut sent, true) {
                            return Poll::Ready(());
                        }
                        tell.send(context.waker().clone()).unwrap();
                        Poll::Pending
                    })
                    .await;
                }
            });
            future.join().unwrap();
        });
        foreign.join().unwrap();
    });
}

#[test]
fn a_local_green_thread_is_unparked_from_another_thread() {
    with_runtimes(|rt| {
        let (tell, told) = mpsc::channel::<weftwork_sched::Thread>();
        let foreign = std::thread::spawn(move || told.iter().for_each(|thread| thread.unpark()));
        rt.run(move || {
            let bound = Bound::new();
            spawn_local(move || {
                for _ in 0..100 {
                    tell.send(current()).unwrap();
                    park();
                    bound.check();
                }
            })
            .join()
            .unwrap();
        });
        foreign.join().unwrap();
    });
}

#[test]
fn local_tasks_share_without_locks() {
    with_runtimes(|rt| {
        let sum = rt.run(|| {
            let list = Rc::new(RefCell::new(Vec::new()));
            let handles: Vec<_> = (0..20)
                .map(|n| {
                    let list = Rc::clone(&list);
                    spawn_local(move || {
                        list.borrow_mut().push(n);
                        yield_now();
                        list.borrow().len()
                    })
                })
                .collect();
            for handle in handles {
                assert!(handle.join().unwrap() >= 1);
            }
            let sum: i32 = list.borrow().iter().sum();
            sum
        });
        assert_eq!(sum, 190);
    });
}

#[test]
fn local_handles_are_awaited_and_dropped_like_others() {
    with_runtime(2, |rt| {
        rt.run(|| {
            let answer = spawn_local_async(async {
                let inner = spawn_local(|| Rc::new(5));
                *inner.await.unwrap() + 1
            });
            assert_eq!(block_on(answer).unwrap(), 6);
            let done = Arc::new(Count::new());
            let there = Arc::clone(&done);
            drop(spawn_local(move || there.add()));
            done.wait_for(1);
        });
    });
}

#[test]
fn local_tasks_need_a_worker() {
    support::watched(|| {
        let refused = std::panic::catch_unwind(|| drop(spawn_local(|| ()))).unwrap_err();
        let text = refused.downcast_ref::<&str>().unwrap();
        assert!(text.contains("outside of a task"), "{text}");
    });
}
