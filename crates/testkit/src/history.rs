//! Recording what threads did to a shared object, and when, for [`check`](crate::check).
//!
//! Each thread writes a log of its own. One counter gives the times: an operation takes a number
//! just before it starts and another just after it returns, so "returned before the other started"
//! is what the numbers say it is. The log reaches the recorder when its thread drops it.
//!
//! The counter is behind [`weftwork_core::sync`], hence a step of a loom model, and each reading of
//! it is an acquire-release read-modify-write. That orders every operation after those that had
//! returned before it began. A history claims exactly that order, so the object under test must be
//! given it; otherwise a checker would reject outcomes that the memory model allows.

use weftwork_core::sync::atomic::{AtomicU64, Ordering};
use weftwork_core::sync::{Arc, Mutex};

/// One operation of a [`History`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation<Op, Ret> {
    /// Which log it is from; logs are numbered as they are opened.
    pub log: usize,
    /// What was asked.
    pub op: Op,
    /// When it was asked.
    pub called: u64,
    /// What was answered and when; `None` if the answer never came, because the operation was
    /// cancelled, panicked, or still blocked at the end.
    pub returned: Option<(Ret, u64)>,
}

/// What several threads did to one object, as operations in any order.
pub type History<Op, Ret> = Vec<Operation<Op, Ret>>;

/// Collects the [`Log`]s of several threads into one [`History`].
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use weftwork_testkit::{Model, Recorder, check};
///
/// /// A counter whose `fetch_add(1)` answers the value before.
/// #[derive(Debug)]
/// struct Counter;
///
/// impl Model for Counter {
///     type State = u64;
///     type Op = ();
///     type Ret = u64;
///
///     fn initial(&self) -> u64 {
///         0
///     }
///
///     fn step(&self, state: &u64, (): &(), ret: Option<&u64>) -> Option<u64> {
///         ret.is_none_or(|r| r == state).then_some(state + 1)
///     }
/// }
///
/// let counter = AtomicU64::new(0);
/// let recorder = Recorder::new();
/// std::thread::scope(|s| {
///     for _ in 0..3 {
///         let mut log = recorder.log();
///         let counter = &counter;
///         s.spawn(move || {
///             for _ in 0..4 {
///                 log.record((), || counter.fetch_add(1, Ordering::Relaxed));
///             }
///         });
///     }
/// });
/// check(&Counter, &recorder.finish()).unwrap();
/// ```
#[derive(Debug)]
pub struct Recorder<Op, Ret> {
    shared: Arc<Shared<Op, Ret>>,
}

#[derive(Debug)]
struct Shared<Op, Ret> {
    clock: AtomicU64,
    logs: Mutex<Logs<Op, Ret>>,
}

#[derive(Debug)]
struct Logs<Op, Ret> {
    opened: usize,
    closed: usize,
    operations: History<Op, Ret>,
}

impl<Op, Ret> Shared<Op, Ret> {
    fn now(&self) -> u64 {
        // AcqRel: pairs with every other call of `now`, as the head of the file explains.
        self.clock.fetch_add(1, Ordering::AcqRel)
    }
}

impl<Op, Ret> Recorder<Op, Ret> {
    /// Makes a recorder without logs. Under loom, call it inside the model.
    #[must_use]
    pub fn new() -> Self {
        let logs = Logs {
            opened: 0,
            closed: 0,
            operations: Vec::new(),
        };
        Recorder {
            shared: Arc::new(Shared {
                clock: AtomicU64::new(0),
                logs: Mutex::new(logs),
            }),
        }
    }

    /// Opens a log for one thread.
    #[must_use]
    pub fn log(&self) -> Log<Op, Ret> {
        let mut logs = self.shared.logs.lock();
        let number = logs.opened;
        logs.opened += 1;
        Log {
            shared: Arc::clone(&self.shared),
            number,
            operations: Vec::new(),
        }
    }

    /// Gives the history of all logs, ordered by the time of the call.
    ///
    /// # Panics
    ///
    /// If a log is still open: the history would lack operations that took effect, and a checker
    /// would blame the object. Join the threads first.
    #[must_use]
    #[track_caller]
    pub fn finish(self) -> History<Op, Ret> {
        let mut logs = self.shared.logs.lock();
        let open = logs.opened - logs.closed;
        assert!(
            open == 0,
            "{open} logs are still open; join the threads that hold them first"
        );
        let mut history = std::mem::take(&mut logs.operations);
        drop(logs);
        history.sort_by_key(|o| o.called);
        history
    }
}

impl<Op, Ret> Default for Recorder<Op, Ret> {
    fn default() -> Self {
        Self::new()
    }
}

/// What one thread did, in order. Made by [`Recorder::log`]; handed in when it is dropped.
#[derive(Debug)]
pub struct Log<Op, Ret> {
    shared: Arc<Shared<Op, Ret>>,
    number: usize,
    operations: History<Op, Ret>,
}

impl<Op, Ret> Log<Op, Ret> {
    /// Runs `f`, which performs `op` on the object, and records its answer.
    ///
    /// If `f` panics, or is unwound because its task was cancelled, the operation stays in the
    /// history without an answer: it may have taken effect or not.
    pub fn record(&mut self, op: Op, f: impl FnOnce() -> Ret) -> Ret
    where
        Ret: Clone,
    {
        self.begin(op);
        let ret = f();
        self.end(ret.clone());
        ret
    }

    /// Records that `op` is about to start; [`end`](Self::end) records its answer.
    ///
    /// Together they are [`record`](Self::record) for code that is not a closure, such as a future.
    /// An operation that is begun and not ended before the next one has no answer, for ever.
    pub fn begin(&mut self, op: Op) {
        let called = self.shared.now();
        self.operations.push(Operation {
            log: self.number,
            op,
            called,
            returned: None,
        });
    }

    /// Records the answer to the operation last begun.
    ///
    /// # Panics
    ///
    /// If no operation has been begun, or the last one has its answer.
    #[track_caller]
    pub fn end(&mut self, ret: Ret) {
        let returned = self.shared.now();
        match self.operations.last_mut() {
            Some(last @ Operation { returned: None, .. }) => last.returned = Some((ret, returned)),
            _ => panic!("a log was given an answer without an operation that waits for one"),
        }
    }
}

impl<Op, Ret> Drop for Log<Op, Ret> {
    fn drop(&mut self) {
        // A loom model that unwinds has failed; another step of it would panic again.
        if cfg!(weftwork_loom) && std::thread::panicking() {
            return;
        }
        let mut logs = self.shared.logs.lock();
        logs.closed += 1;
        logs.operations.append(&mut self.operations);
    }
}
