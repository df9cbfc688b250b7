//! The pool: free lists of slots per size class, and the slabs they are cut from.
//!
//! A slot that is given back goes to the *hot* end of its class's list and is the first to be handed
//! out again, for its top pages are in memory and in the caches. Slots that stay unused are found
//! at the other end; their pages are given back in batches, and they become *cold*. Slots of a slab
//! that has become wholly cold are forgotten and the slab is unmapped.
//!
//! Invariants, per class, under its lock:
//!
//! 1. `hot` and `cold` hold numbers of carved slots that no `Stack` owns, each once.
//! 2. `cold_slots` of a slab counts its slots in `cold`.
//! 3. Slots of one slab are carved in order; those from `carved` to below `guarded` have their
//!    guard already. The other slabs are carved to their end.
//!
//! No memory of a slot is touched here, and no user code runs under a lock.

use core::fmt;
use core::mem;
use core::ptr::NonNull;
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::class::{CLASSES, SizeClass};
use super::config::{GuardMode, PoolConfig, StackStats};
use super::error::StackError;
use super::pages::{self, Range};
use super::slab::{self, Slab};
use super::{Stack, guard};
use crate::annotate::{self, StackId};

/// Number of guards that are installed at once.
const GUARD_BATCH: u32 = 32;

/// Number of slots whose pages are given back at once.
const TRIM_BATCH: usize = 256;

/// The least usable part of a slot: what a backtrace or a formatted message needs.
const LEAST_USABLE: usize = 16 * 1024;

/// Hands out stacks and takes them back. Cloning gives another handle of the same pool.
///
/// A pool may be used from any thread. Memory of a slab stays mapped as long as one of its stacks
/// exists, also beyond the last handle of the pool.
///
/// # Examples
///
/// ```
/// use weftwork_fiber::{SizeClass, StackPool};
///
/// let pool = StackPool::default();
/// let stack = pool.allocate(SizeClass::KIB_64)?;
/// let top = stack.top();
/// drop(stack);
/// // What was given back last is handed out first.
/// assert_eq!(pool.allocate(SizeClass::KIB_64)?.top(), top);
/// # Ok::<(), weftwork_fiber::StackError>(())
/// ```
#[derive(Clone)]
pub struct StackPool(Arc<Shared>);

/// The pool itself.
pub(super) struct Shared {
    config: PoolConfig,
    /// The guard, in whole pages.
    guard: usize,
    classes: [Mutex<Class>; CLASSES],
    /// Number of this pool's slots that are guarded by `mprotect`. Locked after a class, if both.
    protected: Mutex<usize>,
}

/// The free slots of one size class.
#[derive(Debug)]
struct Class {
    slabs: Vec<Option<CarvedSlab>>,
    /// Positions in `slabs` that are empty.
    vacant: Vec<u32>,
    /// Most recently used at the back.
    hot: VecDeque<u32>,
    cold: Vec<u32>,
    /// Number of the next slot to carve.
    carved: u32,
    /// Number of the first slot without a guard.
    guarded: u32,
    /// End of the numbers of the slab that is being carved.
    end: u32,
    in_use: usize,
}

#[derive(Debug)]
struct CarvedSlab {
    slab: &'static Slab,
    cold_slots: u32,
    /// Number of slots guarded by `mprotect`.
    protected: u32,
}

impl Class {
    const fn new() -> Class {
        Class {
            slabs: Vec::new(),
            vacant: Vec::new(),
            hot: VecDeque::new(),
            cold: Vec::new(),
            carved: 0,
            guarded: 0,
            end: 0,
            in_use: 0,
        }
    }

    fn slab_of(&mut self, number: u32, class: SizeClass) -> &mut CarvedSlab {
        self.slabs[(number >> Slab::slots_shift(class)) as usize]
            .as_mut()
            .expect("a slot in use or in a list belongs to a mapped slab")
    }

