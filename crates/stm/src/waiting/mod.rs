//! How a transaction sleeps until something that it read has changed.
//!
//! The protocol, against a committer:
//!
//! | the sleeper | the committer |
//! | --- | --- |
//! | 1. enters itself in the bucket of each variable, under the bucket's lock | 1. locks the variable; its word says whether `WAIT` was set |
//! | 2. sets `WAIT` in the variable's word, if that still leads to the node it read, unlocked | 2. publishes |
//! | 3. unpins, sleeps | 3. if `WAIT` was set: takes the entries out of the bucket, wakes them |
//!
//! Step 2 of the sleeper and step 1 of the committer are read-modify-writes of one word: either the committer
//! saw `WAIT`, and the entry was in the bucket before; or the sleeper sees the lock or the new node, and does
//! not sleep. If the sleeper finds `WAIT` set already, by another, its load is ordered before the committer's
//! lock in the same way, and the entry before the committer's look into the bucket by the bucket's lock: had
//! the committer looked first, the sleeper would have seen what it published before that.
//!
//! Invariants
//! 1. Entries name variables by address and are never followed: a variable may be gone.
//! 2. One lock at a time; wakers are cloned, called and dropped under none.
//! 3. Whoever entered itself takes its entries out, however its wait ends.

mod source;
mod table;
mod waiter;

pub(crate) use source::Source;
pub(crate) use table::{Registration, Table};
pub(crate) use waiter::Waiter;
