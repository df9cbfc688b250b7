//! The handler of SIGSEGV and SIGBUS.

use core::ffi::{c_int, c_void};
use core::mem;
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};
use std::io;
use std::sync::OnceLock;

use super::report::Report;
use crate::grow;
use crate::stack::slab::{DESCRIBED, IN_USE, SEGMENT, Slot};
use crate::stack::table;

const SIGNALS: [c_int; 2] = [libc::SIGSEGV, libc::SIGBUS];

/// How many segments of one flow of control are followed to its first stack.
const MOST_SEGMENTS: usize = 1000;

/// The handlers that were there before, in the order of [`SIGNALS`]. Set before ours is installed.
static PREVIOUS: [OnceLock<libc::sigaction>; 2] = [const { OnceLock::new() }; 2];

/// A `fn(*const u8, &mut Report)`, or null.
static DESCRIBE: AtomicPtr<()> = AtomicPtr::new(ptr::null_mut());

/// Installs the handler for the whole process; does nothing if that was done before.
///
/// Handlers that were there before stay in charge of all other faults. A handler that is installed
/// later replaces this one, unless it passes on what it does not know.
///
/// # Errors
///
/// What the system says, if it refuses.
///
/// # Examples
///
/// ```
/// use weftwork_fiber::overflow;
///
/// overflow::install()?;
/// let guard = overflow::ThreadGuard::new()?;
/// // Fibers that run here, on this thread, get a report.
/// drop(guard);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn install() -> io::Result<()> {
    static DONE: OnceLock<Result<(), i32>> = OnceLock::new();
    DONE.get_or_init(|| {
        for (signal, previous) in SIGNALS.into_iter().zip(&PREVIOUS) {
            install_one(signal, previous).map_err(|error| error.raw_os_error().unwrap_or(0))?;
        }
        Ok(())
    })
    .map_err(io::Error::from_raw_os_error)
}

