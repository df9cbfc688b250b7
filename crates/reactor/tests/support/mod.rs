//! What the tests of the reactor share: small sockets, and events in a form that reads at a glance.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses its own part"
)]

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};
use std::time::Duration;

use weftwork_reactor::{Event, Events, Interest, Mode, Poller, Token};

/// Everything that can be asked for.
pub fn all() -> Interest {
    Interest::DUPLEX | Interest::PRIORITY
}

pub const T: Token = Token::new(7, 0);
pub const NOW: Option<Duration> = Some(Duration::ZERO);

/// A poller with one descriptor, edge-triggered for everything.
pub struct Watch {
    pub poller: Poller,
    pub events: Events,
}

impl Watch {
    pub fn on(fd: &impl AsFd) -> Watch {
        Watch::with(fd, all(), Mode::Edge)
    }

    pub fn with(fd: &impl AsFd, interest: Interest, mode: Mode) -> Watch {
        let poller = Poller::new().unwrap();
        poller
            .add(fd.as_fd().as_raw_fd(), T, interest, mode)
            .unwrap();
        Watch {
            poller,
            events: Events::with_capacity(16),
        }
    }

    /// Waits for the descriptor's next event.
    pub fn next(&mut self) -> String {
        while self.poller.wait(&mut self.events, None).unwrap() == 0 {}
        assert_eq!(self.events.len(), 1, "{:?}", self.events);
        let event = self.events.iter().next().unwrap();
        assert_eq!(event.token, T);
        spell(event)
    }

    /// Waits for events until one has all of `flags`; they may come one by one.
    pub fn until(&mut self, flags: &str) -> String {
        loop {
            let event = self.next();
            if flags
                .split(' ')
                .all(|flag| event.split(' ').any(|f| f == flag))
            {
                return event;
            }
        }
    }

    /// What there is right now: an event, or nothing as an empty string.
    pub fn now(&mut self) -> String {
        match self.poller.wait(&mut self.events, NOW).unwrap() {
            0 => String::new(),
            _ => spell(self.events.iter().next().unwrap()),
        }
    }
}

/// The flags of an event: R(eadable) W(ritable) rc wc (closed) E(rror) P(riority).
pub fn spell(event: Event) -> String {
    let flags = [
        (event.readable, "R"),
        (event.writable, "W"),
        (event.read_closed, "rc"),
        (event.write_closed, "wc"),
        (event.error, "E"),
        (event.priority, "P"),
    ];
    let set: Vec<&str> = flags.iter().filter(|f| f.0).map(|f| f.1).collect();
    set.join(" ")
}

/// A connected pair of TCP streams, both non-blocking.
pub fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (far, _) = listener.accept().unwrap();
    near.set_nonblocking(true).unwrap();
    far.set_nonblocking(true).unwrap();
    (near, far)
}

/// An address of this machine where nobody listens.
pub fn closed_port() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap()
}

pub fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// Owns a descriptor that a system call has just made.
pub fn own(fd: libc::c_int) -> OwnedFd {
    let fd = check(fd).unwrap();
    // SAFETY: the callers pass the result of a call that makes a new descriptor, once.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// A non-blocking TCP socket that is not connected.
pub fn tcp_socket() -> OwnedFd {
    let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: socket takes no pointers.
    own(unsafe { libc::socket(libc::AF_INET, kind, 0) })
}

/// Starts to connect.
pub fn connect(socket: BorrowedFd<'_>, to: SocketAddr) -> io::Result<()> {
    let SocketAddr::V4(to) = to else {
        unreachable!("the tests use IPv4")
    };
    let address = libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: to.port().to_be(),
        sin_addr: libc::in_addr {
            s_addr: u32::from_ne_bytes(to.ip().octets()),
        },
        sin_zero: [0; 8],
    };
    let length = size_of_val(&address) as libc::socklen_t;
    // SAFETY: the address is a valid sockaddr_in of the length given and outlives the call.
    check(unsafe { libc::connect(socket.as_raw_fd(), (&raw const address).cast(), length) })
        .map(drop)
}

/// Makes the close of `socket` send a reset.
pub fn linger_zero(socket: &impl AsFd) {
    let linger = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    let length = size_of_val(&linger) as libc::socklen_t;
    let fd = socket.as_fd().as_raw_fd();
    let value = (&raw const linger).cast();
    // SAFETY: the value is a valid linger of the length given and outlives the call.
    let set = unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_LINGER, value, length) };
    check(set).unwrap();
}

pub fn pipe() -> (io::PipeReader, io::PipeWriter) {
    let (reader, writer) = io::pipe().unwrap();
    set_nonblocking(&reader);
    set_nonblocking(&writer);
    (reader, writer)
}

pub fn set_nonblocking(fd: &impl AsFd) {
    let fd = fd.as_fd().as_raw_fd();
    // SAFETY: F_GETFL and F_SETFL take no pointers.
    let set = unsafe {
        let flags = libc::fcntl(fd, libc::F_GETFL);
        libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK)
    };
    check(set).unwrap();
}

/// Writes until nothing more fits; returns the number of bytes.
pub fn fill(mut writer: impl io::Write) -> usize {
    let mut written = 0;
    loop {
        match writer.write(&[b'x'; 4096]) {
            Ok(n) => written += n,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return written,
            Err(e) => panic!("{e}"),
        }
    }
}

/// Reads until nothing is left; returns the number of bytes.
pub fn drain(mut reader: impl io::Read) -> usize {
    let mut read = 0;
    loop {
        match reader.read(&mut [0; 4096]) {
            Ok(0) => return read,
            Ok(n) => read += n,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return read,
            Err(e) => panic!("{e}"),
        }
    }
}

/// Counts how often it is called.
#[derive(Debug, Default)]
pub struct Bell(AtomicUsize);

impl Bell {
    pub fn new() -> (Arc<Bell>, Waker) {
        let bell = Arc::new(Bell::default());
        (bell.clone(), Waker::from(bell))
    }

    pub fn rings(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}
