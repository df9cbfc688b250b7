//! What a process and the kernel say about memory and context switches.

use std::fs;

use super::Outcome;

/// The memory and the context switches of one process so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// Resident memory.
    pub rss_kib: u64,
    /// Page tables.
    pub tables_kib: u64,
    /// Time on processors, in the program and in the kernel for it.
    pub cpu_us: u64,
    /// Context switches because the process waited.
    pub voluntary: u64,
    /// Context switches because its time was over.
    pub involuntary: u64,
}

impl Usage {
    /// That of the calling process.
    ///
    /// # Errors
    ///
    /// The system does not say.
    pub fn now() -> Outcome<Usage> {
        let status = read("/proc/self/status")?;
        // SAFETY: the structure is one of integers, for which zero is a value.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: the pointer is to a value that lives until after the call.
        unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) };
        Ok(Usage {
            rss_kib: field(&status, "VmRSS:").ok_or("no VmRSS in /proc/self/status")?,
            tables_kib: field(&status, "VmPTE:").ok_or("no VmPTE in /proc/self/status")?,
            cpu_us: microseconds(usage.ru_utime) + microseconds(usage.ru_stime),
            voluntary: usage.ru_nvcsw as u64,
            involuntary: usage.ru_nivcsw as u64,
        })
    }
}

fn microseconds(time: libc::timeval) -> u64 {
    time.tv_sec as u64 * 1_000_000 + time.tv_usec as u64
}

/// What the kernel holds for everybody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Kernel {
    /// Objects in slabs: sockets, files, inodes, epoll entries…
    pub slab_kib: u64,
    /// Buffers of TCP sockets.
    pub buffers_kib: u64,
}

impl Kernel {
    /// What it holds now.
    ///
    /// # Errors
    ///
    /// The system does not say.
    pub fn now() -> Outcome<Kernel> {
        let sockstat = read("/proc/net/sockstat")?;
        let tcp = sockstat
            .lines()
            .find(|line| line.starts_with("TCP:"))
            .ok_or("no TCP in /proc/net/sockstat")?;
        let mut words = tcp.split_whitespace().skip_while(|word| *word != "mem");
        let pages: u64 = words.nth(1).and_then(|w| w.parse().ok()).unwrap_or(0);
        Ok(Kernel {
            slab_kib: match active_slab_kib() {
                Some(kib) => kib,
                // Only root may read the exact figures.
                None => {
                    field(&read("/proc/meminfo")?, "Slab:").ok_or("no Slab in /proc/meminfo")?
                }
            },
            buffers_kib: pages * page_kib(),
        })
    }
}

/// The memory of the objects in use, which, unlike that of whole slabs, shrinks when objects are freed.
fn active_slab_kib() -> Option<u64> {
    let slabinfo = fs::read_to_string("/proc/slabinfo").ok()?;
    let bytes: u64 = slabinfo
        .lines()
        .skip(2)
        .filter_map(|line| {
            let mut words = line.split_whitespace().skip(1);
            let active: u64 = words.next()?.parse().ok()?;
            let size: u64 = words.nth(1)?.parse().ok()?;
            Some(active * size)
        })
        .sum();
    Some(bytes / 1024)
}

fn page_kib() -> u64 {
    // SAFETY: the call takes no pointers.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(size).unwrap_or(4096) / 1024
}

fn read(path: &str) -> Outcome<String> {
    fs::read_to_string(path).map_err(|e| format!("{path}: {e}"))
}

/// The number behind `key` in a file of lines `key: number kB`.
fn field(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with(key))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Nanoseconds of a clock that is the same in all processes of the machine, and only goes forward.
#[must_use]
pub fn clock_ns() -> u64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer is to a value that lives until after the call.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
