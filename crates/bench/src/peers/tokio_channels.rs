//! Channels that are awaited, by tasks on tokio: its own, and those of libraries without a runtime.

use tokio::sync::mpsc as own;

use crate::channels::futures::{AsyncChannel, idle_waiters, mpmc, mpsc, pingpong, select};
use crate::registry::{Bench, Entry};
use crate::setting::Capacity;

pub(crate) const ENTRIES: &[Entry] = &[
    Entry::measure(Bench::Pingpong, "tokio", pingpong::<Tokio>),
    Entry::measure(Bench::Pingpong, "tokio-ct", pingpong::<Tokio>),
    Entry::measure(Bench::Pingpong, "kanal-tokio", pingpong::<Kanal>),
    Entry::measure(Bench::Pingpong, "flume-tokio", pingpong::<Flume>),
    Entry::measure(
        Bench::Pingpong,
        "async-channel-tokio",
        pingpong::<AsyncChannelCrate>,
    ),
    Entry::measure(Bench::Mpmc, "kanal-tokio", mpmc::<Kanal>),
    Entry::measure(Bench::Mpmc, "flume-tokio", mpmc::<Flume>),
    Entry::measure(
        Bench::Mpmc,
        "async-channel-tokio",
        mpmc::<AsyncChannelCrate>,
    ),
    Entry::measure(Bench::Mpsc, "tokio", mpsc::<Tokio>),
    Entry::measure(Bench::Mpsc, "kanal-tokio", mpsc::<Kanal>),
    Entry::measure(Bench::Mpsc, "flume-tokio", mpsc::<Flume>),
    Entry::measure(
        Bench::Mpsc,
        "async-channel-tokio",
        mpsc::<AsyncChannelCrate>,
    ),
    Entry::measure(Bench::Select, "tokio", select::<Tokio>),
    Entry::measure(Bench::IdleWaiters, "kanal-tokio", idle_waiters::<Kanal>),
    Entry::measure(Bench::IdleWaiters, "flume-tokio", idle_waiters::<Flume>),
    Entry::measure(
        Bench::IdleWaiters,
        "async-channel-tokio",
        idle_waiters::<AsyncChannelCrate>,
    ),
];

/// `tokio::sync::mpsc`, which has no capacity 0, and whose receiver cannot be shared.
enum Tokio {}

/// A sender of either kind: in tokio they are two types.
#[derive(Debug, Clone)]
enum TokioSender {
    Bounded(own::Sender<u64>),
    Unbounded(own::UnboundedSender<u64>),
}

/// A receiver of either kind.
#[derive(Debug)]
enum TokioReceiver {
    Bounded(own::Receiver<u64>),
    Unbounded(own::UnboundedReceiver<u64>),
}

impl AsyncChannel for Tokio {
    type Sender = TokioSender;
    type Receiver = TokioReceiver;

    fn open(capacity: Capacity) -> (Self::Sender, Self::Receiver) {
        match capacity {
            Capacity::Bounded(capacity) => {
                let (sender, receiver) = own::channel(capacity);
                (
                    TokioSender::Bounded(sender),
                    TokioReceiver::Bounded(receiver),
                )
            }
            Capacity::Unbounded => {
                let (sender, receiver) = own::unbounded_channel();
                (
                    TokioSender::Unbounded(sender),
                    TokioReceiver::Unbounded(receiver),
                )
            }
        }
    }

    async fn send(sender: &Self::Sender, value: u64) {
        match sender {
            TokioSender::Bounded(sender) => sender.send(value).await,
            TokioSender::Unbounded(sender) => sender.send(value),
        }
        .expect("the receiver is left");
    }

    async fn recv(receiver: &mut Self::Receiver) -> Option<u64> {
        match receiver {
            TokioReceiver::Bounded(receiver) => receiver.recv().await,
            TokioReceiver::Unbounded(receiver) => receiver.recv().await,
        }
    }
}

/// `kanal`.
enum Kanal {}

impl AsyncChannel for Kanal {
    type Sender = kanal::AsyncSender<u64>;
    type Receiver = kanal::AsyncReceiver<u64>;

    fn open(capacity: Capacity) -> (Self::Sender, Self::Receiver) {
        match capacity {
            Capacity::Bounded(capacity) => kanal::bounded_async(capacity),
            Capacity::Unbounded => kanal::unbounded_async(),
        }
    }

    async fn send(sender: &Self::Sender, value: u64) {
        sender.send(value).await.expect("a receiver is left");
    }

    async fn recv(receiver: &mut Self::Receiver) -> Option<u64> {
        receiver.recv().await.ok()
    }
}

/// `flume`.
enum Flume {}

impl AsyncChannel for Flume {
    type Sender = flume::Sender<u64>;
    type Receiver = flume::Receiver<u64>;

    fn open(capacity: Capacity) -> (Self::Sender, Self::Receiver) {
        match capacity {
            Capacity::Bounded(capacity) => flume::bounded(capacity),
            Capacity::Unbounded => flume::unbounded(),
        }
    }

    async fn send(sender: &Self::Sender, value: u64) {
        sender.send_async(value).await.expect("a receiver is left");
    }

    async fn recv(receiver: &mut Self::Receiver) -> Option<u64> {
        receiver.recv_async().await.ok()
    }
}

/// `async-channel`, which has no capacity 0.
enum AsyncChannelCrate {}

impl AsyncChannel for AsyncChannelCrate {
    type Sender = async_channel::Sender<u64>;
    type Receiver = async_channel::Receiver<u64>;

    fn open(capacity: Capacity) -> (Self::Sender, Self::Receiver) {
        match capacity {
            Capacity::Bounded(capacity) => async_channel::bounded(capacity),
            Capacity::Unbounded => async_channel::unbounded(),
        }
    }

    async fn send(sender: &Self::Sender, value: u64) {
        sender.send(value).await.expect("a receiver is left");
    }

    async fn recv(receiver: &mut Self::Receiver) -> Option<u64> {
        receiver.recv().await.ok()
    }
}
