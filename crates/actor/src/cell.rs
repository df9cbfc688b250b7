//! The cell of an actor: one allocation that its addresses, its links and its task share.
//!
//! ```text
//!   Header                                            Stage<A>
//!   references | vtable | number | inbox | room | ...  start arguments, then the actor
//!   shared by all                      owned: the actor's task alone
//! ```
//!
//! Invariants
//! 1. The memory lives until the last [`CellRef`] is gone. The task holds one until the actor has ended.
//! 2. `owned`, the shelf and the stage belong to whoever runs the actor's task, or drops it; that is one at a
//!    time. (What senders may do with a shelf is told there.)
//! 3. `waker` is written once, before the inbox says for the first time that the actor sleeps, and stays
//!    until the cell is freed: a sender may still be calling it when the actor has ended.
//! 4. `exit` is the owner's until the inbox is closed: first the reason that a stop or a signal gave, at last
//!    that of the end. Then it stays. Whoever finds the inbox closed may read it.

use crate::executor::Engine;
use crate::hooks::CAN_HOOK;
use crate::mailbox::OnFull;
use crate::mailbox::Priority;
use crate::mailbox::inbox::{Inbox, Pushed, Taken};
use crate::mailbox::letter::Kind;
use crate::mailbox::letter::Letter;
use crate::mailbox::limit::{Limit, Load};
use crate::mailbox::room::Room;
use crate::owned::Owned;
use crate::panics;
use crate::pid::Pid;
use crate::reason::Reason;
use crate::shelf::Shelf;
use crate::start::Made;
use crate::vtable::VTable;
use std::ptr::NonNull;
use std::sync::Arc;
use std::task::Waker;
use weftwork_core::sync::Mutex;
use weftwork_core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use weftwork_core::sync::cell::UnsafeCell;
use weftwork_core::task::TaskRef;

/// The part of a cell that does not depend on the actor's type. Starts it (`repr(C)`, first field).
pub(crate) struct Header {
    references: AtomicUsize,
    pub(crate) vtable: &'static VTable,
    pub(crate) number: u64,
    pub(crate) inbox: Inbox,
    pub(crate) room: Room,
    pub(crate) on_full: OnFull,
    /// Something is in the inbox that the actor shall look at before its next message.
    attention: AtomicBool,
    /// The actor is ending: what it drops now is not given up by a decision of its own. Set by the owner.
    ends: AtomicBool,
    /// A test looks after the actor: see `hooks`.
    pub(crate) is_hooked: bool,
    waker: UnsafeCell<Option<Waker>>,
    exit: UnsafeCell<Option<Reason>>,
    owned: UnsafeCell<Owned>,
    shelf: UnsafeCell<Shelf>,
    shelf_lock: Mutex<()>,
    /// How far `init` is.
    pub(crate) made: Mutex<Made>,
    /// Whose answer the actor waits for.
    pub(crate) asks: Mutex<Option<CellRef>>,
    pub(crate) name: Option<Arc<str>>,
    pub(crate) engine: Arc<dyn Engine>,
    /// Set once the task is spawned, for a kill.
    task: Mutex<Option<TaskRef>>,
    /// A kill came before the task was set. Changed and read with `task` locked.
    is_killed: AtomicBool,
}

/// A counted reference to an actor's cell.
pub(crate) struct CellRef(NonNull<Header>);

// SAFETY: shared access reaches the atomics, `waker` and `exit`, which are published (invariants 3 and 4),
// and fields that do not change; `owned` and the stage are reached by the one that runs the task (2), and
// hold only what is `Send`: the actor, its arguments, letters.
unsafe impl Send for CellRef {}
// SAFETY: as above.
unsafe impl Sync for CellRef {}

impl std::panic::UnwindSafe for CellRef {}
impl std::panic::RefUnwindSafe for CellRef {}

impl Header {
    pub(crate) fn new(
        vtable: &'static VTable,
        number: u64,
        (limit, on_full): (Limit, OnFull),
        name: Option<Arc<str>>,
        engine: Arc<dyn Engine>,
        owned: Owned,
    ) -> Self {
        Header {
            references: AtomicUsize::new(1),
            vtable,
            number,
            inbox: Inbox::new(),
            room: Room::new(limit),
            on_full,
            attention: AtomicBool::new(false),
            ends: AtomicBool::new(false),
            is_hooked: CAN_HOOK && engine.hooks().is_some(),
            waker: UnsafeCell::new(None),
            exit: UnsafeCell::new(None),
            owned: UnsafeCell::new(owned),
            shelf: UnsafeCell::new(Shelf::new()),
            shelf_lock: Mutex::new(()),
            made: Mutex::new(Made::Pending),
            asks: Mutex::new(None),
            name,
            engine,
            task: Mutex::new(None),
            is_killed: AtomicBool::new(false),
        }
    }

