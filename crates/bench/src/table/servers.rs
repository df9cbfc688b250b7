//! Echo servers as child processes, each with load generators of its own.
//!
//! One worker: the server has the first CPU and the load generator the second. Two workers: both
//! have both.

use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::plan::{Case, Contender};
use super::results::{Record, SingleRun};
use super::{Options, child};
use crate::process::Cpus;
use crate::setting::Setting;

/// How long a load generator may take beyond its measuring time.
const SLACK: Duration = Duration::from_secs(90);
/// Source addresses of the load generator: ports of one connection are then not soon needed again.
const SOURCES: &str = "8";

/// A running server; it is killed when this is dropped.
#[derive(Debug)]
struct Server {
    process: Child,
    port: u16,
}

impl Server {
    /// Starts a server and waits until it says that it listens.
    fn start(mut command: Command, cpus: &Cpus) -> io::Result<Server> {
        let port = free_port()?;
        command.args(["--port", &port.to_string()]);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut process = cpus.start_on(|| command.spawn())?;
        let output = process.stdout.take().expect("standard output is piped");
        // From here on the server is killed, whatever comes.
        let server = Server { process, port };
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        if line.contains("listening") {
            Ok(server)
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only for a process that has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Returns a port that nobody listened on a moment ago.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port())
}

/// Starts the server of `contender` and drives it with each number of connections.
pub(super) fn drive(
    options: &Options,
    case: &Case,
    contender: &Contender,
    conns: &[usize],
) -> Vec<SingleRun> {
    let run = |conns: usize, record: Result<Record, String>| SingleRun {
        setting: Setting {
            conns: Some(conns),
            ..case.setting
        },
        peer: contender.peer.clone(),
        record,
    };
    let placed = place(case.setting.workers).and_then(|(server_cpus, load_cpus)| {
        Ok((
            Server::start(contender.command(case), &server_cpus)?,
            load_cpus,
        ))
    });
    match placed {
        Ok((server, load_cpus)) => conns
            .iter()
            .map(|&conns| run(conns, load(options, case, &server, &load_cpus, conns)))
            .collect(),
        Err(error) => conns
            .iter()
            .map(|&conns| run(conns, Err(format!("no server: {error}"))))
            .collect(),
    }
}

/// Returns the CPUs of the server and of the load generator.
fn place(workers: usize) -> io::Result<(Cpus, Cpus)> {
    let all = Cpus::current()?;
    if workers == 1 {
        Ok((all.nth(0)?, all.nth(1)?))
    } else {
        Ok((all, all))
    }
}

fn load(
    options: &Options,
    case: &Case,
    server: &Server,
    cpus: &Cpus,
    conns: usize,
) -> Result<Record, String> {
    let secs = if options.quick { 1 } else { options.secs };
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    command
        .args(["loadgen", "--addrs", &format!("127.0.0.1:{}", server.port)])
        .args([
            "--conns",
            &conns.to_string(),
            "--secs",
            &secs.to_string(),
            "--srcs",
            SOURCES,
        ])
        .args(["--workers", &case.setting.workers.to_string()])
        .args(["--server-pid", &server.process.id().to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let process = cpus
        .start_on(|| command.spawn())
        .map_err(|error| error.to_string())?;
    let record = child::collect(process, Duration::from_secs(secs) + SLACK)?;
    let faults: u64 = ["errors", "connect_errors", "verify_errors"]
        .iter()
        .map(|key| {
            record
                .get(*key)
                .and_then(|value| value.as_u64())
                .unwrap_or(0)
        })
        .sum();
    // A server that loses connections or bytes has no throughput worth comparing.
    if faults > 0 {
        Err(format!("{faults} faults: {record:?}"))
    } else {
        Ok(record)
    }
}
