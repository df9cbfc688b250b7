//! OS processes as children: each in the care of an actor, which lives as long as the process does.
//!
//! | happens | then |
//! | --- | --- |
//! | the actor starts | the process is spawned; if that fails so does the start |
//! | the process ends with success | the actor ends as `Normal` |
//! | it ends otherwise | the actor ends with a [`ProcessExit`] as the error |
//! | the supervisor stops the actor | `SIGTERM`; `SIGKILL` when the time of the child's [`Shutdown`] is over |
//! | the actor is killed | `SIGKILL` |
//!
//! The actor ends after the process, also when it is killed. A thread waits for the process and does nothing
//! else; it looks without reaping, so that the number is not given to another process before the actor's lock
//! says that this one is over.
//!
//! A pre-fork server hands its listener to each worker as standard input:
//!
//! ```no_run
//! use std::net::TcpListener;
//! use std::os::fd::OwnedFd;
//! use std::process::{Command, Stdio};
//! use std::sync::Arc;
//! use std::time::Duration;
//! use weftwork_actor::supervisor::{ChildSpec, Shutdown, SupervisorSpec};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let listener = Arc::new(TcpListener::bind("127.0.0.1:8080")?);
//! let mut spec = SupervisorSpec::new().intensity(10, Duration::from_secs(10));
//! for n in 0..4 {
//!     let listener = Arc::clone(&listener);
//!     let worker = ChildSpec::process(format!("worker {n}"), move || {
//!         let mut command = Command::new("./worker");
//!         command.stdin(Stdio::from(OwnedFd::from(listener.try_clone()?)));
//!         Ok(command)
//!     });
//!     spec = spec.child(worker.shutdown(Shutdown::Timeout(Duration::from_secs(30))));
//! }
//! let rt = weftwork_sched::Runtime::builder().build()?;
//! let server = spec.start(rt.handle())?;
//! # server.shutdown();
//! # Ok(())
//! # }
//! ```
//!
//! In the worker, `TcpListener::from(std::io::stdin().as_fd().try_clone_to_owned()?)` is the listener.
//! The workers share the flags of the socket, too: one that makes it non-blocking does so for all. A listener
//! of `weftwork-net` takes that for the user's wish unless it is told `set_nonblocking(false)`.

mod system;

use super::child::ChildSpec;
use super::id::ChildId;
use super::rules::Shutdown;
use crate::actor::{Actor, Handler, InitError};
use crate::addr::Addr;
use crate::context::Context;
use crate::error::StartError;
use crate::mailbox::Priority;
use crate::options::Options;
use crate::reason::Reason;
use std::error::Error;
use std::fmt;
use std::io;
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::time::Duration;
use system::Signal;
use weftwork_core::sync::{Mutex, thread};
use weftwork_csp::watch;

/// An actor that keeps an OS process. [`ChildSpec::process`] makes it a child.
pub struct Process {
    shared: Arc<Shared>,
    ended: watch::Receiver<Option<ExitStatus>>,
    grace: Option<Duration>,
}

/// What a [`Process`] is started with.
pub struct ProcessArgs {
    command: Command,
    grace: Option<Duration>,
}

impl ProcessArgs {
    /// Runs `command`. It is given all the time that it takes to end after `SIGTERM`.
    #[must_use]
    pub fn new(command: Command) -> Self {
        let grace = None;
        ProcessArgs { command, grace }
    }

    /// Gives it so long to end after `SIGTERM`; then comes `SIGKILL`.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = Some(grace);
        self
    }
}

impl fmt::Debug for ProcessArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessArgs")
            .field("command", &self.command)
            .field("grace", &self.grace)
            .finish()
    }
}

/// Asks a [`Process`] for the number that the system knows it by.
#[derive(Debug, Clone, Copy)]
pub struct OsId;

/// A process ended, and not with success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessExit(ExitStatus);

impl ProcessExit {
    /// How it ended.
    #[must_use]
    pub fn status(&self) -> ExitStatus {
        self.0
    }
}

impl fmt::Display for ProcessExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process ended: {}", self.0)
    }
}

impl Error for ProcessExit {}

/// The process, for its actor and for the thread that waits for its end.
struct Shared {
    /// The process is reaped under this lock alone, and gets signals under it.
    child: Mutex<Child>,
    number: u32,
}

