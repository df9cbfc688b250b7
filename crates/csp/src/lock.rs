//! The lock of a channel.

pub(crate) use weftwork_core::sync::Mutex as Lock;
pub(crate) use weftwork_core::sync::MutexGuard as LockGuard;
