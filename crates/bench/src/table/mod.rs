//! `table`: ours and every peer interleaved (A B C A B C), medians, ratios and verdicts.
//!
//! Every run is a process of its own, so that no runtime inherits another's threads or memory.
//! Interleaving spreads the noise of a shared machine over all peers alike.

mod child;
mod erlang;
mod external;
mod go;
mod haskell;
mod plan;
mod report;
mod results;
mod servers;
mod size;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use regex::Regex;

use crate::cli::positive;

use self::plan::{Case, Plan, Work};
use self::results::Results;

/// The flags of `table`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// Run only what matches `BENCH PEER SHAPE wWORKERS`, for example
    /// `^spawn_join (weftwork|go) w1` or `^mpmc .* 4x4 cap0 w2`.
    #[arg(long, default_value = ".")]
    pub(crate) filter: Regex,
    /// Runs of each.
    #[arg(long, default_value = "3", value_parser = positive)]
    pub(crate) reps: usize,
    /// Compare the best run of each instead of the median: for a machine that others use too.
    #[arg(long)]
    pub(crate) best: bool,
    /// A tenth of the sizes: to see that all runs, not to judge.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Seconds that an echo run is measured.
    #[arg(long, default_value = "2", value_parser = crate::cli::count)]
    pub(crate) secs: u64,
    /// Folder with a ready `gopeers`, `hspeers` and `erlpeers.beam`; without it, the sources in `go`,
    /// `haskell` and `erlang` are built.
    #[arg(long, env = "WEFTWORK_PEERS")]
    pub(crate) external: Option<PathBuf>,
    /// The `go` command that builds the one.
    #[arg(long, env = "GO_BIN", default_value = "go")]
    pub(crate) go: PathBuf,
    /// The `ghc` command that builds the other.
    #[arg(long, env = "GHC_BIN", default_value = "ghc")]
    pub(crate) ghc: PathBuf,
    /// The `erl` command that builds the third, and runs it.
    #[arg(long, env = "ERL_BIN", default_value = "erl")]
    pub(crate) erl: PathBuf,
    /// Write every single run to this file, one JSON object a line.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
}

/// Runs everything and prints the tables.
///
/// # Errors
///
/// Where a run of ours failed. A peer that fails is only named under the table.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    let plan = Plan::new(options, &external::find_or_build(options));
    if plan.cases.is_empty() {
        return Err(format!("nothing matches {:?}", options.filter.as_str()));
    }
    let mut results = Results::default();
    let mut log = match &options.json {
        Some(path) => Some(BufWriter::new(
            File::create(path).map_err(|error| format!("{}: {error}", path.display()))?,
        )),
        None => None,
    };
    let progress = ProgressBar::new(plan.runs(options.reps) as u64);
    progress.set_style(
        ProgressStyle::with_template("{elapsed_precise} {pos}/{len} {msg}").expect("valid"),
    );
    for case in &plan.cases {
        for repetition in 0..options.reps {
            for contender in &case.contenders {
                progress.set_message(case.setting.name_of_run(&contender.peer));
                for run in run_one(options, case, contender) {
                    if let (Some(log), Ok(record)) = (&mut log, &run.record) {
                        let mut record = record.clone();
                        record.insert("rep".into(), repetition.into());
                        writeln!(log, "{}", serde_json::Value::Object(record))
                            .map_err(|error| error.to_string())?;
                    }
                    results.add(run);
                    progress.inc(1);
                }
            }
        }
    }
    if let Some(mut log) = log {
        log.flush().map_err(|error| error.to_string())?;
    }
    progress.finish_and_clear();
    print!("{}", report::markdown(options, &results));
    match results.failures_of_ours() {
        0 => Ok(()),
        failed => Err(format!("{failed} runs of ours failed")),
    }
}

fn run_one(options: &Options, case: &Case, contender: &plan::Contender) -> Vec<results::SingleRun> {
    match &case.work {
        Work::Measure => vec![results::SingleRun {
            setting: case.setting,
            peer: contender.peer.clone(),
            record: child::measure(contender.command(case)),
        }],
        Work::Serve { conns } => servers::drive(options, case, contender, conns),
    }
}
