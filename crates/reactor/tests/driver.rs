//! The driver: readiness that is remembered, and waiters that are woken in turn.

mod support;

use std::cell::Cell;
use std::future::Future;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use support::{Bell, NOW, drain, fill, pipe, tcp_pair};
use weftwork_reactor::{Direction, Driver, Events, Interest, Readiness, Registration};
use weftwork_testkit::{iters, with_watchdog};

use Direction::{Read as R, Write as W};

/// A driver with one stream registered, its first writability consumed.
struct One {
    driver: Arc<Driver>,
    registration: Registration,
    near: UnixStream,
    far: UnixStream,
    events: Events,
}

impl One {
    fn new() -> One {
        let driver = Arc::new(Driver::new().unwrap());
        let (near, far) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        far.set_nonblocking(true).unwrap();
        let registration = driver.register(near.as_raw_fd(), Interest::DUPLEX).unwrap();
        let mut events = Events::with_capacity(16);
        assert_eq!(driver.turn(&mut events, NOW).unwrap().events, 1);
        One {
            driver,
            registration,
            near,
            far,
            events,
        }
    }

    fn turn(&mut self) -> usize {
        self.driver.turn(&mut self.events, NOW).unwrap().woken
    }

    fn send(&mut self) {
        self.far.write_all(b"x").unwrap();
    }

    /// Reads one byte as the recipe says.
    fn read(&self) -> std::io::Result<usize> {
        self.registration
            .try_io(R, || (&self.near).read(&mut [0; 1]))
    }
}

fn poll(future: &mut Readiness<'_>, waker: &Waker) -> bool {
    Pin::new(future)
        .poll(&mut Context::from_waker(waker))
        .is_ready()
}

#[test]
fn an_event_makes_a_direction_ready_until_an_attempt_would_block() {
    let mut one = One::new();
    assert!(one.registration.is_ready_hint(W));
    assert!(!one.registration.is_ready_hint(R));
    one.send();
    one.turn();
    assert!(one.registration.is_ready_hint(R));
    assert_eq!(one.read().unwrap(), 1);
    assert!(one.registration.is_ready_hint(R));
    assert_eq!(one.read().unwrap_err().kind(), ErrorKind::WouldBlock);
    assert!(!one.registration.is_ready_hint(R));
    assert_eq!(one.turn(), 0);
}

#[test]
fn news_between_the_attempt_and_the_clear_is_kept() {
    let mut one = One::new();
    one.send();
    one.turn();
    let seen = one.registration.ready(R);
    drain(&one.near);
    one.send();
    one.turn();
    one.registration.clear_ready(R, seen);
    assert!(one.registration.is_ready_hint(R));
    one.registration.clear_ready(R, one.registration.ready(R));
    assert!(!one.registration.is_ready_hint(R));
}

#[test]
fn news_of_one_direction_does_not_move_the_tick_of_the_other() {
    let mut one = One::new();
    let write = one.registration.ready(W);
    let read = one.registration.ready(R);
    // Filling and emptying the pipe brings write events and nothing to read.
    fill(&one.near);
    drain(&one.far);
    one.turn();
    assert_ne!(one.registration.ready(W).tick(), write.tick());
    assert_eq!(one.registration.ready(R).tick(), read.tick());
}

#[test]
fn closing_is_remembered_whatever_is_cleared() {
    let mut one = One::new();
    one.far.shutdown(std::net::Shutdown::Write).unwrap();
    one.turn();
    one.registration.clear_ready(R, one.registration.ready(R));
    let ready = one.registration.ready(R);
    assert!(ready.is_ready() && ready.is_closed() && !ready.is_shut_down());
    assert!(!one.registration.ready(W).is_closed());
    assert_eq!(one.read().unwrap(), 0);
}

#[test]
fn a_million_deliveries_and_clears_on_one_descriptor_never_hang() {
    with_watchdog(Duration::from_secs(300), || {
        let mut one = One::new();
        let (bell, waker) = Bell::new();
        let rounds = iters(1 << 20, (1 << 16) + 1, 1000);
        for round in 1..=rounds {
            let mut readable = one.registration.readiness(R);
            assert!(!poll(&mut readable, &waker));
            one.far.write_all(b"x").unwrap();
            let turn = one.driver.turn(&mut one.events, None).unwrap();
            assert_eq!((turn.woken, bell.rings()), (1, round));
            assert!(poll(&mut readable, &waker));
            drop(readable);
            assert_eq!(one.read().unwrap(), 1);
            assert_eq!(one.read().unwrap_err().kind(), ErrorKind::WouldBlock);
            if round % 2 == 0 {
                one.registration.clear_ready(W, one.registration.ready(W));
            }
        }
    });
}

