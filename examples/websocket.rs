//! A WebSocket server and its clients on green threads, by a library that has never heard of them.
//!
//! ```sh
//! cargo run --release --example websocket
//! cargo run --release --example websocket -- --clients 1000 --messages 20
//! ```
//!
//! `tungstenite` is synchronous and generic over `Read + Write`. Nothing is adapted: it gets a
//! `weftwork::net::TcpStream` where it would get std's, its calls look as if they blocked, and a few workers serve
//! all connections. Each client sends messages of its own, text and binary, short and long, alone and
//! several at once, compares every echo, and closes by the protocol's own handshake.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use tungstenite::protocol::{CloseFrame, frame::coding::CloseCode};
use tungstenite::{Bytes, Error, Message, WebSocket};
use weftwork::net::{SocketAddr, TcpListener, TcpStream};
use weftwork::task::JoinHandle;
use weftwork::time::timeout;
use weftwork::{Runtime, spawn};

/// Echoes WebSocket messages on green threads and verifies them.
#[derive(Parser, Debug, Clone, Copy)]
#[command(about, long_about = None)]
struct Options {
    /// Clients at the same time.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=9_000))]
    clients: u32,

    /// Messages of each client.
    #[arg(long, default_value_t = 100)]
    messages: u32,

    /// Workers of the runtime.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1024))]
    workers: u32,

    /// A second's worth. Also by WEFTWORK_SMALL=1.
    #[arg(long)]
    small: bool,
}

/// What goes wrong here goes wrong for a person to read.
type Outcome<T> = Result<T, String>;

/// How long everything may take.
const LIMIT: Duration = Duration::from_secs(100);

/// Lengths around the borders of the protocol's three length encodings, and of socket buffers.
const LENGTHS: [usize; 10] = [0, 1, 125, 126, 1000, 4096, 65_535, 65_536, 70_000, 300_000];

/// Serves one connection until the client says goodbye. Returns the number of messages.
fn serve(stream: TcpStream) -> Outcome<u64> {
    let mut socket = tungstenite::accept(stream).map_err(|e| format!("handshake: {e}"))?;
    let mut messages = 0;
    loop {
        match socket.read() {
            Ok(message @ (Message::Text(_) | Message::Binary(_))) => {
                messages += 1;
                socket.send(message).map_err(|e| format!("send: {e}"))?;
            }
            // Pings are answered and the close is acknowledged by the library.
            Ok(_) => {}
            Err(Error::ConnectionClosed) => return Ok(messages),
            Err(error) => return Err(format!("read: {error}")),
        }
    }
}

/// Message `number` of a client: different ones for everybody, long ones now and then.
fn compose(client: u32, number: u32) -> Message {
    let length = LENGTHS[match number % 16 {
        15 => 9,
        few => few as usize % 8,
    }];
    if number.is_multiple_of(3) {
        let text = format!("{client}:{number}:").repeat(length / 4 + 1);
        return Message::text(text);
    }
    let seed = client.wrapping_mul(2_654_435_761).wrapping_add(number);
    let bytes: Vec<u8> = (0..length as u32)
        .map(|n| (seed.wrapping_add(n).wrapping_mul(2_246_822_519) >> 24) as u8)
        .collect();
    Message::binary(bytes)
}

/// The next message that is no reply to a ping.
fn next(socket: &mut WebSocket<TcpStream>) -> Outcome<Message> {
    loop {
        match socket.read().map_err(|e| format!("read: {e}"))? {
            Message::Pong(_) => {}
            message => return Ok(message),
        }
    }
}

