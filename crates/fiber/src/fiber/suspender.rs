//! The fiber's side: how it suspends itself.

use core::cell::Cell;
use core::fmt;
use std::panic;
use std::thread;

use crate::context::{Context, switch};

/// Where a fiber is. Set by the side that is about to give up control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Fresh,
    Running,
    Suspended,
    Finished,
}

/// The payload by which a fiber is unwound when it is dropped.
pub(super) struct ForcedUnwind;

/// Suspends the fiber to whose closure it was passed.
#[repr(C)]
pub struct Suspender<Input, Yield> {
    /// The resumer, while the fiber runs; also the frame record at the stack's base.
    pub(super) resumer: Context,
    pub(super) own: Context,
    pub(super) phase: Cell<Phase>,
    /// Set once, when the fiber is dropped while it is suspended; it must not suspend again.
    pub(super) unwinding: Cell<bool>,
    /// Whether the thread was unwinding already when the fiber was resumed.
    pub(super) resumer_panicking: Cell<bool>,
    pub(super) input: Cell<Option<Input>>,
    pub(super) yielded: Cell<Option<Yield>>,
}

impl<Input, Yield> Suspender<Input, Yield> {
    pub(super) fn new() -> Suspender<Input, Yield> {
        Suspender {
            resumer: Context::for_thread(),
            own: Context::for_thread(),
            phase: Cell::new(Phase::Fresh),
            unwinding: Cell::new(false),
            resumer_panicking: Cell::new(false),
            input: Cell::new(None),
            yielded: Cell::new(None),
        }
    }

    /// Passes `value` to the resumer, and waits until the fiber is resumed.
    ///
    /// # Panics
    ///
    /// - With a private payload, when the fiber is dropped. Destructors run, and the panic ends at
    ///   the base of the fiber. Whoever catches it should let it go on.
    /// - If the fiber is not running: a reference to its suspender was smuggled out, by way of a
    ///   scoped thread-local variable for instance.
    /// - If the fiber is unwinding (the call comes from a destructor, because of a panic): the
    ///   thread would be left in a state of panic for the resumer to meet. As with any panic in a
    ///   destructor during unwinding, the process is aborted.
    #[track_caller]
    pub fn suspend(&self, value: Yield) -> Input {
        assert!(
            self.phase.get() == Phase::Running,
            "a fiber that is not running must not be suspended: its suspender was called from outside"
        );
        if self.unwinding.get() {
            drop(value);
            unwind();
        }
        assert!(
            !thread::panicking() || self.resumer_panicking.get(),
            "a fiber must not be suspended while it is unwinding: a destructor called `suspend`"
        );
        self.yielded.set(Some(value));
        self.phase.set(Phase::Suspended);
        // SAFETY: both contexts lie at the base of the stack, which exists as long as the fiber is
        // not finished. The resumer waits in `Fiber::run`, on this thread.
        unsafe { switch(&self.own, &self.resumer) };
        if self.unwinding.get() {
            unwind();
        }
        self.input.take().expect("a resumed fiber has an input")
    }
}

#[cold]
fn unwind() -> ! {
    panic::resume_unwind(Box::new(ForcedUnwind))
}

impl<Input, Yield> fmt::Debug for Suspender<Input, Yield> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Suspender")
            .field("phase", &self.phase.get())
            .finish_non_exhaustive()
    }
}