#[test]
fn waiters_are_woken_first_come_first_served_one_per_event() {
    let mut one = One::new();
    let bells: Vec<_> = (0..3).map(|_| Bell::new()).collect();
    let rings = || bells.iter().map(|b| b.0.rings()).collect::<Vec<_>>();
    let registration = one
        .driver
        .register(one.far.as_raw_fd(), Interest::READABLE)
        .unwrap();
    let mut waiting: Vec<_> = (0..3).map(|_| registration.readiness(R)).collect();
    for (future, (_, waker)) in waiting.iter_mut().zip(&bells) {
        assert!(!poll(future, waker));
    }
    one.near.write_all(b"x").unwrap();
    assert_eq!(one.turn(), 1);
    assert_eq!(rings(), [1, 0, 0]);
    // The first one finds it ready and hands what may be left on.
    assert!(poll(&mut waiting[0], &bells[0].1));
    assert_eq!(rings(), [1, 1, 0]);
    // By then the first has taken everything: the second goes back to the head of the queue.
    let seen = registration.ready(R);
    drain(&one.far);
    registration.clear_ready(R, seen);
    assert!(!poll(&mut waiting[1], &bells[1].1));
    one.near.write_all(b"y").unwrap();
    assert_eq!(one.turn(), 1);
    assert_eq!(rings(), [1, 2, 0]);
}

#[test]
fn a_waiter_dropped_after_it_was_woken_passes_its_turn_on() {
    let mut one = One::new();
    let ((first_bell, first), (second_bell, second)) = (Bell::new(), Bell::new());
    one.far.write_all(b"").unwrap();
    let registration = one
        .driver
        .register(one.far.as_raw_fd(), Interest::READABLE)
        .unwrap();
    let mut a = registration.readiness(R);
    let mut b = registration.readiness(R);
    assert!(!poll(&mut a, &first) && !poll(&mut b, &second));
    one.near.write_all(b"x").unwrap();
    one.turn();
    assert_eq!((first_bell.rings(), second_bell.rings()), (1, 0));
    drop(a);
    assert_eq!(second_bell.rings(), 1);
    assert!(poll(&mut b, &second));
}

#[test]
fn a_waiter_dropped_before_it_was_woken_leaves_the_queue() {
    let mut one = One::new();
    let ((first_bell, first), (second_bell, second)) = (Bell::new(), Bell::new());
    let registration = one
        .driver
        .register(one.far.as_raw_fd(), Interest::READABLE)
        .unwrap();
    let mut a = registration.readiness(R);
    let mut b = registration.readiness(R);
    assert!(!poll(&mut a, &first) && !poll(&mut b, &second));
    assert_eq!(Arc::strong_count(&first_bell), 3);
    drop(a);
    assert_eq!(
        Arc::strong_count(&first_bell),
        2,
        "the waker is dropped at once"
    );
    one.near.write_all(b"x").unwrap();
    one.turn();
    assert_eq!((first_bell.rings(), second_bell.rings()), (0, 1));
}

#[test]
fn the_last_waker_of_a_waiter_is_the_one_called() {
    let mut one = One::new();
    let ((old_bell, old), (new_bell, new)) = (Bell::new(), Bell::new());
    let registration = one
        .driver
        .register(one.far.as_raw_fd(), Interest::READABLE)
        .unwrap();
    let mut future = registration.readiness(R);
    assert!(!poll(&mut future, &old) && !poll(&mut future, &new));
    one.near.write_all(b"x").unwrap();
    one.turn();
    assert_eq!((old_bell.rings(), new_bell.rings()), (0, 1));
}

