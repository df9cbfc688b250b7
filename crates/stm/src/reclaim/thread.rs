//! The participant of the calling thread.
//!
//! It is made at the first use and ends with the thread, when thread-locals are dropped. The drops
//! of other thread-locals may come later and use us once more. Each such use then makes a participant
//! for the length of its outermost pin, a *late* one, which leaves all it has retired to the orphans.
//!
//! The pointer is in a thread-local without a destructor, so that it can be read at any time and
//! reading it checks nothing; the destructor hangs on another one, which is touched once.

use super::domain::Domain;
use super::local::Local;
use std::cell::Cell;
use std::ptr::{self, NonNull};

#[cfg(not(weftwork_loom))]
mod place {
    use super::{Cell, Domain, Local, ptr};

    static GLOBAL: Domain = Domain::new();

    std::thread_local! {
        static CURRENT: Cell<*const Local> = const { Cell::new(ptr::null()) };
        static GUARD: Guard = const { Guard };
    }

    struct Guard;

    impl Drop for Guard {
        fn drop(&mut self) {
            super::end(CURRENT.replace(ptr::null()));
        }
    }

    #[inline]
    pub(super) fn get() -> *const Local {
        CURRENT.get()
    }

    pub(super) fn set(local: *const Local) {
        CURRENT.set(local);
    }

    /// A participant for this thread, and whether somebody will call `end` for it.
    pub(super) fn make() -> (Local, bool) {
        let local = Local::of_static(&GLOBAL);
        (local, GUARD.try_with(|_| ()).is_ok())
    }
}

#[cfg(weftwork_loom)]
mod place {
    use super::{Cell, Domain, Local, ptr};
    use std::mem::ManuallyDrop;
    use weftwork_core::sync::{Arc, lazy_static, thread_local};

    lazy_static! {
        static ref GLOBAL: Shared = Shared(ManuallyDrop::new(Arc::new(Domain::new())));
    }

    thread_local! {
        static CURRENT: Slot = Slot {
            local: Cell::new(ptr::null()),
            domain: Shared(ManuallyDrop::new(GLOBAL.get())),
        };
    }

    /// Loom drops its statics before the main thread's locals: each slot keeps the domain.
    struct Slot {
        local: Cell<*const Local>,
        domain: Shared,
    }

    /// The domain, which a model that failed leaves alone.
    struct Shared(ManuallyDrop<Arc<Domain>>);

    impl Shared {
        fn get(&self) -> Arc<Domain> {
            Arc::clone(&self.0)
        }
    }

    impl Drop for Shared {
        fn drop(&mut self) {
            if !crate::reclaim::is_failed_model() {
                // SAFETY: nobody uses the field after this.
                unsafe { ManuallyDrop::drop(&mut self.0) };
            }
        }
    }

    impl Drop for Slot {
        fn drop(&mut self) {
            if !crate::reclaim::is_failed_model() {
                super::end(self.local.replace(ptr::null()));
            }
        }
    }

    pub(super) fn get() -> *const Local {
        CURRENT
            .try_with(|slot| slot.local.get())
            .unwrap_or(ptr::null())
    }

    pub(super) fn set(local: *const Local) {
        let _ = CURRENT.try_with(|slot| slot.local.set(local));
    }

    pub(super) fn make() -> (Local, bool) {
        match CURRENT.try_with(|slot| slot.domain.get()) {
            Ok(domain) => (Local::of(domain), true),
            Err(_) => (Local::of(GLOBAL.get()), false),
        }
    }
}

/// Calls `f` with the thread's participant.
#[inline]
pub(super) fn with<R>(f: impl FnOnce(&Local) -> R) -> R {
    let local = place::get();
    if local.is_null() {
        return with_new(f);
    }
    // SAFETY: it is ours. It ends with the thread, or, if it is late, with its outermost pin or its
    // first use; `f` is an operation of `Local` within one of these.
    f(unsafe { &*local })
}

#[cold]
fn with_new<R>(f: impl FnOnce(&Local) -> R) -> R {
    let (local, is_kept) = place::make();
    let local = if is_kept { local } else { local.late() };
    let local = NonNull::from(Box::leak(Box::new(local)));
    place::set(local.as_ptr());
    let _end = (!is_kept).then(|| EndOfUse(local));
    // SAFETY: it has just been made, and only `_end`, or the end of a pin that `f` returns, ends it.
    f(unsafe { local.as_ref() })
}

/// Ends a late participant after its first use, unless that was a pin.
struct EndOfUse(NonNull<Local>);

impl Drop for EndOfUse {
    fn drop(&mut self) {
        // SAFETY: a late participant ends with its outermost pin, or here; see `with_new`.
        if !unsafe { self.0.as_ref() }.is_pinned() {
            // SAFETY: as above, and nobody uses it any more.
            drop(unsafe { EndOfLate::new(self.0) });
        }
    }
}

/// Ends a late participant when it is dropped.
#[derive(Debug)]
pub(super) struct EndOfLate(NonNull<Local>);

impl EndOfLate {
    /// # Safety
    ///
    /// `local` is a late participant made here, it is not pinned, and nobody uses it after the drop.
    pub(super) unsafe fn new(local: NonNull<Local>) -> Self {
        EndOfLate(local)
    }
}

impl Drop for EndOfLate {
    fn drop(&mut self) {
        let kept = place::get();
        if ptr::eq(kept, self.0.as_ptr()) {
            place::set(ptr::null());
            // As it came from the box; the other may have been a shared reference in between.
            end(kept);
        } else {
            // Under loom a thread-local that is gone keeps nothing.
            end(self.0.as_ptr());
        }
    }
}

/// Ends a participant that is in no place any more, if there is one.
fn end(local: *const Local) {
    if !local.is_null() {
        // SAFETY: it came from a leaked box, and nobody has it any more.
        drop(unsafe { Box::from_raw(local.cast_mut()) });
    }
}
