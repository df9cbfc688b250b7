//! Transactions of threads, green threads and futures on variables whose values are plain memory: a bank
//! with audits, a ring of waiters, variables that come and go, events from outside.
//!
//! It has a `main` of its own and no lock of std's, so that ThreadSanitizer sees all that orders its
//! accesses: see `ci/tsan.sh`. The sanitizer does not follow fences. What it must see instead: a value's
//! writes and its readers are ordered by the variable's word; a reader and whoever drops the value, by the
//! end of the reader's pin, the look for pinned threads and the epoch.
#![cfg_attr(weftwork_loom, allow(unused))]

#[cfg(weftwork_loom)]
fn main() {}

#[cfg(not(weftwork_loom))]
use program::main;

#[cfg(not(weftwork_loom))]
mod program {
    use std::sync::Arc;
    use std::thread;
    use std::time::{Duration, Instant};
    use weftwork_core::block_on;
    use weftwork_sched::Runtime;
    use weftwork_stm::bridge::TEvent;
    use weftwork_stm::{TVar, Tx, atomically, atomically_async, flush, snapshot};
    use weftwork_testkit::{Counted, DropCounter, iters, watchdog};

    /// A number, four times in memory that nothing but the transaction protects.
    struct Plain(Counted<Box<[u64; 4]>>);

    impl Plain {
        fn new(drops: &DropCounter, number: u64) -> Plain {
            Plain(drops.track(Box::new([number; 4])))
        }

        fn get(&self) -> u64 {
            let [a, b, c, d] = **self.0;
            assert!(a == b && b == c && c == d, "a value is seen whole");
            a
        }
    }

