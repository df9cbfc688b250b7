//! A transactional variable: the handle.
//!
//! Invariants
//! 1. `inner` is null while the value is in `seed`, [`MOVING`] while one thread moves it out, and a pointer to
//!    an [`Inner`] ever after. So a variable can stand in a static, and costs nothing until it is used.
//! 2. Each handle with an inner counts in it. The last one to go retires the inner.

pub(crate) mod inner;

use crate::canary::{is_gone, is_weak};
use crate::node::{self, Fresh};
use crate::reclaim::{self, Pin};
use crate::{Snapshot, Stm, Tx, commit};
use inner::{Inner, VarRef};
use std::alloc::Layout;
use std::fmt;
use std::mem::MaybeUninit;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::ptr::{self, NonNull};
use weftwork_core::sync::atomic::{AtomicPtr, Ordering};
use weftwork_core::sync::cell::UnsafeCell;
use weftwork_core::sync::thread;

/// The address that says that the seed is being moved out.
const MOVING: usize = 1;

/// A variable that transactions read and write.
///
/// It is a handle: a clone is another handle of the same variable. A value is read in place, as a `&T` that
/// lives as long as the attempt, and never changed in place: a write puts a new value beside it. So `T` need
/// not be `Clone`, and a value must be shareable between threads.
///
/// A variable can stand in a static. Nothing is allocated before its first use.
///
/// When the last handle is dropped, and whenever a commit replaces a value, the old value is dropped a
/// little later, possibly on another thread: when no transaction can be looking at it any more.
///
/// ```
/// use weftwork_stm::{TVar, atomically};
///
/// static HITS: TVar<u64> = TVar::new(0);
///
/// let hits = atomically(|tx| {
///     HITS.update(tx, |hits| hits + 1)?;
///     HITS.get(tx).copied()
/// });
/// assert_eq!(hits, 1);
/// ```
pub struct TVar<T: 'static> {
    inner: AtomicPtr<Inner>,
    seed: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: `seed` takes the automatic one away. One thread moves the seed out, chosen by a compare-and-swap
// on `inner`; afterwards values are only shared (`T: Sync`), and dropped on any thread (`T: Send`).
unsafe impl<T: Send + Sync> Sync for TVar<T> {}

// `seed` takes the automatic ones away. A panic in a transaction changes nothing, so nobody finds a variable
// half changed; what a `&T` may be found in is up to `T`.
impl<T: RefUnwindSafe> RefUnwindSafe for TVar<T> {}
impl<T: RefUnwindSafe> UnwindSafe for TVar<T> {}

