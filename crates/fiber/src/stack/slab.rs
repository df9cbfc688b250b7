//! Slabs: large mappings that are cut into slots of one size, and their headers.
//!
//! Invariants:
//!
//! 1. Headers are recycled, never freed: the overflow report may read one at any moment, in a signal
//!    handler, without a lock. What it reads may be out of date, but is always a header.
//! 2. `base` is zero while a header is not in use; it is set last when a slab is mapped, and cleared
//!    first before the slab is unmapped.
//! 3. A slab is aligned to [`CHUNK`], and its slots are aligned to their size.

use core::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::io;
use std::sync::{Mutex, PoisonError};

use super::class::SizeClass;
use super::{pages, table};

/// The size of a slab, unless its slots are larger, and the alignment of all.
pub(crate) const CHUNK: usize = 1 << CHUNK_SHIFT;
const CHUNK_SHIFT: u32 = 26;

/// The most slots that a slab has.
const MOST_SLOTS: usize = CHUNK / SizeClass::SMALLEST.slot_size();

/// Colours are multiples of this: a cache line.
const COLOUR_STEP: usize = 64;
/// The number of colours.
const COLOURS: usize = 16;
/// The largest colour.
pub(crate) const LARGEST_COLOUR: usize = COLOUR_STEP * (COLOURS - 1);

// The flags of a slot. The owner of the slot sets and clears them; the overflow report reads them.

/// A `Stack` owns the slot. Set and cleared with it.
pub(crate) const IN_USE: u8 = 1;
/// The describe hook may be called for the slot. Set by `Stack::set_described`; needs `IN_USE`.
pub(crate) const DESCRIBED: u8 = 2;
/// The slot is a segment that `grow` entered; its highest word is the limit of the outer stack.
/// Set by `grow`; needs `IN_USE`, excludes `DESCRIBED`.
pub(crate) const SEGMENT: u8 = 4;

/// The offset of a slot's top from its end.
///
/// Neighbouring slots have different colours; 16 colours spread the tops over a quarter of the
/// first-level cache's sets, within one page.
pub(crate) fn colour(slot: usize, class: SizeClass) -> usize {
    (slot >> class.shift()) % COLOURS * COLOUR_STEP
}

/// The header of a slab.
#[derive(Debug)]
pub(crate) struct Slab {
    base: AtomicUsize,
    /// The position of the slots' class.
    class: AtomicUsize,
    guard: AtomicUsize,
    flags: [AtomicU8; MOST_SLOTS],
}

/// Headers that are not in use.
static SPARE: Mutex<Vec<&'static Slab>> = Mutex::new(Vec::new());

impl Slab {
    /// Returns how many slots of a class lie in one slab: the logarithm to base two.
    pub(crate) const fn slots_shift(class: SizeClass) -> u32 {
        CHUNK_SHIFT.saturating_sub(class.shift())
    }

    /// Returns how many slots of a class lie in one slab.
    pub(crate) const fn slots(class: SizeClass) -> u32 {
        1 << Slab::slots_shift(class)
    }

    /// Returns the size of a slab of a class.
    pub(crate) const fn length(class: SizeClass) -> usize {
        if class.slot_size() > CHUNK {
            class.slot_size()
        } else {
            CHUNK
        }
    }

    /// Maps a slab, and enters it into the table.
    pub(crate) fn map(class: SizeClass, guard: usize) -> io::Result<&'static Slab> {
        let length = Slab::length(class);
        let base = pages::map(length, CHUNK.max(class.slot_size()))?;
        let spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let slab = spare.unwrap_or_else(|| {
            Box::leak(Box::new(Slab {
                base: AtomicUsize::new(0),
                class: AtomicUsize::new(0),
                guard: AtomicUsize::new(0),
                flags: [const { AtomicU8::new(0) }; MOST_SLOTS],
            }))
        });
        // Relaxed: the stores become visible with `base`.
        slab.class.store(class.index(), Ordering::Relaxed);
        slab.guard.store(guard, Ordering::Relaxed); // Relaxed: as above.
        slab.base.store(base.expose_provenance(), Ordering::Release); // pairs with Acquire in `slot_of`
        if let Err(error) = table::insert(base.addr(), length, slab) {
            slab.retire(base, length);
            return Err(error);
        }
        Ok(slab)
    }

    /// Unmaps the slab and puts the header aside.
    ///
    /// # Safety
    ///
    /// Nobody uses a slot of the slab, or will do so.
    pub(crate) unsafe fn unmap(&'static self, class: SizeClass) {
        let length = Slab::length(class);
        let base = self.base();
        table::remove(base.addr(), length);
        self.retire(base, length);
    }

    fn retire(&'static self, base: *mut u8, length: usize) {
        self.base.store(0, Ordering::Release); // pairs with Acquire in `slot_of`
        // SAFETY: the range is what `map` mapped; its users are gone, or have never been.
        unsafe { pages::unmap(base, length) };
        SPARE
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(self);
    }

    /// Returns the start of the slab.
    pub(crate) fn base(&self) -> *mut u8 {
        // Relaxed: called by owners of the slab, who got it after `base` was set.
        core::ptr::with_exposed_provenance_mut(self.base.load(Ordering::Relaxed))
    }

    /// Returns the size of the guards.
    pub(crate) fn guard_size(&self) -> usize {
        self.guard.load(Ordering::Relaxed) // Relaxed: as in `base`.
    }

    /// Finds the slot that contains `address`. For the overflow report.
    pub(crate) fn slot_of(&self, address: usize) -> Option<Slot> {
        let base = self.base.load(Ordering::Acquire); // pairs with Release in `map` and `retire`
        let class = self.class(); // Relaxed there: ordered by `base`.
        if base == 0 || address < base {
            return None;
        }
        let number = (address - base) >> class.shift();
        let flags = self.flags.get(number)?.load(Ordering::Relaxed); // Relaxed: set by this thread.
        Some(Slot {
            start: base + (number << class.shift()),
            class,
            guard: self.guard_size(),
            flags,
        })
    }

    fn class(&self) -> SizeClass {
        SizeClass::from_index(self.class.load(Ordering::Relaxed)) // Relaxed: as in `base`.
    }

    fn flags(&self, number: u32) -> &AtomicU8 {
        &self.flags[number as usize & (Slab::slots(self.class()) - 1) as usize]
    }

    /// Sets or clears one flag of the slot with that number in its class.
    pub(crate) fn set_flag(&self, number: u32, flag: u8, on: bool) {
        let flags = self.flags(number);
        // Relaxed: the reader is a signal handler on the thread that runs on the slot, or gets
        // along with any value.
        let old = flags.load(Ordering::Relaxed);
        let new = if on { old | flag } else { old & !flag };
        flags.store(new, Ordering::Relaxed); // Relaxed: as above; only the owner stores.
    }

    /// Clears all flags of the slot with that number in its class.
    pub(crate) fn clear_flags(&self, number: u32) {
        self.flags(number).store(0, Ordering::Relaxed); // Relaxed: as in `set_flag`.
    }
}

/// A slot, as the overflow report sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    pub(crate) start: usize,
    pub(crate) class: SizeClass,
    pub(crate) guard: usize,
    pub(crate) flags: u8,
}

impl Slot {
    /// Returns the highest usable address, as `Stack::top` does.
    pub(crate) fn top(&self) -> usize {
        self.start + self.class.slot_size() - colour(self.start, self.class)
    }

    /// Returns the number of usable bytes.
    pub(crate) fn usable(&self) -> usize {
        self.top() - self.start - self.guard
    }
}
