//! Waiting on one descriptor from a thread that no scheduler hosts.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

use weftwork_reactor::Direction;

use super::check;

/// Blocks the calling thread until an operation in `direction` is worth trying, or until
/// `deadline`; false if the latter was first. A signal does not end the wait.
pub(crate) fn wait_ready(
    fd: BorrowedFd<'_>,
    direction: Direction,
    deadline: Option<Instant>,
) -> io::Result<bool> {
    let events = match direction {
        Direction::Read => libc::POLLIN | libc::POLLRDHUP,
        Direction::Write => libc::POLLOUT,
    };
    let mut entry = libc::pollfd {
        fd: fd.as_raw_fd(),
        events,
        revents: 0,
    };
    loop {
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        let timeout = left.map(timespec);
        let timeout = timeout.as_ref().map_or(std::ptr::null(), |t| &raw const *t);
        // SAFETY: one entry is passed and one exists; the timeout is null or points to a value that
        // lives until after the call; a null mask leaves the signal mask alone.
        match check(unsafe { libc::ppoll(&raw mut entry, 1, timeout, std::ptr::null()) }) {
            // The kernel cuts very long timeouts short: only the clock says that time is over.
            Ok(0) if deadline.is_some_and(|at| at <= Instant::now()) => return Ok(false),
            Ok(0) => {}
            Ok(_) => return Ok(true),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn timespec(duration: Duration) -> libc::timespec {
    libc::timespec {
        tv_sec: libc::time_t::try_from(duration.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}
