//! Context switch for x86_64 under the System V calling convention.
//!
//! Addresses grow upwards in the pictures.
//!
//! A fresh stack, as `prepare` leaves it. The first `switch` to it pops `rbp`, and jumps to the
//! base code, which takes the rest:
//!
//! ```text
//!   top        +--------------------+  16-byte aligned
//!              | frame record (*)   |  {0, 0} for a root base; for a linked base the record
//!              |                    |  lies elsewhere, inside the caller's own control block
//!              +--------------------+
//!              | entry              |  sp + 24
//!              | arg                |  sp + 16   (the place of rbx in a suspended frame)
//!              | start              |  sp +  8   (the place of rip)
//!   saved sp ->| address of record  |  sp +  0   (the place of rbp)
//!              +--------------------+
//! ```
//!
//! A running stack:
//!
//! ```text
//!   top        +--------------------+
//!              | frame record       |<- rbp while the base code runs
//!              +--------------------+
//!              | return into start  |
//!              | frames of entry... |
//!   rsp      ->|                    |
//!              +--------------------+
//! ```
//!
//! A suspended stack:
//!
//! ```text
//!              | frames ...         |
//!              +--------------------+  CFA: the stack pointer of the code around `switch`
//!              | rbx                |  sp + 16
//!              | rip: label 2       |  sp +  8  \ a frame record (invariant 1)
//!   saved sp ->| rbp                |  sp +  0  /
//!              +--------------------+
//! ```
//!
//! Only `rbx`, `rbp`, `rsp` and `rip` are saved here, because inline assembly cannot declare the
//! first three as lost. All other registers are declared lost, so the compiler saves exactly those
//! that hold something at the place of the call.
//!
//! The control words of SSE (`mxcsr`) and x87 are *not* switched: all flows of control of a thread
//! share them. Rust code may not run with other than the default values, so a change of them may
//! not be in force when a switch is reached.
//!
//! The resumed side is reached by a jump, not by `ret`: a `ret` would always be mispredicted,
//! since the return stack of the processor knows the suspended side's callers only.

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
    // restored by hand (rbx, rbp, rsp).
    unsafe {
        asm!(
            "push rbx",
            "lea rax, [rip + 2f]",
            "push rax",
            "push rbp",
            "mov [rdi], rsp",
            "mov rsp, [rsi]",
            "pop rbp",
            "pop rax",
            "jmp rax",
            "2:",
            "pop rbx",
            inout("rdi") save => _,
            inout("rsi") resume => _,
            out("rax") _,
            out("r12") _,
            out("r13") _,
            out("r14") _,
            out("r15") _,
            clobber_abi("sysv64"),
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
    (start_linked as *const u8).wrapping_add(1)
}

/// The base of a stack at which backtraces end: calls `entry(arg)`.
///
/// Reached by the jump of [`switch`] with `rsp` at the word `arg`.
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
        ".cfi_def_cfa rbp, 16",
        ".cfi_undefined rip",
        ".cfi_undefined rbp",
        "pop rbx",
        "pop r12",
        "call {arrive}",
        "mov rdi, rbx",
        "call r12",
        "ud2",
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
    // The escape is DW_CFA_def_cfa_expression, 5 bytes: breg6(rbp) + 0, deref, plus_uconst 24.
    // That is: rbp points at the record, whose first word is the resumer's saved stack pointer;
    // the resumer's registers lie there as in the picture of a suspended stack.
    // `signal_frame` makes debuggers accept that the caller's frame lies at any address.
    naked_asm!(
        ".cfi_startproc",
        ".cfi_signal_frame",
        ".cfi_escape 0x0f, 0x05, 0x76, 0x00, 0x06, 0x23, 0x18",
        ".cfi_offset rbx, -8",
        ".cfi_offset rip, -16",
        ".cfi_offset rbp, -24",
        "pop rbx",
        "pop r12",
        "call {arrive}",
        "mov rdi, rbx",
        "call r12",
        "ud2",
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
        "push rbp",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbp, -16",
        "mov rbp, rsp",
        ".cfi_def_cfa_register rbp",
        "mov rsp, rdi",
        "mov rdi, rdx",
        "call rsi",
        "mov rsp, rbp",
        "pop rbp",
        ".cfi_def_cfa rsp, 8",
        "ret",
        ".cfi_endproc",
    )
}

/// Returns the stack pointer.
#[inline(always)]
pub(crate) fn stack_pointer() -> *mut u8 {
    let sp: *mut u8;
    // SAFETY: copies a register, and touches neither memory, stack nor flags.
    unsafe { asm!("mov {}, rsp", out(reg) sp, options(nomem, nostack, preserves_flags)) };
    sp
}
