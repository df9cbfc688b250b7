//! The connections of the load generator and what an event does to one.
//!
//! Invariants: a message's start time is in `in_flight` from its queueing until its last byte
//! returned; the bytes sent and received are both positions in one endless repetition of the same
//! message, so `unsent` and `received` need only be kept modulo its size.
//!
//! mio reports edges. An edge of readability is used up by a read that returns less than the
//! buffer holds (then the socket was empty) or by the end of the stream; a read is repeated when
//! the event said that the other side closed, so that the end is seen.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use nix::sys::socket::{setsockopt, sockopt::IpBindAddressNoPort};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::Options;

/// Bytes read at once.
const BUFFER: usize = 64 * 1024;
/// Events taken from the kernel at once.
const EVENTS: usize = 1024;
/// The longest latency that is told apart.
const LONGEST: u64 = 60_000_000_000;

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    state: State,
    /// When the connect was started.
    started: u64,
    /// Bytes of the current reply that have arrived.
    received: usize,
    /// Bytes queued but not yet taken by the socket.
    unsent: usize,
    /// When each message in flight was queued.
    in_flight: VecDeque<u64>,
}

#[derive(Debug)]
enum State {
    Closed,
    Connecting(TcpStream),
    Open(TcpStream),
}

/// What an event brought about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Happened {
    /// Nothing to act upon.
    Nothing,
    /// The connection is established.
    Connected,
    /// The connection could not be established; it is closed.
    Refused,
    /// So many replies were completed (perhaps none).
    Replies(usize),
    /// The connection broke; it is closed.
    Lost,
}

/// What went wrong.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Faults {
    /// Connections that broke after they were established.
    pub(crate) lost: u64,
    /// Connections that were not established.
    pub(crate) refused: u64,
    /// Reads that did not return what was sent.
    pub(crate) corrupt: u64,
}

/// The load generator: its connections, clock and histograms.
#[derive(Debug)]
pub(crate) struct Generator {
    pub(super) options: Options,
    pub(super) connections: Vec<Connection>,
    pub(super) faults: Faults,
    /// Latencies of messages queued at or after `measure_from`.
    pub(super) latency: Histogram<u64>,
    /// Times from the start of a connect to its establishment and first reply.
    pub(super) connect_latency: Histogram<u64>,
    /// The time at which measuring starts.
    pub(super) measure_from: u64,
    poll: Poll,
    clock: Instant,
    next_source: u32,
    /// The message, over and over.
    pattern: Vec<u8>,
    buffer: Vec<u8>,
}

impl Generator {
    /// Makes a generator with all its connections closed.
    pub(super) fn new(options: &Options) -> io::Result<Self> {
        let closed = || Connection {
            state: State::Closed,
            started: 0,
            received: 0,
            unsent: 0,
            in_flight: VecDeque::with_capacity(options.depth.min(64)),
        };
        let length = BUFFER + (options.depth + 1) * options.size;
        let histogram = || Histogram::new_with_bounds(1, LONGEST, 3).expect("valid bounds");
        Ok(Generator {
            options: options.clone(),
            connections: std::iter::repeat_with(closed).take(options.conns).collect(),
            faults: Faults::default(),
            latency: histogram(),
            connect_latency: histogram(),
            measure_from: u64::MAX,
            poll: Poll::new()?,
            clock: Instant::now(),
            next_source: 0,
            pattern: (0..length)
                .map(|at| b'a' + (at % options.size % 26) as u8)
                .collect(),
            buffer: vec![0; BUFFER],
        })
    }

    /// Returns the nanoseconds since the generator was made.
    pub(super) fn now(&self) -> u64 {
        self.clock.elapsed().as_nanos() as u64
    }

    /// Returns room for one wait's events.
    pub(super) fn events() -> Events {
        Events::with_capacity(EVENTS)
    }

