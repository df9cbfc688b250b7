//! The permits themselves.

use crate::Sender;
use crate::error::SendError;
use std::fmt;
use std::mem::ManuallyDrop;

/// Holds room for one message in a channel.
///
/// Made by [`Sender::reserve`] and its sisters. Sending by it never waits. It stays good when the channel
/// is closed; a receiver learns of the end only when all permits have come back. Dropping it gives the
/// room back, to the next sender in line.
///
/// A permit that is forgotten (`std::mem::forget`) keeps its room for ever.
///
/// ```
/// use weftwork_csp::{TryRecvError, bounded};
///
/// let (s, r) = bounded(1);
/// let permit = s.reserve().unwrap();
/// assert!(s.try_send(1).unwrap_err().is_full());
/// s.close();
/// assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
/// permit.send(2).unwrap();
/// assert_eq!(r.try_recv(), Ok(2));
/// assert_eq!(r.try_recv(), Err(TryRecvError::Disconnected));
/// ```
#[must_use = "a permit that is dropped gives its room back"]
pub struct Permit<'a, T> {
    sender: &'a Sender<T>,
}

impl<'a, T> Permit<'a, T> {
    /// The caller has taken the room.
    pub(super) fn new(sender: &'a Sender<T>) -> Self {
        Permit { sender }
    }

    /// Sends the message. Never waits.
    ///
    /// # Errors
    /// All receivers are gone; here is the message back. A channel that was closed meanwhile takes it.
    pub fn send(self, msg: T) -> Result<(), SendError<T>> {
        let used = ManuallyDrop::new(self);
        used.sender.channel().send_by_permit(msg).map_err(SendError)
    }

    /// Makes it a permit that owns a sender, to be stored or moved to another task.
    ///
    /// ```
    /// let (s, r) = weftwork_csp::bounded(1);
    /// let permit = s.reserve().unwrap().into_owned();
    /// let sender = std::thread::spawn(move || permit.send(5).is_ok());
    /// assert_eq!(r.recv(), Ok(5));
    /// assert!(sender.join().unwrap());
    /// ```
    pub fn into_owned(self) -> OwnedPermit<T> {
        let kept = ManuallyDrop::new(self);
        OwnedPermit {
            sender: Some(kept.sender.clone()),
        }
    }
}

impl<T> Drop for Permit<'_, T> {
    fn drop(&mut self) {
        self.sender.channel().release_permit();
    }
}

impl<T> fmt::Debug for Permit<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Permit { .. }")
    }
}

/// Holds room for one message in a channel, and a sender of it.
///
/// Made by [`Sender::reserve_owned`], [`Sender::try_reserve_owned`] and [`Permit::into_owned`]; otherwise
/// as a [`Permit`].
///
/// ```
/// let (s, r) = weftwork_csp::bounded(1);
/// let permit = s.reserve_owned().unwrap();
/// let s = permit.send("letter").unwrap();
/// assert_eq!(r.recv(), Ok("letter"));
/// drop(s);
/// assert!(r.recv().is_err());
/// ```
#[must_use = "a permit that is dropped gives its room back"]
pub struct OwnedPermit<T> {
    /// There until the permit is used up.
    sender: Option<Sender<T>>,
}

impl<T> OwnedPermit<T> {
    /// The caller has taken the room.
    pub(super) fn new(sender: Sender<T>) -> Self {
        OwnedPermit {
            sender: Some(sender),
        }
    }

    /// Sends the message, and returns the sender. Never waits.
    ///
    /// # Errors
    /// All receivers are gone; here is the message back. A channel that was closed meanwhile takes it.
    pub fn send(mut self, msg: T) -> Result<Sender<T>, SendError<T>> {
        let sender = self.sender.take().expect("a permit is used once");
        match sender.channel().send_by_permit(msg) {
            Ok(()) => Ok(sender),
            Err(msg) => Err(SendError(msg)),
        }
    }

    /// Gives the room back, and returns the sender.
    ///
    /// ```
    /// let (s, r) = weftwork_csp::bounded(1);
    /// let s = s.reserve_owned().unwrap().release();
    /// s.try_send(1).unwrap();
    /// assert_eq!(r.recv(), Ok(1));
    /// ```
    pub fn release(mut self) -> Sender<T> {
        let sender = self.sender.take().expect("a permit is used once");
        sender.channel().release_permit();
        sender
    }
}

impl<T> Drop for OwnedPermit<T> {
    fn drop(&mut self) {
        if let Some(sender) = self.sender.take() {
            sender.channel().release_permit();
        }
    }
}

impl<T> fmt::Debug for OwnedPermit<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("OwnedPermit { .. }")
    }
}
