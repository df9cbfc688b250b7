//! A chat server of actors over WebSocket: rooms, presence, direct messages, and crashes that harm nobody.
//!
//! ```sh
//! cargo run --release --example actor_chat                            # 10,000 connections, which check
//! cargo run --release --example actor_chat -- --load 1000
//! cargo run --release --example actor_chat -- --serve 127.0.0.1:4000  # for real clients, until Ctrl-C
//! ```
//!
//! For the third, in the console of a browser:
//!
//! ```js
//! chat = new WebSocket("ws://127.0.0.1:4000/?name=ann"); chat.onmessage = event => console.log(event.data)
//! chat.send("/join #lobby"); chat.send("/say #lobby hello")
//! ```
//!
//! # Who there is
//!
//! ```text
//! app, rest for one
//! ├── rooms, one for one           a child for each room, permanent; its name is its id
//! ├── sessions, dynamic            a child for each connection, temporary
//! │   └── session                  one actor per connection: writes to the socket
//! │       └── reader               its linked task: reads from the socket
//! └── door                         accepts
//! ```
//!
//! A user's name is a name in a registry, taken with the start of the session and free with its end. A room
//! is a process group, and an actor that follows the group: members that join get its history, members that
//! leave, or crash, are missed by the others, and nobody has to do anything for that. A room that crashes is
//! started again, finds its members in the group, and goes on with the history where it was.
//!
//! # Two to a socket
//!
//! The *session* alone writes, the *reader* alone reads, and both wait on the same stream: it has one waker
//! for each direction, and no lock. Pongs and the answer to a close, which the protocol's library writes when
//! it reads, go through the session's mailbox, too (`Half` in `actor_chat/reader.rs`), so no frame is written
//! into another.
//!
//! The reader is a green thread that blocks in `read`, obeys a command, and reads the next one. It is the
//! reader, not the session, that waits where a command has to wait, for room in the mailbox of a room or for
//! the start of one. So the session waits for its own client and for nobody else.
//!
//! They end together. The reader's end is a `Down` to the session, and its crash an exit, by the link; the
//! session's end, of whatever kind, drops its state, and that shuts the socket down, so the reader reads an
//! end. A reader is blocked in plain code, which an exit alone would not reach.
//!
//! # A slow client
//!
//! Whoever sends to a session does not wait. Messages become bytes in the session's buffer, and are written
//! together by an asynchronous handler that awaits the socket. If the client does not read, its messages
//! wait in the mailbox, which is bounded (`BEHIND` in `actor_chat/session.rs`); one more is an overflow,
//! which stops the session where it awaits. So a client that is too slow loses its connection, for no other
//! choice keeps the promise that whoever is connected has every message of its rooms; it may come back, and
//! gets the history. Nobody waits for it, and the memory that it can take is bounded.
//!
//! In the other direction, a client that writes too fast waits: its reader reads no further while a room is
//! busy.
//!
//! # What is checked
//!
//! The program runs itself again as a server and as processes with the load (`actor_chat/coordinator.rs`).
//! Messages of a room are numbered, and of each sender, too, so every client finds every gap, double and
//! swap; it knows who must be in its rooms, and compares. Then a part of the sessions crash while the others
//! talk, and come back; rooms crash; clients stop reading (`actor_chat/flood.rs`); and at last the server says
//! goodbye to everybody, in phases. Anything amiss ends the program with a non-zero status and says what it was.
//! Built with panic=abort, what is to crash stops with an error instead.

#[path = "actor_chat/app.rs"]
mod app;
#[path = "actor_chat/checks.rs"]
mod checks;
#[path = "actor_chat/client.rs"]
mod client;
#[path = "actor_chat/coordinator.rs"]
mod coordinator;
#[path = "actor_chat/door.rs"]
mod door;
#[path = "actor_chat/flood.rs"]
mod flood;
#[path = "actor_chat/hub.rs"]
mod hub;
#[path = "actor_chat/lines.rs"]
mod lines;
#[path = "actor_chat/load.rs"]
mod load;
#[path = "actor_chat/options.rs"]
mod options;
#[path = "actor_chat/reader.rs"]
mod reader;
#[path = "actor_chat/report.rs"]
mod report;
#[path = "actor_chat/room.rs"]
mod room;
#[path = "actor_chat/server.rs"]
mod server;
#[path = "actor_chat/session.rs"]
mod session;
#[path = "actor_chat/signals.rs"]
mod signals;
#[path = "actor_chat/town.rs"]
mod town;

use std::process::ExitCode;

use clap::Parser;
use weftwork_examples::processes::Outcome;

use options::{Options, Role};

fn main() -> ExitCode {
    let options = Options::parse().effective();
    let (who, outcome) = match (options.role, options.serve) {
        (Some(Role::Server), _) => ("actor_chat server", server::obey(&options)),
        (Some(Role::Load), _) => ("actor_chat load", load::run(&options)),
        (Some(Role::Flood), _) => ("actor_chat flood", flood::run(&options)),
        (None, Some(address)) => ("actor_chat", server::serve(&options, address)),
        (None, None) => ("actor_chat", coordinator::run(&options)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{who}: {error}");
            ExitCode::FAILURE
        }
    }
}
