//! The forms for `async` code: the same operations, polled by an executor.
//!
//! A socket that has to wait needs a driver to wait with: that of the current weftwork worker, or the
//! one it has registered with before. In a foreign executor, without either, the forms fail with
//! `Unsupported`. None of them blocks the polling thread, none takes notice of read or write timeouts: wrap
//! the future in a timeout instead.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use weftwork_reactor::Direction;
use weftwork_sched::{Handle, sleep_async};

use crate::operation::{Done, Failure, Operation, ReadyWait};
use crate::resolve::{ToSocketAddrs, no_addresses};
use crate::source::Source;
use crate::sys;
use crate::tcp::accept::Backoff;
use crate::tcp::connect;
use crate::tcp::listener::{TcpListener, stream};
use crate::tcp::stream::TcpStream;

/// An [`Operation`] as a future.
pub(super) struct Wait<'a, S, F>(pub(super) Operation<'a, S, F>);

impl<S, F> Unpin for Wait<'_, S, F> {}

impl<S, R, F> Future for Wait<'_, S, F>
where
    S: AsFd,
    F: FnMut(BorrowedFd<'_>) -> io::Result<Done<R>>,
{
    type Output = Result<R, Failure>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll(context)
    }
}

/// The error for a wait where there is nothing to wait with.
pub(super) fn no_driver() -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        "no weftwork runtime entered on this thread",
    )
}

/// Performs `attempt` under the executor's waker.
async fn perform<S: AsFd, R>(
    source: &Source<S>,
    direction: Direction,
    attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<Done<R>>,
) -> io::Result<R> {
    let mut operation = Operation::new(source, direction, attempt);
    if source.is_nonblocking() {
        return operation.try_now();
    }
    match Wait(operation).await {
        Ok(value) => Ok(value),
        Err(Failure::Io(error)) => Err(error),
        Err(Failure::NoDriver) => Err(no_driver()),
    }
}

/// Waits until a direction is worth trying.
async fn until_ready<S: AsFd>(source: &Source<S>, direction: Direction) -> io::Result<()> {
    let mut wait = ReadyWait::new(source, direction);
    std::future::poll_fn(|context| {
        Poll::Ready(match ready!(wait.poll(context)) {
            Ok(()) => Ok(()),
            Err(Failure::Io(error)) => Err(error),
            Err(Failure::NoDriver) => Err(no_driver()),
        })
    })
    .await
}

impl TcpStream {
    /// Connects to the first of the addresses that accepts.
    ///
    /// The name of a host is looked up as in [`ToSocketAddrs`]: under weftwork only the task waits, but in a
    /// foreign executor the lookup blocks the thread. Pass addresses there.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect), and `Unsupported` if no weftwork runtime was entered.
    pub async fn connect_async<A: ToSocketAddrs>(addr: A) -> io::Result<TcpStream> {
        let mut last = None;
        for address in addr.to_socket_addrs()? {
            let socket = sys::tcp_socket(address.is_ipv4())?;
            match connect::connect_socket_async(socket, &address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(no_addresses))
    }

    /// Reads what there is; waits for something. Returns 0 at the end of the stream, or for an empty buffer.
    ///
    /// Cancel-safe: a future that is dropped before it completed has received nothing.
    ///
    /// # Errors
    ///
    /// The system's, `WouldBlock` if the stream is non-blocking, and `Unsupported` if it has to wait and no
    /// weftwork runtime was entered.
    pub async fn read_async(&self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let asked = buf.len();
        perform(self.source_ref(), Direction::Read, |fd| {
            Ok(Done::transferred(sys::receive(fd, buf)?, asked))
        })
        .await
    }

    /// Fills the buffer.
    ///
    /// Not cancel-safe: if it is dropped, it is not known how much was received.
    ///
    /// # Errors
    ///
    /// As [`read_async`](Self::read_async), and `UnexpectedEof` if the stream ends before.
    pub async fn read_exact_async(&self, mut buf: &mut [u8]) -> io::Result<()> {
        while !buf.is_empty() {
            match self.read_async(buf).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => buf = &mut buf[count..],
            }
        }
        Ok(())
    }

    /// Receives without taking the bytes away; otherwise as [`read_async`](Self::read_async).
    ///
    /// # Errors
    ///
    /// As [`read_async`](Self::read_async).
    pub async fn peek_async(&self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        perform(self.source_ref(), Direction::Read, |fd| {
            sys::peek(fd, buf).map(Done::new)
        })
        .await
    }

    /// Writes what there is room for; waits for some room.
    ///
    /// Cancel-safe: a future that is dropped before it completed has sent nothing.
    ///
    /// # Errors
    ///
    /// As [`read_async`](Self::read_async).
    pub async fn write_async(&self, buf: &[u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return sys::send(self.source_ref().fd(), buf);
        }
        perform(self.source_ref(), Direction::Write, |fd| {
            Ok(Done::transferred(sys::send(fd, buf)?, buf.len()))
        })
        .await
    }

    /// Writes everything.
    ///
    /// Not cancel-safe: if it is dropped, it is not known how much was sent.
    ///
    /// # Errors
    ///
    /// As [`read_async`](Self::read_async), and `WriteZero` should the system take nothing.
    pub async fn write_all_async(&self, mut buf: &[u8]) -> io::Result<()> {
        while !buf.is_empty() {
            match self.write_async(buf).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                count => buf = &buf[count..],
            }
        }
        Ok(())
    }

    /// Waits until [`try_read`](Self::try_read) is worth a try. It may still say `WouldBlock`; then wait again.
    ///
    /// # Errors
    ///
    /// The driver's, and `Unsupported` if no weftwork runtime was entered.
    pub async fn readable(&self) -> io::Result<()> {
        until_ready(self.source_ref(), Direction::Read).await
    }

    /// Waits until [`try_write`](Self::try_write) is worth a try; otherwise as [`readable`](Self::readable).
    ///
    /// # Errors
    ///
    /// As [`readable`](Self::readable).
    pub async fn writable(&self) -> io::Result<()> {
        until_ready(self.source_ref(), Direction::Write).await
    }
}

impl TcpListener {
    /// Accepts the next connection; waits for one. Cancel-safe. A shortage of descriptors is waited out as
    /// by [`accept`](Self::accept); the accept timeout does not apply.
    ///
    /// # Errors
    ///
    /// The system's, `WouldBlock` if the listener is non-blocking, and `Unsupported` if it has to wait and no
    /// weftwork runtime was entered.
    pub async fn accept_async(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let mut backoff = Backoff::new();
        loop {
            let inner = self.inner();
            let result = perform(&inner.source, Direction::Read, |fd| {
                inner.counters.attempt(fd)
            })
            .await;
            match result {
                // Without a runtime there are no timers, and the shortage is the caller's to deal with.
                Err(error) if self.may_retry(&error, None) && Handle::current().is_some() => {
                    sleep_async(backoff.next()).await;
                }
                result => return result.map(stream),
            }
        }
    }

    /// Waits until [`try_accept`](Self::try_accept) is worth a try. It may still say `WouldBlock`; then wait again.
    ///
    /// # Errors
    ///
    /// As [`TcpStream::readable`].
    pub async fn acceptable(&self) -> io::Result<()> {
        until_ready(&self.inner().source, Direction::Read).await
    }
}
