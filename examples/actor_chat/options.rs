//! The flags.

use std::net::SocketAddr;

use clap::{Parser, ValueEnum};

/// Serves a chat of actors over WebSocket, or loads one and checks it.
#[derive(Parser, Debug, Clone)]
#[command(about, long_about = None)]
pub(crate) struct Options {
    /// Serve at this address until the process is asked to end, for real clients.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) serve: Option<SocketAddr>,

    /// Connections to hold.
    #[arg(long, value_name = "CONNECTIONS", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(50..=100_000))]
    pub(crate) load: u32,

    /// Members of each room; everybody is in two.
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u32).range(2..=1_000))]
    pub(crate) members: u32,

    /// Rounds of talk: in each, everybody says something in both rooms and to somebody else.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) rounds: u32,

    /// Bytes of a message.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(48..=512))]
    pub(crate) size: u32,

    /// Messages under way at once, per load process.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) in_flight: u32,

    /// Messages of its history that a room keeps.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=1_000))]
    pub(crate) history: u32,

    /// Load processes.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) loads: u32,

    /// Workers of the server; one for each processor, by default.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) workers: Option<u32>,

    /// Seconds after which the whole run counts as hung.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) limit: u64,

    /// A few seconds with 300 connections. Also by WEFTWORK_SMALL=1.
    #[arg(long)]
    pub(crate) small: bool,

    #[arg(long, hide = true)]
    pub(crate) role: Option<Role>,

    /// Where the server listens, for load processes.
    #[arg(long, hide = true, default_value = "127.0.0.1:0")]
    pub(crate) address: SocketAddr,

    /// Which of the load processes this is.
    #[arg(long, hide = true, default_value_t = 0)]
    pub(crate) index: u32,
}

/// What a process of the program does; without one it starts and coordinates the others, or serves.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Server,
    Load,
    Flood,
}

impl Options {
    /// The options with the small mode worked in.
    pub(crate) fn effective(mut self) -> Options {
        self.small |= std::env::var_os("WEFTWORK_SMALL").is_some_and(|v| v != "0");
        if self.small && self.role.is_none() {
            self.load = self.load.min(300);
            self.members = self.members.min(10);
            self.rounds = self.rounds.min(2);
            self.limit = self.limit.min(100);
        }
        self
    }

    /// The arguments of a child process in `role`.
    pub(crate) fn child_arguments(&self, role: &str, address: &str, index: u32) -> Vec<String> {
        let mut arguments = vec![
            format!("--role={role}"),
            format!("--address={address}"),
            format!("--index={index}"),
            format!("--load={}", self.load),
            format!("--members={}", self.members),
            format!("--size={}", self.size),
            format!("--in-flight={}", self.in_flight),
            format!("--history={}", self.history),
            format!("--loads={}", self.loads),
        ];
        arguments.extend(self.workers.map(|workers| format!("--workers={workers}")));
        arguments
    }
}
