//! A value that is set once.
//!
//! Invariant: the value is there if and only if the once is complete. It is written by whoever runs
//! the initialization, and only read from then on, until somebody has the cell to itself.

use super::raw::{RawOnce, Turn};
use std::convert::Infallible;
use std::fmt;

/// A cell that is written once and read by all.
///
/// ```
/// use weftwork_sync::OnceLock;
///
/// static NAME: OnceLock<String> = OnceLock::new();
///
/// assert_eq!(NAME.get(), None);
/// assert_eq!(NAME.get_or_init(|| "Ada".to_owned()), "Ada");
/// assert_eq!(NAME.set("Grace".to_owned()), Err("Grace".to_owned()));
/// ```
pub struct OnceLock<T> {
    once: RawOnce,
    // Outside the models: ordered by the once, which the models check with a watched cell of theirs.
    value: std::cell::UnsafeCell<Option<T>>,
}

// SAFETY: what takes the automatic impl away is the cell. Readers share the value: `T: Sync`. It may
// be written by one thread and dropped by another: `T: Send`.
unsafe impl<T: Send + Sync> Sync for OnceLock<T> {}

impl<T> OnceLock<T> {
    /// Makes an empty cell.
    ///
    /// ```
    /// static PORT: weftwork_sync::OnceLock<u16> = weftwork_sync::OnceLock::new();
    /// assert_eq!(PORT.set(80), Ok(()));
    /// ```
    #[cfg(not(weftwork_loom))]
    #[must_use]
    pub const fn new() -> Self {
        OnceLock {
            once: RawOnce::new(),
            value: std::cell::UnsafeCell::new(None), // Outside the models: as above.
        }
    }

    /// Makes an empty cell.
    #[cfg(weftwork_loom)]
    #[must_use]
    pub fn new() -> Self {
        OnceLock {
            once: RawOnce::new(),
            value: std::cell::UnsafeCell::new(None), // Outside the models: as above.
        }
    }

    /// The value, if it is there. Never waits.
    ///
    /// ```
    /// assert_eq!(weftwork_sync::OnceLock::<u32>::new().get(), None);
    /// ```
    #[inline]
    pub fn get(&self) -> Option<&T> {
        if !self.once.is_complete() {
            return None;
        }
        // SAFETY: complete, so the value is only read.
        unsafe { (*self.value.get()).as_ref() }
    }

    /// Borrows the value for changes: nobody else can have it.
    ///
    /// ```
    /// let mut cell = weftwork_sync::OnceLock::from(1);
    /// *cell.get_mut().unwrap() += 1;
    /// assert_eq!(cell.get(), Some(&2));
    /// ```
    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.value.get_mut().as_mut()
    }

    /// Sets the value, after waiting for whoever is about to.
    ///
    /// # Errors
    /// There is one already: the new one is handed back.
    ///
    /// ```
    /// let cell = weftwork_sync::OnceLock::new();
    /// assert_eq!(cell.set(1), Ok(()));
    /// assert_eq!(cell.set(2), Err(2));
    /// ```
    #[track_caller]
    pub fn set(&self, value: T) -> Result<(), T> {
        let mut value = Some(value);
        self.get_or_init(|| value.take().expect("called once"));
        value.map_or(Ok(()), Err)
    }

    /// The value, which `f` makes if it is not there.
    ///
    /// If another is making it, the current green thread or OS thread waits, and no other. If `f`
    /// panics or is cancelled, the cell stays empty, and the next one tries.
    ///
    /// # Panics
    /// `f` panics, or asks for the value that it is to make.
    ///
    /// ```
    /// let cell = weftwork_sync::OnceLock::new();
    /// assert_eq!(*cell.get_or_init(|| 1), 1);
    /// assert_eq!(*cell.get_or_init(|| 2), 1);
    /// ```
    #[track_caller]
    #[inline]
    pub fn get_or_init(&self, f: impl FnOnce() -> T) -> &T {
        match self.get_or_try_init(|| Ok::<_, Infallible>(f())) {
            Ok(value) => value,
            Err(never) => match never {},
        }
    }

    /// The value, which `f` makes if it is not there and if it can.
    ///
    /// # Errors
    /// That of `f`: the cell stays empty, and the next one tries.
    ///
    /// # Panics
    /// As [`get_or_init`](Self::get_or_init).
    ///
    /// ```
    /// let cell = weftwork_sync::OnceLock::new();
    /// assert!(cell.get_or_try_init(|| "x".parse::<u32>()).is_err());
    /// assert_eq!(cell.get_or_try_init(|| "7".parse::<u32>()), Ok(&7));
    /// ```
    #[track_caller]
    #[inline]
    pub fn get_or_try_init<E>(&self, f: impl FnOnce() -> Result<T, E>) -> Result<&T, E> {
        if self.get().is_none() {
            self.init(f)?;
        }
        Ok(self.get().expect("set by now, and for good"))
    }

    #[track_caller]
    #[cold]
    fn init<E>(&self, f: impl FnOnce() -> Result<T, E>) -> Result<(), E> {
        if let Turn::Run(run) = self.once.begin(false) {
            let value = f()?;
            // SAFETY: whoever runs has the empty cell to itself.
            unsafe { *self.value.get() = Some(value) };
            run.complete();
        }
        Ok(())
    }

    /// Empties the cell, and gives what was in it.
    ///
    /// ```
    /// let mut cell = weftwork_sync::OnceLock::from(1);
    /// assert_eq!(cell.take(), Some(1));
    /// assert_eq!(cell.get(), None);
    /// ```
    pub fn take(&mut self) -> Option<T> {
        self.once.reset();
        self.value.get_mut().take()
    }

    /// Unwraps the value, if it is there.
    ///
    /// ```
    /// assert_eq!(weftwork_sync::OnceLock::from(1).into_inner(), Some(1));
    /// ```
    pub fn into_inner(self) -> Option<T> {
        self.value.into_inner()
    }
}

impl<T> Default for OnceLock<T> {
    fn default() -> Self {
        OnceLock::new()
    }
}

impl<T> From<T> for OnceLock<T> {
    fn from(value: T) -> Self {
        OnceLock {
            once: RawOnce::complete(),
            value: std::cell::UnsafeCell::new(Some(value)), // Outside the models: as above.
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for OnceLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_tuple("OnceLock");
        match self.get() {
            Some(value) => out.field(value),
            None => out.field(&format_args!("<empty>")),
        };
        out.finish()
    }
}

// A panic in the making leaves the cell empty.
impl<T: std::panic::RefUnwindSafe + std::panic::UnwindSafe> std::panic::RefUnwindSafe
    for OnceLock<T>
{
}
impl<T: std::panic::UnwindSafe> std::panic::UnwindSafe for OnceLock<T> {}
