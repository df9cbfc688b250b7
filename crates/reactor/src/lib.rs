//! Readiness polling on epoll, and timers.
