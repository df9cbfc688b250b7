//! What the echo servers share: the listening socket, and the line that says it listens.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

use crate::cli::Run;
use crate::workload::BACKLOG;

/// Returns the address a server is asked to serve.
pub(crate) fn address(run: &Run) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, run.port))
}

/// Opens the listening socket; with `shared`, one of several on the same port.
pub(crate) fn listen(run: &Run, shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&address(run).into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Says on standard output that the server listens; who started it waits for this line.
pub(crate) fn announce(run: &Run, peer: &str) {
    println!(
        r#"{{"bench":"echo","peer":"{peer}","workers":{},"listening":{}}}"#,
        run.workers, run.port
    );
}
