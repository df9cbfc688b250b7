//! Pages: mapping, giving back, protecting and asking about them, in batches where the kernel can.

use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::io;

/// A range of memory, from `start` to below `end`.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub(crate) struct Range(libc::iovec);

impl Range {
    pub(crate) fn new(start: *mut u8, end: *mut u8) -> Range {
        Range(libc::iovec {
            iov_base: start.cast(),
            iov_len: end.addr().saturating_sub(start.addr()),
        })
    }

    pub(crate) fn start(&self) -> *mut u8 {
        self.0.iov_base.cast()
    }
}

/// Returns the size of a page.
pub(crate) fn page_size() -> usize {
    static SIZE: AtomicUsize = AtomicUsize::new(0);
    match SIZE.load(Ordering::Relaxed) {
        0 => {
            // SAFETY: no requirement.
            let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
            let size = usize::try_from(size).unwrap_or(4096);
            SIZE.store(size, Ordering::Relaxed); // Relaxed: every writer stores the same value.
            size
        }
        size => size,
    }
}

/// Maps `length` bytes at a multiple of `align`, readable and writable, without reserving memory
/// and without huge pages.
pub(crate) fn map(length: usize, align: usize) -> io::Result<*mut u8> {
    let start = map_anywhere(length)?;
    let start = if start.addr().is_multiple_of(align) {
        start
    } else {
        // SAFETY: the range was mapped above, and nobody knows of it.
        unsafe { unmap(start, length) };
        map_and_cut(length, align)?
    };
    #[cfg(any(target_os = "linux", target_os = "android"))]
    // SAFETY: the range was mapped above; the advice changes no contents. A kernel without huge
    // pages refuses it, which is as good.
    unsafe {
        libc::madvise(start.cast(), length, libc::MADV_NOHUGEPAGE);
    }
    Ok(start)
}

/// Maps more than enough and gives back what lies outside of the aligned part.
fn map_and_cut(length: usize, align: usize) -> io::Result<*mut u8> {
    let total = length
        .checked_add(align)
        .ok_or(io::ErrorKind::OutOfMemory)?;
    let whole = map_anywhere(total)?;
    let start = whole.map_addr(|address| address.next_multiple_of(align));
    let before = start.addr() - whole.addr();
    let after = total - before - length;
    // SAFETY: both ranges are parts of what was mapped above, and nobody knows of them.
    unsafe {
        unmap(whole, before);
        unmap(start.add(length), after);
    }
    Ok(start)
}

fn map_anywhere(length: usize) -> io::Result<*mut u8> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | RESERVE_NOTHING;
    // SAFETY: a new anonymous mapping at an address of the kernel's choice disturbs nobody.
    let start = unsafe {
        libc::mmap(
            ptr::null_mut(),
            length,
            libc::PROT_READ | libc::PROT_WRITE,
            flags,
            -1,
            0,
        )
    };
    if start == libc::MAP_FAILED {
        Err(io::Error::last_os_error())
    } else {
        Ok(start.cast())
    }
}

/// Asks for no reservation of memory, and tells what the mapping is for. Other systems do not reserve
/// private anonymous memory to begin with.
#[cfg(any(target_os = "linux", target_os = "android"))]
const RESERVE_NOTHING: libc::c_int = libc::MAP_NORESERVE | libc::MAP_STACK;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const RESERVE_NOTHING: libc::c_int = 0;

/// Unmaps a range; an empty one is left alone.
///
/// # Safety
///
/// The range was mapped by [`map`], and nobody uses it any more.
pub(crate) unsafe fn unmap(start: *mut u8, length: usize) {
    if length > 0 {
        // SAFETY: the caller's promise. Failure is possible only for want of mappings, when the
        // range lies inside a larger one; the address space then stays reserved, which is harmless.
        unsafe { libc::munmap(start.cast(), length) };
    }
}