impl<T: Send + Sync + 'static> TVar<T> {
    /// Makes a variable that holds `value`.
    ///
    /// ```
    /// use weftwork_stm::TVar;
    ///
    /// static LIMIT: TVar<u32> = TVar::new(10);
    /// assert_eq!(LIMIT.load(), 10);
    /// ```
    #[cfg(not(weftwork_loom))]
    #[must_use]
    pub const fn new(value: T) -> TVar<T> {
        TVar {
            inner: AtomicPtr::new(ptr::null_mut()),
            seed: UnsafeCell::new(MaybeUninit::new(value)),
        }
    }

    /// Makes a variable that holds `value`.
    #[cfg(weftwork_loom)]
    #[must_use]
    pub fn new(value: T) -> TVar<T> {
        TVar {
            inner: AtomicPtr::new(ptr::null_mut()),
            seed: UnsafeCell::new(MaybeUninit::new(value)),
        }
    }

    /// What all handles of this variable share; it lives as long as one of them, and as long as whoever is
    /// pinned now.
    #[inline]
    pub(crate) fn var(&self) -> VarRef {
        // Acquire: pairs with the store in `materialize`.
        let inner = self.inner.load(Ordering::Acquire);
        if inner.addr() > MOVING {
            // SAFETY: not null, and this handle keeps it; whoever uses it later is pinned.
            unsafe { VarRef::new(NonNull::new_unchecked(inner)) }
        } else {
            self.materialize()
        }
    }

    /// Moves the seed out of the handle, or waits until somebody else has.
    #[cold]
    fn materialize(&self) -> VarRef {
        let moving = ptr::without_provenance_mut(MOVING);
        loop {
            // Acquire: as in `var`, where it fails; the one that succeeds has the seed to itself.
            let won = self.inner.compare_exchange(
                ptr::null_mut(),
                moving,
                Ordering::Acquire,
                Ordering::Acquire,
            );
            match won {
                Ok(_) => break,
                Err(inner) if inner.addr() > MOVING => {
                    // SAFETY: as in `var`.
                    return unsafe { VarRef::new(NonNull::new_unchecked(inner)) };
                }
                Err(_) => thread::yield_now(),
            }
        }
        // SAFETY: the seed is inside (invariant 1), and this thread alone was chosen to move it out.
        let value = self.seed.with(|seed| unsafe { (*seed).assume_init_read() });
        let inner = Inner::allocate(Fresh::new(value));
        // Release: pairs with the loads in `var` and above.
        let order = if is_weak("stm: seed") {
            Ordering::Relaxed
        } else {
            Ordering::Release
        };
        self.inner.store(inner.as_ptr(), order);
        // SAFETY: as in `var`.
        unsafe { VarRef::new(inner) }
    }

    /// Reads the variable. The reference lives as long as the attempt.
    ///
    /// Whatever a transaction reads belongs to one state: there was an instant at which all the values were
    /// in the variables together. It does not block; it spins for some nanoseconds where a commit is just
    /// writing the variable.
    ///
    /// # Errors
    /// The attempt cannot go on: hand the [`Stop`](crate::Stop) back with `?`, and the body runs again.
    ///
    /// ```
    /// use weftwork_stm::{TVar, atomically};
    ///
    /// let name = TVar::new(String::from("Ada"));
    /// let length = atomically(|tx| Ok(name.get(tx)?.len()));
    /// assert_eq!(length, 3);
    /// ```
    #[inline]
    pub fn get<'tx>(&self, tx: &'tx Tx) -> Stm<&'tx T> {
        let node = tx.read(self.var())?;
        // SAFETY: the node is of this variable, so of a `T`. A published one lives while the attempt is
        // pinned, a private one until the attempt is over; `'tx` ends before either.
        Ok(unsafe { node.value() })
    }

    /// Writes the variable. Others see the value when the transaction commits.
    ///
    /// # Errors
    /// The attempt cannot go on: hand the [`Stop`](crate::Stop) back with `?`.
    ///
    /// ```
    /// use weftwork_stm::{TVar, atomically};
    ///
    /// let flag = TVar::new(false);
    /// atomically(|tx| flag.set(tx, true));
    /// assert!(flag.load());
    /// ```
    #[inline]
    pub fn set(&self, tx: &Tx, value: T) -> Stm<()> {
        tx.write(self.var(), Fresh::new(value))
    }

    /// Replaces the value by what `f` makes of it.
    ///
    /// # Errors
    /// The attempt cannot go on: hand the [`Stop`](crate::Stop) back with `?`.
    ///
    /// ```
    /// use weftwork_stm::{TVar, atomically};
    ///
    /// let count = TVar::new(1);
    /// atomically(|tx| count.update(tx, |n| n + 1));
    /// assert_eq!(count.load(), 2);
    /// ```
    #[inline]
    pub fn update(&self, tx: &Tx, f: impl FnOnce(&T) -> T) -> Stm<()> {
        let value = f(self.get(tx)?);
        self.set(tx, value)
    }

    /// Replaces the value by the first part of what `f` makes of it; returns the second.
    ///
    /// # Errors
    /// The attempt cannot go on: hand the [`Stop`](crate::Stop) back with `?`.
    ///
    /// ```
    /// use weftwork_stm::{TVar, atomically};
    ///
    /// let next_id = TVar::new(7);
    /// let id = atomically(|tx| next_id.modify(tx, |&id| (id + 1, id)));
    /// assert_eq!((id, next_id.load()), (7, 8));
    /// ```
    #[inline]
    pub fn modify<R>(&self, tx: &Tx, f: impl FnOnce(&T) -> (T, R)) -> Stm<R> {
        let (value, result) = f(self.get(tx)?);
        self.set(tx, value)?;
        Ok(result)
    }

    /// Writes the variable and returns what it held.
    ///
    /// # Errors
    /// The attempt cannot go on: hand the [`Stop`](crate::Stop) back with `?`.
    ///
    /// ```
    /// use weftwork_stm::{TVar, atomically};
    ///
    /// let seat = TVar::new(Some("Ada"));
    /// assert_eq!(atomically(|tx| seat.replace(tx, None)), Some("Ada"));
    /// assert_eq!(seat.load(), None);
    /// ```
    #[inline]
    pub fn replace(&self, tx: &Tx, value: T) -> Stm<T>
    where
        T: Clone,
    {
        let old = self.get(tx)?.clone();
        self.set(tx, value)?;
        Ok(old)
    }

    /// Replaces the value, at the commit, by what `f` makes of the value that is newest then.
    ///
    /// Transactions that only commute do not conflict, so a hot counter need not be one. Nothing is read: if
    /// this transaction reads the variable after it, or runs in a branch that does, the change is made at once,
    /// as by [`update`](Self::update).
    ///
    /// `f` runs while the variable is locked: it should be short, and may use nothing but its argument. If it
    /// panics at the commit, nothing has changed, and the panic goes on.
    ///
    /// # Errors
    /// The attempt cannot go on: hand the [`Stop`](crate::Stop) back with `?`.
    ///
    /// # Panics
    /// `f` uses this or another variable of the transaction.
    ///
    /// ```
    /// use weftwork_stm::{TVar, atomically};
    ///
    /// let hits = TVar::new(0);
    /// atomically(|tx| hits.commute(tx, |n| n + 1));
    /// assert_eq!(hits.load(), 1);
    /// ```
    pub fn commute(&self, tx: &Tx, f: impl FnOnce(&T) -> T + 'static) -> Stm<()> {
        let var = self.var();
        if tx.is_eager() || tx.log.written(var).is_some() {
            return self.update(tx, f);
        }
        tx.add_commute(
            var,
            // SAFETY: the node is one of this variable, so of a `T`, and lives during the call.
            Box::new(move |node| Fresh::new(f(unsafe { node.value() }))),
        );
        Ok(())
    }

    /// Clones the newest value, outside of any transaction: a transaction of one read, made cheap.
    ///
    /// ```
    /// use weftwork_stm::TVar;
    ///
    /// assert_eq!(TVar::new(3).load(), 3);
    /// ```
    #[inline]
    #[must_use]
    pub fn load(&self) -> T
    where
        T: Clone,
    {
        let pin = reclaim::pin();
        self.newest(&pin).clone()
    }

    /// Calls `f` with the newest value, outside of any transaction.
    ///
    /// Old values of all variables are kept while `f` runs: be quick.
    ///
    /// ```
    /// use weftwork_stm::TVar;
    ///
    /// let text = TVar::new(String::from("long"));
    /// assert_eq!(text.with(String::len), 4);
    /// ```
    #[inline]
    pub fn with<R>(&self, f: impl FnOnce(&T) -> R) -> R {
        let pin = reclaim::pin();
        f(self.newest(&pin))
    }

    /// Writes the variable outside of any transaction: a transaction of one write. It wakes who waits for a
    /// change of the variable.
    ///
    /// Inside a transaction it would take effect at once, whether the transaction commits or not.
    ///
    /// ```
    /// use weftwork_stm::TVar;
    ///
    /// let limit = TVar::new(1);
    /// limit.store(2);
    /// assert_eq!(limit.load(), 2);
    /// ```
    #[track_caller]
    pub fn store(&self, value: T) {
        commit::store(self.var(), Fresh::new(value));
    }

    /// Reads the variable as it was when the snapshot was taken.
    ///
    /// ```
    /// use weftwork_stm::{TVar, snapshot};
    ///
    /// let balances = [TVar::new(3), TVar::new(4)];
    /// let total: i32 = snapshot(|s| balances.iter().map(|b| *b.view(s)).sum());
    /// assert_eq!(total, 7);
    /// ```
    #[inline]
    #[must_use]
    pub fn view<'s>(&self, snapshot: &'s Snapshot) -> &'s T {
        let node = snapshot.find(self.var());
        // SAFETY: the node is of this variable, so of a `T`, and lives while the snapshot is pinned.
        unsafe { node.value() }
    }

    /// Whether `other` is a handle of the same variable.
    ///
    /// ```
    /// use weftwork_stm::TVar;
    ///
    /// let a = TVar::new(1);
    /// assert!(a.same(&a.clone()));
    /// assert!(!a.same(&TVar::new(1)));
    /// ```
    #[must_use]
    pub fn same(&self, other: &TVar<T>) -> bool {
        ptr::eq(self, other) || self.var() == other.var()
    }

    #[inline]
    fn newest<'p>(&self, pin: &'p Pin) -> &'p T {
        self.newest_with_version(pin).0
    }

    #[inline]
    pub(crate) fn newest_with_version<'p>(&self, _pin: &'p Pin) -> (&'p T, u64) {
        let var = self.var();
        let mut word = var.look();
        if word.is_locked() {
            word = var.look_unlocked();
        }
        let node = word.node();
        // SAFETY: the node is of this variable, so of a `T`, and lives while the caller is pinned.
        (unsafe { node.value() }, node.version())
    }
}

