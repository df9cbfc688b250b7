//! OS processes as supervised children.

#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_types, reason = "tests may use std's locks")]

mod supervisor_support;
mod support;

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use supervisor_support::{Stage, children, end, pid, settle, start};
use support::everywhere;
use weftwork_actor::supervisor::{
    ChildRef, ChildSpec, OsId, Process, ProcessArgs, ProcessExit, Report, Restart, Shutdown,
};
use weftwork_actor::{Options, Reason, StartError};

const MS: Duration = Duration::from_millis(1);

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]).stdin(Stdio::null());
    command
}

/// Whether the system has a process of this number, reaped or not.
fn exists(number: u32) -> bool {
    std::path::Path::new(&format!("/proc/{number}")).exists()
}

#[test]
fn a_process_that_dies_is_restarted_and_its_status_reported() {
    everywhere(|system| {
        let (stage, process) = (Stage::new(), ChildRef::<Process>::new());
        let start_process = process.filled_by(|ctx| {
            ctx.start::<Process>(ProcessArgs::new(shell("exec sleep 1000")), Options::new())
        });
        let supervisor = start(
            system,
            stage.spec().child(ChildSpec::new("p", start_process)),
        );
        let first = process.wait();
        let number = first.ask(OsId).unwrap();
        assert!(exists(number));
        let killed = Command::new("kill")
            .args(["-9", &number.to_string()])
            .status();
        assert!(killed.unwrap().success());
        let second = process.wait_other_than(&first.pid());
        assert!(
            !exists(number),
            "the old process was reaped before the new one began"
        );
        assert_ne!(second.ask(OsId).unwrap(), number);
        settle(&supervisor);
        let reports = stage.reports();
        let [
            Report::Ended {
                reason: Reason::Error(error),
                ..
            },
        ] = &reports[..]
        else {
            panic!("unexpected: {reports:?}")
        };
        let exit = error
            .downcast_ref::<ProcessExit>()
            .expect("it is the status");
        assert_eq!(exit.status().signal(), Some(9));
        supervisor.shutdown();
    });
}

#[test]
fn success_is_an_end_in_good_order_and_another_status_is_not() {
    everywhere(|system| {
        let stage = Stage::new();
        let child = ChildSpec::process("p", || Ok(shell("exit 0"))).restart(Restart::Transient);
        let supervisor = start(system, stage.spec().child(child));
        while children(&supervisor) != ["p ended"] {}
        assert_eq!(stage.reports(), []);
        let child = ChildSpec::process("q", || Ok(shell("exit 7"))).restart(Restart::Temporary);
        supervisor.start_child(child).unwrap();
        while children(&supervisor) != ["p ended"] {}
        let reports = stage.reports();
        let [Report::Ended { reason, .. }] = &reports[..] else {
            panic!("unexpected: {reports:?}")
        };
        assert_eq!(reason.to_string(), "process ended: exit status: 7");
        supervisor.shutdown();
    });
}

#[test]
fn a_process_that_cannot_be_spawned_is_a_failed_start() {
    everywhere(|system| {
        let child = ChildSpec::process("p", || Ok(Command::new("/nowhere/to/be/found")));
        let Err(StartError::Failed(reason)) = Stage::new().spec().child(child).start(system) else {
            panic!("it has started")
        };
        assert!(
            reason
                .to_string()
                .starts_with("shutdown: child p did not start: ")
        );
    });
}

/// A process that says when it is ready, and what its standard output is connected to.
fn ready(script: &str) -> (ChildSpec, std::io::PipeReader) {
    let (reader, writer) = std::io::pipe().unwrap();
    let (script, mut writer) = (script.to_owned(), Some(writer));
    let spec = ChildSpec::process("p", move || {
        let mut command = shell(&script);
        command.stdout(writer.take().expect("it is started once"));
        Ok(command)
    });
    (spec, reader)
}

fn line(reader: &mut impl BufRead) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    line
}

