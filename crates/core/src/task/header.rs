//! The part of a task that does not depend on its type, and the table of what does.

use super::ext::ExtSlot;
use super::id::TaskId;
use super::state::State;
use crate::sync::Mutex;
use crate::sync::atomic::AtomicBool;
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
    /// can reach it. Set by the runner, cleared by it when the run ends.
    pub(super) runner: Mutex<Option<Waker>>,
    /// Whether `runner` was set in this run. Only the runner reads and writes it.
    pub(super) parked: AtomicBool,
}

/// What depends on the type of the closure or future. Every entry wants a live header of its own
/// cell type; what else it wants is said beside it.
pub(super) struct VTable {
    /// Runs once. The caller owns the Task handle and gives it up.
    pub(super) run: unsafe fn(NonNull<Header>),
    /// Ends the task as cancelled. The caller owns the Task handle and gives it up.
    pub(super) abandon: unsafe fn(NonNull<Header>),
    /// Makes a Task handle and queues it. The caller has set SCHEDULED and gives up a reference.
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
            parked: AtomicBool::new(false),
        }
    }
}
