//! [`TcpStream`]: a connection.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use weftwork_core::sync::atomic::{AtomicU64, Ordering};
use weftwork_core::wait::{self, Reason};
use weftwork_reactor::{Direction, Interest};

use crate::operation::{Done, Operation};
use crate::resolve::{ToSocketAddrs, each_address};
use crate::source::Source;
use crate::sys;
use crate::tcp::connect;

/// A TCP connection, used as [`std::net::TcpStream`] is.
///
/// `Read` and `Write` are there for `TcpStream` and for `&TcpStream`, so one task may read while
/// another one writes, without a lock. Several tasks may also wait to read: they are served first come,
/// first served, each with whatever bytes come next.
///
/// A call that cannot go on parks the green thread, or blocks the OS thread, that made it; the
/// [crate page](crate) tells more. Dropping the last handle closes the connection.
///
/// The descriptor itself is as std would have left it, not set `O_NONBLOCK`: converting to and from
/// [`std::net::TcpStream`] changes nothing that another owner could see.
pub struct TcpStream {
    inner: Arc<Inner>,
}

/// What the handles of one connection share.
pub(super) struct Inner {
    pub(super) source: Source<std::net::TcpStream>,
    /// Nanoseconds, by direction; 0 is no timeout.
    timeouts: [AtomicU64; 2],
}

/// Everything a stream is ever asked about. Urgent data is included because a receive stops short in
/// front of it, which must not be taken for "no more data".
const INTEREST: Interest = Interest::DUPLEX.with(Interest::PRIORITY);

impl TcpStream {
    /// Connects to the first of the addresses that accepts.
    ///
    /// The addresses are tried in order, each until it answers or the system gives it up; see
    /// [`connect_timeout`](Self::connect_timeout) to wait less.
    ///
    /// # Errors
    ///
    /// That of the last address; `InvalidInput` if there is none; the resolver's.
    #[track_caller]
    pub fn connect<A: ToSocketAddrs>(addr: A) -> io::Result<TcpStream> {
        each_address(addr, |address| connect::connect(address, None))
    }

