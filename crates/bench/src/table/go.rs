//! The Go program: a ready one, or the sources of this package, built.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Options;

/// Name of the program.
const PROGRAM: &str = "gopeers";

/// Returns the program, or why there is none.
pub(super) fn find_or_build(options: &Options) -> Result<PathBuf, String> {
    if let Some(folder) = &options.external {
        let program = folder.join(PROGRAM);
        return match program.is_file() {
            true => Ok(program),
            false => Err(format!("no {PROGRAM} in {}", folder.display())),
        };
    }
    let ourselves = std::env::current_exe().map_err(|error| error.to_string())?;
    let program = ourselves.with_file_name(PROGRAM);
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("go");
    // Building is left to Go's own cache to skip. No module is fetched: there are none.
    let output = Command::new(&options.go)
        .args(["build", "-o"])
        .arg(&program)
        .arg(".")
        .current_dir(&sources)
        .env("GOFLAGS", "-mod=mod")
        .env("GOTOOLCHAIN", "local")
        .env("GOPROXY", "off")
        .output()
        .map_err(|error| format!("{}: {error}", options.go.display()))?;
    if output.status.success() {
        Ok(program)
    } else {
        Err(format!(
            "go build: {}",
            String::from_utf8_lossy(&output.stderr)
        ))
    }
}
