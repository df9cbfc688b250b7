//! The mailbox: an inbox that everybody pushes to, lanes by priority that the actor takes from, and the
//! count of what is in both.
//!
//! A signal (exit, link, monitor, stop) travels through the same inbox as the messages, so what one sender
//! sends arrives in the order in which it was sent. Signals are not counted and so never meet a full
//! mailbox; the actor takes its whole inbox before the next message when one is announced, so they do not
//! wait behind messages either. The protocol: `docs/design/actors.md`.

pub(crate) mod chain;
pub(crate) mod inbox;
pub(crate) mod lanes;
pub(crate) mod letter;
pub(crate) mod limit;
mod policy;
pub(crate) mod pool;
mod priority;
pub(crate) mod room;
pub(crate) mod weighed;

pub use policy::{Mailbox, OnFull};
pub use priority::Priority;
