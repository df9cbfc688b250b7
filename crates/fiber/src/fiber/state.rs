//! What creating and resuming a fiber gives.

use core::fmt;

use crate::stack::{Stack, StackError};

/// What a resumed fiber came back with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FiberState<Yield, Return> {
    /// The fiber suspended itself and may be resumed.
    Yield(Yield),
    /// The fiber's closure returned.
    Return(Return),
}

impl<Yield, Return> FiberState<Yield, Return> {
    /// Returns the yielded value, if any.
    pub fn into_yield(self) -> Option<Yield> {
        match self {
            FiberState::Yield(value) => Some(value),
            FiberState::Return(_) => None,
        }
    }

    /// Returns the returned value, if any.
    pub fn into_return(self) -> Option<Return> {
        match self {
            FiberState::Yield(_) => None,
            FiberState::Return(value) => Some(value),
        }
    }

    /// Returns the yielded value.
    ///
    /// # Panics
    ///
    /// If the fiber has returned: the caller expected it to yield.
    #[track_caller]
    pub fn unwrap_yield(self) -> Yield {
        self.into_yield()
            .expect("the fiber returned, its caller expected it to yield")
    }

    /// Returns the returned value.
    ///
    /// # Panics
    ///
    /// If the fiber has yielded: the caller expected it to return.
    #[track_caller]
    pub fn unwrap_return(self) -> Return {
        self.into_return()
            .expect("the fiber yielded, its caller expected it to return")
    }
}

/// The reason why a fiber could not be created, with the closure and the stack that were given.
pub struct FiberError<Body> {
    parts: Box<(StackError, Body, Option<Stack>)>,
}

impl<Body> FiberError<Body> {
    pub(super) fn new(reason: StackError, body: Body, stack: Option<Stack>) -> FiberError<Body> {
        FiberError {
            parts: Box::new((reason, body, stack)),
        }
    }

    /// Returns the reason.
    #[must_use]
    pub fn reason(&self) -> &StackError {
        &self.parts.0
    }

    /// Returns the reason, the closure, and the stack if one was given.
    #[must_use]
    pub fn into_parts(self) -> (StackError, Body, Option<Stack>) {
        *self.parts
    }
}

impl<Body> From<FiberError<Body>> for StackError {
    fn from(error: FiberError<Body>) -> StackError {
        error.parts.0
    }
}

impl<Body> fmt::Debug for FiberError<Body> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FiberError")
            .field("reason", self.reason())
            .finish_non_exhaustive()
    }
}

impl<Body> fmt::Display for FiberError<Body> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a fiber could not be created: {}", self.reason())
    }
}

impl<Body> std::error::Error for FiberError<Body> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self.reason())
    }
}
