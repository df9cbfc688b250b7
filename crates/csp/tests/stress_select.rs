//! Selects on both ends of shared channels, of every kind: each party offers to send and to receive on
//! the same channels at once, with and without patience, until all letters are delivered.

mod parties;

use parties::{Crowd, Ledger, Letter, poll_for, report, runtime};
use std::pin::pin;
use std::time::{Duration, Instant};
use weftwork_csp::{Receiver, Select, Sender, bounded, select, select_async, unbounded};
use weftwork_sched::Runtime;
use weftwork_testkit::{iters, watchdog};

/// What one party selects on, and how far it is.
#[derive(Clone)]
struct Player {
    s: [Sender<Letter>; 2],
    r: [Receiver<Letter>; 2],
    over: Receiver<()>,
    end: Sender<()>,
    ledger: Ledger,
    left: u64,
    total: u64,
}

/// What a step was.
#[derive(PartialEq)]
enum Step {
    Done,
    Over,
}

impl Player {
    fn letter(&self) -> Letter {
        self.ledger.write(self.left)
    }

    fn sent(&mut self) -> Step {
        self.ledger.note_sent(self.left);
        self.left -= 1;
        Step::Done
    }

    /// Who receives the last letter ends the round. Several may: they read the count one after another.
    fn received(&self, letter: Letter) -> Step {
        self.ledger.note_received(letter);
        if self.ledger.received() == self.total {
            self.end.close();
        }
        Step::Done
    }

    /// One select on all arms that waits, for `patience` at most if there is one.
    fn select(&mut self, patience: Option<Duration>) -> Step {
        let Player { s, r, over, .. } = self.clone();
        let deadline = patience.map(|patience| Instant::now() + patience);
        select! {
            send(s[0], self.letter()) if self.left > 0 -> sent => { sent.unwrap(); self.sent() }
            send(s[1], self.letter()) if self.left > 0 -> sent => { sent.unwrap(); self.sent() }
            recv(r[0]) -> letter => self.received(letter.unwrap()),
            recv(r[1]) -> letter => self.received(letter.unwrap()),
            recv(over) -> _ => Step::Over,
            deadline(deadline) => Step::Done,
        }
    }

    /// The same, as a future.
    async fn select_async(&mut self) -> Step {
        let Player { s, r, over, .. } = self.clone();
        select_async! {
            send(s[0], self.letter()) if self.left > 0 -> sent => { sent.unwrap(); self.sent() }
            send(s[1], self.letter()) if self.left > 0 -> sent => { sent.unwrap(); self.sent() }
            recv(r[0]) -> letter => self.received(letter.unwrap()),
            recv(r[1]) -> letter => self.received(letter.unwrap()),
            recv(over) -> _ => Step::Over,
        }
    }

    /// The same by a list made at run time.
    fn select_list(&mut self, patience: Duration) -> Step {
        let Player { s, r, over, .. } = self.clone();
        let mut list = Select::new();
        let receives = [list.recv(&r[0]), list.recv(&r[1])];
        let ends = list.recv(&over);
        if self.left > 0 {
            list.send(&s[0]);
            list.send(&s[1]);
        }
        let Ok(chosen) = list.select_timeout(patience) else {
            return Step::Done;
        };
        match chosen.index() {
            n if n == receives[0] => self.received(chosen.recv(&r[0]).unwrap()),
            n if n == receives[1] => self.received(chosen.recv(&r[1]).unwrap()),
            n if n == ends => {
                chosen.recv(&over).unwrap_err();
                Step::Over
            }
            n => {
                chosen.send(&s[n - ends - 1], self.letter()).unwrap();
                self.sent()
            }
        }
    }
}

/// Some microseconds, other ones each time.
fn patience(turn: u64) -> Duration {
    Duration::from_micros(turn * 37 % 64)
}

fn both_ends_select(runtime: &Runtime, capacities: [Option<usize>; 2], count: u64) {
    let start = Instant::now();
    let channel = |capacity: Option<usize>| capacity.map_or_else(unbounded, bounded);
    let (s0, r0) = channel(capacities[0]);
    let (s1, r1) = channel(capacities[1]);
    let (end, over) = bounded(0);
    let ledger = Ledger::new();
    let player = Player {
        s: [s0, s1],
        r: [r0, r1],
        over,
        end,
        ledger: ledger.clone(),
        left: count,
        total: 8 * count,
    };
    let mut crowd = Crowd::new(runtime);
    let patient = |mut player: Player| move || while player.select(None) == Step::Done {};
    let hasty = |mut player: Player| {
        move || {
            let mut turn = 0;
            while player.select(Some(patience(turn))) == Step::Done {
                turn += 1;
            }
        }
    };
    let listing = |mut player: Player| {
        move || {
            let mut turn = 0;
            while player.select_list(patience(turn)) == Step::Done {
                turn += 1;
            }
        }
    };
    crowd.thread(patient(player.clone()));
    crowd.thread(hasty(player.clone()));
    crowd.thread(listing(player.clone()));
    crowd.green(patient(player.clone()));
    crowd.green(hasty(player.clone()));
    crowd.green(listing(player.clone()));
    let mut waiting = player.clone();
    crowd.future(
        async move || {
            while waiting.select_async().await == Step::Done {}
        },
    );
    // Drops its select while the others choose it.
    let mut leaving = player.clone();
    crowd.thread(move || {
        for turn in 0.. {
            let step = poll_for(pin!(leaving.select_async()), patience(turn));
            if step == Some(Step::Over) {
                break;
            }
        }
    });
    drop(player);
    crowd.join();
    assert_eq!(ledger.sent(), 8 * count);
    ledger.assert_balanced("select");
    report(&format!("select on both ends, {capacities:?}"), start);
}

fn main() {
    let _dog = watchdog(Duration::from_secs(120));
    let runtime = runtime();
    let count = iters(10_000, 3_000, 10) as u64;
    both_ends_select(&runtime, [Some(0), Some(0)], count);
    both_ends_select(&runtime, [Some(0), Some(1)], count);
    both_ends_select(&runtime, [Some(7), None], count);
}
