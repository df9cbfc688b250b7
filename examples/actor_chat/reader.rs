//! The other half of a connection: a green thread that reads what the client says, and does it.
//!
//! It obeys one command after the other, waits where a command has to wait, and reads no further meanwhile:
//! a client that is too fast is slowed down by its own socket. It writes nothing: see [`Half`].

use std::collections::HashSet;
use std::io::{self, Read, Write};
use std::sync::Arc;

use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Bytes, Error, Message, WebSocket};
use weftwork::actor::supervisor::{AddChildErrorKind, ChildSpec};
use weftwork::actor::{Addr, Options};
use weftwork::net::TcpStream;

use crate::hub::Hub;
use crate::lines::{self, Command, LONGEST};
use crate::room::{self, Room, Say};
use crate::session::{Crash, Deliver, Goodbye, Session};

/// How many rooms a user may be in.
const MOST_ROOMS: usize = 50;

/// What the protocol's library reads from and believes that it writes to.
struct Half {
    stream: TcpStream,
    session: Addr<Session>,
}

impl Read for Half {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buf)
    }
}

/// The library answers pings and goodbyes by itself, a whole frame at a time. The session writes them.
impl Write for Half {
    fn write(&mut self, frame: &[u8]) -> io::Result<usize> {
        let told = self
            .session
            .try_tell(Deliver(Bytes::copy_from_slice(frame)));
        told.map_err(|_| io::ErrorKind::ConnectionAborted)?;
        Ok(frame.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How the protocol is spoken, by an end that has many connections.
pub(crate) fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(1024)
        .write_buffer_size(0)
        .max_message_size(Some(LONGEST))
        .max_frame_size(Some(LONGEST))
}

/// Reads and obeys until the client or the session has ended.
pub(crate) fn run(stream: TcpStream, session: &Addr<Session>, hub: &Hub) {
    let _counted = hub.counts().readers.hold();
    let half = Half {
        stream,
        session: session.clone(),
    };
    let mut socket = WebSocket::from_raw_socket(half, Role::Server, Some(config()));
    let mut reader = Reader {
        session,
        hub,
        rooms: HashSet::new(),
    };
    while session.is_alive() {
        match socket.read() {
            Ok(Message::Text(line)) => reader.obey(&line),
            Ok(Message::Binary(_)) => reader.refuse("texts only"),
            // A close was read. The next read has the answer written, and is told that it is over.
            Ok(_) => {}
            Err(Error::Capacity(_)) => return reader.quit(CloseCode::Size, "that is too long"),
            Err(Error::Utf8(_)) => return reader.quit(CloseCode::Invalid, "that is no text"),
            Err(Error::Protocol(_)) => return reader.quit(CloseCode::Protocol, "what is that?"),
            // Over, in one way or another.
            Err(_) => return,
        }
    }
}

struct Reader<'a> {
    session: &'a Addr<Session>,
    hub: &'a Hub,
    /// The rooms that the session is in.
    rooms: HashSet<Arc<str>>,
}

impl Reader<'_> {
    fn obey(&mut self, line: &str) {
        let done = match Command::parse(line) {
            Ok(Command::Join(room)) => self.join(room),
            Ok(Command::Leave(room)) => self.leave(room),
            Ok(Command::Say(room, text)) => self.say(room, text),
            Ok(Command::Tell(name, text)) => self.tell(name, text),
            Ok(Command::Crash) => self.session.try_tell(Crash).map_err(|_| "you are gone"),
            Ok(Command::CrashRoom(room)) => self.crash_room(room),
            Ok(Command::Quit) => {
                self.quit(CloseCode::Normal, "goodbye");
                Ok(())
            }
            Err(error) => Err(error),
        };
        if let Err(error) = done {
            self.refuse(error);
        }
    }

    /// If the mailbox is full, or the session has ended, this is over soon.
    fn answer(&self, text: String) {
        let _ = self.session.try_tell(Deliver(lines::text(text)));
    }

    fn refuse(&self, why: &str) {
        self.answer(format!("! {why}"));
    }

    /// As [`answer`](Self::answer).
    fn quit(&self, code: CloseCode, why: &'static str) {
        let _ = self.session.try_tell(Goodbye(code, why));
    }

    fn name(&self) -> Arc<str> {
        self.session.pid().name().unwrap_or_default().into()
    }

    /// Makes the session a member. The room follows the group: it sends the history.
    fn join(&mut self, room: &str) -> Result<(), &'static str> {
        if self.rooms.contains(room) {
            return Err("you are in");
        }
        if self.rooms.len() == MOST_ROOMS {
            return Err("you are in too many");
        }
        self.open(room)?;
        let room: Arc<str> = room.into();
        let joined = self
            .hub
            .members()
            .join(Arc::clone(&room), &self.session.pid());
        joined.map_err(|_| "you are gone")?;
        self.rooms.insert(room);
        Ok(())
    }

    /// Has the room started, if it is not there. The supervisor starts it once, whoever comes first.
    fn open(&self, name: &str) -> Result<(), &'static str> {
        if self.hub.room(name).is_some() {
            return Ok(());
        }
        let rooms = self.hub.rooms().ok_or("not now")?;
        let (name, hub): (Arc<str>, _) = (name.into(), self.hub.clone());
        let archive = room::archive(hub.history());
        let room = ChildSpec::new(Arc::clone(&name), move |ctx| {
            let options = Options::new().register(hub.names().clone(), Arc::clone(&name));
            ctx.start::<Room>(
                (Arc::clone(&name), hub.clone(), Arc::clone(&archive)),
                options,
            )
        });
        match rooms.start_child(room) {
            Ok(_) => Ok(()),
            Err(error) => match error.kind() {
                AddChildErrorKind::AlreadyStarted(_) | AddChildErrorKind::AlreadyPresent => Ok(()),
                AddChildErrorKind::TooMany => Err("there are too many rooms"),
                _ => Err("not now"),
            },
        }
    }

    fn leave(&mut self, room: &str) -> Result<(), &'static str> {
        if !self.rooms.remove(room) {
            return Err("you are not in");
        }
        let left = self.hub.members().leave(room, &self.session.pid());
        left.map_err(|_| "you are gone")
    }

    fn say(&self, room: &str, text: &str) -> Result<(), &'static str> {
        let room = self.own(room)?;
        let say = Say(format!("{}: {text}", self.name()));
        // Waits while the room is busy.
        room.tell(say).map_err(|_| "not now, say it again")
    }

    fn crash_room(&self, room: &str) -> Result<(), &'static str> {
        let told = self.own(room)?.tell(room::Crash);
        told.map_err(|_| "not now")
    }

    /// A room that the session is in.
    fn own(&self, room: &str) -> Result<Addr<Room>, &'static str> {
        if !self.rooms.contains(room) {
            return Err("you are not in");
        }
        self.hub.room(room).ok_or("not now, say it again")
    }

    fn tell(&self, name: &str, text: &str) -> Result<(), &'static str> {
        let to = self.hub.user(name).ok_or("nobody is called so")?;
        let frame = lines::text(format!("@{}: {text}", self.name()));
        let told = to.try_tell(Deliver(frame));
        told.map_err(|_| "nobody is called so")?;
        self.answer(format!("> {name} {text}"));
        Ok(())
    }
}
