//! Why a channel was closed, as told to those who ask.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// Why a channel was closed: an error, shared by all who ask for it.
///
/// ```
/// use weftwork_csp::unbounded;
///
/// let (s, r) = unbounded::<i32>();
/// assert!(s.close_with("the source has dried up"));
/// assert_eq!(r.close_reason().unwrap().to_string(), "the source has dried up");
/// ```
#[derive(Clone)]
pub struct CloseReason(Arc<dyn Error + Send + Sync>);

impl CloseReason {
    /// Makes a reason of an error or a text.
    pub fn new(reason: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        CloseReason(Arc::from(reason.into()))
    }

    /// The error, to be downcast.
    #[must_use]
    pub fn get_ref(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.0
    }
}

impl fmt::Debug for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for CloseReason {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}
