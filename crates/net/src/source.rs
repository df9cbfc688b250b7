//! [`Source`]: a socket, and its place with the driver that tells when it is ready.
//!
//! Invariants
//! 1. A socket registers when it first has to wait, with the driver of the worker that waits: a
//!    connection lives with the worker that uses it. One that never waits is never registered.
//! 2. It registers once, for both directions, and stays until it is closed. A second registration
//!    follows only if the first one's runtime has ended, and takes its place behind it.
//! 3. `linking` is held by whoever adds a link. Readers take no lock.
//! 4. Registrations are declared before the socket, so that they end before it is closed: nothing can
//!    take a closed descriptor out of an epoll set.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::{Arc, OnceLock};

use weftwork_core::sync::Mutex;
use weftwork_core::sync::atomic::{AtomicBool, Ordering};
use weftwork_reactor::{Direction, Interest, Registration};

/// A socket that can wait, on whatever runs it.
pub(crate) struct Source<S> {
    link: OnceLock<Link>,
    linking: Mutex<()>,
    interest: Interest,
    /// Whether the user asked for `WouldBlock` instead of waiting.
    nonblocking: AtomicBool,
    io: S,
}

/// One registration, and the one that follows if its runtime ends before the socket.
struct Link {
    registration: Registration,
    next: OnceLock<Box<Link>>,
}

impl Link {
    fn new(registration: Registration) -> Self {
        Link {
            registration,
            next: OnceLock::new(),
        }
    }
}

/// Tells whether nobody will ever report events for a registration again.
fn is_over(registration: &Registration) -> bool {
    registration.ready(Direction::Read).is_shut_down()
}

impl<S> Source<S> {
    pub(crate) fn new(io: S, interest: Interest, nonblocking: bool) -> Self {
        Source {
            link: OnceLock::new(),
            linking: Mutex::new(()),
            interest,
            nonblocking: AtomicBool::new(nonblocking),
            io,
        }
    }

    #[inline]
    pub(crate) fn io(&self) -> &S {
        &self.io
    }

    /// Ends the registration and gives the socket back.
    pub(crate) fn into_io(self) -> S {
        drop(self.link);
        self.io
    }

    #[inline]
    pub(crate) fn is_nonblocking(&self) -> bool {
        self.nonblocking.load(Ordering::Relaxed) // Relaxed: a setting, which orders nothing.
    }

    pub(crate) fn note_nonblocking(&self, nonblocking: bool) {
        self.nonblocking.store(nonblocking, Ordering::Relaxed); // Relaxed: as above.
    }

    fn last(&self) -> Option<&Link> {
        let mut link = self.link.get()?;
        while let Some(next) = link.next.get() {
            link = next;
        }
        Some(link)
    }

    /// The registration, if there is one.
    #[inline]
    pub(crate) fn registration(&self) -> Option<&Registration> {
        Some(&self.last()?.registration)
    }
}

impl<S: AsFd> Source<S> {
    #[inline]
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.io.as_fd()
    }

    /// Returns a registration that reports events, made now if need be; `None` where there is no
    /// driver to make it with.
    ///
    /// # Errors
    ///
    /// The driver's, and `ConnectionAborted` if the current runtime is ending.
    pub(crate) fn registered(&self) -> io::Result<Option<&Registration>> {
        if let Some(registration) = self.registration()
            && !is_over(registration)
        {
            return Ok(Some(registration));
        }
        self.register()
    }

    #[cold]
    fn register(&self) -> io::Result<Option<&Registration>> {
        let Some(driver) = weftwork_sched::current_driver() else {
            return Ok(None);
        };
        let _linking = self.linking.lock();
        let last = self.last();
        if let Some(link) = last {
            if !is_over(&link.registration) {
                return Ok(Some(&link.registration)); // Another task was faster.
            }
            if Arc::ptr_eq(link.registration.driver(), &driver) {
                // Registering again where everything is being shut down would end at once, too.
                link.registration.ready(Direction::Read).check()?;
            }
            // The dead driver's set must not keep the descriptor; the kernel may have forgotten it.
            let _ = link.registration.deregister();
        }
        let link = Link::new(driver.register(self.io.as_fd().as_raw_fd(), self.interest)?);
        let link = match last {
            None => self.link.get_or_init(|| link),
            Some(last) => last.next.get_or_init(|| Box::new(link)),
        };
        Ok(Some(&link.registration))
    }
}

impl<S: fmt::Debug> fmt::Debug for Source<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("io", &self.io)
            .field("registration", &self.registration())
            .field("nonblocking", &self.is_nonblocking())
            .finish()
    }
}
