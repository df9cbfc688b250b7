//! What the kernel says about this process, and where it may run.

use std::fs;
use std::io;
use std::time::Duration;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};
use nix::sys::time::TimeValLike;
use nix::unistd::{Pid, SysconfVar, sysconf};

/// Memory of a process: what it has resident, and what the kernel spends to map it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Footprint {
    /// `VmRSS`.
    pub(crate) rss_kib: f64,
    /// `VmPTE`: page tables.
    pub(crate) pte_kib: f64,
}

impl Footprint {
    /// Reads the footprint of this process.
    pub(crate) fn now() -> Footprint {
        Footprint::of("self")
    }

    /// Reads the footprint of the process `pid`; zeros, when it has ended.
    pub(crate) fn of(pid: &str) -> Footprint {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        Footprint {
            rss_kib: field(&status, "VmRSS:"),
            pte_kib: field(&status, "VmPTE:"),
        }
    }
}

/// Returns the largest resident set this process ever had.
pub(crate) fn peak_rss_kib() -> f64 {
    field(
        &fs::read_to_string("/proc/self/status").unwrap_or_default(),
        "VmHWM:",
    )
}

/// Returns the voluntary context switches of all threads of this process: each is a time that a
/// thread went to sleep.
pub(crate) fn voluntary_switches() -> io::Result<u64> {
    let mut sum = 0;
    for thread in fs::read_dir("/proc/self/task")? {
        let status = fs::read_to_string(thread?.path().join("status"))?;
        sum += field(&status, "voluntary_ctxt_switches:") as u64;
    }
    Ok(sum)
}

/// Returns the number after `name` at the start of a line of a `status` file.
fn field(status: &str, name: &str) -> f64 {
    status
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|number| number.parse().ok())
        .unwrap_or(0.0)
}

/// Returns the user and system CPU time of this process.
pub(crate) fn cpu_time() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("getrusage of oneself");
    let microseconds =
        usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Duration::from_micros(microseconds.unsigned_abs())
}

/// Returns the user and system CPU time of the process `pid` to a hundredth of a second; `None`,
/// when it has ended.
pub(crate) fn cpu_time_of(pid: u32) -> Option<Duration> {
    let ticks_per_second = sysconf(SysconfVar::CLK_TCK).ok()??;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(Duration::from_secs_f64(
        ticks(&stat)? as f64 / ticks_per_second as f64,
    ))
}

/// Returns the sum of `utime` and `stime` of a `stat` file, the 14th and 15th field.
fn ticks(stat: &str) -> Option<u64> {
    // The second field is the name of the program, in brackets, and may hold blanks.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11);
    Some(times.next()?.parse::<u64>().ok()? + times.next()?.parse::<u64>().ok()?)
}

/// The CPUs that the calling thread, and what it starts, may run on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cpus(CpuSet);

impl Cpus {
    /// Reads the CPUs of the calling thread.
    pub(crate) fn current() -> io::Result<Cpus> {
        Ok(Cpus(sched_getaffinity(Pid::from_raw(0))?))
    }

    /// Returns the `index`-th CPU alone; the last one, where there are not so many.
    pub(crate) fn nth(&self, index: usize) -> io::Result<Cpus> {
        let present: Vec<usize> = (0..CpuSet::count())
            .filter(|&cpu| self.0.is_set(cpu).unwrap_or(false))
            .collect();
        let last = present
            .len()
            .checked_sub(1)
            .ok_or(io::ErrorKind::NotFound)?;
        let mut one = CpuSet::new();
        one.set(present[index.min(last)])?;
        Ok(Cpus(one))
    }

    /// Moves the calling thread to these CPUs.
    pub(crate) fn enter(&self) -> io::Result<()> {
        Ok(sched_setaffinity(Pid::from_raw(0), &self.0)?)
    }

    /// Runs `start` (which starts a process or threads) with the calling thread moved to these
    /// CPUs, and moves it back: what was started stays there.
    pub(crate) fn start_on<T>(&self, start: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let before = Cpus::current()?;
        self.enter()?;
        let started = start();
        before.enter()?;
        started
    }
}

/// Restricts the calling thread, and all threads it starts, to the first CPU it may use.
pub(crate) fn pin_to_one_cpu() {
    Cpus::current()
        .and_then(|cpus| cpus.nth(0)?.enter())
        .expect("a process may restrict itself to one of its CPUs");
}

/// Raises the limit of open files as far as this process may; children inherit it.
pub(crate) fn raise_open_file_limit() {
    const WANTED: u64 = 200_000;
    let limit = Resource::RLIMIT_NOFILE;
    // A privileged process may raise the hard limit too; every other one goes up to it.
    if setrlimit(limit, WANTED, WANTED).is_err()
        && let Ok((soft, hard)) = getrlimit(limit)
        && soft < hard
    {
        // A refusal leaves the limit as it is; a run that needs more files will say so itself.
        let _ = setrlimit(limit, hard, hard);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_at_the_start_of_its_line_only() {
        let status = "Name:\tVmRSS: 5\nVmRSS:\t  123 kB\nnonvoluntary_ctxt_switches:\t4\n\
                      voluntary_ctxt_switches:\t9\n";
        assert_eq!(field(status, "VmRSS:"), 123.0);
        assert_eq!(field(status, "voluntary_ctxt_switches:"), 9.0);
        assert_eq!(field(status, "VmPTE:"), 0.0);
    }

    #[test]
    fn ticks_are_found_behind_a_program_name_with_blanks() {
        let stat = "7 (a b) c) S 1 2 3 4 5 6 7 8 9 10 30 12 13 14 15";
        assert_eq!(ticks(stat), Some(42));
        assert_eq!(ticks("7 (a) S 1"), None);
        assert!(cpu_time_of(std::process::id()).is_some());
        assert_eq!(cpu_time_of(u32::MAX), None);
    }

    #[test]
    fn this_process_has_a_footprint_and_page_tables() {
        let now = Footprint::now();
        assert!(now.rss_kib > 0.0 && now.pte_kib > 0.0, "{now:?}");
        assert!(peak_rss_kib() >= now.rss_kib / 2.0);
    }

    #[test]
    fn starting_on_one_cpu_leaves_the_caller_where_it_was() {
        let before = Cpus::current().unwrap();
        let one = before.nth(usize::MAX).unwrap();
        let seen = one.start_on(Cpus::current).unwrap();
        assert_eq!(seen.0, one.0);
        assert_eq!(Cpus::current().unwrap().0, before.0);
    }
}
