//! A channel for one message.
//!
//! One atomic word, the message in line, one allocation. A send is one read-modify-write if nobody
//! waits for it yet. Both ends work from anywhere: an OS thread, a green thread, a future.
//!
//! ```
//! use weftwork_csp::oneshot;
//!
//! let (sender, receiver) = oneshot::channel();
//! let worker = std::thread::spawn(move || sender.send(6 * 7));
//! assert_eq!(receiver.recv(), Ok(42));
//! worker.join().unwrap().unwrap();
//! ```
//!
//! The [`Receiver`] is a future and an [`Event`](weftwork_core::Event): poll `&mut receiver` to wait
//! for the message beside something else, and drop or keep it afterwards. A message that was sent is
//! received or dropped once, whatever the ends do meanwhile; one that was not is handed back in the
//! [`SendError`].
//!
//! The word and its protocol: the head of `oneshot/state.rs`.

mod receiver;
mod sender;
mod shared;
mod state;

pub use crate::error::{RecvError, RecvTimeoutError, SendError, TryRecvError};
pub use receiver::Receiver;
pub use sender::{Closed, Sender};

/// Makes a channel for one message.
///
/// ```
/// let (sender, receiver) = weftwork_csp::oneshot::channel();
/// sender.send("once").unwrap();
/// assert_eq!(receiver.recv(), Ok("once"));
/// ```
#[must_use]
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let (tx, rx) = shared::shared();
    (Sender { tx }, Receiver { rx })
}
