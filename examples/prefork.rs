//! A pre-fork HTTP server: worker processes that share one listening socket, kept by a supervisor.
//!
//! ```sh
//! cargo run --release --example prefork                             # tests itself
//! cargo run --release --example prefork -- --serve 127.0.0.1:8080   # for curl, wrk, a browser
//! curl -i http://127.0.0.1:8080/             # which worker are you?
//! curl http://127.0.0.1:8080/slow/500        # an answer that takes half a second
//! curl http://127.0.0.1:8080/crash           # takes the worker down; try the first one again
//! wrk -c 64 -d 5 http://127.0.0.1:8080/
//! ```
//!
//! The master (`prefork/master.rs`) binds the socket and hands it to each worker as standard input. A worker
//! is this program again, in another role (`prefork/worker.rs`): a runtime that serves HTTP/1.1 with
//! keep-alive (`prefork/http.rs`), one green thread per connection, in plain blocking style. Whatever a worker
//! dies of, the others go on, the socket stays open, and the supervisor starts another one.
//!
//! On `SIGTERM` or ctrl-c all workers stop at the same time: they accept no more, let go of the connections
//! that are idle, and finish the requests that they have. What is not finished by the deadline is cut off; a
//! worker that does not end even so is killed. No process is left behind, however the master ends.
//!
//! The test (`prefork/check.rs`) starts a server, loads it (`prefork/load.rs`), kills workers by `SIGKILL` and
//! by `/crash`, and stops the server while requests are under way. It fails if a request fails on a worker
//! that was not killed. Nothing here depends on unwinding: built with panic=abort it is the same.

#[path = "prefork/check.rs"]
mod check;
#[path = "prefork/client.rs"]
mod client;
#[path = "prefork/http.rs"]
mod http;
#[path = "prefork/load.rs"]
mod load;
#[path = "prefork/master.rs"]
mod master;
#[path = "prefork/options.rs"]
mod options;
#[path = "prefork/server.rs"]
mod server;
#[path = "prefork/worker.rs"]
mod worker;

use std::process::ExitCode;

use clap::Parser;

use options::Options;

/// What goes wrong here goes wrong for a person to read.
type Outcome<T> = Result<T, String>;

fn main() -> ExitCode {
    let options = Options::parse();
    let (who, outcome) = match options.serve {
        _ if options.worker => ("prefork worker", worker::run(&options)),
        Some(address) => ("prefork", master::run(address, &options)),
        None => ("prefork test", check::run()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{who}: {error}");
            ExitCode::FAILURE
        }
    }
}