    fn address(slab: &'static Slab, number: u32, class: SizeClass) -> *mut u8 {
        let offset = ((number & (Slab::slots(class) - 1)) as usize) << class.shift();
        slab.base().wrapping_add(offset)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl StackPool {
    /// Creates a pool. Nothing is mapped before the first stack is asked for.
    #[must_use]
    pub fn new(config: PoolConfig) -> StackPool {
        let guard =
            config.guard.max(1).saturating_add(pages::page_size() - 1) & !(pages::page_size() - 1);
        StackPool(Arc::new(Shared {
            config,
            guard,
            classes: [const { Mutex::new(Class::new()) }; CLASSES],
            protected: Mutex::new(0),
        }))
    }

    /// Returns the pool from which fibers and grown segments come if nothing else is said.
    #[must_use]
    pub fn global() -> &'static StackPool {
        static GLOBAL: OnceLock<StackPool> = OnceLock::new();
        GLOBAL.get_or_init(StackPool::default)
    }

    /// Takes a stack: the one that was given back last, or else a new one.
    ///
    /// Contents of a recycled stack are what its last user left, or zero. Never waits for a stack
    /// to be given back.
    ///
    /// # Errors
    ///
    /// - [`StackError::GuardTooLarge`] if the guard leaves less than 16 KiB of the slot;
    /// - [`StackError::Budget`] if guards need mappings and there are no more;
    /// - [`StackError::Kernel`] if memory cannot be had.
    pub fn allocate(&self, class: SizeClass) -> Result<Stack, StackError> {
        let (slab, number) = self.0.take(class)?;
        let slot = Class::address(slab, number, class);
        slab.set_flag(number, slab::IN_USE, true);
        let mut stack = Stack {
            pool: Arc::clone(&self.0),
            slab,
            slot: NonNull::new(slot).expect("the kernel maps nothing at address zero"),
            number,
            class,
            id: None,
        };
        let (top, limit) = (stack.top().as_ptr(), stack.limit());
        annotate::renew(top, limit);
        stack.id = Some(StackId::register(top, limit));
        Ok(stack)
    }

    /// Returns what the pool holds.
    #[must_use]
    pub fn stats(&self) -> StackStats {
        let mut stats = StackStats {
            slabs: 0,
            mapped: 0,
            in_use: 0,
            hot: 0,
            cold: 0,
            protected: 0,
            guard_mode: self.0.guard_mode(),
        };
        for (index, class) in self.0.classes.iter().enumerate() {
            let length = Slab::length(SizeClass::from_index(index));
            let class = lock(class);
            let slabs = class.slabs.iter().flatten().count();
            stats.slabs += slabs;
            stats.mapped += slabs * length;
            stats.in_use += class.in_use;
            stats.hot += class.hot.len();
            stats.cold += class.cold.len();
        }
        stats.protected = *lock(&self.0.protected);
        stats
    }

    /// Gives the pages of free stacks back to the kernel, except for the most recently used, and
    /// unmaps slabs of which nothing is in use. Returns the number of stacks whose pages were given.
    ///
    /// Costs system calls: meant for idle moments. Other threads may use the pool meanwhile.
    pub fn trim(&self) -> usize {
        let mut trimmed = 0;
        for index in 0..CLASSES {
            let class = SizeClass::from_index(index);
            loop {
                let count = self.0.cool(class, self.0.config.keep_hot);
                trimmed += count;
                if count < TRIM_BATCH {
                    break;
                }
            }
            self.0.unmap_cold_slabs(class);
        }
        trimmed
    }
}

impl Default for StackPool {
    fn default() -> StackPool {
        StackPool::new(PoolConfig::new())
    }
}

impl fmt::Debug for StackPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StackPool")
            .field("config", &self.0.config)
            .field("stats", &self.stats())
            .finish()
    }
}

impl Shared {
    /// Takes a free slot, or carves one.
    fn take(&self, class: SizeClass) -> Result<(&'static Slab, u32), StackError> {
        let mut state = lock(&self.classes[class.index()]);
        let number = match state.hot.pop_back() {
            Some(number) => number,
            None => match state.cold.pop() {
                Some(number) => {
                    state.slab_of(number, class).cold_slots -= 1;
                    number
                }
                None => self.carve(&mut state, class)?,
            },
        };
        state.in_use += 1;
        Ok((state.slab_of(number, class).slab, number))
    }

    /// Carves the next slot. On failure nothing has changed but, perhaps, that a slab was mapped.
    fn carve(&self, state: &mut Class, class: SizeClass) -> Result<u32, StackError> {
        if self
            .guard
            .saturating_add(LEAST_USABLE + slab::LARGEST_COLOUR)
            > class.slot_size()
        {
            return Err(StackError::GuardTooLarge {
                guard: self.guard,
                slot: class.slot_size(),
            });
        }
        if state.carved == state.end {
            self.add_slab(state, class).map_err(StackError::Kernel)?;
        }
        if state.carved == state.guarded {
            state.guarded += self.install_guards(state, class)?;
        }
        let number = state.carved;
        state.carved += 1;
        Ok(number)
    }

    /// Maps a slab, to be carved next.
    fn add_slab(&self, state: &mut Class, class: SizeClass) -> io::Result<()> {
        let slots = Slab::slots(class);
        let position = match state.vacant.last() {
            Some(&position) => position,
            None => u32::try_from(state.slabs.len()).map_err(|_| io::ErrorKind::OutOfMemory)?,
        };
        let start = position
            .checked_mul(slots)
            .ok_or(io::ErrorKind::OutOfMemory)?;
        let end = start.checked_add(slots).ok_or(io::ErrorKind::OutOfMemory)?;
        let slab = Slab::map(class, self.guard)?;
        let carved_slab = Some(CarvedSlab {
            slab,
            cold_slots: 0,
            protected: 0,
        });
        if state.vacant.pop().is_some() {
            state.slabs[position as usize] = carved_slab;
        } else {
            state.slabs.push(carved_slab);
        }
        (state.carved, state.guarded, state.end) = (start, start, end);
        Ok(())
    }

    fn guard_mode(&self) -> GuardMode {
        if guard::by_advice() && !self.config.force_mprotect {
            GuardMode::Advice
        } else {
            GuardMode::Protection
        }
    }

