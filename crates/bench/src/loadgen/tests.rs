//! The load generator against servers that behave, and servers that do not.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use weftwork_testkit::with_watchdog;

use super::connection::Generator;
use super::{Mode, Options, Outcome};

/// Serves each connection on a thread of its own, until the test process ends.
fn server(serve: fn(TcpStream)) -> SocketAddrV4 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(stream));
        }
    });
    SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)
}

/// Sends back what it reads, after `change` has seen it; `change` says whether to go on.
fn echo(mut stream: TcpStream, mut change: impl FnMut(&mut [u8]) -> bool) {
    let mut buffer = [0; 1024];
    while let Ok(read) = stream.read(&mut buffer) {
        if read == 0 || !change(&mut buffer[..read]) || stream.write_all(&buffer[..read]).is_err() {
            return;
        }
    }
}

fn options(addr: SocketAddrV4, mode: Mode) -> Options {
    Options {
        addrs: vec![addr],
        conns: 20,
        size: 64,
        depth: 3,
        secs: 1,
        warmup: 0,
        srcs: 2,
        inflight: 7,
        mode,
        server_pid: Some(std::process::id()),
        peer: "test".to_owned(),
        workers: 1,
    }
}

fn run(options: &Options) -> (Generator, Outcome) {
    with_watchdog(Duration::from_secs(120), || {
        let mut generator = Generator::new(options).unwrap();
        let outcome = generator.run().unwrap();
        (generator, outcome)
    })
}

fn faults(generator: &Generator) -> [u64; 3] {
    [
        generator.faults.lost,
        generator.faults.refused,
        generator.faults.corrupt,
    ]
}

#[test]
fn an_honest_server_has_no_faults_in_any_mode() {
    for mode in [Mode::Echo, Mode::Idle, Mode::Churn] {
        let (generator, outcome) = run(&options(server(|stream| echo(stream, |_| true)), mode));
        assert_eq!(faults(&generator), [0; 3], "{mode:?}");
        assert_eq!(outcome.open, 20, "{mode:?}");
        assert!(outcome.finished >= 20, "{mode:?}: {}", outcome.finished);
        assert!(!generator.latency.is_empty() && !generator.connect_latency.is_empty());
    }
}

#[test]
fn messages_larger_than_any_buffer_come_back_whole() {
    let addr = server(|stream| echo(stream, |_| true));
    let large = Options {
        size: 300_001,
        ..options(addr, Mode::Echo)
    };
    let (generator, outcome) = run(&large);
    assert_eq!(faults(&generator), [0; 3]);
    assert!(outcome.finished > 0);
}

#[test]
fn a_changed_byte_is_found() {
    fn change_a_byte(bytes: &mut [u8]) -> bool {
        bytes[0] ^= 1;
        true
    }
    let addr = server(|stream| echo(stream, change_a_byte));
    let (generator, _) = run(&options(addr, Mode::Echo));
    assert!(generator.faults.corrupt > 0);
}

#[test]
fn connections_that_the_server_closes_are_lost_and_end_the_run() {
    // The first message, by which a connection counts as open, and one more.
    let addr = server(|stream| {
        let mut left = 2_u8;
        echo(stream, move |_| {
            left -= 1;
            left > 0
        });
    });
    let (generator, outcome) = run(&Options {
        secs: 3600,
        ..options(addr, Mode::Echo)
    });
    assert_eq!(faults(&generator), [20, 0, 0]);
    assert_eq!(outcome.open, 0);
}

#[test]
fn a_port_on_which_nobody_listens_refuses_every_connection() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let addr = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
    let (generator, outcome) = run(&options(addr, Mode::Echo));
    assert_eq!(faults(&generator), [0, 20, 0]);
    assert_eq!((outcome.open, outcome.finished), (0, 0));
}
