//! Channels that are awaited, by tasks on tokio.

use std::future::Future;
use std::iter;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::spawn;

use super::{ARMS, CAPACITY, CAPACITY_OF_PINGPONG, WAITERS_PER_CHANNEL, between, messages, sides};
use crate::cli::Run;
use crate::measure::Measurement;
use crate::peers::tokio::drive;
use crate::setting::{Capacity, Sides};
use crate::watch;
use crate::workload::{LOOK_AGAIN, SETTLE_WAITERS, share, sum_below};

/// A library's channel.
pub(crate) trait AsyncChannel: 'static {
    /// The end that sends.
    type Sender: Clone + Send + Sync + 'static;
    /// The end that receives.
    type Receiver: Send + 'static;

    /// Makes a channel.
    fn open(capacity: Capacity) -> (Self::Sender, Self::Receiver);

    /// Sends, waiting for room or, without capacity, for a receiver.
    fn send(sender: &Self::Sender, value: u64) -> impl Future<Output = ()> + Send;

    /// Receives, waiting for a value; `None`, when the last sender is gone and all is received.
    fn recv(receiver: &mut Self::Receiver) -> impl Future<Output = Option<u64>> + Send;
}

/// Two tasks hand a value to and fro over two channels.
pub(crate) fn pingpong<C: AsyncChannel>(run: &Run) -> Measurement {
    let (n, capacity) = (run.n_or(300_000), run.cap_or(CAPACITY_OF_PINGPONG));
    let elapsed = drive(run, async move {
        let (to_echo, mut at_echo) = C::open(capacity);
        let (from_echo, mut back) = C::open(capacity);
        let start = Instant::now();
        let echo = spawn(async move {
            for _ in 0..n {
                let value = C::recv(&mut at_echo).await.expect("the other end is open");
                C::send(&from_echo, value).await;
            }
        });
        for value in 0..n {
            C::send(&to_echo, value).await;
            assert_eq!(C::recv(&mut back).await, Some(value));
        }
        echo.await.unwrap();
        start.elapsed()
    });
    messages(n, elapsed, capacity)
}

/// Sends the share of one producer.
async fn send_share<C: AsyncChannel>(sender: C::Sender, share: impl Iterator<Item = u64> + Send) {
    for value in share {
        C::send(&sender, value).await;
    }
}

/// Receives until the end, and adds up.
async fn receive_all<C: AsyncChannel>(mut receiver: C::Receiver) -> u64 {
    let mut sum = 0;
    while let Some(value) = C::recv(&mut receiver).await {
        sum += value;
    }
    sum
}

/// Sends 0 .. `n` from `producers` tasks to one task per receiver.
async fn exchange<C: AsyncChannel>(
    n: u64,
    producers: usize,
    sender: C::Sender,
    receivers: Vec<C::Receiver>,
) -> Duration {
    let start = Instant::now();
    let senders: Vec<_> = (0..producers)
        .map(|producer| {
            spawn(send_share::<C>(
                sender.clone(),
                share(producer, producers, n),
            ))
        })
        .collect();
    drop(sender);
    let receivers: Vec<_> = receivers
        .into_iter()
        .map(|receiver| spawn(receive_all::<C>(receiver)))
        .collect();
    for sender in senders {
        sender.await.unwrap();
    }
    let mut sum = 0;
    for receiver in receivers {
        sum += receiver.await.unwrap();
    }
    assert_eq!(sum, sum_below(n));
    start.elapsed()
}

/// Several tasks send to several.
pub(crate) fn mpmc<C: AsyncChannel<Receiver: Clone>>(run: &Run) -> Measurement {
    let (n, capacity, sides) = (run.n_or(2_000_000), run.cap_or(CAPACITY), sides(run, 4, 4));
    let elapsed = drive(run, async move {
        let (sender, receiver) = C::open(capacity);
        let receivers = iter::repeat_n(receiver, sides.consumers).collect();
        exchange::<C>(n, sides.producers, sender, receivers).await
    });
    between(messages(n, elapsed, capacity), sides)
}