/// Makes a range inaccessible.
///
/// # Safety
///
/// The range was mapped by [`map`], and nobody uses its contents any more.
pub(crate) unsafe fn protect(range: Range) -> io::Result<()> {
    // SAFETY: the caller's promise.
    let result = unsafe { libc::mprotect(range.0.iov_base, range.0.iov_len, libc::PROT_NONE) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Gives the pages of the ranges back, and returns whether the kernel did so for all of them.
///
/// # Safety
///
/// The ranges were mapped by [`map`], and nobody uses their contents any more.
pub(crate) unsafe fn give_back(ranges: &[Range]) -> bool {
    // SAFETY: the caller's promise; `MADV_DONTNEED` drops contents and leaves guards in place.
    unsafe { advise(ranges, libc::MADV_DONTNEED) }.is_ok()
}

/// Gives advice about all ranges, with as few system calls as the kernel allows.
///
/// # Safety
///
/// The ranges were mapped by [`map`], and the advice does no harm to whoever uses them.
pub(crate) unsafe fn advise(ranges: &[Range], advice: libc::c_int) -> io::Result<()> {
    // SAFETY: the caller's promise.
    if ranges.len() > 1 && unsafe { advise_at_once(ranges, advice) } {
        return Ok(());
    }
    for range in ranges {
        // SAFETY: the caller's promise.
        let result = unsafe { libc::madvise(range.0.iov_base, range.0.iov_len, advice) };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Gives advice about all ranges by one system call per 1024; returns whether all took it. If not,
/// some of them may have: both kinds of advice in use may be repeated.
///
/// # Safety
///
/// As for [`advise`].
#[cfg(all(target_os = "linux", not(weftwork_valgrind)))]
unsafe fn advise_at_once(ranges: &[Range], advice: libc::c_int) -> bool {
    use core::sync::atomic::AtomicBool;

    /// Stands for the calling process where a file descriptor of a process is wanted.
    const PIDFD_SELF_THREAD_GROUP: libc::c_long = -10001;
    /// The kernel takes no more ranges at once.
    const IOV_MAX: usize = 1024;
    static REFUSED: AtomicBool = AtomicBool::new(false);

    if REFUSED.load(Ordering::Relaxed) {
        return false; // Relaxed: a hint. Whoever misses it is refused again.
    }
    for chunk in ranges.chunks(IOV_MAX) {
        let bytes: usize = chunk.iter().map(|range| range.0.iov_len).sum();
        // SAFETY: `Range` is an `iovec`, and the kernel reads `chunk.len()` of them. For the advice
        // itself see the caller's promise.
        let done = unsafe {
            libc::syscall(
                libc::SYS_process_madvise,
                PIDFD_SELF_THREAD_GROUP,
                chunk.as_ptr().cast::<libc::iovec>(),
                chunk.len(),
                advice,
                0,
            )
        };
        if usize::try_from(done) != Ok(bytes) {
            let temporary =
                done >= 0 || io::Error::last_os_error().raw_os_error() == Some(libc::ENOMEM);
            if !temporary {
                REFUSED.store(true, Ordering::Relaxed); // Relaxed: see the load.
            }
            return false;
        }
    }
    true
}

#[cfg(not(all(target_os = "linux", not(weftwork_valgrind))))]
unsafe fn advise_at_once(_ranges: &[Range], _advice: libc::c_int) -> bool {
    false
}

/// What is in memory of a range.
#[derive(Debug)]
pub(crate) struct Residency {
    /// The start of the lowest page in memory.
    pub(crate) lowest: Option<*mut u8>,
    /// The size of all pages in memory.
    pub(crate) bytes: usize,
}

/// Asks which pages from `start` to below `end` are in memory.
pub(crate) fn residency(start: *mut u8, end: *mut u8) -> Residency {
    const PAGES_AT_ONCE: usize = 1024;
    let page = page_size();
    let mut residency = Residency {
        lowest: None,
        bytes: 0,
    };
    let mut from = start;
    while from < end {
        let length = (end.addr() - from.addr()).min(PAGES_AT_ONCE * page);
        let mut present = [0_u8; PAGES_AT_ONCE];
        // SAFETY: `present` has a byte for each page of `length`; the call only asks.
        let result = unsafe { libc::mincore(from.cast(), length, present.as_mut_ptr().cast()) };
        if result == 0 {
            for (number, _) in present
                .iter()
                .enumerate()
                .filter(|(_, flags)| **flags & 1 == 1)
            {
                residency
                    .lowest
                    .get_or_insert(from.wrapping_add(number * page));
                residency.bytes += page;
            }
        }
        from = from.wrapping_add(length);
    }
    residency
}
