//! The workloads of actors: what all forms of them share.
//!
//! An actor holds a number; it is told to add to it, and asked for it. In a ring, actors pass a number
//! on that becomes one less at each. `futures` has the workloads written once for all libraries whose
//! calls are awaited; ours, which blocks, has them in `crate::weft::actors`. `crash` has what a
//! supervisor's child tells of its crashes.
//!
//! 1. Messages count when they are handled: a run in which they are told ends with a question, whose
//!    answer must be the sum.
//! 2. The driver and the senders are tasks on the workers on which the actors run.

pub(crate) mod crash;
pub(crate) mod futures;

use std::time::Duration;

use crate::cli::Run;
use crate::measure::Measurement;
use crate::process::Footprint;

/// Senders of `actor_fanin`.
pub(crate) const SENDERS: u64 = 4;

/// Actors of `ring`.
pub(crate) const NODES: usize = 503;

/// Returns how many messages each of some senders tells, and all together.
pub(crate) fn shares(run: &Run, senders: u64) -> (u64, u64) {
    let each = run.n_or(5_000_000).div_ceil(senders);
    (each, each * senders)
}

/// Makes the measurement of `actor_mem`: `n` actors were started and asked once within `elapsed`.
pub(crate) fn idle(n: u64, elapsed: Duration, before: Footprint, held: Footprint) -> Measurement {
    let kib = (held.rss_kib - before.rss_kib) + (held.pte_kib - before.pte_kib);
    Measurement::new(n, n, elapsed).with("bytes_per_actor", kib * 1024.0 / n as f64)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::cli::Cli;
    use crate::registry::{Bench, Job, entries};

    /// Runs every peer of a bench, small: each checks its own result.
    fn all_run(bench: Bench, n: &str) {
        let mut peers = 0;
        for entry in entries().filter(|entry| entry.bench == bench) {
            let Job::Measure(measure) = entry.job else {
                panic!("{entry:?} does not end");
            };
            for workers in ["1", "2"] {
                let name = bench.name();
                let words = [
                    "x",
                    name,
                    "--peer",
                    entry.peer,
                    "--n",
                    n,
                    "--workers",
                    workers,
                ];
                let line = measure(&Cli::parse_from(words).run).to_json(name, entry.peer, 1);
                assert!(line.contains(entry.peer), "{line}");
            }
            peers += 1;
        }
        assert!(peers >= 3, "{}", bench.name());
    }

    #[test]
    fn every_peer_counts_what_one_tells() {
        all_run(Bench::ActorTell, "3000");
    }

    #[test]
    fn every_peer_counts_what_several_tell() {
        all_run(Bench::ActorFanin, "3000");
    }

    #[test]
    fn every_peer_answers() {
        all_run(Bench::ActorAsk, "100");
    }

    #[test]
    fn every_peer_starts_and_stops_actors() {
        all_run(Bench::ActorSpawn, "1100");
    }

    #[test]
    fn every_peer_holds_idle_actors() {
        all_run(Bench::ActorMem, "100");
    }

    #[test]
    fn a_ring_of_every_peer_counts_down_to_its_end() {
        all_run(Bench::Ring, "1200");
    }

    #[test]
    fn a_crashed_child_of_every_peer_comes_back() {
        all_run(Bench::ActorRestart, "5");
    }
}