#[test]
fn a_stop_is_sigterm_and_the_process_may_tidy_up() {
    everywhere(|system| {
        let stage = Stage::new();
        let script = "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.01; done";
        let (child, reader) = ready(script);
        let supervisor = start(system, stage.spec().child(child));
        let mut reader = BufReader::new(reader);
        assert_eq!(line(&mut reader), "ready\n");
        assert_eq!(supervisor.shutdown(), Reason::Shutdown);
        assert_eq!(line(&mut reader), "bye\n");
        assert_eq!(stage.reports(), []);
    });
}

#[test]
fn a_process_that_ignores_sigterm_is_killed_when_its_time_is_over() {
    everywhere(|system| {
        let stage = Stage::new();
        // `exec` keeps the number, and what is ignored.
        let (child, reader) = ready("trap '' TERM; echo $$; exec sleep 1000");
        let child = child.shutdown(Shutdown::Timeout(30 * MS));
        let supervisor = start(system, stage.spec().child(child));
        let number = line(&mut BufReader::new(reader)).trim().parse().unwrap();
        assert!(exists(number));
        let before = Instant::now();
        supervisor.shutdown();
        assert!(before.elapsed() >= 30 * MS);
        assert!(!exists(number), "it is over when the supervisor is");
    });
}

#[test]
fn a_brutal_kill_is_sigkill() {
    everywhere(|system| {
        let stage = Stage::new();
        let script = "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.01; done";
        let (child, reader) = ready(script);
        let supervisor = start(
            system,
            stage.spec().child(child.shutdown(Shutdown::BrutalKill)),
        );
        let mut reader = BufReader::new(reader);
        assert_eq!(line(&mut reader), "ready\n");
        supervisor.shutdown();
        assert_eq!(stage.reports(), []);
        assert_eq!(line(&mut reader), "", "it did not get to say bye");
    });
}

/// Set in the environment of a worker of the pre-fork test.
const WORKER: &str = "WEFTWORK_TEST_WORKER";

/// Not a test by itself: what a worker process of the next test runs.
#[test]
fn worker_process() {
    if std::env::var_os(WORKER).is_none() {
        return;
    }
    let listener = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
    let listener = TcpListener::from(listener);
    loop {
        let (mut stream, _) = listener.accept().unwrap();
        let mut order = [0];
        if stream.read_exact(&mut order).is_err() {
            continue;
        }
        if order == *b"x" {
            std::process::exit(3);
        }
        let _ = write!(stream, "{}", std::process::id());
    }
}

fn order(port: u16, order: &[u8]) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.write_all(order)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn workers_on_one_listening_socket_are_restarted_and_the_port_never_closes() {
    everywhere(|system| {
        let stage = Stage::new();
        let listener = Arc::new(TcpListener::bind("127.0.0.1:0").unwrap());
        let port = listener.local_addr().unwrap().port();
        let mut spec = stage.spec();
        for n in 0..3 {
            let listener = Arc::clone(&listener);
            spec = spec.child(ChildSpec::process(format!("worker {n}"), move || {
                let mut command = Command::new(std::env::current_exe()?);
                command
                    .args(["--exact", "worker_process", "--nocapture"])
                    .env(WORKER, "1")
                    .stdin(Stdio::from(OwnedFd::from(listener.try_clone()?)))
                    .stdout(Stdio::null())
                    .stderr(Stdio::null());
                Ok(command)
            }));
        }
        let supervisor = start(system, spec);
        let mut seen = HashSet::new();
        let crashes = 4;
        for _ in 0..crashes {
            seen.insert(order(port, b"?").expect("somebody answers"));
            let _ = order(port, b"x");
        }
        seen.insert(order(port, b"?").expect("somebody answers"));
        assert!(seen.iter().all(|id| id.parse::<u32>().is_ok()), "{seen:?}");
        let ended = || {
            (stage.reports().iter())
                .filter(|report| matches!(report, Report::Ended { .. }))
                .count()
        };
        let mut restarts = 0;
        while restarts < crashes {
            restarts += ended();
            std::thread::yield_now();
        }
        settle(&supervisor);
        assert_eq!(supervisor.count_children().unwrap().active, 3);
        end(&supervisor, "worker 0", Reason::Normal);
        assert!(pid(&supervisor, "worker 0").is_alive());
        supervisor.shutdown();
    });
}
