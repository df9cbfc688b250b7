//! Size classes: the powers of two that a slot may have.

use super::error::StackError;
use super::slab::LARGEST_COLOUR;

const SMALLEST_SHIFT: u8 = 16;
const LARGEST_SHIFT: u8 = 36;

/// The guard that [`SizeClass::at_least`] reckons with, and the default of a pool.
pub(crate) const DEFAULT_GUARD: usize = 16 * 1024;

/// Number of size classes.
pub(crate) const CLASSES: usize = (LARGEST_SHIFT - SMALLEST_SHIFT + 1) as usize;

/// The size of a stack's slot: a power of two from 64 KiB to 64 GiB.
///
/// The slot is address space, and holds the guard and the usable part. Memory is paid for by the
/// page when it is touched; the size of the slot itself costs page tables only, 1/512 of it.
///
/// The default is 256 KiB, and 1 MiB in builds with debug assertions, whose frames are several times
/// as large.
///
/// # Examples
///
/// ```
/// use weftwork_fiber::SizeClass;
///
/// assert_eq!(SizeClass::KIB_256.slot_size(), 256 * 1024);
/// // Guard and colour do not fit into a slot of one megabyte beside a megabyte of stack.
/// assert_eq!(SizeClass::at_least(1 << 20)?.slot_size(), 2 << 20);
/// assert!(SizeClass::at_least(0).is_err());
/// # Ok::<(), weftwork_fiber::StackError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SizeClass {
    shift: u8,
}

impl SizeClass {
    /// Slots of 64 KiB, for code known to need little.
    pub const KIB_64: SizeClass = SizeClass { shift: 16 };
    /// Slots of 256 KiB.
    pub const KIB_256: SizeClass = SizeClass { shift: 18 };
    /// Slots of 1 MiB.
    pub const MIB_1: SizeClass = SizeClass { shift: 20 };
    /// The smallest class.
    pub const SMALLEST: SizeClass = SizeClass {
        shift: SMALLEST_SHIFT,
    };
    /// The largest class, slots of 64 GiB.
    pub const LARGEST: SizeClass = SizeClass {
        shift: LARGEST_SHIFT,
    };

    /// Returns the smallest class whose stacks have `bytes` usable bytes or more, with the default
    /// guard.
    ///
    /// # Errors
    ///
    /// [`StackError::Zero`] and [`StackError::TooLarge`].
    pub const fn at_least(bytes: usize) -> Result<SizeClass, StackError> {
        if bytes == 0 {
            return Err(StackError::Zero);
        }
        let mut shift = SMALLEST_SHIFT;
        while shift <= LARGEST_SHIFT {
            if bytes <= (1 << shift) - OVERHEAD {
                return Ok(SizeClass { shift });
            }
            shift += 1;
        }
        Err(StackError::TooLarge {
            requested: bytes,
            largest: (1 << LARGEST_SHIFT) - OVERHEAD,
        })
    }

    /// Returns the size of a slot, in bytes.
    #[must_use]
    pub const fn slot_size(self) -> usize {
        1 << self.shift
    }

    /// Returns the size of a slot: the logarithm to base two.
    pub(crate) const fn shift(self) -> u32 {
        self.shift as u32
    }

    /// Returns the position of the class among all classes.
    pub(crate) const fn index(self) -> usize {
        (self.shift - SMALLEST_SHIFT) as usize
    }

    /// Returns the class at a position.
    pub(crate) const fn from_index(index: usize) -> SizeClass {
        assert!(index < CLASSES);
        SizeClass {
            shift: SMALLEST_SHIFT + index as u8,
        }
    }
}

/// What a slot loses to guard and colour.
const OVERHEAD: usize = DEFAULT_GUARD + LARGEST_COLOUR;

impl Default for SizeClass {
    fn default() -> SizeClass {
        if cfg!(debug_assertions) {
            SizeClass::MIB_1
        } else {
            SizeClass::KIB_256
        }
    }
}
