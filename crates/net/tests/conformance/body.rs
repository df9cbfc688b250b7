// Included once for each implementation, which brings `TcpListener`, `TcpStream`, `spawn`, `yield_now` and the kind of
// error that an expired timeout has. Each scenario returns what it observed, in words.

use std::io::{BufRead, BufReader, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::time::Duration as BodyDuration;

type Seen = Vec<String>;

/// A result as a comparable word: the value, or the kind of error, with timeouts made the same.
fn word<T: std::fmt::Debug>(result: std::io::Result<T>) -> String {
    match result {
        Ok(value) => format!("ok {value:?}"),
        Err(error) if error.kind() == TIMED_OUT => "error timed out".to_owned(),
        Err(error) => format!("error {:?}", error.kind()),
    }
}

/// As [`word`], where no timeout is involved.
fn plain<T: std::fmt::Debug>(result: std::io::Result<T>) -> String {
    match result {
        Ok(value) => format!("ok {value:?}"),
        Err(error) => format!("error {:?} {:?}", error.kind(), error.raw_os_error()),
    }
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    (listener, address)
}

/// Two ends of one connection.
fn pair() -> (TcpStream, TcpStream) {
    let (listener, address) = listener();
    let near = TcpStream::connect(address).expect("somebody listens");
    let (far, _) = listener.accept().expect("somebody connects");
    (near, far)
}

/// Makes closing send a reset instead of an orderly end.
fn reset_on_close(stream: &TcpStream) {
    let linger = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    // SAFETY: the option is one `linger`, passed with its size.
    let result = unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const linger).cast(),
            size_of::<libc::linger>() as libc::socklen_t,
        )
    };
    assert_eq!(result, 0);
}

/// Reads until `count` bytes are there or the stream ends.
fn read_count(stream: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    let mut filled = 0;
    while filled < count {
        match stream.read(&mut bytes[filled..]).expect("a live connection") {
            0 => break,
            more => filled += more,
        }
    }
    bytes.truncate(filled);
    bytes
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n * 31 + n / 251) as u8).collect()
}

pub(crate) fn echo_returns_every_byte() -> Seen {
    let (listener, address) = listener();
    let server = spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let mut buffer = [0; 100];
        let mut total = 0;
        loop {
            match stream.read(&mut buffer).expect("a live connection") {
                0 => return total,
                count => stream.write_all(&buffer[..count]).expect("a live connection"),
            }
            total += 1;
        }
    });
    let mut client = TcpStream::connect(address).expect("a server");
    let mut seen = Seen::new();
    for length in [1, 64, 99, 100, 101, 1000] {
        let sent = pattern(length);
        client.write_all(&sent).expect("a live connection");
        let received = read_count(&mut client, length);
        seen.push(format!("{length}: {}", received == sent));
    }
    drop(client);
    let rounds = server.join().expect("no panic");
    seen.push(format!("at least six reads: {}", rounds >= 6));
    seen
}

pub(crate) fn half_close_lets_the_other_direction_go_on() -> Seen {
    let (mut near, mut far) = pair();
    near.write_all(b"question").expect("a live connection");
    near.shutdown(Shutdown::Write).expect("connected");
    let mut question = String::new();
    far.read_to_string(&mut question).expect("an orderly end");
    far.write_all(b"answer").expect("this direction is open");
    drop(far);
    let mut answer = String::new();
    near.read_to_string(&mut answer).expect("an orderly end");
    vec![question, answer, plain(near.write(b"x"))]
}

pub(crate) fn a_reset_is_reported_to_reads() -> Seen {
    let (mut near, far) = pair();
    let reader = spawn(move || {
        let first = plain(near.read(&mut [0; 8]));
        vec![
            first,
            plain(near.read(&mut [0; 8])),
            plain(near.write(b"x")),
        ]
    });
    reset_on_close(&far);
    drop(far);
    reader.join().expect("no panic")
}