    pub(crate) fn is_alive(&self) -> bool {
        !self.inbox.is_closed()
    }

    /// Notes the task, which is spawned. If a kill was there before, it is made up for.
    pub(crate) fn set_task(&self, task: TaskRef) {
        let late = {
            let mut place = self.task.lock();
            // Relaxed: ordered by the lock.
            let is_late = self.is_killed.load(Ordering::Relaxed);
            let late = is_late.then(|| task.clone());
            *place = Some(task);
            late
        };
        if let Some(task) = late {
            task.cancel();
        }
    }

    /// Interrupts the actor where it waits in a handler, for a kill that was sent.
    pub(crate) fn interrupt(&self) {
        let task = {
            let place = self.task.lock();
            if place.is_none() {
                // Relaxed: ordered by the lock.
                self.is_killed.store(true, Ordering::Relaxed);
            }
            place.clone()
        };
        if let Some(task) = task {
            task.cancel();
        }
    }

    /// Why the actor ended, if it has.
    pub(crate) fn exit_reason(&self) -> Option<Reason> {
        if self.is_alive() {
            return None;
        }
        // SAFETY: the inbox is closed, so the reason was written before and is not any more (invariant 4).
        self.exit.with(|exit| unsafe { (*exit).clone() })
    }

    /// Puts a letter into the inbox that the actor shall see before its next message, and wakes it if it
    /// sleeps.
    ///
    /// # Errors
    /// The actor has ended; here is the letter.
    pub(crate) fn push_urgently(&self, letter: Letter) -> Result<(), Letter> {
        let pushed = self.inbox.push(letter)?;
        // Release: pairs with `attention`. After the push: who sees the flag sees the letter.
        self.attention.store(true, Ordering::Release);
        if pushed == Pushed::Wake {
            self.wake();
        }
        Ok(())
    }

    /// Puts a message into the inbox, which was counted. One of another priority than the normal one is
    /// announced: it may have to overtake.
    ///
    /// # Errors
    /// As [`push_urgently`](Self::push_urgently).
    #[inline]
    pub(crate) fn push_message(&self, letter: Letter) -> Result<(), Letter> {
        if self.put_message(letter)? == Pushed::Wake {
            self.wake();
        }
        Ok(())
    }

    /// As [`push_message`](Self::push_message), but waking the actor is left to the caller.
    #[inline]
    pub(crate) fn put_message(&self, letter: Letter) -> Result<Pushed, Letter> {
        match self.hooks() {
            None => self.place_message(letter),
            Some(hooks) => hooks.message(self, letter),
        }
    }

    /// As `put_message`, past the hooks.
    #[inline]
    pub(crate) fn place_message(&self, letter: Letter) -> Result<Pushed, Letter> {
        let is_normal = letter.class().kind == Kind::Message(Priority::Normal);
        let pushed = self.inbox.push(letter)?;
        if !is_normal {
            // Release: as in `push_urgently`.
            self.attention.store(true, Ordering::Release);
        }
        Ok(pushed)
    }

    /// Takes what is in the inbox, all of which is counted in the room then. For the consumer.
    #[inline]
    pub(crate) fn take_letters(&self) -> Taken {
        let mut taken = self.inbox.take();
        if std::mem::take(&mut taken.is_first_uncounted) {
            self.room.admit(Load::ONE);
        }
        taken
    }

    /// How many messages are in the mailbox. A report.
    pub(crate) fn mailbox_len(&self) -> usize {
        self.room.len() + self.inbox.uncounted()
    }

    /// Reaches the shelf: the caller is the owner, or a sender to a mailbox that drops its oldest message.
    /// `f` runs no code of the user's, and does not ask for the shelf again.
    #[inline]
    pub(crate) fn shelf<R>(&self, f: impl FnOnce(&mut Shelf) -> R) -> R {
        let _guard = (self.on_full == OnFull::DropOldest).then(|| self.shelf_lock.lock());
        // SAFETY: the owner's alone, or guarded by the lock.
        self.shelf.with_mut(|shelf| f(unsafe { &mut *shelf }))
    }

    /// Whether nothing lies on the shelf. For the owner.
    #[inline]
    pub(crate) fn shelf_is_empty(&self) -> bool {
        self.shelf(|shelf| shelf.is_empty())
    }

