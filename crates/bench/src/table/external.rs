//! Programs in other languages: ready ones, or the sources of this package, built.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Options, erlang, go, haskell};
use crate::registry::Bench;

/// A program that takes the flags of a run and prints its line.
#[derive(Debug, Clone)]
pub(super) struct External {
    /// The name under which it takes part.
    pub(super) peer: &'static str,
    pub(super) program: PathBuf,
    /// What comes before the bench.
    pub(super) arguments: Vec<OsString>,
    /// Whether it has a bench.
    pub(super) has: fn(Bench) -> bool,
}

/// Returns the programs there are. Of each other it says why it is not there.
pub(super) fn find_or_build(options: &Options) -> Vec<External> {
    let native = |program: PathBuf| (program, Vec::new());
    let beam = program(options, erlang::PROGRAM, erlang::build);
    let launched = |peer| {
        let beam = beam.as_ref().map_err(String::clone);
        beam.map(|beam| erlang::launch(options, beam, peer))
    };
    let programs = [
        (
            go::PEER,
            go::has as fn(Bench) -> bool,
            program(options, go::PROGRAM, go::build).map(native),
        ),
        (
            haskell::PEER,
            haskell::has,
            program(options, haskell::PROGRAM, haskell::build).map(native),
        ),
        (erlang::PEER, erlang::has, launched(erlang::PEER)),
        (erlang::RAW, erlang::has_raw, launched(erlang::RAW)),
    ];
    let mut all = Vec::new();
    for (peer, has, program) in programs {
        match program {
            Ok((program, arguments)) => all.push(External {
                peer,
                program,
                arguments,
                has,
            }),
            Err(reason) => eprintln!("without {peer}: {reason}"),
        }
    }
    all
}

/// Returns a program of the folder that is given, or has it built beside this one.
fn program(
    options: &Options,
    name: &str,
    build: fn(&Options, &Path) -> Command,
) -> Result<PathBuf, String> {
    if let Some(folder) = &options.external {
        let program = folder.join(name);
        return match program.is_file() {
            true => Ok(program),
            false => Err(format!("no {name} in {}", folder.display())),
        };
    }
    let ourselves = std::env::current_exe().map_err(|error| error.to_string())?;
    let program = ourselves.with_file_name(name);
    let mut build = build(options, &program);
    let output = build
        .output()
        .map_err(|error| format!("{}: {error}", build.get_program().display()))?;
    if output.status.success() {
        Ok(program)
    } else {
        let errors = String::from_utf8_lossy(&output.stderr);
        Err(format!("{}: {errors}", build.get_program().display()))
    }
}
