//! The master: the listening socket, the supervisor of the workers, and the signals.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use weftwork::Runtime;
use weftwork::actor::supervisor::{
    Backoff, ChildSpec, Process, ProcessArgs, Report, Rules, Shutdown, SupervisorSpec,
};
use weftwork::actor::{Options as ActorOptions, Reason, StartError};
use weftwork::csp::{Sender, unbounded};

use crate::Outcome;
use crate::options::Options;
use weftwork_examples::processes::lifetime::die_with_parent;

/// What the master waits for.
enum Event {
    Signal,
    /// The supervisor has given up.
    Ended(Reason),
}

/// How much more time a worker is given than it gives its requests, before it is killed.
const MORE: Duration = Duration::from_secs(2);

/// Makes the command for another worker.
fn worker(listener: &TcpListener, grace: u64) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["--worker", "--grace", &grace.to_string()])
        .stdin(Stdio::from(OwnedFd::from(listener.try_clone()?)));
    Ok(command)
}

/// Describes the supervisor. Workers are alike: a dynamic supervisor stops all of them at the same time.
fn supervisor(options: &Options) -> SupervisorSpec {
    let rules = Rules::new()
        .shutdown(Shutdown::Timeout(options.grace() + MORE))
        .backoff(Backoff::new(
            Duration::from_millis(1),
            Duration::from_secs(1),
        ));
    SupervisorSpec::dynamic(rules)
        // More than that is no accident: the server is broken, and ends.
        .intensity(100, Duration::from_secs(10))
        .on_report(|_, report| match report {
            Report::Started { .. } => {}
            report => println!("supervisor: {report}"),
        })
}

/// Passes signals on. Who says it twice does not want to wait.
fn listen_to_signals(mut signals: Signals, events: Sender<Event>) {
    std::thread::spawn(move || {
        let mut signals = signals.forever();
        if signals.next().is_some() {
            let _ = events.send(Event::Signal);
        }
        if signals.next().is_some() {
            // The workers go with the master.
            std::process::exit(130);
        }
    });
}

/// Serves until a signal comes, or until workers die faster than is reasonable.
pub(crate) fn run(address: SocketAddr, options: &Options) -> Outcome<()> {
    let signals = Signals::new([SIGTERM, SIGINT]).map_err(|e| format!("signals: {e}"))?;
    if options.with_parent {
        die_with_parent().map_err(|e| e.to_string())?;
    }
    let listener = TcpListener::bind(address).map_err(|e| format!("{address}: {e}"))?;
    let address = listener.local_addr().map_err(|e| e.to_string())?;
    let runtime = Runtime::builder()
        .workers(1)
        .build()
        .map_err(|e| format!("runtime: {e}"))?;
    let failed = |error: &dyn std::fmt::Display| format!("the workers do not start: {error}");

    let server = supervisor(options)
        .start(runtime.handle())
        .map_err(|e| failed(&e))?;
    let listener = Arc::new(listener);
    for _ in 0..options.workers() {
        let (listener, grace) = (Arc::clone(&listener), options.grace);
        let child = ChildSpec::dynamic(move |ctx| {
            let command = worker(&listener, grace)
                .map_err(|error| StartError::Failed(Reason::error(error)))?;
            let args = match ctx.shutdown() {
                Shutdown::Timeout(time) => ProcessArgs::new(command).grace(time),
                _ => ProcessArgs::new(command),
            };
            ctx.start::<Process>(args, ActorOptions::new())
        });
        server.start_child(child).map_err(|e| failed(&e))?;
    }
    println!(
        "serving on http://{address} with {} workers, master {}",
        options.workers(),
        std::process::id()
    );

    let (events, inbox) = unbounded();
    listen_to_signals(signals, events.clone());
    let end = server.pid().watch();
    drop(runtime.spawn(move || events.send(Event::Ended(end.wait_down()))));
    match inbox.recv() {
        Ok(Event::Signal) => {}
        Ok(Event::Ended(reason)) => return Err(format!("the supervisor has ended: {reason}")),
        Err(_) => unreachable!("the thread of the signals has a sender"),
    }
    let begin = Instant::now();
    println!("stopping");
    let reason = server.shutdown();
    println!("stopped after {:.1?}: {reason}", begin.elapsed());
    match reason {
        Reason::Shutdown => Ok(()),
        reason => Err(format!("the supervisor has ended: {reason}")),
    }
}
