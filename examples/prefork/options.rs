//! The flags.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;

/// Serves HTTP by several processes on one socket, or tests that it does.
#[derive(Parser, Debug, Clone)]
#[command(about, long_about = None)]
pub(crate) struct Options {
    /// Serve at this address until a signal comes, instead of the test.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) serve: Option<SocketAddr>,

    /// Worker processes; one per processor and at least two, by default.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) workers: Option<u16>,

    /// How long a request may go on after a stop, in milliseconds.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(..=3_600_000))]
    pub(crate) grace: u64,

    /// Run as a worker, on the socket that is the standard input. The master says so.
    #[arg(long, hide = true)]
    pub(crate) worker: bool,

    /// End when the process ends that has started this one. The test says so.
    #[arg(long, hide = true)]
    pub(crate) with_parent: bool,
}

impl Options {
    pub(crate) fn workers(&self) -> usize {
        let processors = || std::thread::available_parallelism().map_or(2, usize::from);
        self.workers
            .map_or_else(|| processors().max(2), usize::from)
    }

    pub(crate) fn grace(&self) -> Duration {
        Duration::from_millis(self.grace)
    }
}
