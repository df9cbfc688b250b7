//! One connection's actor: it has the user's name, is a member of rooms, and alone writes to the socket.
//!
//! What is to be written is encoded already. It is gathered in a buffer, and a message to itself, behind those
//! that have arrived, writes all of it at once. That handler is asynchronous: it awaits the socket without a
//! stack, and an overflow of the mailbox, an exit or a kill ends the session where it awaits.
//!
//! Life: started by the door with a socket whose handshake is over; ends when its reader has ended, when the
//! client takes nothing any more, or by a crash. Whatever the end, the state is dropped, and with it the
//! socket is shut down in both directions: see [`Line`].

use std::io;
use std::mem;
use std::net::Shutdown;
use std::time::Duration;

use tungstenite::Bytes;
use tungstenite::protocol::frame::coding::CloseCode;
use weftwork::actor::{
    Actor, AsyncHandler, Context, Down, Handler, InitError, Mailbox, OnFull, Options, Reason,
};
use weftwork::net::TcpStream;
use weftwork::time::timeout_async;

use crate::hub::Hub;
use crate::{app, lines, reader};

/// How many messages a client may be behind, besides what the socket and one write hold.
const BEHIND: usize = 256;

/// How long a client may take nothing of what is written to it.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a client may take to answer a goodbye.
const PARTING: Duration = Duration::from_secs(5);

/// A session.
#[derive(Debug)]
pub(crate) struct Session {
    line: Line,
    hub: Hub,
    /// Frames that are not written yet.
    out: Vec<u8>,
    /// How many messages they are of.
    waiting: u64,
    /// A `Flush` is on its way.
    will_flush: bool,
    /// Goodbye was said: nothing may follow.
    is_leaving: bool,
    /// The reader has ended: what is there is written, then it is over.
    has_no_reader: bool,
}

/// The socket. Dropping it ends the conversation in both directions, whoever else has a handle.
#[derive(Debug)]
struct Line(TcpStream);

impl Drop for Line {
    fn drop(&mut self) {
        // It may have been shut down by the client.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

/// Write this: one frame or several, for one message to the client.
#[derive(Debug, Clone)]
pub(crate) struct Deliver(pub(crate) Bytes);

/// Say goodbye, and wait for the client's.
#[derive(Debug)]
pub(crate) struct Goodbye(pub(crate) CloseCode, pub(crate) &'static str);

/// The time for the client's goodbye is over.
#[derive(Debug)]
struct Overdue;

/// Panic.
#[derive(Debug)]
pub(crate) struct Crash;

/// Write what has been gathered.
#[derive(Debug)]
struct Flush;

impl Session {
    /// With what a session is started, besides its arguments, by its supervisor. Its name is taken, or there
    /// is no session.
    pub(crate) fn options(hub: &Hub, name: &str) -> Options {
        Options::new()
            .mailbox(Mailbox::with(BEHIND, OnFull::StopActor))
            .register(hub.names().clone(), name)
    }

    fn flush_soon(&mut self, ctx: &mut Context<Self>) {
        if !mem::replace(&mut self.will_flush, true) {
            ctx.send_self(Flush);
        }
    }

    async fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let count = match self.line.0.try_write(bytes) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        if count == bytes.len() {
            return Ok(());
        }
        let rest = self.line.0.write_all_async(&bytes[count..]);
        timeout_async(PATIENCE, rest)
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Actor for Session {
    type Args = (TcpStream, Hub);

    fn init((stream, hub): Self::Args, ctx: &mut Context<Self>) -> Result<Self, InitError> {
        let addr = ctx.addr();
        let (handle, shared) = (stream.try_clone(), hub.clone());
        let handle = handle.map_err(InitError::failed)?;
        let line = Line(stream);
        let reader = ctx
            .task(move || reader::run(handle, &addr, &shared))
            .map_err(InitError::failed)?;
        ctx.monitor(reader.pid());
        Ok(Session {
            line,
            hub,
            out: Vec::new(),
            waiting: 0,
            will_flush: false,
            is_leaving: false,
            has_no_reader: false,
        })
    }

    /// The reader has ended: its client has, or was told off. The answer to the client's goodbye may be in
    /// the buffer.
    fn on_down(&mut self, _: Down, ctx: &mut Context<Self>) {
        self.has_no_reader = true;
        if !self.will_flush {
            ctx.stop(Reason::Normal);
        }
    }
}

impl Handler<Deliver> for Session {
    type Reply = ();

    fn handle(&mut self, Deliver(frames): Deliver, ctx: &mut Context<Self>) {
        if !self.is_leaving {
            self.out.extend_from_slice(&frames);
            self.waiting += 1;
            self.flush_soon(ctx);
        }
    }
}

impl AsyncHandler<Flush> for Session {
    type Reply = ();

    async fn handle(&mut self, _: Flush, ctx: &mut Context<Self>) {
        self.will_flush = false;
        // The memory goes, too: most of the connections are idle most of the time.
        let out = mem::take(&mut self.out);
        if self.write(&out).await.is_err() || self.has_no_reader {
            ctx.stop(Reason::Normal);
        }
        self.hub.counts().written.add(mem::take(&mut self.waiting));
    }
}

impl Handler<Goodbye> for Session {
    type Reply = ();

    fn handle(&mut self, Goodbye(code, reason): Goodbye, ctx: &mut Context<Self>) {
        if !mem::replace(&mut self.is_leaving, true) {
            lines::push_close(&mut self.out, code, reason);
            self.flush_soon(ctx);
            ctx.send_after(PARTING, Overdue);
        }
    }
}

impl Handler<Overdue> for Session {
    type Reply = ();

    fn handle(&mut self, _: Overdue, ctx: &mut Context<Self>) {
        ctx.stop(Reason::Normal);
    }
}

impl Handler<Crash> for Session {
    type Reply = ();

    fn handle(&mut self, _: Crash, ctx: &mut Context<Self>) {
        app::crash(ctx);
    }
}
