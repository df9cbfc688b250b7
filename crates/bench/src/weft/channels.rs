//! Our channel: between green threads (`weftwork`), between threads of the operating system
//! without a runtime (`weftwork-threads`), and awaited by tasks on tokio (`weftwork-tokio`).

use super::channel;
use super::green::GreenThreads;
use crate::channels::futures::{self, AsyncChannel};
use crate::channels::{ARMS, blocking};
use crate::peers::threads::OsThreads;
use crate::registry::{Bench, Entry};
use crate::setting::Capacity;

pub(crate) const ENTRIES: &[Entry] = &[
    Entry::measure(
        Bench::Pingpong,
        "weftwork",
        blocking::pingpong::<GreenThreads, Ours>,
    ),
    Entry::measure(
        Bench::Pingpong,
        "weftwork-threads",
        blocking::pingpong::<OsThreads, Ours>,
    ),
    Entry::measure(Bench::Pingpong, "weftwork-tokio", futures::pingpong::<Ours>),
    Entry::measure(
        Bench::Mpmc,
        "weftwork",
        blocking::mpmc::<GreenThreads, Ours>,
    ),
    Entry::measure(
        Bench::Mpmc,
        "weftwork-threads",
        blocking::mpmc::<OsThreads, Ours>,
    ),
    Entry::measure(Bench::Mpmc, "weftwork-tokio", futures::mpmc::<Ours>),
    Entry::measure(
        Bench::Mpsc,
        "weftwork",
        blocking::mpsc::<GreenThreads, Ours>,
    ),
    Entry::measure(
        Bench::Mpsc,
        "weftwork-threads",
        blocking::mpsc::<OsThreads, Ours>,
    ),
    Entry::measure(Bench::Mpsc, "weftwork-tokio", futures::mpsc::<Ours>),
    Entry::measure(
        Bench::Select,
        "weftwork",
        blocking::select::<GreenThreads, Ours>,
    ),
    Entry::measure(
        Bench::Select,
        "weftwork-threads",
        blocking::select::<OsThreads, Ours>,
    ),
    Entry::measure(Bench::Select, "weftwork-tokio", futures::select::<Ours>),
    Entry::measure(Bench::FanIn, "weftwork-threads", blocking::fan_in::<Ours>),
    Entry::measure(
        Bench::IdleWaiters,
        "weftwork",
        blocking::idle_waiters::<GreenThreads, Ours>,
    ),
    Entry::measure(
        Bench::IdleWaiters,
        "weftwork-threads",
        blocking::idle_waiters::<OsThreads, Ours>,
    ),
    Entry::measure(
        Bench::IdleWaiters,
        "weftwork-tokio",
        futures::idle_waiters::<Ours>,
    ),
];

/// Our channel.
enum Ours {}

impl blocking::Channel for Ours {
    type Sender = channel::Sender<u64>;
    type Receiver = channel::Receiver<u64>;

    fn open(capacity: Capacity) -> (Self::Sender, Self::Receiver) {
        match capacity {
            Capacity::Bounded(capacity) => channel::bounded(capacity),
            Capacity::Unbounded => channel::unbounded(),
        }
    }

    fn send(sender: &Self::Sender, value: u64) {
        sender.send(value).expect("a receiver is left");
    }

    fn recv(receiver: &Self::Receiver) -> Option<u64> {
        receiver.recv().ok()
    }
}

impl blocking::Select for Ours {
    fn recv_any([a, b, c, d]: &[Self::Receiver; ARMS]) -> u64 {
        let received = channel::select! {
            recv(a) -> value => value,
            recv(b) -> value => value,
            recv(c) -> value => value,
            recv(d) -> value => value,
        };
        received.expect("a sender of each is kept")
    }
}

impl AsyncChannel for Ours {
    type Sender = channel::Sender<u64>;
    type Receiver = channel::Receiver<u64>;

    fn open(capacity: Capacity) -> (Self::Sender, Self::Receiver) {
        <Ours as blocking::Channel>::open(capacity)
    }

    async fn send(sender: &Self::Sender, value: u64) {
        sender.send_async(value).await.expect("a receiver is left");
    }

    async fn recv(receiver: &mut Self::Receiver) -> Option<u64> {
        receiver.recv_async().await.ok()
    }
}