#[test]
fn a_forgotten_caller_of_poll_ready_does_not_hold_up_the_others() {
    let mut one = One::new();
    let ((gone_bell, gone), (bell, waker)) = (Bell::new(), Bell::new());
    let registration = one
        .driver
        .register(one.far.as_raw_fd(), Interest::READABLE)
        .unwrap();
    let mut context = Context::from_waker(&gone);
    assert!(registration.poll_ready(R, &mut context).is_pending());
    let mut future = registration.readiness(R);
    assert!(!poll(&mut future, &waker));
    one.near.write_all(b"x").unwrap();
    one.turn();
    assert_eq!((gone_bell.rings(), bell.rings()), (1, 1));
}

#[test]
fn both_directions_of_one_descriptor_wait_at_once() {
    let mut one = One::new();
    fill(&one.near);
    one.registration.clear_ready(W, one.registration.ready(W));
    let ((read_bell, reader), (write_bell, writer)) = (Bell::new(), Bell::new());
    let mut readable = one.registration.readiness(R);
    let mut writable = one.registration.readiness(W);
    assert!(!poll(&mut readable, &reader) && !poll(&mut writable, &writer));
    (&one.far).write_all(b"x").unwrap();
    one.driver.turn(&mut one.events, NOW).unwrap();
    assert_eq!((read_bell.rings(), write_bell.rings()), (1, 0));
    drain(&one.far);
    one.driver.turn(&mut one.events, NOW).unwrap();
    assert_eq!((read_bell.rings(), write_bell.rings()), (1, 1));
}

#[test]
fn shutdown_wakes_both_directions_with_an_error() {
    let one = One::new();
    fill(&one.near);
    one.registration.clear_ready(W, one.registration.ready(W));
    let ((read_bell, reader), (write_bell, writer)) = (Bell::new(), Bell::new());
    let mut readable = one.registration.readiness(R);
    let mut writable = one.registration.readiness(W);
    assert!(!poll(&mut readable, &reader) && !poll(&mut writable, &writer));
    one.registration.shutdown_waiters();
    assert_eq!((read_bell.rings(), write_bell.rings()), (1, 1));
    for direction in [R, W] {
        let ready = one.registration.ready(direction);
        assert!(ready.is_shut_down());
        assert_eq!(
            ready.check().unwrap_err().kind(),
            ErrorKind::ConnectionAborted
        );
    }
    assert!(poll(&mut readable, &reader) && poll(&mut writable, &writer));
    assert_eq!(one.driver.stats().registrations(), 1);
}

#[test]
fn deregistering_wakes_waiters_and_frees_the_descriptor_at_once() {
    let one = One::new();
    let (bell, waker) = Bell::new();
    let mut context = Context::from_waker(&waker);
    assert!(one.registration.poll_ready(R, &mut context).is_pending());
    one.registration.deregister().unwrap();
    assert_eq!(bell.rings(), 1);
    assert!(one.registration.ready(R).is_shut_down());
    let again = one
        .driver
        .register(one.near.as_raw_fd(), Interest::DUPLEX)
        .unwrap();
    assert_ne!(again.token().index(), one.registration.token().index());
    assert!(!again.ready(R).is_shut_down());
}

