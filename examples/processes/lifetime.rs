//! Leaving no process behind.

use std::io;

/// Asks the kernel to end this process when the one that started it ends, however that happens.
///
/// # Errors
///
/// The kernel's, or the other one is gone already.
pub fn die_with_parent() -> io::Result<()> {
    let parent = std::os::unix::process::parent_id();
    // SAFETY: this request takes one integer.
    if unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } != 0 {
        return Err(io::Error::last_os_error());
    }
    if std::os::unix::process::parent_id() != parent {
        return Err(io::Error::other(
            "the process that started this one is gone",
        ));
    }
    Ok(())
}
