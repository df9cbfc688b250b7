//! What `accept` does about errors that are not the caller's.
//!
//! A connection that broke before it was accepted is skipped. A shortage of descriptors or memory is
//! waited out by time: an edge-triggered set reports nothing when descriptors become free again, and
//! a level-triggered one would report the same connection without end.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use weftwork_core::sync::atomic::{AtomicU64, Ordering};

use crate::operation::Done;
use crate::sys;

/// What a listener does when the process has no descriptor left for the next connection, or the system
/// no memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Exhaustion {
    /// Wait 10 ms, then twice as long each time up to 500 ms, and try again. Connections wait in the
    /// backlog meanwhile, and are accepted once descriptors are free.
    #[default]
    Retry,
    /// Return the error, as std does. The connection stays in the backlog.
    Fail,
}

/// What a listener did, since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ListenerStats {
    /// Connections accepted.
    pub accepted: u64,
    /// Connections that broke before they were accepted, and were skipped.
    pub aborted: u64,
    /// Attempts that failed for want of descriptors or memory.
    pub exhausted: u64,
}

/// The counters behind [`ListenerStats`].
#[derive(Debug, Default)]
pub(super) struct Counters {
    accepted: AtomicU64,
    aborted: AtomicU64,
    exhausted: AtomicU64,
}

impl Counters {
    pub(super) fn read(&self) -> ListenerStats {
        // Relaxed, here and below: counters, which order nothing.
        ListenerStats {
            accepted: self.accepted.load(Ordering::Relaxed),
            aborted: self.aborted.load(Ordering::Relaxed),
            exhausted: self.exhausted.load(Ordering::Relaxed),
        }
    }

    /// Accepts one connection, skipping those that broke.
    pub(super) fn attempt(&self, fd: BorrowedFd<'_>) -> io::Result<Done<(OwnedFd, SocketAddr)>> {
        loop {
            let error = match sys::accept(fd) {
                Ok(accepted) => {
                    self.accepted.fetch_add(1, Ordering::Relaxed);
                    return Ok(Done::new(accepted));
                }
                Err(error) => error,
            };
            if is_of_the_connection(&error) {
                self.aborted.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            if is_exhaustion(&error) {
                self.exhausted.fetch_add(1, Ordering::Relaxed);
            }
            return Err(error);
        }
    }
}

/// Errors of the connection that would have been accepted; the next one may be fine. Linux reports
/// pending network errors of the new socket this way.
fn is_of_the_connection(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ECONNABORTED
                | libc::EPROTO
                | libc::ENOPROTOOPT
                | libc::ENETDOWN
                | libc::ENETUNREACH
                | libc::EHOSTDOWN
                | libc::EHOSTUNREACH
                | libc::ENONET
        )
    )
}

pub(super) fn is_exhaustion(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM)
    )
}

/// The pauses between attempts during a shortage.
#[derive(Debug)]
pub(super) struct Backoff(Duration);

impl Backoff {
    const FIRST: Duration = Duration::from_millis(10);
    const LONGEST: Duration = Duration::from_millis(500);

    pub(super) fn new() -> Self {
        Backoff(Self::FIRST)
    }

    /// How long to wait this time.
    pub(super) fn next(&mut self) -> Duration {
        let pause = self.0;
        self.0 = (pause * 2).min(Self::LONGEST);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_half_a_second() {
        let mut backoff = Backoff::new();
        let pauses: Vec<u128> = (0..8).map(|_| backoff.next().as_millis()).collect();
        assert_eq!(pauses, [10, 20, 40, 80, 160, 320, 500, 500]);
    }

    #[test]
    fn an_error_is_of_the_connection_or_a_shortage_or_the_callers() {
        for (errno, of_the_connection, exhaustion) in [
            (libc::ECONNABORTED, true, false),
            (libc::EPROTO, true, false),
            (libc::EMFILE, false, true),
            (libc::ENFILE, false, true),
            (libc::ENOBUFS, false, true),
            (libc::ENOMEM, false, true),
            (libc::EINVAL, false, false),
            (libc::EBADF, false, false),
            // Of a socket that is no listener: skipping it would go on for ever.
            (libc::EOPNOTSUPP, false, false),
        ] {
            let error = io::Error::from_raw_os_error(errno);
            assert_eq!(is_of_the_connection(&error), of_the_connection, "{error}");
            assert_eq!(is_exhaustion(&error), exhaustion, "{error}");
        }
    }
}
