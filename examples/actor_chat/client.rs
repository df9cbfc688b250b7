//! The client's end of one connection, which never waits.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::time::Duration;

use tungstenite::client::IntoClientRequest;
use tungstenite::handshake::client::{ClientHandshake, Request};
use tungstenite::handshake::{HandshakeError, MidHandshake};
use tungstenite::protocol::WebSocketConfig;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Error, Message, Utf8Bytes, WebSocket};
use weftwork::net::{TcpSocket, TcpStream};
use weftwork_reactor::{Interest, Mode, Poller, Token};

use crate::Outcome;
use crate::reader::config;

/// How long the server may take to accept.
const PATIENCE: Duration = Duration::from_secs(20);

/// A socket whose calls would rather fail than wait.
#[derive(Debug)]
pub(crate) struct Wire(TcpStream);

impl Read for Wire {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buf)
    }
}

impl Write for Wire {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.try_write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A connection.
#[derive(Debug)]
pub(crate) enum Link {
    Shaking(MidHandshake<ClientHandshake<Wire>>),
    Open(Box<WebSocket<Wire>>),
    Closed,
}

/// What a look at a connection finds.
#[derive(Debug)]
pub(crate) enum News {
    /// The handshake is over.
    Open,
    Line(Utf8Bytes),
    /// The server says goodbye; it is answered with the next look.
    Goodbye(CloseCode),
    /// The connection is over. Whether a goodbye came before, the caller knows.
    Closed,
    Nothing,
}

/// How a client speaks the protocol: what a server says may be long.
pub(crate) fn client_config() -> WebSocketConfig {
    config().max_message_size(None).max_frame_size(None)
}

/// What a client asks for.
pub(crate) fn request(server: SocketAddr, name: &str) -> Outcome<Request> {
    let request = format!("ws://{server}/?name={name}").into_client_request();
    request.map_err(|e| e.to_string())
}

impl Link {
    /// Connects from an address of its own load process, has the poller watch it as `token`, and begins to
    /// shake hands.
    pub(crate) fn connect(
        server: SocketAddr,
        process: u32,
        poller: &Poller,
        token: u32,
        name: &str,
    ) -> Outcome<Link> {
        let open = || -> io::Result<TcpStream> {
            let socket = TcpSocket::new_v4()?;
            // 127.0.0.x is left to others.
            let source = Ipv4Addr::new(127, 0, 1 + process as u8, 1);
            socket.set_bind_address_no_port(true)?;
            socket.bind(SocketAddr::from((source, 0)))?;
            let stream = socket.connect_timeout(server, PATIENCE)?;
            stream.set_nodelay(true)?;
            let interest = Interest::READABLE | Interest::WRITABLE;
            let token = Token::new(token, 0);
            poller.add(stream.as_raw_fd(), token, interest, Mode::Edge)?;
            Ok(stream)
        };
        let stream = open().map_err(|e| format!("{name} cannot connect: {e}"))?;
        let request = request(server, name)?;
        let shaken = ClientHandshake::start(Wire(stream), request, Some(client_config()));
        shaken
            .map(Link::Shaking)
            .map_err(|e| format!("{name}: handshake: {e}"))
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self, Link::Open(_))
    }

    /// Says something. What the socket does not take now goes with a later [`flush`](Self::flush).
    pub(crate) fn say(&mut self, line: String) -> Outcome<()> {
        match self {
            Link::Open(socket) => may_block(socket.send(Message::text(line))),
            _ => Err("there is no connection".to_owned()),
        }
    }

    /// Goes on writing.
    pub(crate) fn flush(&mut self) -> Outcome<()> {
        match self {
            Link::Open(socket) => may_block(socket.flush()),
            _ => Ok(()),
        }
    }

    /// Looks for the next thing that has come.
    pub(crate) fn look(&mut self) -> Outcome<News> {
        match std::mem::replace(self, Link::Closed) {
            Link::Closed => Ok(News::Nothing),
            Link::Shaking(shaking) => match shaking.handshake() {
                Ok((socket, _)) => {
                    *self = Link::Open(Box::new(socket));
                    Ok(News::Open)
                }
                Err(HandshakeError::Interrupted(shaking)) => {
                    *self = Link::Shaking(shaking);
                    Ok(News::Nothing)
                }
                Err(HandshakeError::Failure(error)) => Err(format!("handshake: {error}")),
            },
            Link::Open(mut socket) => {
                let news = match socket.read() {
                    Ok(Message::Text(line)) => News::Line(line),
                    Ok(Message::Close(frame)) => {
                        News::Goodbye(frame.map_or(CloseCode::Status, |frame| frame.code))
                    }
                    Ok(other) => return Err(format!("what is {other:?}?")),
                    Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => News::Nothing,
                    // An end; a protocol error is one without a goodbye.
                    Err(Error::ConnectionClosed | Error::Protocol(_) | Error::Io(_)) => {
                        return Ok(News::Closed);
                    }
                    Err(error) => return Err(error.to_string()),
                };
                *self = Link::Open(socket);
                Ok(news)
            }
        }
    }
}

fn may_block(written: tungstenite::Result<()>) -> Outcome<()> {
    match written {
        Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => Ok(()),
        written => written.map_err(|e| e.to_string()),
    }
}
