//! The other kinds of channel between parties of every kind: oneshot, broadcast, watch, sliding and
//! dropping buffers, and a group of tasks. What they hand over is in plain memory, so that a hand-over
//! that orders nothing is a race.

mod parties;

use parties::{Crowd, Ledger, Letter, block_on, report, runtime};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use weftwork_csp::group::Group;
use weftwork_csp::{broadcast, lossy, oneshot, watch};
use weftwork_sched::Runtime;
use weftwork_testkit::{iters, watchdog};

fn a_oneshot_hands_its_message_over_or_back(runtime: &Runtime) {
    let start = Instant::now();
    let ledger = Ledger::new();
    for round in 0..iters(6_000, 1_500, 12) as u64 {
        let (s, r) = oneshot::channel::<Letter>();
        let mut crowd = Crowd::new(runtime);
        let book = ledger.clone();
        let receive = move |letter| {
            book.note_received(letter);
        };
        match round % 4 {
            0 => crowd.thread(move || receive(r.recv().expect("it is sent"))),
            1 => crowd.green(move || receive(r.recv().expect("it is sent"))),
            2 => crowd.future(async move || receive(r.await.expect("it is sent"))),
            // A receiver that may be gone before the message comes.
            _ => crowd.green(move || drop(r)),
        }
        match s.send(ledger.write(round)) {
            Ok(()) if round % 4 < 3 => ledger.note_sent(round),
            // It was taken, and dropped with the receiver.
            Ok(()) => {}
            Err(unsent) => assert_eq!(**unsent.0, round),
        }
        crowd.join();
    }
    ledger.assert_balanced("oneshot");
    report("oneshot", start);
}

/// A value that says whether its parts belong together.
#[derive(Clone)]
struct Pair(Box<u64>, Box<u64>);

/// What is broadcast. The last receiver moves the message out, ordered after the clones of the others by a
/// fence of std's, which the sanitizer does not follow: so it is a handle, and what it leads to stays.
type Shared = Arc<Pair>;

impl Pair {
    fn of(number: u64) -> Self {
        Pair(Box::new(number), Box::new(!number))
    }

    fn number(&self) -> u64 {
        assert_eq!(*self.0, !*self.1, "half of one value, half of another");
        *self.0
    }
}

fn every_receiver_of_a_bounded_broadcast_sees_every_message(runtime: &Runtime) {
    let start = Instant::now();
    let count = iters(20_000, 3_000, 20) as u64;
    let (s, mut r) = broadcast::bounded::<Shared>(4);
    let mut crowd = Crowd::new(runtime);
    let expect = |seen: u64, message: Shared| {
        assert_eq!(message.number(), seen);
        seen + 1
    };
    let mut thread = r.resubscribe();
    crowd.thread(move || {
        let mut seen = 0;
        while let Ok(message) = thread.recv() {
            seen = expect(seen, message);
        }
        assert_eq!(seen, count);
    });
    let mut green = r.resubscribe();
    crowd.green(move || {
        let mut seen = 0;
        while let Ok(message) = green.recv() {
            seen = expect(seen, message);
        }
        assert_eq!(seen, count);
    });
    crowd.future(async move || {
        let mut seen = 0;
        while let Ok(message) = r.recv_async().await {
            seen = expect(seen, message);
        }
        assert_eq!(seen, count);
    });
    for number in 0..count {
        s.send(Arc::new(Pair::of(number)))
            .expect("the receivers are there");
    }
    drop(s);
    crowd.join();
    report("broadcast, bounded", start);
}

fn a_receiver_that_lags_is_told_how_many_it_missed(runtime: &Runtime) {
    let start = Instant::now();
    let count = iters(20_000, 4_000, 40) as u64;
    let (s, mut r) = broadcast::lagging::<Shared>(8);
    let mut crowd = Crowd::new(runtime);
    let read = move |next: &mut u64, outcome: Result<Shared, broadcast::RecvError>| match outcome {
        Ok(message) => {
            assert_eq!(message.number(), *next);
            *next += 1;
            true
        }
        Err(broadcast::RecvError::Lagged(missed)) => {
            *next += missed;
            true
        }
        Err(broadcast::RecvError::Disconnected) => {
            assert_eq!(*next, count);
            false
        }
    };
    let mut thread = r.resubscribe();
    crowd.thread(move || {
        let mut next = 0;
        while read(&mut next, thread.recv()) {}
    });
    crowd.future(async move || {
        let mut next = 0;
        while read(&mut next, r.recv_async().await) {}
    });
    crowd.green(move || {
        for number in 0..count {
            s.send(Arc::new(Pair::of(number)))
                .expect("it waits for nobody");
        }
    });
    crowd.join();
    report("broadcast, lagging", start);
}

