//! Who holds a lock: what reports of deadlocks need, written down at the price of two plain stores.
//!
//! No protocol reads this, so it is outside the models. What is read while the lock changes hands may be of
//! the holder before.

use std::cell::Cell;
use std::fmt;
use std::num::NonZeroU64;
use std::panic::Location;
use std::ptr;
// Outside the models: see the head of this file.
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use weftwork_core::host;
use weftwork_core::task::RawTask;

/// Somebody who can hold a lock or wait for one.
///
/// ```
/// use weftwork_sync::Party;
///
/// let me = Party::current();
/// assert_eq!(me, Party::current());
/// assert_ne!(me, std::thread::spawn(Party::current).join().unwrap());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Party {
    /// A task on a hosted thread, by the number of its [`TaskId`](weftwork_core::TaskId).
    Task(NonZeroU64),
    /// An OS thread, by a number of its own: threads are counted as they meet this crate's locks.
    Thread(NonZeroU64),
}

/// Set in the number of a thread. Tasks do not get that far.
const THREAD: u64 = 1 << 63;

impl Party {
    /// The task or thread that calls this.
    #[must_use]
    pub fn current() -> Party {
        Party::from_word(current_word()).expect("the numbers start at one")
    }

    /// The party as one number, which no other has; never zero.
    pub(crate) fn word(self) -> u64 {
        match self {
            Party::Task(number) => number.get(),
            Party::Thread(number) => number.get() | THREAD,
        }
    }

    fn from_word(word: u64) -> Option<Party> {
        let number = NonZeroU64::new(word & !THREAD)?;
        Some(if word & THREAD == 0 {
            Party::Task(number)
        } else {
            Party::Thread(number)
        })
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Party::Task(number) => write!(f, "task {number}"),
            Party::Thread(number) => write!(f, "thread {number}"),
        }
    }
}

/// Who holds a lock, and the line that took it.
///
/// ```
/// let mutex = weftwork_sync::Mutex::new(0);
/// let guard = mutex.lock();
/// let holder = mutex.holder().unwrap();
/// assert_eq!(holder.party, weftwork_sync::Party::current());
/// assert_eq!(holder.location.line(), line!() - 3);
/// drop(guard);
/// assert!(mutex.holder().is_none());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// Who took it.
    pub party: Party,
    /// Where it was taken.
    pub location: &'static Location<'static>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} since {}", self.party, self.location)
    }
}

/// The note of the last holder.
pub(crate) struct Note {
    party: AtomicU64,
    location: AtomicPtr<Location<'static>>,
}

impl Note {
    pub(crate) const fn new() -> Self {
        Note {
            party: AtomicU64::new(0),
            location: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// Notes that the caller holds the lock.
    #[inline]
    pub(crate) fn set(&self, location: &'static Location<'static>) {
        // Relaxed: a hint.
        self.party.store(current_word(), Ordering::Relaxed);
        self.location
            .store(ptr::from_ref(location).cast_mut(), Ordering::Relaxed);
    }

    /// The last that held the lock.
    pub(crate) fn get(&self) -> Option<Holder> {
        let party = Party::from_word(self.party.load(Ordering::Relaxed))?;
        let location = self.location.load(Ordering::Relaxed);
        // SAFETY: null or what `set` wrote: a reference that is valid for ever.
        let location = unsafe { location.as_ref() }?;
        Some(Holder { party, location })
    }
}

#[inline]
fn current_word() -> u64 {
    match host::current() {
        Some(task) => task_word(task),
        None => thread_word(),
    }
}

#[inline]
fn task_word(task: RawTask) -> u64 {
    // SAFETY: the current task is running here, hence alive.
    let (id, ..) = unsafe { task.describe() };
    id.get()
}

thread_local! {
    static NUMBER: Cell<u64> = const { Cell::new(0) };
}

#[inline]
fn thread_word() -> u64 {
    match NUMBER.get() {
        0 => number_thread(),
        number => number,
    }
}

#[cold]
fn number_thread() -> u64 {
    // Outside the models: see the head of this file.
    static LAST: AtomicU64 = AtomicU64::new(0);
    // Relaxed: only uniqueness is wanted.
    let number = (LAST.fetch_add(1, Ordering::Relaxed) + 1) | THREAD;
    NUMBER.set(number);
    number
}
