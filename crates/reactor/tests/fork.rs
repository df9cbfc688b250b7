//! A forked child must not touch what it shares with its parent. Alone in its binary: a child of a
//! process with other test threads could inherit their locks.

mod support;

use std::io::{ErrorKind, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use support::{NOW, T};
use weftwork_reactor::{Direction, Driver, Events, Interest, Mode, Poller};

/// Runs `child` in a forked child, which reports whether all it asserted held.
fn in_child(child: impl FnOnce() -> bool) -> bool {
    // SAFETY: fork takes no pointers. The child runs on a copy of this thread, allocates (glibc's
    // allocator is usable after fork), and ends by _exit without unwinding into the test runner.
    match unsafe { libc::fork() } {
        -1 => panic!("{}", std::io::Error::last_os_error()),
        0 => {
            let held = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child));
            // SAFETY: _exit takes no pointers and does not return.
            unsafe { libc::_exit(i32::from(!matches!(held, Ok(true)))) }
        }
        pid => {
            let mut status = 0;
            // SAFETY: the status is a valid integer that outlives the call.
            support::check(unsafe { libc::waitpid(pid, &raw mut status, 0) }).unwrap();
            status == 0
        }
    }
}

#[test]
fn a_child_can_neither_use_the_reactor_nor_take_the_parents_registrations_away() {
    let poller = Poller::new().unwrap();
    let driver = Arc::new(Driver::new().unwrap());
    let (near, mut far) = UnixStream::pair().unwrap();
    let mut registration = Some(
        driver
            .register(near.as_raw_fd(), Interest::READABLE)
            .unwrap(),
    );
    let mut events = Events::with_capacity(4);

    let held = in_child(|| {
        let refused =
            |result: std::io::Result<()>| result.is_err_and(|e| e.kind() == ErrorKind::Unsupported);
        let add = poller.add(near.as_raw_fd(), T, Interest::READABLE, Mode::Edge);
        let wait = poller.wait(&mut events, NOW).map(drop);
        let register = driver
            .register(near.as_raw_fd(), Interest::READABLE)
            .map(drop);
        let turn = driver.turn(&mut events, NOW).map(drop);
        let deregister = registration.as_ref().unwrap().deregister();
        let all = refused(add)
            && refused(wait)
            && refused(register)
            && refused(turn)
            && refused(deregister)
            && refused(poller.delete(near.as_raw_fd()))
            && refused(poller.wake())
            && refused(driver.wake());
        drop(registration.take());
        // A reactor of its own works.
        let own = Poller::new().is_ok_and(|p| p.wait(&mut events, NOW).is_ok());
        all && own
    });
    assert!(
        held,
        "something worked in the child, or its own poller did not"
    );

    far.write_all(b"x").unwrap();
    assert_eq!(driver.turn(&mut events, None).unwrap().events, 1);
    assert!(registration.unwrap().is_ready_hint(Direction::Read));
}
