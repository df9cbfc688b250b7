//! Steps of the protocols that can be weakened, to show that the loom models would notice.
//!
//! Under `--cfg weftwork_canary` each step below has a wrong variant beside the right one. Only the
//! variant that the calling test chose is active, so a model fails because of its own protocol, and
//! the models of other crates run on the right code.

use std::cell::Cell;
use std::marker::PhantomData;

/// A step that has a wrong variant; what is wrong is said where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// `Parker::unpark`.
    Unpark,
    /// `Parker::park`, at the deadline.
    ParkTimeout,
    /// `State::suspend`.
    Suspend,
    /// `State::complete`.
    Complete,
    /// `State::wake_by_value`.
    WakeByValue,
    /// `State::wake_by_ref`.
    WakeByRef,
    /// `State::cancel`.
    Cancel,
    /// `State::set_join_waker`.
    SetJoinWaker,
    /// `State::unset_join_waker`.
    UnsetJoinWaker,
    /// `State::drop_handle`.
    DropHandle,
    /// `State::drop_ref`.
    DropRef,
    /// The cancellation's look for the runner's waker.
    CancelRunner,
    /// The reference held while a task is being queued.
    ScheduleHold,
    /// A step of another crate's protocol, by its name there.
    Of(&'static str),
}

thread_local! {
    // Loom runs all threads of a model on the OS thread of its test.
    static WEAK: Cell<Option<Step>> = const { Cell::new(None) };
}

/// Weakens `step` on this OS thread until the guard is dropped.
pub fn weaken(step: Step) -> Weakened {
    WEAK.set(Some(step));
    Weakened(PhantomData)
}

/// Puts the step right again when dropped.
#[derive(Debug)]
#[must_use = "the step is right again when the guard is dropped"]
pub struct Weakened(PhantomData<*const ()>);

impl Drop for Weakened {
    fn drop(&mut self) {
        WEAK.set(None);
    }
}

/// Whether `step` is weakened on this OS thread.
#[must_use]
pub fn is(step: Step) -> bool {
    WEAK.get() == Some(step)
}