#[test]
fn a_writer_parked_on_a_full_pipe_learns_that_the_reader_left() {
    let driver = Arc::new(Driver::new().unwrap());
    let (reader, mut writer) = pipe();
    let registration = driver
        .register(writer.as_raw_fd(), Interest::WRITABLE)
        .unwrap();
    let mut events = Events::with_capacity(4);
    driver.turn(&mut events, NOW).unwrap();
    fill(&writer);
    registration.clear_ready(W, registration.ready(W));
    let (bell, waker) = Bell::new();
    let mut writable = registration.readiness(W);
    assert!(!poll(&mut writable, &waker));
    drop(reader);
    driver.turn(&mut events, NOW).unwrap();
    assert_eq!(bell.rings(), 1);
    assert!(poll(&mut writable, &waker));
    let error = registration.try_io(W, || writer.write(b"x")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
}

#[test]
fn a_reader_of_a_refused_udp_socket_wakes_once_and_then_sleeps() {
    with_watchdog(Duration::from_secs(60), || {
        let driver = Arc::new(Driver::new().unwrap());
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let nobody = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(nobody.local_addr().unwrap()).unwrap();
        socket.set_nonblocking(true).unwrap();
        drop(nobody);
        let both = Interest::READABLE | Interest::WRITABLE;
        let registration = driver.register(socket.as_raw_fd(), both).unwrap();
        let mut events = Events::with_capacity(4);
        driver.turn(&mut events, NOW).unwrap();
        let (bell, waker) = Bell::new();
        let mut readable = registration.readiness(R);
        assert!(!poll(&mut readable, &waker));
        socket.send(b"anybody?").unwrap();
        while bell.rings() == 0 {
            driver.turn(&mut events, None).unwrap();
        }
        assert!(poll(&mut readable, &waker));
        let recv = || {
            registration
                .try_io(R, || socket.recv(&mut [0; 8]))
                .unwrap_err()
                .kind()
        };
        assert_eq!(recv(), ErrorKind::ConnectionRefused);
        assert_eq!(recv(), ErrorKind::WouldBlock);
        assert!(registration.ready(R).is_error());
        assert!(
            !poll(&mut readable, &waker),
            "an error that was taken keeps the reader awake"
        );
        assert_eq!(driver.turn(&mut events, NOW).unwrap().events, 0);
    });
}

#[test]
fn io_tries_first_and_waits_only_when_it_would_block() {
    let mut one = One::new();
    let tries = Cell::new(0);
    let (bell, waker) = Bell::new();
    let mut context = Context::from_waker(&waker);
    {
        let read = one.registration.io(R, || {
            tries.set(tries.get() + 1);
            (&one.near).read(&mut [0; 8])
        });
        let mut read = std::pin::pin!(read);
        assert!(read.as_mut().poll(&mut context).is_pending());
        assert_eq!(tries.get(), 1);
        (&one.far).write_all(b"abc").unwrap();
        one.driver.turn(&mut one.events, NOW).unwrap();
        assert_eq!(bell.rings(), 1);
        match read.as_mut().poll(&mut context) {
            Poll::Ready(n) => assert_eq!((n.unwrap(), tries.get()), (3, 2)),
            Poll::Pending => panic!("data is there"),
        }
    }
    one.send();
    let read = one
        .registration
        .poll_io(R, &mut context, || (&one.near).read(&mut [0; 8]));
    assert!(
        matches!(read, Poll::Ready(Ok(1))),
        "no event is needed for what is there"
    );
}

#[test]
fn io_ends_with_an_error_when_waiting_is_shut_down() {
    let one = One::new();
    let (_, waker) = Bell::new();
    let mut context = Context::from_waker(&waker);
    let mut read = std::pin::pin!(one.registration.io(R, || (&one.near).read(&mut [0; 8])));
    assert!(read.as_mut().poll(&mut context).is_pending());
    one.registration.shutdown_waiters();
    match read.as_mut().poll(&mut context) {
        Poll::Ready(result) => {
            assert_eq!(result.unwrap_err().kind(), ErrorKind::ConnectionAborted);
        }
        Poll::Pending => panic!("waiting was shut down"),
    }
}

#[test]
fn a_listener_wakes_one_acceptor_after_the_other() {
    with_watchdog(Duration::from_secs(60), || {
        let driver = Arc::new(Driver::new().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let registration = driver
            .register(listener.as_raw_fd(), Interest::READABLE)
            .unwrap();
        let bells: Vec<_> = (0..3).map(|_| Bell::new()).collect();
        let mut acceptors: Vec<_> = bells
            .iter()
            .map(|_| Some(Box::pin(registration.io(R, || listener.accept()))))
            .collect();
        let address = listener.local_addr().unwrap();
        let mut served = 0;
        let mut clients = Vec::new();
        let mut events = Events::with_capacity(4);
        let mut polled = [false; 3];
        while served < 3 {
            for (n, (acceptor, (bell, waker))) in acceptors.iter_mut().zip(&bells).enumerate() {
                if polled[n] && bell.rings() == 0 {
                    continue;
                }
                if let Some(future) = acceptor {
                    polled[n] = true;
                    let mut context = Context::from_waker(waker);
                    if future.as_mut().poll(&mut context).is_ready() {
                        *acceptor = None;
                        served += 1;
                    }
                }
            }
            if clients.is_empty() {
                // All three arrive before the driver looks: one edge for three connections.
                clients.extend((0..3).map(|_| std::net::TcpStream::connect(address).unwrap()));
                driver.turn(&mut events, None).unwrap();
            }
        }
    });
}

#[test]
fn a_waker_that_panics_does_not_keep_the_others_from_being_called() {
    struct Panics;
    impl std::task::Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("a waker of the user");
        }
    }
    let mut one = One::new();
    let other = one
        .driver
        .register(one.far.as_raw_fd(), Interest::DUPLEX)
        .unwrap();
    one.turn();
    let (bell, waker) = Bell::new();
    let panics = Waker::from(Arc::new(Panics));
    assert!(
        one.registration
            .poll_ready(R, &mut Context::from_waker(&panics))
            .is_pending()
    );
    assert!(
        other
            .poll_ready(R, &mut Context::from_waker(&waker))
            .is_pending()
    );
    one.near.write_all(b"x").unwrap();
    one.far.write_all(b"x").unwrap();
    let turn = std::panic::AssertUnwindSafe(|| one.driver.turn(&mut one.events, NOW));
    assert!(std::panic::catch_unwind(turn).is_err());
    assert_eq!(bell.rings(), 1);
    assert_eq!(one.turn(), 0);
}

