//! A server under test: a master of its own, and what it and its workers say.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use weftwork::csp::{Receiver, unbounded};

use crate::Outcome;

/// How long anything may take that should take no time.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running server. Dropping it ends it.
pub(crate) struct Server {
    master: Child,
    lines: Receiver<String>,
    pub(crate) address: SocketAddr,
    /// The workers that have said that they serve, in this order.
    pub(crate) workers: Vec<u32>,
}

/// Sends a signal to a process of this test.
pub(crate) fn send_signal(process: u32, signal: i32) -> Outcome<()> {
    let process = i32::try_from(process).map_err(|e| e.to_string())?;
    // SAFETY: numbers in, a number out.
    match unsafe { libc::kill(process, signal) } {
        0 => Ok(()),
        _ => Err(format!(
            "kill {process}: {}",
            std::io::Error::last_os_error()
        )),
    }
}

/// Whether the system has a process of this number, reaped or not.
pub(crate) fn exists(process: u32) -> bool {
    Path::new(&format!("/proc/{process}")).exists()
}

impl Server {
    /// Starts a server and waits until all of its workers serve.
    pub(crate) fn start(workers: usize, grace: Duration) -> Outcome<Server> {
        let program = std::env::current_exe().map_err(|e| format!("own program: {e}"))?;
        let mut master = Command::new(program)
            .args(["--serve", "127.0.0.1:0", "--with-parent"])
            .args(["--workers", &workers.to_string()])
            .args(["--grace", &grace.as_millis().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("the master: {e}"))?;
        let output = master.stdout.take().expect("it is piped");
        let (sender, lines) = unbounded();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                println!("  | {line}");
                // If the test is over, nobody wants to know.
                let _ = sender.send(line);
            }
        });
        let mut server = Server {
            master,
            lines,
            address: SocketAddr::from(([0, 0, 0, 0], 0)),
            workers: Vec::new(),
        };
        let is_ready =
            |server: &Server| server.address.port() != 0 && server.workers.len() == workers;
        server.hear_until(is_ready)?;
        Ok(server)
    }

    /// Waits until another worker serves than those that did before. Returns how long it took.
    pub(crate) fn wait_for_another(&mut self) -> Outcome<Duration> {
        let (begin, before) = (Instant::now(), self.workers.len());
        self.hear_until(|server| server.workers.len() > before)?;
        Ok(begin.elapsed())
    }

    fn hear_until(&mut self, is_enough: impl Fn(&Server) -> bool) -> Outcome<()> {
        while !is_enough(self) {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.map_err(|e| format!("nothing more from the server: {e}"))?;
            let words: Vec<_> = line.split(' ').collect();
            match words[..] {
                ["worker", number, "serves"] => {
                    self.workers
                        .push(number.parse().map_err(|e| format!("{line}: {e}"))?);
                }
                ["serving", "on", url, ..] => {
                    let address = url.trim_start_matches("http://").parse();
                    self.address = address.map_err(|e| format!("{line}: {e}"))?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Tells the master to stop.
    pub(crate) fn stop(&self) -> Outcome<()> {
        send_signal(self.master.id(), libc::SIGTERM)
    }

    /// Waits until the master has ended, and sees that it has left no process behind.
    pub(crate) fn wait(&mut self) -> Outcome<ExitStatus> {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            match self.master.try_wait().map_err(|e| e.to_string())? {
                Some(status) => break status,
                None if Instant::now() > deadline => return Err("the master does not end".into()),
                None => weftwork::time::sleep(Duration::from_millis(1)),
            }
        };
        // The end of the output: whoever might write to it has ended.
        while self.lines.recv_timeout(PATIENCE).is_ok() {}
        let left: HashSet<_> = (self.workers.iter())
            .filter(|worker| exists(**worker))
            .collect();
        if left.is_empty() {
            Ok(status)
        } else {
            Err(format!("the workers {left:?} are left behind"))
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already. Its workers end with it.
        let _ = self.master.kill();
        let _ = self.master.wait();
    }
}