    /// Connects to one address, waiting at most `timeout`. On expiry the attempt is abandoned.
    ///
    /// # Errors
    ///
    /// `TimedOut` on expiry, `InvalidInput` for a timeout of zero, and the system's errors.
    #[track_caller]
    pub fn connect_timeout(addr: &SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
        if timeout.is_zero() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "cannot set a 0 duration timeout",
            ));
        }
        connect::connect(addr, wait::deadline_after(timeout))
    }

    /// Takes a connected socket over. `nonblocking` is what its user asked for.
    pub(super) fn wrap(io: std::net::TcpStream, nonblocking: bool) -> Self {
        Self::from_source(Self::source(io, nonblocking))
    }

    /// A socket that may still be connecting.
    pub(super) fn source(
        io: std::net::TcpStream,
        nonblocking: bool,
    ) -> Source<std::net::TcpStream> {
        Source::new(io, INTEREST, nonblocking)
    }

    pub(super) fn from_source(source: Source<std::net::TcpStream>) -> Self {
        TcpStream {
            inner: Arc::new(Inner {
                source,
                timeouts: [AtomicU64::new(0), AtomicU64::new(0)],
            }),
        }
    }

    /// Takes the timeouts over that the descriptor carries, as std's streams do.
    pub(super) fn adopt_timeouts(&self) -> io::Result<()> {
        self.note_timeout(Direction::Read, self.std().read_timeout()?);
        self.note_timeout(Direction::Write, self.std().write_timeout()?);
        Ok(())
    }

    pub(super) fn into_inner(self) -> Arc<Inner> {
        self.inner
    }

    #[inline]
    pub(super) fn source_ref(&self) -> &Source<std::net::TcpStream> {
        &self.inner.source
    }

    #[inline]
    pub(super) fn std(&self) -> &std::net::TcpStream {
        self.inner.source.io()
    }

    /// Returns the address of the other end.
    ///
    /// # Errors
    ///
    /// The system's, such as `NotConnected`.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.std().peer_addr()
    }

    /// Returns the address of this end.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.std().local_addr()
    }

    /// Ends one direction or both, for all handles. Whoever waits in a direction that ends is woken:
    /// reads return what has arrived and then 0, writes fail with `BrokenPipe`.
    ///
    /// # Errors
    ///
    /// The system's, such as `NotConnected`.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.std().shutdown(how)
    }

    /// Makes another handle to the same connection.
    ///
    /// Unlike std's, it does not duplicate the descriptor, and cannot fail for want of one: the handles
    /// share it, its registration and its settings, timeouts included, and it is closed with the last of
    /// them. What this costs: a handle that has clones cannot give *the* descriptor away, so
    /// [`into_raw_fd`](std::os::fd::IntoRawFd::into_raw_fd) and conversions then give a duplicate.
    ///
    /// # Errors
    ///
    /// None; the result is there because std has one.
    pub fn try_clone(&self) -> io::Result<TcpStream> {
        Ok(TcpStream {
            inner: Arc::clone(&self.inner),
        })
    }

    /// Limits how long a blocking read may wait; `None` is for ever. It applies to all handles and to reads
    /// that begin later. The `_async` forms take no notice of it.
    ///
    /// A read that has waited so long fails with `TimedOut` (std: `WouldBlock`) and has received nothing.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a timeout of zero.
    pub fn set_read_timeout(&self, dur: Option<Duration>) -> io::Result<()> {
        // The descriptor carries it, too, for whoever gets it from `into_raw_fd`.
        self.std().set_read_timeout(dur)?;
        self.note_timeout(Direction::Read, dur);
        Ok(())
    }

    /// Limits how long a blocking write may wait; otherwise as
    /// [`set_read_timeout`](Self::set_read_timeout).
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a timeout of zero.
    pub fn set_write_timeout(&self, dur: Option<Duration>) -> io::Result<()> {
        self.std().set_write_timeout(dur)?;
        self.note_timeout(Direction::Write, dur);
        Ok(())
    }

    /// Returns the limit of blocking reads.
    ///
    /// # Errors
    ///
    /// None; the result is there because std has one.
    pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(self.timeout(Direction::Read))
    }

    /// Returns the limit of blocking writes.
    ///
    /// # Errors
    ///
    /// None; the result is there because std has one.
    pub fn write_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(self.timeout(Direction::Write))
    }

    fn note_timeout(&self, direction: Direction, timeout: Option<Duration>) {
        let ns = timeout.map_or(0, |t| u64::try_from(t.as_nanos()).unwrap_or(u64::MAX));
        // Relaxed: a setting, which orders nothing.
        self.inner.timeouts[direction as usize].store(ns, Ordering::Relaxed);
    }

    #[inline]
    fn timeout(&self, direction: Direction) -> Option<Duration> {
        // Relaxed: as in `note_timeout`.
        match self.inner.timeouts[direction as usize].load(Ordering::Relaxed) {
            0 => None,
            ns => Some(Duration::from_nanos(ns)),
        }
    }

    /// Receives without taking the bytes away: the next read gets them again. Waits as a read does.
    ///
    /// # Errors
    ///
    /// As a read.
    #[track_caller]
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        // A short peek says nothing about what is left: the bytes are still there.
        self.receive(buf.len(), |fd| sys::peek(fd, buf).map(Done::new))
    }

    /// Reads what there is and never waits.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is nothing, and the system's errors.
    pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let asked = buf.len();
        Operation::new(self.source_ref(), Direction::Read, |fd| {
            Ok(Done::transferred(sys::receive(fd, buf)?, asked))
        })
        .try_now()
    }

    /// Writes what there is room for and never waits.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is no room, and the system's errors.
    pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        Operation::new(self.source_ref(), Direction::Write, |fd| {
            Ok(Done::transferred(sys::send(fd, buf)?, buf.len()))
        })
        .try_now()
    }

    /// Sets `TCP_NODELAY`: small writes are sent at once instead of being gathered.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.std().set_nodelay(nodelay)
    }

    /// Returns `TCP_NODELAY`.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.std().nodelay()
    }

    /// Sets the hop limit of what is sent.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.std().set_ttl(ttl)
    }

    /// Returns the hop limit of what is sent.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn ttl(&self) -> io::Result<u32> {
        self.std().ttl()
    }

    /// Takes the connection's pending error.
    ///
    /// # Errors
    ///
    /// The system's, if it cannot be asked.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.std().take_error()
    }

    /// Chooses whether calls that would wait return `WouldBlock` instead, for all handles. This sets `O_NONBLOCK` as
    /// in std; setting that flag behind the stream's back has no effect on it.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.std().set_nonblocking(nonblocking)?;
        self.source_ref().note_nonblocking(nonblocking);
        Ok(())
    }

    #[track_caller]
    #[inline]
    fn receive(
        &self,
        asked: usize,
        attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<Done<usize>>,
    ) -> io::Result<usize> {
        if asked == 0 {
            return Ok(0); // The system would wait for a byte that nobody has room for.
        }
        self.transfer(Direction::Read, Reason::READ, attempt)
    }

    #[track_caller]
    #[inline]
    fn send(
        &self,
        asked: usize,
        mut attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<Done<usize>>,
    ) -> io::Result<usize> {
        if asked == 0 {
            // Never waits, full buffer or not; but it may report an error.
            return attempt(self.source_ref().fd()).map(|done| done.value);
        }
        self.transfer(Direction::Write, Reason::WRITE, attempt)
    }

    #[track_caller]
    #[inline]
    fn transfer(
        &self,
        direction: Direction,
        reason: Reason,
        attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<Done<usize>>,
    ) -> io::Result<usize> {
        let deadline = self.timeout(direction).and_then(deadline_after);
        self.source_ref()
            .perform(direction, reason, deadline, attempt)
    }
}

