//! Events of the world outside, in transactions of threads, green threads and futures.
#![cfg(not(weftwork_loom))]

use std::future::{pending, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};
use weftwork_core::task::JoinError;
use weftwork_csp::{bounded, select};
use weftwork_sched::Runtime;
use weftwork_stm::bridge::{TEvent, after};
use weftwork_stm::{TVar, atomically, atomically_async, flush};
use weftwork_testkit::{DropCounter, Watchdog, iters, watchdog};

fn dog() -> Watchdog {
    watchdog(Duration::from_secs(60))
}

/// Reclaims until nothing of `drops` is left. Other tests may be pinned, and threads that have ended may just
/// be handing over what they leave.
fn flush_all_of(drops: &DropCounter) {
    while drops.live() > 0 {
        flush();
        thread::yield_now();
    }
}

fn green() -> Runtime {
    Runtime::builder().workers(2).build().unwrap()
}

fn tokio() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap()
}

/// Where it counts how often it was woken.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// What a transaction finds that waits for either: a change of `word`, or the event.
async fn either(word: &TVar<Option<&'static str>>, event: &TEvent<&'static str>) -> &'static str {
    atomically_async(|tx| {
        tx.or_else(
            |tx| word.get(tx)?.map_or_else(|| tx.retry(), Ok),
            |tx| event.get(tx).copied(),
        )
    })
    .await
}

#[test]
fn a_message_ends_the_wait_of_a_thread() {
    let _dog = dog();
    for _ in 0..iters(500, 100, 10) {
        let (s, r) = bounded(0);
        let message = TEvent::new(async move { r.recv_async().await });
        let sender = thread::spawn(move || s.send(7).unwrap());
        assert_eq!(atomically(|tx| Ok(message.get(tx)?.unwrap())), 7);
        sender.join().unwrap();
    }
}

#[test]
fn a_message_ends_the_wait_of_a_green_thread() {
    let _dog = dog();
    let runtime = green();
    for _ in 0..iters(500, 100, 10) {
        let (s, r) = bounded(0);
        let message = TEvent::new(async move { r.recv_async().await });
        let receiver = runtime.spawn(move || atomically(|tx| Ok(message.get(tx)?.unwrap())));
        s.send(7).unwrap();
        assert_eq!(receiver.join().unwrap(), 7);
    }
}

#[test]
fn a_message_ends_the_wait_of_a_task_of_tokio() {
    let _dog = dog();
    let tokio = tokio();
    for _ in 0..iters(500, 100, 10) {
        let (s, r) = bounded(0);
        let message = TEvent::new(async move { r.recv_async().await });
        let receiver =
            tokio.spawn(async move { atomically_async(|tx| Ok(message.get(tx)?.unwrap())).await });
        s.send(7).unwrap();
        assert_eq!(tokio.block_on(receiver).unwrap(), 7);
    }
}

#[test]
fn the_end_of_a_channel_is_an_event_too() {
    let _dog = dog();
    let (s, r) = bounded::<u32>(1);
    let message = TEvent::new(async move { r.recv_async().await });
    drop(s);
    assert!(atomically(|tx| Ok(message.get(tx)?.is_err())));
}

