//! Where connections come in: accepts, and starts a session for each that has shaken hands.
//!
//! The door awaits the next connection, so its supervisor's order to stop reaches it at once. A handshake runs
//! in a green thread of its own, for a limited time, and so holds up nobody. The user's name is in the address
//! that the client asks for, `/?name=ann`; the session is started under that name, or not at all.

use std::io;
use std::time::Duration;

use tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tungstenite::http::StatusCode;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, WebSocketConfig};
use weftwork::actor::supervisor::ChildSpec;
use weftwork::actor::{Actor, AsyncHandler, Context, InitError};
use weftwork::net::{SocketAddr, TcpListener, TcpSocket, TcpStream};
use weftwork::spawn;
use weftwork::time::sleep_async;

use crate::hub::Hub;
use crate::lines::is_name;
use crate::reader::config;
use crate::session::Session;

/// How long a handshake may take, from read to read.
const SHAKING: Duration = Duration::from_secs(10);

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 4096;

/// What the kernel buffers for a client that does not read: the more, the later it is found out. It is more
/// than two of the largest segments, of 64 KiB on the loopback; with less, each waits for a delayed acknowledgement.
const BUFFER: u32 = 192 << 10;

/// Opens a port. Connections inherit its settings.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.set_nodelay(true)?;
    socket.set_send_buffer_size(BUFFER)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// The actor that accepts.
#[derive(Debug)]
pub(crate) struct Door {
    listener: TcpListener,
    hub: Hub,
}

/// Accept for ever.
#[derive(Debug)]
struct Open;

impl Actor for Door {
    type Args = (TcpListener, Hub);

    fn init((listener, hub): Self::Args, ctx: &mut Context<Self>) -> Result<Self, InitError> {
        ctx.continue_with(Open);
        Ok(Door { listener, hub })
    }
}

impl AsyncHandler<Open> for Door {
    type Reply = ();

    async fn handle(&mut self, _: Open, _: &mut Context<Self>) {
        loop {
            match self.listener.accept_async().await {
                Ok((stream, _)) => {
                    let hub = self.hub.clone();
                    drop(spawn(move || admit(stream, &hub)));
                }
                // A client that is gone again, or a shortage; the next one may have more luck.
                Err(_) => sleep_async(Duration::from_millis(10)).await,
            }
        }
    }
}

/// Shakes hands, and has a session started.
fn admit(stream: TcpStream, hub: &Hub) {
    // Whoever does not even shake hands is not told.
    let Ok((stream, name)) = shake(stream, hub) else {
        return;
    };
    let Ok(handle) = stream.try_clone() else {
        return;
    };
    let options = Session::options(hub, &name);
    let args = (stream, hub.clone());
    let session = ChildSpec::dynamic_once(move |ctx| ctx.start::<Session>(args, options));
    let started = hub
        .sessions()
        .map(|sessions| sessions.start_child(session).is_ok());
    if started != Some(true) {
        // The name was taken meanwhile, or there are too many.
        refuse(handle);
    }
}

/// The server's side of the handshake. Returns the name that the client has chosen.
#[expect(
    clippy::result_large_err,
    reason = "the library wants a whole response for an error"
)]
fn shake(stream: TcpStream, hub: &Hub) -> Result<(TcpStream, String), ()> {
    let mut name = String::new();
    let choose = |request: &Request, response: Response| {
        name = name_in(request).ok_or_else(|| {
            no(
                StatusCode::BAD_REQUEST,
                "/?name=, then letters, digits or _",
            )
        })?;
        if hub.user(&name).is_some() {
            return Err(no(StatusCode::CONFLICT, "somebody is called so"));
        }
        Ok(response)
    };
    stream.set_read_timeout(Some(SHAKING)).map_err(drop)?;
    let socket =
        tungstenite::accept_hdr_with_config(stream, choose, Some(config())).map_err(drop)?;
    // A client says nothing before it has been answered, so nothing is lost with the library's buffer.
    let stream = socket.into_inner();
    stream.set_read_timeout(None).map_err(drop)?;
    Ok((stream, name))
}

fn name_in(request: &Request) -> Option<String> {
    let mut fields = request.uri().query()?.split('&');
    let name = fields.find_map(|field| field.strip_prefix("name="))?;
    is_name(name).then(|| name.to_owned())
}

fn no(status: StatusCode, why: &str) -> ErrorResponse {
    let mut response = ErrorResponse::new(Some(why.to_owned()));
    *response.status_mut() = status;
    response
}

/// Closes a connection that has no session.
fn refuse(stream: TcpStream) {
    let config: WebSocketConfig = config();
    let role = tungstenite::protocol::Role::Server;
    let mut socket = tungstenite::WebSocket::from_raw_socket(stream, role, Some(config));
    let frame = CloseFrame {
        code: CloseCode::Again,
        reason: "no session for you now".into(),
    };
    // It is over anyhow.
    let _ = socket.close(Some(frame));
}
