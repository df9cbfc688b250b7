//! The load: many connections driven by one thread and a bare poller, so that it costs little beside the
//! servers it measures.
//!
//! Every message is different, by connection and by number, and every byte that comes back is compared.

use std::io::{self, BufRead, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use weftwork::net::{TcpSocket, TcpStream};
use weftwork_reactor::{Event, Events, Interest, Mode, Poller, Token};

use crate::Outcome;
use crate::options::Options;
use weftwork_examples::processes::lifetime::die_with_parent;
use weftwork_examples::processes::protocol::Message;

/// Messages under way while connections are opened.
const OPENING: usize = 256;

/// How long a server may keep everybody waiting.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often progress is reported.
const PROGRESS: Duration = Duration::from_millis(100);

/// One connection.
#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    /// The number of the message under way, or of the last one.
    number: u32,
    /// Bytes of it sent, and received back.
    sent: u32,
    received: u32,
    /// Whether it is under way.
    busy: bool,
    /// When it began, in nanoseconds since the load did.
    began: u64,
}

/// This process's share of the load.
#[derive(Debug)]
struct Load {
    server: SocketAddr,
    index: u32,
    per_source: u32,
    size: usize,
    poller: Poller,
    events: Events,
    connections: Vec<Connection>,
    /// Messages under way.
    in_flight: usize,
    /// Messages that came back whole.
    done: u64,
    origin: Instant,
    latencies: Histogram<u64>,
    message: Vec<u8>,
    answer: Vec<u8>,
    reported: Instant,
}

/// Fills `bytes` with message `number` of a connection.
fn compose(bytes: &mut [u8], identity: u64, number: u32) {
    // SplitMix64: cheap, and no two messages alike.
    let mut state = identity << 32 | u64::from(number);
    for chunk in bytes.chunks_mut(8) {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = state;
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^= word >> 31;
        chunk.copy_from_slice(&word.to_le_bytes()[..chunk.len()]);
    }
}

impl Load {
    fn new(options: &Options) -> io::Result<Load> {
        let size = options.size as usize;
        Ok(Load {
            server: options.address,
            index: options.index,
            per_source: options.per_source,
            size,
            poller: Poller::new()?,
            events: Events::with_capacity(256),
            connections: Vec::new(),
            in_flight: 0,
            done: 0,
            origin: Instant::now(),
            latencies: latencies(),
            message: vec![0; size],
            // One byte more, to notice an answer that is too long.
            answer: vec![0; size + 1],
            reported: Instant::now(),
        })
    }

    /// Connects until `total` connections are open, and exchanges a message on each.
    fn open(&mut self, total: usize) -> Outcome<()> {
        self.connections
            .reserve_exact(total.saturating_sub(self.connections.len()));
        while self.connections.len() < total {
            let index = self.connections.len();
            let stream = self.connect(index).map_err(|e| {
                format!(
                    "connection {index} of load process {} failed: {e}",
                    self.index
                )
            })?;
            self.connections.push(Connection {
                stream,
                number: 0,
                sent: 0,
                received: 0,
                busy: false,
                began: 0,
            });
            self.begin(index)?;
            if self.in_flight >= OPENING {
                self.pump()?;
            }
            self.progress(index as u64 + 1);
        }
        self.drain()
    }

    fn connect(&self, index: usize) -> io::Result<TcpStream> {
        let source = index as u32 / self.per_source;
        let [_, _, _, last] = source.to_be_bytes();
        // A block of addresses for each process; 127.0.0.x is left to others.
        let source = Ipv4Addr::new(127, 0, 1 + self.index as u8, 1 + last);
        let socket = TcpSocket::new_v4()?;
        socket.set_bind_address_no_port(true)?;
        socket.bind(SocketAddr::from((source, 0)))?;
        let stream = socket.connect_timeout(self.server, PATIENCE)?;
        stream.set_nodelay(true)?;
        let token = Token::new(index as u32, 0);
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poller
            .add(stream.as_raw_fd(), token, interest, Mode::Edge)?;
        Ok(stream)
    }

