//! [`TcpListener`]: accepts connections.

use std::fmt;
use std::io;
use std::iter::FusedIterator;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use weftwork_core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use weftwork_core::wait::{self, Reason};
use weftwork_reactor::{Direction, Interest};

use crate::operation::Operation;
use crate::resolve::{ToSocketAddrs, each_address};
use crate::source::Source;
use crate::tcp::accept::{Backoff, Counters, Exhaustion, ListenerStats, is_exhaustion};
use crate::tcp::socket::TcpSocket;
use crate::tcp::stream::TcpStream;

/// A TCP socket that accepts connections, used as [`std::net::TcpListener`] is.
///
/// Any number of tasks and threads may accept at once; each connection goes to one of them. A connection
/// belongs to nobody in particular until it is first waited on: it then registers with the driver of the worker
/// that waits, so spawning a green thread per connection spreads connections as it spreads tasks.
pub struct TcpListener {
    inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) source: Source<std::net::TcpListener>,
    pub(super) counters: Counters,
    /// Nanoseconds; 0 is no timeout.
    timeout: AtomicU64,
    fails_when_exhausted: AtomicBool,
}

/// The backlog of [`TcpListener::bind`]; the system may allow less.
const BACKLOG: u32 = 1024;

/// Why the wait between two attempts during a shortage.
const BACKOFF: Reason = Reason::new("accept_backoff");

impl TcpListener {
    /// Binds to the first of the addresses that can be bound, and listens, with `SO_REUSEADDR` as in std
    /// and a backlog of 1024. Port 0 asks for a free port. [`TcpSocket`] offers more options.
    ///
    /// # Errors
    ///
    /// That of the last address; `InvalidInput` if there is none; the resolver's.
    pub fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<TcpListener> {
        each_address(addr, |address| {
            let socket = TcpSocket::new_for(address)?;
            socket.set_reuseaddr(true)?;
            socket.bind(*address)?;
            socket.listen(BACKLOG)
        })
    }

    /// Takes a listening socket over that is set non-blocking already. `nonblocking` is what its user asked for.
    pub(super) fn wrap(io: std::net::TcpListener, nonblocking: bool) -> Self {
        TcpListener {
            inner: Arc::new(Inner {
                source: Source::new(io, Interest::READABLE, nonblocking),
                counters: Counters::default(),
                timeout: AtomicU64::new(0),
                fails_when_exhausted: AtomicBool::new(false),
            }),
        }
    }

    pub(super) fn into_inner(self) -> Arc<Inner> {
        self.inner
    }

    pub(super) fn inner(&self) -> &Inner {
        &self.inner
    }

    pub(super) fn std(&self) -> &std::net::TcpListener {
        self.inner.source.io()
    }

