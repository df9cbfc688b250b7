//! Counters, each counting since its poller or driver was made.

/// What a [`Poller`](crate::Poller) did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PollerStats {
    /// Waits that returned.
    pub polls: u64,
    /// Events reported.
    pub events: u64,
    /// Wakes that cost a system call, because somebody slept.
    pub wakes_written: u64,
    /// Wakes that cost none, because nobody slept or a wake was already under way.
    pub wakes_elided: u64,
    /// Wakes that a non-blocking wait received and passed on to the thread asleep.
    pub wakes_forwarded: u64,
}

/// What a [`Driver`](crate::Driver) did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DriverStats {
    /// The counters of its poller.
    pub poller: PollerStats,
    /// Registrations made.
    pub registered: u64,
    /// Registrations ended.
    pub deregistered: u64,
    /// Events dropped because their registration had ended.
    pub stale_events: u64,
    /// Times the kernel's set was rebuilt to get rid of a descriptor closed before its
    /// registration.
    pub rebuilds: u64,
}

impl DriverStats {
    /// Returns the number of live registrations.
    #[must_use]
    pub fn registrations(&self) -> u64 {
        self.registered.saturating_sub(self.deregistered)
    }
}
