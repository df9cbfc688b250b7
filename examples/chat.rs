//! A chat room over TCP: one green thread for the room, two for each connection, channels between.
//!
//! ```sh
//! cargo run --release --example chat                            # scripted clients, which check
//! cargo run --release --example chat -- --serve 127.0.0.1:4000  # then: nc 127.0.0.1 4000
//! ```
//!
//! A connection waits in one `select!` for the next line of its client, the next message of the room,
//! and the end of its patience. The room is the only one that knows who is there. It never waits for
//! a member: whoever does not read loses the connection, and the others notice nothing.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write};
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use weftwork::net::{SocketAddr, TcpListener, TcpStream};
use weftwork::prelude::*;

/// Serves a chat room, or plays one through.
#[derive(Parser, Debug)]
#[command(about, long_about = None)]
struct Options {
    /// Serve at this address until the end of days, for real clients.
    #[arg(long, value_name = "ADDRESS")]
    serve: Option<SocketAddr>,
}

/// How many messages a member may be behind.
const BACKLOG: usize = 1_000;

/// How long a client may say nothing.
const PATIENCE: Duration = Duration::from_secs(300);

/// What connections tell the room. Each gives its number.
enum Event {
    Join(usize, Member),
    Say(usize, String),
    Who(usize),
    Leave(usize),
}

/// Somebody in the room.
struct Member {
    name: String,
    mailbox: Sender<Arc<str>>,
}

/// Keeps who is there, and hands on what they say. Ends with the listener and the last connection.
fn room(events: Receiver<Event>) {
    let mut members = BTreeMap::new();
    for event in events {
        match event {
            Event::Join(number, member) => {
                tell(&mut members, None, &format!("* {} is here", member.name));
                let here = members.len() + 1;
                let welcome = format!("* welcome, {}; {here} here", member.name);
                if member.mailbox.try_send(welcome.into()).is_ok() {
                    members.insert(number, member);
                }
            }
            Event::Say(number, text) => {
                if let Some(member) = members.get(&number) {
                    let line = format!("{}: {text}", member.name);
                    tell(&mut members, Some(number), &line);
                }
            }
            Event::Who(number) => {
                let names: Vec<_> = members.values().map(|m| m.name.as_str()).collect();
                let list = format!("* here: {}", names.join(", "));
                if let Some(member) = members.get(&number) {
                    // Whoever is too far behind is found out by the next line for all.
                    let _ = member.mailbox.try_send(list.into());
                }
            }
            Event::Leave(number) => {
                if let Some(member) = members.remove(&number) {
                    tell(&mut members, None, &format!("* {} has left", member.name));
                }
            }
        }
    }
}

/// Sends `line` to all but one. Forgets whoever is too far behind: a connection ends with its mailbox.
fn tell(members: &mut BTreeMap<usize, Member>, but: Option<usize>, line: &str) {
    let line = Arc::from(line);
    members.retain(|number, member| {
        Some(*number) == but || member.mailbox.try_send(Arc::clone(&line)).is_ok()
    });
}

/// Writes a line at once, not in the pieces it is formatted from.
fn write_line(stream: &mut TcpStream, line: &str) -> io::Result<()> {
    stream.write_all(format!("{line}\n").as_bytes())
}

/// Serves one client until it leaves, says nothing for too long, or falls too far behind.
fn serve(number: usize, mut stream: TcpStream, room: &Sender<Event>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (line_s, lines) = bounded(1);
    let mut reader = BufReader::new(stream.try_clone()?).lines();
    drop(spawn(move || {
        while let Some(Ok(line)) = reader.next() {
            if line_s.send(line).is_err() {
                return;
            }
        }
    }));

    write_line(&mut stream, "* your name?")?;
    let Ok(name) = lines.recv_timeout(PATIENCE) else {
        return Ok(());
    };
    let (mailbox, mail) = bounded(BACKLOG);
    let ask = |event| {
        room.send(event)
            .map_err(|_| io::ErrorKind::ConnectionAborted)
    };
    ask(Event::Join(number, Member { name, mailbox }))?;
    let result = loop {
        select! {
            recv(lines) -> line => match line.as_deref() {
                Ok("/quit") | Err(_) => break Ok(()),
                Ok("/who") => ask(Event::Who(number))?,
                Ok(text) => ask(Event::Say(number, text.to_owned()))?,
            },
            recv(mail) -> message => match message {
                Ok(message) => if let Err(error) = write_line(&mut stream, &message) {
                    break Err(error);
                },
                // The room has closed the mailbox.
                Err(_) => break Ok(()),
            },
            recv(after(PATIENCE)) -> _ => break Ok(()),
        }
    };
    ask(Event::Leave(number))?;
    // Ends the reader, too.
    let _ = stream.shutdown(std::net::Shutdown::Both);
    result
}

