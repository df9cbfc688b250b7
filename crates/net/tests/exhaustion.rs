//! Accepting without file descriptors. One test, alone in its process: it lowers the process's limit.

#![allow(
    clippy::disallowed_types,
    reason = "tests stand outside the models and use std's locks"
)]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use weftwork_net::{Exhaustion, TcpListener, TcpStream};
use weftwork_sched::Runtime;
use weftwork_testkit::with_watchdog;

/// Connections that wait to be accepted.
const CLIENTS: usize = 40;
/// Descriptors that are left to accept them with.
const ROOM: u64 = 10;

type Accepted = Arc<Mutex<Vec<TcpStream>>>;

/// The soft limit on descriptors; dropping it restores the former one.
struct Limit(libc::rlimit);

impl Limit {
    /// Leaves room for so many descriptors more than are open now.
    fn leave(room: u64) -> Limit {
        let mut old = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        // SAFETY: the pointer is to a value that lives until after the call.
        let result = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut old) };
        assert_eq!(result, 0);
        // The lowest free number: all below it are taken.
        // SAFETY: duplicates and closes a descriptor of our own.
        let free = unsafe {
            let free = libc::dup(0);
            libc::close(free);
            free
        };
        set_limit(libc::rlimit {
            rlim_cur: free as u64 + room,
            rlim_max: old.rlim_max,
        });
        Limit(old)
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        set_limit(self.0);
    }
}

fn set_limit(limit: libc::rlimit) {
    // SAFETY: the pointer is to a value that lives until after the call.
    let result = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    assert_eq!(result, 0);
}

fn wait_until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        thread::sleep(Duration::from_millis(1));
    }
}

fn connect_all(address: SocketAddr) -> Vec<std::net::TcpStream> {
    (0..CLIENTS)
        .map(|_| std::net::TcpStream::connect(address).expect("there is room in the backlog"))
        .collect()
}

/// The shortage comes, accepting waits; descriptors become free, accepting goes on; and no client
/// needs to do anything for that.
fn waiting_clients_are_accepted(accept: impl FnOnce(Arc<TcpListener>, Accepted) -> Waiter) {
    let listener = Arc::new(TcpListener::bind("127.0.0.1:0").expect("a free port"));
    assert_eq!(listener.exhaustion(), Exhaustion::Retry);
    let clients = connect_all(listener.local_addr().expect("bound"));
    let accepted = Accepted::default();
    let limit = Limit::leave(ROOM);
    let waiter = accept(Arc::clone(&listener), Arc::clone(&accepted));

    wait_until(|| listener.stats().exhausted >= 2);
    let before = accepted.lock().unwrap().len();
    assert!(0 < before && before <= ROOM as usize, "{before} accepted");

    let mut total = 0;
    wait_until(|| {
        total += accepted.lock().unwrap().drain(..).count();
        total == CLIENTS
    });
    waiter();
    let stats = listener.stats();
    assert_eq!((stats.accepted, stats.aborted), (CLIENTS as u64, 0));
    drop(limit);
    drop(clients);
}

/// Waits for the end of whatever accepts.
type Waiter = Box<dyn FnOnce()>;

fn accept_all(listener: &TcpListener, accepted: &Accepted) {
    for _ in 0..CLIENTS {
        let (stream, _) = listener.accept().expect("the shortage is waited out");
        accepted.lock().unwrap().push(stream);
    }
}

#[test]
fn accept_waits_out_a_shortage_of_descriptors() {
    with_watchdog(Duration::from_secs(60), || {
        // On an OS thread.
        waiting_clients_are_accepted(|listener, accepted| {
            let thread = thread::spawn(move || accept_all(&listener, &accepted));
            Box::new(|| thread.join().expect("no panic"))
        });
        let runtime = Runtime::builder().workers(1).build().expect("a runtime");
        // On a green thread.
        waiting_clients_are_accepted(|listener, accepted| {
            let task = runtime.spawn(move || accept_all(&listener, &accepted));
            Box::new(|| task.join().expect("no panic"))
        });
        // As a future.
        waiting_clients_are_accepted(|listener, accepted| {
            let task = runtime.spawn_async(async move {
                for _ in 0..CLIENTS {
                    let result = listener.accept_async().await;
                    let (stream, _) = result.expect("the shortage is waited out");
                    accepted.lock().unwrap().push(stream);
                }
            });
            Box::new(|| task.join().expect("no panic"))
        });
        the_other_outcomes_return_the_error();
    });
}

/// Where a shortage is not waited out, or not for ever, `accept` returns it.
fn the_other_outcomes_return_the_error() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let clients = connect_all(listener.local_addr().expect("bound"));
    let limit = Limit::leave(0);

    let error = listener.try_accept().expect_err("no descriptors");
    assert_eq!(error.raw_os_error(), Some(libc::EMFILE));

    let patience = Duration::from_millis(35);
    listener.set_accept_timeout(Some(patience)).expect("valid");
    let start = Instant::now();
    let error = listener.accept().expect_err("no descriptors");
    assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
    assert!(start.elapsed() >= patience, "gave up early");
    listener.set_accept_timeout(None).expect("valid");

    listener.set_nonblocking(true).expect("a socket");
    let error = listener.accept().expect_err("no descriptors");
    assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
    listener.set_nonblocking(false).expect("a socket");

    listener.set_exhaustion(Exhaustion::Fail);
    let error = listener.accept().expect_err("no descriptors");
    assert_eq!(error.raw_os_error(), Some(libc::EMFILE));

    drop(limit);
    for _ in &clients {
        listener
            .accept()
            .expect("descriptors are back, and no client was lost");
    }
}
