//! How an operation of a channel waits: a word that says how it stands, a node in a queue of the
//! channel, and a place for the value. All three lie in the waiting frame or future: waiting
//! allocates nothing.
//!
//! The protocol as a whole, with the bad interleavings: `docs/design/channels.md`.

pub(crate) mod node;
pub(crate) mod packet;
pub(crate) mod signal;
pub(crate) mod wakes;

pub(crate) use node::{List, Node, Queues, Role};
pub(crate) use packet::Packet;
pub(crate) use signal::{Pair, Signal, Status, claim_pair};
pub(crate) use wakes::Wakes;