/// Accepts clients until it is cancelled.
fn listen(listener: &TcpListener) {
    let (events, inbox) = bounded(64);
    drop(spawn(move || room(inbox)));
    for (number, stream) in listener.incoming().map_while(Result::ok).enumerate() {
        let events = events.clone();
        drop(spawn(move || serve(number, stream, &events)));
    }
}

/// One scripted client.
struct Client {
    name: String,
    stream: TcpStream,
    lines: io::Lines<BufReader<TcpStream>>,
}

impl Client {
    fn connect(server: SocketAddr, name: String) -> io::Result<Client> {
        let mut stream = TcpStream::connect(server)?;
        stream.set_nodelay(true)?;
        let mut lines = BufReader::new(stream.try_clone()?).lines();
        assert_eq!(lines.next().transpose()?.as_deref(), Some("* your name?"));
        write_line(&mut stream, &name)?;
        Ok(Client {
            name,
            stream,
            lines,
        })
    }

    fn say(&mut self, text: &str) -> io::Result<()> {
        write_line(&mut self.stream, text)
    }

    fn hear(&mut self) -> io::Result<String> {
        let line = self.lines.next().transpose()?;
        line.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// Hears `lines` lines of the others, which each must number from zero. Gives how many it was.
    fn hear_numbered(&mut self, lines: usize) -> io::Result<usize> {
        let mut next = BTreeMap::<String, usize>::new();
        for _ in 0..lines {
            let line = self.hear()?;
            let (from, number) = line.split_once(": ").expect("a line that somebody said");
            assert_ne!(from, self.name, "nobody hears himself");
            let expected = next.entry(from.to_owned()).or_default();
            assert_eq!(number, expected.to_string(), "{from} is heard in order");
            *expected += 1;
        }
        Ok(next.len())
    }
}

/// Plays some clients through the room: they join one by one, all talk at once, and leave.
fn play(server: SocketAddr, count: usize, said: usize) -> io::Result<usize> {
    let mut clients = Vec::new();
    for n in 0..count {
        let name = format!("guest-{n:02}");
        let mut client = Client::connect(server, name.clone())?;
        let here = n + 1;
        assert_eq!(client.hear()?, format!("* welcome, {name}; {here} here"));
        for before in &mut clients {
            assert_eq!(Client::hear(before)?, format!("* {name} is here"));
        }
        clients.push(client);
    }

    let talking: Vec<_> = clients
        .into_iter()
        .map(|mut client| {
            spawn(move || {
                for n in 0..said {
                    client.say(&n.to_string())?;
                }
                let others = client.hear_numbered((count - 1) * said)?;
                assert_eq!(others, count - 1);
                Ok::<Client, io::Error>(client)
            })
        })
        .collect();
    let mut clients = Vec::new();
    for task in talking {
        clients.push(task.join().expect("no client panics")?);
    }

    let mut last = clients.remove(0);
    last.say("/who")?;
    let names: Vec<_> = (0..count).map(|n| format!("guest-{n:02}")).collect();
    assert_eq!(last.hear()?, format!("* here: {}", names.join(", ")));
    for mut client in clients {
        client.say("/quit")?;
        assert_eq!(last.hear()?, format!("* {} has left", client.name));
    }
    // And one that hangs up without a word.
    let rude = Client::connect(server, "rude".to_owned())?;
    assert_eq!(last.hear()?, "* rude is here");
    drop(rude);
    assert_eq!(last.hear()?, "* rude has left");
    Ok(count * (count - 1) * said)
}

#[weftwork::main]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options::parse();
    if let Some(address) = options.serve {
        let listener = TcpListener::bind(address)?;
        println!("chatting at {}", listener.local_addr()?);
        listen(&listener);
        return Ok(());
    }
    let (clients, said) = match std::env::var_os("WEFTWORK_SMALL") {
        Some(_) => (8, 10),
        None => (30, 30),
    };
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let server = spawn(move || listen(&listener));
    let delivered = play(address, clients, said)?;
    server.cancel();
    println!("{clients} clients, {delivered} messages delivered, each in order");
    Ok(())
}
