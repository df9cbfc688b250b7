//! The command line.

use std::str::FromStr;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::registry::Bench;
use crate::setting::Capacity;

/// Benchmarks of Weftwork and of its peers.
#[derive(Debug, Parser)]
#[command(name = "weftwork-bench", args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    /// Name every bench with its peers, and end.
    #[arg(long)]
    pub(crate) list: bool,
    /// What to do other than one run.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// One run.
    #[command(flatten)]
    pub(crate) run: Run,
}

/// The commands beside a single run.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run ours and every peer interleaved, print medians, ratios and verdicts.
    Table(crate::table::Options),
    /// Drive an echo server with many connections and report throughput and latency.
    Loadgen(crate::loadgen::Options),
}

/// The flags of a single run. Each bench reads those it knows.
#[derive(Debug, Clone, Args)]
pub(crate) struct Run {
    /// The bench; `--list` names them.
    pub(crate) bench: Option<Bench>,
    /// Which implementation to measure.
    #[arg(long, default_value = "weftwork")]
    pub(crate) peer: String,
    /// Worker threads of the runtime (peers on OS threads: 1 pins the process to one CPU).
    #[arg(long, default_value_t = 1, value_parser = positive)]
    pub(crate) workers: usize,
    /// Number of operations, tasks, actors, leaves or timers; `k` and `m` multiply.
    #[arg(long, value_parser = count)]
    pub(crate) n: Option<u64>,
    /// Benches of channels: their capacity, or -1 for channels without bound.
    #[arg(long, allow_negative_numbers = true)]
    pub(crate) cap: Option<Capacity>,
    /// `mpmc`, `mpsc`, `fan_in`: tasks that send.
    #[arg(long, value_parser = positive)]
    pub(crate) producers: Option<usize>,
    /// `mpmc`: tasks that receive.
    #[arg(long, value_parser = positive)]
    pub(crate) consumers: Option<usize>,
    /// `mutex`: tasks that take the lock.
    #[arg(long, value_parser = positive)]
    pub(crate) tasks: Option<usize>,
    /// `stm_read`: variables that a transaction reads.
    #[arg(long, value_parser = positive)]
    pub(crate) vars: Option<usize>,
    /// `stm_bank`: so many of a hundred transactions read all accounts.
    #[arg(long)]
    pub(crate) audits: Option<usize>,
    /// `cpu_fib`: which Fibonacci number.
    #[arg(long, default_value_t = 30)]
    pub(crate) fib: u64,
    /// `timer`: the sleeps are spread over this many milliseconds. `idle`, `idle_waiters`: how long
    /// to watch. `stm_long_reader`: after so long the writer gives up.
    #[arg(long, default_value_t = 1000)]
    pub(crate) span_ms: u64,
    /// Stack size in bytes, for the peers that have one.
    #[arg(long, value_parser = count)]
    pub(crate) stack: Option<u64>,
    /// `echo`: port on 127.0.0.1.
    #[arg(long, default_value_t = 9000)]
    pub(crate) port: u16,
    /// `echo` of monoio: which I/O driver.
    #[arg(long, value_enum, default_value_t = Driver::Uring)]
    pub(crate) driver: Driver,
}

impl Run {
    /// Returns `--n`, or the bench's own default.
    pub(crate) fn n_or(&self, default: u64) -> u64 {
        self.n.unwrap_or(default)
    }

    /// Returns `--cap`, or the bench's own default.
    pub(crate) fn cap_or(&self, default: Capacity) -> Capacity {
        self.cap.unwrap_or(default)
    }

    /// Returns `--stack`, or the peer's own default.
    pub(crate) fn stack_or(&self, default: usize) -> usize {
        self.stack.map_or(default, |bytes| bytes as usize)
    }
}

/// The I/O drivers of monoio.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Driver {
    /// io_uring; the run fails where the kernel has none.
    Uring,
    /// epoll.
    Legacy,
}

/// Parses a count with an optional suffix `k` (thousand) or `m` (million).
pub(crate) fn count(text: &str) -> Result<u64, String> {
    let (digits, factor) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 1_000),
        Some(b'm' | b'M') => (&text[..text.len() - 1], 1_000_000),
        _ => (text, 1),
    };
    let value = u64::from_str(digits).map_err(|_| format!("not a count: {text:?}"))?;
    match value.checked_mul(factor) {
        Some(0) => Err("a count must be at least 1".to_owned()),
        Some(value) => Ok(value),
        None => Err(format!("too large: {text}")),
    }
}

/// Parses a number of threads or connections, which must not be zero.
pub(crate) fn positive(text: &str) -> Result<usize, String> {
    count(text).and_then(|value| usize::try_from(value).map_err(|error| error.to_string()))
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::{Cli, Command, count};
    use crate::setting::Capacity;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn counts_take_the_suffixes_k_and_m() {
        assert_eq!(count("7"), Ok(7));
        assert_eq!(count("30k"), Ok(30_000));
        assert_eq!(count("2M"), Ok(2_000_000));
    }

    #[test]
    fn a_count_of_zero_or_out_of_range_is_refused() {
        for text in ["0", "0k", "", "k", "-1", "1.5", "18446744073709551615m"] {
            assert!(count(text).is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn a_channel_without_bound_is_asked_for_by_a_negative_number() {
        let run = Cli::try_parse_from(["x", "mpmc", "--cap", "-1"])
            .unwrap()
            .run;
        assert_eq!(run.cap, Some(Capacity::Unbounded));
        assert!(Cli::try_parse_from(["x", "mpmc", "--cap", "-2"]).is_err());
    }

    #[test]
    fn a_bench_is_a_positional_beside_the_subcommands() {
        let run =
            Cli::try_parse_from(["x", "spawn_join", "--peer", "tokio", "--n", "10k"]).unwrap();
        assert!(run.command.is_none());
        assert_eq!(run.run.peer, "tokio");
        assert_eq!(run.run.n, Some(10_000));
        let table = Cli::try_parse_from(["x", "table", "--quick"]).unwrap();
        assert!(matches!(table.command, Some(Command::Table(_))));
        assert!(Cli::try_parse_from(["x", "no_such_bench"]).is_err());
    }
}
