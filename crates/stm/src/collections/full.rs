//! The error of a `try_` operation that found no room.

use std::fmt;

/// There was no room; hands the value back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Full<T>(
    /// What was to be put in.
    pub T,
);

impl<T> Full<T> {
    /// The value.
    ///
    /// ```
    /// use weftwork_stm::{TMVar, atomically};
    ///
    /// let place = TMVar::new("taken");
    /// let refused = atomically(|tx| place.try_put(tx, "late"));
    /// assert_eq!(refused.unwrap_err().into_inner(), "late");
    /// ```
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> fmt::Debug for Full<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Full(..)")
    }
}

impl<T> fmt::Display for Full<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there was no room")
    }
}

impl<T> std::error::Error for Full<T> {}
