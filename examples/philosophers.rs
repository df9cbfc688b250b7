//! The dining philosophers: five green threads, five forks between them, and nobody starves.
//!
//! Each needs the forks on both sides. If all took the left one first and waited for the right one,
//! all would wait for ever. Here a semaphore admits four to the table: one of the four has a free fork
//! on his other side, whatever the others do.
//!
//! `cargo run --release --example philosophers`

use std::sync::atomic::{AtomicUsize, Ordering};

use weftwork::prelude::*;
use weftwork::sync::{Mutex, Semaphore};

const NAMES: [&str; 5] = ["Anscombe", "Beauvoir", "Cavendish", "Diotima", "Elisabeth"];

/// How often a fork was used.
type Fork = Mutex<usize>;

/// What is between the philosophers.
struct Table {
    forks: [Fork; NAMES.len()],
    seats: Semaphore,
    eating: AtomicUsize,
    most: AtomicUsize,
}

impl Table {
    fn laid() -> Table {
        Table {
            forks: std::array::from_fn(|_| Mutex::new(0)),
            seats: Semaphore::new(NAMES.len() - 1),
            eating: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
        }
    }

    fn dine(&self, place: usize, meals: usize) {
        for _ in 0..meals {
            let seat = self.seats.acquire(1).expect("the table stays open");
            let mut left = self.forks[place].lock();
            // The others may now take theirs: this is where all of them would be stuck.
            yield_now();
            let mut right = self.forks[(place + 1) % NAMES.len()].lock();

            let eating = self.eating.fetch_add(1, Ordering::Relaxed) + 1;
            self.most.fetch_max(eating, Ordering::Relaxed);
            *left += 1;
            *right += 1;
            yield_now();
            self.eating.fetch_sub(1, Ordering::Relaxed);

            drop((left, right, seat));
            // Thinks.
            yield_now();
        }
    }
}

#[weftwork::main]
fn main() {
    let meals = match std::env::var_os("WEFTWORK_SMALL") {
        Some(_) => 2_000,
        None => 50_000,
    };
    let table = Table::laid();
    scope(|s| {
        let table = &table;
        for place in 0..NAMES.len() {
            s.spawn(move || table.dine(place, meals));
        }
    });

    let uses = table.forks.map(Mutex::into_inner);
    let most = table.most.into_inner();
    for (name, uses) in NAMES.iter().zip(uses) {
        println!("{name} has eaten; the fork to the left was used {uses} times");
    }
    println!("at most {most} ate at the same time");
    // A lost update would show: a fork is used by two, `meals` times each.
    assert_eq!(uses, [2 * meals; NAMES.len()]);
    assert!((1..=2).contains(&most), "five forks are enough for two");
    assert_eq!(table.seats.available_permits(), NAMES.len() - 1);
}
