//! Pipelines: order, bounds, the end flowing down, the lack of interest flowing up, failures.

#![cfg(not(weftwork_loom))]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use weftwork_core::{Refused, Spawn, Task};
use weftwork_csp::group::ThreadPerTask;
use weftwork_csp::pipeline::Flow;
use weftwork_csp::{Receiver, Sender, bounded, unbounded};
use weftwork_sched::Runtime;
use weftwork_testkit::{DropCounter, iters, watchdog};

const PATIENCE: Duration = Duration::from_secs(60);

fn runtime() -> Runtime {
    Runtime::builder().workers(2).build().unwrap()
}

/// A channel with the numbers below `count`, at its end.
fn numbers(count: u64) -> Receiver<u64> {
    let (sender, receiver) = unbounded();
    (0..count).for_each(|n| sender.send(n).unwrap());
    receiver
}

/// Waits until nobody receives from the channel.
fn wait_until_unwanted<T>(sender: &Sender<T>) {
    weftwork_core::block_on(sender.closed());
}

#[test]
fn results_come_all_and_in_order_where_that_is_asked_for() {
    fn run<S: Spawn>(spawner: &S, count: u64) {
        let flow = Flow::from(numbers(count))
            .map(spawner, 3, |n| n + 1)
            .unwrap();
        let ordered = flow.map_ordered(spawner, 3, |n| n * 2).unwrap();
        assert_eq!(ordered.into_iter().sum::<u64>(), count * (count + 1));
        let flow = Flow::from(numbers(count)).map_ordered(spawner, 4, |n| {
            // Some are slower than others.
            (0..n % 5).for_each(|_| std::thread::yield_now());
            n
        });
        assert!(flow.unwrap().into_iter().eq(0..count));
    }
    let _dog = watchdog(PATIENCE);
    let count = iters(5_000, 500, 50) as u64;
    run(&ThreadPerTask, count);
    run(runtime().handle(), count);
}

#[test]
fn a_slow_consumer_stops_the_stages_before_it() {
    let _dog = watchdog(PATIENCE);
    let runtime = runtime();
    let worked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&worked);
    let flow = Flow::from(numbers(1_000)).map_ordered(runtime.handle(), 2, move |n| {
        count.fetch_add(1, Ordering::SeqCst);
        n
    });
    let flow = flow.unwrap();
    assert_eq!(flow.recv(), Ok(0));
    runtime.run(|| (0..1_000).for_each(|_| weftwork_sched::yield_now()));
    // Two workers, a window of four, an output of two, one received and one with the last task.
    assert!(worked.load(Ordering::SeqCst) <= 12, "{worked:?}");
    assert!(flow.into_iter().eq(1..1_000));
}

#[test]
fn a_dropped_output_stops_the_stages_before_it_even_while_they_wait() {
    let _dog = watchdog(PATIENCE);
    let runtime = runtime();
    for ordered in [false, true] {
        let (sender, receiver) = bounded::<u64>(0);
        let flow = Flow::from(receiver)
            .map(runtime.handle(), 2, |n| n)
            .unwrap();
        let flow = match ordered {
            true => flow.map_ordered(runtime.handle(), 2, |n| n),
            false => flow.map(runtime.handle(), 2, |n| n),
        };
        let (even, odd) = flow
            .unwrap()
            .split(runtime.handle(), |n| n % 2 == 0)
            .unwrap();
        sender.send(4).unwrap();
        assert_eq!(even.recv(), Ok(4));
        drop(even);
        drop(odd);
        // Nothing more is sent: they are told all the same.
        wait_until_unwanted(&sender);
    }
}

#[test]
fn a_panic_surfaces_at_the_end_of_the_pipeline_with_its_payload() {
    let _dog = watchdog(PATIENCE);
    let runtime = runtime();
    for ordered in [false, true] {
        let (sender, receiver) = unbounded();
        let work = |n: u64| match n {
            3 => std::panic::resume_unwind(Box::new("payload")),
            n => n,
        };
        let flow = Flow::from(receiver);
        let flow = match ordered {
            true => flow.map_ordered(runtime.handle(), 2, work),
            false => flow.map(runtime.handle(), 2, work),
        };
        let flow = flow.unwrap().map(runtime.handle(), 3, |n| n + 1).unwrap();
        let mut outputs = flow.tee(runtime.handle(), 2).unwrap();
        let merged = Flow::merge(runtime.handle(), outputs.drain(..)).unwrap();
        for n in 0..10 {
            // The stage may have stopped already.
            let _ = sender.send(n);
        }
        let caught = catch_unwind(AssertUnwindSafe(|| merged.iter().count()));
        assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"payload"));
        // Whoever asks again does not find a plain end.
        assert!(catch_unwind(AssertUnwindSafe(|| merged.recv())).is_err());
        assert!(catch_unwind(AssertUnwindSafe(|| merged.try_recv())).is_err());
        wait_until_unwanted(&sender);
    }
}

