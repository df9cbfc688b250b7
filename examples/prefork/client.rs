//! The other side: a client that keeps its connection.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::Instant;

use weftwork::net::TcpStream;

/// A connection to the server.
pub(crate) struct Client {
    stream: TcpStream,
    read: Vec<u8>,
    /// When it was opened.
    pub(crate) since: Instant,
    /// Which process is at the other end; not known before the first answer.
    pub(crate) worker: Option<u32>,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
    /// Whether the connection goes on.
    pub(crate) goes_on: bool,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Client> {
        let since = Instant::now();
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Client {
            stream,
            read: Vec::new(),
            since,
            worker: None,
        })
    }

    /// Sends a request and waits for the answer.
    pub(crate) fn get(&mut self, path: &str) -> io::Result<Answer> {
        self.send(path)?;
        self.receive()
    }

    /// Sends a request. When this returns, it has arrived at the other end of a connection of this machine.
    pub(crate) fn send(&mut self, path: &str) -> io::Result<()> {
        self.stream
            .write_all(format!("GET {path} HTTP/1.1\r\nHost: prefork\r\n\r\n").as_bytes())
    }

    /// Waits for the answer.
    pub(crate) fn receive(&mut self) -> io::Result<Answer> {
        loop {
            if let Some(answer) = self.parse()? {
                return Ok(answer);
            }
            let mut chunk = [0; 4096];
            match self.stream.read(&mut chunk)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => self.read.extend_from_slice(&chunk[..count]),
            }
        }
    }

    fn parse(&mut self) -> io::Result<Option<Answer>> {
        let mut headers = [httparse::EMPTY_HEADER; 16];
        let mut head = httparse::Response::new(&mut headers);
        let length = match head.parse(&self.read).map_err(io::Error::other)? {
            httparse::Status::Partial => return Ok(None),
            httparse::Status::Complete(length) => length,
        };
        let header = |name: &str| {
            let header = head.headers.iter().find(|header| header.name == name);
            let value = header.and_then(|header| std::str::from_utf8(header.value).ok());
            value.ok_or_else(|| io::Error::other(format!("no {name} in the answer")))
        };
        let number = |name| header(name)?.parse::<u32>().map_err(io::Error::other);
        let all = length + number("Content-Length")? as usize;
        if self.read.len() < all {
            return Ok(None);
        }
        self.worker = Some(number("Worker")?);
        let answer = Answer {
            status: head.code.unwrap_or_default(),
            text: String::from_utf8_lossy(&self.read[length..all]).into_owned(),
            goes_on: header("Connection")? == "keep-alive",
        };
        self.read.drain(..all);
        Ok(Some(answer))
    }
}
