//! How many descriptors a process may have, and dealing work out among several.

use std::io;

/// Deals `total` out as evenly as it goes.
#[must_use]
pub fn shares(total: u32, among: u32) -> Vec<u32> {
    (0..among)
        .map(|n| total / among + u32::from(n < total % among))
        .collect()
}

/// Raises this process's limit on descriptors as far as is needed and allowed; children inherit it.
/// Returns the limit.
///
/// # Errors
///
/// The kernel's.
pub fn raise_limit(needed: u64) -> io::Result<u64> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the pointer is to a value that lives until after the call.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    if limit.rlim_cur >= needed {
        return Ok(limit.rlim_cur);
    }
    // First beyond the hard limit, which a privileged process may; else up to it.
    for (soft, hard) in [
        (needed, limit.rlim_max.max(needed)),
        (limit.rlim_max, limit.rlim_max),
    ] {
        let wanted = libc::rlimit {
            rlim_cur: soft,
            rlim_max: hard,
        };
        // SAFETY: as above.
        if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const wanted) } == 0 {
            return Ok(soft);
        }
    }
    Ok(limit.rlim_cur)
}
