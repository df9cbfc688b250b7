//! Sockets under the scheduler: who waits, who goes on meanwhile, and what becomes of a wait that ends early.

#![allow(
    clippy::disallowed_types,
    reason = "tests stand outside the models and use std's locks"
)]

use std::future::Future;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use weftwork_core::block_on;
use weftwork_net::{Shutdown, TcpListener, TcpSocket, TcpStream};
use weftwork_sched::{Runtime, scope, sleep, spawn, spawn_async, yield_now};
use weftwork_testkit::with_watchdog;

fn runtime(workers: usize) -> Runtime {
    Runtime::builder()
        .workers(workers)
        .build()
        .expect("a runtime")
}

/// Runs `body` as a green thread, under a watchdog.
fn hosted(workers: usize, body: impl FnOnce() + Send + 'static) {
    with_watchdog(Duration::from_secs(60), || runtime(workers).run(body));
}

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let near = TcpStream::connect(listener.local_addr().expect("bound")).expect("a listener");
    let (far, _) = listener.accept().expect("a client");
    (near, far)
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n * 31 + n / 251) as u8).collect()
}

#[test]
fn one_that_always_finds_something_to_read_keeps_no_other_reader_waiting() {
    hosted(1, || {
        let (waiting, mut for_waiting) = pair();
        let (mut near, mut far) = pair();
        let reader = spawn(move || (&waiting).read_exact(&mut [0]));
        // It waits by the time that this sleep is over: it was started before.
        sleep(Duration::from_millis(1));
        for_waiting.write_all(&[0]).expect("room for a byte");
        let mut rounds = 0;
        while !reader.is_finished() {
            near.write_all(&[0]).expect("room for a byte");
            // It has come already: this never parks.
            far.read_exact(&mut [0]).expect("a byte");
            rounds += 1;
        }
        // A turn are 128 calls, here 64 rounds, which take more than 100 us. A few turns are for luck.
        assert!(rounds <= 64 * 8, "{rounds} rounds");
    });
}

#[test]
fn a_read_parks_the_green_thread_and_not_its_worker() {
    hosted(1, || {
        let (near, mut far) = pair();
        let reader = spawn(move || {
            let mut byte = [0];
            (&near).read_exact(&mut byte).map(|()| byte[0])
        });
        // The only worker is free to do this while the reader waits.
        let mut turns = 0;
        spawn(|| sleep(Duration::from_millis(5)))
            .join()
            .expect("no panic");
        while turns < 100 {
            yield_now();
            turns += 1;
        }
        assert!(!reader.is_finished());
        far.write_all(&[7]).expect("a live connection");
        assert_eq!(reader.join().expect("no panic").expect("a byte"), 7);
    });
}

#[test]
fn readers_of_one_stream_are_served_one_by_one() {
    hosted(2, || {
        const READERS: usize = 8;
        let (near, mut far) = pair();
        let near = Arc::new(near);
        let got = Arc::new(Mutex::new(Vec::new()));
        let readers: Vec<_> = (0..READERS)
            .map(|_| {
                let (near, got) = (Arc::clone(&near), Arc::clone(&got));
                spawn(move || {
                    let mut byte = [0];
                    assert_eq!((&*near).read(&mut byte).expect("a live connection"), 1);
                    got.lock().unwrap().push(byte[0]);
                })
            })
            .collect();
        for byte in 0..READERS as u8 {
            far.write_all(&[byte]).expect("a live connection");
            sleep(Duration::from_millis(1));
        }
        for reader in readers {
            reader.join().expect("no panic");
        }
        let mut got = got.lock().unwrap().clone();
        got.sort_unstable();
        assert_eq!(got, (0..READERS as u8).collect::<Vec<_>>());
    });
}

#[test]
fn one_message_wakes_all_its_readers_in_turn() {
    hosted(1, || {
        // One event, bytes for everybody: each reader hands on what it leaves over.
        let (near, mut far) = pair();
        let near = Arc::new(near);
        let readers: Vec<_> = (0..5)
            .map(|_| {
                let near = Arc::clone(&near);
                spawn(move || (&*near).read(&mut [0]).expect("a live connection"))
            })
            .collect();
        sleep(Duration::from_millis(5));
        far.write_all(b"fives").expect("a live connection");
        for reader in readers {
            assert_eq!(reader.join().expect("no panic"), 1);
        }
    });
}

