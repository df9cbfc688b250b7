//! Watchdog, drop counters and loom helpers for the tests of this workspace.