#[test]
fn the_end_of_a_task_ends_the_wait() {
    let _dog = dog();
    let runtime = green();
    let (s, r) = bounded::<()>(0);
    let returns = TEvent::new(runtime.spawn(move || {
        r.recv().unwrap();
        "returned"
    }));
    let panics = TEvent::new(runtime.spawn(|| -> &'static str { panic!("in the task") }));
    let word = TVar::new(None::<&str>);
    let wait = |event: &TEvent<Result<&'static str, JoinError>>| {
        atomically(|tx| {
            tx.or_else(
                |tx| {
                    word.get(tx)?
                        .map_or_else(|| tx.retry(), |word| Ok(word.to_owned()))
                },
                |tx| {
                    Ok(format!(
                        "{:?}",
                        event.get(tx)?.as_ref().map_err(|e| e.is_panic())
                    ))
                },
            )
        })
    };
    assert_eq!(wait(&panics), "Err(true)");
    s.send(()).unwrap();
    assert_eq!(wait(&returns), "Ok(\"returned\")");
}

#[test]
fn a_time_is_never_early_and_loses_to_a_change_before_it() {
    let _dog = dog();
    let start = Instant::now();
    let pause = after(Duration::from_millis(20));
    atomically(|tx| pause.get(tx).copied());
    assert!(start.elapsed() >= Duration::from_millis(20));

    let (flag, never) = (TVar::new(false), after(Duration::MAX));
    thread::scope(|s| {
        s.spawn(|| flag.store(true));
        let was_set = atomically(|tx| {
            tx.or_else(
                |tx| {
                    tx.check(*flag.get(tx)?)?;
                    Ok(true)
                },
                |tx| never.get(tx).map(|()| false),
            )
        });
        assert!(was_set);
    });
    assert!(!never.has_happened());
}

#[test]
fn all_who_wait_for_one_event_hear_of_it() {
    let _dog = dog();
    let (runtime, tokio) = (green(), tokio());
    for _ in 0..iters(200, 50, 3) {
        let (s, r) = bounded(0);
        let message = TEvent::new(async move { r.recv_async().await.unwrap() });
        let (waiting, heard) = (TVar::new(0), TVar::new(0));
        let wait = {
            let (message, waiting, heard) = (message.clone(), waiting.clone(), heard.clone());
            move || {
                waiting.store_add(1);
                assert_eq!(atomically(|tx| message.get(tx).copied()), "all of you");
                heard.store_add(1);
            }
        };
        let threads: Vec<_> = (0..2).map(|_| thread::spawn(wait.clone())).collect();
        let greens: Vec<_> = (0..2).map(|_| runtime.spawn(wait.clone())).collect();
        let tasks: Vec<_> = (0..2)
            .map(|_| {
                let (message, waiting, heard) = (message.clone(), waiting.clone(), heard.clone());
                tokio.spawn(async move {
                    waiting.store_add(1);
                    let text = atomically_async(|tx| message.get(tx).copied()).await;
                    assert_eq!(text, "all of you");
                    heard.store_add(1);
                })
            })
            .collect();
        atomically(|tx| tx.check(*waiting.get(tx)? == 6));
        s.send("all of you").unwrap();
        atomically(|tx| tx.check(*heard.get(tx)? == 6));
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        greens.into_iter().for_each(|green| green.join().unwrap());
        tasks
            .into_iter()
            .for_each(|task| tokio.block_on(task).unwrap());
    }
}

trait StoreAdd {
    fn store_add(&self, n: u32);
}

impl StoreAdd for TVar<u32> {
    fn store_add(&self, n: u32) {
        atomically(|tx| self.update(tx, |m| m + n));
    }
}

#[test]
fn when_the_one_who_polled_goes_away_the_others_still_hear() {
    let _dog = dog();
    let (s, r) = bounded(1);
    let word = TVar::new(None);
    let message = TEvent::new(async move { r.recv_async().await.unwrap() });
    let mut first = Box::pin(either(&word, &message));
    let mut second = Box::pin(either(&word, &message));
    let (one, two) = (Arc::new(Count::default()), Arc::new(Count::default()));
    let (first_waker, second_waker) = (Waker::from(one.clone()), Waker::from(two.clone()));
    let mut context = Context::from_waker(&first_waker);
    assert!(first.as_mut().poll(&mut context).is_pending());
    let mut context = Context::from_waker(&second_waker);
    assert!(second.as_mut().poll(&mut context).is_pending());
    drop(first);
    s.send("hello").unwrap();
    assert_eq!(one.0.load(Ordering::SeqCst), 0, "it takes its entry along");
    assert!(two.0.load(Ordering::SeqCst) >= 1);
    assert_eq!(second.as_mut().poll(&mut context), Poll::Ready("hello"));
}

#[test]
fn an_event_outlives_a_cancelled_wait() {
    let _dog = dog();
    let runtime = green();
    let (s, r) = bounded(0);
    let message = TEvent::new(async move { r.recv_async().await.unwrap() });
    let has_begun = TVar::new(false);
    let waits = runtime.spawn({
        let (message, has_begun) = (message.clone(), has_begun.clone());
        move || {
            has_begun.store(true);
            atomically(|tx| message.get(tx).copied())
        }
    });
    atomically(|tx| tx.check(*has_begun.get(tx)?));
    waits.cancel();
    assert!(waits.join().unwrap_err().is_cancelled());
    let sender = thread::spawn(move || s.send(3).unwrap());
    assert_eq!(atomically(|tx| message.get(tx).copied()), 3);
    sender.join().unwrap();
}

#[test]
fn an_event_whose_handle_is_dropped_while_it_is_awaited_still_happens() {
    let _dog = dog();
    let runtime = green();
    for _ in 0..iters(200, 50, 3) {
        let (s, r) = bounded::<u32>(0);
        let message = TEvent::new(async move { r.recv_async().await.unwrap() });
        let slot = TVar::new(Some(message));
        let has_begun = TVar::new(false);
        let waits = runtime.spawn({
            let (slot, has_begun) = (slot.clone(), has_begun.clone());
            let mut kept = None;
            move || {
                has_begun.store(true);
                // The body has the event from a variable, and no handle between its attempts.
                atomically(|tx| match slot.get(tx)? {
                    Some(message) => {
                        let n = *message.get(tx)?;
                        kept = Some(n);
                        Ok(kept)
                    }
                    None => Ok(None),
                })
            }
        });
        atomically(|tx| tx.check(*has_begun.get(tx)?));
        slot.store(None);
        assert_eq!(waits.join().unwrap(), None);
        drop(s);
    }
}

#[test]
fn an_event_to_which_nobody_has_a_handle_wakes_who_waits_for_it() {
    let _dog = dog();
    for _ in 0..iters(500, 100, 5) {
        let (s, r) = bounded::<u32>(0);
        let ends = thread::spawn(move || drop(s));
        let attempt = atomically(|tx| {
            if tx.attempt() == 0 {
                let r = r.clone();
                let end = TEvent::new(async move { r.recv_async().await });
                let _ = end.get(tx)?;
            }
            Ok(tx.attempt())
        });
        assert_eq!(attempt, 1);
        ends.join().unwrap();
    }
}

#[test]
fn a_panic_of_the_future_reaches_all_who_ask_for_its_result() {
    let _dog = dog();
    let event: TEvent<()> = TEvent::new(async { panic!("out of {}", "luck") });
    for _ in 0..2 {
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            atomically(|tx| event.get(tx).copied());
        }));
        let payload = panicked.unwrap_err();
        let text = payload.downcast_ref::<String>().expect("a message");
        assert!(
            text.contains("out of luck") && text.contains("bridge.rs"),
            "{text}"
        );
    }
    // Who does not ask is not concerned.
    let flag = TVar::new(true);
    atomically(|tx| tx.or_else(|tx| tx.check(*flag.get(tx)?), |tx| event.get(tx).copied()));
}

