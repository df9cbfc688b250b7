//! Tasks, their state word, the one wait protocol and the door to atomics, locks and threads.

pub mod sync;
