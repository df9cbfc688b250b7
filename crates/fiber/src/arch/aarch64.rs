//! Context switch for aarch64 under the AAPCS64 calling convention.
//!
//! Addresses grow upwards in the pictures.
//!
//! A fresh stack, as `prepare` leaves it. The first `switch` to it loads `x29`, and jumps to the
//! base code, which takes the rest:
//!
//! ```text
//!   top        +--------------------+  16-byte aligned
//!              | frame record (*)   |  {0, 0} for a root base; for a linked base the record
//!              |                    |  lies elsewhere, inside the caller's own control block
//!              +--------------------+
//!              | entry              |  sp + 24
//!              | arg                |  sp + 16   (the place of x19 in a suspended frame)
//!              | start              |  sp +  8   (the place of pc)
//!   saved sp ->| address of record  |  sp +  0   (the place of x29)
//!              +--------------------+
//! ```
//!
//! A running stack:
//!
//! ```text
//!   top        +--------------------+
//!              | frame record       |<- x29 while the base code runs
//!              +--------------------+
//!              | frames of entry... |
//!   sp       ->|                    |
//!              +--------------------+
//! ```
//!
//! A suspended stack:
//!
//! ```text
//!              | frames ...         |
//!              +--------------------+  CFA: the stack pointer of the code around `switch`
//!              | unused             |  sp + 24
//!              | x19                |  sp + 16
//!              | pc: label 2        |  sp +  8  \ a frame record (invariant 1)
//!   saved sp ->| x29                |  sp +  0  /
//!              +--------------------+
//! ```
//!
//! Only `x19`, `x29`, `sp` and the program counter are saved here, because inline assembly cannot
//! declare the first three as lost. All other registers, the vector registers among them, are
//! declared lost, so the compiler saves exactly those that hold something at the place of the
//! call. `x18` belongs to the platform and is left alone.
//!
//! The floating-point control register (`fpcr`) is *not* switched: all flows of control of a thread
//! share it. Rust code may not run with other than the default value, so a change of it may not be
//! in force when a switch is reached.
//!
//! The landing places carry `bti` hints, so that branch target identification may be enabled.
//! Return addresses on the stack are not signed.

use core::arch::{asm, naked_asm};

use super::{Base, Entry, FrameRecord};

/// Suspends the current flow of control, storing its stack pointer in `*save`, and resumes the one
/// whose stack pointer is in `*resume`.
///
/// # Safety
///
/// - `save` may be written and `resume` may be read.
/// - `*resume` was stored by this function or by [`prepare`], has not been resumed since, and its
///   stack is intact.
/// - Once started, a flow of control is resumed by the thread that started it.
#[inline(always)]
pub(crate) unsafe fn switch(save: *mut *mut u8, resume: *const *mut u8) {
    // SAFETY: the assembly stores one word through `save` and reads one through `resume`, which the
    // caller allows. What it pushes is popped again at label 2, with the same stack pointer, when
    // somebody resumes `*save`; every register that differs by then is declared as lost, or is
    // restored by hand (x19, x29, sp).
    unsafe {
        asm!(
            "adr x16, 2f",
            "stp x29, x16, [sp, #-32]!",
            "str x19, [sp, #16]",
            "mov x17, sp",
            "str x17, [x0]",
            "ldr x17, [x1]",
            "mov sp, x17",
            "ldp x29, x16, [sp]",
            "br x16",
            "2:",
            "hint #36", // bti j
            "ldr x19, [sp, #16]",
            "add sp, sp, #32",
            inout("x0") save => _,
            inout("x1") resume => _,
            out("x16") _,
            out("x17") _,
            out("x20") _,
            out("x21") _,
            out("x22") _,
            out("x23") _,
            out("x24") _,
            out("x25") _,
            out("x26") _,
            out("x27") _,
            out("x28") _,
            out("x30") _,
            out("v8") _,
            out("v9") _,
            out("v10") _,
            out("v11") _,
            out("v12") _,
            out("v13") _,
            out("v14") _,
            out("v15") _,
            clobber_abi("C"),
        );
    }
}

