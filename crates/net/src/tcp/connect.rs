//! Making a connection: `connect` without blocking, then the wait for its outcome.
//!
//! The outcome comes as writability with `SO_ERROR`; but an event may also be left over or made up, so
//! a connection is believed only when the socket has a peer.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use weftwork_core::wait::Reason;
use weftwork_reactor::Direction;

use crate::operation::{Done, Failure, Operation};
use crate::source::Source;
use crate::sys;
use crate::tcp::futures::{Wait, no_driver};
use crate::tcp::stream::TcpStream;

/// Connects a new socket.
///
/// # Errors
///
/// `TimedOut` if the deadline passed first, and the system's.
#[track_caller]
pub(super) fn connect(address: &SocketAddr, deadline: Option<Instant>) -> io::Result<TcpStream> {
    connect_socket(sys::tcp_socket(address.is_ipv4())?, address, deadline)
}

/// Connects a socket that may have been bound and set up before.
///
/// # Errors
///
/// As [`connect`].
#[track_caller]
pub(super) fn connect_socket(
    socket: OwnedFd,
    address: &SocketAddr,
    deadline: Option<Instant>,
) -> io::Result<TcpStream> {
    let source = start(socket, address)?;
    source.perform(Direction::Write, Reason::CONNECT, deadline, outcome)?;
    finish(source)
}

/// As [`connect_socket`], for futures.
///
/// # Errors
///
/// As [`connect`], and `Unsupported` where there is no runtime to wait with.
pub(super) async fn connect_socket_async(
    socket: OwnedFd,
    address: &SocketAddr,
) -> io::Result<TcpStream> {
    let source = start(socket, address)?;
    match Wait(Operation::new(&source, Direction::Write, outcome)).await {
        Ok(()) => finish(source),
        Err(Failure::Io(error)) => Err(error),
        Err(Failure::NoDriver) => Err(no_driver()),
    }
}

/// Issues the call. The source is registered later than that, if at all: a socket that is neither
/// connected nor connecting would report a hang-up.
fn start(socket: OwnedFd, address: &SocketAddr) -> io::Result<Source<std::net::TcpStream>> {
    sys::set_nonblocking(socket.as_fd(), true)?;
    match sys::connect(socket.as_fd(), address) {
        Ok(()) => {}
        Err(error) => match error.raw_os_error() {
            // Interrupted by a signal, the attempt goes on all the same.
            Some(libc::EINPROGRESS | libc::EINTR) => {}
            _ => return Err(error),
        },
    }
    Ok(TcpStream::source(std::net::TcpStream::from(socket), false))
}

/// Asks how the attempt ended: `WouldBlock` means that it has not.
fn outcome(fd: BorrowedFd<'_>) -> io::Result<Done<()>> {
    if let Some(error) = sys::pending_error(fd)? {
        return Err(error);
    }
    if sys::has_peer(fd)? {
        return Ok(Done::new(()));
    }
    // No error, no peer: still under way, or over with the error taken by somebody else. A receive tells
    // the two apart, since it would block only on the former.
    sys::peek(fd, &mut [0]).map(|_| Done::new(()))
}

/// Makes the connected socket an ordinary stream.
fn finish(source: Source<std::net::TcpStream>) -> io::Result<TcpStream> {
    sys::set_nonblocking(source.fd(), false)?;
    Ok(TcpStream::from_source(source))
}
