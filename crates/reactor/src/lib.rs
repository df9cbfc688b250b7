//! Readiness polling on epoll, and timers: the part of a runtime that waits for the outside world.
//!
//! The crate knows nothing of tasks or schedulers. It has four layers, each usable alone:
//!
//! - [`Poller`]: file descriptors in, [`Event`]s out. Edge, level and oneshot triggering,
//!   nanosecond timeouts, and a [`wake`](Poller::wake) that costs a system call only if somebody
//!   sleeps.
//! - [`Driver`]: a poller with a table of [`Registration`]s. A registration remembers readiness, so
//!   that a task asks "may I read?" with one atomic load, and wakes [`Waker`](std::task::Waker)s.
//! - [`Wheel`]: a hierarchical timer wheel with nanosecond deadlines that never fires early.
//! - [`Clock`]: monotonic nanoseconds for the wheel.
//!
//! ```
//! use std::io::{Read, Write};
//! use std::os::fd::AsRawFd;
//! use std::os::unix::net::UnixStream;
//! use weftwork_reactor::{Events, Interest, Mode, Poller, Token};
//!
//! # fn main() -> std::io::Result<()> {
//! let poller = Poller::new()?;
//! let (mut near, mut far) = UnixStream::pair()?;
//! near.set_nonblocking(true)?;
//! poller.add(near.as_raw_fd(), Token::new(7, 0), Interest::READABLE, Mode::Edge)?;
//!
//! far.write_all(b"ping")?;
//! let mut events = Events::with_capacity(64);
//! poller.wait(&mut events, None)?;
//! let event = events.iter().next().expect("the stream is readable");
//! assert_eq!(event.token.index(), 7);
//! assert!(event.readable && !event.read_closed);
//!
//! let mut bytes = [0; 8];
//! assert_eq!(near.read(&mut bytes)?, 4);
//! poller.delete(near.as_raw_fd())?;
//! # Ok(())
//! # }
//! ```
//!
//! Linux is the only back end so far; `sys/mod.rs` lists what another one must provide.

#[cfg(not(any(target_os = "linux", target_os = "android")))]
compile_error!("weftwork-reactor has no back end for this system yet: it needs epoll");

mod clock;
mod driver;
mod event;
mod interest;
mod poller;
mod registration;
mod slot;
mod stats;
mod sys;
mod table;
mod token;
mod waiters;
mod wake_word;
mod wheel;

pub use clock::Clock;
pub use driver::{Driver, Turn};
pub use event::{Event, Events, Iter};
pub use interest::{Interest, Mode};
pub use poller::Poller;
pub use registration::{Readiness, Registration};
pub use slot::{Direction, Ready};
pub use stats::{DriverStats, PollerStats};
pub use token::Token;
pub use wheel::{TimerKey, Wheel};

/// The protocols without their system calls, public only so that the loom models can drive them.
///
/// Not part of the crate's interface: anything here may change in any release.
#[doc(hidden)]
pub mod protocol {
    pub use crate::slot::{Change, Slot, Ticket};
    pub use crate::wake_word::WakeWord;
}
