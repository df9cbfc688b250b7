//! The echo server: one green thread, or one future, per connection.

use std::io::{self, BufRead, Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use weftwork::net::{SocketAddr, TcpListener, TcpSocket, TcpStream};
use weftwork::{Runtime, spawn, spawn_async};

use crate::Outcome;
use crate::options::Options;
use weftwork_examples::processes::lifetime::die_with_parent;
use weftwork_examples::processes::measure::Usage;
use weftwork_examples::processes::protocol::Message;

/// What a connection reads at once. It lives on the green thread's stack, or in the future.
const BUFFER: usize = 512;

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 4096;

/// What this server did.
#[derive(Debug, Default)]
struct Counts {
    accepted: AtomicU64,
    /// Connections that the other end closed in an orderly way.
    ended: AtomicU64,
    /// Bytes sent back on connections that have ended.
    echoed: AtomicU64,
    failed: AtomicU64,
    first_failure: Mutex<Option<String>>,
}

/// Sends everything back until the other end closes. Returns the number of bytes.
fn serve(mut connection: TcpStream) -> io::Result<u64> {
    let mut buffer = [0; BUFFER];
    let mut echoed = 0;
    loop {
        let count = connection.read(&mut buffer)?;
        if count == 0 {
            return Ok(echoed);
        }
        connection.write_all(&buffer[..count])?;
        echoed += count as u64;
    }
}

/// The same as a future.
async fn serve_async(connection: TcpStream) -> io::Result<u64> {
    let mut buffer = [0; BUFFER];
    let mut echoed = 0;
    loop {
        let count = connection.read_async(&mut buffer).await?;
        if count == 0 {
            return Ok(echoed);
        }
        connection.write_all_async(&buffer[..count]).await?;
        echoed += count as u64;
    }
}

/// Accepts for ever.
fn accept(listener: &TcpListener, counts: &Arc<Counts>, use_async: bool) -> io::Result<()> {
    loop {
        let (connection, _) = listener.accept()?;
        counts.accepted.fetch_add(1, Ordering::Relaxed);
        // Dropping the handle detaches the task.
        let counts = Arc::clone(counts);
        if use_async {
            drop(spawn_async(async move {
                counts.note(serve_async(connection).await);
            }));
        } else {
            drop(spawn(move || counts.note(serve(connection))));
        }
    }
}

impl Counts {
    /// Notes how a connection ended.
    fn note(&self, result: io::Result<u64>) {
        match result {
            Ok(echoed) => {
                self.echoed.fetch_add(echoed, Ordering::Relaxed);
                self.ended.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => {
                let first = &self.first_failure;
                let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
                first.get_or_insert_with(|| error.to_string());
                self.failed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn report(&self) -> Outcome<Message> {
        let usage = Usage::now()?;
        let first = &self.first_failure;
        let first = first.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Message::new("report")
            .with("accepted", self.accepted.load(Ordering::Relaxed))
            .with("ended", self.ended.load(Ordering::Relaxed))
            .with("echoed", self.echoed.load(Ordering::Relaxed))
            .with("failed", self.failed.load(Ordering::Relaxed))
            .with("rss_kib", usage.rss_kib)
            .with("tables_kib", usage.tables_kib)
            .with("cpu_us", usage.cpu_us)
            .with("voluntary", usage.voluntary)
            .with("involuntary", usage.involuntary)
            .with("text", first.as_deref().unwrap_or("none")))
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves until standard input ends or says to quit.
pub(crate) fn run(options: &Options) -> Outcome<()> {
    die_with_parent().map_err(|e| e.to_string())?;
    let listener = listen(options.address).map_err(|e| format!("{}: {e}", options.address))?;
    let runtime = Runtime::builder()
        .workers(options.workers.unwrap_or(1) as usize)
        .build()
        .map_err(|e| format!("runtime: {e}"))?;
    let counts = Arc::new(Counts::default());

    let served = Arc::clone(&counts);
    let use_async = options.use_async;
    std::thread::spawn(move || {
        let result = runtime.run(move || accept(&listener, &served, use_async));
        // Accepting ends only by an error, and then there is no server.
        let text = result.map_or_else(|error| error.to_string(), |()| String::new());
        Message::new("error").with("text", text).say();
        std::process::exit(1);
    });

    Message::new("ready").say();
    for line in io::stdin().lock().lines() {
        match line.map_err(|e| e.to_string())?.trim() {
            "report" => counts.report()?.say(),
            "quit" => break,
            other => return Err(format!("unknown command: {other}")),
        }
    }
    Ok(())
}
