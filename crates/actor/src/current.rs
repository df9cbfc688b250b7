//! Which actor's handler runs on the calling thread or green thread.
//!
//! A poll of an actor leaves a frame on its stack, linked into a list of the thread. On a thread without a
//! scheduler the newest frame is the one that runs. Where a scheduler parks a handler together with its
//! stack, other polls come and go in between, in any order: there the frame is found by the task that it is
//! of. The search is bounded: with very many parked handlers on one thread the answer may be "none", which
//! costs a diagnosis (see `ask`) and nothing else.

use crate::cell::CellRef;

#[cfg(not(weftwork_loom))]
pub(crate) use kept::{cell, enter};

/// The threads of a model share one OS thread, so nothing is kept there.
#[cfg(weftwork_loom)]
pub(crate) fn cell() -> Option<CellRef> {
    None
}

#[cfg(weftwork_loom)]
pub(crate) fn enter<R>(_: &CellRef, run: impl FnOnce() -> R) -> R {
    run()
}

#[cfg(not(weftwork_loom))]
mod kept {
    use super::CellRef;
    use std::cell::Cell;
    use std::ptr;
    use weftwork_core::host;

    /// How many frames are looked at.
    const SEARCH: usize = 64;

    struct Frame {
        cell: *const CellRef,
        task: *const (),
        newer: Cell<*const Frame>,
        older: Cell<*const Frame>,
    }

    thread_local! {
        /// The newest frame. Frames of this thread alone are linked, each by and for the length of a call
        /// of `enter`; a stack that was parked goes on on the same thread.
        static NEWEST: Cell<*const Frame> = const { Cell::new(ptr::null()) };
    }

    fn current_task() -> *const () {
        host::current().map_or(ptr::null(), |task| task.pointer().as_ptr().cast_const())
    }

    /// Runs `run` as the actor of `cell`.
    #[inline]
    pub(crate) fn enter<R>(cell: &CellRef, run: impl FnOnce() -> R) -> R {
        struct Unlink<'a>(&'a Frame);
        impl Drop for Unlink<'_> {
            fn drop(&mut self) {
                let (newer, older) = (self.0.newer.get(), self.0.older.get());
                // SAFETY: the neighbours are linked, hence in calls of `enter` that have not returned.
                unsafe {
                    match newer.as_ref() {
                        Some(newer) => newer.older.set(older),
                        None => NEWEST.set(older),
                    }
                    if let Some(older) = older.as_ref() {
                        older.newer.set(newer);
                    }
                }
            }
        }
        let frame = Frame {
            cell,
            task: current_task(),
            newer: Cell::new(ptr::null()),
            older: Cell::new(NEWEST.get()),
        };
        // SAFETY: linked, as above.
        if let Some(older) = unsafe { frame.older.get().as_ref() } {
            older.newer.set(&raw const frame);
        }
        NEWEST.set(&raw const frame);
        let _unlink = Unlink(&frame);
        run()
    }

    /// The actor that runs here.
    pub(crate) fn cell() -> Option<CellRef> {
        let mut frame = NEWEST.try_with(Cell::get).ok()?;
        let task = current_task();
        for _ in 0..SEARCH {
            // SAFETY: a linked frame is in a call of `enter` that has not returned, which borrows the cell.
            let this = unsafe { frame.as_ref() }?;
            if this.task == task {
                // SAFETY: as above.
                return Some(unsafe { &*this.cell }.clone());
            }
            frame = this.older.get();
        }
        None
    }
}
