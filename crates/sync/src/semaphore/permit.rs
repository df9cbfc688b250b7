//! Permits in the hand of their holder: given back when dropped.

use super::{Semaphore, raw};
use std::fmt;
use std::sync::Arc;

macro_rules! permit {
    ($(#[$doc:meta])* $name:ident, [$($lt:lifetime)?], $semaphore:ty) => {
        $(#[$doc])*
        #[must_use = "permits are given back when they are dropped"]
        pub struct $name$(<$lt>)? {
            semaphore: $semaphore,
            n: usize,
        }

        impl$(<$lt>)? $name$(<$lt>)? {
            pub(super) fn new(semaphore: $semaphore, n: usize) -> Self {
                Self { semaphore, n }
            }

            /// How many permits these are.
            pub fn count(&self) -> usize {
                self.n
            }

            /// Destroys the permits: they do not come back.
            pub fn forget(mut self) {
                self.n = 0;
            }

            /// Takes `n` of the permits into a handle of their own; `None` if there are not so many.
            pub fn split(&mut self, n: usize) -> Option<Self> {
                self.n = self.n.checked_sub(n)?;
                Some(Self { semaphore: self.semaphore.clone(), n })
            }

            /// Puts the permits of `other` to these.
            ///
            /// # Panics
            /// They are of another semaphore.
            pub fn merge(&mut self, mut other: Self) {
                assert!(
                    std::ptr::eq::<Semaphore>(&*self.semaphore, &*other.semaphore),
                    "permits of two semaphores cannot be merged"
                );
                self.n += std::mem::take(&mut other.n);
            }
        }

        impl$(<$lt>)? Drop for $name$(<$lt>)? {
            #[inline]
            fn drop(&mut self) {
                if self.n > 0 {
                    raw::give(&self.semaphore.queue, self.n);
                }
            }
        }

        impl$(<$lt>)? fmt::Debug for $name$(<$lt>)? {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).field("count", &self.n).finish_non_exhaustive()
            }
        }
    };
}

permit! {
    /// Permits of a [`Semaphore`], which are given back when this is dropped.
    ///
    /// ```
    /// let semaphore = weftwork_sync::Semaphore::new(4);
    /// let mut permits = semaphore.acquire(3).unwrap();
    /// let one = permits.split(1).unwrap();
    /// drop(permits);
    /// assert_eq!(semaphore.available_permits(), 3);
    /// one.forget();
    /// assert_eq!(semaphore.available_permits(), 3);
    /// ```
    SemaphorePermit, ['a], &'a Semaphore
}

permit! {
    /// Permits of a [`Semaphore`] that they keep alive, given back when this is dropped.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use weftwork_sync::Semaphore;
    ///
    /// let semaphore = Arc::new(Semaphore::new(1));
    /// let permit = Arc::clone(&semaphore).acquire_owned(1).unwrap();
    /// std::thread::spawn(move || drop(permit)).join().unwrap();
    /// assert_eq!(semaphore.available_permits(), 1);
    /// ```
    OwnedSemaphorePermit, [], Arc<Semaphore>
}
