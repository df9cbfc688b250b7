//! The dining philosophers, with memory transactions: each takes both forks at once, or waits for both.
//!
//! There is no order to keep and no semaphore at the door, unlike in the example `philosophers`. A
//! transaction that finds a fork taken retries: it sleeps until one of the two forks changes, and holds
//! nothing meanwhile. So nobody waits with one fork in the hand, and nothing can get stuck.
//!
//! One of them is impatient: if the forks are not free within a fifth of a millisecond, she thinks a little
//! more. Her patience is the other branch of an `or_else`.
//!
//! `cargo run --release --example philosophers_stm`

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use weftwork::prelude::*;
use weftwork::stm::bridge;

const NAMES: [&str; 5] = ["Anscombe", "Beauvoir", "Cavendish", "Diotima", "Elisabeth"];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fork {
    Lies,
    HeldBy(usize),
}

struct Table {
    forks: [TVar<Fork>; NAMES.len()],
    /// Meals of each.
    meals: [TVar<usize>; NAMES.len()],
    eating: AtomicUsize,
    most: AtomicUsize,
}

impl Table {
    fn laid() -> Table {
        Table {
            forks: std::array::from_fn(|_| TVar::new(Fork::Lies)),
            meals: std::array::from_fn(|_| TVar::new(0)),
            eating: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
        }
    }

    fn forks_of(&self, place: usize) -> [&TVar<Fork>; 2] {
        [&self.forks[place], &self.forks[(place + 1) % NAMES.len()]]
    }

    /// Takes both forks, as a part of a transaction.
    fn take(&self, tx: &Tx, place: usize) -> Stm<()> {
        for fork in self.forks_of(place) {
            tx.check(*fork.get(tx)? == Fork::Lies)?;
            fork.set(tx, Fork::HeldBy(place))?;
        }
        Ok(())
    }

    /// Puts both forks back, and counts the meal.
    fn put_back(&self, tx: &Tx, place: usize) -> Stm<()> {
        for fork in self.forks_of(place) {
            assert_eq!(*fork.get(tx)?, Fork::HeldBy(place));
            fork.set(tx, Fork::Lies)?;
        }
        self.meals[place].update(tx, |n| n + 1)
    }

    fn eat(&self) {
        let eating = self.eating.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(eating, Ordering::Relaxed);
        yield_now();
        self.eating.fetch_sub(1, Ordering::Relaxed);
    }

    fn dine(&self, place: usize, meals: usize) {
        for _ in 0..meals {
            atomically(|tx| self.take(tx, place));
            self.eat();
            atomically(|tx| self.put_back(tx, place));
            // Thinks.
            yield_now();
        }
    }

    /// As [`dine`](Self::dine), but waits for the forks only so long; how often that was in vain.
    fn dine_impatiently(&self, place: usize, meals: usize, patience: Duration) -> usize {
        let (mut eaten, mut given_up) = (0, 0);
        while eaten < meals {
            let limit = bridge::after(patience);
            let has_forks = atomically(|tx| {
                tx.or_else(
                    |tx| self.take(tx, place).map(|()| true),
                    |tx| limit.get(tx).map(|()| false),
                )
            });
            if has_forks {
                self.eat();
                atomically(|tx| self.put_back(tx, place));
                eaten += 1;
            } else {
                given_up += 1;
            }
            yield_now();
        }
        given_up
    }
}

#[weftwork::main]
fn main() {
    let meals = match std::env::var_os("WEFTWORK_SMALL") {
        Some(_) => 2_000,
        None => 50_000,
    };
    let table = Table::laid();
    let given_up = scope(|s| {
        let table = &table;
        for place in 1..NAMES.len() {
            s.spawn(move || table.dine(place, meals));
        }
        let patience = Duration::from_micros(200);
        let impatient = s.spawn(move || table.dine_impatiently(0, meals, patience));
        impatient.join().unwrap()
    });

    let (forks, eaten) = snapshot(|s| {
        let forks = table.forks.each_ref().map(|fork| *fork.view(s));
        let eaten = table.meals.each_ref().map(|meals| *meals.view(s));
        (forks, eaten)
    });
    let most = table.most.into_inner();
    for (name, eaten) in NAMES.iter().zip(eaten) {
        println!("{name} has eaten {eaten} times");
    }
    println!(
        "at most {most} ate at the same time; {} gave up {given_up} times",
        NAMES[0]
    );
    assert_eq!(forks, [Fork::Lies; NAMES.len()]);
    assert_eq!(eaten, [meals; NAMES.len()]);
    assert!((1..=2).contains(&most), "five forks are enough for two");
}
