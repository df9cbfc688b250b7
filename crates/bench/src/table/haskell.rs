//! The Haskell program: the transactional memory of GHC.

use std::path::Path;
use std::process::Command;

use super::Options;
use crate::registry::Bench;

/// The name under which it takes part.
pub(super) const PEER: &str = "ghc";

/// Name of the program.
pub(super) const PROGRAM: &str = "hspeers";

/// Returns whether it has the bench.
pub(super) fn has(bench: Bench) -> bool {
    bench.is_of_transactions() && !matches!(bench, Bench::StmMap | Bench::StmMemory)
}

/// Returns the command that builds it from the sources of this package.
///
/// What the compiler leaves lies beside the program, so that it builds only what has changed.
pub(super) fn build(options: &Options, program: &Path) -> Command {
    let mut command = Command::new(&options.ghc);
    command
        .args(["-v0", "-O2", "-threaded", "-rtsopts", "-with-rtsopts=-A64m"])
        .args(["-package", "stm", "-package", "array"])
        .arg("-outputdir")
        .arg(program.with_extension("build"))
        .arg("-o")
        .arg(program)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("haskell/Peers.hs"));
    command
}
