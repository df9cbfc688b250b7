//! Instructions per operation, counted by callgrind: a figure without noise.
//!
//! This program runs itself under valgrind twice, with different `--n`. The difference of the
//! two counts is the cost of the additional operations alone; starting the runtime cancels out.

use std::env;
use std::process::Command;

use crate::cli::Run;
use crate::measure::Measurement;
use crate::registry::Bench;

/// Operations of the smaller run, which already warms every cache of the runtime.
const BASE: u64 = 10_000;

/// Prints the JSON line of `spawn_instructions` for `peer`; its figure is `instructions_per_op`.
pub(crate) fn run(run: &Run, peer: &str) -> Result<(), String> {
    let more = run.n_or(20_000);
    let base = count(run, peer, BASE)?;
    let longer = count(run, peer, BASE + more)?;
    let per_operation = longer.saturating_sub(base) as f64 / more as f64;
    let measurement = Measurement::untimed(more).with("instructions_per_op", per_operation);
    println!(
        "{}",
        measurement.to_json(Bench::SpawnInstructions.name(), peer, run.workers)
    );
    Ok(())
}

/// Returns the instructions of a whole run of `spawn_join` of `n` operations.
fn count(run: &Run, peer: &str, n: u64) -> Result<u64, String> {
    let program = env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args([Bench::SpawnJoin.name(), "--peer", peer])
        .args(["--workers", &run.workers.to_string(), "--n", &n.to_string()])
        .output()
        .map_err(|error| format!("valgrind could not be started: {error}"))?;
    let log = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!(
            "{peer} failed under valgrind ({}):\n{log}",
            output.status
        ));
    }
    collected(&log).ok_or_else(|| format!("no count in the output of valgrind:\n{log}"))
}

/// Finds the count in callgrind's closing lines: `==1234== Collected : 56789`.
fn collected(log: &str) -> Option<u64> {
    let line = log
        .lines()
        .rev()
        .find(|line| line.contains("Collected :"))?;
    line.rsplit(':')
        .next()?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

/// Says whether valgrind can be started.
pub(crate) fn available() -> bool {
    Command::new("valgrind")
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success())
}

#[cfg(test)]
mod tests {
    use super::collected;

    #[test]
    fn the_count_is_found_in_the_closing_lines() {
        let log = "==7== Callgrind, a call-graph\n==7== Events    : Ir\n==7== Collected : 56789\n";
        assert_eq!(collected(log), Some(56_789));
        assert_eq!(collected("==7== nothing"), None);
    }
}
