//! Many messages at once: one lock, and as few wakes as there are waiters to be served, per batch.
//!
//! 1. The order is that of the single operations: a batch is as so many sends or receives in a row, with
//!    nobody between those that go under one lock.
//! 2. Iterators and destructors are user code: they run while no lock is held.

mod drain;
mod recv_many;
mod send_many;

pub use drain::Drain;
pub use recv_many::RecvManyFuture;
pub use send_many::{SendManyError, Unsent};
