//! The Markdown of a table.

use std::fmt::Write;
use std::fs;

use comfy_table::Table;
use comfy_table::presets::ASCII_MARKDOWN;

use super::Options;
use super::results::{Results, Row, Summary};
use super::size::on_threads;
use crate::bars::{self, Metric, Verdict};
use crate::registry::Bench;

/// Figures shown beside `ns/op`, where a record has them: key and name.
const FIGURES: &[(&str, &str)] = &[
    ("rss_kib_per_unit", "RSS KiB"),
    ("pte_kib_per_unit", "page tables KiB"),
    ("spawn_ns_per_op", "spawn ns"),
    ("late_p50_us", "late p50 µs"),
    ("late_p99_us", "late p99 µs"),
    ("p50_us", "p50 µs"),
    ("p99_us", "p99 µs"),
    ("p999_us", "p99.9 µs"),
    ("server_cpu_ns_per_op", "server CPU ns"),
    ("first_us", "first µs"),
    ("instructions_per_op", "instructions"),
    ("alone_ns_per_op", "one thread alone ns"),
    ("times_alone", "times alone"),
    ("worst_us", "worst µs"),
    ("starved_pct", "starved %"),
    ("longest_ms", "longest ms"),
    ("alone_ms", "undisturbed ms"),
    ("writer_ns_per_op", "writer ns"),
    ("wrong_wakes", "wrong wake-ups"),
    ("bytes_per_var", "bytes per variable"),
    ("backlog", "not yet dropped"),
    ("bytes_per_actor", "bytes per actor"),
    ("wakeups_per_s", "wake-ups/s"),
    ("cpu_us_per_s", "CPU µs/s"),
];

/// Returns the tables of figures and of bars, and what failed.
pub(super) fn markdown(options: &Options, results: &Results) -> String {
    let mut text = String::new();
    let size = if options.quick {
        ", a tenth of the sizes (`--quick`)"
    } else {
        ""
    };
    let summary = if options.best {
        Summary::Best
    } else {
        Summary::Median
    };
    let runs = match summary {
        _ if options.reps == 1 => "One run",
        Summary::Median => "Medians of interleaved runs",
        Summary::Best => "The best of interleaved runs",
    };
    writeln!(
        text,
        "{runs} ({} of each){size}. {}\n",
        options.reps,
        machine()
    )
    .expect("a string takes all");
    writeln!(text, "{}\n", figures(results, summary)).expect("a string takes all");
    if let Some(verdicts) = verdicts(results, summary) {
        writeln!(text, "{verdicts}\n").expect("a string takes all");
    }
    for failure in results.failures() {
        writeln!(text, "- failed: {failure}").expect("a string takes all");
    }
    text
}

fn figures(results: &Results, summary: Summary) -> Table {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN);
    table.set_header([
        "bench",
        "workers",
        "peer",
        "ns/op",
        "min – max",
        "ours ÷ peer",
        "more",
    ]);
    for row in results.rows() {
        let range = row.range("ns_per_op");
        table.add_row([
            row.setting.name(),
            row.setting.workers.to_string(),
            row.peer.clone(),
            row.summary("ns_per_op", summary)
                .map(figure)
                .unwrap_or_default(),
            range
                .map(|(min, max)| format!("{} – {}", figure(min), figure(max)))
                .unwrap_or_default(),
            ratio(results, row, summary),
            more(row, summary),
        ]);
    }
    table
}

/// Returns the time of ours over that of the peer.
fn ratio(results: &Results, row: &Row, summary: Summary) -> String {
    if row.peer.starts_with("weftwork") {
        return String::new();
    }
    let ours = results.find(row.setting, counterpart(row.setting.bench, &row.peer));
    let time = |row: &Row| row.summary("ns_per_op", summary);
    let times = ours.and_then(time).zip(time(row));
    times
        .map(|(ours, peer)| format!("{:.2}", ours / peer))
        .unwrap_or_default()
}