    /// Runs `work` on two threads, two green threads and, as a future, on two more threads.
    struct Crowd<'r> {
        runtime: &'r Runtime,
        threads: Vec<thread::JoinHandle<()>>,
        greens: Vec<weftwork_sched::JoinHandle<()>>,
    }

    impl<'r> Crowd<'r> {
        fn new(runtime: &'r Runtime) -> Crowd<'r> {
            Crowd {
                runtime,
                threads: Vec::new(),
                greens: Vec::new(),
            }
        }

        fn thread(&mut self, work: impl FnOnce() + Send + 'static) {
            self.threads.push(thread::spawn(work));
        }

        fn green(&mut self, work: impl FnOnce() + Send + 'static) {
            self.greens.push(self.runtime.spawn(work));
        }

        fn future(&mut self, work: impl Future<Output = ()> + Send + 'static) {
            self.threads.push(thread::spawn(move || block_on(work)));
        }

        fn join(self) {
            let threads = self.threads.into_iter();
            threads.for_each(|thread| thread.join().expect("no thread panics"));
            let greens = self.greens.into_iter();
            greens.for_each(|green| green.join().expect("no green thread panics"));
        }
    }

    fn report(what: &str, start: Instant) {
        println!("{what}: {:.1?}", start.elapsed());
    }

    /// Reclaims until nothing is left of what was counted. The threads that may have some of it are ending.
    fn assert_all_dropped(drops: &DropCounter) {
        while drops.live() > 0 {
            flush();
            thread::yield_now();
        }
    }

    struct Bank {
        accounts: Vec<TVar<Plain>>,
        drops: DropCounter,
        count: TVar<u64>,
    }

    impl Bank {
        fn transfer(&self, tx: &Tx, n: usize) -> weftwork_stm::Stm<()> {
            let [from, to] = [n, n / 7 + n + 1].map(|n| &self.accounts[n % self.accounts.len()]);
            if from.same(to) {
                return Ok(());
            }
            let amount = from.get(tx)?.get() / 3;
            from.update(tx, |m| Plain::new(&self.drops, m.get() - amount))?;
            to.update(tx, |m| Plain::new(&self.drops, m.get() + amount))?;
            self.count.commute(tx, |n| n + 1)
        }

        fn audit(&self) {
            let all = snapshot(|s| self.accounts.iter().map(|a| a.view(s).get()).sum::<u64>());
            assert_eq!(all, 100 * self.accounts.len() as u64);
        }
    }

    fn a_bank_keeps_its_money(runtime: &Runtime, drops: &DropCounter) {
        let start = Instant::now();
        let count = iters(20_000, 3_000, 50);
        let bank = Arc::new(Bank {
            accounts: (0..16).map(|_| TVar::new(Plain::new(drops, 100))).collect(),
            drops: drops.clone(),
            count: TVar::new(0),
        });
        let mut crowd = Crowd::new(runtime);
        for clerk in 0..2 {
            let work = |bank: Arc<Bank>| {
                move || {
                    for n in 0..count {
                        atomically(|tx| bank.transfer(tx, n * 5 + clerk));
                        if n % 50 == 0 {
                            bank.audit();
                        }
                    }
                }
            };
            crowd.thread(work(Arc::clone(&bank)));
            crowd.green(work(Arc::clone(&bank)));
            let bank = Arc::clone(&bank);
            crowd.future(async move {
                for n in 0..count {
                    atomically_async(|tx| bank.transfer(tx, n * 3 + clerk)).await;
                    if n % 50 == 0 {
                        let sum = atomically_async(|tx| {
                            let mut sum = 0;
                            for account in &bank.accounts {
                                sum += account.get(tx)?.get();
                            }
                            Ok(sum)
                        });
                        assert_eq!(sum.await, 1600);
                    }
                }
            });
        }
        crowd.join();
        bank.audit();
        assert!(bank.count.load() > 0);
        drop(bank);
        report("a bank", start);
    }

    fn a_ring_of_waiters_passes_each_letter_on(runtime: &Runtime, drops: &DropCounter) {
        const PLACES: usize = 6;
        let start = Instant::now();
        let rounds = iters(3_000, 500, 10);
        let seats: Arc<[TVar<Option<Plain>>; PLACES]> =
            Arc::new(std::array::from_fn(|_| TVar::new(None)));
        fn pass(
            tx: &Tx,
            drops: &DropCounter,
            seats: &[TVar<Option<Plain>>],
            n: usize,
        ) -> weftwork_stm::Stm<()> {
            let Some(letter) = seats[n].get(tx)? else {
                return tx.retry();
            };
            let next = Plain::new(drops, letter.get() + 1);
            seats[n].set(tx, None)?;
            seats[(n + 1) % PLACES].set(tx, Some(next))
        }
        let mut crowd = Crowd::new(runtime);
        for n in 0..PLACES {
            let (seats, drops) = (Arc::clone(&seats), drops.clone());
            match n % 3 {
                2 => crowd.future(async move {
                    for _ in 0..rounds {
                        atomically_async(|tx| pass(tx, &drops, &seats[..], n)).await;
                    }
                }),
                kind => {
                    let work = move || {
                        for _ in 0..rounds {
                            atomically(|tx| pass(tx, &drops, &seats[..], n));
                        }
                    };
                    if kind == 0 {
                        crowd.thread(work);
                    } else {
                        crowd.green(work);
                    }
                }
            }
        }
        seats[0].store(Some(Plain::new(drops, 0)));
        crowd.join();
        let last = seats[0].with(|letter| letter.as_ref().map(Plain::get));
        assert_eq!(last, Some((PLACES * rounds) as u64));
        drop(seats);
        report("a ring", start);
    }

    fn variables_come_and_go_while_they_are_used(runtime: &Runtime, drops: &DropCounter) {
        let start = Instant::now();
        let count = iters(10_000, 2_000, 20);
        let make = |drops: &DropCounter, n: u64| TVar::new(Plain::new(drops, n));
        let slot = TVar::new(make(drops, 0));
        let mut crowd = Crowd::new(runtime);
        for _ in 0..2 {
            let (inside, slot_of) = (drops.clone(), slot.clone());
            let replaces = move || {
                for n in 0..count as u64 {
                    atomically(|tx| slot_of.set(tx, make(&inside, n)));
                }
            };
            let (inside, slot_of) = (drops.clone(), slot.clone());
            let uses = move || {
                for _ in 0..count {
                    atomically(|tx| {
                        let var = slot_of.get(tx)?;
                        var.update(tx, |n| Plain::new(&inside, n.get() + 1))
                    });
                    snapshot(|s| slot_of.view(s).view(s).get());
                    slot_of.load().with(Plain::get);
                }
            };
            crowd.thread(replaces);
            crowd.green(uses.clone());
            crowd.thread(uses);
        }
        crowd.join();
        drop(slot);
        report("variables that come and go", start);
    }

    fn an_event_reaches_all_who_wait(runtime: &Runtime, drops: &DropCounter) {
        let start = Instant::now();
        for round in 0..iters(500, 100, 3) as u64 {
            let result = Plain::new(drops, round);
            let event = TEvent::new(runtime.spawn(move || result));
            let mut crowd = Crowd::new(runtime);
            for _ in 0..2 {
                let wait = |event: TEvent<Result<Plain, _>>| {
                    move || {
                        let n = atomically(|tx| Ok(event.get(tx)?.as_ref().unwrap().get()));
                        assert_eq!(n, round);
                    }
                };
                crowd.thread(wait(event.clone()));
                crowd.green(wait(event.clone()));
                let event = event.clone();
                crowd.future(async move {
                    let got = atomically_async(|tx| Ok(event.get(tx)?.as_ref().unwrap().get()));
                    assert_eq!(got.await, round);
                });
            }
            drop(event);
            crowd.join();
        }
        report("events", start);
    }

    pub(super) fn main() {
        let _dog = watchdog(Duration::from_secs(120));
        for round in [
            a_bank_keeps_its_money,
            a_ring_of_waiters_passes_each_letter_on,
            variables_come_and_go_while_they_are_used,
            an_event_reaches_all_who_wait,
        ] {
            let runtime = Runtime::builder().workers(2).build().unwrap();
            let drops = DropCounter::new();
            round(&runtime, &drops);
            let report = runtime.shutdown(Duration::from_secs(60));
            assert!(report.is_clean(), "{report}");
            assert_all_dropped(&drops);
        }
    }
}
