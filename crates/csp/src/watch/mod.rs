//! A value that changes, and receivers that see the latest.
//!
//! A receiver that is slow skips what was there in between. To look at the value takes a snapshot, not
//! a lock: a [`Ref`] may be kept as long as one likes, across waits, and holds up nobody. So a change
//! is made on the side and then put in place: [`Sender::send_modify`] works on a clone.
//!
//! ```
//! use weftwork_csp::watch;
//!
//! let (level, mut reader) = watch::channel(0);
//! let gauge = std::thread::spawn(move || {
//!     let high = reader.wait_for(|level| *level >= 10).unwrap();
//!     *high
//! });
//! level.send(3).unwrap();
//! level.send_modify(|level| *level += 8);
//! assert_eq!(gauge.join().unwrap(), 11);
//! ```
//!
//! Both ends can be cloned and work from anywhere: OS threads, green threads, futures.

mod receiver;
mod sender;
mod value;

pub use receiver::{ChangedFuture, Receiver, WaitForFuture};
pub use sender::{Closed, Sender};
pub use value::Ref;

/// Makes a channel with a first value, which the receiver has seen.
///
/// ```
/// let (sender, receiver) = weftwork_csp::watch::channel("first");
/// assert_eq!(*receiver.borrow(), "first");
/// assert_eq!(receiver.has_changed(), Ok(false));
/// sender.send("second").unwrap();
/// assert_eq!(receiver.has_changed(), Ok(true));
/// ```
#[must_use]
pub fn channel<T>(value: T) -> (Sender<T>, Receiver<T>) {
    value::channel(value)
}
