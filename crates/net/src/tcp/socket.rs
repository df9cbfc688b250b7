//! [`TcpSocket`]: options first, then a connection or a listener.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use weftwork_core::wait;

use crate::sys;
use crate::tcp::connect;
use crate::tcp::listener::TcpListener;
use crate::tcp::stream::TcpStream;

/// A TCP socket that is neither connected nor listening yet, for options that must be set before.
///
/// ```
/// use weftwork_net::{TcpSocket, TcpStream};
///
/// # fn main() -> std::io::Result<()> {
/// let socket = TcpSocket::new_v4()?;
/// socket.set_reuseport(true)?; // Several listeners, one port.
/// socket.bind("127.0.0.1:0".parse().unwrap())?;
/// let listener = socket.listen(4096)?;
///
/// let socket = TcpSocket::new_v4()?;
/// socket.bind("127.0.0.2:0".parse().unwrap())?; // The address to connect from.
/// let client = socket.connect(listener.local_addr()?)?;
/// assert_eq!(listener.accept()?.1, client.local_addr()?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TcpSocket {
    fd: OwnedFd,
}

impl TcpSocket {
    /// Makes a socket for IPv4.
    ///
    /// # Errors
    ///
    /// The system's, such as a shortage of descriptors.
    pub fn new_v4() -> io::Result<TcpSocket> {
        Ok(TcpSocket {
            fd: sys::tcp_socket(true)?,
        })
    }

    /// Makes a socket for IPv6.
    ///
    /// # Errors
    ///
    /// As [`new_v4`](Self::new_v4).
    pub fn new_v6() -> io::Result<TcpSocket> {
        Ok(TcpSocket {
            fd: sys::tcp_socket(false)?,
        })
    }

    /// Makes a socket of the family of `address`.
    pub(super) fn new_for(address: &SocketAddr) -> io::Result<TcpSocket> {
        Ok(TcpSocket {
            fd: sys::tcp_socket(address.is_ipv4())?,
        })
    }

    /// Sets `SO_REUSEADDR`: an address may be bound while connections of a former listener linger.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn set_reuseaddr(&self, reuse: bool) -> io::Result<()> {
        sys::set_reuse_address(self.fd.as_fd(), reuse)
    }

    /// Sets `SO_REUSEPORT`: several sockets of one user may listen at one address, and the kernel spreads
    /// connections over them by a hash of their addresses, evenly only by chance.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn set_reuseport(&self, reuse: bool) -> io::Result<()> {
        sys::set_reuse_port(self.fd.as_fd(), reuse)
    }

    /// Sets `IP_BIND_ADDRESS_NO_PORT`: a [`bind`](Self::bind) to port 0 leaves the choice of the port to
    /// `connect`, which then may use a port again for another destination. For clients that open many
    /// connections from one address.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn set_bind_address_no_port(&self, late: bool) -> io::Result<()> {
        sys::set_bind_address_no_port(self.fd.as_fd(), late)
    }

    /// Sets `TCP_NODELAY`.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        sys::set_nodelay(self.fd.as_fd(), nodelay)
    }

    /// Asks for a send buffer of so many bytes. The system rounds, doubles and limits it, and stops tuning it by itself.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn set_send_buffer_size(&self, bytes: u32) -> io::Result<()> {
        sys::set_send_buffer(self.fd.as_fd(), bytes)
    }

    /// Asks for a receive buffer of so many bytes; otherwise as
    /// [`set_send_buffer_size`](Self::set_send_buffer_size). On a listener it is what connections begin with.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn set_recv_buffer_size(&self, bytes: u32) -> io::Result<()> {
        sys::set_receive_buffer(self.fd.as_fd(), bytes)
    }

    /// Gives the socket its own address: where to listen, or what to connect from.
    ///
    /// # Errors
    ///
    /// `AddrInUse`, `AddrNotAvailable`, and the system's others.
    pub fn bind(&self, address: SocketAddr) -> io::Result<()> {
        sys::bind(self.fd.as_fd(), &address)
    }

    /// Returns the socket's own address.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        sys::local_address(self.fd.as_fd())
    }

    /// Starts to listen, with room for `backlog` connections that nobody has accepted yet. The system may
    /// allow less, on Linux `net.core.somaxconn`.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn listen(self, backlog: u32) -> io::Result<TcpListener> {
        sys::listen(self.fd.as_fd(), backlog)?;
        sys::set_nonblocking(self.fd.as_fd(), true)?;
        Ok(TcpListener::wrap(self.fd.into(), false))
    }

    /// Connects; waits as [`TcpStream::connect`] does.
    ///
    /// # Errors
    ///
    /// As [`TcpStream::connect`].
    #[track_caller]
    pub fn connect(self, address: SocketAddr) -> io::Result<TcpStream> {
        connect::connect_socket(self.fd, &address, None)
    }

    /// Connects; waits at most `timeout`, as [`TcpStream::connect_timeout`] does.
    ///
    /// # Errors
    ///
    /// As [`TcpStream::connect_timeout`], but a timeout of zero gives up at once if the connection is not made by then.
    #[track_caller]
    pub fn connect_timeout(self, address: SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
        connect::connect_socket(self.fd, &address, wait::deadline_after(timeout))
    }

    /// Connects, as a future.
    ///
    /// # Errors
    ///
    /// As [`TcpStream::connect_async`].
    pub async fn connect_async(self, address: SocketAddr) -> io::Result<TcpStream> {
        connect::connect_socket_async(self.fd, &address).await
    }
}

impl AsFd for TcpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for TcpSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl From<TcpSocket> for OwnedFd {
    fn from(socket: TcpSocket) -> OwnedFd {
        socket.fd
    }
}