#[test]
fn a_result_stays_for_all_transactions() {
    let _dog = dog();
    let event = TEvent::new(ready(String::from("once")));
    for _ in 0..3 {
        assert_eq!(atomically(|tx| Ok(event.get(tx)?.len())), 4);
    }
    assert!(event.has_happened());
}

#[test]
fn the_future_is_polled_once_for_each_time_it_asks() {
    let _dog = dog();
    let polls = Arc::new(AtomicU32::new(0));
    let event = TEvent::new({
        let polls = Arc::clone(&polls);
        poll_fn(move |context| {
            if polls.fetch_add(1, Ordering::SeqCst) == 3 {
                return Poll::Ready(());
            }
            // Asks for the next poll from inside this one.
            context.waker().wake_by_ref();
            Poll::Pending
        })
    });
    atomically(|tx| event.get(tx).copied());
    assert_eq!(polls.load(Ordering::SeqCst), 4);

    let polls = Arc::new(AtomicU32::new(0));
    let silent: TEvent<()> = TEvent::new({
        let polls = Arc::clone(&polls);
        poll_fn(move |_| {
            polls.fetch_add(1, Ordering::SeqCst);
            Poll::Pending
        })
    });
    let turn = TVar::new(0);
    thread::scope(|s| {
        s.spawn(|| (1..=10).for_each(|n| turn.store(n)));
        atomically(|tx| {
            tx.or_else(
                |tx| tx.check(*turn.get(tx)? == 10),
                |tx| silent.get(tx).copied(),
            )
        });
    });
    assert!(polls.load(Ordering::SeqCst) <= 1);
}

