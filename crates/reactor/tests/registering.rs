//! Adding, changing and deleting descriptors: errors, identity and lifetime.

mod support;

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use support::{NOW, T, all, pipe};
use weftwork_reactor::{Direction, Driver, Events, Interest, Mode, Poller, Token};
use weftwork_testkit::with_watchdog;

fn poller() -> Poller {
    Poller::new().unwrap()
}

/// The number of descriptors this process has open that lead to `what`.
fn open_descriptors(what: &str) -> usize {
    let names = std::fs::read_dir("/proc/self/fd").unwrap();
    let leads = |path: std::path::PathBuf| {
        std::fs::read_link(path).is_ok_and(|to| to.to_string_lossy().contains(what))
    };
    names
        .filter(|name| leads(name.as_ref().unwrap().path()))
        .count()
}

#[test]
fn files_that_are_always_ready_are_refused() {
    let poller = poller();
    let file = File::open("/proc/self/exe").unwrap();
    let null = File::open("/dev/null").unwrap();
    for fd in [file.as_raw_fd(), null.as_raw_fd()] {
        let error = poller
            .add(fd, T, Interest::READABLE, Mode::Edge)
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    }
}

#[test]
fn a_number_that_is_no_descriptor_is_refused() {
    let poller = poller();
    let error = poller
        .add(-1, T, Interest::READABLE, Mode::Edge)
        .unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EBADF));
    assert_eq!(
        poller.delete(-1).unwrap_err().raw_os_error(),
        Some(libc::EBADF)
    );
}

#[test]
fn adding_twice_says_already_exists_and_keeps_the_first() {
    with_watchdog(Duration::from_secs(60), || {
        let poller = poller();
        let (reader, mut writer) = pipe();
        let fd = reader.as_raw_fd();
        poller.add(fd, T, Interest::READABLE, Mode::Edge).unwrap();
        let other = Token::new(8, 0);
        let error = poller
            .add(fd, other, Interest::READABLE, Mode::Edge)
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        writer.write_all(b"x").unwrap();
        let mut events = Events::with_capacity(4);
        poller.wait(&mut events, None).unwrap();
        assert_eq!(events.iter().next().unwrap().token, T);
    });
}

