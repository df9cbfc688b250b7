//! What dynamic checkers must be told about stacks and switches.
//!
//! Each checker is a leaf of this module, compiled in by its own cfg (`weftwork_asan`,
//! `weftwork_tsan`, `weftwork_valgrind`). Without the cfg every type here is empty and every
//! function does nothing.
//!
//! Protocol of a switch from `a` to `b`, on one thread:
//!
//! 1. still on `a`: `leave(a, b)` (or `leave_forever` when `a` is finished);
//! 2. the switch itself;
//! 3. on `b`: `arrive(b)` if it had been suspended in a switch, [`arrive_at_base`] if it is fresh.
//!
//! No code that a checker instruments may run between 1 and 3.

#[cfg(weftwork_asan)]
mod asan;
#[cfg(weftwork_tsan)]
mod tsan;
#[cfg(weftwork_valgrind)]
mod valgrind;

#[cfg(weftwork_asan)]
use asan as address;
#[cfg(not(weftwork_asan))]
use no_asan as address;
#[cfg(not(weftwork_tsan))]
use no_tsan as thread;
#[cfg(weftwork_tsan)]
use tsan as thread;

#[cfg(not(weftwork_valgrind))]
pub(crate) use no_valgrind::StackId;
#[cfg(weftwork_valgrind)]
pub(crate) use valgrind::StackId;

/// What the checkers keep for one flow of control.
#[derive(Debug)]
pub(crate) struct Shadow {
    address: address::Shadow,
    thread: thread::Shadow,
}

impl Shadow {
    /// The shadow of a flow of control that runs on a stack of the operating system.
    pub(crate) const fn new() -> Shadow {
        Shadow {
            address: address::Shadow::new(),
            thread: thread::Shadow::new(),
        }
    }

    /// Announces that the flow of control is about to start on `[limit, top)`.
    pub(crate) fn prepare(&self, top: *mut u8, limit: *mut u8) {
        self.address.prepare(top, limit);
        self.thread.prepare();
    }
}

/// Announces a switch away from `from`, which will be resumed.
#[inline(always)]
pub(crate) fn leave(from: &Shadow, to: &Shadow) {
    address::leave(&from.address, &to.address);
    thread::leave(&from.thread, &to.thread);
}

/// Announces a switch away from `from`, which will never be resumed.
#[inline(always)]
pub(crate) fn leave_forever(from: &Shadow, to: &Shadow) {
    address::leave_forever(&to.address);
    thread::leave_forever(&from.thread, &to.thread);
}

/// Announces that `on` runs again.
#[inline(always)]
pub(crate) fn arrive(on: &Shadow) {
    address::arrive(&on.address);
    thread::arrive();
}

/// Announces that a fresh flow of control runs; called by the base code of every stack.
pub(crate) extern "C" fn arrive_at_base() {
    address::arrive_at_base();
    thread::arrive();
}

/// A call on another stack, between [`Segment::enter`] and [`Segment::left`].
#[derive(Debug)]
pub(crate) struct Segment(address::Segment);

impl Segment {
    /// Announces, on the old stack, the step to `[limit, top)`.
    #[inline(always)]
    pub(crate) fn enter(top: *mut u8, limit: *mut u8) -> Segment {
        Segment(address::Segment::enter(top, limit))
    }

    /// Announces, on the segment, that it has been reached.
    #[inline(always)]
    pub(crate) fn entered(&mut self) {
        self.0.entered();
    }

    /// Announces, on the segment, the step back.
    #[inline(always)]
    pub(crate) fn leave(&mut self) {
        self.0.leave();
    }

    /// Announces, on the old stack, that it has been reached again.
    #[inline(always)]
    pub(crate) fn left(self) {
        self.0.left();
    }
}

/// Announces that the memory `[limit, top)` belongs to a new owner, whatever the old one left.
pub(crate) fn renew(top: *mut u8, limit: *mut u8) {
    address::renew(top, limit);
    #[cfg(weftwork_valgrind)]
    valgrind::renew(top, limit);
}

#[cfg(not(weftwork_asan))]
mod no_asan {
    #[derive(Debug)]
    pub(super) struct Shadow;

    impl Shadow {
        pub(super) const fn new() -> Shadow {
            Shadow
        }

        pub(super) fn prepare(&self, _top: *mut u8, _limit: *mut u8) {}
    }

    #[inline(always)]
    pub(super) fn leave(_from: &Shadow, _to: &Shadow) {}

    #[inline(always)]
    pub(super) fn leave_forever(_to: &Shadow) {}

    #[inline(always)]
    pub(super) fn arrive(_on: &Shadow) {}

    #[inline(always)]
    pub(super) fn arrive_at_base() {}

    pub(super) fn renew(_top: *mut u8, _limit: *mut u8) {}

    #[derive(Debug)]
    pub(super) struct Segment;

    impl Segment {
        #[inline(always)]
        pub(super) fn enter(_top: *mut u8, _limit: *mut u8) -> Segment {
            Segment
        }

        #[inline(always)]
        pub(super) fn entered(&mut self) {}

        #[inline(always)]
        pub(super) fn leave(&mut self) {}

        #[inline(always)]
        pub(super) fn left(self) {}
    }
}

#[cfg(not(weftwork_tsan))]
mod no_tsan {
    #[derive(Debug)]
    pub(super) struct Shadow;

    impl Shadow {
        pub(super) const fn new() -> Shadow {
            Shadow
        }

        pub(super) fn prepare(&self) {}
    }

    #[inline(always)]
    pub(super) fn leave(_from: &Shadow, _to: &Shadow) {}

    #[inline(always)]
    pub(super) fn leave_forever(_from: &Shadow, _to: &Shadow) {}

    #[inline(always)]
    pub(super) fn arrive() {}
}

#[cfg(not(weftwork_valgrind))]
mod no_valgrind {
    #[derive(Debug)]
    pub(crate) struct StackId;

    impl StackId {
        pub(crate) fn register(_top: *mut u8, _limit: *mut u8) -> StackId {
            StackId
        }
    }
}
