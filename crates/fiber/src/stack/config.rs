//! What can be set about a pool, and what it tells about itself.

use super::class::DEFAULT_GUARD;

/// Configures a [`StackPool`](super::StackPool).
///
/// # Examples
///
/// ```
/// use weftwork_fiber::{PoolConfig, SizeClass, StackPool};
///
/// let pool = StackPool::new(PoolConfig::new().guard(64 * 1024).max_cached(100));
/// let stack = pool.allocate(SizeClass::KIB_256)?;
/// assert!(stack.usable() <= 192 * 1024);
/// # Ok::<(), weftwork_fiber::StackError>(())
/// ```
#[derive(Clone, Debug)]
pub struct PoolConfig {
    pub(super) guard: usize,
    pub(super) max_cached: usize,
    pub(super) keep_hot: usize,
    pub(super) force_mprotect: bool,
    pub(super) mprotect_budget: Option<usize>,
}

impl PoolConfig {
    /// The default configuration: guards of 16 KiB, at most 16,384 hot stacks per size class, of
    /// which [`StackPool::trim`](super::StackPool::trim) keeps 16.
    #[must_use]
    pub const fn new() -> PoolConfig {
        PoolConfig {
            guard: DEFAULT_GUARD,
            max_cached: 16 * 1024,
            keep_hot: 16,
            force_mprotect: false,
            mprotect_budget: None,
        }
    }

    /// Sets the size of the guard below each stack, in bytes; rounded up to whole pages, at least
    /// one.
    ///
    /// Rust code touches every page of a large frame, so one page would do for it. Foreign code
    /// may step over a small guard.
    #[must_use]
    pub const fn guard(mut self, bytes: usize) -> PoolConfig {
        self.guard = bytes;
        self
    }

    /// Sets how many free stacks per size class may keep their pages.
    ///
    /// When a stack is given back beyond that, the pages of the 256 (or so) that were unused for
    /// longest are given to the kernel at once. `usize::MAX` leaves that to [`StackPool::trim`](super::StackPool::trim)
    /// alone.
    #[must_use]
    pub const fn max_cached(mut self, stacks: usize) -> PoolConfig {
        self.max_cached = stacks;
        self
    }

    /// Sets how many free stacks per size class keep their pages in [`StackPool::trim`](super::StackPool::trim).
    #[must_use]
    pub const fn keep_hot(mut self, stacks: usize) -> PoolConfig {
        self.keep_hot = stacks;
        self
    }

    /// Makes guards by `mprotect` even where the kernel knows a cheaper way. For tests.
    #[must_use]
    pub const fn force_mprotect(mut self, force: bool) -> PoolConfig {
        self.force_mprotect = force;
        self
    }

    /// Limits the number of stacks of this pool that are guarded by `mprotect`.
    ///
    /// In addition all pools together may have as many as `vm.max_map_count` allows: nine tenths of
    /// it, divided by two.
    #[must_use]
    pub const fn mprotect_budget(mut self, stacks: usize) -> PoolConfig {
        self.mprotect_budget = Some(stacks);
        self
    }
}

impl Default for PoolConfig {
    fn default() -> PoolConfig {
        PoolConfig::new()
    }
}

/// How the guards of a process are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GuardMode {
    /// By `MADV_GUARD_INSTALL`: no limit but memory.
    Advice,
    /// By `mprotect`: two mappings per stack, so there is a budget.
    Protection,
}

/// What a pool holds, at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StackStats {
    /// Number of mapped slabs.
    pub slabs: usize,
    /// Address space of the slabs, in bytes.
    pub mapped: usize,
    /// Number of stacks that are handed out.
    pub in_use: usize,
    /// Number of free stacks that keep their pages.
    pub hot: usize,
    /// Number of free stacks without pages.
    pub cold: usize,
    /// Number of stacks guarded by `mprotect`.
    pub protected: usize,
    /// How the next guard will be made.
    pub guard_mode: GuardMode,
}
