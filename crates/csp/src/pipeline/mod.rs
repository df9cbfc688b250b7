//! Pipelines: stages that run as tasks, with channels between them.
//!
//! A [`Flow`] is the output of a stage and the input of the next. Stages run on any
//! [`Spawn`](weftwork_core::Spawn): green threads of a scheduler, or OS threads by
//! [`ThreadPerTask`](crate::group::ThreadPerTask). They wait in blocking style.
//!
//! ```
//! use weftwork_csp::group::ThreadPerTask;
//! use weftwork_csp::pipeline::Flow;
//! use weftwork_csp::unbounded;
//!
//! let (numbers, input) = unbounded();
//! (1..=100).for_each(|n| numbers.send(n).unwrap());
//! drop(numbers);
//! let squares = Flow::from(input).map_ordered(&ThreadPerTask, 2, |n: u64| n * n)?;
//! let (even, odd) = squares.split(&ThreadPerTask, |n| n % 2 == 0)?;
//! let all = Flow::merge(&ThreadPerTask, [even, odd])?;
//! assert_eq!(all.into_iter().sum::<u64>(), 338_350);
//! # Ok::<(), weftwork_core::Refused>(())
//! ```
//!
//! - *Bounded*: a stage holds as many messages as it has workers or outputs, then it waits.
//! - *The end flows down*: when its input has ended, a stage finishes what it has and ends its output.
//! - *The lack of interest flows up*: when the last handle of an output is dropped, the stage stops, even
//!   while it waits for input, and so do the stages before it.
//! - *Failures flow down*: a panic in a stage surfaces, with its payload, at whoever receives from the last
//!   one. An end that was caused by a failure never looks like a plain one.

mod flow;
mod map;
mod route;
mod stage;

pub use flow::{Flow, IntoIter, Iter};
