//! The concurrent prime sieve: a chain of green threads, one for each prime, joined by channels.
//!
//! The first sends the numbers from two on. Each of the others takes the first number it gets for its
//! prime and hands on what that does not divide. It is a poor way to find primes and a good way to see
//! what a channel costs: each number is handed from thread to thread until one filters it out.
//!
//! `cargo run --release --example sieve`

use std::time::Instant;

use weftwork::prelude::*;

/// Sends the numbers from two on, until nobody receives them.
fn generate(numbers: &Sender<u32>) {
    for n in 2.. {
        if numbers.send(n).is_err() {
            return;
        }
    }
}

/// Hands on what `prime` does not divide, until nobody receives it.
fn filter(prime: u32, from: Receiver<u32>, to: &Sender<u32>) {
    for n in from {
        if n % prime != 0 && to.send(n).is_err() {
            return;
        }
    }
}

/// The first `count` primes.
fn sieve(count: usize) -> Vec<u32> {
    let mut primes = Vec::with_capacity(count);
    // The scope ends when all of the chain has: the end that is dropped here takes the link before it
    // with it, and that the one before, up to the source.
    scope(|s| {
        let (first, mut end) = bounded(0);
        s.spawn(move || generate(&first));
        for _ in 0..count {
            let prime = end.recv().expect("there is always another prime");
            primes.push(prime);
            let (to, next) = bounded(0);
            let from = std::mem::replace(&mut end, next);
            s.spawn(move || filter(prime, from, &to));
        }
    });
    primes
}

#[weftwork::main]
fn main() {
    let count = match std::env::var_os("WEFTWORK_SMALL") {
        Some(_) => 200,
        None => 1_000,
    };
    let start = Instant::now();
    let primes = sieve(count);
    let elapsed = start.elapsed();

    // Each number up to the last prime passed one link for each prime below its smallest divisor.
    let last = *primes.last().expect("at least one");
    let hops: usize = (2..=last)
        .map(|n| primes.iter().position(|p| n % p == 0).unwrap_or(count) + 1)
        .sum();
    println!(
        "{count} primes up to {last}: {hops} messages in {elapsed:.2?}, {} ns each",
        elapsed.as_nanos() / hops as u128
    );

    assert_eq!(primes.len(), count);
    assert_eq!(primes[..10], [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]);
    let is_prime = |n: u32| {
        (2..)
            .take_while(|d| d * d <= n)
            .all(|d| !n.is_multiple_of(d))
    };
    assert!(primes.iter().all(|&n| is_prime(n)));
    assert_eq!((2..=last).filter(|&n| is_prime(n)).count(), count);
}
