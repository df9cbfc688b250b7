//! What must not be dropped while a model fails: its drop would go on with the model, and panic.

use std::mem;
use std::ops::{Deref, DerefMut};

/// Is leaked if the model fails while it is held.
pub(crate) struct Held<T>(Option<T>);

impl<T> Held<T> {
    pub(crate) fn new(value: T) -> Self {
        Held(Some(value))
    }

    #[allow(dead_code)] // Not every model takes back what it holds.
    pub(crate) fn release(mut self) -> T {
        self.0.take().expect("taken here alone")
    }
}

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            mem::forget(self.0.take());
        }
    }
}

impl<T> Deref for Held<T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.0.as_ref().expect("not released")
    }
}

impl<T> DerefMut for Held<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().expect("not released")
    }
}
