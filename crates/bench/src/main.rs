//! Benchmarks of Weftwork and of its peers, in one binary.
//!
//! ```text
//! weftwork-bench BENCH --peer NAME [--workers W] [--n N] ...   one run, one JSON line
//! weftwork-bench --list                                        every bench with its peers
//! weftwork-bench table [--filter RE] [--reps K] [--quick]      ours and the peers, interleaved
//! weftwork-bench loadgen --addrs A[,A..] --conns N ...         the load generator of `echo`
//! ```
//!
//! Every run checks its own result (a sum, an echoed byte) and ends with a non-zero status when it
//! is wrong: a figure is printed only for work that was done. Many of the workloads exist as
//! programs in Go, Haskell and Erlang too, in folders of this package. `docs/benchmarks.md` says how to read the figures.

mod actors;
mod bars;
mod channels;
mod cli;
mod instructions;
mod loadgen;
mod locks;
mod measure;
mod peers;
mod place;
mod process;
mod registry;
mod setting;
mod table;
mod transactions;
mod watch;
mod weft;
mod workload;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};
use crate::registry::Job;

fn main() -> ExitCode {
    let cli = Cli::parse();
    process::raise_open_file_limit();
    exit_on_any_panic();
    let result = match (&cli.command, cli.list) {
        (_, true) => {
            registry::print_list();
            Ok(())
        }
        (Some(Command::Table(options)), _) => table::run(options),
        (Some(Command::Loadgen(options)), _) => loadgen::run(options),
        (None, _) => run_one(&cli),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("weftwork-bench: {error}");
            ExitCode::from(2)
        }
    }
}

/// Runs one bench of one peer and prints its JSON line.
fn run_one(cli: &Cli) -> Result<(), String> {
    let bench = cli
        .run
        .bench
        .ok_or("no BENCH given; `--list` names them, `--help` the flags")?;
    let entry = registry::find(bench, &cli.run.peer).ok_or_else(|| {
        format!(
            "no peer {:?} for {}; `--list` names them",
            cli.run.peer,
            bench.name()
        )
    })?;
    match entry.job {
        Job::Measure(measure) => {
            let measurement = measure(&cli.run);
            println!(
                "{}",
                measurement.to_json(bench.name(), entry.peer, cli.run.workers)
            );
            Ok(())
        }
        Job::Serve(serve) => {
            serve(&cli.run).map_err(|error| format!("{} {}: {error}", bench.name(), entry.peer))
        }
        Job::Valgrind => instructions::run(&cli.run, entry.peer),
    }
}

/// Makes a panic on any thread or task the end of the run.
///
/// Most runtimes catch the panic of a task; a bench in which one assertion failed must not go on
/// to print a figure.
fn exit_on_any_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        report(info);
        std::process::exit(101);
    }));
}
