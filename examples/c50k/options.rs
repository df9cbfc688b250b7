//! The flags.

use std::net::SocketAddr;

use clap::{Parser, ValueEnum};

/// Holds many live connections on green threads and measures what they cost.
#[derive(Parser, Debug, Clone)]
#[command(about, long_about = None)]
pub(crate) struct Options {
    /// Connections to hold.
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) connections: u32,

    /// Bytes per message.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(crate) size: u32,

    /// Seconds of traffic; each active connection exchanges at least one message even so.
    #[arg(long, default_value_t = 10.0, value_parser = within::<0, 3_600>)]
    pub(crate) seconds: f64,

    /// Messages under way at once, per load process.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) in_flight: u32,

    /// How many of the connections take part in the traffic, in percent.
    #[arg(long, default_value_t = 100.0, value_parser = within::<0, 100>)]
    pub(crate) active_percent: f64,

    /// Measure the same traffic, over 1 % of the connections, with 1,000 open and with all open.
    #[arg(long)]
    pub(crate) compare: bool,

    /// Serve connections by futures instead of green threads.
    #[arg(long = "async")]
    pub(crate) use_async: bool,

    /// Server processes; as many as the limit on descriptors demands, by default.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(crate) servers: Option<u32>,

    /// Load processes; as many as the limit on descriptors demands, by default.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=200))]
    pub(crate) loads: Option<u32>,

    /// Workers of each server; the processors are shared out, by default.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) workers: Option<u32>,

    /// Connections from each source address, 127.0.x.y.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=25_000))]
    pub(crate) per_source: u32,

    /// Seconds after which the whole run counts as hung.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) limit: u64,

    /// A few seconds with 1,000 connections and two processes of each kind. Also by WEFTWORK_SMALL=1.
    #[arg(long)]
    pub(crate) small: bool,

    #[arg(long, hide = true)]
    pub(crate) role: Option<Role>,

    /// Where servers listen, for the other roles.
    #[arg(long, hide = true, default_value = "127.0.0.1:0")]
    pub(crate) address: SocketAddr,

    /// Which of the load processes this is.
    #[arg(long, hide = true, default_value_t = 0)]
    pub(crate) index: u32,
}

/// What a process of the program does; without one it starts and coordinates the others.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Server,
    Load,
}

/// Reads a number that lies in a range.
fn within<const LEAST: u32, const MOST: u32>(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if (f64::from(LEAST)..=f64::from(MOST)).contains(&number) => Ok(number),
        _ => Err(format!("a number from {LEAST} to {MOST} is needed")),
    }
}

impl Options {
    /// The options with the small mode worked in.
    pub(crate) fn effective(&self) -> Options {
        let mut options = self.clone();
        options.small |= std::env::var_os("WEFTWORK_SMALL").is_some_and(|v| v != "0");
        if options.small {
            options.connections = options.connections.min(1_000);
            options.seconds = options.seconds.min(1.0);
            options.servers = options.servers.or(Some(2));
            options.loads = options.loads.or(Some(2));
            options.limit = options.limit.min(60);
        }
        options
    }

    /// The arguments of a child process in `role`.
    pub(crate) fn child_arguments(&self, role: &str, index: u32, workers: u32) -> Vec<String> {
        let mut arguments = vec![
            format!("--role={role}"),
            format!("--address={}", self.address),
            format!("--index={index}"),
            format!("--size={}", self.size),
            format!("--per-source={}", self.per_source),
            format!("--workers={workers}"),
        ];
        if self.use_async {
            arguments.push("--async".to_owned());
        }
        arguments
    }
}
