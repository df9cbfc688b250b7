//! Handles that reach a channel without keeping it connected.

use crate::channel::Channel;
use crate::{Receiver, Sender};
use std::fmt;
use std::sync::{Arc, Weak};

/// A sender that does not count: the channel disconnects when the others are gone.
///
/// ```
/// let (s, r) = weftwork_csp::unbounded();
/// let weak = s.downgrade();
/// weak.upgrade().unwrap().send(1).unwrap();
/// drop(s);
/// assert!(weak.upgrade().is_none());
/// assert_eq!(r.recv(), Ok(1));
/// assert!(r.recv().is_err());
/// ```
pub struct WeakSender<T>(Weak<Channel<T>>);

impl<T> WeakSender<T> {
    pub(crate) fn new(channel: &Arc<Channel<T>>) -> Self {
        WeakSender(Arc::downgrade(channel))
    }

    /// Makes a sender, unless the last one is gone.
    #[must_use]
    pub fn upgrade(&self) -> Option<Sender<T>> {
        let channel = self.0.upgrade()?;
        channel
            .revive_sender()
            .then(|| Sender::from_channel(channel))
    }
}

impl<T> Clone for WeakSender<T> {
    fn clone(&self) -> Self {
        WeakSender(Weak::clone(&self.0))
    }
}

impl<T> fmt::Debug for WeakSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("WeakSender { .. }")
    }
}

/// A receiver that does not count: the channel disconnects when the others are gone.
pub struct WeakReceiver<T>(Weak<Channel<T>>);

impl<T> WeakReceiver<T> {
    pub(crate) fn new(channel: &Arc<Channel<T>>) -> Self {
        WeakReceiver(Arc::downgrade(channel))
    }

    /// Makes a receiver, unless the last one is gone.
    #[must_use]
    pub fn upgrade(&self) -> Option<Receiver<T>> {
        let channel = self.0.upgrade()?;
        channel
            .revive_receiver()
            .then(|| Receiver::from_channel(channel))
    }
}

impl<T> Clone for WeakReceiver<T> {
    fn clone(&self) -> Self {
        WeakReceiver(Weak::clone(&self.0))
    }
}

impl<T> fmt::Debug for WeakReceiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("WeakReceiver { .. }")
    }
}