/// Waits on an OS thread, as a foreign executor would.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Thread(std::thread::Thread);
    impl std::task::Wake for Thread {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Thread(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

#[test]
fn data_flows_both_ways_at_once_while_helpers_take_turns_beside_the_owner() {
    const BYTES: usize = 1 << 24;
    with_watchdog(Duration::from_secs(300), || {
        let bytes = iters(BYTES, BYTES >> 2, 1 << 16);
        let driver = Arc::new(Driver::new().unwrap());
        let (near, far) = tcp_pair();
        let done = std::sync::atomic::AtomicUsize::new(0);
        let near_registration = driver.register(near.as_raw_fd(), Interest::DUPLEX).unwrap();
        let far_registration = driver.register(far.as_raw_fd(), Interest::DUPLEX).unwrap();
        let ends = [(&near, &near_registration), (&far, &far_registration)];
        let finish = || {
            done.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            driver.wake().unwrap();
        };
        let is_done = || done.load(std::sync::atomic::Ordering::SeqCst) == 4;
        std::thread::scope(|scope| {
            for (stream, registration) in ends {
                scope.spawn(move || {
                    let mut sent = 0;
                    while sent < bytes {
                        let chunk = [sent as u8; 8192];
                        let rest = chunk.len().min(bytes - sent);
                        let write = || (&*stream).write(&chunk[..rest]);
                        sent += block_on(registration.io(W, write)).unwrap();
                    }
                    finish();
                });
                scope.spawn(move || {
                    let mut received = 0;
                    let mut buffer = [0; 8192];
                    while received < bytes {
                        let read = || (&*stream).read(&mut buffer);
                        received += block_on(registration.io(R, read)).unwrap();
                    }
                    finish();
                });
            }
            scope.spawn(|| {
                let mut events = Events::with_capacity(4);
                while !is_done() {
                    driver.turn(&mut events, NOW).unwrap();
                    std::thread::yield_now();
                }
            });
            let mut events = Events::with_capacity(4);
            while !is_done() {
                driver.turn(&mut events, None).unwrap();
            }
        });
    });
}

#[test]
fn closing_the_driver_ends_every_wait_and_refuses_registrations() {
    with_watchdog(Duration::from_secs(60), || {
        let One {
            driver,
            registration,
            near,
            far,
            ..
        } = One::new();
        let (bell, waker) = Bell::new();
        let mut readable = registration.readiness(R);
        let mut context = Context::from_waker(&waker);
        assert!(Pin::new(&mut readable).poll(&mut context).is_pending());
        driver.close();
        assert_eq!(bell.rings(), 1);
        let Poll::Ready(ready) = Pin::new(&mut readable).poll(&mut context) else {
            panic!("the wait goes on");
        };
        assert!(ready.is_shut_down());
        assert_eq!(
            ready.check().unwrap_err().kind(),
            ErrorKind::ConnectionAborted
        );
        let refused = driver.register(far.as_raw_fd(), Interest::DUPLEX);
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::ConnectionAborted);
        driver.close();
        // The descriptor is free for another driver once its registration is gone, or before.
        drop(readable);
        drop(registration);
        let other = Arc::new(Driver::new().unwrap());
        drop(other.register(near.as_raw_fd(), Interest::DUPLEX).unwrap());
    });
}