    /// Whether something was announced since the last [`attention`](Self::attention). For the owner.
    #[inline]
    pub(crate) fn has_attention(&self) -> bool {
        // Relaxed: the exchange below acquires. The letter is in the inbox either way.
        self.attention.load(Ordering::Relaxed)
    }

    /// Whether something was announced since the last call. For the owner.
    #[inline]
    pub(crate) fn attention(&self) -> bool {
        self.has_attention() && self.attention.swap(false, Ordering::Acquire)
    }

    /// The actor is ending from here on. For the owner.
    pub(crate) fn begin_end(&self) {
        // Relaxed: read by the owner's code alone.
        self.ends.store(true, Ordering::Relaxed);
    }

    /// Whether the actor is ending, for code that runs in it.
    pub(crate) fn is_ending(&self) -> bool {
        // Relaxed: as above.
        self.ends.load(Ordering::Relaxed)
    }

    /// Wakes the actor: for who has found that it sleeps.
    #[inline]
    pub(crate) fn wake(&self) {
        self.waker.with(|waker| {
            // SAFETY: the inbox said that the actor slept, so the waker is there and stays (invariant 3);
            // the push acquired it.
            if let Some(waker) = unsafe { &*waker } {
                waker.wake_by_ref();
            }
        });
    }

    /// Notes the task's waker, the first time.
    ///
    /// # Safety
    /// The caller runs the actor's task, for the first time.
    pub(crate) unsafe fn set_waker(&self, new: &Waker) {
        let new = new.clone();
        // SAFETY: the inbox was never idle, so nobody else looks (invariant 3).
        self.waker.with_mut(|waker| unsafe { *waker = Some(new) });
    }

    /// The task's waker. For the owner.
    pub(crate) fn waker(&self) -> Option<Waker> {
        // SAFETY: written by the owner, who calls this.
        self.waker.with(|waker| unsafe { (*waker).clone() })
    }

    /// # Safety
    /// The caller is the owner, and the inbox is not closed.
    pub(crate) unsafe fn set_exit(&self, reason: Reason) {
        // SAFETY: nobody reads it before the inbox is closed (invariant 4).
        let before = self
            .exit
            .with_mut(|exit| unsafe { (*exit).replace(reason) });
        // An error in it is the user's.
        let _ = panics::drop_caught(before);
    }

    /// Takes out what `set_exit` wrote.
    ///
    /// # Safety
    /// As for [`set_exit`](Self::set_exit).
    pub(crate) unsafe fn take_exit(&self) -> Option<Reason> {
        // SAFETY: as above.
        self.exit.with_mut(|exit| unsafe { (*exit).take() })
    }

    /// What the actor's task has to itself.
    ///
    /// # Safety
    /// The caller runs the actor's task or drops it (invariant 2), and gives up the reference before it
    /// calls anything that asks for it again.
    #[allow(clippy::mut_from_ref, reason = "that is the contract")]
    #[inline]
    pub(crate) unsafe fn owned(&self) -> &mut Owned {
        // SAFETY: exclusive, says the caller.
        self.owned.with_mut(|owned| unsafe { &mut *owned })
    }
}

impl CellRef {
    /// # Safety
    /// `header` starts a cell of its vtable's type, whose first reference the caller passes on.
    pub(crate) unsafe fn from_raw(header: NonNull<Header>) -> Self {
        CellRef(header)
    }

    pub(crate) fn pointer(&self) -> NonNull<Header> {
        self.0
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::of(self.clone())
    }
}

impl std::ops::Deref for CellRef {
    type Target = Header;

    #[inline]
    fn deref(&self) -> &Header {
        // SAFETY: this reference is counted (invariant 1).
        unsafe { self.0.as_ref() }
    }
}

impl Clone for CellRef {
    #[inline]
    fn clone(&self) -> Self {
        // Relaxed: a reference is made from a reference, which keeps the cell alive.
        let before = self.references.fetch_add(1, Ordering::Relaxed);
        if before > isize::MAX as usize {
            // Only a leak in a loop gets here.
            std::process::abort();
        }
        CellRef(self.0)
    }
}

impl Drop for CellRef {
    #[inline]
    fn drop(&mut self) {
        // AcqRel: what the other owners did comes before the free. (An acquire fence in the branch would do,
        // but ThreadSanitizer does not follow it.)
        if self.references.fetch_sub(1, Ordering::AcqRel) == 1 {
            let free = self.vtable.free;
            // SAFETY: the last reference is gone.
            unsafe { free(self.0) }
        }
    }
}

impl PartialEq for CellRef {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for CellRef {}
