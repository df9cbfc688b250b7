//! A worker process: serves what comes in on the socket that the master has handed down.

use std::collections::HashMap;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use weftwork::net::{Shutdown, TcpListener, TcpStream};
use weftwork::sync::{Condvar, Mutex};
use weftwork::{Runtime, spawn};

use crate::Outcome;
use crate::http::{Connection, Request, Response};
use crate::options::Options;
use weftwork_examples::processes::lifetime::die_with_parent;

/// The connections that are open.
#[derive(Default)]
struct Open {
    connections: Mutex<HashMap<u64, Arc<TcpStream>>>,
    has_changed: Condvar,
    stops: AtomicBool,
}

impl Open {
    /// Notes a connection.
    fn enter(self: &Arc<Self>, number: u64, stream: TcpStream) -> Visit {
        let stream = Arc::new(stream);
        self.connections.lock().insert(number, Arc::clone(&stream));
        Visit {
            open: Arc::clone(self),
            number,
            stream,
        }
    }

    /// Lets no connection wait for another request: what has arrived is answered, then it ends.
    fn stop(&self) {
        self.stops.store(true, Ordering::SeqCst);
        for stream in self.connections.lock().values() {
            // One that has ended already needs no telling.
            let _ = stream.shutdown(Shutdown::Read);
        }
    }

    /// Waits until all connections have ended, for so long at most. Returns how many have not.
    fn wait(&self, time: Duration) -> usize {
        let mut connections = self.connections.lock();
        let _ =
            (self.has_changed).wait_timeout_while(&mut connections, time, |open| !open.is_empty());
        connections.len()
    }
}

/// A connection that is open. Dropping it says that it is not any more.
struct Visit {
    open: Arc<Open>,
    number: u64,
    stream: Arc<TcpStream>,
}

impl Drop for Visit {
    fn drop(&mut self) {
        let gone = self.open.connections.lock().remove(&self.number);
        drop(gone);
        self.open.has_changed.notify_all();
    }
}

/// Accepts for ever. A future, so that a stop can drop it where it waits.
async fn accept(listener: TcpListener, open: Arc<Open>) {
    for number in 0.. {
        match listener.accept_async().await {
            Ok((stream, _)) => {
                let visit = open.enter(number, stream);
                drop(spawn(move || serve(&visit)));
            }
            Err(error) => {
                // A worker without work is none: the master shall start another one.
                eprintln!("prefork worker: cannot accept: {error}");
                std::process::exit(1);
            }
        }
    }
}

/// Serves one connection until either side ends it.
fn serve(visit: &Visit) {
    let _ = visit.stream.set_nodelay(true);
    let mut connection = Connection::new(&visit.stream);
    loop {
        let (request, response) = match connection.next() {
            Ok(Some(request)) => {
                let response = answer(&request);
                (request, response)
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidData => bad_request(&error),
            // The client has gone.
            Ok(None) | Err(_) => return,
        };
        let goes_on = request.keep_alive && !visit.open.stops.load(Ordering::SeqCst);
        if connection.respond(&request, &response, goes_on).is_err() || !goes_on {
            return;
        }
    }
}

/// What to say to somebody who does not speak HTTP.
fn bad_request(error: &io::Error) -> (Request, Response) {
    let request = Request {
        method: String::new(),
        path: String::new(),
        keep_alive: false,
    };
    let response = Response {
        status: "400 Bad Request",
        text: format!("{error}\n"),
    };
    (request, response)
}

/// The pages.
fn answer(request: &Request) -> Response {
    let path = request.path.trim_start_matches('/');
    let (page, rest) = path.split_once('/').unwrap_or((path, ""));
    let (status, text) = match (page, rest.parse()) {
        ("", _) => ("200 OK", format!("this is worker {}\n", std::process::id())),
        ("echo", _) => ("200 OK", format!("{rest}\n")),
        ("slow", Ok(time)) => {
            // Only this connection waits.
            weftwork::time::sleep(Duration::from_millis(time));
            ("200 OK", format!("that took {time} ms\n"))
        }
        ("crash", _) => std::process::abort(),
        _ => ("404 Not Found", "no such page\n".to_owned()),
    };
    Response { status, text }
}

/// Serves until the master says `SIGTERM`.
pub(crate) fn run(options: &Options) -> Outcome<()> {
    die_with_parent().map_err(|e| e.to_string())?;
    // A ctrl-c reaches the workers, too; but when they stop is the master's to say.
    let mut signals = Signals::new([SIGTERM, SIGINT]).map_err(|e| format!("signals: {e}"))?;
    let socket = io::stdin().as_fd().try_clone_to_owned();
    let listener = TcpListener::from(socket.map_err(|e| format!("the socket: {e}"))?);
    // The workers share its flags, too: another one may have made it non-blocking for itself.
    let waits = listener.set_nonblocking(false);
    waits.map_err(|e| format!("the socket: {e}"))?;
    let runtime = Runtime::builder()
        .workers(1)
        .build()
        .map_err(|e| format!("runtime: {e}"))?;
    let open = Arc::new(Open::default());
    let door = runtime.spawn_async(accept(listener, Arc::clone(&open)));
    println!("worker {} serves", std::process::id());

    for signal in signals.forever() {
        if signal == SIGTERM {
            break;
        }
    }
    door.cancel();
    // From here on nobody comes in.
    drop(door.join());
    open.stop();
    let left = open.wait(options.grace());
    println!("worker {} stops, {left} cut off", std::process::id());
    // What is left is not worth unwinding.
    std::process::exit(0)
}