impl<T: Send + Sync + 'static> Clone for TVar<T> {
    /// Makes another handle of the same variable.
    fn clone(&self) -> TVar<T> {
        self.var().add_handle();
        TVar {
            // Acquire: as in `var`; there is an inner now.
            inner: AtomicPtr::new(self.inner.load(Ordering::Acquire)),
            seed: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }
}

impl<T: 'static> Drop for TVar<T> {
    fn drop(&mut self) {
        if is_gone() {
            return;
        }
        // Acquire: pairs with the store in `materialize`, by whichever thread.
        let Some(inner) = NonNull::new(self.inner.load(Ordering::Acquire)) else {
            // SAFETY: the seed is inside (invariant 1), and nobody else has the handle.
            self.seed
                .with_mut(|seed| unsafe { (*seed).assume_init_drop() });
            return;
        };
        // SAFETY: this handle has kept the inner until now.
        if unsafe { inner.as_ref() }.drop_handle() {
            let pin = reclaim::pin();
            // SAFETY: there is no handle any more, so nobody can meet the inner who is not pinned already.
            unsafe { reclaim::retire(&pin, inner.cast(), dispose::<T>) };
        }
    }
}

/// # Safety
/// `inner` is that of a variable of `T`s, has no handle, and nobody is pinned that has met it.
unsafe fn dispose<T>(inner: NonNull<u8>) -> Layout {
    // SAFETY: promised by the caller.
    unsafe { inner::dispose_with(inner, node::dispose::<T>) }
}

impl<T: Send + Sync + Default + 'static> Default for TVar<T> {
    fn default() -> TVar<T> {
        TVar::new(T::default())
    }
}

impl<T: Send + Sync + 'static> From<T> for TVar<T> {
    fn from(value: T) -> TVar<T> {
        TVar::new(value)
    }
}

impl<T: Send + Sync + fmt::Debug + 'static> fmt::Debug for TVar<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with(|value| f.debug_tuple("TVar").field(value).finish())
    }
}
