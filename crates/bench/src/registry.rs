//! The benches, and who takes part in each.

use std::io;

use clap::ValueEnum;

use crate::cli::Run;
use crate::measure::Measurement;
use crate::peers;

/// A workload. `parked --peer may` and the like name one run of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Bench {
    /// Two tasks yield to each other on one worker.
    Switch,
    /// Tasks are spawned and joined, in batches of 1000.
    SpawnJoin,
    /// `n` tasks are parked, then woken and joined.
    Parked,
    /// Two tasks hand a value to and fro over two channels.
    Pingpong,
    /// Several tasks send to several over one channel.
    Mpmc,
    /// Several tasks send to one over one channel.
    Mpsc,
    /// One task receives from four channels at once.
    Select,
    /// A crowd of threads of the operating system sends to one receiver.
    FanIn,
    /// Tasks wait at channels, and nobody sends.
    IdleWaiters,
    /// Tasks take one lock by turns.
    Mutex,
    /// Every transaction adds one to the same variable.
    StmCounter,
    /// Every transaction reads all of some variables.
    StmRead,
    /// Transactions move money between accounts; some read all of them.
    StmBank,
    /// Two threads add to one variable, against one thread that does.
    StmHot,
    /// A transaction reads 50,000 variables that another thread keeps writing.
    StmLongReader,
    /// A thousand wait for a variable of their own.
    StmWake,
    /// A map of 100,000 keys is read, and sometimes written.
    StmMap,
    /// What variables cost in memory.
    StmMemory,
    /// One tells an actor to add.
    ActorTell,
    /// Several tell one actor to add.
    ActorFanin,
    /// One asks an actor, question after question.
    ActorAsk,
    /// Actors are started and stopped, in batches of 1000.
    ActorSpawn,
    /// What idle actors cost in memory.
    ActorMem,
    /// Actors pass a number around a ring.
    Ring,
    /// The child of a supervisor crashes, and is started anew.
    ActorRestart,
    /// A tree of tasks, ten children each, adds up its leaves.
    Skynet,
    /// The recursive Fibonacci function, with a fork per call.
    CpuFib,
    /// `n` tasks sleep for a time between 0 and 1 s.
    Timer,
    /// A TCP server sends back what it reads, until it is killed.
    Echo,
    /// A task on one worker wakes a task on another, sleeping one.
    WakeLatency,
    /// Tasks spawned by a busy worker are stolen by the others.
    StealLatency,
    /// Instructions of a spawn and join, counted by callgrind.
    SpawnInstructions,
    /// A runtime without work.
    Idle,
}

