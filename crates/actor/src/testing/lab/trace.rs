//! What happened in a lab, in order.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What happened in a lab, in order. Displayed as a line per event.
///
/// An actor is called by its name, or its type, and a number: they are numbered in the order of their starts.
/// So the traces of one seed are equal, whatever else the process does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trace {
    pub(super) events: Vec<TraceEvent>,
}

/// Something that happened in a lab.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TraceEvent {
    /// When, by the clock of the lab.
    pub at: Duration,
    /// What.
    pub what: Happened,
}

/// What can happen in a lab.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Happened {
    /// An actor was spawned; its `init` is to run.
    Started {
        /// Who.
        actor: Arc<str>,
        /// By whom.
        by: Arc<str>,
    },
    /// A message was sent.
    Sent {
        /// By whom.
        from: Arc<str>,
        /// To whom.
        to: Arc<str>,
        /// The name of its type.
        message: Arc<str>,
    },
    /// A message's turn has come: its handler runs.
    Handled {
        /// By whom.
        actor: Arc<str>,
        /// The name of its type; `timer` for one of the actor's own timers.
        message: Arc<str>,
        /// Who sent it, if anybody did.
        from: Option<Arc<str>>,
    },
    /// A signal was sent.
    Signal {
        /// By whom.
        from: Arc<str>,
        /// To whom.
        to: Arc<str>,
        /// Which.
        signal: Arc<str>,
    },
    /// An actor has ended.
    Ended {
        /// Who.
        actor: Arc<str>,
        /// Why.
        reason: Arc<str>,
    },
    /// A supervisor restarts a child, or gives up.
    Supervisor {
        /// Which.
        actor: Arc<str>,
        /// What it does.
        what: Arc<str>,
    },
    /// A fault was injected.
    Fault {
        /// Which.
        fault: Arc<str>,
    },
    /// The test has noted something.
    Note {
        /// What.
        text: Arc<str>,
    },
}

impl Trace {
    /// The events.
    #[must_use]
    pub fn events(&self) -> &[TraceEvent] {
        &self.events
    }
}

impl fmt::Display for Happened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Happened::Started { actor, by } => write!(f, "{actor} is started by {by}"),
            Happened::Sent { from, to, message } => write!(f, "{from} -> {to}: {message}"),
            Happened::Handled {
                actor,
                message,
                from: Some(from),
            } => write!(f, "{actor} handles {message} of {from}"),
            Happened::Handled { actor, message, .. } => write!(f, "{actor} handles {message}"),
            Happened::Signal { from, to, signal } => write!(f, "{from} -> {to}: ({signal})"),
            Happened::Ended { actor, reason } => write!(f, "{actor} ends: {reason}"),
            Happened::Supervisor { actor, what } => write!(f, "{actor} {what}"),
            Happened::Fault { fault } => write!(f, "! {fault}"),
            Happened::Note { text } => write!(f, "# {text}"),
        }
    }
}

impl fmt::Display for TraceEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>12} {}", format!("{:?}", self.at), self.what)
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, event) in self.events.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            event.fmt(f)?;
        }
        Ok(())
    }
}

/// The name of a type without the modules that it and its parameters are in.
pub(super) fn short(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut word = 0;
    let mut rest = name.chars().peekable();
    while let Some(c) = rest.next() {
        if c == ':' && rest.peek() == Some(&':') {
            rest.next();
            out.truncate(word);
            continue;
        }
        out.push(c);
        if !(c.is_alphanumeric() || c == '_') {
            word = out.len();
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn names_of_types_lose_their_modules_and_keep_their_parameters() {
        assert_eq!(short("u32"), "u32");
        assert_eq!(short("&str"), "&str");
        assert_eq!(short("a::b::Worker"), "Worker");
        assert_eq!(short("a::Pool<b::c::Job, &d::E>"), "Pool<Job, &E>");
    }
}
