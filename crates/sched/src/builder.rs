//! How a runtime is set up.

use crate::local_runtime::LocalRuntime;
use crate::monitor::Stuck;
use crate::runtime::Runtime;
use std::fmt;
use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;
use weftwork_fiber::SizeClass;

/// The most workers a runtime can have.
const MAX_WORKERS: usize = 1024;
/// The most threads the blocking pool can have.
const MAX_BLOCKING: usize = 1 << 16;

pub(crate) type Hook = Arc<dyn Fn(usize) + Send + Sync>;
pub(crate) type Warn = Arc<dyn Fn(&str) + Send + Sync>;
pub(crate) type OnStuck = Arc<dyn Fn(&Stuck) + Send + Sync>;

#[derive(Clone)]
pub(crate) struct Config {
    pub(crate) workers: usize,
    /// How many CPUs the process may use.
    pub(crate) cpus: usize,
    pub(crate) stack_class: SizeClass,
    pub(crate) name: Arc<str>,
    pub(crate) on_start: Option<Hook>,
    pub(crate) on_stop: Option<Hook>,
    pub(crate) on_warning: Warn,
    pub(crate) on_stuck: Option<OnStuck>,
    pub(crate) stuck_after: Duration,
    pub(crate) max_blocking: usize,
    pub(crate) keep_alive: Duration,
    pub(crate) unwind_limit: Duration,
    pub(crate) event_capacity: usize,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("workers", &self.workers)
            .field("stack_class", &self.stack_class)
            .field("name", &self.name)
            .field("max_blocking", &self.max_blocking)
            .finish_non_exhaustive()
    }
}

/// Sets up a [`Runtime`]. Every value has a default; a value that makes no sense is an error of
/// [`build`](Self::build), which names it.
///
/// ```
/// use std::time::Duration;
///
/// let rt = weftwork_sched::Runtime::builder()
///     .workers(2)
///     .name("search")
///     .stack_size(128 << 10)
///     .max_blocking_threads(8)
///     .build()?;
/// assert_eq!(rt.run(|| 1 + 1), 2);
/// let report = rt.shutdown(Duration::from_secs(1));
/// assert!(report.is_clean());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "nothing is built until build is called"]
pub struct Builder {
    workers: Option<usize>,
    stack_size: Option<usize>,
    config: Config,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Builder {
            workers: None,
            stack_size: None,
            config: Config {
                workers: 1,
                cpus: 1,
                stack_class: SizeClass::default(),
                name: "weftwork".into(),
                on_start: None,
                on_stop: None,
                on_warning: Arc::new(|text| eprintln!("weftwork: {text}")),
                on_stuck: None,
                stuck_after: Duration::from_millis(500),
                max_blocking: 512,
                keep_alive: Duration::from_secs(10),
                unwind_limit: Duration::from_secs(5),
                event_capacity: 1024,
            },
        }
    }

    /// Sets the number of worker threads, from 1 to 1024. By default what
    /// [`std::thread::available_parallelism`] tells, which knows of cgroup quotas.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// Sets the stack size of green threads, rounded up to a size class: 256 KiB by default, 1 MiB
    /// in builds with debug assertions. The memory of a stack is used page by page as it is touched.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    /// Names the threads: `NAME-0`, `NAME-1`, …, `NAME-blocking`, `NAME-monitor`.
    pub fn name(mut self, name: &str) -> Self {
        self.config.name = name.into();
        self
    }

    /// Calls `hook` with the worker's number on each worker thread before its first task. If a hook
    /// panics, the panic is reported as usual and the thread goes on; so it is with all hooks here.
    pub fn on_thread_start(mut self, hook: impl Fn(usize) + Send + Sync + 'static) -> Self {
        self.config.on_start = Some(Arc::new(hook));
        self
    }

    /// Calls `hook` with the worker's number on each worker thread after its last task.
    pub fn on_thread_stop(mut self, hook: impl Fn(usize) + Send + Sync + 'static) -> Self {
        self.config.on_stop = Some(Arc::new(hook));
        self
    }

    /// Sends warnings (stacks exhausted, a stuck worker) to `hook` instead of standard error.
    pub fn on_warning(mut self, hook: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.config.on_warning = Arc::new(hook);
        self
    }

    /// Calls `hook`, instead of warning, when a task has kept its worker for longer than
    /// [`stuck_after`](Self::stuck_after) without a runtime call. Once per episode, on the monitor's
    /// thread, which the hook must not keep.
    pub fn on_stuck(mut self, hook: impl Fn(&Stuck) + Send + Sync + 'static) -> Self {
        self.config.on_stuck = Some(Arc::new(hook));
        self
    }

    /// Sets how long a task may keep its worker before that is reported: 500 ms by default. What
    /// can be taken over from a stuck worker is taken over after 10 ms whatever this is.
    pub fn stuck_after(mut self, limit: Duration) -> Self {
        self.config.stuck_after = limit;
        self
    }

    /// Bounds the threads of the blocking pool: 512 by default, at least 1.
    pub fn max_blocking_threads(mut self, threads: usize) -> Self {
        self.config.max_blocking = threads;
        self
    }

    /// Sets how long an idle thread of the blocking pool stays: 10 s by default.
    pub fn blocking_keep_alive(mut self, time: Duration) -> Self {
        self.config.keep_alive = time;
        self
    }

    /// Sets how long a shutdown waits for cancelled tasks to unwind, after its own deadline, before
    /// it leaves them behind: 5 s by default.
    pub fn unwind_limit(mut self, time: Duration) -> Self {
        self.config.unwind_limit = time;
        self
    }

    fn config(&self) -> io::Result<Config> {
        let invalid = |text: String| Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        let mut config = self.config.clone();
        config.cpus = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        config.workers = match self.workers {
            Some(workers @ 1..=MAX_WORKERS) => workers,
            Some(workers) => {
                return invalid(format!("{workers} workers: must be 1 to {MAX_WORKERS}"));
            }
            None => config.cpus,
        };
        if let Some(bytes) = self.stack_size {
            config.stack_class = SizeClass::at_least(bytes).map_err(|error| {
                io::Error::new(io::ErrorKind::InvalidInput, format!("stack_size: {error}"))
            })?;
        }
        if !(1..=MAX_BLOCKING).contains(&config.max_blocking) {
            return invalid(format!(
                "{} blocking threads: must be 1 to {MAX_BLOCKING}",
                config.max_blocking
            ));
        }
        if config.name.contains('\0') {
            return invalid("name: must not contain a zero byte".to_string());
        }
        if config.stuck_after.is_zero() {
            return invalid("stuck_after: must not be zero".to_string());
        }
        Ok(config)
    }

    /// Starts the runtime and its threads.
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a value that makes no sense; the system's
    /// error if it has no thread, descriptor or memory left. Nothing is left running then.
    pub fn build(&self) -> io::Result<Runtime> {
        Runtime::start(self.config()?)
    }

    /// Makes a runtime without worker threads, whose tasks run on the calling thread while it is in
    /// [`LocalRuntime::run`]. The number of workers is ignored.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn build_local(&self) -> io::Result<LocalRuntime> {
        let mut config = self.config()?;
        config.workers = 1;
        LocalRuntime::new(config)
    }
}
