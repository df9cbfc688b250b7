//! What `table` runs: the cases, who takes part, and at which size.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::ValueEnum;

use super::external::External;
use super::{Options, size};
use crate::registry::{self, Bench};
use crate::setting::{Capacity, Grid, Setting, Sides};

/// The cases of a table.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) cases: Vec<Case>,
}

/// A setting, and who is compared at it.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) setting: Setting,
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
    arguments: Vec<OsString>,
    flags: Vec<String>,
}

impl Contender {
    /// Returns the command that runs the case.
    pub(super) fn command(&self, case: &Case) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .arg(case.setting.bench.name())
            .args(&self.flags)
            .args(case.setting.flags());
        command
    }
}

impl Plan {
    /// Plans what the filter lets through.
    pub(super) fn new(options: &Options, externals: &[External]) -> Plan {
        let ourselves = std::env::current_exe().expect("a running program has a file");
        let valgrind = crate::instructions::available();
        let mut cases = Vec::new();
        for &bench in Bench::value_variants() {
            if bench == Bench::SpawnInstructions && !valgrind {
                eprintln!("without spawn_instructions: valgrind is not installed");
                continue;
            }
            for setting in grid(bench).settings() {
                let mut contenders = contenders(&setting, options, &ourselves, externals);
                contenders.retain(|contender| {
                    takes_part(&setting, &contender.peer)
                        && options
                            .filter
                            .is_match(&setting.name_of_run(&contender.peer))
                });
                let work = match bench {
                    Bench::Echo => Work::Serve {
                        conns: vec![50, 1000],
                    },
                    _ => Work::Measure,
                };
                if !contenders.is_empty() {
                    cases.push(Case {
                        setting,
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

/// Returns the settings at which a bench says something.
fn grid(bench: Bench) -> Grid {
    const RENDEZVOUS: Capacity = Capacity::Bounded(0);
    const ONE: Capacity = Capacity::Bounded(1);
    const MANY: Capacity = Capacity::Bounded(128);
    let workers: &[usize] = match bench {
        Bench::Switch | Bench::Parked | Bench::SpawnInstructions => &[1],
        Bench::WakeLatency | Bench::StealLatency | Bench::Idle => &[2],
        Bench::StmCounter | Bench::StmMemory | Bench::ActorMem => &[1],
        // These are about threads that are in each other's way.
        Bench::StmHot | Bench::StmLongReader | Bench::StmMap => &[2],
        // A crowd on one CPU says the same, and less.
        Bench::FanIn | Bench::IdleWaiters => &[2],
        _ => &[1, 2],
    };
    let grid = Grid::new(bench, workers);
    match bench {
        Bench::Pingpong => grid.capacities(&[RENDEZVOUS, ONE, MANY]),
        Bench::Mpmc => grid
            .sides(const { &[Sides::new(4, 4), Sides::new(1, 1)] })
            .capacities(&[RENDEZVOUS, ONE, MANY, Capacity::Unbounded]),
        Bench::Mpsc => grid.sides(const { &[Sides::new(4, 1)] }).capacities(&[
            RENDEZVOUS,
            MANY,
            Capacity::Unbounded,
        ]),
        Bench::Select => grid.capacities(&[MANY]),
        Bench::FanIn => grid
            .sides(const { &[Sides::new(2000, 1)] })
            .capacities(&[RENDEZVOUS, Capacity::Bounded(100)]),
        Bench::Mutex => grid.tasks(&[1, 8]),
        Bench::StmRead => grid.vars(&[64, 100, 1000]),
        Bench::StmBank => grid.audits(&[0, 1]),
        _ => grid,
    }
}

/// Returns whether `peer`, which has the bench, has it in this setting.
fn takes_part(setting: &Setting, peer: &str) -> bool {
    let capacity = setting.capacity;
    match (setting.bench, peer) {
        // It has one worker, whatever is asked for.
        (_, "tokio-ct") if setting.workers > 1 => false,
        // It has no channel: its round trip stands beside the rendezvous.
        (Bench::Pingpong, "weftwork-park") => capacity == Some(Capacity::Bounded(0)),
        // Its channels have no bound, which a single message does not feel.
        (Bench::Pingpong, "may") => capacity == Some(Capacity::Bounded(128)),
        (_, "tokio" | "tokio-ct" | "smol" | "async-channel-tokio") => {
            capacity != Some(Capacity::Bounded(0))
        }
        (_, "go") => capacity != Some(Capacity::Unbounded),
        _ => true,
    }
}

fn contenders(
    setting: &Setting,
    options: &Options,
    ourselves: &Path,
    externals: &[External],
) -> Vec<Contender> {
    let mut all: Vec<_> = registry::entries()
        .filter(|entry| entry.bench == setting.bench)
        .map(|entry| {
            let mut flags = vec!["--peer".to_owned(), entry.peer.to_owned()];
            flags.extend(size::flags(setting, entry.peer, options.quick));
            Contender {
                peer: entry.peer.to_owned(),
                program: ourselves.to_owned(),
                arguments: Vec::new(),
                flags,
            }
        })
        .collect();
    let external = externals
        .iter()
        .filter(|external| (external.has)(setting.bench));
    all.extend(external.map(|external| Contender {
        peer: external.peer.to_owned(),
        program: external.program.clone(),
        arguments: external.arguments.clone(),
        flags: size::flags(setting, external.peer, options.quick),
    }));
    all
}

#[cfg(test)]
mod tests {
    use std::iter;

    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};
    use crate::table::{go, haskell};

    fn options(arguments: &[&str]) -> Options {
        let cli = Cli::parse_from(["x", "table"].iter().chain(arguments));
        match cli.command {
            Some(Command::Table(options)) => options,
            other => panic!("{other:?}"),
        }
    }

    fn externals() -> [External; 2] {
        [
            External {
                peer: go::PEER,
                program: PathBuf::from(go::PROGRAM),
                arguments: Vec::new(),
                has: go::has,
            },
            External {
                peer: haskell::PEER,
                program: PathBuf::from(haskell::PROGRAM),
                arguments: Vec::new(),
                has: haskell::has,
            },
        ]
    }

    fn whole_plan() -> Plan {
        Plan::new(&options(&[]), &externals())
    }

    #[test]
    fn every_flag_of_a_case_is_one_that_a_run_takes() {
        for quick in [&[][..], &["--quick"]] {
            for case in Plan::new(&options(quick), &[]).cases {
                for contender in &case.contenders {
                    let command = contender.command(&case);
                    let words = command.get_args().map(|word| word.to_owned());
                    Cli::try_parse_from(iter::once("x".into()).chain(words))
                        .unwrap_or_else(|error| panic!("{}: {error}", case.setting.name()));
                }
            }
        }
    }

    fn peers(case: &Case) -> Vec<&str> {
        let contenders = case.contenders.iter();
        contenders.map(|contender| &contender.peer[..]).collect()
    }

    #[test]
    fn the_filter_selects_bench_peer_and_workers() {
        let options = options(&["--filter", "^spawn_join (tokio|go) w2$"]);
        let plan = Plan::new(&options, &externals());
        let [case] = &plan.cases[..] else {
            panic!("{plan:?}");
        };
        assert_eq!(case.setting.name_of_run("go"), "spawn_join go w2");
        assert_eq!(case.work, Work::Measure);
        assert_eq!(peers(case), ["tokio", "go"]);
        assert_eq!(plan.runs(3), 6);
    }

    #[test]
    fn the_filter_selects_sides_and_capacity() {
        let options = options(&["--filter", "^mpmc (kanal|go|flume-tokio) 4x4 cap0 w2$"]);
        let plan = Plan::new(&options, &externals());
        let [case] = &plan.cases[..] else {
            panic!("{plan:?}");
        };
        assert_eq!(case.setting.name(), "mpmc 4x4 cap0");
        assert_eq!(peers(case), ["flume-tokio", "kanal", "go"]);
    }

    #[test]
    fn no_peer_is_asked_for_a_channel_that_it_does_not_have() {
        for case in whole_plan().cases {
            let without_rendezvous = ["tokio", "tokio-ct", "smol", "async-channel-tokio"];
            let (capacity, peers) = (case.setting.capacity, peers(&case));
            if capacity == Some(Capacity::Bounded(0)) {
                assert!(!peers.iter().any(|peer| without_rendezvous.contains(peer)));
            }
            if capacity == Some(Capacity::Unbounded) {
                assert!(!peers.contains(&"go"), "{}", case.setting.name());
            }
        }
    }

    #[test]
    fn every_bar_names_a_case_and_peers_of_the_plan() {
        use crate::bars::{Limit, bars};
        let plan = whole_plan();
        for bar in bars() {
            for setting in bar.on.settings() {
                // The connections of `echo` share one server, and so one case.
                let server = Setting {
                    conns: None,
                    ..setting
                };
                let case = plan
                    .cases
                    .iter()
                    .find(|case| case.setting == server)
                    .unwrap_or_else(|| panic!("{bar:?} has no case {}", setting.name()));
                let peers = peers(case);
                assert!(peers.contains(&bar.ours), "{bar:?}: {}", bar.ours);
                let (Limit::TimesLeast(_, others) | Limit::TimesGreatest(_, others)) = bar.limit
                else {
                    continue;
                };
                for other in others {
                    assert!(peers.contains(other), "{bar:?}: {other}");
                }
            }
        }
    }
}
