//! `recv` and `send` without the C library's wrappers, where that is possible.
//!
//! The wrappers are cancellation points of POSIX threads: in a program with threads, glibc swaps a
//! state word before and after the call, four atomic exchanges per request of an echo server. Rust
//! threads are never cancelled that way, and these calls never block.

/// The two calls by their numbers, which 64-bit Linux has on every architecture.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
mod calls {
    use libc::{c_int, c_long, c_void, size_t, ssize_t};

    const NO_ADDRESS: usize = 0;

    /// As `libc::recv`.
    ///
    /// # Safety
    ///
    /// As for `libc::recv`: `buffer` points to `length` bytes that may be written.
    #[inline]
    pub(crate) unsafe fn recv(
        fd: c_int,
        buffer: *mut c_void,
        length: size_t,
        flags: c_int,
    ) -> ssize_t {
        // SAFETY: the arguments are those of `recvfrom`, in registers' width, and the caller vouches
        // for the buffer; without an address nothing else is written.
        let result = unsafe {
            libc::syscall(
                libc::SYS_recvfrom,
                c_long::from(fd),
                buffer,
                length,
                c_long::from(flags),
                NO_ADDRESS,
                NO_ADDRESS,
            )
        };
        result as ssize_t
    }

    /// As `libc::send`.
    ///
    /// # Safety
    ///
    /// As for `libc::send`: `bytes` points to `length` bytes that may be read.
    #[inline]
    pub(crate) unsafe fn send(
        fd: c_int,
        bytes: *const c_void,
        length: size_t,
        flags: c_int,
    ) -> ssize_t {
        // SAFETY: as in `recv`, with `sendto`.
        let result = unsafe {
            libc::syscall(
                libc::SYS_sendto,
                c_long::from(fd),
                bytes,
                length,
                c_long::from(flags),
                NO_ADDRESS,
                NO_ADDRESS,
            )
        };
        result as ssize_t
    }
}

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
use libc as calls;

pub(crate) use calls::{recv, send};