/// Several tasks send to one.
pub(crate) fn mpsc<C: AsyncChannel>(run: &Run) -> Measurement {
    let (n, capacity) = (run.n_or(2_000_000), run.cap_or(CAPACITY));
    let sides = Sides {
        consumers: 1,
        ..sides(run, 4, 1)
    };
    let elapsed = drive(run, async move {
        let (sender, receiver) = C::open(capacity);
        exchange::<C>(n, sides.producers, sender, vec![receiver]).await
    });
    between(messages(n, elapsed, capacity), sides)
}

/// One task receives from several channels by `tokio::select!`, each with a producer of its own.
pub(crate) fn select<C: AsyncChannel>(run: &Run) -> Measurement {
    let (n, capacity) = (run.n_or(1_000_000), run.cap_or(CAPACITY));
    let elapsed = drive(run, async move {
        let channels: [_; ARMS] = std::array::from_fn(|_| C::open(capacity));
        // A sender of each channel stays here, so that none is ever disconnected.
        let senders: Vec<_> = channels.iter().map(|(sender, _)| sender.clone()).collect();
        let receivers = channels.map(|(_, receiver)| receiver);
        let start = Instant::now();
        let producers: Vec<_> = senders
            .iter()
            .enumerate()
            .map(|(arm, sender)| spawn(send_share::<C>(sender.clone(), share(arm, ARMS, n))))
            .collect();
        let receiver = spawn(async move {
            let [mut a, mut b, mut c, mut d] = receivers;
            let mut sum = 0;
            for _ in 0..n {
                let value = tokio::select! {
                    value = C::recv(&mut a) => value,
                    value = C::recv(&mut b) => value,
                    value = C::recv(&mut c) => value,
                    value = C::recv(&mut d) => value,
                };
                sum += value.expect("a sender of each is kept");
            }
            sum
        });
        assert_eq!(receiver.await.unwrap(), sum_below(n));
        let elapsed = start.elapsed();
        for producer in producers {
            producer.await.unwrap();
        }
        drop(senders);
        elapsed
    });
    messages(n, elapsed, capacity)
}

/// Watches a process in which `--n` tasks wait to receive; then serves each.
pub(crate) fn idle_waiters<C: AsyncChannel<Receiver: Clone>>(run: &Run) -> Measurement {
    let (n, capacity) = (run.n_or(1000), run.cap_or(Capacity::Bounded(1)));
    let waiting = Arc::new(AtomicU64::new(0));
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..n.div_ceil(WAITERS_PER_CHANNEL))
        .map(|_| C::open(capacity))
        .unzip();
    let driver = std::thread::spawn({
        let (run, waiting) = (run.clone(), waiting.clone());
        move || {
            drive(&run, async move {
                let mut waiters = Vec::with_capacity(n as usize);
                for waiter in 0..n {
                    let waiting = waiting.clone();
                    let mut receiver = receivers[(waiter / WAITERS_PER_CHANNEL) as usize].clone();
                    waiters.push(spawn(async move {
                        waiting.fetch_add(1, Ordering::Relaxed);
                        let value = C::recv(&mut receiver).await;
                        value.expect("a value comes before the end")
                    }));
                }
                let mut sum = 0;
                for waiter in waiters {
                    sum += waiter.await.unwrap();
                }
                sum
            })
        }
    });
    while waiting.load(Ordering::Relaxed) < n {
        std::thread::sleep(LOOK_AGAIN);
    }
    let measurement = watch::idleness(run, n, SETTLE_WAITERS);
    for value in 0..n {
        let sender = &senders[(value / WAITERS_PER_CHANNEL) as usize];
        futures_lite::future::block_on(C::send(sender, value));
    }
    assert_eq!(driver.join().unwrap(), sum_below(n));
    measurement
}
