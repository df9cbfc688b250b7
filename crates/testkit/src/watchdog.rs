//! A limit on the time a test may take, which says what the process was doing when it is reached.
//!
//! A watchdog is a thread of its own that waits on a channel. Its owner drops the sending end when
//! the test is over, passed or failed, and the thread ends. If the limit comes first, the thread
//! writes what it knows to standard error and aborts the process: a hung test cannot be unwound, and
//! a test runner that waits for it would wait for ever.
//!
//! The dumps that a test registered run on a thread each, for [`DUMP_LIMIT`] at most: they look into
//! the very state that hangs, so they may block on a lock that is never released.

use std::fmt::Write as _;
use std::io::Write as _;
use std::panic::Location;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::threads;

/// How long a registered dump may take before the report goes on without it.
const DUMP_LIMIT: Duration = Duration::from_secs(5);

type DumpFn = Box<dyn FnOnce(&mut String) + Send>;

struct Dump {
    title: String,
    write: DumpFn,
}

/// Aborts the process, with a report, unless it is dropped within its limit.
///
/// Made by [`watchdog`]. Dropping it waits for its thread to end, so a test leaves no thread behind.
#[must_use = "a watchdog that is dropped at once watches nothing"]
pub struct Watchdog {
    dumps: Arc<Mutex<Vec<Dump>>>,
    // Dropping the sender is the message. Both are `None` only during `drop`.
    alive: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Starts a watchdog that aborts the process if it still exists after `limit`.
///
/// The limit is for an ordinary build on an idle machine. It is stretched ten times under valgrind
/// (`cfg(weftwork_valgrind)`), three times under AddressSanitizer (`cfg(weftwork_asan)`), and by the
/// factor in the environment variable `WEFTWORK_PATIENCE`, which an emulated run sets. Choose it
/// generous: it is there to end a hang, not to measure.
///
/// The report names the test (the name of the calling thread) and the line that called this, then
/// shows the registered dumps, then every thread as the kernel sees it.
///
/// ```
/// use std::time::Duration;
///
/// let dog = weftwork_testkit::watchdog(Duration::from_secs(60));
/// dog.on_hang("queue", |out| out.push_str("3 items, 1 waiter"));
/// // The body of the test.
/// drop(dog);
/// ```
///
/// # Panics
///
/// If the system refuses a thread, or `WEFTWORK_PATIENCE` is not a positive number.
#[track_caller]
pub fn watchdog(limit: Duration) -> Watchdog {
    let limit = limit.saturating_mul(patience());
    let test = format!(
        "test {} (watched from {})",
        std::thread::current()
            .name()
            .unwrap_or("on an unnamed thread"),
        Location::caller(),
    );
    let dumps = Arc::new(Mutex::new(Vec::new()));
    let (alive, watched) = channel();
    let thread = std::thread::Builder::new()
        .name("watchdog".into())
        .spawn({
            let dumps = Arc::clone(&dumps);
            move || watch(limit, &test, &watched, &dumps)
        })
        .expect("the system refuses the watchdog its thread");
    Watchdog {
        dumps,
        alive: Some(alive),
        thread: Some(thread),
    }
}

/// Runs `f` under a [`watchdog`] and returns what it returns.
///
/// ```
/// use std::time::Duration;
///
/// let sum = weftwork_testkit::with_watchdog(Duration::from_secs(60), || 1 + 1);
/// assert_eq!(sum, 2);
/// ```
///
/// # Panics
///
/// As [`watchdog`], and as `f`.
#[track_caller]
pub fn with_watchdog<R>(limit: Duration, f: impl FnOnce() -> R) -> R {
    let _dog = watchdog(limit);
    f()
}

impl Watchdog {
    /// Adds a part to the report of a hang: `write` appends to the string it is given.
    ///
    /// It runs on a thread of its own while the test hangs, and is given five seconds. It may block
    /// or panic; then the report says so and goes on. It never runs if the test ends in time.
    pub fn on_hang(
        &self,
        title: impl Into<String>,
        write: impl FnOnce(&mut String) + Send + 'static,
    ) {
        let dump = Dump {
            title: title.into(),
            write: Box::new(write),
        };
        self.dumps
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(dump);
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.alive.take());
        if let Some(thread) = self.thread.take() {
            // It either ends or aborts the process; a panic in it has been printed already.
            let _ = thread.join();
        }
    }
}

impl std::fmt::Debug for Watchdog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watchdog").finish_non_exhaustive()
    }
}

fn watch(limit: Duration, test: &str, watched: &Receiver<()>, dumps: &Mutex<Vec<Dump>>) {
    match watched.recv_timeout(limit) {
        // Nothing is ever sent: the channel closes when the test is over.
        Ok(()) | Err(RecvTimeoutError::Disconnected) => {}
        Err(RecvTimeoutError::Timeout) => {
            // Written straight to the stream: the printing macros go to the buffer in which the
            // test runner captures output, and that dies with the process.
            let mut err = std::io::stderr().lock();
            let _ = write!(err, "\nwatchdog: {test} still runs after {limit:?}\n\n");
            let _ = err.write_all(threads::describe().as_bytes());
            let dumps = std::mem::take(&mut *dumps.lock().unwrap_or_else(PoisonError::into_inner));
            for dump in dumps {
                let _ = err.write_all(run_dump(dump).as_bytes());
            }
            let _ = write!(err, "\nwatchdog: aborting; {test} hangs\n");
            let _ = err.flush();
            std::process::abort();
        }
    }
}

fn run_dump(Dump { title, write }: Dump) -> String {
    let mut report = format!("\n{title}:\n");
    let (done, result) = channel();
    let started = std::thread::Builder::new()
        .name("watchdog-dump".into())
        .spawn(move || {
            let mut text = String::new();
            write(&mut text);
            // The receiver is gone if this dump was too slow.
            let _ = done.send(text);
        });
    // Writing to a string cannot fail.
    let _ = match started {
        Err(e) => writeln!(report, "(no thread for this dump: {e})"),
        Ok(_) => match result.recv_timeout(DUMP_LIMIT) {
            Ok(text) => writeln!(report, "{}", text.trim_end()),
            Err(RecvTimeoutError::Timeout) => {
                writeln!(
                    report,
                    "(this dump does not return; is a lock it takes held?)"
                )
            }
            Err(RecvTimeoutError::Disconnected) => writeln!(report, "(this dump panicked)"),
        },
    };
    report
}

/// By how much the limits are stretched in this build and environment.
fn patience() -> u32 {
    let build = if cfg!(weftwork_valgrind) {
        10
    } else if cfg!(weftwork_asan) {
        3
    } else {
        1
    };
    let environment = match std::env::var("WEFTWORK_PATIENCE") {
        Err(_) => 1,
        Ok(text) => match text.trim().parse::<u32>() {
            Ok(factor) if factor > 0 => factor,
            _ => panic!("WEFTWORK_PATIENCE must be a positive whole number, but it is {text:?}"),
        },
    };
    build * environment
}
