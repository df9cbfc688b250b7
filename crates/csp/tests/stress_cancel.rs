//! Operations that are given up while the other side takes them: time limits, dropped futures, cancelled
//! green threads. A letter is then either sent or with its sender, never both and never neither.

mod parties;

use parties::{Crowd, Ledger, Letter, poll_for, report, runtime};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use weftwork_csp::{Receiver, RecvTimeoutError, SendTimeoutError, Sender, bounded, unbounded};
use weftwork_sched::Runtime;
use weftwork_testkit::{iters, watchdog};

/// Some microseconds, other ones each time.
fn patience(turn: u64) -> Duration {
    Duration::from_micros(turn * 37 % 64)
}

fn channel(capacity: Option<usize>) -> (Sender<Letter>, Receiver<Letter>) {
    capacity.map_or_else(unbounded, bounded)
}

/// Sends `count` letters, each as often as it takes.
fn send_hastily(s: &Sender<Letter>, ledger: &Ledger, count: u64) {
    for number in 0..count {
        let mut letter = ledger.write(number);
        for turn in number.. {
            match s.send_timeout(letter, patience(turn)) {
                Ok(()) => break,
                Err(SendTimeoutError::Timeout(back)) => letter = back,
                Err(SendTimeoutError::Disconnected(_)) => unreachable!("the receivers stay"),
            }
        }
        ledger.note_sent(number);
    }
}

/// The same by futures that are dropped.
fn send_and_drop(s: &Sender<Letter>, ledger: &Ledger, count: u64) {
    for number in 0..count {
        let mut letter = Some(ledger.write(number));
        for turn in number.. {
            let Some(unsent) = letter.take() else {
                break;
            };
            let mut send = pin!(s.send_async(unsent));
            match poll_for(send.as_mut(), patience(turn)) {
                Some(sent) => sent.unwrap(),
                None => letter = send.into_message(),
            }
        }
        ledger.note_sent(number);
    }
}

/// Receives until the end, with little patience.
fn receive_hastily(r: &Receiver<Letter>, ledger: &Ledger) {
    for turn in 0.. {
        match r.recv_timeout(patience(turn)) {
            Ok(letter) => _ = ledger.note_received(letter),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
}

/// The same by futures that are dropped.
fn receive_and_drop(r: &Receiver<Letter>, ledger: &Ledger) {
    for turn in 0.. {
        match poll_for(pin!(r.recv_async()), patience(turn)) {
            Some(Ok(letter)) => _ = ledger.note_received(letter),
            Some(Err(_)) => break,
            None => {}
        }
    }
}

fn what_is_given_up_is_either_done_or_not(runtime: &Runtime) {
    let count = iters(10_000, 4_000, 10) as u64;
    for capacity in [Some(0), Some(1), Some(7), None] {
        let start = Instant::now();
        let ledger = Ledger::new();
        let (s, r) = channel(capacity);
        let mut crowd = Crowd::new(runtime);
        type Sends = fn(&Sender<Letter>, &Ledger, u64);
        let sending = |send: Sends| {
            let (s, ledger) = (s.clone(), ledger.clone());
            move || send(&s, &ledger, count)
        };
        type Receives = fn(&Receiver<Letter>, &Ledger);
        let receiving = |receive: Receives| {
            let (r, ledger) = (r.clone(), ledger.clone());
            move || receive(&r, &ledger)
        };
        crowd.thread(receiving(receive_hastily));
        crowd.thread(receiving(receive_and_drop));
        crowd.green(receiving(receive_hastily));
        crowd.thread(sending(send_hastily));
        crowd.thread(sending(send_and_drop));
        crowd.green(sending(send_hastily));
        drop((s, r));
        crowd.join();
        assert_eq!(ledger.sent(), 3 * count);
        ledger.assert_balanced("given up");
        report(&format!("given up, capacity {capacity:?}"), start);
    }
}

/// Waits until so many more letters are received.
fn wait_for_letters(ledger: &Ledger, more: u64) {
    let aim = ledger.received() + more;
    while ledger.received() < aim {
        std::thread::yield_now();
    }
}

/// Counts itself in until it is dropped, also by an unwinding.
struct Inside(Arc<AtomicUsize>);

impl Inside {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Inside(Arc::clone(count))
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn a_cancelled_receiver_takes_nothing_along(runtime: &Runtime) {
    let start = Instant::now();
    let rounds = iters(2_000, 600, 10) as u64;
    for capacity in [Some(0), Some(1), Some(7)] {
        let ledger = Ledger::new();
        let inside = Arc::new(AtomicUsize::new(0));
        let (s, r) = channel(capacity);
        let mut crowd = Crowd::new(runtime);
        {
            let ledger = ledger.clone();
            crowd.thread(move || {
                for number in 0.. {
                    match s.send(ledger.write(number)) {
                        Ok(()) => ledger.note_sent(number),
                        Err(_) => break,
                    }
                }
            });
        }
        for round in 0..rounds {
            let (receiver, noting) = (r.clone(), ledger.clone());
            let inside = Inside::new(&inside);
            let victim = runtime.spawn(move || {
                let _inside = inside;
                while let Ok(letter) = receiver.recv() {
                    noting.note_received(letter);
                }
            });
            wait_for_letters(&ledger, round % 3);
            victim.cancel();
            victim
                .join()
                .expect_err("it receives until it is cancelled");
        }
        r.close();
        r.iter().for_each(|letter| _ = ledger.note_received(letter));
        crowd.join();
        assert_eq!(inside.load(Ordering::Relaxed), 0);
        ledger.assert_balanced("cancelled receivers");
    }
    report("cancelled receivers", start);
}

fn a_cancelled_sender_leaves_nothing_behind(runtime: &Runtime) {
    let start = Instant::now();
    let rounds = iters(2_000, 600, 10) as u64;
    for capacity in [Some(0), Some(1)] {
        let ledger = Ledger::new();
        let (s, r) = channel(capacity);
        let mut crowd = Crowd::new(runtime);
        {
            let ledger = ledger.clone();
            crowd.thread(move || r.iter().for_each(|l| _ = ledger.note_received(l)));
        }
        for round in 0..rounds {
            let (sender, writing) = (s.clone(), ledger.clone());
            let victim = runtime.spawn(move || {
                for number in 0.. {
                    let letter = writing.write(number);
                    // Offered is what counts: whoever unwinds from here cannot say what became of it.
                    writing.note_sent(number);
                    sender.send(letter).unwrap();
                }
            });
            wait_for_letters(&ledger, round % 3);
            victim.cancel();
            victim.join().expect_err("it sends until it is cancelled");
        }
        drop(s);
        crowd.join();
        ledger.assert_none_left("cancelled senders");
        assert!(ledger.received() + rounds >= ledger.sent(), "one each");
    }
    report("cancelled senders", start);
}

fn main() {
    let _dog = watchdog(Duration::from_secs(120));
    let runtime = runtime();
    what_is_given_up_is_either_done_or_not(&runtime);
    a_cancelled_receiver_takes_nothing_along(&runtime);
    a_cancelled_sender_leaves_nothing_behind(&runtime);
}