#[test]
fn changing_or_deleting_what_was_never_added_says_not_found() {
    let poller = poller();
    let (reader, _writer) = pipe();
    let fd = reader.as_raw_fd();
    let error = poller
        .modify(fd, T, Interest::READABLE, Mode::Edge)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(poller.delete(fd).unwrap_err().kind(), ErrorKind::NotFound);
    poller.add(fd, T, Interest::READABLE, Mode::Edge).unwrap();
    poller.delete(fd).unwrap();
    assert_eq!(poller.delete(fd).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn the_reserved_token_is_refused() {
    let poller = poller();
    let (reader, _writer) = pipe();
    let fd = reader.as_raw_fd();
    let error = poller
        .add(fd, Token::RESERVED, Interest::READABLE, Mode::Edge)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    poller.add(fd, T, Interest::READABLE, Mode::Edge).unwrap();
    let error = poller
        .modify(fd, Token::RESERVED, Interest::READABLE, Mode::Edge)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_poller_in_itself_a_cycle_and_too_deep_a_nesting_are_refused() {
    let pollers: Vec<Poller> = (0..8).map(|_| poller()).collect();
    let nest = |outer: &Poller, inner: &Poller| {
        outer.add(inner.as_raw_fd(), T, Interest::READABLE, Mode::Level)
    };
    let itself = nest(&pollers[0], &pollers[0]).unwrap_err();
    assert_eq!(itself.kind(), ErrorKind::InvalidInput);
    nest(&pollers[1], &pollers[0]).unwrap();
    let cycle = nest(&pollers[0], &pollers[1]).unwrap_err();
    assert_eq!(cycle.raw_os_error(), Some(libc::ELOOP));
    let depth = (1..7).position(|n| nest(&pollers[n + 1], &pollers[n]).is_err());
    assert!(depth.is_some(), "a nesting without limit was accepted");
}

#[test]
fn an_outer_poller_sees_that_an_inner_one_has_events() {
    with_watchdog(Duration::from_secs(60), || {
        let (inner, outer) = (poller(), poller());
        let (reader, mut writer) = pipe();
        inner
            .add(reader.as_raw_fd(), T, Interest::READABLE, Mode::Edge)
            .unwrap();
        outer
            .add(
                inner.as_raw_fd(),
                Token::new(1, 1),
                Interest::READABLE,
                Mode::Level,
            )
            .unwrap();
        let mut events = Events::with_capacity(4);
        assert_eq!(outer.wait(&mut events, NOW).unwrap(), 0);
        writer.write_all(b"x").unwrap();
        assert_eq!(outer.wait(&mut events, None).unwrap(), 1);
        assert_eq!(inner.wait(&mut events, NOW).unwrap(), 1);
        assert_eq!(outer.wait(&mut events, NOW).unwrap(), 0);
    });
}

#[test]
fn a_small_buffer_loses_no_event() {
    with_watchdog(Duration::from_secs(60), || {
        let poller = poller();
        let pipes: Vec<_> = (0..10).map(|_| pipe()).collect();
        for (n, (reader, writer)) in pipes.iter().enumerate() {
            let token = Token::new(n as u32, 0);
            poller
                .add(reader.as_raw_fd(), token, Interest::READABLE, Mode::Edge)
                .unwrap();
            (&*writer).write_all(b"x").unwrap();
        }
        let mut events = Events::with_capacity(0);
        assert_eq!(events.capacity(), 1);
        let mut seen = Vec::new();
        while seen.len() < 10 {
            poller.wake().unwrap(); // The wake event competes for the one place.
            poller.wait(&mut events, None).unwrap();
            seen.extend(events.iter().map(|e| e.token.index()));
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..10).collect::<Vec<_>>());
    });
}

#[test]
fn descriptors_are_added_while_another_thread_waits() {
    with_watchdog(Duration::from_secs(60), || {
        let poller = poller();
        let (reader, mut writer) = pipe();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                let mut events = Events::with_capacity(4);
                while poller.wait(&mut events, None).unwrap() == 0 {}
                events.iter().next().unwrap().token
            });
            poller
                .add(reader.as_raw_fd(), T, Interest::READABLE, Mode::Edge)
                .unwrap();
            writer.write_all(b"x").unwrap();
            assert_eq!(waiting.join().unwrap(), T);
        });
    });
}

#[test]
fn the_pollers_own_descriptors_are_closed_on_exec_and_with_it() {
    let poller = poller();
    // SAFETY: F_GETFD takes no pointers.
    let flags = unsafe { libc::fcntl(poller.as_raw_fd(), libc::F_GETFD) };
    assert_ne!(flags & libc::FD_CLOEXEC, 0);
    for _ in 0..2000 {
        Poller::new().unwrap();
    }
    assert!(
        open_descriptors("eventpoll") < 1000,
        "pollers leak descriptors"
    );
}

#[test]
fn a_driver_refuses_what_its_poller_refuses_and_reuses_the_place() {
    let driver = Arc::new(Driver::new().unwrap());
    let file = File::open("/proc/self/exe").unwrap();
    for _ in 0..1000 {
        let error = driver
            .register(file.as_raw_fd(), Interest::READABLE)
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    }
    let (reader, _writer) = pipe();
    let registration = driver
        .register(reader.as_raw_fd(), Interest::READABLE)
        .unwrap();
    assert_eq!(registration.token().index(), 0);
    let again = driver
        .register(reader.as_raw_fd(), Interest::READABLE)
        .unwrap_err();
    assert_eq!(again.kind(), ErrorKind::AlreadyExists);
    assert_eq!(driver.stats().registrations(), 1);
}

#[test]
fn an_event_for_an_ended_registration_is_dropped_and_counted() {
    let driver = Arc::new(Driver::new().unwrap());
    let (near, mut far) = UnixStream::pair().unwrap();
    let first = driver
        .register(near.as_raw_fd(), Interest::READABLE)
        .unwrap();
    let token = first.token();
    drop(first);
    // The kernel's entry of a former tenant, as if it had been on its way when the tenant left.
    let poller = Poller::new().unwrap();
    poller
        .add(near.as_raw_fd(), token, Interest::READABLE, Mode::Edge)
        .unwrap();
    let driver = Arc::new(Driver::with_poller(poller));
    let (other, _far) = UnixStream::pair().unwrap();
    let mut now = driver
        .register(other.as_raw_fd(), Interest::READABLE)
        .unwrap();
    assert_eq!(now.token(), token);
    drop(now);
    now = driver
        .register(other.as_raw_fd(), Interest::READABLE)
        .unwrap();
    assert_eq!(now.token().index(), token.index());
    assert_ne!(now.token().generation(), token.generation());

    far.write_all(b"x").unwrap();
    let mut events = Events::with_capacity(4);
    let turn = driver.turn(&mut events, NOW).unwrap();
    assert_eq!((turn.events, turn.stale), (1, 1));
    assert!(!now.is_ready_hint(Direction::Read));
    assert_eq!(driver.stats().stale_events, 1);
}

