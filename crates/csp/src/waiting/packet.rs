//! A place for one value whose type only the two ends know: how a select gets the message of the arm
//! that was chosen, whatever the types of its arms.
//!
//! Invariants
//! 1. `drop` is there if and only if the storage holds a value; it drops a value of that type.
//! 2. A value of at most [`INLINE`] words, aligned like one, lies in the storage; any other is boxed
//!    and the storage holds the box's pointer. Which one it is depends on the type alone.

use std::fmt;
use std::mem::{MaybeUninit, align_of, size_of};

/// How many words are stored without an allocation.
const INLINE: usize = 8;

type Storage = MaybeUninit<[usize; INLINE]>;

/// Holds a value of any type, or none.
pub struct Packet {
    storage: Storage,
    drop: Option<unsafe fn(*mut Storage)>,
}

const fn is_inline<T>() -> bool {
    size_of::<T>() <= size_of::<Storage>() && align_of::<T>() <= align_of::<Storage>()
}

impl Packet {
    pub(crate) const fn empty() -> Self {
        Packet {
            storage: MaybeUninit::uninit(),
            drop: None,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.drop.is_none()
    }

    /// Puts a value into the empty packet.
    pub(crate) fn put<T>(&mut self, value: T) {
        debug_assert!(self.is_empty(), "a packet is filled once");
        let storage = &raw mut self.storage;
        if const { is_inline::<T>() } {
            // SAFETY: the storage is large and aligned enough for a `T` (checked above), and ours.
            unsafe { storage.cast::<T>().write(value) };
        } else {
            let boxed = Box::into_raw(Box::new(value));
            // SAFETY: a pointer is one word.
            unsafe { storage.cast::<*mut T>().write(boxed) };
        }
        self.drop = Some(drop_in_storage::<T>);
    }

    /// Takes the value out.
    ///
    /// # Safety
    /// The packet is empty, or was filled with a `T`.
    pub(crate) unsafe fn take<T>(&mut self) -> Option<T> {
        self.drop.take()?;
        let storage = &raw mut self.storage;
        if const { is_inline::<T>() } {
            // SAFETY: a `T` was put there (invariants 1 and 2), and is not used again: `drop` is gone.
            Some(unsafe { storage.cast::<T>().read() })
        } else {
            // SAFETY: a box's pointer was put there (invariant 2), and is not used again.
            Some(*unsafe { Box::from_raw(storage.cast::<*mut T>().read()) })
        }
    }
}

/// # Safety
/// The storage holds a `T` as `put` left it, which is not used again.
unsafe fn drop_in_storage<T>(storage: *mut Storage) {
    if const { is_inline::<T>() } {
        // SAFETY: says the caller.
        unsafe { storage.cast::<T>().drop_in_place() }
    } else {
        // SAFETY: says the caller; the pointer came from a box.
        drop(unsafe { Box::from_raw(storage.cast::<*mut T>().read()) })
    }
}

impl Drop for Packet {
    fn drop(&mut self) {
        if let Some(drop) = self.drop.take() {
            // SAFETY: the function is the one for the value that is there (invariant 1).
            unsafe { drop(&raw mut self.storage) }
        }
    }
}

impl fmt::Debug for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packet")
            .field("is_empty", &self.is_empty())
            .finish()
    }
}

#[cfg(all(test, not(weftwork_loom)))]
mod tests {
    use super::*;
    use std::rc::Rc;

    #[test]
    fn values_of_any_size_come_out_as_they_went_in() {
        #[repr(align(128))]
        #[derive(Debug, PartialEq)]
        struct Aligned(u8);
        let mut packet = Packet::empty();
        // SAFETY: each packet is taken with the type it was filled with.
        unsafe {
            packet.put(7_u8);
            assert_eq!(packet.take::<u8>(), Some(7));
            assert_eq!(packet.take::<u8>(), None);
            packet.put([3_u64; 40]);
            assert_eq!(packet.take::<[u64; 40]>(), Some([3; 40]));
            packet.put(Aligned(9));
            assert_eq!(packet.take::<Aligned>(), Some(Aligned(9)));
            packet.put(());
            assert_eq!(packet.take::<()>(), Some(()));
        }
    }

    #[test]
    fn a_value_that_nobody_takes_is_dropped_once() {
        let value = Rc::new(());
        for size in [true, false] {
            let mut packet = Packet::empty();
            if size {
                packet.put(Rc::clone(&value));
            } else {
                packet.put((Rc::clone(&value), [0_u8; 100]));
            }
            assert_eq!(Rc::strong_count(&value), 2);
            drop(packet);
            assert_eq!(Rc::strong_count(&value), 1);
        }
    }
}
