//! TCP with the names and signatures of [`std::net`], for green threads, OS threads and futures.
//!
//! Write plain blocking code. What waits depends on who calls, and the same socket serves all of
//! them, at the same time if need be:
//!
//! | caller | a read without data |
//! | --- | --- |
//! | a green thread | parks the green thread; its worker goes on with other tasks |
//! | an OS thread | blocks the thread in `poll(2)`; no runtime is needed |
//! | a future, by the `_async` forms | returns `Pending` |
//!
//! A system call is always tried before anything waits, so a busy connection costs one `recv` and
//! one `send` per request and nothing else.
//!
//! ```
//! use std::io::{Read, Write};
//! use weftwork_net::{TcpListener, TcpStream};
//!
//! # fn main() -> std::io::Result<()> {
//! let listener = TcpListener::bind("127.0.0.1:0")?;
//! let address = listener.local_addr()?;
//! let server = std::thread::spawn(move || -> std::io::Result<()> {
//!     let (mut connection, _peer) = listener.accept()?;
//!     let mut buffer = [0; 64];
//!     let count = connection.read(&mut buffer)?;
//!     connection.write_all(&buffer[..count])
//! });
//!
//! let mut client = TcpStream::connect(address)?;
//! client.write_all(b"hello")?;
//! let mut answer = String::new();
//! client.read_to_string(&mut answer)?;
//! assert_eq!(answer, "hello");
//! server.join().expect("the server does not panic")?;
//! # Ok(())
//! # }
//! ```
//!
//! # What differs from std
//!
//! - A timeout that expires is [`TimedOut`](std::io::ErrorKind::TimedOut); std says `WouldBlock` on Unix.
//! - [`TcpStream::try_clone`] shares the descriptor instead of duplicating it.
//! - [`TcpListener::accept`] waits out a shortage of file descriptors instead of failing.
//! - A read or peek with an empty buffer returns 0 at once; std's waits until something is there.
//! - [`ToSocketAddrs`] is a trait of this crate, for the same types, so that looking a host up does
//!   not block a worker.
//!
//! # Cancellation
//!
//! A wait is a point where a cancelled green thread unwinds, and a future may be dropped at any time.
//! Neither loses data: bytes are transferred by the last step of an operation or not at all.

mod operation;
mod resolve;
mod source;
mod sys;
mod tcp;

pub use resolve::ToSocketAddrs;
pub use tcp::{Exhaustion, Incoming, ListenerStats, TcpListener, TcpSocket, TcpStream};

/// As in [`std::net`].
pub use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, SocketAddrV4, SocketAddrV6};