#[test]
fn a_cancelled_reader_unwinds_and_takes_nothing_with_it() {
    hosted(1, || {
        let (near, mut far) = pair();
        let near = Arc::new(near);
        let dropped = Arc::new(AtomicUsize::new(0));
        struct OnDrop(Arc<AtomicUsize>);
        impl Drop for OnDrop {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        let reader = {
            let (near, dropped) = (Arc::clone(&near), OnDrop(Arc::clone(&dropped)));
            spawn(move || {
                let _dropped = dropped;
                (&*near).read(&mut [0; 8]).expect("never comes")
            })
        };
        sleep(Duration::from_millis(5));
        reader.cancel();
        assert!(reader.join().expect_err("it was cancelled").is_cancelled());
        assert_eq!(dropped.load(Ordering::SeqCst), 1);
        far.write_all(b"whole").expect("a live connection");
        let mut bytes = [0; 5];
        (&*near).read_exact(&mut bytes).expect("a live connection");
        assert_eq!(&bytes, b"whole");
    });
}

#[test]
fn a_cancelled_reader_passes_its_turn_on() {
    hosted(1, || {
        for _ in 0..200 {
            let (near, mut far) = pair();
            let near = Arc::new(near);
            let readers: Vec<_> = (0..2)
                .map(|_| {
                    let near = Arc::clone(&near);
                    spawn(move || (&*near).read(&mut [0]).expect("a live connection"))
                })
                .collect();
            for _ in 0..20 {
                yield_now();
            }
            far.write_all(b"x").expect("a live connection");
            // Whether the first was woken already or not, the second must not sleep on.
            let mut readers = readers.into_iter();
            let (first, second) = (readers.next().expect("two"), readers.next().expect("two"));
            first.cancel();
            let first = first.join();
            if first.is_ok() {
                far.write_all(b"y").expect("a live connection");
            }
            assert_eq!(second.join().expect("no panic"), 1);
        }
    });
}

#[test]
fn both_directions_and_a_shutdown_at_once() {
    hosted(2, || {
        const LENGTH: usize = 16 << 20;
        let (near, far) = pair();
        scope(|s| {
            for end in [&near, &far] {
                s.spawn(move || {
                    let mut end = end;
                    end.write_all(&pattern(LENGTH)).expect("a live connection");
                    end.shutdown(Shutdown::Write).expect("connected");
                });
                s.spawn(move || {
                    let mut bytes = Vec::new();
                    let mut end = end;
                    end.read_to_end(&mut bytes).expect("an orderly end");
                    assert!(
                        bytes == pattern(LENGTH),
                        "the bytes arrive whole and in order"
                    );
                });
            }
        });
        // And with both directions full and nobody reading, a shutdown ends everybody's wait.
        let (near, far) = pair();
        let waiting = AtomicUsize::new(0);
        scope(|s| {
            s.spawn(|| {
                waiting.fetch_add(1, Ordering::SeqCst);
                assert_eq!((&near).read(&mut [0; 8]).expect("the end"), 0);
            });
            s.spawn(|| {
                waiting.fetch_add(1, Ordering::SeqCst);
                let error = (&near)
                    .write_all(&pattern(64 << 20))
                    .expect_err("shut down");
                assert_eq!(error.kind(), ErrorKind::BrokenPipe);
            });
            while waiting.load(Ordering::SeqCst) < 2 {
                sleep(Duration::from_millis(1));
            }
            sleep(Duration::from_millis(5));
            near.shutdown(Shutdown::Both).expect("connected");
        });
        drop(far);
    });
}

#[test]
fn a_green_thread_and_an_os_thread_share_a_stream() {
    with_watchdog(Duration::from_secs(60), || {
        const LENGTH: usize = 4 << 20;
        let runtime = runtime(1);
        let (near, far) = pair();
        let (near, far) = (Arc::new(near), Arc::new(far));
        let writer = {
            let near = Arc::clone(&near);
            thread::spawn(move || (&*near).write_all(&pattern(LENGTH)))
        };
        let echo = {
            let far = Arc::clone(&far);
            runtime.spawn(move || {
                let mut buffer = [0; 10_000];
                let mut left = LENGTH;
                while left > 0 {
                    let count = (&*far).read(&mut buffer).expect("a live connection");
                    (&*far)
                        .write_all(&buffer[..count])
                        .expect("a live connection");
                    left -= count;
                }
            })
        };
        let mut bytes = vec![0; LENGTH];
        (&*near).read_exact(&mut bytes).expect("a live connection");
        assert!(bytes == pattern(LENGTH));
        writer.join().expect("no panic").expect("a live connection");
        echo.join().expect("no panic");
        // The other way about: what a green thread registered, an OS thread waits on.
        let reader = {
            let far = Arc::clone(&far);
            thread::spawn(move || (&*far).read(&mut [0; 8]).expect("a live connection"))
        };
        runtime
            .run(move || (&*near).write_all(b"abc"))
            .expect("a live connection");
        assert_eq!(reader.join().expect("no panic"), 3);
    });
}

/// A listener whose backlog is full, so that a connection to it is neither made nor refused.
fn full_backlog() -> (TcpListener, Vec<std::net::TcpStream>, SocketAddr) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket
        .bind("127.0.0.1:0".parse().expect("valid"))
        .expect("a free port");
    let listener = socket.listen(0).expect("bound");
    let address = listener.local_addr().expect("bound");
    let mut fillers = Vec::new();
    while fillers.len() < 16 {
        let limit = Duration::from_millis(300);
        match std::net::TcpStream::connect_timeout(&address, limit) {
            Ok(stream) => fillers.push(stream),
            Err(_) => break,
        }
    }
    (listener, fillers, address)
}

