//! What `table` runs: the cases, who takes part, and at which size.

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::ValueEnum;

use super::Options;
use crate::registry::{self, Bench};

/// The cases of a table.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) cases: Vec<Case>,
}

/// A bench on a number of workers.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) bench: Bench,
    pub(super) workers: usize,
    pub(super) work: Work,
    pub(super) contenders: Vec<Contender>,
}

/// How a case is run.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// One process, which measures itself.
    Measure,
    /// A server, and load generators of so many connections one after another.
    Serve { conns: Vec<usize> },
}

/// Who takes part, and how it is called.
#[derive(Debug)]
pub(super) struct Contender {
    pub(super) peer: String,
    program: PathBuf,
    flags: Vec<String>,
}

impl Contender {
    /// Returns the command that runs the case.
    pub(super) fn command(&self, case: &Case) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(case.bench.name()).args(&self.flags);
        command.args(["--workers", &case.workers.to_string()]);
        command
    }
}

impl Plan {
    /// Plans what the filter lets through.
    pub(super) fn new(options: &Options, gopeers: Option<PathBuf>) -> Plan {
        let ourselves = std::env::current_exe().expect("a running program has a file");
        let valgrind = crate::instructions::available();
        let mut cases = Vec::new();
        for &bench in Bench::value_variants() {
            if bench == Bench::SpawnInstructions && !valgrind {
                eprintln!("without spawn_instructions: valgrind is not installed");
                continue;
            }
            for &workers in workers(bench) {
                let contenders = contenders(bench, options, &ourselves, gopeers.as_deref());
                let wanted = |contender: &Contender| {
                    if workers > 1 && contender.peer == "tokio-ct" {
                        return false; // It has one worker, whatever is asked for.
                    }
                    let name = format!("{} {} w{workers}", bench.name(), contender.peer);
                    options.filter.is_match(&name)
                };
                let contenders: Vec<_> = contenders.into_iter().filter(wanted).collect();
                let work = match bench {
                    Bench::Echo => Work::Serve {
                        conns: vec![50, 1000],
                    },
                    _ => Work::Measure,
                };
                if !contenders.is_empty() {
                    cases.push(Case {
                        bench,
                        workers,
                        work,
                        contenders,
                    });
                }
            }
        }
        Plan { cases }
    }

    /// Returns how many figures there will be.
    pub(super) fn runs(&self, reps: usize) -> usize {
        let figures = |case: &Case| match &case.work {
            Work::Measure => case.contenders.len(),
            Work::Serve { conns } => case.contenders.len() * conns.len(),
        };
        self.cases.iter().map(figures).sum::<usize>() * reps
    }
}

/// Returns the numbers of workers on which a bench says something.
fn workers(bench: Bench) -> &'static [usize] {
    match bench {
        Bench::Switch | Bench::Pingpong | Bench::Parked | Bench::SpawnInstructions => &[1],
        Bench::WakeLatency | Bench::StealLatency | Bench::Idle => &[2],
        Bench::SpawnJoin | Bench::Skynet | Bench::CpuFib | Bench::Timer | Bench::Echo => &[1, 2],
    }
}

/// Returns whether Go has the bench.
fn go_has(bench: Bench) -> bool {
    !matches!(
        bench,
        Bench::WakeLatency | Bench::StealLatency | Bench::SpawnInstructions | Bench::Idle
    )
}

fn contenders(
    bench: Bench,
    options: &Options,
    ourselves: &Path,
    gopeers: Option<&Path>,
) -> Vec<Contender> {
    let mut all: Vec<_> = registry::entries()
        .filter(|entry| entry.bench == bench)
        .map(|entry| {
            let mut flags = vec!["--peer".to_owned(), entry.peer.to_owned()];
            flags.extend(size(bench, entry.peer, options.quick));
            Contender {
                peer: entry.peer.to_owned(),
                program: ourselves.to_owned(),
                flags,
            }
        })
        .collect();
    if let Some(gopeers) = gopeers
        && go_has(bench)
    {
        let flags = size(bench, "go", options.quick);
        all.push(Contender {
            peer: "go".to_owned(),
            program: gopeers.to_owned(),
            flags,
        });
    }
    all
}

/// Returns the flags of size: enough operations for a steady figure of each peer.
///
/// May cannot hold more stacks than about half of `vm.max_map_count`, and a thread of the
/// operating system is dear: these run smaller.
fn size(bench: Bench, peer: &str, quick: bool) -> Vec<String> {
    let (flag, full, quick_size): (_, u64, u64) = match (bench, peer) {
        (Bench::Switch, "corosensei" | "generator") => ("--n", 50_000_000, 5_000_000),
        (Bench::Switch, "weftwork") => ("--n", 10_000_000, 1_000_000),
        (Bench::Switch | Bench::Pingpong, "std") => ("--n", 200_000, 20_000),
        (Bench::Switch, _) => ("--n", 2_000_000, 200_000),
        (Bench::SpawnJoin, "std") => ("--n", 20_000, 2_000),
        (Bench::SpawnJoin, "may") => ("--n", 500_000, 100_000),
        (Bench::SpawnJoin, _) => ("--n", 2_000_000, 200_000),
        (Bench::Pingpong, "weftwork") => ("--n", 5_000_000, 500_000),
        (Bench::Pingpong, _) => ("--n", 1_000_000, 100_000),
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
    let mut flags = vec![
        flag.to_owned(),
        if quick { quick_size } else { full }.to_string(),
    ];
    if let (Bench::Pingpong, "go" | "std") = (bench, peer) {
        // The rendezvous, which both have.
        flags.extend(["--cap".to_owned(), "0".to_owned()]);
    }
    flags
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn options(arguments: &[&str]) -> Options {
        let cli = Cli::parse_from(["x", "table"].iter().chain(arguments));
        match cli.command {
            Some(Command::Table(options)) => options,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_flag_of_size_is_one_that_a_run_takes() {
        for quick in [false, true] {
            for entry in registry::entries() {
                let name = entry.bench.name();
                let mut words = vec!["x".to_owned(), name.to_owned()];
                words.extend(size(entry.bench, entry.peer, quick));
                Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{name}: {error}"));
            }
        }
    }

    #[test]
    fn the_filter_selects_bench_peer_and_workers() {
        let options = options(&["--filter", "^spawn_join (tokio|go) w2$"]);
        let plan = Plan::new(&options, Some(PathBuf::from("gopeers")));
        assert_eq!(plan.cases.len(), 1);
        let case = &plan.cases[0];
        assert_eq!(
            (case.bench, case.workers, &case.work),
            (Bench::SpawnJoin, 2, &Work::Measure)
        );
        let peers: Vec<_> = case
            .contenders
            .iter()
            .map(|contender| &contender.peer[..])
            .collect();
        assert_eq!(peers, ["tokio", "go"]);
        assert_eq!(plan.runs(3), 6);
    }

    #[test]
    fn every_bar_names_a_case_and_peers_of_the_plan() {
        use crate::bars::{BARS, Limit};
        let plan = Plan::new(&options(&[]), Some(PathBuf::from("gopeers")));
        for bar in BARS {
            let case = plan
                .cases
                .iter()
                .find(|case| case.bench == bar.bench && case.workers == bar.workers)
                .unwrap_or_else(|| panic!("{bar:?} has no case"));
            let (Limit::TimesLeast(_, peers) | Limit::TimesGreatest(_, peers)) = bar.limit else {
                continue;
            };
            for peer in peers {
                assert!(
                    case.contenders.iter().any(|c| c.peer == *peer),
                    "{bar:?}: {peer}"
                );
            }
        }
    }
}
