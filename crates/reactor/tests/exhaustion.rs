//! A process without descriptors to spare. Alone in its binary: the limit is the process's.

mod support;

use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use support::NOW;
use weftwork_reactor::{Direction, Driver, Events, Interest, Poller};
use weftwork_testkit::with_watchdog;

/// Lowers the number of descriptors this process may open.
fn limit_descriptors(limit: libc::rlim_t) {
    let mut limits = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the struct is valid and outlives both calls.
    unsafe {
        support::check(libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limits)).unwrap();
        limits.rlim_cur = limit;
        support::check(libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limits)).unwrap();
    }
}

/// Opens files until no descriptor is left.
fn hog() -> Vec<File> {
    let mut files = Vec::new();
    loop {
        match File::open("/dev/null") {
            Ok(file) => files.push(file),
            Err(e) => {
                assert_eq!(e.raw_os_error(), Some(libc::EMFILE));
                return files;
            }
        }
    }
}

#[test]
fn without_descriptors_a_poller_is_refused_and_a_listener_stays_ready() {
    with_watchdog(Duration::from_secs(60), || {
        limit_descriptors(100);
        let driver = Arc::new(Driver::new().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();

        let mut hogged = hog();
        for spare in 0..2 {
            // None is left, or one: not enough for the set and its wake descriptor.
            let error = Poller::new().unwrap_err();
            assert_eq!(
                error.raw_os_error(),
                Some(libc::EMFILE),
                "with {spare} to spare"
            );
            hogged.pop();
        }
        Poller::new().unwrap();
        hogged.extend(hog());

        // Registering needs none.
        let registration = driver
            .register(listener.as_raw_fd(), Interest::READABLE)
            .unwrap();
        let mut events = Events::with_capacity(4);
        driver.turn(&mut events, None).unwrap();
        let accept = || registration.try_io(Direction::Read, || listener.accept());
        for _ in 0..3 {
            assert_eq!(accept().unwrap_err().raw_os_error(), Some(libc::EMFILE));
            // No edge will come for the connection in the backlog: readiness must not be forgotten.
            assert_eq!(driver.turn(&mut events, NOW).unwrap().events, 0);
            assert!(registration.is_ready_hint(Direction::Read));
        }
        drop(hogged);
        accept().unwrap();
    });
}