    /// Guards the next slots, and returns how many: a batch, or one if that is by `mprotect`.
    fn install_guards(&self, state: &mut Class, class: SizeClass) -> Result<u32, StackError> {
        let first = state.guarded;
        let range_of = |slab, number| {
            let start = Class::address(slab, number, class);
            Range::new(start, start.wrapping_add(self.guard))
        };
        let carved_slab = state.slab_of(first, class);
        let slab = carved_slab.slab;
        if self.guard_mode() == GuardMode::Advice {
            let count = GUARD_BATCH.min(Slab::slots(class) - first % Slab::slots(class));
            let mut ranges = [range_of(slab, first); GUARD_BATCH as usize];
            for (range, number) in ranges.iter_mut().zip(first..first + count) {
                *range = range_of(slab, number);
            }
            // SAFETY: the ranges lie in slots of our slab that were never handed out.
            let installed = unsafe { guard::install(&ranges[..count as usize]) };
            if installed.map_err(StackError::Kernel)? {
                return Ok(count);
            }
        }
        let mut protected = lock(&self.protected);
        if let Some(stacks) = self
            .config
            .mprotect_budget
            .filter(|budget| *protected >= *budget)
        {
            return Err(StackError::Budget { stacks });
        }
        // SAFETY: as above.
        unsafe { guard::protect(range_of(slab, first)) }?;
        *protected += 1;
        carved_slab.protected += 1;
        Ok(1)
    }

    /// Takes a slot back from its `Stack`.
    pub(super) fn release(&self, class: SizeClass, number: u32) {
        let mut state = lock(&self.classes[class.index()]);
        state.in_use -= 1;
        state.hot.push_back(number);
        let excess = state.hot.len() > self.config.max_cached;
        drop(state);
        if excess {
            self.cool(class, self.config.max_cached.saturating_sub(TRIM_BATCH - 1));
        }
    }

    /// Makes a batch of the longest unused hot slots cold, leaving `keep`; returns how many.
    fn cool(&self, class: SizeClass, keep: usize) -> usize {
        let mut state = lock(&self.classes[class.index()]);
        let count = state.hot.len().saturating_sub(keep).min(TRIM_BATCH);
        if count == 0 {
            return 0;
        }
        let mut batch: Vec<(*mut u8, u32)> = Vec::with_capacity(count);
        for _ in 0..count {
            let Some(number) = state.hot.pop_front() else {
                break;
            };
            let slab = state.slab_of(number, class).slab;
            batch.push((Class::address(slab, number, class), number));
        }
        drop(state);

        // The slots are in no list now, so nobody else can use them or unmap their slab.
        batch.sort_unstable();
        let mut ranges: Vec<Range> = Vec::with_capacity(count);
        let mut next = batch.iter().map(|(slot, _)| *slot).peekable();
        while let Some(slot) = next.next() {
            // Neighbours make one range. It includes guards, which stay as they are.
            let mut end = slot.wrapping_add(class.slot_size());
            while next.next_if_eq(&end).is_some() {
                end = end.wrapping_add(class.slot_size());
            }
            ranges.push(Range::new(slot.wrapping_add(self.guard), end));
        }
        // SAFETY: the ranges lie in slots of ours that nobody uses. If the kernel refuses (locked
        // memory), the slots keep their pages, and are otherwise as good.
        unsafe { pages::give_back(&ranges) };

        let mut state = lock(&self.classes[class.index()]);
        for (_, number) in batch {
            state.slab_of(number, class).cold_slots += 1;
            state.cold.push(number);
        }
        count
    }

    /// Forgets the slots of slabs that are wholly cold, and unmaps these slabs.
    fn unmap_cold_slabs(&self, class: SizeClass) {
        let slots = Slab::slots(class);
        let mut unmapped = Vec::new();
        let mut guard = lock(&self.classes[class.index()]);
        let state = &mut *guard;
        // A slab that is still being carved is kept.
        let carving = (state.carved < state.end).then_some(state.carved / slots);
        for (position, entry) in (0_u32..).zip(&mut state.slabs) {
            let is_cold = entry.as_ref().is_some_and(|slab| slab.cold_slots == slots);
            if is_cold && Some(position) != carving {
                unmapped.extend(entry.take());
                state.vacant.push(position);
            }
        }
        if !unmapped.is_empty() {
            let slabs = &state.slabs;
            state
                .cold
                .retain(|number| slabs[(number / slots) as usize].is_some());
        }
        drop(guard);
        self.unmap(class, unmapped);
    }

    fn unmap(&self, class: SizeClass, slabs: impl IntoIterator<Item = CarvedSlab>) {
        for CarvedSlab {
            slab, protected, ..
        } in slabs
        {
            // SAFETY: the slab is in no list any more, and no `Stack` owns a slot of it.
            unsafe { slab.unmap(class) };
            *lock(&self.protected) -= protected as usize;
            guard::forget(protected as usize);
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Every `Stack` holds the pool, so there is none.
        for index in 0..CLASSES {
            let slabs = mem::take(&mut lock(&self.classes[index]).slabs);
            self.unmap(SizeClass::from_index(index), slabs.into_iter().flatten());
        }
    }
}
