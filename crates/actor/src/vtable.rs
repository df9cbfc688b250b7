//! What depends on the type of an actor: its stage, and the calls of its methods.

use crate::actor::{Actor, Down, Exit};
use crate::cell::{CellRef, Header};
use crate::context::Context;
use crate::init::{Beginning, Seat};
use crate::reason::Reason;
use std::any::TypeId;
use std::mem::replace;
use std::ptr::NonNull;
use weftwork_core::sync::cell::UnsafeCell;

/// A cell with what its type adds.
#[repr(C)]
pub(crate) struct Cell<A: Actor> {
    pub(crate) header: Header,
    stage: UnsafeCell<Stage<A>>,
}

enum Stage<A: Actor> {
    Fresh(A::Args),
    Running(A),
    Gone,
}

/// Every entry but `free`, `type_name` and `type_id` wants the caller to be the owner (invariant 2 of the cell), and a
/// cell of its type.
pub(crate) struct VTable {
    /// Makes the actor of its arguments. Once.
    pub(crate) init: unsafe fn(&CellRef) -> Beginning,
    pub(crate) on_exit: unsafe fn(&CellRef, Exit),
    pub(crate) on_down: unsafe fn(&CellRef, Down),
    pub(crate) terminate: unsafe fn(&CellRef, &Reason),
    /// Drops the actor, or its arguments.
    pub(crate) clear: unsafe fn(&CellRef),
    /// Frees the cell, whose last reference is gone.
    pub(crate) free: unsafe fn(NonNull<Header>),
    pub(crate) type_name: fn() -> &'static str,
    pub(crate) type_id: fn() -> TypeId,
}

impl<A: Actor> Cell<A> {
    pub(crate) fn make(header: impl FnOnce(&'static VTable) -> Header, args: A::Args) -> CellRef {
        let cell = Box::new(Cell::<A> {
            header: header(const { &vtable::<A>() }),
            stage: UnsafeCell::new(Stage::Fresh(args)),
        });
        // SAFETY: a fresh cell, starting with its header, and its first reference.
        unsafe { CellRef::from_raw(NonNull::from(Box::leak(cell)).cast()) }
    }
}

const fn vtable<A: Actor>() -> VTable {
    VTable {
        init: init::<A>,
        on_exit: on_exit::<A>,
        on_down: on_down::<A>,
        terminate: terminate::<A>,
        clear: clear::<A>,
        free: free::<A>,
        type_name: std::any::type_name::<A>,
        type_id: TypeId::of::<A>,
    }
}

fn stage<A: Actor>(cell: &CellRef) -> &UnsafeCell<Stage<A>> {
    // SAFETY: the callers pass cells of this type, which live as long as the reference.
    unsafe { &cell.pointer().cast::<Cell<A>>().as_ref().stage }
}

/// The actor, if it is there.
///
/// # Safety
/// The caller is the owner, the cell is of this type, and no other reference to the actor is in use.
#[allow(clippy::mut_from_ref, reason = "that is the contract")]
pub(crate) unsafe fn actor<A: Actor>(cell: &CellRef) -> Option<&mut A> {
    stage::<A>(cell).with_mut(|stage| {
        // SAFETY: exclusive, says the caller.
        match unsafe { &mut *stage } {
            Stage::Running(actor) => Some(actor),
            Stage::Fresh(_) | Stage::Gone => None,
        }
    })
}

unsafe fn set<A: Actor>(cell: &CellRef, to: Stage<A>) -> Stage<A> {
    // SAFETY: the caller is the owner.
    stage::<A>(cell).with_mut(|stage| unsafe { replace(&mut *stage, to) })
}

unsafe fn init<A: Actor>(cell: &CellRef) -> Beginning {
    // SAFETY: the contract of the table.
    let Stage::Fresh(args) = (unsafe { set::<A>(cell, Stage::Gone) }) else {
        unreachable!("an actor is made once")
    };
    A::begin(Seat::new(cell, args)).0
}

/// Puts the actor on its stage.
///
/// # Safety
/// The caller is the owner, and the cell is of this type.
pub(crate) unsafe fn enter<A: Actor>(cell: &CellRef, actor: A) {
    // SAFETY: says the caller.
    drop(unsafe { set::<A>(cell, Stage::Running(actor)) });
}

fn unsafe_context<A: Actor>(cell: &CellRef) -> Context<A> {
    // SAFETY: the callers are entries of the table, whose caller is the owner; the context does not outlive
    // the call.
    unsafe { Context::new(cell.pointer()) }
}

unsafe fn on_exit<A: Actor>(cell: &CellRef, exit: Exit) {
    // SAFETY: the contract of the table; contexts do not reach the actor.
    if let Some(actor) = unsafe { actor::<A>(cell) } {
        actor.on_exit(exit, &mut unsafe_context::<A>(cell));
    }
}

unsafe fn on_down<A: Actor>(cell: &CellRef, down: Down) {
    // SAFETY: as above.
    if let Some(actor) = unsafe { actor::<A>(cell) } {
        actor.on_down(down, &mut unsafe_context::<A>(cell));
    }
}

unsafe fn terminate<A: Actor>(cell: &CellRef, reason: &Reason) {
    // SAFETY: as above.
    if let Some(actor) = unsafe { actor::<A>(cell) } {
        actor.terminate(reason, &mut unsafe_context::<A>(cell));
    }
}

unsafe fn clear<A: Actor>(cell: &CellRef) {
    // SAFETY: the contract of the table.
    drop(unsafe { set::<A>(cell, Stage::Gone) });
}

unsafe fn free<A: Actor>(header: NonNull<Header>) {
    // SAFETY: made by `make` as a box of this type; the last reference is gone.
    drop(unsafe { Box::from_raw(header.cast::<Cell<A>>().as_ptr()) });
}
