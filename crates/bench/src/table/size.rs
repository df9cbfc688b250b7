//! How many operations a run of a table does: enough for a steady figure of each peer.

use crate::registry::Bench;
use crate::setting::{Capacity, Setting};

/// Returns whether `peer` runs on threads of the operating system, which hand over slowly.
pub(super) fn on_threads(peer: &str) -> bool {
    matches!(
        peer,
        "crossbeam"
            | "flume"
            | "kanal"
            | "parking_lot"
            | "std"
            | "weftwork-threads"
            | "stm"
            | "fast-stm"
            | "async-stm"
            | "ordered-locks"
            | "one-lock"
            | "sharded-locks"
    )
}

/// Returns the flags of size of a run; with `quick`, of a tenth.
///
/// May cannot hold more stacks than about half of `vm.max_map_count`, a thread of the operating
/// system is dear, and kanal's threads burn the CPUs where there are many: these run smaller.
pub(super) fn flags(setting: &Setting, peer: &str, quick: bool) -> Vec<String> {
    let threads = on_threads(peer);
    let hands_over = matches!(setting.capacity, Some(Capacity::Bounded(0 | 1)));
    // A transaction of these takes several times as long.
    let heavy = matches!(peer, "stm" | "fast-stm" | "async-stm" | "ghc");
    let light = |size| if heavy { size / 10 } else { size };
    let (flag, full, quick_size): (_, u64, u64) = match (setting.bench, peer) {
        (Bench::Switch, "corosensei" | "generator") => ("--n", 50_000_000, 5_000_000),
        (Bench::Switch, "weftwork") => ("--n", 10_000_000, 1_000_000),
        (Bench::Switch, "std") => ("--n", 200_000, 20_000),
        (Bench::Switch, _) => ("--n", 2_000_000, 200_000),
        (Bench::SpawnJoin, "std") => ("--n", 20_000, 2_000),
        (Bench::SpawnJoin, "may") => ("--n", 500_000, 100_000),
        (Bench::SpawnJoin, _) => ("--n", 2_000_000, 200_000),
        (Bench::Pingpong, "weftwork" | "weftwork-park") if setting.workers == 1 => {
            ("--n", 5_000_000, 500_000)
        }
        (Bench::Pingpong, "kanal") => ("--n", 200_000, 20_000),
        (Bench::Pingpong, _) if threads => ("--n", 50_000, 5_000),
        (Bench::Pingpong, _) => ("--n", 1_000_000, 100_000),
        (Bench::Mpmc | Bench::Mpsc, "kanal") if hands_over => ("--n", 400_000, 40_000),
        (Bench::Mpmc | Bench::Mpsc, _) if threads && hands_over => ("--n", 100_000, 10_000),
        (Bench::Mpmc | Bench::Mpsc, _) if hands_over => ("--n", 2_000_000, 200_000),
        (Bench::Mpmc | Bench::Mpsc, _) => ("--n", 4_000_000, 400_000),
        (Bench::Select, "crossbeam" | "flume") => ("--n", 500_000, 50_000),
        (Bench::Select, _) => ("--n", 2_000_000, 200_000),
        (Bench::FanIn, "kanal") => ("--n", 20_000, 4_000),
        (Bench::FanIn, _) => ("--n", 100_000, 10_000),
        (Bench::IdleWaiters, _) => ("--span-ms", 2_000, 500),
        (Bench::Mutex, "tokio" | "weftwork-tokio") => ("--n", 4_000_000, 400_000),
        (Bench::Mutex, _) => ("--n", 20_000_000, 2_000_000),
        (Bench::StmCounter | Bench::StmHot, _) => ("--n", light(10_000_000), light(1_000_000)),
        (Bench::StmRead, _) => {
            let vars = setting.vars.unwrap_or(64) as u64;
            ("--n", light(64_000_000) / vars, light(6_400_000) / vars)
        }
        (Bench::StmBank, _) => ("--n", light(5_000_000), light(500_000)),
        // GHC takes seconds for such a read, also when nobody writes.
        (Bench::StmLongReader, "ghc") => ("--span-ms", 10_000, 5_000),
        (Bench::StmLongReader, _) => ("--span-ms", 3_000, 500),
        (Bench::StmWake, _) => ("--n", 100_000, 10_000),
        (Bench::StmMap, _) => ("--n", 5_000_000, 500_000),
        (Bench::StmMemory, _) => ("--n", 1_000_000, 200_000),
        (Bench::ActorTell | Bench::ActorFanin, _) => ("--n", 5_000_000, 500_000),
        (Bench::ActorAsk, _) => ("--n", 500_000, 50_000),
        (Bench::ActorSpawn, _) => ("--n", 200_000, 20_000),
        // Of fewer, what the process needs once would count.
        (Bench::ActorMem, _) => ("--n", 200_000, 100_000),
        (Bench::Ring, _) => ("--n", 1_000_000, 100_000),
        (Bench::ActorRestart, _) => ("--n", 1_000, 500),
        (Bench::Parked | Bench::Timer, "may") => ("--n", 30_000, 10_000),
        (Bench::Parked, "std") => ("--n", 10_000, 1_000),
        (Bench::Parked, _) => ("--n", 1_000_000, 100_000),
        (Bench::Skynet, "may") => ("--n", 10_000, 10_000),
        (Bench::Skynet, _) => ("--n", 1_000_000, 100_000),
        (Bench::CpuFib, "may") => ("--fib", 21, 18),
        (Bench::CpuFib, _) => ("--fib", 30, 25),
        (Bench::Timer, _) => ("--n", 100_000, 10_000),
        (Bench::WakeLatency, _) => ("--n", 20_000, 2_000),
        (Bench::StealLatency, _) => ("--n", 10_000, 10_000),
        (Bench::SpawnInstructions, _) => ("--n", 20_000, 2_000),
        (Bench::Idle, _) => ("--span-ms", 2_000, 500),
        (Bench::Echo, _) => return Vec::new(),
    };
    let size = if quick { quick_size } else { full };
    vec![flag.to_owned(), size.to_string()]
}