/// A waker that ends a registration, opens a descriptor under the same number and registers that.
struct Replace {
    driver: Arc<Driver>,
    victim: weftwork_core::sync::Mutex<Option<(weftwork_reactor::Registration, OwnedFd)>>,
    heir: weftwork_core::sync::Mutex<Option<(weftwork_reactor::Registration, OwnedFd)>>,
    partner: weftwork_core::sync::Mutex<Option<OwnedFd>>,
}

impl std::task::Wake for Replace {
    fn wake(self: Arc<Self>) {
        let Some((registration, fd)) = self.victim.lock().take() else {
            return;
        };
        let (index, number) = (registration.token().index(), fd.as_raw_fd());
        drop(registration);
        let (near, far) = UnixStream::pair().unwrap();
        // SAFETY: dup3 takes no pointers; the number that it replaces is `fd`'s, which goes on
        // owning it.
        let moved = unsafe { libc::dup3(near.as_raw_fd(), number, libc::O_CLOEXEC) };
        assert_eq!(support::check(moved).unwrap(), number);
        let heir = self.driver.register(number, Interest::DUPLEX).unwrap();
        assert_eq!(heir.token().index(), index);
        *self.heir.lock() = Some((heir, fd));
        *self.partner.lock() = Some(far.into());
    }
}

#[test]
fn the_heir_of_a_number_gets_no_event_of_its_predecessor_in_the_same_batch() {
    with_watchdog(Duration::from_secs(60), || {
        let driver = Arc::new(Driver::new().unwrap());
        let (first, mut to_first) = UnixStream::pair().unwrap();
        let (second, mut to_second) = UnixStream::pair().unwrap();
        let watcher = driver
            .register(first.as_raw_fd(), Interest::READABLE)
            .unwrap();
        let victim = driver
            .register(second.as_raw_fd(), Interest::READABLE)
            .unwrap();
        let replace = Arc::new(Replace {
            driver: Arc::clone(&driver),
            victim: weftwork_core::sync::Mutex::new(Some((victim, second.into()))),
            heir: weftwork_core::sync::Mutex::new(None),
            partner: weftwork_core::sync::Mutex::new(None),
        });
        let waker = std::task::Waker::from(Arc::clone(&replace));
        let mut context = std::task::Context::from_waker(&waker);
        assert!(
            watcher
                .poll_ready(Direction::Read, &mut context)
                .is_pending()
        );
        to_first.write_all(b"x").unwrap();
        to_second.write_all(b"x").unwrap();
        let mut events = Events::with_capacity(4);
        assert_eq!(driver.turn(&mut events, None).unwrap().events, 2);
        let heir = replace.heir.lock().take().unwrap();
        assert!(!heir.0.is_ready_hint(Direction::Read));
        driver.turn(&mut events, NOW).unwrap();
        assert!(!heir.0.is_ready_hint(Direction::Read));
        assert!(heir.0.is_ready_hint(Direction::Write));
    });
}

#[test]
fn generations_tell_ten_thousand_tenants_of_one_place_apart() {
    let driver = Arc::new(Driver::new().unwrap());
    let (near, _far) = UnixStream::pair().unwrap();
    let mut tokens = std::collections::HashSet::new();
    for _ in 0..10_000 {
        let registration = driver.register(near.as_raw_fd(), all()).unwrap();
        assert_eq!(registration.token().index(), 0);
        assert!(tokens.insert(registration.token()));
    }
    let stats = driver.stats();
    assert_eq!((stats.registered, stats.deregistered), (10_000, 10_000));
}