    /// Says which connection something is about.
    fn name(&self, index: usize) -> String {
        let stream = &self.connections[index].stream;
        let local = stream
            .local_addr()
            .map_or_else(|e| e.to_string(), |a| a.to_string());
        format!(
            "connection {index} of load process {} ({local})",
            self.index
        )
    }

    /// What makes the messages of a connection its own.
    fn identity(&self, index: usize) -> u64 {
        u64::from(self.index) << 32 | index as u64
    }

    /// Sends the next message.
    fn begin(&mut self, index: usize) -> Outcome<()> {
        let connection = &mut self.connections[index];
        connection.number += 1;
        connection.busy = true;
        connection.sent = 0;
        connection.received = 0;
        connection.began = self.origin.elapsed().as_nanos() as u64;
        self.in_flight += 1;
        self.send(index)
    }

    /// Sends what is left of the message, as far as there is room.
    fn send(&mut self, index: usize) -> Outcome<()> {
        let identity = self.identity(index);
        let connection = &mut self.connections[index];
        compose(&mut self.message, identity, connection.number);
        while (connection.sent as usize) < self.size {
            match connection
                .stream
                .try_write(&self.message[connection.sent as usize..])
            {
                Ok(count) => connection.sent += count as u32,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(format!("{}: send: {error}", self.name(index))),
            }
        }
        Ok(())
    }

    /// Receives what is there and compares it.
    fn receive(&mut self, index: usize) -> Outcome<()> {
        let identity = self.identity(index);
        loop {
            let connection = &mut self.connections[index];
            let before = if connection.busy {
                connection.received as usize
            } else {
                self.size // Nothing is expected, so only the spare byte is left.
            };
            let room = &mut self.answer[before..];
            let asked = room.len();
            let count = match connection.stream.try_read(room) {
                Ok(0) => return Err(format!("{}: closed by the server", self.name(index))),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(format!("{}: receive: {error}", self.name(index))),
            };
            let after = before + count;
            connection.received = after as u32;
            if after > connection.sent as usize {
                return Err(format!(
                    "{}: more came back than was sent",
                    self.name(index)
                ));
            }
            compose(&mut self.message, identity, connection.number);
            if self.answer[before..after] != self.message[before..after] {
                let pairs = self.answer[before..after]
                    .iter()
                    .zip(&self.message[before..after]);
                let at = before + pairs.take_while(|(a, b)| a == b).count();
                return Err(format!(
                    "{}: byte {at} of message {} came back as {:#04x}, not {:#04x}",
                    self.name(index),
                    self.connections[index].number,
                    self.answer[at],
                    self.message[at],
                ));
            }
            if after == self.size {
                let now = self.origin.elapsed().as_nanos() as u64;
                self.latencies
                    .saturating_record(now.saturating_sub(connection.began).max(1));
                self.in_flight -= 1;
                self.done += 1;
                connection.busy = false;
                return Ok(());
            }
            if count < asked {
                return Ok(());
            }
        }
    }

    /// Waits for events and deals with them.
    fn pump(&mut self) -> Outcome<()> {
        let mut events = std::mem::replace(&mut self.events, Events::with_capacity(1));
        let found = self.poller.wait(&mut events, Some(PATIENCE));
        let found = found.map_err(|e| format!("poller: {e}"))?;
        if found == 0 && self.in_flight > 0 {
            let silent = (0..self.connections.len()).find(|&n| self.connections[n].busy);
            let first = silent.map_or_else(String::new, |n| format!(", first {}", self.name(n)));
            let waited = PATIENCE.as_secs();
            return Err(format!(
                "{} got no answer in {waited} s{first}",
                self.in_flight
            ));
        }
        for event in &events {
            self.handle(event)?;
        }
        self.events = events;
        Ok(())
    }

    fn handle(&mut self, event: Event) -> Outcome<()> {
        let index = event.token.index() as usize;
        let connection = &self.connections[index];
        if event.writable && connection.busy && (connection.sent as usize) < self.size {
            self.send(index)?;
        }
        if event.readable {
            self.receive(index)?;
        }
        Ok(())
    }