#[test]
fn connect_timeout_expires_on_every_kind_of_thread() {
    with_watchdog(Duration::from_secs(60), || {
        let (_listener, _fillers, address) = full_backlog();
        let attempt = move || {
            let limit = Duration::from_millis(50);
            let start = std::time::Instant::now();
            let error = TcpStream::connect_timeout(&address, limit).expect_err("nobody accepts");
            assert_eq!(error.kind(), ErrorKind::TimedOut);
            assert!(start.elapsed() >= limit, "gave up early");
        };
        attempt();
        runtime(1).run(attempt);
    });
}

#[test]
fn names_are_looked_up_beside_the_worker() {
    hosted(1, || {
        let listener = TcpListener::bind("localhost:0").expect("localhost is known");
        let port = listener.local_addr().expect("bound").port();
        let near = TcpStream::connect(("localhost", port)).expect("a listener");
        let text = format!("localhost:{port}");
        let other = TcpStream::connect(&*text).expect("a listener");
        for stream in [near, other] {
            assert_eq!(stream.peer_addr().expect("connected").port(), port);
        }
        let error = TcpStream::connect("no-such-host.invalid:1").expect_err("reserved");
        assert!(
            error.raw_os_error().is_none(),
            "the resolver's error: {error}"
        );
    });
}