#[test]
fn the_future_and_its_result_are_dropped_with_the_event() {
    let _dog = dog();
    let drops = DropCounter::new();
    let waits: TEvent<()> = TEvent::new({
        let inside = drops.track(());
        async move {
            pending::<()>().await;
            drop(inside);
        }
    });
    let happens = TEvent::new(ready(drops.track(5)));
    let word = TVar::new(Some(()));
    atomically(|tx| {
        tx.or_else(
            |tx| waits.get(tx).copied(),
            |tx| word.get(tx)?.map_or_else(|| tx.retry(), Ok),
        )
    });
    assert_eq!(atomically(|tx| Ok(**happens.get(tx)?)), 5);
    drop((waits, happens));
    flush_all_of(&drops);
}

#[test]
fn events_of_several_kinds_compose() {
    let _dog = dog();
    let runtime = green();
    let (s, r) = bounded::<&str>(1);
    let message = TEvent::new(async move { r.recv_async().await.unwrap() });
    let task = TEvent::new(runtime.spawn(|| "task").into_output());
    let pause = after(Duration::from_millis(5));
    s.send("message").unwrap();
    // All three.
    let all = atomically(|tx| {
        let (message, task) = (*message.get(tx)?, *task.get(tx)?);
        pause.get(tx)?;
        Ok((message, task))
    });
    assert_eq!(all, ("message", "task"));
}

trait IntoOutput<T> {
    fn into_output(self) -> impl Future<Output = T> + Send + 'static;
}

impl<T: Send + 'static> IntoOutput<T> for weftwork_sched::JoinHandle<T> {
    async fn into_output(self) -> T {
        self.await.unwrap()
    }
}

#[test]
fn a_transaction_is_an_arm_of_a_select() {
    let _dog = dog();
    let (s, r) = bounded::<u32>(1);
    let count = TVar::new(0);
    // The message is there, the change is not.
    s.send(1).unwrap();
    let take = || {
        atomically_async(|tx| {
            let n = *count.get(tx)?;
            tx.check(n > 0)?;
            count.set(tx, n - 1)
        })
    };
    let mut wants = pin!(take());
    let got = select! {
        recv(r) -> message => message.unwrap(),
        event(wants.as_mut()) -> () => 100,
    };
    assert_eq!(got, 1);
    // The change comes while the select waits.
    thread::scope(|scope| {
        scope.spawn(|| count.store(1));
        let got = select! {
            recv(r) -> message => message.unwrap(),
            event(wants.as_mut()) -> () => 100,
        };
        assert_eq!(got, 100);
    });
    assert_eq!(count.load(), 0);
    // An arm that loses has committed nothing.
    count.store(1);
    {
        let mut loses = pin!(take());
        s.send(2).unwrap();
        let got = select! {
            recv(r) -> message => message.unwrap(),
            event(loses.as_mut()) -> () => 100,
        };
        assert_eq!(got == 100, count.load() == 0);
    }
}

#[test]
fn events_race_with_changes_and_nobody_is_forgotten() {
    let _dog = dog();
    let runtime = green();
    for round in 0..iters(1_000, 200, 5) {
        let (s, r) = bounded(1);
        let message = TEvent::new(async move { r.recv_async().await.unwrap() });
        let word = TVar::new(None);
        let wait = {
            let (message, word) = (message.clone(), word.clone());
            move || weftwork_core::block_on(either(&word, &message))
        };
        let greens: Vec<_> = (0..3).map(|_| runtime.spawn(wait.clone())).collect();
        let thread = thread::spawn(wait);
        if round % 2 == 0 {
            s.send("message").unwrap();
        } else {
            word.store(Some("word"));
        }
        let expected = ["message", "word"][round % 2];
        assert_eq!(thread.join().unwrap(), expected);
        for green in greens {
            assert_eq!(green.join().unwrap(), expected);
        }
    }
}
