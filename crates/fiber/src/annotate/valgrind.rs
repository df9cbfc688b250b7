//! valgrind: the bounds of every stack, by client requests.
//!
//! A client request is an instruction sequence that does nothing, which valgrind recognises; no C
//! header is needed. Outside valgrind a request costs a few instructions and returns the default.

use core::arch::asm;

const STACK_REGISTER: usize = 0x1501;
const STACK_DEREGISTER: usize = 0x1502;
/// Memcheck's requests start at the letters `MC`; the one after `MAKE_MEM_NOACCESS`.
const MAKE_MEM_UNDEFINED: usize = 0x4d43_0001;

/// A stack that valgrind knows, until it is dropped.
#[derive(Debug)]
pub(crate) struct StackId(usize);

impl StackId {
    /// Announces the stack `[limit, top)`.
    pub(crate) fn register(top: *mut u8, limit: *mut u8) -> StackId {
        StackId(request(STACK_REGISTER, limit.addr(), top.addr() - 1))
    }
}

impl Drop for StackId {
    fn drop(&mut self) {
        request(STACK_DEREGISTER, self.0, 0);
    }
}

/// Makes the memory `[limit, top)` accessible, its contents undefined.
pub(super) fn renew(top: *mut u8, limit: *mut u8) {
    request(MAKE_MEM_UNDEFINED, limit.addr(), top.addr() - limit.addr());
}

#[cfg(target_arch = "x86_64")]
fn request(request: usize, first: usize, second: usize) -> usize {
    let arguments = [request, first, second, 0, 0, 0];
    let mut result = 0_usize;
    // SAFETY: the four rotations add up to 128, so `rdi` is unchanged, and exchanging a register
    // with itself does nothing. valgrind reads the six words at `rax` and writes `rdx`.
    unsafe {
        asm!(
            "rol rdi, 3",
            "rol rdi, 13",
            "rol rdi, 61",
            "rol rdi, 51",
            "xchg rbx, rbx",
            inout("rdx") result,
            in("rax") arguments.as_ptr(),
            inout("rdi") 0_usize => _,
        );
    }
    result
}

#[cfg(target_arch = "aarch64")]
fn request(request: usize, first: usize, second: usize) -> usize {
    let arguments = [request, first, second, 0, 0, 0];
    let mut result = 0_usize;
    // SAFETY: the four rotations add up to 128, so `x12` is unchanged, and combining a register
    // with itself does nothing. valgrind reads the six words at `x4` and writes `x3`.
    unsafe {
        asm!(
            "ror x12, x12, #3",
            "ror x12, x12, #13",
            "ror x12, x12, #51",
            "ror x12, x12, #61",
            "orr x10, x10, x10",
            inout("x3") result,
            in("x4") arguments.as_ptr(),
            inout("x12") 0_usize => _,
        );
    }
    result
}
