//! Channels of other libraries that block the thread of the operating system that uses them.

use std::sync::mpsc;

use crate::channels::ARMS;
use crate::channels::blocking::{
    Channel, Select, fan_in, idle_waiters, mpmc, mpsc, pingpong, select,
};
use crate::peers::threads::OsThreads;
use crate::registry::{Bench, Entry};
use crate::setting::Capacity;

pub(crate) const ENTRIES: &[Entry] = &[
    Entry::measure(
        Bench::Pingpong,
        "crossbeam",
        pingpong::<OsThreads, Crossbeam>,
    ),
    Entry::measure(Bench::Pingpong, "flume", pingpong::<OsThreads, Flume>),
    Entry::measure(Bench::Pingpong, "kanal", pingpong::<OsThreads, Kanal>),
    Entry::measure(Bench::Pingpong, "std", pingpong::<OsThreads, Std>),
    Entry::measure(Bench::Mpmc, "crossbeam", mpmc::<OsThreads, Crossbeam>),
    Entry::measure(Bench::Mpmc, "flume", mpmc::<OsThreads, Flume>),
    Entry::measure(Bench::Mpmc, "kanal", mpmc::<OsThreads, Kanal>),
    Entry::measure(Bench::Mpsc, "crossbeam", mpsc::<OsThreads, Crossbeam>),
    Entry::measure(Bench::Mpsc, "flume", mpsc::<OsThreads, Flume>),
    Entry::measure(Bench::Mpsc, "kanal", mpsc::<OsThreads, Kanal>),
    Entry::measure(Bench::Mpsc, "std", mpsc::<OsThreads, Std>),
    Entry::measure(Bench::Select, "crossbeam", select::<OsThreads, Crossbeam>),
    Entry::measure(Bench::Select, "flume", select::<OsThreads, Flume>),
    Entry::measure(Bench::FanIn, "crossbeam", fan_in::<Crossbeam>),
    Entry::measure(Bench::FanIn, "flume", fan_in::<Flume>),
    Entry::measure(Bench::FanIn, "kanal", fan_in::<Kanal>),
    Entry::measure(Bench::FanIn, "std", fan_in::<Std>),
    Entry::measure(
        Bench::IdleWaiters,
        "crossbeam",
        idle_waiters::<OsThreads, Crossbeam>,
    ),
    Entry::measure(
        Bench::IdleWaiters,
        "flume",
        idle_waiters::<OsThreads, Flume>,
    ),
    Entry::measure(
        Bench::IdleWaiters,
        "kanal",
        idle_waiters::<OsThreads, Kanal>,
    ),
];

/// `crossbeam-channel`.
enum Crossbeam {}

impl Channel for Crossbeam {
    type Sender = crossbeam_channel::Sender<u64>;
    type Receiver = crossbeam_channel::Receiver<u64>;

    fn open(capacity: Capacity) -> (Self::Sender, Self::Receiver) {
        match capacity {
            Capacity::Bounded(capacity) => crossbeam_channel::bounded(capacity),
            Capacity::Unbounded => crossbeam_channel::unbounded(),
        }
    }

    fn send(sender: &Self::Sender, value: u64) {
        sender.send(value).expect("a receiver is left");
    }

    fn recv(receiver: &Self::Receiver) -> Option<u64> {
        receiver.recv().ok()
    }
}

impl Select for Crossbeam {
    fn recv_any([a, b, c, d]: &[Self::Receiver; ARMS]) -> u64 {
        let received = crossbeam_channel::select! {
            recv(a) -> value => value,
            recv(b) -> value => value,
            recv(c) -> value => value,
            recv(d) -> value => value,
        };
        received.expect("a sender of each is kept")
    }
}

/// `flume`.
enum Flume {}

impl Channel for Flume {
    type Sender = flume::Sender<u64>;
    type Receiver = flume::Receiver<u64>;

    fn open(capacity: Capacity) -> (Self::Sender, Self::Receiver) {
        match capacity {
            Capacity::Bounded(capacity) => flume::bounded(capacity),
            Capacity::Unbounded => flume::unbounded(),
        }
    }

    fn send(sender: &Self::Sender, value: u64) {
        sender.send(value).expect("a receiver is left");
    }

    fn recv(receiver: &Self::Receiver) -> Option<u64> {
        receiver.recv().ok()
    }
}

impl Select for Flume {
    fn recv_any(receivers: &[Self::Receiver; ARMS]) -> u64 {
        let received = receivers
            .iter()
            .fold(flume::Selector::new(), |selector, receiver| {
                selector.recv(receiver, |received| received)
            })
            .wait();
        received.expect("a sender of each is kept")
    }
}

/// `kanal`.
enum Kanal {}

impl Channel for Kanal {
    type Sender = kanal::Sender<u64>;
    type Receiver = kanal::Receiver<u64>;

    fn open(capacity: Capacity) -> (Self::Sender, Self::Receiver) {
        match capacity {
            Capacity::Bounded(capacity) => kanal::bounded(capacity),
            Capacity::Unbounded => kanal::unbounded(),
        }
    }

    fn send(sender: &Self::Sender, value: u64) {
        sender.send(value).expect("a receiver is left");
    }

    fn recv(receiver: &Self::Receiver) -> Option<u64> {
        receiver.recv().ok()
    }
}

/// `std::sync::mpsc`, whose receiver cannot be shared.
enum Std {}

/// A sender of either kind: in `std` they are two types.
#[derive(Debug, Clone)]
enum StdSender {
    Bounded(mpsc::SyncSender<u64>),
    Unbounded(mpsc::Sender<u64>),
}

impl Channel for Std {
    type Sender = StdSender;
    type Receiver = mpsc::Receiver<u64>;

    fn open(capacity: Capacity) -> (Self::Sender, Self::Receiver) {
        match capacity {
            Capacity::Bounded(capacity) => {
                let (sender, receiver) = mpsc::sync_channel(capacity);
                (StdSender::Bounded(sender), receiver)
            }
            Capacity::Unbounded => {
                let (sender, receiver) = mpsc::channel();
                (StdSender::Unbounded(sender), receiver)
            }
        }
    }

    fn send(sender: &Self::Sender, value: u64) {
        match sender {
            StdSender::Bounded(sender) => sender.send(value),
            StdSender::Unbounded(sender) => sender.send(value),
        }
        .expect("the receiver is left");
    }

    fn recv(receiver: &Self::Receiver) -> Option<u64> {
        receiver.recv().ok()
    }
}
