//! Channels whose every message is received by every receiver.
//!
//! Two ways to deal with a receiver that is slow, chosen when the channel is made:
//!
//! - [`lagging`]: senders never wait. A receiver that is more than the capacity behind misses the oldest
//!   messages, and is told how many.
//! - [`bounded`]: nothing is missed. A send waits until the slowest receiver has made room.
//!
//! ```
//! use weftwork_csp::broadcast;
//!
//! let (sender, mut first) = broadcast::bounded(8);
//! let mut second = sender.subscribe();
//! let reader = std::thread::spawn(move || (second.recv(), second.recv()));
//! sender.send("to all").unwrap();
//! drop(sender);
//! assert_eq!(first.recv(), Ok("to all"));
//! assert_eq!(first.recv(), Err(broadcast::RecvError::Disconnected));
//! let (message, end) = reader.join().unwrap();
//! assert_eq!((message, end.is_err()), (Ok("to all"), true));
//! ```
//!
//! A receiver sees what is sent after it was made. The last one to receive a message gets the message
//! itself; the others get clones, made while nothing is locked. Since several of them may clone at once,
//! a message has to be [`Sync`] to be sent between threads. It is dropped once all have seen it.

mod error;
mod handles;
mod receiver;
mod ring;
mod sender;

pub use error::{RecvError, RecvTimeoutError, TryRecvError};
pub use receiver::{Receiver, RecvFuture};
pub use sender::{SendFuture, Sender};

use ring::Mode;

/// Makes a channel whose receivers miss the oldest messages when they are more than `capacity` behind.
/// Its senders never wait.
///
/// # Panics
/// If `capacity` is zero.
///
/// ```
/// use weftwork_csp::broadcast::{self, RecvError};
///
/// let (sender, mut receiver) = broadcast::lagging(2);
/// for n in 0..5 {
///     sender.send(n).unwrap();
/// }
/// assert_eq!(receiver.recv(), Err(RecvError::Lagged(3)));
/// assert_eq!(receiver.recv(), Ok(3));
/// ```
#[must_use]
#[track_caller]
pub fn lagging<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    handles::channel(capacity, Mode::Lagging)
}

/// Makes a channel whose senders wait while a receiver is `capacity` messages behind.
///
/// # Panics
/// If `capacity` is zero.
///
/// ```
/// let (sender, mut receiver) = weftwork_csp::broadcast::bounded(1);
/// sender.send(1).unwrap();
/// assert!(sender.try_send(2).unwrap_err().is_full());
/// assert_eq!(receiver.recv(), Ok(1));
/// sender.try_send(2).unwrap();
/// ```
#[must_use]
#[track_caller]
pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    handles::channel(capacity, Mode::Bounded)
}
