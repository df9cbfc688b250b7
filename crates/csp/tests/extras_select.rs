//! The small channels as arms of a select: each can be chosen, and those that are not lose nothing.

#![cfg(not(weftwork_loom))]

use std::time::Duration;
use weftwork_csp::{bounded, broadcast, lossy, never, oneshot, select, watch};
use weftwork_sched::Runtime;
use weftwork_testkit::{iters, watchdog};

const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_select_that_waits_is_woken_by_each_kind_of_event() {
    let _dog = watchdog(PATIENCE);
    let idle = never::<()>();

    let (sender, mut receiver) = oneshot::channel();
    let other = std::thread::spawn(move || sender.send(1).unwrap());
    let got = select! {
        event(&mut receiver) -> message => message.unwrap(),
        recv(idle) -> _ => 0,
    };
    assert_eq!(got, 1);
    other.join().unwrap();

    let (mut sender, receiver) = oneshot::channel::<i32>();
    let other = std::thread::spawn(move || drop(receiver));
    select! {
        event(sender.closed()) -> () => {}
        recv(idle) -> _ => {}
    }
    other.join().unwrap();
    assert!(sender.is_closed());

    let (sender, mut receiver) = broadcast::bounded(1);
    let other = std::thread::spawn(move || sender.send(2).unwrap());
    let got = select! {
        event(receiver.recv_async()) -> message => message.unwrap(),
        recv(idle) -> _ => 0,
    };
    assert_eq!(got, 2);
    other.join().unwrap();

    let (sender, mut receiver) = broadcast::bounded(1);
    sender.send(3).unwrap();
    let other = std::thread::spawn(move || (receiver.recv(), receiver.recv()));
    select! {
        event(sender.send_async(4)) -> sent => sent.unwrap(),
        recv(idle) -> _ => {}
    }
    assert_eq!(other.join().unwrap(), (Ok(3), Ok(4)));

    let (sender, receiver) = lossy::sliding(1);
    let other = std::thread::spawn(move || sender.send(5).unwrap());
    let got = select! {
        event(receiver.recv_async()) -> message => message.unwrap(),
        recv(idle) -> _ => 0,
    };
    assert_eq!(got, 5);
    other.join().unwrap();

    let (sender, mut receiver) = watch::channel(0);
    let other = std::thread::spawn(move || {
        sender.send(6).unwrap();
        sender
    });
    let got = select! {
        event(receiver.wait_for_async(|n| *n == 6)) -> value => *value.unwrap(),
        recv(idle) -> _ => 0,
    };
    assert_eq!(got, 6);
    let sender = other.join().unwrap();
    let other = std::thread::spawn(move || drop(receiver));
    select! {
        event(sender.closed()) -> () => {}
        recv(idle) -> _ => {}
    }
    other.join().unwrap();
}

#[test]
fn arms_that_are_not_chosen_lose_nothing() {
    let _dog = watchdog(PATIENCE);
    let runtime = Runtime::builder().workers(2).build().unwrap();
    let count = iters(2_000, 400, 30) as u64;
    let (plain, plains) = bounded(1);
    let (to_all, mut broadcasts) = broadcast::bounded(2);
    let (lossy, lossies) = lossy::dropping(usize::MAX);
    let (done, mut finished) = oneshot::channel();

    let sending = [
        runtime.spawn(move || (0..count).for_each(|n| plain.send(n).unwrap())),
        runtime.spawn(move || (0..count).for_each(|n| to_all.send(n).unwrap())),
    ];
    let last = std::thread::spawn(move || {
        for n in 0..count {
            assert_eq!(lossy.send(n), Ok(None));
        }
        done.send(()).unwrap();
        // Kept, so that the end of the channel is not ready all the time.
        lossy
    });

    let receiving = runtime.spawn(move || {
        let mut next = [0; 3];
        let mut is_finished = false;
        while next != [count; 3] || !is_finished {
            let (arm, n) = select! {
                recv(plains) if next[0] < count -> message => (0, message.unwrap()),
                event(broadcasts.recv_async()) if next[1] < count -> message => (1, message.unwrap()),
                event(lossies.recv_async()) -> message => (2, message.unwrap()),
                event(&mut finished) if !is_finished -> end => {
                    end.unwrap();
                    is_finished = true;
                    continue;
                }
            };
            // In order, each once.
            assert_eq!(n, next[arm]);
            next[arm] += 1;
        }
    });
    receiving.join().unwrap();
    sending.into_iter().for_each(|task| task.join().unwrap());
    drop(last.join().unwrap());
}