/// Returns the form of ours that does what the peer does.
fn counterpart(bench: Bench, peer: &str) -> &'static str {
    match (bench, peer) {
        // Rayon's fork-join has its counterpart in our fork-join, not in a spawn per call.
        (Bench::CpuFib, "rayon") => "weftwork-join",
        // A crowd of tasks on tokio.
        (Bench::StmWake, "async-stm" | "tokio") => "weftwork-tokio",
        // What is between threads of the operating system stands beside such of ours.
        _ if between_threads(bench) && on_threads(peer) => "weftwork-threads",
        _ => "weftwork",
    }
}

fn between_threads(bench: Bench) -> bool {
    bench.is_of_transactions()
        || matches!(
            bench,
            Bench::Pingpong
                | Bench::Mpmc
                | Bench::Mpsc
                | Bench::Select
                | Bench::FanIn
                | Bench::IdleWaiters
                | Bench::Mutex
        )
}

fn more(row: &Row, summary: Summary) -> String {
    let mut parts = Vec::new();
    if row.setting.bench == Bench::Echo {
        parts.extend(
            row.summary("ops_per_s", summary)
                .map(|rate| format!("{} req/s", figure(rate))),
        );
    }
    for (key, name) in FIGURES {
        parts.extend(
            row.summary(key, summary)
                .map(|value| format!("{name} {}", figure(value))),
        );
    }
    parts.join(", ")
}

/// Returns the table of bars; `None`, when nothing of ours was measured that has one.
fn verdicts(results: &Results, summary: Summary) -> Option<Table> {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN);
    table.set_header([
        "bench", "workers", "ours", "promise", "measured", "limit", "verdict",
    ]);
    for bar in bars::bars() {
        for setting in bar.on.settings() {
            let figure_of = |peer: &str| results.find(setting, peer)?.metric(bar.metric, summary);
            if figure_of(bar.ours).is_none() {
                continue;
            }
            let (measured, limit, verdict) = match bar.judge(figure_of) {
                Verdict::Missing => (String::new(), String::new(), "a peer is missing"),
                Verdict::Measured { ours, limit, kept } => (
                    precise(bar.metric, ours),
                    precise(bar.metric, limit),
                    if kept { "pass" } else { "FAIL" },
                ),
            };
            table.add_row([
                setting.name(),
                setting.workers.to_string(),
                bar.ours.to_owned(),
                bar.promise(),
                measured,
                limit,
                verdict.to_owned(),
            ]);
        }
    }
    (!table.is_empty()).then_some(table)
}

/// Formats a figure with three significant digits or as a whole number.
fn figure(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        small if small < 10.0 => format!("{value:.2}"),
        medium if medium < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// Formats a figure that is compared with another: memory needs its second decimal.
fn precise(metric: Metric, value: f64) -> String {
    match metric {
        Metric::KibPerUnit => format!("{value:.3}"),
        _ => figure(value),
    }
}

/// Says on what the runs were made.
fn machine() -> String {
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    let information = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = information
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .and_then(|rest| rest.split(':').nth(1))
        .map_or("unknown CPU", str::trim);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{cpus} CPUs ({model}), Linux {}.", kernel.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_compared_with_the_form_of_ours_that_does_the_same() {
        assert_eq!(counterpart(Bench::Mpmc, "kanal"), "weftwork-threads");
        assert_eq!(counterpart(Bench::Mpmc, "kanal-tokio"), "weftwork");
        assert_eq!(counterpart(Bench::CpuFib, "rayon"), "weftwork-join");
        assert_eq!(counterpart(Bench::SpawnJoin, "std"), "weftwork");
    }

    #[test]
    fn figures_have_three_significant_digits_at_least() {
        let shown = [0.0, 1.234, 12.34, 123.4, 12345.6].map(figure);
        assert_eq!(shown, ["0", "1.23", "12.3", "123", "12346"]);
    }
}