#[test]
fn a_descriptor_closed_before_its_registration_costs_one_rebuild_and_no_more() {
    with_watchdog(Duration::from_secs(60), || {
        let driver = Arc::new(Driver::new().unwrap());
        let (near, mut far) = UnixStream::pair().unwrap();
        let copy = near.try_clone().unwrap();
        let registration = driver
            .register(near.as_raw_fd(), Interest::READABLE)
            .unwrap();
        let (other, mut to_other) = UnixStream::pair().unwrap();
        let healthy = driver
            .register(other.as_raw_fd(), Interest::READABLE)
            .unwrap();
        drop(near);
        // The number is gone, the open file is not: nothing can take it out of the set any more.
        assert!(registration.deregister().is_err());
        assert!(registration.deregister().is_ok(), "it ended all the same");

        let mut events = Events::with_capacity(4);
        far.write_all(b"noise").unwrap();
        assert_eq!(driver.turn(&mut events, NOW).unwrap().stale, 1);
        assert_eq!(driver.stats().rebuilds, 1);
        for _ in 0..100 {
            far.write_all(b"noise").unwrap();
            assert_eq!(driver.turn(&mut events, NOW).unwrap().events, 0);
        }
        assert_eq!(driver.stats().rebuilds, 1);
        drop(copy);

        // The others, and the wake, work on.
        to_other.write_all(b"x").unwrap();
        assert_eq!(driver.turn(&mut events, None).unwrap().events, 1);
        assert!(healthy.is_ready_hint(Direction::Read));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| driver.turn(&mut Events::with_capacity(1), None).unwrap());
            while !waiting.is_finished() {
                driver.wake().unwrap();
                std::thread::yield_now();
            }
        });
    });
}

#[test]
fn a_rebuild_by_a_helper_reaches_the_owner_asleep_in_the_old_set() {
    with_watchdog(Duration::from_secs(60), || {
        let driver = Arc::new(Driver::new().unwrap());
        let (near, mut far) = UnixStream::pair().unwrap();
        let _copy = near.try_clone().unwrap();
        let registration = driver
            .register(near.as_raw_fd(), Interest::READABLE)
            .unwrap();
        let (other, mut to_other) = UnixStream::pair().unwrap();
        // Nobody reads: a thread that writes into a full socket would hang although the owner is done.
        to_other.set_nonblocking(true).unwrap();
        std::thread::scope(|scope| {
            let owner = scope.spawn(|| {
                let mut events = Events::with_capacity(4);
                let mut turns = 0;
                while driver.stats().rebuilds == 0 || events.is_empty() {
                    driver.turn(&mut events, None).unwrap();
                    turns += 1;
                }
                turns
            });
            drop(near);
            drop(registration);
            // Whoever receives the noise, owner or helper, rebuilds.
            let mut events = Events::with_capacity(4);
            far.write_all(b"noise").unwrap();
            while driver.stats().rebuilds == 0 {
                driver.turn(&mut events, NOW).unwrap();
            }
            let _late = driver
                .register(other.as_raw_fd(), Interest::READABLE)
                .unwrap();
            while !owner.is_finished() {
                match to_other.write_all(b"x") {
                    Err(full) if full.kind() == ErrorKind::WouldBlock => {}
                    written => written.unwrap(),
                }
                std::thread::yield_now();
            }
            assert!(owner.join().unwrap() > 0);
        });
    });
}

#[test]
fn the_last_handle_goes_while_others_wake_register_and_turn() {
    with_watchdog(Duration::from_secs(120), || {
        let before = open_descriptors("eventfd");
        for _ in 0..weftwork_testkit::iters(200, 50, 5) {
            let driver = Arc::new(Driver::new().unwrap());
            std::thread::scope(|scope| {
                for thread in 0..4 {
                    let driver = Arc::clone(&driver);
                    scope.spawn(move || {
                        let mut events = Events::with_capacity(4);
                        for _ in 0..20 {
                            let (near, mut far) = UnixStream::pair().unwrap();
                            let registration =
                                driver.register(near.as_raw_fd(), Interest::DUPLEX).unwrap();
                            far.write_all(b"x").unwrap();
                            driver.wake().unwrap();
                            driver.turn(&mut events, NOW).unwrap();
                            if thread % 2 == 0 {
                                registration.deregister().unwrap();
                            }
                        }
                    });
                }
                drop(driver);
            });
        }
        // Other tests of this binary hold a few of their own.
        assert!(
            open_descriptors("eventfd") < before + 50,
            "drivers leak descriptors"
        );
    });
}