    /// Waits for events, at most for `timeout`.
    pub(super) fn wait(&mut self, events: &mut Events, timeout: Duration) -> io::Result<()> {
        match self.poll.poll(events, Some(timeout)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                events.clear();
                Ok(())
            }
            other => other,
        }
    }

    /// Starts to connect the closed connection `index`. A refusal is counted.
    pub(super) fn connect(&mut self, index: usize) -> bool {
        let started = self.now();
        match self.start_connect(index) {
            Ok(stream) => {
                let connection = &mut self.connections[index];
                connection.state = State::Connecting(stream);
                connection.started = started;
                connection.received = 0;
                connection.unsent = 0;
                connection.in_flight.clear();
                true
            }
            Err(_) => {
                self.faults.refused += 1;
                false
            }
        }
    }

    fn start_connect(&mut self, index: usize) -> io::Result<TcpStream> {
        let address = self.options.addrs[index % self.options.addrs.len()];
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        if self.options.srcs > 0 {
            // The port is then chosen at the connect, when the destination is known too.
            setsockopt(&socket, IpBindAddressNoPort, &true)?;
            let offset = self.next_source % u32::from(self.options.srcs);
            self.next_source = self.next_source.wrapping_add(1);
            let source = Ipv4Addr::from_bits(Ipv4Addr::LOCALHOST.to_bits() + offset);
            socket.bind(&SocketAddrV4::new(source, 0).into())?;
        }
        match socket.connect(&address.into()) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(nix::libc::EINPROGRESS) => {}
            Err(error) => return Err(error),
        }
        let mut stream = TcpStream::from_std(socket.into());
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll
            .registry()
            .register(&mut stream, Token(index), interest)?;
        Ok(stream)
    }

    /// Closes the connection with a reset, which leaves no port waiting.
    pub(super) fn reset(&mut self, index: usize) {
        if let State::Open(stream) = &self.connections[index].state {
            // A stream that cannot be reset is closed in the common way.
            let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
        }
        self.connections[index].state = State::Closed;
    }

    /// Returns whether the connection is established.
    pub(super) fn is_open(&self, index: usize) -> bool {
        matches!(self.connections[index].state, State::Open(_))
    }

    /// Records how long the connection took from the start of its connect until now.
    pub(super) fn record_connected(&mut self, index: usize) {
        let took = self.now() - self.connections[index].started;
        self.connect_latency.saturating_record(took);
    }

    /// Queues `messages` more messages; says whether the connection still stands.
    pub(super) fn send(&mut self, index: usize, messages: usize) -> bool {
        let now = self.now();
        let connection = &mut self.connections[index];
        connection
            .in_flight
            .extend(std::iter::repeat_n(now, messages));
        connection.unsent += messages * self.options.size;
        self.flush(index)
    }

    /// Writes what the socket takes; says whether the connection still stands.
    fn flush(&mut self, index: usize) -> bool {
        let size = self.options.size;
        let connection = &mut self.connections[index];
        let State::Open(stream) = &mut connection.state else {
            return false;
        };
        while connection.unsent > 0 {
            let phase = (size - connection.unsent % size) % size;
            let length = connection.unsent.min(self.pattern.len() - phase);
            match stream.write(&self.pattern[phase..phase + length]) {
                Ok(written) => connection.unsent -= written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    connection.state = State::Closed;
                    self.faults.lost += 1;
                    return false;
                }
            }
        }
        true
    }

    /// Acts upon an event of the connection that its token names.
    pub(super) fn on_event(&mut self, event: &Event) -> Happened {
        let index = event.token().0;
        match &self.connections[index].state {
            State::Closed => Happened::Nothing,
            State::Connecting(_) => self.on_connecting(index, event),
            State::Open(_) => {
                if event.is_writable() && !self.flush(index) {
                    return Happened::Lost;
                }
                if event.is_readable() || event.is_read_closed() || event.is_error() {
                    self.read(index, event.is_read_closed() || event.is_error())
                } else {
                    Happened::Nothing
                }
            }
        }
    }

    fn on_connecting(&mut self, index: usize, event: &Event) -> Happened {
        let connection = &mut self.connections[index];
        match std::mem::replace(&mut connection.state, State::Closed) {
            State::Connecting(stream) if event.is_error() || event.is_write_closed() => {
                drop(stream);
                self.faults.refused += 1;
                Happened::Refused
            }
            State::Connecting(stream) if event.is_writable() => {
                connection.state = State::Open(stream);
                Happened::Connected
            }
            other => {
                connection.state = other;
                Happened::Nothing
            }
        }
    }

    /// Reads replies; `to_the_end` where the other side has closed.
    fn read(&mut self, index: usize, to_the_end: bool) -> Happened {
        let size = self.options.size;
        let now = self.clock.elapsed().as_nanos() as u64;
        let connection = &mut self.connections[index];
        let State::Open(stream) = &mut connection.state else {
            return Happened::Nothing;
        };
        let mut replies = 0;
        loop {
            match stream.read(&mut self.buffer) {
                Ok(read) if read > 0 => {
                    let expected = &self.pattern[connection.received..connection.received + read];
                    if self.buffer[..read] != *expected {
                        self.faults.corrupt += 1;
                    }
                    connection.received += read;
                    while connection.received >= size {
                        connection.received -= size;
                        replies += 1;
                        if let Some(queued) = connection.in_flight.pop_front()
                            && queued >= self.measure_from
                        {
                            self.latency.saturating_record(now - queued);
                        }
                    }
                    if read < self.buffer.len() && !to_the_end {
                        return Happened::Replies(replies);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Happened::Replies(replies);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(_) | Err(_) => {
                    connection.state = State::Closed;
                    self.faults.lost += 1;
                    return Happened::Lost;
                }
            }
        }
    }
}
