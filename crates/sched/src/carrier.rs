//! Carriers: stacks that run the scheduler's loop, and the tasks that block on them.
//!
//! A carrier is a control block at the top of a stack of its own. It runs its worker's loop; the loop
//! calls tasks; a task that waits leaves together with its carrier, and another carrier goes on with
//! the loop. The control block is what a waker points to.
//!
//! ```text
//!   stack.top()  ->+------------------+
//!                  | Carrier          |  this struct
//!                  +------------------+
//!                  | carrier_main     |  the loop's frame
//!                  | ... the task     |
//!                  v                  v
//! ```
//!
//! Invariants
//! 1. A started carrier is resumed by its worker's thread alone, for its whole life.
//! 2. The fields in `Cell`s belong to that thread. `link` belongs to whoever left the first mark in
//!    `mail`, until the worker has taken the carrier out of its inbox. `mail`, `refs`, `home` and
//!    `waker` are for everybody.
//! 3. References: one for the worker, from creation until the carrier has left its stack for ever,
//!    one for the inbox while it holds the carrier, one per waker or `CarrierRef`. The stack goes back to its pool when the last one goes, so
//!    a late waker finds memory that is still a carrier: at worst it wakes another task for nothing.

use crate::home::Home;
use crate::inbox::{Link, Pushed};
use crate::mail::Mail;
use crate::shared::Shared;
use crate::worker;
use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::panic::Location;
use std::ptr::NonNull;
use std::task::{RawWaker, RawWakerVTable, Waker};
use weftwork_core::sync::Arc;
use weftwork_core::sync::atomic::{AtomicUsize, Ordering};
use weftwork_core::task::RawTask;
use weftwork_core::wait::Site;
use weftwork_fiber::{Context, Entry, SizeClass, Stack, StackError};

/// See the module's page.
#[repr(C, align(64))]
pub(crate) struct Carrier {
    /// First, so that a link is its carrier.
    pub(crate) link: Link,
    pub(crate) context: Context,
    mail: Mail,
    refs: AtomicUsize,
    waker: ManuallyDrop<Waker>,
    /// Where it lives; kept alive by `shared`.
    home: NonNull<Home>,
    shared: ManuallyDrop<Arc<Shared>>,
    stack: ManuallyDrop<Stack>,
    pub(crate) label: Cell<Label>,
    /// The task it runs. None in the loop, and in the stolen half of a fork-join.
    pub(crate) task: Cell<Option<RawTask>>,
    /// The tasks below `task` on the stack, which join the one above them in place.
    pub(crate) joiners: Cell<Option<NonNull<Joiner>>>,
    /// In the stolen half of a fork-join, the task that forked: its cancellation is obeyed.
    pub(crate) on_behalf: Cell<Option<RawTask>>,
    /// What it waits for.
    pub(crate) site: Cell<Option<Site>>,
    /// Whether it is switched away and in no list: a wake puts it into the ring.
    pub(crate) parked: Cell<bool>,
    /// Whether what it waits for may be using something of this stack's, or of this thread's: it must
    /// not be left behind by its thread.
    pub(crate) shielded: Cell<bool>,
    /// Whether unused pages of its stack were given back since it parked.
    pub(crate) trimmed: Cell<bool>,
    /// Whether there was a wake while it was not parked: the next park returns at once.
    pub(crate) notified: Cell<bool>,
    /// The user-level token of `park` and `unpark`.
    pub(crate) token: Cell<bool>,
    /// Whether a task, or half of a fork-join, is on the stack: only then may it park.
    pub(crate) busy: Cell<bool>,
    /// Told to an idle carrier when it is resumed: leave the stack for ever.
    pub(crate) retire: Cell<bool>,
    /// The ready ring, or the list of idle carriers.
    pub(crate) next: Cell<Option<NonNull<Carrier>>>,
    /// The worker's list of all its carriers.
    pub(crate) previous: Cell<Option<NonNull<Carrier>>>,
    pub(crate) following: Cell<Option<NonNull<Carrier>>>,
}

/// A task that joins another on its own stack; lies in the frame that does so.
#[derive(Debug)]
pub(crate) struct Joiner {
    pub(crate) task: Option<RawTask>,
    pub(crate) below: Option<NonNull<Joiner>>,
    /// Whether a task above took a token. Tokens are the carrier's, so it may have been meant for
    /// this one, which gets it back.
    pub(crate) token: Cell<bool>,
}

/// What runs on a carrier, as reports name it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Label {
    pub(crate) id: u64,
    pub(crate) spawned_at: &'static Location<'static>,
}

impl Label {
    /// The loop itself.
    #[track_caller]
    pub(crate) const fn none() -> Label {
        Label {
            id: 0,
            spawned_at: Location::caller(),
        }
    }
}

