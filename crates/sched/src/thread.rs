//! The current task as std's threads have it: a handle, `park`, `unpark`.

use crate::carrier::CarrierRef;
use crate::worker::{self, Worker};
use std::cell::OnceCell;
use std::fmt;
use std::panic::Location;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};
use weftwork_core::TaskId;
use weftwork_core::host::Host;
use weftwork_core::sync::atomic::{AtomicBool, Ordering};
use weftwork_core::sync::{Arc, Mutex, thread};
use weftwork_core::task::TaskRef;
use weftwork_core::wait::{self, Reason, Site, deadline_after};

/// A handle to a green thread, or to an OS thread, that can be unparked.
///
/// As [`std::thread::Thread`]. A handle to a task that has ended is harmless: to unpark it does
/// nothing, or wakes the next task on its stack for no reason.
#[derive(Clone)]
pub struct Thread(Repr);

#[derive(Clone)]
enum Repr {
    Green {
        carrier: CarrierRef,
        task: Option<TaskRef>,
    },
    Os(Arc<OsThread>),
}

struct OsThread {
    token: AtomicBool,
    waiter: Mutex<Option<Waker>>,
    name: Option<String>,
}

thread_local! {
    static OS_THREAD: OnceCell<Arc<OsThread>> = const { OnceCell::new() };
}

/// The handle of the calling green thread, or of the OS thread where there is none.
///
/// Inside a future's poll it is good for parking in that poll alone: the next may be elsewhere.
#[must_use]
pub fn current() -> Thread {
    worker::with(|worker| {
        let Some((worker, carrier)) = worker.and_then(|w| w.busy_carrier().map(|c| (w, c))) else {
            return Thread(Repr::Os(os_thread()));
        };
        // SAFETY: the running carrier is alive, and so is the task that is being run.
        let (carrier, task) = unsafe {
            (
                CarrierRef::new(carrier),
                worker.current_task().map(|task| task.upgrade()),
            )
        };
        Thread(Repr::Green { carrier, task })
    })
}

fn os_thread() -> Arc<OsThread> {
    OS_THREAD.with(|cell| {
        Arc::clone(cell.get_or_init(|| {
            Arc::new(OsThread {
                token: AtomicBool::new(false),
                waiter: Mutex::new(None),
                name: thread::current().name().map(String::from),
            })
        }))
    })
}

impl Thread {
    /// Leaves the thread a token and wakes it if it is parked. Tokens do not add up.
    #[inline]
    pub fn unpark(&self) {
        match &self.0 {
            Repr::Green { carrier, .. } => carrier.unpark(),
            Repr::Os(thread) => {
                // Release: pairs with the acquire in `park_until`.
                thread.token.store(true, Ordering::Release);
                let waiter = thread.waiter.lock().take();
                if let Some(waiter) = waiter {
                    waiter.wake();
                }
            }
        }
    }

    /// The number of the green thread's task; `None` for an OS thread.
    #[must_use]
    pub fn id(&self) -> Option<TaskId> {
        match &self.0 {
            Repr::Green { task, .. } => task.as_ref().map(TaskRef::id),
            Repr::Os(_) => None,
        }
    }

    /// The name of the green thread's task, or of the OS thread.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match &self.0 {
            Repr::Green { task, .. } => task.as_ref().and_then(TaskRef::name),
            Repr::Os(thread) => thread.name.as_deref(),
        }
    }
}

impl fmt::Debug for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Green { carrier, task } => f
                .debug_struct("Thread")
                .field("task", task)
                .field("carrier", &carrier.pointer())
                .finish(),
            Repr::Os(thread) => f
                .debug_struct("Thread")
                .field("os_name", &thread.name)
                .finish(),
        }
    }
}