/// Runs one client to its end. Returns the number of bytes that came back.
fn converse(server: SocketAddr, client: u32, messages: u32) -> Outcome<u64> {
    let stream = TcpStream::connect(server).map_err(|e| format!("connect: {e}"))?;
    stream.set_nodelay(true).map_err(|e| e.to_string())?;
    let (mut socket, _) = tungstenite::client(format!("ws://{server}/echo"), stream)
        .map_err(|e| format!("handshake: {e}"))?;
    let mut bytes = 0;
    let mut number = 0;
    while number < messages {
        // Up to three at once: the server reads and writes while this end only writes.
        let burst = (1 + number % 3).min(messages - number);
        for n in number..number + burst {
            let message = compose(client, n);
            socket.write(message).map_err(|e| format!("write: {e}"))?;
        }
        let ping = Message::Ping(Bytes::from_static(b"still there?"));
        socket.write(ping).map_err(|e| format!("write: {e}"))?;
        socket.flush().map_err(|e| format!("flush: {e}"))?;
        for n in number..number + burst {
            let answer = next(&mut socket)?;
            let expected = compose(client, n);
            if answer != expected {
                return Err(format!(
                    "message {n} of {} bytes came back as {} bytes, or changed",
                    expected.len(),
                    answer.len()
                ));
            }
            bytes += answer.len() as u64;
        }
        number += burst;
    }
    let goodbye = CloseFrame {
        code: CloseCode::Normal,
        reason: "done".into(),
    };
    socket
        .close(Some(goodbye))
        .map_err(|e| format!("close: {e}"))?;
    loop {
        match socket.read() {
            Ok(Message::Close(Some(frame))) if frame.code == CloseCode::Normal => {}
            Ok(Message::Pong(_)) => {}
            Ok(other) => return Err(format!("instead of a goodbye came {other:?}")),
            Err(Error::ConnectionClosed) => return Ok(bytes),
            Err(error) => return Err(format!("goodbye: {error}")),
        }
    }
}

/// Waits for everybody; the first that failed is the outcome.
fn join_all(tasks: Vec<JoinHandle<Outcome<u64>>>, who: &str) -> Outcome<u64> {
    let mut sum = 0;
    for (n, task) in tasks.into_iter().enumerate() {
        let ended = task.join().map_err(|e| format!("{who} {n}: {e}"))?;
        sum += ended.map_err(|e| format!("{who} {n}: {e}"))?;
    }
    Ok(sum)
}

fn run(options: Options) -> Outcome<()> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|e| format!("bind: {e}"))?;
    let address = listener.local_addr().map_err(|e| e.to_string())?;
    println!(
        "{} clients, {} messages each, by tungstenite on green threads at ws://{address}",
        options.clients, options.messages
    );
    let start = Instant::now();
    let server = spawn(move || {
        let connections: Outcome<Vec<_>> = (0..options.clients)
            .map(|_| {
                let (stream, _) = listener.accept().map_err(|e| format!("accept: {e}"))?;
                Ok(spawn(move || serve(stream)))
            })
            .collect();
        join_all(connections?, "connection")
    });
    let clients = (0..options.clients)
        .map(|client| spawn(move || converse(address, client, options.messages)))
        .collect();
    let bytes = join_all(clients, "client")?;
    let messages = server.join().map_err(|e| format!("server: {e}"))??;
    let seconds = start.elapsed().as_secs_f64();

    let expected = u64::from(options.clients) * u64::from(options.messages);
    if messages != expected {
        return Err(format!(
            "{expected} messages were sent, the server echoed {messages}"
        ));
    }
    println!(
        "{messages} messages and {:.1} MiB came back unchanged in {seconds:.2} s ({:.0} messages per second)",
        bytes as f64 / (1 << 20) as f64,
        messages as f64 / seconds
    );
    println!("all {} connections said goodbye", options.clients);
    Ok(())
}

fn main() -> ExitCode {
    let mut options = Options::parse();
    if options.small || std::env::var_os("WEFTWORK_SMALL").is_some_and(|v| v != "0") {
        options.clients = options.clients.min(50);
        options.messages = options.messages.min(20);
    }
    let runtime = match Runtime::builder().workers(options.workers as usize).build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("websocket: {error}");
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.run(|| timeout(LIMIT, || run(options)));
    match outcome {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            eprintln!("websocket: {error}");
            ExitCode::FAILURE
        }
        Err(_) => {
            eprintln!("websocket: not done after {} s", LIMIT.as_secs());
            ExitCode::FAILURE
        }
    }
}
