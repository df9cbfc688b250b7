//! HTTP/1.1 on a connection, as far as a small server needs it: keep-alive, pipelining, bodies of a known
//! length. `httparse` reads the heads.

use std::io::{self, Read, Write};

use weftwork::net::TcpStream;

/// What a request may have before its body, and in it.
const MAX_HEAD: usize = 8 * 1024;
const MAX_BODY: usize = 64 * 1024;

/// A request, as far as it matters here.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Whether the client wants the connection to go on.
    pub(crate) keep_alive: bool,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: &'static str,
    pub(crate) text: String,
}

/// A connection, and what was read from it and not used.
pub(crate) struct Connection<'a> {
    stream: &'a TcpStream,
    read: Vec<u8>,
}

impl<'a> Connection<'a> {
    pub(crate) fn new(stream: &'a TcpStream) -> Self {
        let read = Vec::new();
        Connection { stream, read }
    }

    /// Waits for the next request. `None`: the client has closed, or was told that nothing more is read.
    ///
    /// An error of the kind `InvalidData` is the client's, who may be told.
    pub(crate) fn next(&mut self) -> io::Result<Option<Request>> {
        loop {
            if let Some(request) = self.parse()? {
                return Ok(Some(request));
            }
            let mut chunk = [0; 4096];
            match (&mut &*self.stream).read(&mut chunk)? {
                0 if self.read.is_empty() => return Ok(None),
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => self.read.extend_from_slice(&chunk[..count]),
            }
        }
    }

    /// Takes a request off what was read, if it is there as a whole, with its body.
    fn parse(&mut self) -> io::Result<Option<Request>> {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut head = httparse::Request::new(&mut headers);
        let length = match head.parse(&self.read).map_err(invalid)? {
            httparse::Status::Partial if self.read.len() > MAX_HEAD => {
                return Err(invalid("the head is too long"));
            }
            httparse::Status::Partial => return Ok(None),
            httparse::Status::Complete(length) => length,
        };
        let mut body = 0;
        // The default of 1.1; that of 1.0 is to close.
        let mut keep_alive = head.version == Some(1);
        for header in &*head.headers {
            let value = String::from_utf8_lossy(header.value)
                .trim()
                .to_ascii_lowercase();
            match header.name.to_ascii_lowercase().as_str() {
                "content-length" => body = value.parse().map_err(invalid)?,
                "transfer-encoding" => return Err(invalid("the length of the body is not told")),
                "connection" => {
                    keep_alive = value == "keep-alive" || keep_alive && value != "close"
                }
                _ => {}
            }
        }
        if body > MAX_BODY {
            return Err(invalid("the body is too long"));
        }
        if self.read.len() < length + body {
            return Ok(None);
        }
        let request = Request {
            method: head.method.unwrap_or_default().to_owned(),
            path: head.path.unwrap_or_default().to_owned(),
            keep_alive,
        };
        self.read.drain(..length + body);
        Ok(Some(request))
    }

    /// Answers, and says whether the connection goes on.
    pub(crate) fn respond(
        &mut self,
        request: &Request,
        response: &Response,
        goes_on: bool,
    ) -> io::Result<()> {
        let Response { status, text } = response;
        let connection = if goes_on { "keep-alive" } else { "close" };
        let mut answer = format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\
             Connection: {connection}\r\nWorker: {}\r\n\r\n",
            text.len(),
            std::process::id(),
        );
        if request.method != "HEAD" {
            answer.push_str(text);
        }
        (&mut &*self.stream).write_all(answer.as_bytes())
    }
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
