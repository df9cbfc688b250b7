//! A process of its own, with a room of its own, in which one client floods and others do not read.
//!
//! The clients are green threads and as simple as can be. Those that read must get everything, in order, and
//! soon. Those that do not must lose their connections without a goodbye, and be welcome again.

use std::io::{self, BufRead};
use std::time::Duration;

use tungstenite::{Error, Message as WsMessage, WebSocket};
use weftwork::csp::{Receiver, unbounded};
use weftwork::net::{TcpSocket, TcpStream};
use weftwork::task::JoinHandle;
use weftwork::{Runtime, spawn};
use weftwork_examples::processes::lifetime::die_with_parent;
use weftwork_examples::processes::measure::clock_ns;
use weftwork_examples::processes::protocol::Message;

use crate::Outcome;
use crate::client::{client_config, request};
use crate::lines::split;
use crate::load::{latencies, written};
use crate::options::Options;

/// How many messages there are, and how long they are: more than the kernel and a mailbox hold together.
const MESSAGES: u32 = 2_000;
const SIZE: usize = 1_000;

/// Messages that the speaker has under way, to itself and on average to each of those who read.
const WINDOW: u32 = 8;

/// Those who read, and those who do not.
pub(crate) const READERS: u32 = 4;
pub(crate) const SLOW: u32 = 3;

/// Sessions that are started in all: the speaker, the readers, and the slow ones twice.
pub(crate) const SESSIONS: u32 = 1 + READERS + 2 * SLOW;

/// What the kernel buffers for a client that does not read.
const BUFFER: u32 = 4 << 10;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

type Socket = WebSocket<TcpStream>;

fn connect(options: &Options, name: &str, is_slow: bool) -> Outcome<Socket> {
    let open = || -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        if is_slow {
            socket.set_recv_buffer_size(BUFFER)?;
        }
        let stream = socket.connect_timeout(options.address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(stream)
    };
    let stream = open().map_err(|e| format!("{name} cannot connect: {e}"))?;
    let request = request(options.address, name)?;
    let config = Some(client_config());
    let shaken = tungstenite::client::client_with_config(request, stream, config);
    let (mut socket, _) = shaken.map_err(|e| format!("{name}: handshake: {e}"))?;
    say(&mut socket, "/join #flood".to_owned())?;
    let welcome = line(&mut socket)?.ok_or("no welcome")?;
    if !welcome.starts_with("= #flood ") {
        return Err(format!("{name} was welcomed by \"{welcome}\""));
    }
    Ok(socket)
}

fn say(socket: &mut Socket, line: String) -> Outcome<()> {
    let said = socket.send(WsMessage::text(line));
    said.map_err(|e| format!("send: {e}"))
}

/// The next line; none at an end without a goodbye.
fn line(socket: &mut Socket) -> Outcome<Option<String>> {
    match socket.read() {
        Ok(WsMessage::Text(line)) => Ok(Some(line.to_string())),
        Ok(other) => Err(format!("what is {other:?}?")),
        Err(Error::Protocol(_)) => Ok(None),
        Err(Error::Io(e)) if e.kind() == io::ErrorKind::ConnectionReset => Ok(None),
        Err(e) => Err(format!("receive: {e}")),
    }
}

/// The next message of the room; who comes and goes is passed over.
fn message(socket: &mut Socket) -> Outcome<Option<(u64, u64)>> {
    while let Some(line) = line(socket)? {
        let (room, rest) = split(&line);
        if room != "#flood" {
            continue;
        }
        let mut words = rest.split(' ');
        let number = words.next().and_then(|word| word.parse().ok());
        let sent_ns = words.nth(1).and_then(|word| word.parse().ok());
        let message = number.zip(sent_ns);
        return message.map(Some).ok_or(format!("a broken message: {line}"));
    }
    Ok(None)
}

/// Reads up to the last message, or to the end, and notes when each was sent. Returns the number of the last one.
fn read(socket: &mut Socket, last: u64, mut note: impl FnMut(u64) -> Outcome<()>) -> Outcome<u64> {
    let mut before = 0;
    while before < last {
        let Some((number, sent_ns)) = message(socket)? else {
            break;
        };
        if number != before + 1 {
            return Err(format!("{number} came after {before}"));
        }
        before = number;
        note(sent_ns)?;
    }
    Ok(before)
}

