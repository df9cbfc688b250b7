//! Condition variables, notifications, barriers and groups between parties of every kind, who give up
//! waiting while they are woken.

#[path = "../../csp/tests/parties/mod.rs"]
mod parties;

use parties::{Crowd, Ledger, Letter, poll_for, report, runtime};
use std::cell::UnsafeCell;
use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use weftwork_sched::Runtime;
use weftwork_sync::{Barrier, Condvar, Context, Mutex, Notify, WaitGroup};
use weftwork_testkit::{iters, watchdog};

/// Some microseconds, other ones each time.
fn patience(turn: usize) -> Duration {
    Duration::from_micros(turn as u64 * 37 % 64)
}

/// A queue of two places, as textbooks have it.
#[derive(Default)]
struct Queue {
    letters: Mutex<VecDeque<Letter>>,
    came: Condvar,
    left: Condvar,
}

const ROOM: usize = 2;

impl Queue {
    fn push(&self, letter: Letter) {
        let mut letters = self.letters.lock();
        self.left.wait_while(&mut letters, |l| l.len() == ROOM);
        letters.push_back(letter);
        drop(letters);
        self.came.notify_one();
    }

    fn pop(&self) -> Letter {
        let mut letters = self.letters.lock();
        self.came.wait_while(&mut letters, |l| l.is_empty());
        self.take(&mut letters)
    }

    /// Waits with little patience, again and again.
    fn pop_hastily(&self) -> Letter {
        let mut letters = self.letters.lock();
        for turn in 0.. {
            let waited = self
                .came
                .wait_timeout_while(&mut letters, patience(turn), |l| l.is_empty());
            if waited.is_ok() {
                break;
            }
        }
        self.take(&mut letters)
    }

    async fn push_async(&self, letter: Letter) {
        let mut letters = self.letters.lock_async().await;
        while letters.len() == ROOM {
            letters = self.left.wait_async(letters).await;
        }
        letters.push_back(letter);
        drop(letters);
        self.came.notify_one();
    }

    async fn pop_async(&self) -> Letter {
        let mut letters = self.letters.lock_async().await;
        while letters.is_empty() {
            letters = self.came.wait_async(letters).await;
        }
        self.take(&mut letters)
    }

    fn take(&self, letters: &mut VecDeque<Letter>) -> Letter {
        let letter = letters.pop_front().expect("it was waited for");
        self.left.notify_one();
        letter
    }
}

fn a_queue_of_condition_variables_loses_nothing(runtime: &Runtime, count: u64) {
    let start = Instant::now();
    let ledger = Ledger::new();
    let queue = Arc::new(Queue::default());
    let mut crowd = Crowd::new(runtime);
    let pushing = || {
        let (queue, ledger) = (Arc::clone(&queue), ledger.clone());
        move || {
            for number in 0..count {
                queue.push(ledger.write(number));
                ledger.note_sent(number);
            }
        }
    };
    let popping = |pop: fn(&Queue) -> Letter| {
        let (queue, ledger) = (Arc::clone(&queue), ledger.clone());
        move || (0..count).for_each(|_| _ = ledger.note_received(pop(&queue)))
    };
    crowd.thread(pushing());
    crowd.green(pushing());
    crowd.green(pushing());
    crowd.thread(popping(Queue::pop));
    crowd.green(popping(Queue::pop));
    crowd.green(popping(Queue::pop_hastily));
    // A waiter that is dropped may have been notified: it passes that on.
    crowd.thread(popping(|queue| {
        (0..)
            .find_map(|turn| poll_for(pin!(queue.pop_async()), patience(turn)))
            .expect("letters come")
    }));
    let (pushes, sending) = (Arc::clone(&queue), ledger.clone());
    crowd.future(async move || {
        for number in 0..count {
            pushes.push_async(sending.write(number)).await;
            sending.note_sent(number);
        }
    });
    crowd.join();
    assert_eq!(ledger.sent(), 4 * count);
    ledger.assert_balanced("condition variables");
    report("condition variables", start);
}

