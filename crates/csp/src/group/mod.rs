//! Groups of tasks that belong together: the first failure ends the rest, and nothing is lost.
//!
//! A [`Group`] spawns fallible closures and futures on any [`Spawn`](weftwork_core::Spawn): a scheduler of
//! this workspace, another executor, or OS threads by [`ThreadPerTask`].
//!
//! ```
//! use weftwork_csp::group::{Group, GroupError, ThreadPerTask};
//! use weftwork_csp::unbounded;
//!
//! let (results, squares) = unbounded();
//! let group = Group::new(&ThreadPerTask);
//! for n in 1..=3 {
//!     let results = results.clone();
//!     group.spawn(move || results.send(n * n)).unwrap();
//! }
//! group.wait().unwrap();
//! drop(results);
//! assert_eq!(squares.iter().sum::<i32>(), 14);
//!
//! let group = Group::new(&ThreadPerTask);
//! group.spawn(|| Err("no luck")).unwrap();
//! assert_eq!(group.wait(), Err(GroupError::Failed("no luck")));
//! ```
//!
//! What ends a group: a task returns an error, panics, or is dropped by its executor. Then the others are
//! cancelled, as by [`JoinHandle::cancel`](weftwork_core::JoinHandle::cancel), and no more are taken. The
//! idea is that of Go's errgroup and of Trio's nurseries.

mod error;
mod member;
mod state;
mod tasks;
mod thread_per_task;

pub use error::{GroupError, NotSpawned};
pub use tasks::Group;
pub use thread_per_task::ThreadPerTask;
