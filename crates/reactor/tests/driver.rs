//! The driver: registrations, readiness, waiters.

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use weftwork_reactor::{Direction, Driver, Events, Interest};

#[test]
fn an_event_makes_a_registration_ready_until_it_is_cleared() {
    let driver = Arc::new(Driver::new().unwrap());
    let (mut near, mut far) = UnixStream::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    let registration = driver.register(near.as_raw_fd(), Interest::DUPLEX).unwrap();
    let mut events = Events::with_capacity(16);
    driver.turn(&mut events, None).unwrap();
    assert!(registration.is_ready_hint(Direction::Write));
    assert!(!registration.is_ready_hint(Direction::Read));

    far.write_all(b"x").unwrap();
    driver.turn(&mut events, None).unwrap();
    assert!(registration.is_ready_hint(Direction::Read));
    let mut byte = [0; 1];
    registration
        .try_io(Direction::Read, || near.read(&mut byte))
        .unwrap();
    assert!(registration.is_ready_hint(Direction::Read));
    let again = registration.try_io(Direction::Read, || near.read(&mut byte));
    assert_eq!(again.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    assert!(!registration.is_ready_hint(Direction::Read));
    assert_eq!(
        driver
            .turn(&mut events, Some(Duration::ZERO))
            .unwrap()
            .events,
        0
    );
}
