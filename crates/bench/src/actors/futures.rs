//! The workloads over actors whose calls are awaited, written once for every library.

use std::future::Future;
use std::time::Instant;

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::sleep;

use super::{NODES, SENDERS, idle, shares};
use crate::cli::Run;
use crate::measure::Measurement;
use crate::process::Footprint;
use crate::registry::{Bench, Entry};
use crate::workload::{self, SETTLE};

/// Is told that a number has come down to zero.
pub(crate) type Done = UnboundedSender<()>;

/// A library of actors.
pub(crate) trait AsyncActors: Sized + 'static {
    /// An actor that counts, held until it has ended.
    type Counter: Send + Sync + 'static;
    /// Its address.
    type Address: Clone + Send + Sync + 'static;
    /// The address of an actor in a ring.
    type Node: Clone + Send + Sync + 'static;

    /// Runs `driver` with `--workers` workers.
    fn drive<T: Send + 'static>(run: &Run, driver: impl Future<Output = T> + Send + 'static) -> T;

    /// Starts the `index`-th sender; the result waits for it.
    fn spawn(
        index: u64,
        sender: impl Future<Output = ()> + Send + 'static,
    ) -> impl Future<Output = ()> + Send;

    /// Starts an actor whose number is 0.
    fn start() -> impl Future<Output = Self::Counter> + Send;

    /// Waits until it runs, where `start` does not.
    fn ready(counter: &Self::Counter) -> impl Future<Output = ()> + Send;

    /// Returns its address.
    fn address(counter: &Self::Counter) -> Self::Address;

    /// Tells it to add one.
    fn add_one(address: &Self::Address) -> impl Future<Output = ()> + Send;

    /// Asks it for its number.
    fn get(address: &Self::Address) -> impl Future<Output = u64> + Send;

    /// Has it stop.
    fn stop(counter: &Self::Counter) -> impl Future<Output = ()> + Send;

    /// Waits until it has ended.
    fn ended(counter: Self::Counter) -> impl Future<Output = ()> + Send;

    /// Starts the `index`-th actor of a ring.
    fn start_node(index: usize) -> impl Future<Output = Self::Node> + Send;

    /// Tells it who is the next.
    fn connect(node: &Self::Node, next: Self::Node, done: Done) -> impl Future<Output = ()> + Send;

    /// Tells it the number to pass on.
    fn pass(node: &Self::Node, number: u64) -> impl Future<Output = ()> + Send;
}

/// Returns the benches of a library.
pub(crate) const fn entries<A: AsyncActors>(peer: &'static str) -> [Entry; 6] {
    [
        Entry::measure(Bench::ActorTell, peer, |run| tell::<A>(run, 1)),
        Entry::measure(Bench::ActorFanin, peer, |run| tell::<A>(run, SENDERS)),
        Entry::measure(Bench::ActorAsk, peer, ask::<A>),
        Entry::measure(Bench::ActorSpawn, peer, start_and_stop::<A>),
        Entry::measure(Bench::ActorMem, peer, memory::<A>),
        Entry::measure(Bench::Ring, peer, ring::<A>),
    ]
}

/// Starts one actor, which runs.
async fn started<A: AsyncActors>() -> A::Counter {
    let counter = A::start().await;
    A::ready(&counter).await;
    counter
}

/// Senders tell one actor to add.
fn tell<A: AsyncActors>(run: &Run, senders: u64) -> Measurement {
    let (each, total) = shares(run, senders);
    let elapsed = A::drive(run, async move {
        let counter = started::<A>().await;
        let address = A::address(&counter);
        assert_eq!(A::get(&address).await, 0);
        let start = Instant::now();
        let mut all = Vec::new();
        for index in 0..senders {
            let address = address.clone();
            all.push(A::spawn(index, async move {
                for _ in 0..each {
                    A::add_one(&address).await;
                }
            }));
        }
        for sender in all {
            sender.await;
        }
        assert_eq!(A::get(&address).await, total);
        let elapsed = start.elapsed();
        A::stop(&counter).await;
        A::ended(counter).await;
        elapsed
    });
    Measurement::new(total, total, elapsed)
}

/// One question after the other.
fn ask<A: AsyncActors>(run: &Run) -> Measurement {
    let n = run.n_or(500_000);
    let elapsed = A::drive(run, async move {
        let counter = started::<A>().await;
        let address = A::address(&counter);
        A::add_one(&address).await;
        let start = Instant::now();
        for _ in 0..n {
            assert_eq!(A::get(&address).await, 1);
        }
        let elapsed = start.elapsed();
        A::stop(&counter).await;
        A::ended(counter).await;
        elapsed
    });
    Measurement::new(n, n, elapsed)
}

/// Actors are started and stopped in batches.
fn start_and_stop<A: AsyncActors>(run: &Run) -> Measurement {
    let n = run.n_or(200_000);
    let elapsed = A::drive(run, async move {
        let mut counters = Vec::with_capacity(workload::BATCH as usize);
        let start = Instant::now();
        for batch in workload::batches(n) {
            for _ in 0..batch {
                counters.push(A::start().await);
            }
            for counter in &counters {
                A::ready(counter).await;
            }
            for counter in &counters {
                A::stop(counter).await;
            }
            for counter in counters.drain(..) {
                A::ended(counter).await;
            }
        }
        start.elapsed()
    });
    Measurement::new(n, n, elapsed)
}

/// Many actors that have each answered once.
fn memory<A: AsyncActors>(run: &Run) -> Measurement {
    let n = run.n_or(200_000);
    A::drive(run, async move {
        let mut counters = Vec::with_capacity(n as usize);
        let before = Footprint::now();
        let start = Instant::now();
        for _ in 0..n {
            counters.push(started::<A>().await);
        }
        for counter in &counters {
            assert_eq!(A::get(&A::address(counter)).await, 0);
        }
        let elapsed = start.elapsed();
        sleep(SETTLE).await;
        let held = Footprint::now();
        for counter in &counters {
            A::stop(counter).await;
        }
        for counter in counters {
            A::ended(counter).await;
        }
        idle(n, elapsed, before, held)
    })
}

/// A number goes around a ring of actors until it is zero.
fn ring<A: AsyncActors>(run: &Run) -> Measurement {
    let n = run.n_or(1_000_000);
    let elapsed = A::drive(run, async move {
        let (done, mut ended) = unbounded_channel();
        let mut nodes = Vec::with_capacity(NODES);
        for index in 0..NODES {
            nodes.push(A::start_node(index).await);
        }
        for (index, node) in nodes.iter().enumerate() {
            let next = nodes[(index + 1) % NODES].clone();
            A::connect(node, next, done.clone()).await;
        }
        let start = Instant::now();
        A::pass(&nodes[0], n).await;
        ended.recv().await.expect("the ring is closed");
        start.elapsed()
    });
    Measurement::new(n, n, elapsed)
}
