//! What a watchdog does to a test that hangs, seen from outside: each hang is a process of its own.
//!
//! The victims below are ordinary tests that return at once unless the variable [`VICTIM`] names
//! them; the other tests run this very binary again with it set.

use std::process::{Command, Output};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use weftwork_testkit::{watchdog, with_watchdog};

const VICTIM: &str = "WEFTWORK_TESTKIT_VICTIM";

/// Far beyond what a healthy run takes.
const GENEROUS: Duration = Duration::from_secs(120);

fn chosen(name: &str) -> bool {
    std::env::var(VICTIM).is_ok_and(|v| v == name)
}

fn run(victim: &str) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", victim, "--test-threads=2"])
        .env(VICTIM, victim)
        .env_remove("WEFTWORK_PATIENCE")
        .output()
        .unwrap()
}

/// Blocks for ever, as a lost wake-up would.
fn hang() {
    let (_keep, never) = channel::<()>();
    let _ = never.recv();
}

#[test]
fn victim_that_hangs() {
    if chosen("victim_that_hangs") {
        let dog = watchdog(Duration::from_millis(50));
        dog.on_hang("the queue", |out| out.push_str("7 items, 1 waiter"));
        hang();
    }
}

#[test]
fn victim_whose_dumps_misbehave() {
    if chosen("victim_whose_dumps_misbehave") {
        let dog = watchdog(Duration::from_millis(50));
        dog.on_hang("panicking dump", |_| panic!("dump"));
        dog.on_hang("blocking dump", |_| hang());
        dog.on_hang("good dump", |out| out.push_str("still here"));
        hang();
    }
}

#[test]
#[cfg(unix)]
fn a_hang_aborts_with_the_name_the_place_the_dump_and_the_threads() {
    use std::os::unix::process::ExitStatusExt;

    let output = run("victim_that_hangs");
    let report = String::from_utf8_lossy(&output.stderr);
    // SIGABRT has the number 6 on every Unix.
    assert_eq!(output.status.signal(), Some(6), "{report}");
    for part in [
        "test victim_that_hangs (watched from",
        "tests/watchdog.rs:",
        "still runs after 50ms",
        "the queue:\n7 items, 1 waiter",
        "aborting",
    ] {
        assert!(report.contains(part), "{part:?} is missing in: {report}");
    }
    if cfg!(target_os = "linux") {
        assert!(report.contains("\"victim_that_han\""), "{report}");
        assert!(report.contains("\"watchdog\""), "{report}");
    }
}

#[test]
fn a_dump_that_panics_or_blocks_does_not_keep_the_report() {
    let output = run("victim_whose_dumps_misbehave");
    let report = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{report}");
    for part in [
        "panicking dump:\n(this dump panicked)",
        "blocking dump:\n(this dump does not return",
        "good dump:\nstill here",
        "aborting",
    ] {
        assert!(report.contains(part), "{part:?} is missing in: {report}");
    }
}

#[test]
fn a_test_that_ends_in_time_returns_its_value_and_does_not_wait_for_the_limit() {
    let start = Instant::now();
    let value = with_watchdog(GENEROUS, || 42);
    assert_eq!(value, 42);
    assert!(start.elapsed() < GENEROUS);
}

#[test]
fn a_dump_is_dropped_and_not_run_when_the_test_ends_in_time() {
    let (tx, rx) = channel::<&str>();
    let dog = watchdog(GENEROUS);
    dog.on_hang("never", move |_| tx.send("ran").unwrap());
    drop(dog);
    assert!(rx.recv().is_err(), "the dump ran");
}

#[test]
fn a_panic_passes_through_and_disarms() {
    let caught = std::panic::catch_unwind(|| with_watchdog(GENEROUS, || panic!("the test failed")));
    assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"the test failed"));
}

#[test]
fn limits_saturate() {
    with_watchdog(Duration::MAX, || {});
}
