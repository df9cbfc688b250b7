//! What clients and the server say to each other: texts of one line, in WebSocket messages.
//!
//! | a client says | |
//! | --- | --- |
//! | `/join #room`, `/leave #room` | comes, goes |
//! | `/say #room text` | to all members, itself included |
//! | `/msg name text` | to one |
//! | `/crash`, `/crash #room` | makes its session, or a room, panic |
//! | `/quit` | is said goodbye to |
//!
//! | the server says | |
//! | --- | --- |
//! | `= #room 17 ann bob` | you are in, the next message is number 17, here is who is there; the history follows |
//! | `~ #room 17 ann bob` | the same of a room that has crashed and is there again; no history |
//! | `+ #room ann`, `- #room ann` | comes, goes or crashes |
//! | `#room 17 ann: text` | message number 17, also as history |
//! | `@ann: text` | to you alone |
//! | `> bob text` | what you said to bob is in his mailbox |
//! | `! text` | no |

use tungstenite::Bytes;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};

/// The longest message that a client may send, in bytes.
pub(crate) const LONGEST: usize = 2_000;

/// The longest name of a user or a room, in bytes.
const LONGEST_NAME: usize = 40;

/// What a client wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command<'a> {
    Join(&'a str),
    Leave(&'a str),
    Say(&'a str, &'a str),
    Tell(&'a str, &'a str),
    Crash,
    CrashRoom(&'a str),
    Quit,
}

impl<'a> Command<'a> {
    /// Reads a line; the error is for the client.
    pub(crate) fn parse(line: &'a str) -> Result<Self, &'static str> {
        let (word, rest) = split(line);
        let (name, text) = split(rest);
        let room = || match is_room(name) {
            true => Ok(name),
            false => Err("a room is called #, then letters, digits or _"),
        };
        match word {
            "/join" => Ok(Command::Join(room()?)),
            "/leave" => Ok(Command::Leave(room()?)),
            "/say" if text.is_empty() => Err("say what?"),
            "/say" => Ok(Command::Say(room()?, text)),
            "/msg" if text.is_empty() => Err("say what?"),
            "/msg" => Ok(Command::Tell(name, text)),
            "/crash" if rest.is_empty() => Ok(Command::Crash),
            "/crash" => Ok(Command::CrashRoom(room()?)),
            "/quit" => Ok(Command::Quit),
            _ => Err("there are /join, /leave, /say, /msg, /crash and /quit"),
        }
    }
}

/// The first word, and the rest.
pub(crate) fn split(line: &str) -> (&str, &str) {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    (word, rest.trim())
}

/// Whether a user may be called so.
pub(crate) fn is_name(name: &str) -> bool {
    let is_fine = |c: char| c.is_alphanumeric() || c == '_';
    (1..=LONGEST_NAME).contains(&name.len()) && name.chars().all(is_fine)
}

fn is_room(name: &str) -> bool {
    name.strip_prefix('#').is_some_and(is_name)
}

/// Appends a text as a frame of the server's. These are not masked: what all members of a room get is
/// encoded once.
pub(crate) fn push_text(frames: &mut Vec<u8>, text: impl Into<String>) {
    push(
        frames,
        Frame::message(text.into(), OpCode::Data(Data::Text), true),
    );
}

/// A text as a frame.
pub(crate) fn text(text: impl Into<String>) -> Bytes {
    let mut frames = Vec::new();
    push_text(&mut frames, text);
    frames.into()
}

/// Appends a goodbye.
pub(crate) fn push_close(frames: &mut Vec<u8>, code: CloseCode, reason: &'static str) {
    let reason = reason.into();
    push(frames, Frame::close(Some(CloseFrame { code, reason })));
}

fn push(frames: &mut Vec<u8>, frame: Frame) {
    frame.format(frames).expect("a buffer takes everything");
}