/// Writes the first frame of a stack below `top` and returns the stack pointer to resume.
///
/// `record` is where the base code's frame pointer points.
///
/// # Safety
///
/// `top` is 16-byte aligned and the 32 bytes below it may be written. `record` stays valid as long
/// as the stack is in use.
pub(crate) unsafe fn prepare(
    top: *mut u8,
    base: Base,
    entry: Entry,
    arg: *mut (),
    record: *const FrameRecord,
) -> *mut u8 {
    let start: unsafe extern "C" fn() = match base {
        Base::Root => start,
        Base::Linked => start_linked,
    };
    // SAFETY: the four words lie in the 32 bytes that the caller lets us write, and `top` is
    // aligned for them.
    unsafe {
        let sp = top.sub(32).cast::<*const ()>();
        sp.write(record.cast());
        sp.add(1).write(start as *const ());
        sp.add(2).write(arg);
        sp.add(3).write(entry as *const ());
        sp.cast()
    }
}

/// Returns an address inside the base code, for the frame record of a linked base.
pub(crate) fn linked_pc() -> *const u8 {
    (start_linked as *const u8).wrapping_add(4)
}

/// The base of a stack at which backtraces end: calls `entry(arg)`.
///
/// Reached by the branch of [`switch`] with `sp` at the saved frame.
///
/// # Safety
///
/// Not to be called.
#[unsafe(naked)]
unsafe extern "C" fn start() {
    // The undefined return address tells unwinders that there is no caller; the zero frame record
    // tells it to those that follow frame pointers.
    naked_asm!(
        ".cfi_startproc",
        ".cfi_def_cfa x29, 16",
        ".cfi_undefined x30",
        ".cfi_undefined x29",
        "hint #38", // bti jc
        "ldp x19, x20, [sp, #16]",
        "add sp, sp, #32",
        "bl {arrive}",
        "mov x0, x19",
        "blr x20",
        "brk #1",
        ".cfi_endproc",
        arrive = sym crate::annotate::arrive_at_base,
    )
}

/// The base of a stack whose backtraces go on in the resumer: calls `entry(arg)`.
///
/// # Safety
///
/// Not to be called.
#[unsafe(naked)]
unsafe extern "C" fn start_linked() {
    // The escape is DW_CFA_def_cfa_expression, 5 bytes: breg29(x29) + 0, deref, plus_uconst 32.
    // That is: x29 points at the record, whose first word is the resumer's saved stack pointer;
    // the resumer's registers lie there as in the picture of a suspended stack.
    // `signal_frame` makes debuggers accept that the caller's frame lies at any address.
    naked_asm!(
        ".cfi_startproc",
        ".cfi_signal_frame",
        ".cfi_escape 0x0f, 0x05, 0x8d, 0x00, 0x06, 0x23, 0x20",
        ".cfi_offset x19, -16",
        ".cfi_offset x30, -24",
        ".cfi_offset x29, -32",
        "hint #38", // bti jc
        "ldp x19, x20, [sp, #16]",
        "add sp, sp, #32",
        "bl {arrive}",
        "mov x0, x19",
        "blr x20",
        "brk #1",
        ".cfi_endproc",
        arrive = sym crate::annotate::arrive_at_base,
    )
}

/// Calls `f(data)` with the stack pointer at `top`, and comes back.
///
/// Backtraces go through it. `f` may not unwind.
///
/// # Safety
///
/// `top` is 16-byte aligned and the end of a stack on which `f(data)` may run.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn call_on(
    top: *mut u8,
    f: unsafe extern "C" fn(*mut ()),
    data: *mut (),
) {
    naked_asm!(
        ".cfi_startproc",
        ".cfi_signal_frame",
        "hint #34", // bti c
        "stp x29, x30, [sp, #-16]!",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset x30, -8",
        ".cfi_offset x29, -16",
        "mov x29, sp",
        ".cfi_def_cfa x29, 16",
        "mov sp, x0",
        "mov x0, x2",
        "blr x1",
        "mov sp, x29",
        "ldp x29, x30, [sp], #16",
        ".cfi_def_cfa sp, 0",
        ".cfi_restore x29",
        ".cfi_restore x30",
        "ret",
        ".cfi_endproc",
    )
}

/// Returns the stack pointer.
#[inline(always)]
pub(crate) fn stack_pointer() -> *mut u8 {
    let sp: *mut u8;
    // SAFETY: copies a register, and touches neither memory, stack nor flags.
    unsafe { asm!("mov {}, sp", out(reg) sp, options(nomem, nostack, preserves_flags)) };
    sp
}
