//! The part of a task that does not depend on its type, and the table of what does.

use super::ext::ExtSlot;
use super::id::TaskId;
use super::state::State;
use crate::sync::Mutex;
use crate::sync::atomic::AtomicU8;
use crate::sync::cell::UnsafeCell;
use std::panic::Location;
use std::ptr::NonNull;
use std::task::Waker;

/// Starts every task cell (`repr(C)`, first field), so that a pointer to it is a pointer to the
/// cell.
pub(super) struct Header {
    pub(super) state: State,
    pub(super) vtable: &'static VTable,
    pub(super) id: TaskId,
    pub(super) location: &'static Location<'static>,
    /// Name and task-locals, for the tasks that have them.
    pub(super) ext: ExtSlot,
    /// The joiner's waker; who may touch it: invariant 4 of the state word.
    pub(super) joiner: UnsafeCell<Option<Waker>>,
    /// The waker of the context that runs the task and has parked in it, so that a cancellation
    /// can reach it. Set by the runner, taken by a cancellation or by the runner when the run ends.
    pub(super) runner: Mutex<Option<Waker>>,
    /// How far this run is: one of the three values below. Only the runner writes it.
    pub(super) phase: AtomicU8,
}

/// Set by creation and by the runner when a poll ends: nothing is in `runner`.
pub(super) const UNPARKED: u8 = 0;
/// Set by the runner when it parks for the first time in this run: `runner` was filled.
pub(super) const PARKED: u8 = 1;
/// Set by the runner when only destructors are left to run. Excludes `PARKED`: no cancellation
/// interrupts them.
pub(super) const ENDING: u8 = 2;

/// What depends on the type of the closure or future. Every entry wants a live header of its own
/// cell type; what else it wants is said beside it.
pub(super) struct VTable {
    /// Runs once. The caller owns the Task handle and gives it up.
    pub(super) run: unsafe fn(NonNull<Header>),
    /// Ends the task as cancelled. The caller owns the Task handle and gives it up.
    pub(super) abandon: unsafe fn(NonNull<Header>),
    /// Makes a Task handle and queues it. The caller has set SCHEDULED and gives up two references.
    pub(super) schedule: unsafe fn(NonNull<Header>, super::Cause),
    /// Moves the output to the pointer, which is for a `Result<T, JoinError>`. The task is
    /// complete, the caller owns the join handle and calls this once.
    pub(super) read_output: unsafe fn(NonNull<Header>, *mut ()),
    /// Drops the output. The task is complete and the stage is the caller's (invariant 3).
    pub(super) drop_output: unsafe fn(NonNull<Header>),
    /// Drops what is left and frees the cell. The caller gave up the last reference.
    pub(super) free: unsafe fn(NonNull<Header>),
}

impl Header {
    pub(super) fn new(
        vtable: &'static VTable,
        location: &'static Location<'static>,
        ext: ExtSlot,
    ) -> Self {
        Header {
            state: State::new(),
            vtable,
            id: TaskId::next(),
            location,
            ext,
            joiner: UnsafeCell::new(None),
            runner: Mutex::new(None),
            phase: AtomicU8::new(UNPARKED),
        }
    }
}
