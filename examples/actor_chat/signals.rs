//! Waiting for the request to end: Ctrl-C, or a signal to terminate.

use std::io;
use std::mem;

/// The requests, which no thread is interrupted by.
#[derive(Debug)]
pub(crate) struct Requests(libc::sigset_t);

impl Requests {
    /// Holds the signals back from this thread and those that it will start.
    pub(crate) fn hold() -> io::Result<Self> {
        // SAFETY: a set is filled by the call below before it is used; zero is a value of its integers.
        let mut set: libc::sigset_t = unsafe { mem::zeroed() };
        // SAFETY: the pointers are to a value that lives until after the calls, and the numbers are signals.
        let failed = unsafe {
            libc::sigemptyset(&raw mut set);
            libc::sigaddset(&raw mut set, libc::SIGINT);
            libc::sigaddset(&raw mut set, libc::SIGTERM);
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut())
        };
        match failed {
            0 => Ok(Requests(set)),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }

    /// Blocks the calling OS thread until there is one.
    pub(crate) fn wait(&self) -> io::Result<()> {
        let mut signal = 0;
        // SAFETY: both pointers are to values that live until after the call.
        match unsafe { libc::sigwait(&raw const self.0, &raw mut signal) } {
            0 => Ok(()),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }
}
