//! Tasks from the outside: handles to join and cancel them, names, task-local values.

pub use weftwork_core::task::{JoinError, JoinHandle, NotFinished, Task, TaskId, TaskRef};
pub use weftwork_sched::{LocalJoinHandle, LocalKey, TaskBuilder};
