//! Guards: memory at the low end of a slot that faults when touched.
//!
//! By advice (`MADV_GUARD_INSTALL`, Linux 6.13) a guard is a mark in the page table and costs no
//! mapping. Where the kernel refuses it (older kernels, locked memory) a guard is made by
//! `mprotect`, which cuts the slab: two more mappings per slot. The number of mappings is limited
//! (`vm.max_map_count`), and a process that exhausts it fails in odd places, so the slots guarded
//! that way have a budget.
//!
//! Protocol: the first refusal decides for the rest of the process's life. Because some emulators
//! accept any advice without acting on it, the first installed guard is also tried out.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::io;
use std::sync::OnceLock;

use super::error::StackError;
use super::pages::{self, Range};

/// Set once the kernel has refused to install a guard by advice; never cleared.
static REFUSED: AtomicBool = AtomicBool::new(false);

/// Number of guards made by `mprotect` that exist in the process.
static PROTECTED: AtomicUsize = AtomicUsize::new(0);

/// Returns whether guards can be installed by advice, as far as is known.
pub(crate) fn by_advice() -> bool {
    cfg!(target_os = "linux") && !cfg!(weftwork_force_mprotect) && !REFUSED.load(Ordering::Relaxed) // Relaxed: whoever misses it is refused again.
}

/// Installs guards by advice. Returns `false` if the kernel does not do that.
///
/// # Safety
///
/// The ranges belong to a slab, and nobody uses them.
pub(crate) unsafe fn install(ranges: &[Range]) -> io::Result<bool> {
    const MADV_GUARD_INSTALL: libc::c_int = 102;
    static TRIED: AtomicBool = AtomicBool::new(false);

    // SAFETY: the caller's promise; a guard drops the contents of its pages.
    let installed = unsafe { pages::advise(ranges, MADV_GUARD_INSTALL) };
    match installed {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(libc::ENOMEM) => return Err(error),
        Err(_) => {
            REFUSED.store(true, Ordering::Relaxed); // Relaxed: see the load.
            return Ok(false);
        }
    }
    // Relaxed: trying out twice does no harm.
    if !TRIED.load(Ordering::Relaxed) {
        if !ranges.iter().all(|range| is_inaccessible(range.start())) {
            REFUSED.store(true, Ordering::Relaxed); // Relaxed: see the load.
            return Ok(false);
        }
        TRIED.store(true, Ordering::Relaxed); // Relaxed: see the load.
    }
    Ok(true)
}

/// Asks the kernel to read a word pair at `address`, in a call that has no effect.
#[cfg(target_os = "linux")]
fn is_inaccessible(address: *mut u8) -> bool {
    // SAFETY: the kernel reads a `timespec` at `address`, which is mapped, or reports a fault. What
    // it can read there is zeros, a time long past, so that the call returns at once.
    let result = unsafe {
        libc::syscall(
            libc::SYS_clock_nanosleep,
            libc::CLOCK_MONOTONIC,
            libc::TIMER_ABSTIME,
            address,
            0_usize,
        )
    };
    result == -1 && io::Error::last_os_error().raw_os_error() == Some(libc::EFAULT)
}

#[cfg(not(target_os = "linux"))]
fn is_inaccessible(_address: *mut u8) -> bool {
    false
}

/// Makes one guard by `mprotect`, within the budget.
///
/// # Safety
///
/// As for [`install`].
pub(crate) unsafe fn protect(range: Range) -> Result<(), StackError> {
    let budget = process_budget();
    // Relaxed: the counter guards no data.
    let admitted = PROTECTED.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
        (count < budget).then_some(count + 1)
    });
    if admitted.is_err() {
        return Err(StackError::Budget { stacks: budget });
    }
    // SAFETY: the caller's promise.
    unsafe { pages::protect(range) }.map_err(|error| {
        forget(1);
        StackError::Kernel(error)
    })
}

/// Takes `count` guards made by `mprotect` off the budget, for they were unmapped.
pub(crate) fn forget(count: usize) {
    PROTECTED.fetch_sub(count, Ordering::Relaxed); // Relaxed: as in `protect`.
}

/// Returns how many slots the process may guard by `mprotect`: two mappings each, and a tenth of all
/// mappings left to the rest of the program.
pub(crate) fn process_budget() -> usize {
    /// The kernel's default of `vm.max_map_count`.
    const DEFAULT_MAPPINGS: usize = 65530;
    static BUDGET: OnceLock<usize> = OnceLock::new();
    *BUDGET.get_or_init(|| {
        let mappings = std::fs::read_to_string("/proc/sys/vm/max_map_count")
            .ok()
            .and_then(|text| text.trim().parse::<usize>().ok())
            .unwrap_or(DEFAULT_MAPPINGS);
        (mappings / 10).saturating_mul(9) / 2
    })
}
