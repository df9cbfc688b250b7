//! The workloads on Weftwork.
//!
//! Peers: `weftwork`; for fork-join `weftwork-join`; for timers of futures `weftwork-async`; for a
//! hand-over without a channel `weftwork-park`; for channels and locks without our runtime
//! `weftwork-threads` and `weftwork-tokio`. What is called of our crates is imported here, so that
//! this file is the boundary: the others use the names below.

pub(crate) mod actors;
pub(crate) mod channels;
mod cpu;
mod echo;
mod green;
mod latency;
pub(crate) mod locks;
mod parked;
mod tasks;
mod timer;
pub(crate) mod transactions;

pub(crate) use weftwork_actor as actor;
pub(crate) use weftwork_csp as channel;
pub(crate) use weftwork_net::{TcpListener, TcpStream};
pub(crate) use weftwork_sched::{
    JoinHandle, Runtime, Thread, current, join, park, sleep, sleep_async, spawn, spawn_async,
    yield_now,
};

pub(crate) use weftwork_stm::{TMap, TVar, atomically, atomically_async, snapshot, stats};
pub(crate) use weftwork_sync::Mutex;

use crate::cli::Run;
use crate::registry::{Bench, Entry};

pub(crate) const ENTRIES: &[Entry] = &[
    Entry::measure(Bench::Switch, "weftwork", tasks::switch),
    Entry::measure(Bench::SpawnJoin, "weftwork", tasks::spawn_join),
    Entry::measure(Bench::Pingpong, "weftwork-park", tasks::pingpong),
    Entry::measure(Bench::Skynet, "weftwork", tasks::skynet),
    Entry::measure(Bench::Parked, "weftwork", parked::parked),
    Entry::measure(Bench::CpuFib, "weftwork", cpu::fib_by_spawn),
    Entry::measure(Bench::CpuFib, "weftwork-join", cpu::fib_by_join),
    Entry::measure(Bench::Timer, "weftwork", timer::timer),
    Entry::measure(Bench::Timer, "weftwork-async", timer::timer_async),
    Entry::measure(Bench::Idle, "weftwork", timer::idle),
    Entry::measure(Bench::WakeLatency, "weftwork", latency::wake),
    Entry::measure(Bench::StealLatency, "weftwork", latency::steal),
    Entry::serve(Bench::Echo, "weftwork", echo::echo),
];

/// Builds a runtime of `--workers` workers and, where it is given, `--stack`.
fn runtime(run: &Run) -> Runtime {
    let mut builder = Runtime::builder();
    builder = builder.workers(run.workers);
    if let Some(stack) = run.stack {
        builder = builder.stack_size(stack as usize);
    }
    builder.build().expect("the runtime starts")
}

/// Runs `driver` as a green thread of a runtime.
fn drive<T: Send + 'static>(run: &Run, driver: impl FnOnce() -> T + Send + 'static) -> T {
    runtime(run).run(driver)
}
