//! Channels and select: between green threads, between threads of the operating system, and
//! between tasks on tokio.

use super::{Bar, Limit, Metric};
use crate::registry::Bench;
use crate::setting::{Capacity, Grid, Sides};

const RENDEZVOUS: &[Capacity] = &[Capacity::Bounded(0)];
const BUFFERED: &[Capacity] = &[
    Capacity::Bounded(1),
    Capacity::Bounded(128),
    Capacity::Unbounded,
];
/// Go has no channel without bound.
const BOUNDED: &[Capacity] = &[Capacity::Bounded(1), Capacity::Bounded(128)];

const FOUR_TO_FOUR: &[Sides] = &[Sides::new(4, 4)];
const BOTH: &[Sides] = &[Sides::new(4, 4), Sides::new(1, 1)];

const fn pingpong(workers: &'static [usize]) -> Grid {
    Grid::new(Bench::Pingpong, workers).capacities(RENDEZVOUS)
}

const fn mpmc(sides: &'static [Sides], capacities: &'static [Capacity]) -> Grid {
    Grid::new(Bench::Mpmc, &[1, 2])
        .sides(sides)
        .capacities(capacities)
}

const SELECT: Grid = Grid::new(Bench::Select, &[1, 2]).capacities(&[Capacity::Bounded(128)]);

const CROWD: Grid = Grid::new(Bench::FanIn, &[2])
    .sides(&[Sides::new(2000, 1)])
    .capacities(&[Capacity::Bounded(0), Capacity::Bounded(100)]);

const WAITERS: Grid = Grid::new(Bench::IdleWaiters, &[2]);

/// The other channels that tasks on tokio can share on both sides.
const ON_TOKIO: &[&str] = &["kanal-tokio", "flume-tokio", "async-channel-tokio"];
/// The other channels that threads of the operating system can share on both sides.
const ON_THREADS: &[&str] = &["crossbeam", "flume", "kanal"];

/// What the watching itself may cost, half a thousandth of a CPU: to add up the CPU time of a
/// thousand threads takes some.
const NOTHING: Limit = Limit::Fixed(500.0);

pub(super) const BARS: &[Bar] = &[
    // A value is handed over by switching to the one that waits for it.
    Bar::time(pingpong(&[1]), Limit::TimesLeast(0.15, &["go"])),
    Bar::time(pingpong(&[1, 2]), Limit::TimesLeast(0.5, &["kanal-tokio"])),
    Bar::time(
        mpmc(FOUR_TO_FOUR, RENDEZVOUS),
        Limit::TimesLeast(0.8, &["kanal-tokio"]),
    ),
    Bar::time(
        mpmc(FOUR_TO_FOUR, RENDEZVOUS),
        Limit::TimesLeast(0.3, &["go"]),
    ),
    // With a buffer most operations do not wait, and the channel itself is what is measured.
    Bar::time(mpmc(BOTH, BUFFERED), Limit::TimesLeast(1.0, ON_TOKIO)),
    Bar::time(mpmc(BOTH, BOUNDED), Limit::TimesLeast(0.5, &["go"])),
    // The same channels between threads of the operating system.
    Bar::time(
        mpmc(FOUR_TO_FOUR, RENDEZVOUS),
        Limit::TimesLeast(1.0, ON_THREADS),
    )
    .of("weftwork-threads"),
    Bar::time(mpmc(BOTH, BUFFERED), Limit::TimesLeast(1.0, ON_THREADS)).of("weftwork-threads"),
    // And between tasks on tokio.
    Bar::time(
        mpmc(FOUR_TO_FOUR, RENDEZVOUS),
        Limit::TimesLeast(1.0, &["flume-tokio"]),
    )
    .of("weftwork-tokio"),
    Bar::time(
        mpmc(BOTH, BUFFERED),
        Limit::TimesLeast(1.0, &["flume-tokio", "async-channel-tokio"]),
    )
    .of("weftwork-tokio"),
    Bar::time(SELECT, Limit::TimesLeast(0.5, &["go"])),
    Bar::time(SELECT, Limit::TimesLeast(0.8, &["tokio"])),
    Bar::time(SELECT, Limit::TimesLeast(1.0, &["crossbeam"])).of("weftwork-threads"),
    // Threads that outnumber the CPUs by far must not burn them while they wait for their turn.
    Bar::time(CROWD, Limit::TimesLeast(1.0, &["crossbeam"])).of("weftwork-threads"),
    // Nobody who waits wakes before there is a value.
    Bar::new(WAITERS, Metric::WakeupsPerS, Limit::Fixed(0.0)),
    Bar::new(WAITERS, Metric::CpuUsPerS, NOTHING),
    Bar::new(WAITERS, Metric::WakeupsPerS, Limit::Fixed(0.0)).of("weftwork-threads"),
    Bar::new(WAITERS, Metric::CpuUsPerS, NOTHING).of("weftwork-threads"),
];
