//! The Go program.

use std::path::Path;
use std::process::Command;

use super::Options;
use crate::registry::Bench;

/// The name under which it takes part.
pub(super) const PEER: &str = "go";

/// Name of the program.
pub(super) const PROGRAM: &str = "gopeers";

/// Returns whether it has the bench.
pub(super) fn has(bench: Bench) -> bool {
    !bench.is_of_transactions()
        && !matches!(
            bench,
            Bench::FanIn
                | Bench::WakeLatency
                | Bench::StealLatency
                | Bench::ActorRestart
                | Bench::SpawnInstructions
                | Bench::Idle
        )
}

/// Returns the command that builds it from the sources of this package.
///
/// Skipping what is built already is left to Go's own cache. No module is fetched: there are none.
pub(super) fn build(options: &Options, program: &Path) -> Command {
    let mut command = Command::new(&options.go);
    command
        .args(["build", "-o"])
        .arg(program)
        .arg(".")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("go"))
        .env("GOFLAGS", "-mod=mod")
        .env("GOTOOLCHAIN", "local")
        .env("GOPROXY", "off");
    command
}