impl Carrier {
    /// Makes a carrier on a fresh stack, ready to run `entry` with itself as argument.
    pub(crate) fn create(
        shared: &Arc<Shared>,
        home: &Home,
        class: SizeClass,
        entry: Entry,
    ) -> Result<NonNull<Carrier>, StackError> {
        let stack = shared.stacks.allocate(class)?;
        let top = stack.top().as_ptr();
        let limit = stack.limit();
        stack.set_described(true);
        let place = top.wrapping_sub(size_of::<Carrier>()).cast::<Carrier>();
        let carrier = Carrier {
            link: Link::new(),
            context: Context::for_thread(),
            mail: Mail::new(),
            refs: AtomicUsize::new(1),
            // SAFETY: the table's functions take the data for a carrier; this waker is never
            // dropped, so it needs no count of its own: it goes with the carrier.
            waker: ManuallyDrop::new(unsafe { Waker::from_raw(raw_waker(place)) }),
            home: NonNull::from(home),
            shared: ManuallyDrop::new(Arc::clone(shared)),
            stack: ManuallyDrop::new(stack),
            label: Cell::new(Label::none()),
            task: Cell::new(None),
            joiners: Cell::new(None),
            on_behalf: Cell::new(None),
            site: Cell::new(None),
            parked: Cell::new(false),
            shielded: Cell::new(false),
            trimmed: Cell::new(false),
            notified: Cell::new(false),
            token: Cell::new(false),
            next: Cell::new(None),
            busy: Cell::new(false),
            retire: Cell::new(false),
            previous: Cell::new(None),
            following: Cell::new(None),
        };
        // SAFETY: `place` lies at the top of a stack that is ours; the top is aligned to 64 and the
        // size is a multiple of that.
        unsafe { place.write(carrier) };
        let pointer = NonNull::new(place).expect("stacks are not at address zero");
        // SAFETY: the stack below the control block is ours until the carrier is freed, which is
        // after it has left for ever; the context is new.
        unsafe {
            (*place)
                .context
                .prepare(place.cast(), limit, entry, place.cast())
        };
        Ok(pointer)
    }

    /// The carrier whose stack ends at `top`, for the overflow report.
    pub(crate) fn at_top(top: *const u8) -> *const Carrier {
        top.wrapping_sub(size_of::<Carrier>()).cast()
    }

    #[inline]
    pub(crate) fn waker(&self) -> &Waker {
        &self.waker
    }

    #[inline]
    pub(crate) fn home(&self) -> &Home {
        // SAFETY: `shared`, which holds the home, is dropped only when the carrier is freed.
        unsafe { self.home.as_ref() }
    }

    /// The task whose cancellation ends the waits here, while something runs on the carrier.
    #[inline]
    pub(crate) fn obeys(&self) -> Option<RawTask> {
        self.task.get().or(self.on_behalf.get())
    }

    /// Whether what runs on the carrier was asked to end, or a task that waits for it on the same
    /// stack: that one can only end after it.
    #[inline]
    pub(crate) fn is_cancelled(&self) -> bool {
        let mut any = match self.obeys() {
            // SAFETY: alive: it is being run here, or its fork waits for what runs here.
            Some(task) => unsafe { task.is_cancelled() },
            None => false,
        };
        // SAFETY: alive: it is being run here, below what runs now.
        self.each_joiner(|task| any |= unsafe { task.is_cancelled() });
        any
    }

    /// Calls `f` with the tasks that wait, on this stack, for the end of the one that runs.
    #[inline]
    pub(crate) fn each_joiner(&self, mut f: impl FnMut(RawTask)) {
        let mut below = self.joiners.get();
        while let Some(joiner) = below {
            // SAFETY: it lies in a frame of this stack that is below what runs, or is parked, now.
            let joiner = unsafe { joiner.as_ref() };
            if let Some(task) = joiner.task {
                f(task);
            }
            below = joiner.below;
        }
    }

    /// Gives the pages back that a parked carrier has used before and does not use now.
    ///
    /// # Safety
    /// The carrier is switched away, on the calling thread's worker.
    pub(crate) unsafe fn trim(&self) -> usize {
        // SAFETY: it is suspended at this stack pointer, says the caller, and nobody else resumes
        // it meanwhile (invariant 1).
        unsafe { self.stack.trim_below(self.context.stack_pointer()) }
    }
}

impl std::fmt::Debug for Carrier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Carrier")
            .field("mail", &self.mail)
            .finish_non_exhaustive()
    }
}

/// A counted reference to a carrier.
#[derive(Debug)]
pub(crate) struct CarrierRef(NonNull<Carrier>);

// SAFETY: it reaches only what is for everybody (invariant 2).
unsafe impl Send for CarrierRef {}
// SAFETY: as above.
unsafe impl Sync for CarrierRef {}

impl CarrierRef {
    /// # Safety
    /// The carrier is alive: a reference to it exists.
    #[inline]
    pub(crate) unsafe fn new(carrier: NonNull<Carrier>) -> Self {
        // Relaxed: a reference is made from a reference.
        // SAFETY: alive, says the caller.
        unsafe { carrier.as_ref() }
            .refs
            .fetch_add(1, Ordering::Relaxed);
        CarrierRef(carrier)
    }

