//! The Erlang program: actors as OTP's `gen_server`, and as bare processes.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Options;
use crate::registry::Bench;

/// The name under which it takes part with `gen_server`.
pub(super) const PEER: &str = "erlang";

/// The name under which it takes part with bare processes.
pub(super) const RAW: &str = "erlang-raw";

/// Name of the program, which `erl` runs.
pub(super) const PROGRAM: &str = "erlpeers.beam";

/// Returns whether it has the bench.
pub(super) fn has(bench: Bench) -> bool {
    // A process of a ring has nothing that a `gen_server` would do.
    bench.is_of_actors() && bench != Bench::Ring
}

/// Returns whether it has the bench with bare processes.
pub(super) fn has_raw(bench: Bench) -> bool {
    // There is no supervisor of bare processes.
    bench.is_of_actors() && bench != Bench::ActorRestart
}

/// Returns the command that builds it from the sources of this package.
pub(super) fn build(options: &Options, program: &Path) -> Command {
    const COMPILE: &str = "[Source, Folder] = init:get_plain_arguments(), \
         case compile:file(Source, [{outdir, Folder}, report]) of \
         {ok, _} -> halt(0); _ -> halt(1) end.";
    let mut command = Command::new(&options.erl);
    command
        .args(["-noshell", "-eval", COMPILE, "-extra"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("erlang/erlpeers.erl"))
        .arg(program.parent().unwrap_or(Path::new(".")));
    command
}

/// Returns the command that runs it, and what comes before the bench.
pub(super) fn launch(options: &Options, program: &Path, peer: &str) -> (PathBuf, Vec<OsString>) {
    let folder = program.parent().unwrap_or(Path::new("."));
    let before = ["-noshell", "+P", "4000000", "-pa"].map(OsString::from);
    let behind = ["-s", "erlpeers", "main", "-extra", "--peer", peer].map(OsString::from);
    let folder = [folder.as_os_str().to_owned()];
    let arguments = before.into_iter().chain(folder).chain(behind).collect();
    (options.erl.clone(), arguments)
}
