//! Tasks, switches, timers and sockets.

use super::{Bar, Limit, Metric};
use crate::registry::Bench;
use crate::setting::{Capacity, Grid};

/// One worker.
const fn one(bench: Bench) -> Grid {
    Grid::new(bench, &[1])
}

/// Two workers.
const fn two(bench: Bench) -> Grid {
    Grid::new(bench, &[2])
}

/// The echo server, on one and on two workers.
const ECHO: Grid = Grid::new(Bench::Echo, &[1, 2]).conns(&[50, 1000]);

/// The servers that wait with epoll, as ours does.
const EPOLL: &[&str] = &["tokio", "go", "may", "smol", "monoio-epoll"];

pub(super) const BARS: &[Bar] = &[
    // A task that does not block costs no stack: it must be far cheaper than a goroutine, which
    // has one, and no dearer than a closure of a fork-join pool.
    Bar::time(one(Bench::SpawnJoin), Limit::TimesLeast(0.25, &["go"])),
    Bar::time(one(Bench::SpawnJoin), Limit::TimesLeast(1.0, &["rayon"])),
    // With a second worker, waking and stealing come in.
    Bar::time(two(Bench::SpawnJoin), Limit::TimesLeast(0.4, &["go"])),
    // Started green threads are switched to directly, from a ring without atomics.
    Bar::time(one(Bench::Switch), Limit::TimesLeast(0.12, &["go"])),
    // A bare hand-over, beside that of a channel without capacity.
    Bar::time(
        one(Bench::Pingpong).capacities(&[Capacity::Bounded(0)]),
        Limit::TimesLeast(0.1, &["go"]),
    )
    .of("weftwork-park"),
    // A parked green thread holds one page of stack, what describes it, and its page tables.
    Bar::new(one(Bench::Parked), Metric::KibPerUnit, Limit::Fixed(4.7)),
    Bar::time(one(Bench::Parked), Limit::TimesLeast(1.3, &["go"])),
    Bar::time(two(Bench::Skynet), Limit::TimesLeast(0.35, &["go"])),
    Bar::time(two(Bench::Skynet), Limit::TimesLeast(0.5, &["tokio"])),
    // A spawn and join per call; then the same by the fork-join form, against the best of those.
    Bar::time(two(Bench::CpuFib), Limit::TimesLeast(0.12, &["go"])),
    Bar::time(two(Bench::CpuFib), Limit::TimesLeast(2.0, &["rayon"])).of("weftwork-join"),
    Bar::time(one(Bench::Timer), Limit::TimesLeast(0.7, &["tokio"])),
    Bar::new(one(Bench::Timer), Metric::LateP99Us, Limit::Fixed(2000.0)),
    // The same with futures as sleepers, which is what the peer's are.
    Bar::time(one(Bench::Timer), Limit::TimesLeast(0.7, &["tokio"])).of("weftwork-async"),
    Bar::new(one(Bench::Timer), Metric::LateP99Us, Limit::Fixed(2000.0)).of("weftwork-async"),
    // Plain blocking code must serve as fast as the best event loop, and as evenly.
    Bar::new(ECHO, Metric::OpsPerS, Limit::TimesGreatest(1.0, EPOLL)),
    Bar::new(ECHO, Metric::P99Us, Limit::TimesLeast(1.0, EPOLL)),
    // A runtime without work sleeps until it is woken.
    Bar::new(two(Bench::Idle), Metric::WakeupsPerS, Limit::Fixed(0.0)),
];