    #[inline]
    pub(crate) fn wake(&self) {
        // SAFETY: this reference keeps it alive.
        unsafe { wake(self.0, false) }
    }

    #[inline]
    pub(crate) fn unpark(&self) {
        // SAFETY: this reference keeps it alive.
        unsafe { wake(self.0, true) }
    }

    pub(crate) fn pointer(&self) -> NonNull<Carrier> {
        self.0
    }
}

impl Clone for CarrierRef {
    fn clone(&self) -> Self {
        // SAFETY: this reference keeps it alive.
        unsafe { CarrierRef::new(self.0) }
    }
}

impl Drop for CarrierRef {
    fn drop(&mut self) {
        // SAFETY: this reference is given up.
        unsafe { release(self.0) }
    }
}

/// # Safety
/// The carrier is alive.
#[inline]
unsafe fn wake(carrier: NonNull<Carrier>, token: bool) {
    // SAFETY: alive, says the caller.
    let this = unsafe { carrier.as_ref() };
    worker::with(|worker| match worker {
        Some(worker) if worker.is_home(this.home()) => worker.wake_here(carrier, token),
        // SAFETY: alive, says the caller.
        _ => unsafe { wake_from_afar(carrier, token) },
    });
}

/// # Safety
/// The carrier is alive.
unsafe fn wake_from_afar(carrier: NonNull<Carrier>, token: bool) {
    // SAFETY: alive, says the caller.
    let this = unsafe { carrier.as_ref() };
    if !this.mail.leave(token) {
        return;
    }
    // The home outlives this call through the caller's reference, the carrier its stay in the inbox
    // through one of its own.
    let home = this.home();
    // SAFETY: alive, says the caller.
    let in_inbox = unsafe { CarrierRef::new(carrier) };
    // SAFETY: we left the first mark, so the carrier is in no inbox (invariant 1 of the mail word),
    // and it is kept alive until it is taken out.
    match unsafe { home.inbox.push(carrier.cast()) } {
        Pushed::Taken => std::mem::forget(in_inbox),
        Pushed::WakeOwner => {
            std::mem::forget(in_inbox);
            home.wake_poller();
        }
        // The worker is gone, and nothing that is parked there runs again.
        Pushed::Closed => drop(in_inbox),
    }
}

impl Carrier {
    /// Takes the marks of a carrier that was taken out of the inbox. True: there was a token.
    pub(crate) fn collect_mail(&self) -> bool {
        self.mail.collect()
    }
}

/// Gives up a reference.
///
/// # Safety
/// The caller owns the reference. The worker gives up its own only after the carrier has left its
/// stack for ever.
#[inline]
pub(crate) unsafe fn release(carrier: NonNull<Carrier>) {
    // AcqRel: releases this owner's accesses to the one that frees.
    // SAFETY: the reference keeps it alive until here.
    if unsafe { carrier.as_ref() }
        .refs
        .fetch_sub(1, Ordering::AcqRel)
        == 1
    {
        // SAFETY: it was the last.
        unsafe { free(carrier) }
    }
}

/// # Safety
/// No reference is left.
#[cold]
unsafe fn free(carrier: NonNull<Carrier>) {
    let carrier = carrier.as_ptr();
    // SAFETY: exclusive, and nothing is used after it is taken. The stack is taken out of the
    // memory it owns before it goes back to its pool; the other fields need no drop.
    let (stack, shared) = unsafe {
        (
            ManuallyDrop::take(&mut (*carrier).stack),
            ManuallyDrop::take(&mut (*carrier).shared),
        )
    };
    drop(stack);
    drop(shared);
}

static VTABLE: RawWakerVTable =
    RawWakerVTable::new(clone_waker, wake_by_value, wake_by_ref, drop_waker);

fn raw_waker(carrier: *const Carrier) -> RawWaker {
    RawWaker::new(carrier.cast(), &VTABLE)
}

fn carrier_of(data: *const ()) -> NonNull<Carrier> {
    NonNull::new(data.cast_mut().cast()).expect("a waker's data is a carrier")
}

unsafe fn clone_waker(data: *const ()) -> RawWaker {
    // SAFETY: a waker's data is a carrier that it keeps alive.
    std::mem::forget(unsafe { CarrierRef::new(carrier_of(data)) });
    raw_waker(data.cast())
}

unsafe fn wake_by_value(data: *const ()) {
    // SAFETY: as above; the waker's reference is given up after the wake.
    unsafe {
        wake(carrier_of(data), false);
        release(carrier_of(data));
    }
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: as above.
    unsafe { wake(carrier_of(data), false) }
}

unsafe fn drop_waker(data: *const ()) {
    // SAFETY: as above; the waker's reference is given up.
    unsafe { release(carrier_of(data)) }
}
