//! The workloads on other runtimes, and over the channels and locks of other libraries.
//!
//! One file per runtime, each with its `ENTRIES`. The code of one workload is alike in all of them,
//! written as that runtime's own documentation would have it. Channels and locks differ by
//! library, not by runtime: their workloads are written once, in `crate::channels`, `crate::locks`
//! and `crate::transactions`. So are those of actors that are awaited, in `crate::actors`.

pub(crate) mod actix;
pub(crate) mod async_stm;
pub(crate) mod channels;
pub(crate) mod coroutines;
pub(crate) mod guarded;
pub(crate) mod kameo;
pub(crate) mod locks;
pub(crate) mod may;
pub(crate) mod monoio;
pub(crate) mod ractor;
pub(crate) mod rayon;
pub(crate) mod server;
pub(crate) mod smol;
pub(crate) mod stm;
pub(crate) mod threads;
pub(crate) mod tokio;
pub(crate) mod tokio_channels;