/// Waits until somebody calls [`Thread::unpark`] for this thread, or returns at once if somebody
/// has since the last `park`. May return for no reason.
///
/// A token outlasts waits for other things. A cancelled task unwinds from here.
///
/// ```
/// # let rt = weftwork_sched::Runtime::builder().workers(1).build().unwrap();
/// rt.run(|| {
///     let me = weftwork_sched::current();
///     let waker = weftwork_sched::spawn(move || me.unpark());
///     weftwork_sched::park();
///     waker.join().unwrap();
/// });
/// ```
#[track_caller]
#[inline]
pub fn park() {
    let site = Site {
        reason: Reason::PARK,
        location: Location::caller(),
    };
    worker::with(|worker| match worker {
        Some(worker) if worker.busy_carrier().is_some() => park_green(worker, site),
        _ => {
            let thread = os_thread();
            wait::wait(Reason::PARK, |context| thread.take(context.waker()));
        }
    });
}

/// What `wait` would do with an operation that takes the token, without its general parts: a hand
/// over from one green thread to another is little more than this.
#[inline]
fn park_green(worker: &Worker, site: Site) {
    let interruptible = cfg!(panic = "unwind") && !std::thread::panicking();
    if worker.take_token() {
        // A task that finds a token every time must not keep the worker.
        if worker.checkpoint().is_err() && interruptible {
            wait::cancel::unwind();
        }
        return;
    }
    while !worker.take_token() {
        if worker.park(site, None, interruptible).is_err() {
            // A task that catches this and parks again must not keep the worker.
            let _ = worker.checkpoint();
            wait::cancel::unwind();
        }
    }
}

/// As [`park`], but waits no longer than `timeout`. Like std's it does not tell which it was.
#[track_caller]
pub fn park_timeout(timeout: Duration) {
    park_until(deadline_after(timeout));
}

/// As [`park`], but waits no longer than until `deadline`.
#[track_caller]
pub fn park_deadline(deadline: Instant) {
    park_until(Some(deadline));
}

#[track_caller]
fn park_until(deadline: Option<Instant>) {
    let site = Reason::PARK;
    let _ = match waiter() {
        None => wait::wait_deadline(site, deadline, |_| take_green()),
        Some(thread) => wait::wait_deadline(site, deadline, |context| thread.take(context.waker())),
    };
}

/// The OS thread, if no green thread is current.
#[inline]
fn waiter() -> Option<Arc<OsThread>> {
    let green = worker::with(|worker| worker.is_some_and(|w| w.busy_carrier().is_some()));
    if green { None } else { Some(os_thread()) }
}

#[inline]
fn take_green() -> Poll<()> {
    worker::with(|worker| match worker {
        Some(worker) if worker.take_token() => Poll::Ready(()),
        _ => Poll::Pending,
    })
}

impl OsThread {
    fn take(&self, waker: &Waker) -> Poll<()> {
        // Acquire, both: pairs with the release in `unpark`.
        if self.token.swap(false, Ordering::Acquire) {
            return Poll::Ready(());
        }
        let before = self.waiter.lock().replace(waker.clone());
        drop(before);
        if self.token.swap(false, Ordering::Acquire) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

/// Lets everything else that is ready on this worker have a turn. On a thread that is no worker,
/// [`std::thread::yield_now`]. Where waiting is [forbidden](wait::forbid()), it does nothing.
///
/// A cancelled task unwinds from here.
#[track_caller]
#[inline]
pub fn yield_now() {
    let cancelled = try_yield_now().is_err();
    if cancelled && wait::cancel::may_unwind() {
        wait::cancel::unwind();
    }
}

/// As [`yield_now`], but tells of the cancellation instead of unwinding.
///
/// # Errors
/// The current task was asked to end.
#[inline]
pub fn try_yield_now() -> Result<(), wait::Cancelled> {
    worker::with(|worker| match worker {
        // Where nothing may wait, the task must not be switched away either.
        Some(worker) if worker.busy_carrier().is_some() && !wait::may_wait() => Ok(()),
        Some(worker) if worker.busy_carrier().is_some() => {
            worker.yield_now();
            if worker.is_cancelled() {
                Err(wait::Cancelled)
            } else {
                Ok(())
            }
        }
        _ => {
            thread::yield_now();
            Ok(())
        }
    })
}

/// Whether the current task was asked to end.
#[must_use]
pub fn is_cancelled() -> bool {
    worker::with(|worker| worker.is_some_and(worker::Worker::is_cancelled))
}
