//! What the kernel tells about the threads of this process, as text for a report.
//!
//! Everything is read from `/proc/self/task`; what is missing there (another system, a kernel that
//! hides stacks from users) is left out of the report.

use std::fmt::Write;
use std::path::Path;

/// The lines of `/proc/self/task/*/status` that help with a hang.
const STATUS: [&str; 4] = [
    "State:",
    "SigBlk:",
    "voluntary_ctxt_switches:",
    "nonvoluntary_ctxt_switches:",
];

/// Describes every thread of this process: its name, state, where in the kernel it waits, and its
/// kernel stack where that may be read.
pub(crate) fn describe() -> String {
    let mut report = String::new();
    let tasks = match std::fs::read_dir("/proc/self/task") {
        Ok(tasks) => tasks,
        Err(e) => return format!("threads: /proc/self/task cannot be read: {e}\n"),
    };
    let mut ids: Vec<u64> = tasks
        .flatten()
        .filter_map(|t| t.file_name().to_str()?.parse().ok())
        .collect();
    ids.sort_unstable();
    for id in ids {
        describe_thread(&mut report, id);
    }
    report
}

fn describe_thread(report: &mut String, id: u64) {
    let folder = Path::new("/proc/self/task").join(id.to_string());
    let read = |file: &str| std::fs::read_to_string(folder.join(file)).unwrap_or_default();

    // Writing to a string cannot fail.
    let _ = write!(report, "thread {id} {:?}", read("comm").trim_end());
    let wchan = read("wchan");
    if !matches!(wchan.as_str(), "" | "0") {
        let _ = write!(report, " in {wchan}");
    }
    report.push('\n');
    for line in read("status")
        .lines()
        .filter(|l| STATUS.iter().any(|s| l.starts_with(s)))
    {
        let _ = writeln!(report, "    {}", line.replace('\t', " "));
    }
    let syscall = read("syscall");
    if !syscall.is_empty() {
        let _ = writeln!(report, "    syscall: {}", syscall.trim_end());
    }
    for frame in read("stack").lines() {
        let _ = writeln!(report, "    {frame}");
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #[test]
    fn every_thread_is_described_by_its_name() {
        let (hold, held) = std::sync::mpsc::channel::<()>();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let named = std::thread::Builder::new()
            .name("sleeper".into())
            .spawn(move || {
                ready.send(()).unwrap();
                // Ends with an error once the test drops the sender.
                held.recv().unwrap_err();
            })
            .unwrap();
        is_ready.recv().unwrap();
        let report = super::describe();
        drop(hold);
        named.join().unwrap();
        assert!(report.contains("\"sleeper\""), "{report}");
        assert!(report.contains("State:"), "{report}");
    }
}
