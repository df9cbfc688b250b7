//! The load generator of the echo servers: one thread, in a process of its own.
//!
//! All connections are opened first, at most `--inflight` at a time, and one counts as open when
//! its first message has come back. Then, by `--mode`:
//!
//! - `echo`: `--depth` messages are kept in flight on each connection. The loop is closed: a
//!   connection sends its next message when the last has returned, so the latencies do not include
//!   the time that a message would have waited at the client.
//! - `idle`: one more message goes out on every connection at once, then they are only held;
//!   with `--server-pid`, the growth of the server's memory per connection is reported.
//! - `churn` (opens nothing beforehand): connect, one message, close with a reset, and again.
//!
//! With `--server-pid`, `echo` also reports the CPU time of the server per message, which tells servers
//! apart where the generator is the slower side.
//!
//! Every byte that returns is compared with what was sent. The generator stands on mio, so that it
//! shares no code with any server it measures, ours included.

mod connection;
mod phases;
#[cfg(test)]
mod tests;

use std::net::SocketAddrV4;
use std::time::Duration;

use clap::{Args, ValueEnum};
use hdrhistogram::Histogram;
use serde_json::{Map, Value};

use crate::cli::{count, positive};
use crate::measure::rounded;
use crate::process::Footprint;

use self::connection::Generator;

/// The flags of the load generator.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// Servers; connection i goes to the i-th in turn.
    #[arg(long, value_delimiter = ',', default_value = "127.0.0.1:9000")]
    pub(crate) addrs: Vec<SocketAddrV4>,
    /// Number of connections.
    #[arg(long, default_value = "50", value_parser = positive)]
    pub(crate) conns: usize,
    /// Bytes of a message.
    #[arg(long, default_value = "64", value_parser = positive)]
    pub(crate) size: usize,
    /// Messages in flight on each connection.
    #[arg(long, default_value = "1", value_parser = positive)]
    pub(crate) depth: usize,
    /// Seconds to measure.
    #[arg(long, default_value = "5", value_parser = count)]
    pub(crate) secs: u64,
    /// Seconds to run before measuring.
    #[arg(long, default_value_t = 1)]
    pub(crate) warmup: u64,
    /// Bind connections to 127.0.0.1, .2, .. up to this number in turn, which lifts the limit of
    /// one range of ephemeral ports (0: let the kernel choose).
    #[arg(long, default_value_t = 0)]
    pub(crate) srcs: u8,
    /// Connections that may be waiting for their first reply at once.
    #[arg(long, default_value = "256", value_parser = positive)]
    pub(crate) inflight: usize,
    /// What to do with the connections.
    #[arg(long, value_enum, default_value_t = Mode::Echo)]
    pub(crate) mode: Mode,
    /// Process of the server, whose memory and CPU time are to be reported.
    #[arg(long)]
    pub(crate) server_pid: Option<u32>,
    /// Name of the server, for the JSON line.
    #[arg(long, default_value = "?")]
    pub(crate) peer: String,
    /// Workers of the server, for the JSON line.
    #[arg(long, default_value_t = 1)]
    pub(crate) workers: usize,
}

/// What to do with the connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Keep messages in flight on each.
    Echo,
    /// Hold them.
    Idle,
    /// Open and close them.
    Churn,
}

impl Mode {
    fn bench(self) -> &'static str {
        match self {
            Mode::Echo => "echo",
            Mode::Idle => "echo_idle",
            Mode::Churn => "echo_churn",
        }
    }
}

/// What came of the connections and messages.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Connections open at the end.
    pub(crate) open: usize,
    /// How long opening them took; zero, where nothing was opened beforehand.
    pub(crate) connecting: Duration,
    /// Messages (or, of `churn`, whole connections) finished within `measured`.
    pub(crate) finished: u64,
    /// The time measured.
    pub(crate) measured: Duration,
    /// Growth of the server's memory.
    pub(crate) server: Option<Footprint>,
    /// CPU time of the server within `measured`.
    pub(crate) server_cpu: Option<Duration>,
}

/// Runs the load generator and prints its JSON line.
///
/// Without a single reply there is no figure: the run fails.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    let mut generator = Generator::new(options).map_err(|error| error.to_string())?;
    let outcome = generator.run().map_err(|error| error.to_string())?;
    if outcome.finished == 0 && options.mode != Mode::Idle || outcome.open == 0 {
        return Err(format!("nothing came back: {:?}", generator.faults));
    }
    println!("{}", to_json(options, &generator, &outcome));
    Ok(())
}

fn to_json(options: &Options, generator: &Generator, outcome: &Outcome) -> String {
    let connect_rate = match options.mode {
        Mode::Churn => outcome.finished as f64 / outcome.measured.as_secs_f64(),
        _ => outcome.open as f64 / outcome.connecting.as_secs_f64(),
    };
    let rate = match options.mode {
        Mode::Idle => connect_rate,
        _ => outcome.finished as f64 / outcome.measured.as_secs_f64(),
    };
    let mut line = Map::new();
    let mut put = |key: &str, value: Value| line.insert(key.into(), value);
    put("bench", options.mode.bench().into());
    put("peer", options.peer.clone().into());
    put("workers", options.workers.into());
    put("n", options.conns.into());
    put("ns_per_op", rounded(1e9 / rate));
    put("ops_per_s", rounded(rate));
    put("conns", options.conns.into());
    put("open", outcome.open.into());
    put("size", options.size.into());
    put("depth", options.depth.into());
    put("secs", rounded(outcome.measured.as_secs_f64()));
    put("p50_us", quantile_us(&generator.latency, 0.5));
    put("p99_us", quantile_us(&generator.latency, 0.99));
    put("p999_us", quantile_us(&generator.latency, 0.999));
    put("max_us", quantile_us(&generator.latency, 1.0));
    put("connect_per_s", rounded(connect_rate));
    put(
        "connect_p99_us",
        quantile_us(&generator.connect_latency, 0.99),
    );
    put("errors", generator.faults.lost.into());
    put("connect_errors", generator.faults.refused.into());
    put("verify_errors", generator.faults.corrupt.into());
    if let Some(server) = outcome.server.filter(|_| options.mode == Mode::Idle) {
        put(
            "rss_kib_per_unit",
            rounded(server.rss_kib / outcome.open as f64),
        );
        put(
            "pte_kib_per_unit",
            rounded(server.pte_kib / outcome.open as f64),
        );
    }
    if let Some(cpu) = outcome.server_cpu {
        put(
            "server_cpu_ns_per_op",
            rounded(cpu.as_nanos() as f64 / outcome.finished as f64),
        );
    }
    Value::Object(line).to_string()
}

fn quantile_us(histogram: &Histogram<u64>, quantile: f64) -> Value {
    rounded(histogram.value_at_quantile(quantile) as f64 / 1e3)
}
