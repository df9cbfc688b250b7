//! The alternate signal stack of a thread.

use core::marker::PhantomData;
use core::mem;
use core::ptr;
use std::io;

/// Room for the report, and for a hook and previous handlers that are generous.
const SIZE: usize = 64 * 1024;

/// Gives the calling thread an alternate stack for signals, until dropped.
///
/// Make one on every thread that runs fibers. When it is dropped, on the same thread, the alternate
/// stack that was there before is in force again. Threads of the standard library have a small one
/// of their own, other threads may have none.
#[derive(Debug)]
pub struct ThreadGuard {
    /// The whole mapping, with a guard page at its start.
    mapping: *mut libc::c_void,
    length: usize,
    previous: libc::stack_t,
    /// Alternate stacks belong to a thread.
    _not_send: PhantomData<*const ()>,
}

impl ThreadGuard {
    /// Maps an alternate stack and puts it in force.
    ///
    /// # Errors
    ///
    /// What the system says, if it refuses.
    pub fn new() -> io::Result<ThreadGuard> {
        // SAFETY: no requirement.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        let page = usize::try_from(page).map_err(|_| io::Error::last_os_error())?;
        let size = SIZE + least_size().next_multiple_of(page);
        let length = page + size;
        // SAFETY: a new anonymous mapping at an address of the kernel's choice disturbs nobody.
        let mapping = unsafe {
            libc::mmap(
                ptr::null_mut(),
                length,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if mapping == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let mut guard = ThreadGuard {
            mapping,
            length,
            previous: disabled(),
            _not_send: PhantomData,
        };
        // SAFETY: the first page of the new mapping, which nobody uses.
        if unsafe { libc::mprotect(mapping, page, libc::PROT_NONE) } != 0 {
            let error = io::Error::last_os_error();
            guard.unmap();
            return Err(error);
        }
        let stack = libc::stack_t {
            ss_sp: mapping.wrapping_byte_add(page),
            ss_flags: 0,
            ss_size: size,
        };
        // SAFETY: the stack is ours, and stays mapped until it is out of force.
        if unsafe { libc::sigaltstack(&stack, &mut guard.previous) } != 0 {
            let error = io::Error::last_os_error();
            guard.unmap();
            return Err(error);
        }
        Ok(guard)
    }

    /// Undoes the mapping, and nothing else.
    fn unmap(self) {
        // SAFETY: the alternate stack is not in force, says each caller's order of events.
        unsafe { libc::munmap(self.mapping, self.length) };
        mem::forget(self);
    }
}

impl Drop for ThreadGuard {
    fn drop(&mut self) {
        // SAFETY: all bytes zero is a valid `stack_t`.
        let mut current: libc::stack_t = unsafe { mem::zeroed() };
        // SAFETY: only asks.
        unsafe { libc::sigaltstack(ptr::null(), &mut current) };
        let start = self.mapping.addr();
        if (start..start + self.length).contains(&current.ss_sp.addr()) {
            let mut previous = self.previous;
            // A kernel may report more flags than it accepts.
            previous.ss_flags &= libc::SS_DISABLE;
            // SAFETY: what was in force before, or nothing.
            if unsafe { libc::sigaltstack(&previous, ptr::null_mut()) } != 0 {
                // We are running on it: it has to stay.
                return;
            }
        }
        // SAFETY: the alternate stack is out of force, and nobody else knows of the mapping.
        unsafe { libc::munmap(self.mapping, self.length) };
    }
}

fn disabled() -> libc::stack_t {
    libc::stack_t {
        ss_sp: ptr::null_mut(),
        ss_flags: libc::SS_DISABLE,
        ss_size: 0,
    }
}

/// What the kernel needs to save the registers of this processor.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn least_size() -> usize {
    // SAFETY: no requirement; an unknown key gives 0.
    let size = unsafe { libc::getauxval(libc::AT_MINSIGSTKSZ) };
    usize::try_from(size).unwrap_or(0).max(libc::MINSIGSTKSZ)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn least_size() -> usize {
    libc::MINSIGSTKSZ
}
