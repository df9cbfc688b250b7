//! TCP: streams, listeners, and sockets that are to become one of them.

mod accept;
mod connect;
mod convert;
mod futures;
mod listener;
mod socket;
mod stream;

pub use accept::{Exhaustion, ListenerStats};
pub use listener::{Incoming, TcpListener};
pub use socket::TcpSocket;
pub use stream::TcpStream;
