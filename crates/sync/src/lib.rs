//! Locks, semaphores, notifications and cancellation that serve OS threads, green threads and
//! futures alike.