fn a_watch_shows_whole_values_that_only_grow(runtime: &Runtime) {
    let start = Instant::now();
    let count = iters(20_000, 3_000, 20) as u64;
    let (s, mut r) = watch::channel(Pair::of(0));
    let mut crowd = Crowd::new(runtime);
    let mut thread = r.clone();
    crowd.thread(move || {
        let mut last = 0;
        while thread.changed().is_ok() {
            let number = thread.borrow_and_update().number();
            assert!(number >= last);
            last = number;
        }
        assert_eq!(thread.borrow().number(), count);
    });
    let mut green = r.clone();
    crowd.green(move || {
        let end = green.wait_for(|value| value.number() == count);
        assert_eq!(end.expect("it is sent").number(), count);
    });
    crowd.future(async move || {
        let mut last = 0;
        while r.changed_async().await.is_ok() {
            let number = r.borrow().number();
            assert!(number >= last);
            last = number;
        }
        assert_eq!(r.borrow().number(), count);
    });
    for number in 1..=count {
        if number % 2 == 0 {
            s.send(Pair::of(number)).expect("the receivers are there");
        } else {
            s.send_modify(|value| *value = Pair::of(number));
        }
    }
    // The green receiver may be through; the others wait for the end.
    drop(s);
    crowd.join();
    report("watch", start);
}

fn lossy_buffers_account_for_each_message(runtime: &Runtime) {
    let start = Instant::now();
    let count = iters(20_000, 3_000, 20) as u64;
    for sliding in [true, false] {
        let ledger = Ledger::new();
        let (s, r) = if sliding {
            lossy::sliding::<Letter>(3)
        } else {
            lossy::dropping::<Letter>(3)
        };
        let mut crowd = Crowd::new(runtime);
        let (receiver, book) = (r.clone(), ledger.clone());
        crowd.thread(move || {
            while let Ok(letter) = receiver.recv() {
                book.note_received(letter);
            }
        });
        let book = ledger.clone();
        crowd.future(async move || {
            while let Ok(letter) = r.recv_async().await {
                book.note_received(letter);
            }
        });
        for sender in 0..2 {
            let (s, book) = (s.clone(), ledger.clone());
            let send = move || {
                for number in 0..count {
                    book.note_sent(number);
                    if let Some(lost) = s.send(book.write(number)).expect("somebody receives") {
                        // What was pushed out, or not taken in, is accounted for here.
                        book.note_received(lost);
                    }
                }
            };
            if sender == 0 {
                crowd.thread(send);
            } else {
                crowd.green(send);
            }
        }
        drop(s);
        crowd.join();
        ledger.assert_balanced("lossy");
    }
    report("sliding and dropping", start);
}

fn a_group_ends_after_all_that_its_tasks_did(runtime: &Runtime) {
    let start = Instant::now();
    for round in 0..iters(400, 80, 3) as u64 {
        let handle = runtime.handle().clone();
        let group = Group::<_, u64>::with_limit(&handle, 3);
        let done: Arc<Vec<AtomicU64>> = Arc::new((0..8).map(|_| AtomicU64::new(0)).collect());
        for task in 0..8 {
            let done = Arc::clone(&done);
            group
                .spawn(move || {
                    // Relaxed: the end of the group is what orders it.
                    done[task].store(round + 1, Ordering::Relaxed);
                    if round % 5 == 4 && task == 7 {
                        Err(round)
                    } else {
                        Ok(())
                    }
                })
                .expect("the group goes on until its last task fails");
        }
        let outcome = if round % 2 == 0 {
            group.wait()
        } else {
            block_on(group.wait_async())
        };
        assert_eq!(outcome.is_err(), round % 5 == 4);
        // An error ends those that have not begun.
        if outcome.is_ok() {
            for slot in done.iter() {
                assert_eq!(slot.load(Ordering::Relaxed), round + 1);
            }
        }
        // No task is left that holds on to it.
        assert_eq!(Arc::strong_count(&done), 1);
    }
    report("group", start);
}

fn main() {
    let _dog = watchdog(Duration::from_secs(120));
    let runtime = runtime();
    a_oneshot_hands_its_message_over_or_back(&runtime);
    every_receiver_of_a_bounded_broadcast_sees_every_message(&runtime);
    a_receiver_that_lags_is_told_how_many_it_missed(&runtime);
    a_watch_shows_whole_values_that_only_grow(&runtime);
    lossy_buffers_account_for_each_message(&runtime);
    a_group_ends_after_all_that_its_tasks_did(&runtime);
}