    /// Returns the address that connections are accepted at.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.std().local_addr()
    }

    /// Accepts the next connection; waits for one.
    ///
    /// Connections that broke in the backlog are skipped. If the process has run out of descriptors, this waits and
    /// tries again, unless [`set_exhaustion`](Self::set_exhaustion) says otherwise: it ends with a
    /// connection, by cancellation, or by [`set_accept_timeout`](Self::set_accept_timeout).
    ///
    /// # Errors
    ///
    /// `TimedOut` after that timeout, or the shortage's own error if it lasted until then; `WouldBlock` if the listener is non-blocking; the
    /// system's errors.
    #[track_caller]
    pub fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let deadline = self.accept_timeout().and_then(wait::deadline_after);
        let mut backoff = Backoff::new();
        loop {
            let result =
                self.inner
                    .source
                    .perform(Direction::Read, Reason::ACCEPT, deadline, |fd| {
                        self.inner.counters.attempt(fd)
                    });
            match result {
                Err(error) if self.may_retry(&error, deadline) => pause(&mut backoff, deadline),
                result => return result.map(stream),
            }
        }
    }

    /// Accepts a connection if one waits already; never waits.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is none, and the system's errors, a shortage of descriptors included.
    pub fn try_accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        Operation::new(&self.inner.source, Direction::Read, |fd| {
            self.inner.counters.attempt(fd)
        })
        .try_now()
        .map(stream)
    }

    /// Tells whether an error of `accept` is to be waited out.
    pub(super) fn may_retry(&self, error: &io::Error, deadline: Option<Instant>) -> bool {
        is_exhaustion(error)
            && self.exhaustion() == Exhaustion::Retry
            && !self.inner.source.is_nonblocking()
            && deadline.is_none_or(|deadline| Instant::now() < deadline)
    }

    /// Iterates over connections as they come, for ever: `accept` in a loop.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming { listener: self }
    }

    /// Makes another handle to the same socket. As with
    /// [`TcpStream::try_clone`], the handles share one descriptor and its settings.
    ///
    /// # Errors
    ///
    /// None; the result is there because std has one.
    pub fn try_clone(&self) -> io::Result<TcpListener> {
        Ok(TcpListener {
            inner: Arc::clone(&self.inner),
        })
    }

    /// Limits how long [`accept`](Self::accept) may wait; `None` is for ever.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a timeout of zero.
    pub fn set_accept_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        if timeout.is_some_and(|t| t.is_zero()) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "cannot set a 0 duration timeout",
            ));
        }
        let ns = timeout.map_or(0, |t| u64::try_from(t.as_nanos()).unwrap_or(u64::MAX));
        self.inner.timeout.store(ns, Ordering::Relaxed); // Relaxed: a setting, which orders nothing.
        Ok(())
    }

    /// Returns the limit of [`accept`](Self::accept).
    #[must_use]
    pub fn accept_timeout(&self) -> Option<Duration> {
        // Relaxed: as in `set_accept_timeout`.
        match self.inner.timeout.load(Ordering::Relaxed) {
            0 => None,
            ns => Some(Duration::from_nanos(ns)),
        }
    }

    /// Chooses what happens when descriptors or memory have run out. The default is to wait.
    pub fn set_exhaustion(&self, exhaustion: Exhaustion) {
        // Relaxed: a setting, which orders nothing.
        self.inner
            .fails_when_exhausted
            .store(exhaustion == Exhaustion::Fail, Ordering::Relaxed);
    }

    /// Returns what happens when descriptors or memory have run out.
    #[must_use]
    pub fn exhaustion(&self) -> Exhaustion {
        // Relaxed: as in `set_exhaustion`.
        if self.inner.fails_when_exhausted.load(Ordering::Relaxed) {
            Exhaustion::Fail
        } else {
            Exhaustion::Retry
        }
    }

    /// Returns the counters, which all handles share.
    #[must_use]
    pub fn stats(&self) -> ListenerStats {
        self.inner.counters.read()
    }

    /// Sets the hop limit of what accepted connections send.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.std().set_ttl(ttl)
    }

    /// Returns the hop limit of what accepted connections send.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn ttl(&self) -> io::Result<u32> {
        self.std().ttl()
    }

    /// Takes the socket's pending error.
    ///
    /// # Errors
    ///
    /// The system's, if it cannot be asked.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.std().take_error()
    }

    /// Chooses whether `accept` returns `WouldBlock` instead of waiting, for all handles.
    ///
    /// The descriptor is `O_NONBLOCK` either way, since there is no other way to try an `accept`; a conversion to std's
    /// type sets the flag as chosen here.
    ///
    /// # Errors
    ///
    /// None; the result is there because std has one.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.inner.source.note_nonblocking(nonblocking);
        Ok(())
    }
}

/// Lets time pass during a shortage.
#[track_caller]
fn pause(backoff: &mut Backoff, deadline: Option<Instant>) {
    let end = wait::deadline_after(backoff.next());
    let end = match (end, deadline) {
        (Some(end), Some(deadline)) => Some(end.min(deadline)),
        (end, deadline) => end.or(deadline),
    };
    // Never ready: the wait ends by its deadline, or by a cancellation.
    let _ = wait::wait_deadline(BACKOFF, end, |_| Poll::<()>::Pending);
}

/// Makes a stream of what was accepted. Nothing of the listener's settings is inherited.
pub(super) fn stream((fd, peer): (OwnedFd, SocketAddr)) -> (TcpStream, SocketAddr) {
    (TcpStream::wrap(fd.into(), false), peer)
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.std().fmt(f)
    }
}

/// Accepts connections for ever; made by [`TcpListener::incoming`].
#[derive(Debug)]
pub struct Incoming<'a> {
    listener: &'a TcpListener,
}

impl Iterator for Incoming<'_> {
    type Item = io::Result<TcpStream>;

    #[track_caller]
    fn next(&mut self) -> Option<io::Result<TcpStream>> {
        Some(self.listener.accept().map(|(stream, _)| stream))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::MAX, None)
    }
}

impl FusedIterator for Incoming<'_> {}
