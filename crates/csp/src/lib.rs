//! CSP channels with select, for OS threads, green threads and futures alike.

pub mod oneshot;
