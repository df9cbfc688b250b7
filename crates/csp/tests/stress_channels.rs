//! Channels of every capacity between many senders and many receivers of every kind, to their end, and
//! while somebody closes the channel or drops his handles.

mod parties;

use parties::{Crowd, Ledger, report, runtime};
use std::time::{Duration, Instant};
use weftwork_csp::{Receiver, Sender, bounded, unbounded};
use weftwork_sched::Runtime;
use weftwork_testkit::{iters, watchdog};

const CAPACITIES: [Option<usize>; 4] = [Some(0), Some(1), Some(7), None];
/// Two threads, two green threads, two futures.
const SENDERS: u64 = 6;

type Letter = (u64, parties::Letter);

fn channel(capacity: Option<usize>) -> (Sender<Letter>, Receiver<Letter>) {
    capacity.map_or_else(unbounded, bounded)
}

/// Receivers read each sender's letters in the order in which they were sent.
struct Reader {
    ledger: Ledger,
    next: [u64; SENDERS as usize],
}

impl Reader {
    fn new(ledger: &Ledger) -> Self {
        Reader {
            ledger: ledger.clone(),
            next: [0; SENDERS as usize],
        }
    }

    fn read(&mut self, (sender, letter): Letter) {
        let number = self.ledger.note_received(letter);
        let next = &mut self.next[sender as usize];
        assert!(number >= *next, "sender {sender}: {number} after {next}");
        *next = number + 1;
    }
}

/// Adds receivers of each kind that read until the end.
fn add_readers(crowd: &mut Crowd<'_>, r: &Receiver<Letter>, ledger: &Ledger) {
    for _ in 0..2 {
        let read = |r: Receiver<Letter>, mut reader: Reader| {
            move || r.iter().for_each(|letter| reader.read(letter))
        };
        crowd.thread(read(r.clone(), Reader::new(ledger)));
        crowd.green(read(r.clone(), Reader::new(ledger)));
        let (r, mut reader) = (r.clone(), Reader::new(ledger));
        crowd.future(async move || {
            while let Ok(letter) = r.recv_async().await {
                reader.read(letter);
            }
        });
    }
}

/// Adds senders of each kind that send `count` letters each, or fewer if the channel ends before.
fn add_writers(crowd: &mut Crowd<'_>, s: &Sender<Letter>, ledger: &Ledger, count: u64) {
    for sender in (0..SENDERS).step_by(3) {
        let send = |sender: u64, s: Sender<Letter>, ledger: Ledger| {
            move || {
                for number in 0..count {
                    match s.send((sender, ledger.write(number))) {
                        Ok(()) => ledger.note_sent(number),
                        Err(unsent) => return assert_eq!(**unsent.into_inner().1, number),
                    }
                }
            }
        };
        crowd.thread(send(sender, s.clone(), ledger.clone()));
        crowd.green(send(sender + 1, s.clone(), ledger.clone()));
        let (s, ledger) = (s.clone(), ledger.clone());
        crowd.future(async move || {
            for number in 0..count {
                match s.send_async((sender + 2, ledger.write(number))).await {
                    Ok(()) => ledger.note_sent(number),
                    Err(unsent) => return assert_eq!(**unsent.into_inner().1, number),
                }
            }
        });
    }
}

fn many_to_many_delivers_each_message_once_and_in_order(runtime: &Runtime) {
    let count = iters(20_000, 5_000, 20) as u64;
    for capacity in CAPACITIES {
        let start = Instant::now();
        let ledger = Ledger::new();
        let (s, r) = channel(capacity);
        let mut crowd = Crowd::new(runtime);
        add_readers(&mut crowd, &r, &ledger);
        add_writers(&mut crowd, &s, &ledger, count);
        drop((s, r));
        crowd.join();
        assert_eq!(ledger.sent(), count * SENDERS);
        ledger.assert_balanced("many to many");
        report(&format!("many to many, capacity {capacity:?}"), start);
    }
}

fn what_was_sent_before_a_close_is_received(runtime: &Runtime) {
    let start = Instant::now();
    for round in 0..iters(200, 60, 4) {
        let ledger = Ledger::new();
        let (s, r) = channel(CAPACITIES[round % 4]);
        let mut crowd = Crowd::new(runtime);
        add_readers(&mut crowd, &r, &ledger);
        add_writers(&mut crowd, &s, &ledger, u64::MAX - 1);
        // Closed while letters are under way: by a sender's handle, or a receiver's.
        while ledger.received() < round as u64 {
            std::thread::yield_now();
        }
        let was_open = if round % 2 == 0 { s.close() } else { r.close() };
        assert!(was_open);
        drop((s, r));
        crowd.join();
        ledger.assert_balanced("close");
    }
    report("close", start);
}

fn when_the_receivers_go_no_message_is_lost_unseen(runtime: &Runtime) {
    let start = Instant::now();
    for round in 0..iters(200, 60, 4) {
        let ledger = Ledger::new();
        let (s, r) = channel(CAPACITIES[round % 4]);
        let mut crowd = Crowd::new(runtime);
        add_writers(&mut crowd, &s, &ledger, u64::MAX - 1);
        drop(s);
        let few = round % 9;
        let (receiver, mut reader) = (r.clone(), Reader::new(&ledger));
        crowd.thread(move || {
            receiver
                .iter()
                .take(few)
                .for_each(|letter| reader.read(letter))
        });
        let (receiver, mut reader) = (r.clone(), Reader::new(&ledger));
        crowd.green(move || {
            receiver
                .iter()
                .take(few)
                .for_each(|letter| reader.read(letter))
        });
        let mut reader = Reader::new(&ledger);
        crowd.future(async move || {
            for _ in 0..few {
                let Ok(letter) = r.recv_async().await else {
                    unreachable!("the senders go on");
                };
                reader.read(letter);
            }
        });
        crowd.join();
        assert_eq!(ledger.received(), 3 * few as u64);
        ledger.assert_none_left("the receivers go");
    }
    report("the receivers go", start);
}

fn main() {
    let _dog = watchdog(Duration::from_secs(120));
    let runtime = runtime();
    many_to_many_delivers_each_message_once_and_in_order(&runtime);
    what_was_sent_before_a_close_is_received(&runtime);
    when_the_receivers_go_no_message_is_lost_unseen(&runtime);
}