fn a_notification_reaches_somebody(runtime: &Runtime, count: u64) {
    let start = Instant::now();
    let ledger = Ledger::new();
    let table = Arc::new((Mutex::new(Vec::new()), Notify::new()));
    let mut crowd = Crowd::new(runtime);
    // One notification for each letter: who gets it takes one letter. As many are taken as are put.
    let (put, answered) = (Arc::clone(&table), Arc::new(Notify::new()));
    let (sending, answer) = (ledger.clone(), Arc::clone(&answered));
    crowd.thread(move || {
        for number in 0..4 * count {
            put.0.lock().push(sending.write(number));
            sending.note_sent(number);
            put.1.notify_one();
            answer.wait();
        }
    });
    let take = |table: &(Mutex<Vec<Letter>>, Notify), ledger: &Ledger, answered: &Notify| {
        let letter = table.0.lock().pop().expect("one notification, one letter");
        ledger.note_received(letter);
        answered.notify_one();
    };
    let party = || (Arc::clone(&table), ledger.clone(), Arc::clone(&answered));
    let (news, noting, answer) = party();
    let blocking = move || {
        for _ in 0..count {
            news.1.wait();
            take(&news, &noting, &answer);
        }
    };
    crowd.thread(blocking.clone());
    crowd.green(blocking);
    let (news, noting, answer) = party();
    crowd.future(async move || {
        for _ in 0..count {
            news.1.notified().await;
            take(&news, &noting, &answer);
        }
    });
    let (news, noting, answer) = party();
    crowd.thread(move || {
        for turn in 0..count as usize {
            (turn..)
                .find_map(|turn| poll_for(pin!(news.1.notified()), patience(turn)))
                .expect("a notification comes");
            take(&news, &noting, &answer);
        }
    });
    crowd.join();
    assert_eq!(ledger.sent(), 4 * count);
    ledger.assert_balanced("notifications");
    report("notifications", start);
}

const PARTIES: usize = 5;

/// A place for each party, which nothing guards but a barrier.
#[derive(Default)]
struct Places([UnsafeCell<usize>; PARTIES]);

// SAFETY: each party writes its own place only, and between two barriers all write or all read.
unsafe impl Sync for Places {}

impl Places {
    fn write(&self, party: usize, phase: usize) {
        // SAFETY: as above.
        unsafe { *self.0[party].get() = phase }
    }

    fn check(&self, phase: usize) {
        for place in &self.0 {
            // SAFETY: as above.
            assert_eq!(unsafe { *place.get() }, phase, "a party is ahead or behind");
        }
    }
}

fn a_barrier_parts_the_phases(runtime: &Runtime, phases: usize) {
    let start = Instant::now();
    let shared = Arc::new((Barrier::new(PARTIES), Places::default()));
    let done = WaitGroup::new();
    let mut crowd = Crowd::new(runtime);
    let work = |party: usize| {
        let (shared, done) = (Arc::clone(&shared), done.clone());
        move || {
            let (barrier, places) = &*shared;
            for phase in 1..=phases {
                places.write(party, phase);
                barrier.wait();
                places.check(phase);
                barrier.wait();
            }
            drop(done);
        }
    };
    crowd.thread(work(0));
    crowd.thread(work(1));
    crowd.green(work(2));
    crowd.green(work(3));
    let (awaited, awaiting) = (Arc::clone(&shared), done.clone());
    crowd.future(async move || {
        let (barrier, places) = &*awaited;
        for phase in 1..=phases {
            places.write(4, phase);
            barrier.wait_async().await;
            places.check(phase);
            barrier.wait_async().await;
        }
        drop(awaiting);
    });
    // The group orders as well: what its members wrote is read before any of them is joined.
    done.wait();
    shared.1.check(phases);
    crowd.join();
    report("barrier, group", start);
}

fn a_context_ends_for_all_at_once(runtime: &Runtime, rounds: usize) {
    let start = Instant::now();
    for round in 0..rounds {
        let (context, cancel) = Context::background().with_cancel();
        let group = WaitGroup::new();
        let mut crowd = Crowd::new(runtime);
        let work = || {
            let (context, member) = (context.clone(), group.clone());
            move || {
                let (inner, _cancel) = context.with_timeout(Duration::from_secs(600));
                let hung = context.after_func(move || drop(member));
                inner.wait();
                assert!(!hung.stop(), "it was called");
            }
        };
        crowd.thread(work());
        crowd.green(work());
        crowd.green(work());
        let (awaited, member) = (context.clone(), group.clone());
        crowd.future(async move || {
            awaited.done().await;
            drop(member);
        });
        let impatient = context.clone();
        crowd.thread(move || {
            for turn in 0.. {
                if impatient.wait_timeout(patience(turn)).is_ok() {
                    break;
                }
            }
        });
        if round % 2 == 0 {
            std::thread::yield_now();
        }
        assert!(cancel.cancel());
        crowd.join();
        group.wait();
    }
    report("context", start);
}

fn main() {
    let _dog = watchdog(Duration::from_secs(120));
    let runtime = runtime();
    let count = iters(10_000, 3_000, 10);
    a_queue_of_condition_variables_loses_nothing(&runtime, count as u64);
    a_notification_reaches_somebody(&runtime, count as u64);
    a_barrier_parts_the_phases(&runtime, count);
    a_context_ends_for_all_at_once(&runtime, iters(1_000, 300, 3));
}