impl Bench {
    /// Returns the name, as on the command line and in the JSON line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Bench::Switch => "switch",
            Bench::SpawnJoin => "spawn_join",
            Bench::Parked => "parked",
            Bench::Pingpong => "pingpong",
            Bench::Mpmc => "mpmc",
            Bench::Mpsc => "mpsc",
            Bench::Select => "select",
            Bench::FanIn => "fan_in",
            Bench::IdleWaiters => "idle_waiters",
            Bench::Mutex => "mutex",
            Bench::StmCounter => "stm_counter",
            Bench::StmRead => "stm_read",
            Bench::StmBank => "stm_bank",
            Bench::StmHot => "stm_hot",
            Bench::StmLongReader => "stm_long_reader",
            Bench::StmWake => "stm_wake",
            Bench::StmMap => "stm_map",
            Bench::StmMemory => "stm_memory",
            Bench::ActorTell => "actor_tell",
            Bench::ActorFanin => "actor_fanin",
            Bench::ActorAsk => "actor_ask",
            Bench::ActorSpawn => "actor_spawn",
            Bench::ActorMem => "actor_mem",
            Bench::Ring => "ring",
            Bench::ActorRestart => "actor_restart",
            Bench::Skynet => "skynet",
            Bench::CpuFib => "cpu_fib",
            Bench::Timer => "timer",
            Bench::Echo => "echo",
            Bench::WakeLatency => "wake_latency",
            Bench::StealLatency => "steal_latency",
            Bench::SpawnInstructions => "spawn_instructions",
            Bench::Idle => "idle",
        }
    }

    /// Returns whether transactions are what it measures.
    pub(crate) fn is_of_transactions(self) -> bool {
        matches!(
            self,
            Bench::StmCounter
                | Bench::StmRead
                | Bench::StmBank
                | Bench::StmHot
                | Bench::StmLongReader
                | Bench::StmWake
                | Bench::StmMap
                | Bench::StmMemory
        )
    }

    /// Returns whether actors are what it measures.
    pub(crate) fn is_of_actors(self) -> bool {
        matches!(
            self,
            Bench::ActorTell
                | Bench::ActorFanin
                | Bench::ActorAsk
                | Bench::ActorSpawn
                | Bench::ActorMem
                | Bench::Ring
                | Bench::ActorRestart
        )
    }

    /// Says what one operation is: `ns_per_op` is the time of one.
    pub(crate) fn one_operation(self) -> &'static str {
        match self {
            Bench::Switch => "one round trip (2 yields) between two tasks on 1 worker",
            Bench::SpawnJoin => "spawn + run + join, in batches of 1000",
            Bench::Parked => "wake + join of one of n parked tasks; rss and pte per task",
            Bench::Pingpong => "one round trip over two channels of capacity `--cap`",
            Bench::Mpmc => "one message from `--producers` to `--consumers` tasks",
            Bench::Mpsc => "one message from `--producers` tasks to one",
            Bench::Select => "one message received by a select over 4 channels",
            Bench::FanIn => "one message from a crowd of OS threads (2000) to one",
            Bench::IdleWaiters => "one second of n tasks that wait at channels: CPU time",
            Bench::Mutex => "one lock, addition and unlock by `--tasks` tasks",
            Bench::StmCounter => "one transaction that increments a shared variable",
            Bench::StmRead => "one transaction that reads `--vars` variables",
            Bench::StmBank => "one transfer, or audit of all 1024 accounts (`--audits` %)",
            Bench::StmHot => "one increment of a variable that all threads increment",
            Bench::StmLongReader => "one transaction of 50,000 reads against a hot writer",
            Bench::StmWake => "set a variable and wake its waiter, one of 1000",
            Bench::StmMap => "one operation on a map of 100,000 keys, 10 % of them writes",
            Bench::StmMemory => "nothing: bytes per variable, values not yet dropped",
            Bench::ActorTell => "one message to an actor, handled",
            Bench::ActorFanin => "one message to an actor from 4 senders, handled",
            Bench::ActorAsk => "one question to an actor and its answer",
            Bench::ActorSpawn => "start + stop + end of an actor, in batches of 1000",
            Bench::ActorMem => "start of an actor and one answer; bytes per idle actor",
            Bench::Ring => "one hop of a number around 503 actors",
            Bench::ActorRestart => "nothing: from a child's crash until it is there again",
            Bench::Skynet => "one leaf of a tree of tasks of fan-out 10",
            Bench::CpuFib => "one fork: fib(n-1) spawned, fib(n-2) inline, join",
            Bench::Timer => "CPU time of one timer of n sleepers over 0..1 s; lateness",
            Bench::Echo => "a server of 64-byte echoes, driven by `loadgen`",
            Bench::WakeLatency => "unpark of a task whose worker sleeps, until that task runs",
            Bench::StealLatency => "one task spawned by a worker that stays busy, run by another",
            Bench::SpawnInstructions => "one spawn + run + join: instructions, under valgrind",
            Bench::Idle => "one second of a runtime without work: wake-ups of its threads",
        }
    }
}

/// How a peer runs a bench.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Job {
    /// Measures, and ends.
    Measure(fn(&Run) -> Measurement),
    /// Serves until the process is killed.
    Serve(fn(&Run) -> io::Result<()>),
    /// Has valgrind run this program's own `spawn_join` of the same peer.
    Valgrind,
}

