//! Threads that a foreign executor has lent to a task, and takes back before they sleep.
//!
//! An executor without green threads runs a task on one of its worker threads. If the task waits there, what
//! else that worker has to do waits, too. So the executor may say what is to be done around each sleep: tokio
//! for one moves the rest of the worker's duties to another thread. A wait that is ready at once costs it
//! nothing.

use std::cell::Cell;

/// Called with the sleep, which it has to call.
type AroundSleep = fn(&mut dyn FnMut());

thread_local! {
    static AROUND: Cell<Option<AroundSleep>> = const { Cell::new(None) };
}

/// Puts back what was said before, also when the closure unwinds.
struct Restore(Option<AroundSleep>);

impl Drop for Restore {
    fn drop(&mut self) {
        AROUND.set(self.0);
    }
}

fn set(around: Option<AroundSleep>) -> Restore {
    Restore(AROUND.replace(around))
}

/// Runs `f`, and `around` around each sleep of the calling thread in a wait inside of it.
///
/// For executors whose threads must not sleep unannounced. `around` is given the sleep, calls it, and does
/// before and after it what the executor needs; it does not wait by other means than that. If it does not
/// call the sleep, the wait goes on as if it had been woken. On a thread that a scheduler
/// [hosts](crate::host) the scheduler parks its task, and nothing sleeps.
///
/// ```
/// use std::cell::Cell;
/// use std::time::Duration;
/// use weftwork_core::wait::{self, Reason, deadline_after, wait_deadline};
///
/// thread_local! {
///     static SLEEPS: Cell<u32> = const { Cell::new(0) };
/// }
///
/// let count = |sleep: &mut dyn FnMut()| {
///     SLEEPS.set(SLEEPS.get() + 1);
///     sleep();
/// };
/// wait::on_lent_thread(count, || {
///     let soon = deadline_after(Duration::from_millis(1));
///     wait_deadline(Reason::SLEEP, soon, |_| std::task::Poll::<()>::Pending).unwrap_err();
/// });
/// assert!(SLEEPS.get() > 0);
/// ```
pub fn on_lent_thread<R>(around: fn(&mut dyn FnMut()), f: impl FnOnce() -> R) -> R {
    let _restore = set(Some(around));
    f()
}

/// Lets the thread sleep by `park`, as whoever lent it wants it. What `park` returns is returned.
pub(super) fn sleep(park: impl FnOnce() -> bool) -> bool {
    let Some(around) = AROUND.get() else {
        return park();
    };
    // What `around` does is the executor's own business.
    let _restore = set(None);
    let mut park = Some(park);
    let mut in_time = true;
    around(&mut || {
        if let Some(park) = park.take() {
            in_time = park();
        }
    });
    in_time
}
