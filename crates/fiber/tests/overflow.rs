//! Overflows are reported and abort; other faults do what they did before.
//!
//! Each scenario runs in a process of its own: the test runs this very program again, with the name
//! of the scenario in an environment variable.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};

use weftwork_fiber::overflow::{self, Report, ThreadGuard};
use weftwork_fiber::{Fiber, PoolConfig, SizeClass, StackPool, Suspender, grow};

const SCENARIO: &str = "WEFTWORK_FIBER_TEST_SCENARIO";
const RUNNER: &str = "WEFTWORK_FIBER_TEST_RUNNER";

/// Runs the scenario of that name in a child process, or, in the child, the scenario itself.
fn in_child(name: &str, scenario: fn()) -> Option<Output> {
    if std::env::var(SCENARIO).is_ok_and(|chosen| chosen == name) {
        scenario();
        println!("the scenario came to its end");
        std::process::exit(0);
    }
    let program = std::env::current_exe().expect("the test program has a path");
    // An emulator runs its child processes only if it is told to.
    let mut command = match std::env::var_os(RUNNER) {
        Some(runner) => {
            let mut command = Command::new(runner);
            command.arg(program);
            command
        }
        None => Command::new(program),
    };
    let output = command
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(SCENARIO, name)
        .output()
        .expect("the test program runs");
    Some(output)
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
fn assert_reported(output: &Output, wanted: &[&str]) {
    let text = stderr(output);
    assert_eq!(
        output.status.signal(),
        Some(libc::SIGABRT),
        "{}\n{text}",
        output.status
    );
    for part in wanted {
        assert!(text.contains(part), "no {part:?} in:\n{text}");
    }
}

/// Never ends, but for the stack.
#[inline(never)]
fn recurse(depth: u64) -> u64 {
    let ballast = std::hint::black_box([depth; 32]);
    let below = if depth == u64::MAX {
        0
    } else {
        recurse(depth + 1)
    };
    below + std::hint::black_box(ballast)[7]
}

fn install() -> ThreadGuard {
    overflow::install().expect("the handler is installed");
    ThreadGuard::new().expect("an alternate stack")
}

/// Overflows a fiber on a stack of 64 KiB.
fn overflow_a_fiber(config: PoolConfig, described: bool) {
    let stack = StackPool::new(config)
        .allocate(SizeClass::KIB_64)
        .expect("a stack");
    stack.set_described(described);
    let mut fiber =
        Fiber::with_stack(stack, |_: &Suspender<(), ()>, ()| recurse(0)).expect("a fiber");
    fiber.resume(());
}

#[test]
fn an_overflow_is_reported_with_the_slots_size() {
    let output = in_child("an_overflow_is_reported_with_the_slots_size", || {
        let _guard = install();
        overflow_a_fiber(PoolConfig::new(), false);
    });
    let output = output.expect("the parent process gets here");
    assert_reported(
        &output,
        &["weftwork: stack overflow on a 64 KiB stack (", "`grow`"],
    );
    assert!(
        !stderr(&output).contains("running there"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn an_overflow_into_a_protected_guard_is_reported() {
    let output = in_child("an_overflow_into_a_protected_guard_is_reported", || {
        let _guard = install();
        overflow_a_fiber(PoolConfig::new().force_mprotect(true), false);
    });
    let output = output.expect("the parent process gets here");
    assert_reported(&output, &["weftwork: stack overflow on a 64 KiB stack ("]);
}

#[test]
fn an_overflow_on_a_thread_with_a_guard_is_reported() {
    let output = in_child("an_overflow_on_a_thread_with_a_guard_is_reported", || {
        let thread = std::thread::spawn(|| {
            let _guard = install();
            overflow_a_fiber(PoolConfig::new(), false);
        });
        thread.join().expect("the process is aborted before");
    });
    let output = output.expect("the parent process gets here");
    assert_reported(&output, &["weftwork: stack overflow on a 64 KiB stack ("]);
}

fn describe(top: *const u8, out: &mut Report) {
    use std::fmt::Write;
    // What a runtime would read there is a control block; a test can read its closure's bytes.
    // SAFETY: the memory below the top of a stack in use may be read.
    let _word = unsafe { top.cast::<u64>().sub(1).read_volatile() };
    out.text("task ");
    out.number(12);
    write!(out, " \"mill\" spawned at main.rs:{}", top.addr() % 64 + 7).expect("it fits");
}

#[test]
fn the_hook_describes_the_flow_of_control() {
    let output = in_child("the_hook_describes_the_flow_of_control", || {
        let _guard = install();
        overflow::set_describe(describe);
        overflow_a_fiber(PoolConfig::new(), true);
    });
    let output = output.expect("the parent process gets here");
    assert_reported(
        &output,
        &["running there: task 12 \"mill\" spawned at main.rs:7\n"],
    );
}

#[test]
fn the_hook_is_not_called_for_stacks_without_description() {
    let output = in_child(
        "the_hook_is_not_called_for_stacks_without_description",
        || {
            let _guard = install();
            overflow::set_describe(describe);
            overflow_a_fiber(PoolConfig::new(), false);
        },
    );
    let output = output.expect("the parent process gets here");
    assert_reported(&output, &["stack overflow"]);
    assert!(!stderr(&output).contains("task 12"), "{}", stderr(&output));
}

#[test]
fn an_overflow_of_a_segment_is_reported_for_the_first_stack() {
    let output = in_child(
        "an_overflow_of_a_segment_is_reported_for_the_first_stack",
        || {
            let _guard = install();
            overflow::set_describe(describe);
            let stack = StackPool::global()
                .allocate(SizeClass::KIB_256)
                .expect("a stack");
            stack.set_described(true);
            let body = |_: &Suspender<(), ()>, ()| {
                grow(usize::MAX, 40 * 1024, || {
                    grow(usize::MAX, 1000 * 1024, || recurse(0)) // not the last call
                })
            };
            Fiber::with_stack(stack, body).expect("a fiber").resume(());
        },
    );
    let output = output.expect("the parent process gets here");
    assert_reported(&output, &["on a 1 MiB segment", "running there: task 12"]);
}

#[test]
fn an_overflow_of_a_segment_of_a_thread_is_reported() {
    let output = in_child("an_overflow_of_a_segment_of_a_thread_is_reported", || {
        let _guard = install();
        grow(usize::MAX, 40 * 1024, || recurse(0));
    });
    assert_reported(
        &output.expect("the parent process gets here"),
        &["on a 64 KiB segment"],
    );
}

#[test]
fn other_faults_end_the_process_by_the_signal() {
    let output = in_child("other_faults_end_the_process_by_the_signal", || {
        let _guard = install();
        // SAFETY: none; this is the fault that the test is about.
        unsafe { std::ptr::without_provenance::<u8>(4096).read_volatile() };
    });
    let output = output.expect("the parent process gets here");
    assert!(!output.status.success());
    if cfg!(not(weftwork_asan)) {
        assert_eq!(
            output.status.signal(),
            Some(libc::SIGSEGV),
            "{}",
            stderr(&output)
        );
    }
    assert!(!stderr(&output).contains("weftwork"), "{}", stderr(&output));
}

#[test]
fn a_signal_that_was_sent_ends_the_process() {
    let output = in_child("a_signal_that_was_sent_ends_the_process", || {
        // The standard library's handler swallows the first such signal.
        // SAFETY: the default action has no requirement.
        unsafe { libc::signal(libc::SIGBUS, libc::SIG_DFL) };
        let _guard = install();
        // SAFETY: no requirement.
        unsafe { libc::raise(libc::SIGBUS) };
    });
    let output = output.expect("the parent process gets here");
    assert!(!output.status.success());
    if cfg!(not(weftwork_asan)) {
        assert_eq!(
            output.status.signal(),
            Some(libc::SIGBUS),
            "{}",
            stderr(&output)
        );
    }
}

static HANDLED: AtomicBool = AtomicBool::new(false);

extern "C" fn earlier_handler(_: i32) {
    HANDLED.store(true, Ordering::SeqCst);
}

#[test]
fn the_handler_that_was_there_before_still_gets_other_signals() {
    let output = in_child(
        "the_handler_that_was_there_before_still_gets_other_signals",
        || {
            // SAFETY: all bytes zero is a valid `sigaction`.
            let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
            action.sa_sigaction = earlier_handler as extern "C" fn(i32) as libc::sighandler_t;
            // SAFETY: the handler only stores a flag.
            unsafe { libc::sigaction(libc::SIGSEGV, &action, std::ptr::null_mut()) };
            let _guard = install();
            overflow::install().expect("a second time does nothing");
            // SAFETY: no requirement.
            unsafe { libc::raise(libc::SIGSEGV) };
            assert!(HANDLED.load(Ordering::SeqCst));
        },
    );
    let output = output.expect("the parent process gets here");
    assert!(
        output.status.success(),
        "{}\n{}",
        output.status,
        stderr(&output)
    );
}

#[test]
fn an_ignored_signal_that_was_sent_stays_ignored() {
    let output = in_child("an_ignored_signal_that_was_sent_stays_ignored", || {
        // SAFETY: ignoring a signal has no requirement.
        unsafe { libc::signal(libc::SIGSEGV, libc::SIG_IGN) };
        let _guard = install();
        // SAFETY: no requirement.
        unsafe { libc::raise(libc::SIGSEGV) };
    });
    let output = output.expect("the parent process gets here");
    assert!(
        output.status.success(),
        "{}\n{}",
        output.status,
        stderr(&output)
    );
}

#[test]
fn the_guard_of_a_free_stack_is_not_an_overflow() {
    let output = in_child("the_guard_of_a_free_stack_is_not_an_overflow", || {
        let _guard = install();
        let stack = StackPool::global()
            .allocate(SizeClass::KIB_64)
            .expect("a stack");
        let below = stack.limit().wrapping_sub(8);
        drop(stack);
        // SAFETY: none; this is the fault that the test is about.
        unsafe { below.write_volatile(1) };
    });
    let output = output.expect("the parent process gets here");
    assert!(!output.status.success());
    assert!(
        !stderr(&output).contains("stack overflow on"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn every_slot_has_its_guard_over_its_whole_length() {
    // One child per mode checks both ends of many guards by asking the kernel, without faulting.
    for force in [false, true] {
        let pool = StackPool::new(PoolConfig::new().force_mprotect(force));
        let mut stacks: Vec<_> = (0..70)
            .map(|_| pool.allocate(SizeClass::KIB_64).expect("a stack"))
            .collect();
        // Guards stay through recycling and giving back.
        stacks.truncate(35);
        pool.trim();
        stacks.extend((0..35).map(|_| pool.allocate(SizeClass::KIB_64).expect("a stack")));
        for stack in &stacks {
            // SAFETY: the stack is ours, and nothing runs on it.
            unsafe { stack.limit().cast::<u64>().write(0) };
            assert!(readable(stack.limit()));
            assert!(!readable(stack.limit().wrapping_sub(8)));
            assert!(!readable(stack.limit().wrapping_sub(16 * 1024)));
        }
    }
}

/// Asks the kernel whether memory may be read, by letting it write from there into a pipe.
fn readable(address: *const u8) -> bool {
    let mut pipe = [0; 2];
    // SAFETY: the kernel checks the address; the pipe has room for eight bytes.
    unsafe {
        assert_eq!(libc::pipe(pipe.as_mut_ptr()), 0);
        let written = libc::syscall(libc::SYS_write, pipe[1], address, 8_usize);
        libc::close(pipe[0]);
        libc::close(pipe[1]);
        written == 8
    }
}

#[test]
fn a_thread_guard_restores_what_was_there() {
    fn current() -> (usize, i32) {
        // SAFETY: all bytes zero is a valid `stack_t`.
        let mut stack: libc::stack_t = unsafe { std::mem::zeroed() };
        // SAFETY: only asks.
        unsafe { libc::sigaltstack(std::ptr::null(), &mut stack) };
        (stack.ss_sp.addr(), stack.ss_flags)
    }
    std::thread::spawn(|| {
        let before = current();
        let outer = ThreadGuard::new().expect("an alternate stack");
        let between = current();
        assert_ne!(between, before);
        let inner = ThreadGuard::new().expect("an alternate stack");
        assert_ne!(current(), between);
        drop(inner);
        assert_eq!(current(), between);
        drop(outer);
        assert_eq!(current(), before);
    })
    .join()
    .expect("the thread ends well");
}
