//! A value that is made when it is first wanted.

use super::OnceLock;
use crate::Mutex;
use std::fmt;
use std::ops::Deref;

/// A value that its first user makes.
///
/// Whoever wants it meanwhile waits: only the current green thread or OS thread. If the making
/// panics, so does every later use, as with std's.
///
/// ```
/// use weftwork_sync::LazyLock;
///
/// static SQUARES: LazyLock<Vec<u32>> = LazyLock::new(|| (0..10).map(|n| n * n).collect());
/// assert_eq!(SQUARES[3], 9);
/// ```
pub struct LazyLock<T, F = fn() -> T> {
    cell: OnceLock<T>,
    /// Taken by whoever makes the value; only that one looks.
    init: Mutex<Option<F>>,
}

impl<T, F: FnOnce() -> T> LazyLock<T, F> {
    /// Makes a value to be made by `f`.
    ///
    /// ```
    /// let lazy = weftwork_sync::LazyLock::new(|| 7);
    /// assert_eq!(*lazy, 7);
    /// ```
    #[cfg(not(weftwork_loom))]
    pub const fn new(f: F) -> Self {
        LazyLock {
            cell: OnceLock::new(),
            init: Mutex::new(Some(f)),
        }
    }

    /// Makes a value to be made by `f`.
    #[cfg(weftwork_loom)]
    pub fn new(f: F) -> Self {
        LazyLock {
            cell: OnceLock::new(),
            init: Mutex::new(Some(f)),
        }
    }

    /// The value, made if it is not there yet.
    ///
    /// # Panics
    /// The making panics, or did before, or asks for the value itself.
    ///
    /// ```
    /// use weftwork_sync::LazyLock;
    ///
    /// let lazy = LazyLock::new(|| 7);
    /// assert_eq!(*LazyLock::force(&lazy), 7);
    /// ```
    #[track_caller]
    #[inline]
    pub fn force(this: &Self) -> &T {
        this.cell.get_or_init(|| {
            let init = this.init.lock().take();
            init.expect("lazy value is poisoned: its making panicked")()
        })
    }

    /// The value, if it has been made.
    ///
    /// ```
    /// use weftwork_sync::LazyLock;
    ///
    /// let lazy = LazyLock::new(|| 7);
    /// assert_eq!(LazyLock::get(&lazy), None);
    /// ```
    pub fn get(this: &Self) -> Option<&T> {
        this.cell.get()
    }
}

impl<T, F: FnOnce() -> T> Deref for LazyLock<T, F> {
    type Target = T;
    #[track_caller]
    #[inline]
    fn deref(&self) -> &T {
        LazyLock::force(self)
    }
}

impl<T: Default> Default for LazyLock<T> {
    fn default() -> Self {
        LazyLock::new(T::default)
    }
}

impl<T: fmt::Debug, F> fmt::Debug for LazyLock<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_tuple("LazyLock");
        match self.cell.get() {
            Some(value) => out.field(value),
            None => out.field(&format_args!("<not made>")),
        };
        out.finish()
    }
}