#[test]
fn a_stage_that_was_never_run_is_not_a_plain_end() {
    #[derive(Clone)]
    struct Forgetful;
    impl Spawn for Forgetful {
        fn spawn_task(&self, task: Task) -> Result<(), Refused> {
            drop(task);
            Ok(())
        }
    }
    let _dog = watchdog(PATIENCE);
    let flow = Flow::from(numbers(3)).map(&Forgetful, 1, |n| n).unwrap();
    let flow = flow.map(&ThreadPerTask, 1, |n| n).unwrap();
    let caught = catch_unwind(AssertUnwindSafe(|| flow.recv())).unwrap_err();
    assert_eq!(
        caught.downcast_ref(),
        Some(&"a stage of the pipeline was cancelled")
    );
}

#[test]
fn an_executor_that_refuses_is_an_error() {
    #[derive(Clone)]
    struct Full;
    impl Spawn for Full {
        fn spawn_task(&self, task: Task) -> Result<(), Refused> {
            Err(Refused(task))
        }
    }
    assert!(Flow::from(numbers(3)).map(&Full, 1, |n| n).is_err());
    assert!(Flow::from(numbers(3)).map_ordered(&Full, 1, |n| n).is_err());
    assert!(Flow::from(numbers(3)).tee(&Full, 2).is_err());
}

#[test]
fn a_merge_passes_all_on_and_keeps_the_order_of_each_input() {
    let _dog = watchdog(PATIENCE);
    let runtime = runtime();
    let inputs = (0..3).map(|input| {
        let numbers = Flow::from(numbers(100));
        numbers
            .map_ordered(runtime.handle(), 1, move |n| (input, n))
            .unwrap()
    });
    let merged = Flow::merge(runtime.handle(), inputs).unwrap();
    let mut next = [0; 3];
    for (input, n) in merged {
        let expected: &mut u64 = &mut next[input];
        assert_eq!(n, *expected);
        *expected += 1;
    }
    assert_eq!(next, [100; 3]);
    let none = Flow::<i32>::merge(runtime.handle(), []).unwrap();
    assert!(none.recv().is_err());
}

#[test]
fn a_split_goes_on_for_the_output_that_is_left() {
    let _dog = watchdog(PATIENCE);
    let runtime = runtime();
    let (even, odd) = Flow::from(numbers(100))
        .split(runtime.handle(), |n| n % 2 == 0)
        .unwrap();
    drop(odd);
    assert!(even.into_iter().eq((0..100).step_by(2)));
}

#[test]
fn a_tee_gives_all_to_each_and_the_messages_are_dropped_once() {
    let _dog = watchdog(PATIENCE);
    let runtime = runtime();
    let drops = DropCounter::new();
    let (sender, receiver) = unbounded();
    (0..50).for_each(|n| sender.send(drops.track(n)).unwrap());
    drop(sender);
    let mut outputs = Flow::from(receiver).tee(runtime.handle(), 3).unwrap();
    drop(outputs.pop());
    let counting = outputs
        .into_iter()
        .map(|output| runtime.spawn(move || output.into_iter().map(|n| n.into_inner()).eq(0..50)));
    let counting: Vec<_> = counting.collect();
    assert!(counting.into_iter().all(|all| all.join().unwrap()));
    drops.assert_none_live();
}

#[test]
fn messages_with_the_same_key_stay_in_order_at_one_output() {
    let _dog = watchdog(PATIENCE);
    let runtime = runtime();
    let flow = Flow::from(numbers(300));
    let outputs = flow.fan_out_by_key(runtime.handle(), 3, |n| n % 7).unwrap();
    let workers: Vec<_> = outputs
        .into_iter()
        .map(|output| runtime.spawn(move || output.into_iter().collect::<Vec<_>>()))
        .collect();
    let seen: Vec<Vec<u64>> = workers.into_iter().map(|w| w.join().unwrap()).collect();
    assert_eq!(seen.iter().map(Vec::len).sum::<usize>(), 300);
    for key in 0..7 {
        let of_key = |part: &Vec<u64>| part.iter().copied().filter(|n| n % 7 == key).collect();
        let parts: Vec<Vec<u64>> = seen
            .iter()
            .map(of_key)
            .filter(|p: &Vec<_>| !p.is_empty())
            .collect();
        assert_eq!(parts.len(), 1);
        assert!(parts[0].is_sorted());
    }
}

#[test]
fn a_flow_is_received_from_in_every_form() {
    let _dog = watchdog(PATIENCE);
    let (sender, receiver) = bounded(4);
    let flow = Flow::from(receiver)
        .map(&ThreadPerTask, 1, |n: u64| n)
        .unwrap();
    assert!(flow.recv_timeout(Duration::from_millis(1)).is_err());
    sender.send(1).unwrap();
    assert_eq!(flow.recv_timeout(Duration::MAX), Ok(1));
    sender.send(2).unwrap();
    let tokio = tokio::runtime::Runtime::new().unwrap();
    assert_eq!(tokio.block_on(flow.recv_async()), Ok(2));
    let second = flow.clone();
    sender.send(3).unwrap();
    drop(sender);
    assert_eq!(second.iter().chain(&flow).collect::<Vec<_>>(), [3]);
}