impl Shared {
    /// Sends a signal, unless the process has ended.
    fn signal(&self, signal: Signal) {
        let mut child = self.child.lock();
        if let Ok(None) = child.try_wait() {
            system::send(self.number, signal);
        }
    }

    /// Waits for the end, with the thread.
    fn wait(&self) -> io::Result<ExitStatus> {
        loop {
            system::wait_for_end(self.number)?;
            if let Some(status) = self.child.lock().try_wait()? {
                return Ok(status);
            }
        }
    }
}

/// The process has ended.
struct Ended(io::Result<ExitStatus>);

impl Actor for Process {
    type Args = ProcessArgs;

    fn init(mut args: ProcessArgs, ctx: &mut Context<Self>) -> Result<Self, InitError> {
        ctx.trap_exit(true);
        let child = args.command.spawn().map_err(InitError::failed)?;
        let shared = Arc::new(Shared {
            number: child.id(),
            child: Mutex::new(child),
        });
        let (status, ended) = watch::channel(None);
        let process = Process {
            shared: Arc::clone(&shared),
            ended,
            grace: args.grace,
        };
        let addr = ctx.addr();
        let wait = move || {
            let ended = shared.wait();
            // They may be gone; then nobody wants to know.
            let _ = status.send((ended.as_ref().ok()).copied());
            drop(status);
            let _ = addr.cast(Ended(ended));
        };
        let name = format!("process {}", process.shared.number);
        // If there is no thread the process goes with `process`.
        (thread::Builder::new().name(name).spawn(wait)).map_err(InitError::failed)?;
        Ok(process)
    }

    fn terminate(&mut self, _: &Reason, _: &mut Context<Self>) {
        self.shared.signal(Signal::Terminate);
        let time = self.grace.unwrap_or(Duration::MAX);
        let ended = self.ended.wait_for_timeout(Option::is_some, time);
        // If it has not, it is killed when the state is dropped.
        drop(ended);
    }
}

impl Drop for Process {
    /// Kills the process if it has not ended, and sees it end: the next incarnation may need what it has.
    fn drop(&mut self) {
        self.shared.signal(Signal::Kill);
        let _ = self.shared.wait();
    }
}

impl Handler<Ended> for Process {
    type Reply = ();
    const PRIORITY: Priority = Priority::Urgent;

    fn handle(&mut self, Ended(ended): Ended, ctx: &mut Context<Self>) {
        ctx.stop(match ended {
            Ok(status) if status.success() => Reason::Normal,
            Ok(status) => Reason::error(ProcessExit(status)),
            Err(error) => Reason::error(error),
        });
    }
}

impl Handler<OsId> for Process {
    type Reply = u32;
    fn handle(&mut self, _: OsId, _: &mut Context<Self>) -> u32 {
        self.shared.number
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Process").field(&self.shared.number).finish()
    }
}

impl ChildSpec {
    /// Describes an OS process: `command` makes it anew for each incarnation. It is stopped by `SIGTERM`, and
    /// by `SIGKILL` when the time of the child's [`Shutdown`] is over.
    ///
    /// ```
    /// use std::process::Command;
    /// use weftwork_actor::supervisor::{ChildSpec, SupervisorSpec};
    ///
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build().unwrap();
    /// let sleeper = ChildSpec::process("sleeper", || {
    ///     let mut command = Command::new("sleep");
    ///     command.arg("1000");
    ///     Ok(command)
    /// });
    /// let app = SupervisorSpec::new().child(sleeper).start(rt.handle())?;
    /// app.shutdown();
    /// # Ok::<(), weftwork_actor::StartError>(())
    /// ```
    pub fn process(
        id: impl Into<ChildId>,
        mut command: impl FnMut() -> io::Result<Command> + Send + 'static,
    ) -> Self {
        ChildSpec::new(id, move |ctx| -> Result<Addr<Process>, StartError> {
            let command = command().map_err(|error| StartError::Failed(Reason::error(error)))?;
            let args = match ctx.shutdown() {
                Shutdown::Timeout(time) => ProcessArgs::new(command).grace(time),
                Shutdown::BrutalKill | Shutdown::Infinity => ProcessArgs::new(command),
            };
            ctx.start::<Process>(args, Options::new())
        })
    }
}
