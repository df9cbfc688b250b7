//! Values that belong to an attempt: each starts with its own, and takes it away with it.

use crate::node::Fresh;
use crate::tx::Tx;
use crate::var::inner::VarRef;
use std::fmt;
use std::ptr::NonNull;
// Outside the models: only uniqueness is wanted, and loom's cannot stand in a static.
use std::sync::atomic::AtomicUsize;
use weftwork_core::sync::atomic::Ordering;

/// A variable of which each attempt of each transaction has its own value.
///
/// It carries what parts of a transaction tell each other without passing it along. Changes made in a
/// branch that is rolled back are rolled back with it. Usually it stands in a static.
///
/// ```
/// use weftwork_stm::{TxLocal, atomically};
///
/// static DEPTH: TxLocal<u32> = TxLocal::new(|| 0);
///
/// let depth = atomically(|tx| {
///     DEPTH.with(tx, |depth| *depth += 1);
///     Ok(*DEPTH.get(tx))
/// });
/// assert_eq!(depth, 1);
/// assert_eq!(atomically(|tx| Ok(*DEPTH.get(tx))), 0);
/// ```
pub struct TxLocal<T: 'static> {
    /// Tells it from others; 0 before its first use.
    id: AtomicUsize,
    init: fn() -> T,
}

impl<T: 'static> TxLocal<T> {
    /// Makes a variable that each attempt finds with what `init` returns.
    ///
    /// ```
    /// use weftwork_stm::TxLocal;
    ///
    /// static LOG: TxLocal<Vec<String>> = TxLocal::new(Vec::new);
    /// # let _ = &LOG;
    /// ```
    #[must_use]
    pub const fn new(init: fn() -> T) -> TxLocal<T> {
        TxLocal {
            id: AtomicUsize::new(0),
            init,
        }
    }

    /// The value of this attempt. The reference shows what is there now, whatever is set later.
    ///
    /// ```
    /// use weftwork_stm::{TxLocal, atomically};
    ///
    /// static NAME: TxLocal<String> = TxLocal::new(|| "nobody".into());
    /// assert_eq!(atomically(|tx| Ok(NAME.get(tx).len())), 6);
    /// ```
    pub fn get<'tx>(&self, tx: &'tx Tx) -> &'tx T {
        let key = self.key();
        let node = tx.log.local(key).unwrap_or_else(|| {
            let first = Fresh::new((self.init)());
            // `init` may have used this very variable: what is set last counts.
            let node = first.node();
            tx.log.set_local(key, first);
            node
        });
        // SAFETY: only values of this variable are kept under its key, so it is of a `T`; it is kept until
        // the attempt is over, and `'tx` ends before.
        unsafe { node.value() }
    }

    /// Sets the value for the rest of this attempt.
    ///
    /// ```
    /// use weftwork_stm::{TxLocal, atomically};
    ///
    /// static USER: TxLocal<&str> = TxLocal::new(|| "nobody");
    /// let user = atomically(|tx| {
    ///     USER.set(tx, "Ada");
    ///     Ok(*USER.get(tx))
    /// });
    /// assert_eq!(user, "Ada");
    /// ```
    pub fn set(&self, tx: &Tx, value: T) {
        tx.log.set_local(self.key(), Fresh::new(value));
    }

    /// Changes a copy of the value with `f`, and sets it.
    ///
    /// ```
    /// use weftwork_stm::{TxLocal, atomically};
    ///
    /// static SEEN: TxLocal<Vec<u32>> = TxLocal::new(Vec::new);
    /// let seen = atomically(|tx| {
    ///     SEEN.with(tx, |seen| seen.push(1));
    ///     Ok(SEEN.get(tx).len())
    /// });
    /// assert_eq!(seen, 1);
    /// ```
    pub fn with<R>(&self, tx: &Tx, f: impl FnOnce(&mut T) -> R) -> R
    where
        T: Clone,
    {
        let mut value = self.get(tx).clone();
        let result = f(&mut value);
        self.set(tx, value);
        result
    }

    /// Where its values are kept in a log: an address that is no variable's, and is not followed.
    fn key(&self) -> VarRef {
        static LAST: AtomicUsize = AtomicUsize::new(0);
        // Relaxed: only the value is wanted.
        let mut id = self.id.load(Ordering::Relaxed);
        if id == 0 {
            // Relaxed: only uniqueness is wanted.
            let new = LAST.fetch_add(1, Ordering::Relaxed) + 1;
            // Relaxed: the number is all there is to see.
            let set = self
                .id
                .compare_exchange(0, new, Ordering::Relaxed, Ordering::Relaxed);
            id = set.map_or_else(|other| other, |_| new);
        }
        let address = id.checked_mul(16).and_then(|id| id.try_into().ok());
        let address = NonNull::without_provenance(address.expect("fewer locals than addresses"));
        // SAFETY: keys of locals are compared, never followed.
        unsafe { VarRef::new(address) }
    }
}

impl<T: 'static> fmt::Debug for TxLocal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TxLocal").finish_non_exhaustive()
    }
}
