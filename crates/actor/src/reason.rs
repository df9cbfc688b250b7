//! Why an actor ends: what links, monitors and supervisors are told.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// Why an actor ended, or shall end.
///
/// The words are OTP's. [`is_normal`](Self::is_normal) tells the ends that nobody needs to worry about
/// from the others.
///
/// ```
/// use weftwork_actor::Reason;
///
/// assert!(Reason::Shutdown.is_normal());
/// assert!(!Reason::Killed.is_normal());
/// assert_eq!(Reason::other("disk full").to_string(), "disk full");
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Reason {
    /// It was done. An exit signal with this reason is ignored by others, unless they trap exits.
    Normal,
    /// It was asked to end in good order, by its supervisor as a rule.
    Shutdown,
    /// As `Shutdown`, with something to say.
    ShutdownWith(Arc<str>),
    /// In an exit signal that was *sent*: end at once, whatever you trap. In a signal of a *link*, whose
    /// other end stopped itself with this reason, it is a reason like others.
    Kill,
    /// It got the signal `Kill`.
    Killed,
    /// A handler, `init`, `terminate` or a drop panicked.
    Panic(Arc<Panic>),
    /// It stopped because of an error.
    Error(Arc<dyn Error + Send + Sync>),
    /// There was no such actor: it had ended before the link or the monitor was made.
    NoProc,
    /// Anything else.
    Other(Arc<str>),
}

/// What a panic said, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Panic {
    message: Box<str>,
    location: Option<(Box<str>, u32, u32)>,
}

impl Panic {
    pub(crate) fn at(message: Box<str>, location: Option<(Box<str>, u32, u32)>) -> Self {
        Panic { message, location }
    }

    /// The text of the payload, or a word for a payload without text.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// File, line and column; `None` if the program replaced the panic hook after the first actor was
    /// started.
    #[must_use]
    pub fn location(&self) -> Option<(&str, u32, u32)> {
        let (file, line, column) = self.location.as_ref()?;
        Some((file, *line, *column))
    }
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "panicked: {}", self.message)?;
        match &self.location {
            Some((file, line, column)) => write!(f, " at {file}:{line}:{column}"),
            None => Ok(()),
        }
    }
}

impl Error for Panic {}

impl Reason {
    /// The error or the panic, if one was the reason.
    #[must_use]
    pub fn as_error(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Reason::Error(error) => Some(&**error),
            Reason::Panic(panic) => Some(&**panic),
            _ => None,
        }
    }

    /// Makes a reason of a text.
    pub fn other(text: impl Into<Arc<str>>) -> Self {
        Reason::Other(text.into())
    }

    /// Makes a reason of an error, or of a text.
    ///
    /// ```
    /// use weftwork_actor::Reason;
    ///
    /// let broken = "x".parse::<u8>().unwrap_err();
    /// assert_eq!(Reason::error(broken).to_string(), "invalid digit found in string");
    /// ```
    pub fn error(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Reason::Error(Arc::from(error.into()))
    }

    /// Makes a `ShutdownWith` of a text.
    pub fn shutdown_with(text: impl Into<Arc<str>>) -> Self {
        Reason::ShutdownWith(text.into())
    }

    /// Whether this is an end in good order: `Normal`, `Shutdown` or `ShutdownWith`. Those are not
    /// reported, and a transient child that ends so is not restarted.
    #[must_use]
    pub fn is_normal(&self) -> bool {
        matches!(
            self,
            Reason::Normal | Reason::Shutdown | Reason::ShutdownWith(_)
        )
    }

    /// Whether a panic was the reason.
    #[must_use]
    pub fn is_panic(&self) -> bool {
        matches!(self, Reason::Panic(_))
    }
}

/// Errors are the same if they are one object; all other parts are compared by value.
impl PartialEq for Reason {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Reason::ShutdownWith(a), Reason::ShutdownWith(b)) => a == b,
            (Reason::Panic(a), Reason::Panic(b)) => a == b,
            (Reason::Error(a), Reason::Error(b)) => Arc::ptr_eq(a, b),
            (Reason::Other(a), Reason::Other(b)) => a == b,
            (a, b) => std::mem::discriminant(a) == std::mem::discriminant(b),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Normal => f.write_str("normal"),
            Reason::Shutdown => f.write_str("shutdown"),
            Reason::ShutdownWith(text) => write!(f, "shutdown: {text}"),
            Reason::Kill => f.write_str("kill"),
            Reason::Killed => f.write_str("killed"),
            Reason::Panic(panic) => panic.fmt(f),
            Reason::Error(error) => error.fmt(f),
            Reason::NoProc => f.write_str("noproc"),
            Reason::Other(text) => f.write_str(text),
        }
    }
}

impl From<&str> for Reason {
    fn from(text: &str) -> Self {
        Reason::Other(text.into())
    }
}

impl From<String> for Reason {
    fn from(text: String) -> Self {
        Reason::Other(text.into())
    }
}

#[cfg(all(test, not(weftwork_loom)))]
mod tests {
    use super::*;

    #[test]
    fn kill_and_killed_are_two_reasons_and_errors_are_compared_by_identity() {
        assert_ne!(Reason::Kill, Reason::Killed);
        let one = Reason::error("a");
        assert_eq!(one, one.clone());
        assert_ne!(one, Reason::error("a"));
        assert_eq!(Reason::other("a"), Reason::from("a"));
        assert_ne!(Reason::other("a"), Reason::shutdown_with("a"));
    }
}
