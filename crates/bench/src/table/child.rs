//! Child processes: one that measures and ends within a time limit.

use std::io::{self, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::results::Record;

/// How long a run may take.
const LIMIT: Duration = Duration::from_secs(180);
/// How often to look whether the child has ended: rarely, for this costs the measured CPU time.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Runs `command` and returns the JSON object of the last line it printed.
pub(super) fn measure(mut command: Command) -> Result<Record, String> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = command.spawn().map_err(|error| error.to_string())?;
    collect(child, LIMIT)
}

/// Waits for `child` and returns the JSON object of the last line it printed.
pub(super) fn collect(mut child: Child, limit: Duration) -> Result<Record, String> {
    let output = child.stdout.take().expect("standard output is piped");
    let errors = child.stderr.take().expect("standard error is piped");
    thread::scope(|scope| {
        let output = scope.spawn(|| read(output));
        let errors = scope.spawn(|| read(errors));
        let status = wait(&mut child, limit).map_err(|error| error.to_string())?;
        let output = output.join().expect("reading does not panic");
        let errors = errors.join().expect("reading does not panic");
        match status {
            None => Err(format!("stopped after {} s", limit.as_secs())),
            Some(status) if !status.success() => Err(format!(
                "{status}: {}",
                errors.lines().next().unwrap_or_default()
            )),
            Some(_) => parse(output.lines().last().unwrap_or_default()),
        }
    })
}

/// Parses a JSON object.
fn parse(line: &str) -> Result<Record, String> {
    serde_json::from_str(line).map_err(|error| format!("{error} in {line:?}"))
}

fn read(mut source: impl Read) -> String {
    let mut bytes = Vec::new();
    // What was read before an error is still worth telling.
    let _ = source.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Waits for the child; `None`, when it had to be killed at the limit.
fn wait(child: &mut Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if start.elapsed() >= limit {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(LOOK_AGAIN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Child {
        Command::new("sh")
            .args(["-c", script])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    #[test]
    fn the_last_line_is_the_record() {
        let child = shell(r#"echo noise; echo '{"ns_per_op":2.5}'"#);
        let record = collect(child, LIMIT).unwrap();
        assert_eq!(record["ns_per_op"], 2.5);
    }

    #[test]
    fn a_failure_is_told_with_its_first_line() {
        let error = collect(shell("echo why >&2; exit 3"), LIMIT).unwrap_err();
        assert!(error.contains('3') && error.contains("why"), "{error}");
        assert!(
            collect(shell("echo no JSON"), LIMIT)
                .unwrap_err()
                .contains("no JSON")
        );
    }

    #[test]
    fn a_run_that_hangs_is_killed_at_the_limit() {
        let error = collect(shell("exec sleep 600"), Duration::from_millis(50)).unwrap_err();
        assert!(error.contains("stopped"), "{error}");
    }
}
