//! The executor for programs that have none: an OS thread for each task.

use weftwork_core::sync::{Arc, Mutex, thread};
use weftwork_core::{Refused, Spawn, Task};

/// Runs each task on an OS thread of its own.
///
/// A future is run on a new thread after each wake, so this is for closures, and for few futures. A
/// thread that waits cannot be cancelled: see [`Group`](super::Group).
///
/// ```
/// use weftwork_core::Spawn;
/// use weftwork_csp::group::ThreadPerTask;
///
/// assert_eq!(ThreadPerTask.spawn_fn(|| 3).unwrap().join().unwrap(), 3);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct ThreadPerTask;

impl Spawn for ThreadPerTask {
    fn spawn_task(&self, task: Task) -> Result<(), Refused> {
        // Where the system has no thread left, its error does not hand the closure back.
        let place = Arc::new(Mutex::new(Some(task)));
        let run = {
            let place = Arc::clone(&place);
            move || {
                let task = place.lock().take();
                task.into_iter().for_each(Task::run);
            }
        };
        match thread::Builder::new().spawn(run) {
            Ok(_) => Ok(()),
            Err(_) => Err(Refused(
                place.lock().take().expect("no thread has taken it"),
            )),
        }
    }
}
