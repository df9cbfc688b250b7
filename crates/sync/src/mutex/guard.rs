//! The guards of a mutex: what a holder has in hand.
//!
//! Invariants
//! 1. A `Held` exists for a locked mutex alone, and once: its drop unlocks.
//! 2. The pointer of a guard is to the mutex's value or a part of it, which outlive `'a`; through it
//!    the holder has the value to itself.

use super::Mutex;
use super::raw::RawMutex;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// The lock itself, in the hand of its holder.
pub(super) struct Held<'a> {
    raw: &'a RawMutex,
    /// Whether the thread was panicking already when the lock was taken: then its panic is not one
    /// of this holder's. Asked only of mutexes that poison.
    was_panicking: bool,
    /// A lock is given up by who took it: reports name the holder.
    not_send: PhantomData<*const ()>,
}

impl<'a> Held<'a> {
    /// The caller holds the lock, and no other `Held` of it exists.
    #[inline]
    pub(super) fn new(raw: &'a RawMutex) -> Self {
        Held {
            raw,
            was_panicking: raw.poison().is_on() && std::thread::panicking(),
            not_send: PhantomData,
        }
    }

    #[inline]
    fn mark_poison(&self) {
        let poison = self.raw.poison();
        if poison.is_on() && !self.was_panicking && std::thread::panicking() {
            poison.set(self.raw.holder().map(|holder| holder.location));
        }
    }

    fn unlock_fair(self) {
        self.mark_poison();
        let raw = self.raw;
        std::mem::forget(self);
        raw.unlock_fair();
    }
}

impl Drop for Held<'_> {
    #[inline]
    fn drop(&mut self) {
        self.mark_poison();
        self.raw.unlock();
    }
}

/// Access to the value of a locked [`Mutex`], which is unlocked when this is dropped.
///
/// It does not leave the thread that made it.
///
/// ```compile_fail,E0277
/// let mutex = weftwork_sync::Mutex::new(0);
/// let guard = mutex.lock();
/// std::thread::scope(|s| {
///     s.spawn(move || drop(guard));
/// });
/// ```
#[must_use = "the mutex is unlocked when the guard is dropped"]
pub struct MutexGuard<'a, T: ?Sized> {
    // First, so that it is dropped before anything that might come to follow it.
    held: Held<'a>,
    mutex: &'a Mutex<T>,
}

// SAFETY: what takes the automatic impl away is `Held::not_send`. A shared guard gives out `&T`.
unsafe impl<T: ?Sized + Sync> Sync for MutexGuard<'_, T> {}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    #[inline]
    pub(super) fn new(mutex: &'a Mutex<T>) -> Self {
        MutexGuard {
            held: Held::new(&mutex.raw),
            mutex,
        }
    }

    pub(crate) fn mutex(guard: &Self) -> &'a Mutex<T> {
        guard.mutex
    }

    /// Narrows the guard to a part of the value.
    ///
    /// ```
    /// use weftwork_sync::{Mutex, MutexGuard};
    ///
    /// let mutex = Mutex::new((1, "one"));
    /// let mut number = MutexGuard::map(mutex.lock(), |pair| &mut pair.0);
    /// *number += 1;
    /// drop(number);
    /// assert_eq!(mutex.into_inner(), (2, "one"));
    /// ```
    pub fn map<U: ?Sized>(
        guard: Self,
        part: impl FnOnce(&mut T) -> &mut U,
    ) -> MappedMutexGuard<'a, U> {
        // SAFETY: the guard has the value to itself (2).
        let part = NonNull::from(part(unsafe { &mut *guard.mutex.value.get() }));
        MappedMutexGuard {
            held: guard.held,
            part,
            borrow: PhantomData,
        }
    }

    /// Narrows the guard to a part of the value, if it has that part.
    ///
    /// # Errors
    /// It has not: the guard is handed back.
    ///
    /// ```
    /// use weftwork_sync::{Mutex, MutexGuard};
    ///
    /// let mutex = Mutex::new(vec![1, 2]);
    /// let guard = MutexGuard::try_map(mutex.lock(), |numbers| numbers.get_mut(7)).unwrap_err();
    /// assert_eq!(guard.len(), 2);
    /// ```
    pub fn try_map<U: ?Sized>(
        guard: Self,
        part: impl FnOnce(&mut T) -> Option<&mut U>,
    ) -> Result<MappedMutexGuard<'a, U>, Self> {
        // SAFETY: as in `map`.
        match part(unsafe { &mut *guard.mutex.value.get() }).map(NonNull::from) {
            Some(part) => Ok(MappedMutexGuard {
                held: guard.held,
                part,
                borrow: PhantomData,
            }),
            None => Err(guard),
        }
    }

    /// Unlocks and hands the lock to the first in line, if there is one, instead of letting whoever
    /// comes first have it.
    ///
    /// ```
    /// use weftwork_sync::{Mutex, MutexGuard};
    ///
    /// let mutex = Mutex::new(1);
    /// MutexGuard::unlock_fair(mutex.lock());
    /// assert!(!mutex.is_locked());
    /// ```
    pub fn unlock_fair(guard: Self) {
        guard.held.unlock_fair();
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard has the value to itself (2), and is borrowed.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`; borrowed for changes.
        unsafe { &mut *self.mutex.value.get() }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// Access to a part of the value of a locked [`Mutex`]: see [`MutexGuard::map`].
#[must_use = "the mutex is unlocked when the guard is dropped"]
pub struct MappedMutexGuard<'a, T: ?Sized> {
    held: Held<'a>,
    part: NonNull<T>,
    borrow: PhantomData<&'a mut T>,
}

// SAFETY: what takes the automatic impl away is the pointer, through which a shared guard gives out
// `&T`.
unsafe impl<T: ?Sized + Sync> Sync for MappedMutexGuard<'_, T> {}

impl<'a, T: ?Sized> MappedMutexGuard<'a, T> {
    /// Narrows the guard to a part of its part.
    ///
    /// ```
    /// use weftwork_sync::{MappedMutexGuard, Mutex, MutexGuard};
    ///
    /// let mutex = Mutex::new(((1, 2), 3));
    /// let pair = MutexGuard::map(mutex.lock(), |all| &mut all.0);
    /// assert_eq!(*MappedMutexGuard::map(pair, |pair| &mut pair.1), 2);
    /// ```
    pub fn map<U: ?Sized>(
        mut guard: Self,
        part: impl FnOnce(&mut T) -> &mut U,
    ) -> MappedMutexGuard<'a, U> {
        // SAFETY: the guard has its part to itself (2).
        let part = NonNull::from(part(unsafe { guard.part.as_mut() }));
        MappedMutexGuard {
            held: guard.held,
            part,
            borrow: PhantomData,
        }
    }

    /// Unlocks and hands the lock to the first in line: see [`MutexGuard::unlock_fair`].
    ///
    /// ```
    /// use weftwork_sync::{MappedMutexGuard, Mutex, MutexGuard};
    ///
    /// let mutex = Mutex::new((1, 2));
    /// MappedMutexGuard::unlock_fair(MutexGuard::map(mutex.lock(), |pair| &mut pair.0));
    /// assert!(!mutex.is_locked());
    /// ```
    pub fn unlock_fair(guard: Self) {
        guard.held.unlock_fair();
    }
}

impl<T: ?Sized> Deref for MappedMutexGuard<'_, T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard has its part to itself (2), and is borrowed.
        unsafe { self.part.as_ref() }
    }
}

impl<T: ?Sized> DerefMut for MappedMutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`; borrowed for changes.
        unsafe { self.part.as_mut() }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MappedMutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for MappedMutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
