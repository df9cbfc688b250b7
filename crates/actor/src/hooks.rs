//! Where the test kit steps in: at the clock, and at what actors of a simulation send, handle and become.
//!
//! An actor is looked after by hooks if its executor has some (see `testing::simulated`); a flag in its cell
//! says so, and all that is done here hangs on that flag. Without the feature `testing`, and in models, the
//! flag is not even read: [`Hooks`] has no value, and the calls below compile to nothing.

use crate::cell::Header;

#[cfg(all(feature = "testing", not(weftwork_loom)))]
pub(crate) use crate::testing::hooks::{Alarm, Hooks};
#[cfg(not(all(feature = "testing", not(weftwork_loom))))]
pub(crate) use none::{Alarm, Hooks};

/// Whether an actor can have hooks at all.
pub(crate) const CAN_HOOK: bool = cfg!(all(feature = "testing", not(weftwork_loom)));

/// What is to happen to a message that is about to be handled.
#[cfg_attr(
    not(all(feature = "testing", not(weftwork_loom))),
    expect(dead_code, reason = "nobody wants it without the test kit")
)]
pub(crate) enum Injected {
    /// A panic with this text instead of its handler.
    Panic(String),
    /// The actor is killed.
    Kill,
}

impl Header {
    /// Who looks after the actor, in a test.
    #[inline(always)]
    pub(crate) fn hooks(&self) -> Option<&Hooks> {
        if CAN_HOOK && self.is_hooked {
            self.engine.hooks()
        } else {
            None
        }
    }
}

/// No hooks.
#[cfg(not(all(feature = "testing", not(weftwork_loom))))]
mod none {
    use super::Injected;
    use crate::actor::InitError;
    use crate::cell::{CellRef, Header};
    use crate::mailbox::inbox::Pushed;
    use crate::mailbox::letter::Letter;
    use crate::reason::Reason;
    use crate::signal::Signal;
    use std::task::Waker;
    use std::time::Instant;

    pub(crate) enum Hooks {}

    pub(crate) struct Alarm(Hooks);

    #[cfg(not(weftwork_loom))]
    impl Alarm {
        pub(crate) fn deadline(&self) -> Instant {
            self.0.now()
        }
    }

    impl Hooks {
        pub(crate) fn now(&self) -> Instant {
            match *self {}
        }
        pub(crate) fn call_at(&self, _: Instant, _: Waker) -> Alarm {
            match *self {}
        }
        pub(crate) fn random(&self) -> Option<u64> {
            match *self {}
        }
        pub(crate) fn is_simulation(&self) -> bool {
            match *self {}
        }
        pub(crate) fn starts(&self, _: &CellRef, _: Option<&CellRef>) -> bool {
            match *self {}
        }
        pub(crate) fn fails_init(&self, _: &CellRef) -> Option<InitError> {
            match *self {}
        }
        pub(crate) fn message(&self, _: &Header, _: Letter) -> Result<Pushed, Letter> {
            match *self {}
        }
        pub(crate) fn signal(&self, _: &Header, _: Signal) -> bool {
            match *self {}
        }
        pub(crate) fn handles(&self, _: &CellRef, _: &Letter) -> Option<Injected> {
            match *self {}
        }
        pub(crate) fn ended(&self, _: &CellRef, _: &Reason) {
            match *self {}
        }
        pub(crate) fn supervisor(&self, _: &CellRef, _: std::fmt::Arguments<'_>) {
            match *self {}
        }
    }
}
