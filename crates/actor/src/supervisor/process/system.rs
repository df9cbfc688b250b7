//! The two calls that std does not have: a signal to a process, and a wait that does not reap.

use std::io;

/// A signal.
#[derive(Debug, Clone, Copy)]
pub(super) enum Signal {
    Terminate,
    Kill,
}

/// The `idtype_t` that says that a process is meant, and no group.
const P_PID: i32 = 1;
/// Waits for processes that have ended.
const WEXITED: i32 = 4;
/// Leaves them to be waited for again.
const WNOWAIT: i32 = 0x0100_0000;
const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;

/// Room for a `siginfo_t`, which is 128 bytes on Linux whatever the architecture.
#[repr(C, align(16))]
struct SigInfo([u8; 128]);

unsafe extern "C" {
    fn kill(process: i32, signal: i32) -> i32;
    fn waitid(kind: i32, process: u32, info: *mut SigInfo, options: i32) -> i32;
}

/// Sends a signal to a process, which the caller knows to be a child that was not reaped: the number is its.
pub(super) fn send(process: u32, signal: Signal) {
    let signal = match signal {
        Signal::Terminate => SIGTERM,
        Signal::Kill => SIGKILL,
    };
    let Ok(process) = i32::try_from(process) else {
        return;
    };
    // SAFETY: numbers in, a number out. It fails only for one that has changed its user: nothing can be
    // done about that here.
    unsafe { kill(process, signal) };
}

/// Waits until a child of this process has ended, and leaves it to be reaped. Blocks the thread.
pub(super) fn wait_for_end(process: u32) -> io::Result<()> {
    /// No such child: it was reaped.
    const ECHILD: i32 = 10;
    let mut info = SigInfo([0; 128]);
    loop {
        // SAFETY: `info` is as large and as aligned as a `siginfo_t`, and outlives the call.
        let waited = unsafe { waitid(P_PID, process, &raw mut info, WEXITED | WNOWAIT) };
        if waited == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(ECHILD) => return Ok(()),
            _ if error.kind() == io::ErrorKind::Interrupted => {}
            _ => return Err(error),
        }
    }
}
