//! Channels whose senders never wait: what has no room displaces the oldest message, or itself.
//!
//! For sensors, progress bars, samples: where a late message is worth less than a new one, or a new one
//! less than those that wait already. A send says what it displaced.
//!
//! ```
//! use weftwork_csp::lossy;
//!
//! let (sender, receiver) = lossy::sliding(2);
//! assert_eq!(sender.send(1), Ok(None));
//! assert_eq!(sender.send(2), Ok(None));
//! assert_eq!(sender.send(3), Ok(Some(1)));
//! drop(sender);
//! assert_eq!(receiver.into_iter().collect::<Vec<_>>(), [2, 3]);
//!
//! let (sender, receiver) = lossy::dropping(2);
//! assert_eq!(sender.send(1), Ok(None));
//! assert_eq!(sender.send(2), Ok(None));
//! assert_eq!(sender.send(3), Ok(Some(3)));
//! drop(sender);
//! assert_eq!(receiver.into_iter().collect::<Vec<_>>(), [1, 2]);
//! ```
//!
//! Both ends can be cloned and work from anywhere: OS threads, green threads, futures. Each message is
//! received once. The buffers are those of Clojure's core.async, by the same names.

mod buffer;
mod iter;
mod receiver;
mod sender;

pub use iter::{IntoIter, Iter, TryIter};
pub use receiver::{Receiver, RecvFuture};
pub use sender::Sender;

use buffer::Displace;

/// Makes a channel that keeps the last `capacity` messages: one more displaces the oldest.
///
/// # Panics
/// If `capacity` is zero.
///
/// ```
/// let (sender, receiver) = weftwork_csp::lossy::sliding(1);
/// sender.send("old").unwrap();
/// assert_eq!(sender.send("new"), Ok(Some("old")));
/// assert_eq!(receiver.recv(), Ok("new"));
/// ```
#[must_use]
#[track_caller]
pub fn sliding<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    buffer::channel(capacity, Displace::Oldest)
}

/// Makes a channel that keeps the first `capacity` messages: one more displaces itself.
///
/// # Panics
/// If `capacity` is zero.
///
/// ```
/// let (sender, receiver) = weftwork_csp::lossy::dropping(1);
/// sender.send("first").unwrap();
/// assert_eq!(sender.send("second"), Ok(Some("second")));
/// assert_eq!(receiver.recv(), Ok("first"));
/// ```
#[must_use]
#[track_caller]
pub fn dropping<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    buffer::channel(capacity, Displace::Newest)
}