    /// Waits until no message is under way.
    fn drain(&mut self) -> Outcome<()> {
        while self.in_flight > 0 {
            self.pump()?;
        }
        Ok(())
    }

    /// Exchanges messages on `active` of the connections, evenly spread, `in_flight` at once, for `time`
    /// and at least once on each.
    fn traffic(&mut self, active: usize, in_flight: usize, time: Duration) -> Outcome<Message> {
        let active = active.clamp(1, self.connections.len().max(1));
        let in_flight = in_flight.min(active);
        let chosen: Vec<usize> = (0..active)
            .map(|n| n * self.connections.len() / active)
            .collect();
        let first: Vec<u32> = chosen.iter().map(|&n| self.connections[n].number).collect();
        self.latencies.reset();
        self.done = 0;
        let start = Instant::now();
        let mut walked = 0;
        while walked < active || start.elapsed() < time {
            while self.in_flight < in_flight && (walked < active || start.elapsed() < time) {
                let index = chosen[walked % active];
                walked += 1;
                // One that is slower than a whole walk sits this one out.
                if !self.connections[index].busy {
                    self.begin(index)?;
                }
            }
            self.pump()?;
            self.progress(self.done);
        }
        self.drain()?;
        let seconds = start.elapsed().as_secs_f64();
        let counts = chosen
            .iter()
            .zip(first)
            .map(|(&n, first)| self.connections[n].number - first);
        let histogram: Vec<String> = self
            .latencies
            .iter_recorded()
            .map(|bucket| format!("{}:{}", bucket.value_iterated_to(), bucket.count_at_value()))
            .collect();
        Ok(Message::new("done")
            .with("active", active)
            .with("messages", self.done)
            .with("seconds", seconds)
            .with("least", counts.clone().min().unwrap_or(0))
            .with("most", counts.max().unwrap_or(0))
            .with("histogram", histogram.join(",")))
    }

    fn progress(&mut self, done: u64) {
        if done.is_multiple_of(64) && self.reported.elapsed() >= PROGRESS {
            self.reported = Instant::now();
            Message::new("progress").with("done", done).say();
        }
    }

    /// Closes all connections but the first `keep`. Returns the bytes that were sent on them and came back.
    fn close(&mut self, keep: usize) -> u64 {
        let keep = keep.min(self.connections.len());
        let closing = self.connections.drain(keep..);
        let messages: u64 = closing.map(|connection| u64::from(connection.number)).sum();
        messages * self.size as u64
    }

    /// Does what the coordinator says, until it says no more.
    fn obey(&mut self) -> Outcome<()> {
        Message::new("ready").say();
        for line in io::stdin().lock().lines() {
            let command = Message::parse(&line.map_err(|e| e.to_string())?);
            match &*command.word {
                "open" => {
                    let start = Instant::now();
                    let before = self.connections.len();
                    self.open(command.get("to")?)?;
                    Message::new("opened")
                        .with("count", self.connections.len() - before)
                        .with("seconds", start.elapsed().as_secs_f64())
                        .say();
                }
                "traffic" => {
                    let time = Duration::from_secs_f64(command.get("seconds")?);
                    let (active, in_flight) = (command.get("active")?, command.get("in_flight")?);
                    self.traffic(active, in_flight, time)?.say();
                }
                "close" => {
                    let bytes = self.close(command.get("keep")?);
                    Message::new("closed").with("bytes", bytes).say();
                }
                "quit" => break,
                _ => return Err(format!("unknown command: {command}")),
            }
        }
        Ok(())
    }
}

/// An empty record of latencies in nanoseconds, up to a minute, to three digits.
pub(crate) fn latencies() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("the bounds are valid")
}

/// Makes load until standard input ends or says to quit.
pub(crate) fn run(options: &Options) -> Outcome<()> {
    die_with_parent().map_err(|e| e.to_string())?;
    let mut load = Load::new(options).map_err(|e| e.to_string())?;
    let result = load.obey();
    if let Err(error) = &result {
        Message::new("error").with("text", error).say();
    }
    result
}