/// As [`wait::deadline_after`]; out of line, since most streams have no timeouts.
#[cold]
fn deadline_after(timeout: Duration) -> Option<Instant> {
    wait::deadline_after(timeout)
}

impl Read for &TcpStream {
    #[track_caller]
    #[inline]
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let asked = buf.len();
        self.receive(asked, |fd| {
            Ok(Done::transferred(sys::receive(fd, buf)?, asked))
        })
    }

    #[track_caller]
    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let asked = sys::asked(bufs.iter().map(|b| b.len()));
        self.receive(asked, |fd| {
            Ok(Done::transferred(sys::receive_vectored(fd, bufs)?, asked))
        })
    }
}

impl Write for &TcpStream {
    #[track_caller]
    #[inline]
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.send(buf.len(), |fd| {
            Ok(Done::transferred(sys::send(fd, buf)?, buf.len()))
        })
    }

    #[track_caller]
    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let asked = sys::asked(bufs.iter().map(|b| b.len()));
        self.send(asked, |fd| {
            Ok(Done::transferred(sys::send_vectored(fd, bufs)?, asked))
        })
    }

    /// Does nothing: the stream has no buffer of its own.
    #[inline]
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for TcpStream {
    #[track_caller]
    #[inline]
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buf)
    }

    #[track_caller]
    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(bufs)
    }
}

impl Write for TcpStream {
    #[track_caller]
    #[inline]
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&*self).write(buf)
    }

    #[track_caller]
    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(bufs)
    }

    #[inline]
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // As std shows its own: addresses if there are any, and the descriptor.
        self.std().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_stays_small() {
        // With the two counts of its `Arc`: what a connection costs here, besides its slot.
        let allocation = size_of::<Inner>() + 2 * size_of::<usize>();
        assert!(allocation <= 80, "{allocation} bytes");
    }
}
