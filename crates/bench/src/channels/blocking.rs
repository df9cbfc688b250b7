//! Channels that block the thread that uses them.

use std::iter;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{ARMS, CAPACITY, CAPACITY_OF_PINGPONG, WAITERS_PER_CHANNEL, between, messages, sides};
use crate::cli::Run;
use crate::measure::Measurement;
use crate::place::Place;
use crate::setting::{Capacity, Sides};
use crate::watch;
use crate::workload::{LOOK_AGAIN, SETTLE, SETTLE_WAITERS, share, sum_below};

/// A library's channel.
pub(crate) trait Channel: 'static {
    /// The end that sends.
    type Sender: Clone + Send + Sync + 'static;
    /// The end that receives.
    type Receiver: Send + 'static;

    /// Makes a channel.
    fn open(capacity: Capacity) -> (Self::Sender, Self::Receiver);

    /// Sends, waiting for room or, without capacity, for a receiver.
    fn send(sender: &Self::Sender, value: u64);

    /// Receives, waiting for a value; `None`, when the last sender is gone and all is received.
    fn recv(receiver: &Self::Receiver) -> Option<u64>;
}

/// A channel that can be one of several to receive from.
pub(crate) trait Select: Channel {
    /// Receives from whichever channel has a value, waiting for one.
    fn recv_any(receivers: &[Self::Receiver; ARMS]) -> u64;
}

/// Two threads hand a value to and fro over two channels.
pub(crate) fn pingpong<P: Place, C: Channel>(run: &Run) -> Measurement {
    let (n, capacity) = (run.n_or(300_000), run.cap_or(CAPACITY_OF_PINGPONG));
    let elapsed = P::drive(run, move || {
        let (to_echo, at_echo) = C::open(capacity);
        let (from_echo, back) = C::open(capacity);
        let start = Instant::now();
        let echo = P::spawn(move || {
            for _ in 0..n {
                let value = C::recv(&at_echo).expect("the other end is open");
                C::send(&from_echo, value);
            }
        });
        for value in 0..n {
            C::send(&to_echo, value);
            assert_eq!(C::recv(&back), Some(value));
        }
        P::join(echo);
        start.elapsed()
    });
    messages(n, elapsed, capacity)
}

/// Sends 0 .. `n` from `producers` threads to one thread per receiver.
fn exchange<P: Place, C: Channel>(
    n: u64,
    producers: usize,
    sender: C::Sender,
    receivers: Vec<C::Receiver>,
) -> Duration {
    let start = Instant::now();
    let senders: Vec<_> = (0..producers)
        .map(|producer| {
            let sender = sender.clone();
            P::spawn(move || share(producer, producers, n).for_each(|v| C::send(&sender, v)))
        })
        .collect();
    drop(sender);
    let receivers: Vec<_> = receivers
        .into_iter()
        .map(|receiver| P::spawn(move || iter::from_fn(|| C::recv(&receiver)).sum::<u64>()))
        .collect();
    senders.into_iter().for_each(P::join);
    let sum: u64 = receivers.into_iter().map(P::join).sum();
    assert_eq!(sum, sum_below(n));
    start.elapsed()
}

/// Several threads send to several.
pub(crate) fn mpmc<P: Place, C: Channel<Receiver: Clone>>(run: &Run) -> Measurement {
    let (n, capacity, sides) = (run.n_or(2_000_000), run.cap_or(CAPACITY), sides(run, 4, 4));
    let elapsed = P::drive(run, move || {
        let (sender, receiver) = C::open(capacity);
        let receivers = iter::repeat_n(receiver, sides.consumers).collect();
        exchange::<P, C>(n, sides.producers, sender, receivers)
    });
    between(messages(n, elapsed, capacity), sides)
}

/// Several threads send to one.
pub(crate) fn mpsc<P: Place, C: Channel>(run: &Run) -> Measurement {
    let (n, capacity) = (run.n_or(2_000_000), run.cap_or(CAPACITY));
    let sides = Sides {
        consumers: 1,
        ..sides(run, 4, 1)
    };
    let elapsed = P::drive(run, move || {
        let (sender, receiver) = C::open(capacity);
        exchange::<P, C>(n, sides.producers, sender, vec![receiver])
    });
    between(messages(n, elapsed, capacity), sides)
}