/// One peer's implementation of one bench.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) bench: Bench,
    pub(crate) peer: &'static str,
    pub(crate) job: Job,
}

impl Entry {
    /// Makes an entry that measures and ends.
    pub(crate) const fn measure(
        bench: Bench,
        peer: &'static str,
        run: fn(&Run) -> Measurement,
    ) -> Entry {
        Entry {
            bench,
            peer,
            job: Job::Measure(run),
        }
    }

    /// Makes an entry of a server.
    pub(crate) const fn serve(
        bench: Bench,
        peer: &'static str,
        run: fn(&Run) -> io::Result<()>,
    ) -> Entry {
        Entry {
            bench,
            peer,
            job: Job::Serve(run),
        }
    }
}

/// Runs that count the instructions of `spawn_join`.
const INSTRUCTIONS: &[Entry] = &[
    Entry {
        bench: Bench::SpawnInstructions,
        peer: "weftwork",
        job: Job::Valgrind,
    },
    Entry {
        bench: Bench::SpawnInstructions,
        peer: "tokio",
        job: Job::Valgrind,
    },
    Entry {
        bench: Bench::SpawnInstructions,
        peer: "smol",
        job: Job::Valgrind,
    },
    Entry {
        bench: Bench::SpawnInstructions,
        peer: "rayon",
        job: Job::Valgrind,
    },
];

/// All entries, ours first.
const GROUPS: &[&[Entry]] = &[
    crate::weft::ENTRIES,
    crate::weft::channels::ENTRIES,
    crate::weft::locks::ENTRIES,
    crate::weft::transactions::GREEN,
    crate::weft::transactions::THREADS,
    crate::weft::transactions::MORE,
    crate::weft::actors::ENTRIES,
    peers::tokio::ENTRIES,
    peers::tokio_channels::ENTRIES,
    peers::channels::ENTRIES,
    peers::locks::ENTRIES,
    peers::stm::STM,
    peers::stm::FAST_STM,
    peers::stm::WAKES,
    peers::async_stm::ENTRIES,
    peers::async_stm::WAKES,
    peers::guarded::ORDERED,
    peers::guarded::ONE,
    peers::guarded::MAPS_AND_WAKES,
    peers::ractor::ENTRIES,
    peers::ractor::RESTART,
    peers::kameo::UNBOUNDED,
    peers::kameo::BOUNDED,
    peers::kameo::RESTART,
    peers::actix::ENTRIES,
    peers::may::ENTRIES,
    peers::smol::ENTRIES,
    peers::rayon::ENTRIES,
    peers::coroutines::ENTRIES,
    peers::threads::ENTRIES,
    peers::monoio::ENTRIES,
    INSTRUCTIONS,
];

/// Returns all entries, ours first.
pub(crate) fn entries() -> impl Iterator<Item = &'static Entry> {
    GROUPS.iter().copied().flatten()
}

/// Returns the implementation of `bench` by `peer`.
pub(crate) fn find(bench: Bench, peer: &str) -> Option<&'static Entry> {
    entries().find(|entry| entry.bench == bench && entry.peer == peer)
}

/// Prints every bench, what its operation is, and its peers.
pub(crate) fn print_list() {
    for bench in Bench::value_variants() {
        let peers: Vec<_> = entries()
            .filter(|entry| entry.bench == *bench)
            .map(|entry| entry.peer)
            .collect();
        println!("{:<19}{}", bench.name(), bench.one_operation());
        println!("{:<19}--peer {}", "", peers.join(" | "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_agree_with_the_command_line() {
        for bench in Bench::value_variants() {
            let value = bench.to_possible_value().expect("no bench is hidden");
            assert_eq!(value.get_name(), bench.name());
        }
    }

    #[test]
    fn no_peer_takes_part_twice_in_a_bench() {
        let mut seen = Vec::new();
        for entry in entries() {
            let key = (entry.bench.name(), entry.peer);
            assert!(!seen.contains(&key), "{key:?}");
            seen.push(key);
        }
        assert!(seen.len() > 30);
    }
}
