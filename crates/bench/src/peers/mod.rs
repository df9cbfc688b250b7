//! The workloads on other runtimes.
//!
//! One file per runtime, each with its `ENTRIES`. The code of one workload is alike in all of them,
//! written as that runtime's own documentation would have it.

pub(crate) mod coroutines;
pub(crate) mod may;
pub(crate) mod monoio;
pub(crate) mod rayon;
pub(crate) mod server;
pub(crate) mod smol;
pub(crate) mod threads;
pub(crate) mod tokio;
