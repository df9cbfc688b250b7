//! Knowing that this process is a child.
//!
//! After `fork` parent and child share one kernel set: an `EPOLL_CTL_DEL` by the child takes the
//! parent's registration away. So a reactor stamps itself at birth and refuses to work in a child.
//!
//! The check on hot paths is one load: a handler registered with `pthread_atfork` counts forks in
//! the child. Paths that change the kernel's set also compare process ids, which costs a system
//! call next to another one and notices children made by a bare `clone`.

use std::io;
use std::process;
use std::sync::Once;
// Outside the models: a static needs a constant initialiser, and no model forks.
use std::sync::atomic::{AtomicU32, Ordering};

/// Forks between the first process and this one.
static DEPTH: AtomicU32 = AtomicU32::new(0);

extern "C" fn count_fork() {
    DEPTH.fetch_add(1, Ordering::Relaxed); // Relaxed: a child starts with one thread, this one.
}

/// The process that made a reactor.
#[derive(Debug)]
pub(crate) struct ForkStamp {
    pid: u32,
    depth: u32,
}

impl ForkStamp {
    /// Stamps this process.
    pub(crate) fn new() -> Self {
        static HANDLER: Once = Once::new();
        HANDLER.call_once(|| {
            // SAFETY: pthread_atfork takes function pointers that stay valid, and `count_fork` is a
            // function of this program. The handler only touches an atomic, which is
            // async-signal-safe as a fork child of a threaded program requires. A failure (no
            // memory) leaves the process id check, so its result may be ignored.
            unsafe { libc::pthread_atfork(None, None, Some(count_fork)) };
        });
        ForkStamp {
            pid: process::id(),
            depth: DEPTH.load(Ordering::Relaxed),
        }
    }

    /// Fails in a child of the stamped process. One load.
    #[inline]
    pub(crate) fn check(&self) -> io::Result<()> {
        if DEPTH.load(Ordering::Relaxed) == self.depth {
            Ok(())
        } else {
            Err(in_child())
        }
    }

    /// Fails in a child of the stamped process, even one made by a bare `clone`. One system call.
    pub(crate) fn check_pid(&self) -> io::Result<()> {
        if process::id() == self.pid {
            Ok(())
        } else {
            Err(in_child())
        }
    }
}

#[cold]
fn in_child() -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        "the reactor was made before a fork and belongs to the parent process",
    )
}
