//! Permits: room for one message, promised before there is a message.
//!
//! Invariants
//! 1. Each permit that is out counts one in `State::permits`, whatever the capacity: so a closed channel
//!    has not ended, for its receivers, before the last permit has come back.
//! 2. A permit is none of `State::selections`, so nobody takes it away.
//! 3. At capacity 0 a receiver was set aside in `Matched` when the permit was given. It may have left
//!    since, or a sender that waited behind it may have it: then the message goes to another, or into
//!    the buffer, one above capacity for once.
//!
//! Whoever waits for a permit waits as a select with one arm does, and turns what the selection has in
//! hand into a permit under the channel's lock.

mod held;
mod reserve;
mod room;

pub use held::{OwnedPermit, Permit};
pub use reserve::ReserveFuture;