/// Speaks as fast as it is heard: there is a word in `heard` for each message that somebody has read. So a
/// machine that runs this process in fits and starts makes nobody late who reads.
fn speak(mut socket: Socket, heard: &Receiver<()>) -> Outcome<()> {
    let padding = ".".repeat(SIZE);
    for number in 1..=MESSAGES + WINDOW {
        if number > WINDOW {
            message(&mut socket)?.ok_or("the speaker was thrown out")?;
            for _ in 0..READERS {
                let word = heard.recv_timeout(PATIENCE);
                word.map_err(|_| "nobody hears")?;
            }
        }
        if number <= MESSAGES {
            say(&mut socket, format!("/say #flood {} {padding}", clock_ns()))?;
        }
    }
    quit(socket)
}

/// Leaves in good order.
fn quit(mut socket: Socket) -> Outcome<()> {
    say(&mut socket, "/quit".to_owned())?;
    loop {
        match socket.read() {
            Ok(_) => {}
            Err(Error::ConnectionClosed) => return Ok(()),
            Err(e) => return Err(format!("goodbye: {e}")),
        }
    }
}

fn join<T>(task: JoinHandle<Outcome<T>>) -> Outcome<T> {
    task.join().map_err(|e| e.to_string())?
}

fn flood(options: &Options) -> Outcome<Message> {
    let last = u64::from(MESSAGES);
    let slow = (0..SLOW).map(|n| connect(options, &format!("slow{n}"), true));
    let slow: Vec<Socket> = slow.collect::<Outcome<_>>()?;
    let readers = (0..READERS).map(|n| connect(options, &format!("reader{n}"), false));
    let readers: Vec<Socket> = readers.collect::<Outcome<_>>()?;
    let speaker = connect(options, "speaker", false)?;
    let (word, heard) = unbounded();
    let speaker = spawn(move || speak(speaker, &heard));
    let readers: Vec<_> = readers
        .into_iter()
        .map(|mut socket| {
            let word = word.clone();
            spawn(move || {
                let mut latencies = latencies();
                let number = read(&mut socket, last, |sent_ns| {
                    latencies.saturating_record(clock_ns().saturating_sub(sent_ns).max(1));
                    word.send(()).map_err(|_| "the speaker is gone".to_owned())
                })?;
                match number {
                    number if number == last => quit(socket).map(|()| latencies),
                    number => Err(format!("a reader was thrown out after {number}")),
                }
            })
        })
        .collect();
    drop(word);
    join(speaker).map_err(|e| format!("speaker: {e}"))?;
    let mut all = latencies();
    for reader in readers {
        all.add(join(reader)?).map_err(|e| e.to_string())?;
    }
    let mut most = 0;
    for (n, mut socket) in slow.into_iter().enumerate() {
        let number = read(&mut socket, u64::MAX, |_| Ok(()))?;
        if number >= last {
            return Err("a client that does not read was not thrown out".to_owned());
        }
        most = most.max(number);
        drop(socket);
        // Its name is free again.
        quit(connect(options, &format!("slow{n}"), false)?)?;
    }
    Ok(Message::new("flooded")
        .with("messages", MESSAGES * (READERS + 1))
        .with("most", most)
        .with("histogram", written(&all)))
}

/// Waits for the coordinator's word, and floods.
pub(crate) fn run(options: &Options) -> Outcome<()> {
    die_with_parent().map_err(|e| e.to_string())?;
    let runtime = Runtime::builder().workers(1).build();
    let runtime = runtime.map_err(|e| format!("runtime: {e}"))?;
    Message::new("ready").say();
    for line in io::stdin().lock().lines() {
        match line.map_err(|e| e.to_string())?.trim() {
            "flood" => {
                let options = options.clone();
                match runtime.run(move || flood(&options)) {
                    Ok(message) => message.say(),
                    Err(error) => {
                        Message::new("error").with("text", &error).say();
                        return Err(error);
                    }
                }
            }
            "quit" => break,
            other => return Err(format!("unknown command: {other}")),
        }
    }
    Ok(())
}
