//! Which messages come first.

/// How urgent the messages of one type are: see [`Handler::PRIORITY`](crate::Handler::PRIORITY).
///
/// Messages of a higher priority are handled before queued ones of a lower; within one priority the order
/// is that of arrival. Exits and downs, which an actor that traps exits is told of, have the normal one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(u8)]
pub enum Priority {
    /// Behind all others.
    Low = 0,
    /// What a message has that says nothing.
    #[default]
    Normal = 1,
    /// Before the normal ones.
    High = 2,
    /// Before all others.
    Urgent = 3,
}

/// How many there are.
pub(crate) const PRIORITIES: usize = 4;
