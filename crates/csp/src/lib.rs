//! CSP channels with select, for OS threads, green threads and futures alike.

mod attempt;
pub mod lossy;
pub mod oneshot;