pub(crate) fn a_write_after_the_peer_left_fails_without_a_signal() -> Seen {
    let (mut near, far) = pair();
    drop(far);
    // The first write may succeed: the peer answers it with a reset.
    let error = loop {
        if let Err(error) = near.write(b"anybody there?") {
            break error.kind();
        }
    };
    // After the reset was reported, all further writes are broken pipes.
    vec![
        format!(
            "{}",
            matches!(error, ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
        ),
        plain(near.write(b"x")),
        plain(near.write_vectored(&[IoSlice::new(b"x")])),
    ]
}

/// An address where nobody listens.
fn closed_port() -> SocketAddr {
    let (listener, address) = listener();
    drop(listener);
    address
}

pub(crate) fn connecting_to_a_closed_port_is_refused() -> Seen {
    vec![plain(TcpStream::connect(closed_port()).map(drop))]
}

pub(crate) fn connect_tries_all_addresses() -> Seen {
    let (listener, address) = listener();
    let addresses = [closed_port(), closed_port(), address];
    let stream = TcpStream::connect(&addresses[..]).expect("the last one answers");
    let (_, peer) = listener.accept().expect("a client");
    vec![
        format!("{}", peer == stream.local_addr().expect("connected")),
        plain(TcpStream::connect(&addresses[..2]).map(drop)),
    ]
}

pub(crate) fn connect_without_addresses_is_invalid() -> Seen {
    let none: &[SocketAddr] = &[];
    vec![
        plain(TcpStream::connect(none).map(drop)),
        plain(TcpListener::bind(none).map(drop)),
    ]
}

pub(crate) fn text_that_is_no_address_is_invalid() -> Seen {
    vec![
        plain(TcpStream::connect("no port here").map(drop)),
        plain(TcpStream::connect("127.0.0.1:notaport").map(drop)),
        plain(TcpListener::bind("127.0.0.1:65536").map(drop)),
    ]
}

pub(crate) fn connect_timeout_connects_refuses_and_rejects_zero() -> Seen {
    let (listener, address) = listener();
    let long = BodyDuration::from_secs(60);
    let mut near = TcpStream::connect_timeout(&address, long).expect("somebody listens");
    let (mut far, _) = listener.accept().expect("a client");
    near.write_all(b"hi").expect("a live connection");
    let received = read_count(&mut far, 2);
    vec![
        format!("{received:?}"),
        plain(TcpStream::connect_timeout(&closed_port(), long).map(drop)),
        plain(TcpStream::connect_timeout(&address, BodyDuration::ZERO).map(drop)),
        // The stream blocks like any other, although it was connected without blocking.
        format!("{:?}", near.read_timeout().expect("a socket")),
    ]
}

pub(crate) fn a_read_timeout_expires_and_loses_nothing() -> Seen {
    let (mut near, mut far) = pair();
    let limit = BodyDuration::from_millis(30);
    near.set_read_timeout(Some(limit)).expect("valid");
    let start = std::time::Instant::now();
    let first = word(near.read(&mut [0; 8]));
    let early = start.elapsed() < limit;
    let peeked = word(near.peek(&mut [0; 8]));
    far.write_all(b"late").expect("a live connection");
    near.set_read_timeout(None).expect("valid");
    let received = read_count(&mut near, 4);
    vec![first, format!("early: {early}"), peeked, format!("{received:?}")]
}

pub(crate) fn a_write_timeout_expires_when_nobody_reads() -> Seen {
    let (mut near, mut far) = pair();
    near.set_write_timeout(Some(BodyDuration::from_millis(30)))
        .expect("valid");
    let block = pattern(1 << 16);
    let mut sent = 0;
    let error = loop {
        match near.write(&block) {
            Ok(count) => sent += count,
            Err(error) => break error,
        }
    };
    // All that was accepted arrives.
    drop(near);
    let mut received = Vec::new();
    far.read_to_end(&mut received).expect("an orderly end");
    vec![
        word::<()>(Err(error)),
        format!("{}", received.len() == sent && sent > 0),
    ]
}

pub(crate) fn a_timeout_of_zero_is_invalid() -> Seen {
    let (near, _far) = pair();
    vec![
        plain(near.set_read_timeout(Some(BodyDuration::ZERO))),
        plain(near.set_write_timeout(Some(BodyDuration::ZERO))),
        plain(near.read_timeout()),
    ]
}

pub(crate) fn timeouts_are_reported_as_set() -> Seen {
    let (near, _far) = pair();
    let mut seen = vec![plain(near.read_timeout()), plain(near.write_timeout())];
    near.set_read_timeout(Some(BodyDuration::from_secs(3))).expect("valid");
    near.set_write_timeout(Some(BodyDuration::from_millis(1500)))
        .expect("valid");
    seen.extend([plain(near.read_timeout()), plain(near.write_timeout())]);
    near.set_read_timeout(None).expect("valid");
    seen.extend([plain(near.read_timeout()), plain(near.write_timeout())]);
    seen
}

pub(crate) fn peek_leaves_the_bytes() -> Seen {
    let (mut near, mut far) = pair();
    let peeker = spawn(move || {
        let mut seen = Seen::new();
        let mut buffer = [0; 4];
        // The first waits; all see the same bytes, however many they ask for.
        for length in [1, 4, 1, 4] {
            loop {
                let count = near.peek(&mut buffer[..length]).expect("a live connection");
                if count == length {
                    break;
                }
            }
            seen.push(format!("{:?}", &buffer[..length]));
        }
        seen.push(format!("{:?}", read_count(&mut near, 4)));
        seen.push(plain(near.peek(&mut buffer)));
        seen
    });
    far.write_all(b"abcd").expect("a live connection");
    drop(far);
    peeker.join().expect("no panic")
}

pub(crate) fn vectored_transfers_keep_the_order() -> Seen {
    let (mut near, mut far) = pair();
    let parts = [
        IoSlice::new(b"one "),
        IoSlice::new(b""),
        IoSlice::new(b"two "),
        IoSlice::new(b"three"),
    ];
    let sent = plain(near.write_vectored(&parts));
    near.shutdown(Shutdown::Write).expect("connected");
    let (mut a, mut b, mut rest) = ([0; 3], [0; 6], [0; 100]);
    let received = plain(far.read_vectored(&mut [
        IoSliceMut::new(&mut a),
        IoSliceMut::new(&mut b),
        IoSliceMut::new(&mut rest),
    ]));
    let many = vec![IoSlice::new(b"x"); 3000];
    let (mut near, _far) = pair();
    vec![
        sent,
        received,
        format!("{a:?} {b:?} {:?}", &rest[..4]),
        plain(far.read_vectored(&mut [IoSliceMut::new(&mut rest)])),
        plain(far.read_vectored(&mut [])),
        plain(near.write_vectored(&[])),
        // More than the system takes at once: a short write.
        plain(near.write_vectored(&many)),
    ]
}

pub(crate) fn zero_length_transfers_return_at_once() -> Seen {
    let (mut near, mut far) = pair();
    // A read of nothing where nothing is there is not compared: std waits for a byte then.
    let mut seen = vec![plain(near.write(&[])), plain(near.write_vectored(&[]))];
    far.write_all(b"x").expect("a live connection");
    while near.peek(&mut [0; 1]).expect("a live connection") == 0 {}
    seen.push(plain(near.peek(&mut [])));
    seen.push(plain(near.read(&mut [])));
    seen.push(format!("{:?}", read_count(&mut near, 1)));
    drop(far);
    seen.push(plain(near.read(&mut [0; 1])));
    seen.push(plain(near.read(&mut [])));
    seen
}

pub(crate) fn shutdown_of_each_direction() -> Seen {
    let mut seen = Seen::new();
    for how in [Shutdown::Read, Shutdown::Write, Shutdown::Both] {
        let (mut near, mut far) = pair();
        seen.push(plain(near.shutdown(how)));
        seen.push(plain(near.shutdown(how)));
        if how != Shutdown::Write {
            seen.push(plain(near.read(&mut [0; 8])));
        }
        if how != Shutdown::Read {
            seen.push(plain(near.write(b"x")));
            seen.push(plain(far.read(&mut [0; 8])));
        }
    }
    seen
}

pub(crate) fn shutdown_wakes_a_parked_reader() -> Seen {
    let mut seen = Seen::new();
    for how in [Shutdown::Read, Shutdown::Both] {
        let (near, _far) = pair();
        let handle = near.try_clone().expect("a handle");
        let begun = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let begin = std::sync::Arc::clone(&begun);
        let reader = spawn(move || {
            begin.store(true, std::sync::atomic::Ordering::SeqCst);
            plain((&handle).read(&mut [0; 8]))
        });
        // Whether it waits already by the time of the shutdown does not change what it sees.
        while !begun.load(std::sync::atomic::Ordering::SeqCst) {
            yield_now();
        }
        near.shutdown(how).expect("connected");
        seen.push(reader.join().expect("no panic"));
    }
    seen
}

pub(crate) fn a_clone_shares_the_connection() -> Seen {
    let (mut near, mut far) = pair();
    let mut clone = near.try_clone().expect("a handle");
    near.write_all(b"one").expect("a live connection");
    clone.write_all(b"two").expect("a live connection");
    let received = read_count(&mut far, 6);
    let same = near.peer_addr().expect("connected") == clone.peer_addr().expect("connected");
    drop(near);
    // The connection lives as long as the last handle.
    clone.write_all(b"three").expect("a live connection");
    let more = read_count(&mut far, 5);
    clone.shutdown(Shutdown::Write).expect("connected");
    vec![
        String::from_utf8(received).expect("text"),
        format!("{same}"),
        String::from_utf8(more).expect("text"),
        plain(far.read(&mut [0; 1])),
    ]
}

pub(crate) fn reads_and_writes_at_the_same_time() -> Seen {
    const LENGTH: usize = 4 << 20;
    let (near, far) = pair();
    let ends = [near, far].map(|end| {
        let writer = end.try_clone().expect("a handle");
        let sent = spawn(move || {
            (&writer).write_all(&pattern(LENGTH)).expect("a live connection");
            writer.shutdown(Shutdown::Write).expect("connected");
        });
        let received = spawn(move || {
            let mut bytes = Vec::new();
            (&end).read_to_end(&mut bytes).expect("an orderly end");
            bytes == pattern(LENGTH)
        });
        (sent, received)
    });
    let mut seen = Seen::new();
    for (sent, received) in ends {
        sent.join().expect("no panic");
        seen.push(format!("{}", received.join().expect("no panic")));
    }
    seen
}

pub(crate) fn incoming_yields_connections_in_order() -> Seen {
    let (listener, address) = listener();
    let clients: Vec<TcpStream> = (0..5)
        .map(|_| TcpStream::connect(address).expect("somebody listens"))
        .collect();
    let accepted: Vec<SocketAddr> = listener
        .incoming()
        .take(5)
        .map(|stream| stream.expect("a client").peer_addr().expect("connected"))
        .collect();
    let connected: Vec<SocketAddr> = clients
        .iter()
        .map(|client| client.local_addr().expect("connected"))
        .collect();
    vec![format!("{}", accepted == connected)]
}

pub(crate) fn nonblocking_calls_return_would_block() -> Seen {
    let (listener, address) = listener();
    listener.set_nonblocking(true).expect("a socket");
    let mut seen = vec![plain(listener.accept().map(drop))];
    let mut near = TcpStream::connect(address).expect("somebody listens");
    listener.set_nonblocking(false).expect("a socket");
    let (mut far, _) = listener.accept().expect("a client");
    near.set_nonblocking(true).expect("a socket");
    seen.push(plain(near.read(&mut [0; 8])));
    seen.push(plain(near.peek(&mut [0; 8])));
    let block = [0; 1 << 16];
    let full = loop {
        if let Err(error) = near.write(&block) {
            break error;
        }
    };
    seen.push(plain::<()>(Err(full)));
    near.set_nonblocking(false).expect("a socket");
    let reader = spawn(move || plain(near.read(&mut [0; 8])));
    far.write_all(b"x").expect("a live connection");
    seen.push(reader.join().expect("no panic"));
    seen
}

pub(crate) fn addresses_agree_from_both_ends() -> Seen {
    let (listener, address) = listener();
    let near = TcpStream::connect(("127.0.0.1", address.port())).expect("somebody listens");
    let (far, peer) = listener.accept().expect("a client");
    vec![
        format!("{}", near.peer_addr().expect("connected") == address),
        format!("{}", far.local_addr().expect("connected") == address),
        format!("{}", near.local_addr().expect("connected") == peer),
        format!("{}", far.peer_addr().expect("connected") == peer),
        format!("{}", peer.ip()),
    ]
}

pub(crate) fn options_are_reported_as_set() -> Seen {
    let (listener, address) = listener();
    let near = TcpStream::connect(address).expect("somebody listens");
    let mut seen = vec![plain(near.nodelay()), plain(near.ttl())];
    near.set_nodelay(true).expect("a socket");
    near.set_ttl(42).expect("a socket");
    listener.set_ttl(43).expect("a socket");
    seen.extend([
        plain(near.nodelay()),
        plain(near.ttl()),
        plain(listener.ttl()),
        plain(near.set_ttl(0)),
        plain(near.take_error().map(|e| e.map(|e| e.kind()))),
        plain(listener.take_error().map(|e| e.map(|e| e.kind()))),
    ]);
    seen
}

pub(crate) fn a_large_transfer_survives_back_pressure() -> Seen {
    const LENGTH: usize = 24 << 20;
    let (mut near, mut far) = pair();
    let writer = spawn(move || near.write_all(&pattern(LENGTH)).map(|()| LENGTH));
    // In pieces that fit nothing, so that reads stop short everywhere.
    let mut buffer = vec![0; 70_001];
    let expected = pattern(LENGTH);
    let mut at = 0;
    let mut same = true;
    loop {
        match far.read(&mut buffer).expect("a live connection") {
            0 => break,
            count => {
                same &= buffer[..count] == expected[at..at + count];
                at += count;
            }
        }
    }
    vec![
        plain(writer.join().expect("no panic")),
        format!("{at} {same}"),
    ]
}

pub(crate) fn end_of_stream_repeats() -> Seen {
    let (mut near, mut far) = pair();
    far.write_all(b"bye").expect("a live connection");
    drop(far);
    let mut seen = vec![format!("{:?}", read_count(&mut near, 10))];
    for _ in 0..3 {
        seen.push(plain(near.read(&mut [0; 8])));
    }
    seen
}

pub(crate) fn binding_a_taken_address_fails() -> Seen {
    let (_listener, address) = listener();
    vec![
        plain(TcpListener::bind(address).map(drop)),
        // An address of no interface of this machine.
        plain(TcpListener::bind("192.0.2.1:0").map(drop)),
    ]
}

pub(crate) fn a_stream_moves_between_threads() -> Seen {
    let (mut near, mut far) = pair();
    let mut seen = Seen::new();
    for round in 0..4u8 {
        far.write_all(&[round]).expect("a live connection");
        let reader = spawn(move || {
            let got = read_count(&mut near, 1);
            (near, got)
        });
        let (back, got) = reader.join().expect("no panic");
        near = back;
        seen.push(format!("{got:?}"));
    }
    seen
}

pub(crate) fn conversions_keep_the_connection() -> Seen {
    let (listener, address) = listener();
    let listener = std::net::TcpListener::from(OwnedFd::from(listener));
    let listener = TcpListener::from(OwnedFd::from(listener));
    let near = TcpStream::connect(address).expect("somebody listens");
    near.set_read_timeout(Some(BodyDuration::from_secs(7))).expect("valid");
    let (far, _) = listener.accept().expect("a client");
    let fd = near.as_raw_fd();
    let mut seen = vec![format!("{}", near.as_fd().as_raw_fd() == fd)];
    // Out, through the hands of std, and back: the same descriptor, and settings that travel with it.
    let raw = near.into_raw_fd();
    seen.push(format!("{}", raw == fd));
    // SAFETY: `into_raw_fd` gave the descriptor away.
    let std = unsafe { std::net::TcpStream::from_raw_fd(raw) };
    seen.push(plain(std.read_timeout()));
    let flags = {
        // SAFETY: this command takes no argument.
        let flags = unsafe { libc::fcntl(raw, libc::F_GETFL) };
        flags & libc::O_NONBLOCK
    };
    seen.push(format!("nonblocking: {}", flags != 0));
    let mut near = TcpStream::from(OwnedFd::from(std));
    seen.push(plain(near.read_timeout()));
    (&far).write_all(b"through").expect("a live connection");
    seen.push(format!("{:?}", read_count(&mut near, 7)));
    // A non-blocking socket stays one.
    near.set_nonblocking(true).expect("a socket");
    let std = std::net::TcpStream::from(OwnedFd::from(near));
    let mut near = TcpStream::from(OwnedFd::from(std));
    seen.push(plain(near.read(&mut [0; 1])));
    seen
}

pub(crate) fn urgent_data_does_not_hide_what_follows() -> Seen {
    const ROUNDS: usize = 20;
    let (mut near, mut far) = pair();
    let reader = spawn(move || {
        let mut text = String::new();
        let mut buffer = [0; 64];
        // The urgent byte is not part of the stream, unless a later one has overtaken it.
        while text.len() < ROUNDS * 3 {
            let count = near.read(&mut buffer).expect("a live connection");
            assert_ne!(count, 0);
            let ordinary = buffer[..count].iter().filter(|&&byte| byte != b'!');
            text.extend(ordinary.map(|&byte| char::from(byte)));
            if text.ends_with('x') {
                near.write_all(b"k").expect("a live connection");
            }
        }
        text
    });
    for _ in 0..ROUNDS {
        far.write_all(b"x").expect("a live connection");
        read_count(&mut far, 1);
        // The reader waits again, or will. All of this before it looks: its read stops short in front of
        // the urgent byte, and no news comes for what is behind.
        far.write_all(b"a").expect("a live connection");
        // SAFETY: one byte is passed and one exists.
        let sent = unsafe { libc::send(far.as_raw_fd(), b"!".as_ptr().cast(), 1, libc::MSG_OOB) };
        assert_eq!(sent, 1);
        far.write_all(b"b").expect("a live connection");
    }
    vec![reader.join().expect("no panic")]
}

pub(crate) fn std_helpers_work_on_streams() -> Seen {
    let (near, mut far) = pair();
    let reader = spawn(move || {
        let lines: Vec<String> = BufReader::new(&near)
            .lines()
            .map(|line| line.expect("a live connection"))
            .collect();
        lines.join("|")
    });
    writeln!(far, "first {}", 1).expect("a live connection");
    let copied = std::io::copy(&mut &b"second\nthird"[..], &mut far);
    far.flush().expect("nothing to flush");
    drop(far);
    vec![plain(copied), reader.join().expect("no panic")]
}

pub(crate) fn ipv6_works_as_ipv4() -> Seen {
    let Ok(listener) = TcpListener::bind("[::1]:0") else {
        return vec!["this machine has no IPv6".to_owned()];
    };
    let address = listener.local_addr().expect("bound");
    let mut near = TcpStream::connect(address).expect("somebody listens");
    let (mut far, peer) = listener.accept().expect("a client");
    near.write_all(b"six").expect("a live connection");
    vec![
        format!("{:?}", read_count(&mut far, 3)),
        format!("{}", peer == near.local_addr().expect("connected")),
        format!("{}", peer.ip()),
    ]
}

pub(crate) fn debug_shows_the_addresses() -> Seen {
    let (near, far) = pair();
    let text = format!("{near:?}");
    let near_address = near.local_addr().expect("connected").to_string();
    let far_address = far.local_addr().expect("connected").to_string();
    vec![
        format!("{}", text.contains(&near_address)),
        format!("{}", text.contains(&far_address)),
        format!("{}", text.starts_with("TcpStream")),
    ]
}
