//! The lock of a channel, as the channel sees it.
//!
//! Models of channels use loom's: a thread that spins multiplies their interleavings and shows nothing
//! of the channel. The lock itself is modelled alone, in `tests/loom_lock.rs`.

#[cfg(not(weftwork_loom))]
mod spinning;
#[cfg(not(weftwork_loom))]
pub(crate) use spinning::{Lock, LockGuard};

#[cfg(weftwork_loom)]
pub(crate) use weftwork_core::sync::{Mutex as Lock, MutexGuard as LockGuard};

/// Whether a model has failed and its frames are being unwound: there is nothing to lock any more.
#[inline]
pub(crate) fn is_gone() -> bool {
    cfg!(weftwork_loom) && std::thread::panicking()
}
