//! An inventory: orders of several articles, each of which waits until all of it can be had.
//!
//! A reservation is one transaction: all articles out of one warehouse, or out of the other, or none. If
//! neither has them, the transaction sleeps until a delivery changes one of the shelves that it has looked
//! at, or until the customer's patience is over. Goods are shipped by a hook, which runs once, when the
//! reservation is certain.
//!
//! `cargo run --release --example inventory`

use std::time::{Duration, Instant};

use weftwork::prelude::*;
use weftwork::stm::bridge::{self, TEvent};

const ARTICLES: usize = 8;

/// How many of each article.
type Order = [u32; ARTICLES];

/// How many pieces lie on each shelf.
struct Warehouse {
    name: &'static str,
    shelves: [TVar<u32>; ARTICLES],
}

impl Warehouse {
    fn empty(name: &'static str) -> Warehouse {
        let shelves = std::array::from_fn(|_| TVar::new(0));
        Warehouse { name, shelves }
    }

    /// Takes all of the order off the shelves, or waits for more.
    fn take(&self, tx: &Tx, order: &Order) -> Stm<&'static str> {
        for (shelf, &count) in self.shelves.iter().zip(order) {
            if count > 0 {
                let left = shelf.get(tx)?.checked_sub(count);
                shelf.set(tx, left.map_or_else(|| tx.retry(), Ok)?)?;
            }
        }
        Ok(self.name)
    }

    /// Puts a delivery on a shelf.
    fn deliver(&self, article: usize, count: u32) {
        atomically(|tx| self.shelves[article].update(tx, |n| n + count));
    }
}

struct Company {
    north: Warehouse,
    south: Warehouse,
    shipped: Sender<(&'static str, Order)>,
}

impl Company {
    /// Reserves and ships an order; `None` if it cannot be had before `patience` is over.
    fn reserve(&self, order: Order, patience: &TEvent<()>) -> Option<&'static str> {
        atomically(|tx| {
            let from = tx.or_else(
                |tx| {
                    tx.or_else(
                        |tx| self.north.take(tx, &order),
                        |tx| self.south.take(tx, &order),
                    )
                    .map(Some)
                },
                |tx| patience.get(tx).map(|()| None),
            )?;
            if let Some(from) = from {
                let shipped = self.shipped.clone();
                tx.on_commit(move || shipped.send((from, order)).expect("the ramp is open"));
            }
            Ok(from)
        })
    }

    /// All that lies on the shelves of both, at one instant.
    fn stock(&self) -> Order {
        snapshot(|s| {
            std::array::from_fn(|n| self.north.shelves[n].view(s) + self.south.shelves[n].view(s))
        })
    }
}

/// The articles of the order with this number: two, one piece of one and two of the other.
fn order(number: usize) -> Order {
    let mut order = [0; ARTICLES];
    order[number % ARTICLES] = 1;
    order[(number * 3 + 1) % ARTICLES] += 2;
    order
}

#[weftwork::main]
fn main() {
    let orders = match std::env::var_os("WEFTWORK_SMALL") {
        Some(_) => 2_000,
        None => 50_000,
    };
    let (shipped, ramp) = unbounded();
    let (north, south) = (Warehouse::empty("north"), Warehouse::empty("south"));
    let company = Company {
        north,
        south,
        shipped,
    };
    let start = Instant::now();

    let mut needed = [0; ARTICLES];
    for number in 0..orders {
        needed
            .iter_mut()
            .zip(order(number))
            .for_each(|(sum, n)| *sum += n);
    }
    scope(|s| {
        let company = &company;
        for customer in 0..8 {
            s.spawn(move || {
                // These wait as long as it takes: what they need will come.
                let patience = bridge::after(Duration::MAX);
                for number in (customer..orders).step_by(8) {
                    company
                        .reserve(order(number), &patience)
                        .expect("endless patience");
                }
            });
        }
        s.spawn(move || {
            // Bit by bit, each warehouse gets what all orders need: none is left between the two.
            let mut missing = needed;
            while missing.iter().any(|&n| n > 0) {
                for (article, missing) in missing.iter_mut().enumerate() {
                    let count = 40.min(*missing);
                    *missing -= count;
                    company.north.deliver(article, count);
                    company.south.deliver(article, count);
                }
                yield_now();
            }
        });
    });
    let reserved = start.elapsed();

    // Impatient ones come when there is nothing of this size: they leave, and nothing is gone for it.
    let before = company.stock();
    let patience = bridge::after(Duration::from_millis(5));
    let too_much = [u32::MAX; ARTICLES];
    assert_eq!(company.reserve(too_much, &patience), None);
    assert_eq!(company.stock(), before);

    drop(company.shipped);
    let mut sent = [0; ARTICLES];
    let mut shipments = [0, 0];
    for (from, order) in ramp {
        shipments[usize::from(from == "south")] += 1;
        sent.iter_mut().zip(order).for_each(|(sum, n)| *sum += n);
    }
    println!(
        "{orders} orders reserved in {reserved:.1?}: {} from the north, {} from the south",
        shipments[0], shipments[1]
    );
    println!("shipped {sent:?}, left {before:?}");
    assert_eq!(
        shipments.iter().sum::<usize>(),
        orders,
        "each order is shipped once"
    );
    assert_eq!(sent, needed);
    for n in 0..ARTICLES {
        assert_eq!(
            sent[n] + before[n],
            2 * needed[n],
            "nothing is lost and nothing is made up"
        );
    }
}
