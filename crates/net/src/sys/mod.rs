//! The system calls of sockets, each behind a safe function that borrows its descriptor.
//!
//! Transfers pass `MSG_DONTWAIT`, so that a stream never blocks its thread and yet needs no
//! `O_NONBLOCK`: that flag belongs to the open file description, which duplicates, other processes
//! and a later owner share. Only a listener and a connecting socket must carry it.

mod address;
mod options;
mod poll;
mod raw;

pub(crate) use options::{
    is_nonblocking, pending_error, set_bind_address_no_port, set_nodelay, set_nonblocking,
    set_receive_buffer, set_reuse_address, set_reuse_port, set_send_buffer,
};
pub(crate) use poll::wait_ready;

use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use address::Address;

/// The most buffers one vectored call takes; Linux refuses more.
const MAX_BUFFERS: usize = 1024;

/// Turns the convention of system calls, -1 and `errno`, into a result.
fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// As [`check`], for calls that count bytes.
#[inline]
fn check_count(result: libc::ssize_t) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// Receives what there is into `buffer`.
#[inline]
pub(crate) fn receive(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    receive_with(fd, buffer, libc::MSG_DONTWAIT)
}

/// Receives without taking what it received.
pub(crate) fn peek(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    receive_with(fd, buffer, libc::MSG_DONTWAIT | libc::MSG_PEEK)
}

#[inline]
fn receive_with(fd: BorrowedFd<'_>, buffer: &mut [u8], flags: libc::c_int) -> io::Result<usize> {
    let (pointer, length) = (buffer.as_mut_ptr().cast(), buffer.len());
    // SAFETY: the pointer and the length are those of a buffer borrowed for the call, and the kernel
    // writes initialised bytes only.
    check_count(unsafe { raw::recv(fd.as_raw_fd(), pointer, length, flags) })
}

/// Receives into several buffers, in order.
pub(crate) fn receive_vectored(
    fd: BorrowedFd<'_>,
    buffers: &mut [IoSliceMut<'_>],
) -> io::Result<usize> {
    // `IoSliceMut` has the layout of `iovec`, as std guarantees on Unix.
    let mut header = message(buffers.as_mut_ptr().cast(), buffers.len());
    // SAFETY: the header is valid and names buffers that are borrowed for the call; no more of them
    // than there are.
    check_count(unsafe { libc::recvmsg(fd.as_raw_fd(), &mut header, libc::MSG_DONTWAIT) })
}

/// Sends as much of `bytes` as there is room for. A closed peer is an error, not a signal.
#[inline]
pub(crate) fn send(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    let (pointer, length) = (bytes.as_ptr().cast(), bytes.len());
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: the pointer and the length are those of a slice borrowed for the call.
    check_count(unsafe { raw::send(fd.as_raw_fd(), pointer, length, flags) })
}

/// Sends from several buffers, in order.
pub(crate) fn send_vectored(fd: BorrowedFd<'_>, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
    // `IoSlice` has the layout of `iovec`; `sendmsg` only reads through the pointer.
    let header = message(buffers.as_ptr().cast_mut().cast(), buffers.len());
    // SAFETY: as in `receive_vectored`.
    check_count(unsafe {
        libc::sendmsg(
            fd.as_raw_fd(),
            &header,
            libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
        )
    })
}

fn message(buffers: *mut libc::iovec, count: usize) -> libc::msghdr {
    // SAFETY: `msghdr` is a struct of integers and pointers, for which zero means "none".
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = buffers;
    header.msg_iovlen = count.min(MAX_BUFFERS) as _;
    header
}

/// The number of bytes that a vectored call asks for.
pub(crate) fn asked(lengths: impl Iterator<Item = usize>) -> usize {
    lengths.take(MAX_BUFFERS).fold(0, usize::saturating_add)
}

/// Makes a TCP socket of the family of `address`.
pub(crate) fn tcp_socket(is_ipv4: bool) -> io::Result<OwnedFd> {
    let family = if is_ipv4 {
        libc::AF_INET
    } else {
        libc::AF_INET6
    };
    // SAFETY: the call takes no pointers.
    let fd = check(unsafe { libc::socket(family, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) })?;
    Ok(own(fd))
}

/// Starts to connect. A socket that does not block reports `InProgress`.
pub(crate) fn connect(fd: BorrowedFd<'_>, address: &SocketAddr) -> io::Result<()> {
    let address = Address::from(address);
    let (pointer, length) = address.as_raw();
    // SAFETY: the pointer and the length are those of an address that lives until after the call.
    check(unsafe { libc::connect(fd.as_raw_fd(), pointer, length) })?;
    Ok(())
}

/// Gives the socket its own address.
pub(crate) fn bind(fd: BorrowedFd<'_>, address: &SocketAddr) -> io::Result<()> {
    let address = Address::from(address);
    let (pointer, length) = address.as_raw();
    // SAFETY: as in `connect`.
    check(unsafe { libc::bind(fd.as_raw_fd(), pointer, length) })?;
    Ok(())
}

/// Lets the socket be connected to; `backlog` connections may wait.
pub(crate) fn listen(fd: BorrowedFd<'_>, backlog: u32) -> io::Result<()> {
    let backlog = libc::c_int::try_from(backlog).unwrap_or(libc::c_int::MAX);
    // SAFETY: the call takes no pointers.
    check(unsafe { libc::listen(fd.as_raw_fd(), backlog) })?;
    Ok(())
}

/// Takes the next connection of a listener that does not block.
pub(crate) fn accept(fd: BorrowedFd<'_>) -> io::Result<(OwnedFd, SocketAddr)> {
    let mut address = Address::empty();
    let accepted = {
        let (pointer, length) = address.as_raw_mut();
        // SAFETY: the pointers are those of an address and of its length, which says how much room
        // there is; both live until after the call.
        check(unsafe { libc::accept4(fd.as_raw_fd(), pointer, length, libc::SOCK_CLOEXEC) })?
    };
    let accepted = own(accepted);
    Ok((accepted, address.to_socket_addr()?))
}

/// Tells whether the socket is connected.
pub(crate) fn has_peer(fd: BorrowedFd<'_>) -> io::Result<bool> {
    let mut address = Address::empty();
    let (pointer, length) = address.as_raw_mut();
    // SAFETY: as in `accept`.
    match check(unsafe { libc::getpeername(fd.as_raw_fd(), pointer, length) }) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
        Err(error) => Err(error),
    }
}

/// The socket's own address.
pub(crate) fn local_address(fd: BorrowedFd<'_>) -> io::Result<SocketAddr> {
    let mut address = Address::empty();
    {
        let (pointer, length) = address.as_raw_mut();
        // SAFETY: as in `accept`.
        check(unsafe { libc::getsockname(fd.as_raw_fd(), pointer, length) })?;
    }
    address.to_socket_addr()
}

/// Owns a descriptor that a system call has just returned.
fn own(fd: RawFd) -> OwnedFd {
    // SAFETY: the descriptor is new, so nobody else owns it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}