fn install_one(signal: c_int, previous: &OnceLock<libc::sigaction>) -> io::Result<()> {
    // SAFETY: all bytes zero is a valid `sigaction`.
    let mut old: libc::sigaction = unsafe { mem::zeroed() };
    // SAFETY: only asks; `old` may be written.
    if unsafe { libc::sigaction(signal, ptr::null(), &mut old) } != 0 {
        return Err(io::Error::last_os_error());
    }
    previous.get_or_init(|| old);
    // SAFETY: as above.
    let mut new: libc::sigaction = unsafe { mem::zeroed() };
    let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) = handle;
    new.sa_sigaction = handler as libc::sighandler_t;
    new.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: the handler has the signature that `SA_SIGINFO` asks for, and is async-signal-safe.
    if unsafe { libc::sigaction(signal, &new, ptr::null_mut()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Sets the hook that describes the flow of control whose stack has overflowed.
///
/// `f` gets the [`Stack::top`](crate::Stack::top) of that stack, where a runtime keeps its control
/// block, and adds a line of text, such as a name and a place, to the report. It is called only for
/// stacks marked by [`Stack::set_described`](crate::Stack::set_described). If the overflow happened
/// on a segment of [`grow`](crate::grow), the top is that of the stack from which the first segment
/// was entered. There is one hook in the process: the last one set.
///
/// `f` runs in a signal handler, on any thread: it must not allocate, lock, panic or call anything
/// that does.
pub fn set_describe(f: fn(top: *const u8, out: &mut Report)) {
    DESCRIBE.store(f as *mut (), Ordering::Release); // pairs with Acquire in `describe`
}

fn describe(top: *const u8, out: &mut Report) -> bool {
    let hook = DESCRIBE.load(Ordering::Acquire); // pairs with Release in `set_describe`
    if hook.is_null() {
        return false;
    }
    // SAFETY: a value that is not null was stored by `set_describe`, out of this very type.
    let hook = unsafe { mem::transmute::<*mut (), fn(*const u8, &mut Report)>(hook) };
    hook(top, out);
    true
}

/// The handler itself.
extern "C" fn handle(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: with `SA_SIGINFO` the system passes valid information; for these signals it may hold
    // an address.
    let (address, code) = unsafe { ((*info).si_addr().addr(), (*info).si_code) };
    // A signal that was sent (code 0 or less) carries no address.
    if code > 0
        && let Some(slot) = guard_at(address)
    {
        overflowed(&slot, address);
    }
    chain(signal, code, info, context);
}

/// Finds the slot in use whose guard contains `address`.
fn guard_at(address: usize) -> Option<Slot> {
    let slot = table::lookup(address)?.slot_of(address)?;
    (slot.flags & IN_USE != 0 && address - slot.start < slot.guard).then_some(slot)
}

/// Reports and aborts.
fn overflowed(slot: &Slot, address: usize) -> ! {
    let mut report = Report::new();
    report.text("\nweftwork: stack overflow on a ");
    size(&mut report, slot.class.slot_size());
    report.text(if slot.flags & SEGMENT != 0 {
        " segment ("
    } else {
        " stack ("
    });
    report.number(slot.usable());
    report.text(" bytes usable), ");
    report.number(slot.start + slot.guard - address);
    report.text(" bytes below its limit\n");
    match first_stack(*slot) {
        Some(first) if first.flags & DESCRIBED != 0 => {
            report.text("weftwork: running there: ");
            let top = ptr::with_exposed_provenance(first.top());
            if !describe(top, &mut report) {
                report.text("unknown");
            }
            report.text("\n");
        }
        _ => {}
    }
    report.text("weftwork: use a larger stack, or `grow` in deep recursion. Aborting.\n");
    report.print();
    // SAFETY: no requirement, and async-signal-safe.
    unsafe { libc::abort() }
}

/// Adds a slot size in the unit that suits it.
fn size(report: &mut Report, bytes: usize) {
    if bytes >= 1 << 20 {
        report.number(bytes >> 20);
        report.text(" MiB");
    } else {
        report.number(bytes >> 10);
        report.text(" KiB");
    }
}

/// Follows segments to the stack on which their flow of control started; `None` if that is a
/// thread's own.
fn first_stack(mut slot: Slot) -> Option<Slot> {
    for _ in 0..MOST_SEGMENTS {
        if slot.flags & SEGMENT == 0 {
            return Some(slot);
        }
        // SAFETY: the slot is in use as a segment.
        let outer = unsafe { grow::outer_limit(slot.top()) };
        slot = table::lookup(outer)?.slot_of(outer)?;
    }
    None
}

/// Passes a signal on to the handler that was there before.
fn chain(signal: c_int, code: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let position = usize::from(signal != SIGNALS[0]);
    let Some(previous) = PREVIOUS[position].get() else {
        return default(signal, code);
    };
    match previous.sa_sigaction {
        libc::SIG_DFL => default(signal, code),
        // What the kernel does with a fault whose signal is ignored.
        libc::SIG_IGN if code > 0 => default(signal, code),
        libc::SIG_IGN => {}
        handler if previous.sa_flags & libc::SA_SIGINFO != 0 => {
            type Handler = extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);
            // SAFETY: with `SA_SIGINFO` the word is a function of this type.
            let handler = unsafe { mem::transmute::<libc::sighandler_t, Handler>(handler) };
            handler(signal, info, context);
        }
        handler => {
            // SAFETY: without `SA_SIGINFO`, and being neither of the special values, the word is a
            // function of this type.
            let handler =
                unsafe { mem::transmute::<libc::sighandler_t, extern "C" fn(c_int)>(handler) };
            handler(signal);
        }
    }
}

/// Lets the default action happen: a faulting instruction is executed again when the handler
/// returns; a signal that was sent is sent again.
fn default(signal: c_int, code: c_int) {
    // SAFETY: all bytes zero is a valid `sigaction`: the default action.
    let action: libc::sigaction = unsafe { mem::zeroed() };
    // SAFETY: both calls are async-signal-safe. The signal is blocked until the handler returns.
    unsafe {
        libc::sigaction(signal, &action, ptr::null_mut());
        if code <= 0 {
            libc::raise(signal);
        }
    }
}
