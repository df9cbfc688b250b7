//! Fifty thousand live connections on green threads, on one machine.
//!
//! ```sh
//! cargo run --release --example c50k
//! cargo run --release --example c50k -- --connections 1000 --seconds 3
//! cargo run --release --example c50k -- --async     # futures instead of green threads
//! cargo run --release --example c50k -- --compare   # 1 % active, against the same traffic with 1,000 open
//! ```
//!
//! The server is an echo server in plain blocking style, one green thread per connection (`c50k/server.rs`; its
//! heart is ten lines). The load comes from other processes (`c50k/load.rs`): the program runs itself again
//! in another role, and the processes talk in lines over their standard streams (`processes/protocol.rs`).
//!
//! One process may not have descriptors for 50,000 sockets. The limit is raised where that is
//! allowed; otherwise as many server processes share the port by `SO_REUSEPORT`, and as many load processes
//! connect to it, as the limit demands (`c50k/plan.rs`). The program says which.
//!
//! Every byte that comes back is compared with what was sent, and at the end the servers' counts with the
//! load's. Anything amiss ends the program with a non-zero status and says what it was.

#[path = "c50k/coordinator.rs"]
mod coordinator;
#[path = "c50k/load.rs"]
mod load;
#[path = "c50k/options.rs"]
mod options;
#[path = "c50k/plan.rs"]
mod plan;
#[path = "c50k/report.rs"]
mod report;
#[path = "c50k/server.rs"]
mod server;

use std::process::ExitCode;

use clap::Parser;

use options::{Options, Role};
use weftwork_examples::processes::Outcome;

fn main() -> ExitCode {
    let options = Options::parse();
    let (who, outcome) = match options.role {
        None => ("c50k", coordinator::run(&options)),
        Some(Role::Server) => ("c50k server", server::run(&options)),
        Some(Role::Load) => ("c50k load", load::run(&options)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{who}: {error}");
            ExitCode::FAILURE
        }
    }
}