/// One thread receives from several channels, each with a producer of its own.
pub(crate) fn select<P: Place, C: Select>(run: &Run) -> Measurement {
    let (n, capacity) = (run.n_or(1_000_000), run.cap_or(CAPACITY));
    let elapsed = P::drive(run, move || {
        let channels: [_; ARMS] = std::array::from_fn(|_| C::open(capacity));
        // A sender of each channel stays here, so that none is ever disconnected.
        let senders: Vec<_> = channels.iter().map(|(sender, _)| sender.clone()).collect();
        let receivers = channels.map(|(_, receiver)| receiver);
        let start = Instant::now();
        let producers: Vec<_> = senders
            .iter()
            .cloned()
            .enumerate()
            .map(|(arm, sender)| {
                P::spawn(move || share(arm, ARMS, n).for_each(|v| C::send(&sender, v)))
            })
            .collect();
        let receiver = P::spawn(move || (0..n).map(|_| C::recv_any(&receivers)).sum::<u64>());
        assert_eq!(P::join(receiver), sum_below(n));
        let elapsed = start.elapsed();
        producers.into_iter().for_each(P::join);
        drop(senders);
        elapsed
    });
    messages(n, elapsed, capacity)
}

/// A crowd of threads of the operating system sends to one receiver.
///
/// The clock starts when all are there, and most of them blocked: it times the draining of the
/// crowd, not the starting of threads.
pub(crate) fn fan_in<C: Channel>(run: &Run) -> Measurement {
    /// What a thread that only sends needs.
    const STACK: usize = 64 * 1024;
    let (n, capacity) = (run.n_or(200_000), run.cap_or(Capacity::Bounded(0)));
    let sides = Sides {
        consumers: 1,
        ..sides(run, 2000, 1)
    };
    crate::peers::threads::set_up(run);
    let (sender, receiver) = C::open(capacity);
    let started = Arc::new(AtomicU64::new(0));
    let crowd: Vec<_> = (0..sides.producers)
        .map(|producer| {
            let (sender, started) = (sender.clone(), started.clone());
            let body = move || {
                started.fetch_add(1, Ordering::Relaxed);
                share(producer, sides.producers, n).for_each(|value| C::send(&sender, value));
            };
            let thread = thread::Builder::new().stack_size(run.stack_or(STACK));
            thread
                .spawn(body)
                .expect("the system grants one more thread")
        })
        .collect();
    drop(sender);
    while started.load(Ordering::Relaxed) < sides.producers as u64 {
        thread::sleep(LOOK_AGAIN);
    }
    thread::sleep(SETTLE);
    let start = Instant::now();
    let sum: u64 = iter::from_fn(|| C::recv(&receiver)).sum();
    let elapsed = start.elapsed();
    assert_eq!(sum, sum_below(n));
    for thread in crowd {
        thread.join().unwrap();
    }
    between(messages(n, elapsed, capacity), sides)
}

/// Watches a process in which `--n` threads wait to receive; then serves each.
pub(crate) fn idle_waiters<P: Place, C: Channel<Receiver: Clone>>(run: &Run) -> Measurement {
    let (n, capacity) = (run.n_or(1000), run.cap_or(Capacity::Bounded(0)));
    let waiting = Arc::new(AtomicU64::new(0));
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..n.div_ceil(WAITERS_PER_CHANNEL))
        .map(|_| C::open(capacity))
        .unzip();
    let driver = thread::spawn({
        let (run, waiting) = (run.clone(), waiting.clone());
        move || {
            P::drive(&run, move || {
                let waiters: Vec<_> = (0..n)
                    .map(|waiter| {
                        let waiting = waiting.clone();
                        let receiver = receivers[(waiter / WAITERS_PER_CHANNEL) as usize].clone();
                        P::spawn(move || {
                            waiting.fetch_add(1, Ordering::Relaxed);
                            C::recv(&receiver).expect("a value comes before the end")
                        })
                    })
                    .collect();
                waiters.into_iter().map(P::join).sum::<u64>()
            })
        }
    });
    while waiting.load(Ordering::Relaxed) < n {
        thread::sleep(LOOK_AGAIN);
    }
    let measurement = watch::idleness(run, n, SETTLE_WAITERS);
    for value in 0..n {
        C::send(&senders[(value / WAITERS_PER_CHANNEL) as usize], value);
    }
    assert_eq!(driver.join().unwrap(), sum_below(n));
    measurement
}