#[test]
fn accept_on_green_threads_spreads_no_connection_twice() {
    hosted(2, || {
        let listener = Arc::new(TcpListener::bind("127.0.0.1:0").expect("a free port"));
        let address = listener.local_addr().expect("bound");
        let acceptors: Vec<_> = (0..4)
            .map(|_| {
                let listener = Arc::clone(&listener);
                spawn(move || {
                    (0..25)
                        .map(|_| listener.accept().expect("a client").1)
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        let clients: Vec<_> = (0..100)
            .map(|_| TcpStream::connect(address).expect("a listener"))
            .collect();
        let mut accepted: Vec<_> = acceptors
            .into_iter()
            .flat_map(|acceptor| acceptor.join().expect("no panic"))
            .collect();
        let mut connected: Vec<_> = clients
            .iter()
            .map(|client| client.local_addr().expect("connected"))
            .collect();
        accepted.sort_unstable();
        connected.sort_unstable();
        assert_eq!(accepted, connected);
        assert_eq!(listener.stats().accepted, 100);
    });
}

#[test]
fn an_accept_timeout_expires() {
    let attempt = || {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let limit = Duration::from_millis(20);
        let error = listener
            .set_accept_timeout(Some(Duration::ZERO))
            .expect_err("zero");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        listener.set_accept_timeout(Some(limit)).expect("valid");
        assert_eq!(listener.accept_timeout(), Some(limit));
        let start = std::time::Instant::now();
        let error = listener.accept().map(drop).expect_err("nobody connects");
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(start.elapsed() >= limit, "gave up early");
    };
    with_watchdog(Duration::from_secs(60), attempt);
    hosted(1, attempt);
}

#[test]
fn dropping_the_last_handle_closes_the_descriptor_and_its_registration() {
    hosted(1, || {
        let count = || std::fs::read_dir("/proc/self/fd").expect("proc").count();
        // Whatever the first use sets up stays.
        drop(pair());
        let before = count();
        for _ in 0..50 {
            let (near, mut far) = pair();
            let clone = near.try_clone().expect("a handle");
            let reader = spawn(move || (&clone).read(&mut [0; 8]).expect("a live connection"));
            yield_now();
            far.write_all(b"x").expect("a live connection");
            assert_eq!(reader.join().expect("no panic"), 1);
            drop(near);
            // With the last handle gone, the other end sees the end.
            assert_eq!(far.read(&mut [0; 8]).expect("an orderly end"), 0);
        }
        assert_eq!(count(), before);
    });
}

#[test]
fn a_parked_stream_converts_to_std_and_back() {
    hosted(1, || {
        let (near, mut far) = pair();
        // Registers it.
        near.set_read_timeout(Some(Duration::from_millis(1)))
            .expect("valid");
        (&near).read(&mut [0; 8]).expect_err("nothing is there");
        let clone = near.try_clone().expect("a handle");
        // Shared: std gets a duplicate.
        let mut duplicate = std::net::TcpStream::from(clone);
        duplicate
            .write_all(b"from a duplicate")
            .expect("a live connection");
        let mut bytes = [0; 16];
        far.read_exact(&mut bytes).expect("a live connection");
        drop(duplicate);
        // Alone: the descriptor itself; then ours again, registered anew.
        let std = std::net::TcpStream::from(near);
        let near = TcpStream::from(std);
        assert!(near.read_timeout().expect("a socket").is_some());
        near.set_read_timeout(None).expect("valid");
        let reader = spawn(move || (&near).read(&mut [0; 8]).expect("a live connection"));
        yield_now();
        far.write_all(b"again").expect("a live connection");
        assert_eq!(reader.join().expect("no panic"), 5);
    });
}

#[test]
fn futures_echo_and_end() {
    hosted(2, || {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let server = spawn_async(async move {
            let (stream, _) = listener.accept_async().await.expect("a client");
            let mut buffer = [0; 1000];
            loop {
                match stream
                    .read_async(&mut buffer)
                    .await
                    .expect("a live connection")
                {
                    0 => return,
                    count => stream
                        .write_all_async(&buffer[..count])
                        .await
                        .expect("alive"),
                }
            }
        });
        let client = spawn_async(async move {
            let stream = TcpStream::connect_async(address).await.expect("a listener");
            for length in [1, 999, 1000, 1001, 5000] {
                let sent = pattern(length);
                stream
                    .write_all_async(&sent)
                    .await
                    .expect("a live connection");
                let mut received = vec![0; length];
                stream
                    .read_exact_async(&mut received)
                    .await
                    .expect("a live connection");
                assert!(sent == received);
            }
            assert_eq!(stream.read_async(&mut []).await.expect("nothing asked"), 0);
        });
        client.join().expect("no panic");
        server.join().expect("no panic");
    });
}

#[test]
fn a_large_transfer_between_futures_survives_back_pressure() {
    hosted(1, || {
        const LENGTH: usize = 24 << 20;
        let (near, far) = pair();
        let writer = spawn_async(async move {
            near.write_all_async(&pattern(LENGTH))
                .await
                .expect("a live connection");
        });
        let reader = spawn_async(async move {
            let mut bytes = vec![0; LENGTH];
            far.read_exact_async(&mut bytes)
                .await
                .expect("a live connection");
            assert!(bytes == pattern(LENGTH));
            assert_eq!(far.read_async(&mut [0]).await.expect("an orderly end"), 0);
            let error = far.read_exact_async(&mut [0]).await.expect_err("the end");
            assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        });
        writer.join().expect("no panic");
        reader.join().expect("no panic");
    });
}

#[test]
fn a_refused_connection_is_refused_to_futures() {
    hosted(1, || {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        drop(listener);
        let result = block_on(TcpStream::connect_async(address));
        assert_eq!(
            result.expect_err("closed").kind(),
            ErrorKind::ConnectionRefused
        );
        let none: &[SocketAddr] = &[];
        let result = block_on(TcpStream::connect_async(none));
        assert_eq!(result.expect_err("nowhere").kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn readiness_is_awaited_and_used_by_the_try_forms() {
    hosted(1, || {
        let (near, mut far) = pair();
        let error = near.try_read(&mut [0; 8]).expect_err("empty");
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        let reader = spawn_async(async move {
            let mut total = 0;
            while total < 5 {
                near.readable().await.expect("a runtime");
                match near.try_read(&mut [0; 3]) {
                    Ok(count) => total += count,
                    Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                }
            }
            near.writable().await.expect("a runtime");
            assert_eq!(near.try_write(b"done").expect("room"), 4);
        });
        sleep(Duration::from_millis(5));
        far.write_all(b"hello").expect("a live connection");
        let mut bytes = [0; 4];
        far.read_exact(&mut bytes).expect("a live connection");
        assert_eq!(&bytes, b"done");
        reader.join().expect("no panic");

        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        assert_eq!(
            listener.try_accept().expect_err("nobody").kind(),
            ErrorKind::WouldBlock
        );
        let address = listener.local_addr().expect("bound");
        let acceptor = spawn_async(async move {
            loop {
                listener.acceptable().await.expect("a runtime");
                match listener.try_accept() {
                    Ok((_, peer)) => return peer,
                    Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                }
            }
        });
        let client = TcpStream::connect(address).expect("a listener");
        let local = client.local_addr().expect("connected");
        assert_eq!(acceptor.join().expect("no panic"), local);
    });
}

#[test]
fn a_dropped_read_has_received_nothing() {
    hosted(1, || {
        let (near, mut far) = pair();
        let mut context = Context::from_waker(Waker::noop());
        {
            let mut buffer = [0; 8];
            let mut read = pin!(near.read_async(&mut buffer));
            assert!(read.as_mut().poll(&mut context).is_pending());
            far.write_all(b"kept").expect("a live connection");
            sleep(Duration::from_millis(5));
        }
        let mut bytes = [0; 4];
        (&near).read_exact(&mut bytes).expect("a live connection");
        assert_eq!(&bytes, b"kept");
    });
}

#[test]
fn without_a_runtime_a_future_that_must_wait_says_so() {
    with_watchdog(Duration::from_secs(60), || {
        let (near, mut far) = pair();
        let error = block_on(near.read_async(&mut [0; 8])).expect_err("no runtime");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        let error = block_on(near.readable()).expect_err("no runtime");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        // What need not wait works anywhere.
        far.write_all(b"x").expect("a live connection");
        while near.peek(&mut [0]).expect("a live connection") == 0 {}
        assert_eq!(block_on(near.read_async(&mut [0; 8])).expect("a byte"), 1);
        assert_eq!(block_on(near.write_async(b"y")).expect("room"), 1);

        // A foreign executor that has entered a runtime can wait.
        let runtime = runtime(1);
        let _entered = runtime.enter();
        let writer = thread::spawn(move || {
            thread::sleep(Duration::from_millis(10));
            far.write_all(b"later").expect("a live connection");
            far
        });
        assert_eq!(block_on(near.read_async(&mut [0; 8])).expect("bytes"), 5);
        writer.join().expect("no panic");
    });
}

#[test]
fn a_nonblocking_stream_never_parks() {
    hosted(1, || {
        let (near, mut far) = pair();
        near.set_nonblocking(true).expect("a socket");
        let error = (&near).read(&mut [0; 8]).expect_err("empty");
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        let mut context = Context::from_waker(Waker::noop());
        let mut buffer = [0; 8];
        let polled = pin!(near.read_async(&mut buffer)).poll(&mut context);
        let Poll::Ready(Err(error)) = polled else {
            panic!("a non-blocking stream does not wait, in futures either: {polled:?}");
        };
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        far.write_all(b"x").expect("a live connection");
        near.set_nonblocking(false).expect("a socket");
        assert_eq!((&near).read(&mut [0; 8]).expect("a byte"), 1);
    });
}

#[test]
fn a_future_that_blocks_parks_itself_alone() {
    hosted(1, || {
        let (mut near, mut far) = pair();
        let blocking = spawn_async(async move {
            // No runtime has to like this; here only the task waits.
            let mut byte = [0];
            near.read_exact(&mut byte).map(|()| byte[0])
        });
        let other = spawn_async(async { 1 });
        assert_eq!(other.join().expect("no panic"), 1);
        far.write_all(&[9]).expect("a live connection");
        assert_eq!(blocking.join().expect("no panic").expect("a byte"), 9);
    });
}
