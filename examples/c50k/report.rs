//! The table at the end.

use comfy_table::{CellAlignment, Table, presets};

use crate::coordinator::{ServerTotals, Traffic};
use crate::options::Options;
use crate::plan::Plan;
use weftwork_examples::processes::measure::Kernel;

/// Everything that was measured.
#[derive(Debug)]
pub(crate) struct Results {
    pub(crate) options: Options,
    pub(crate) plan: Plan,
    pub(crate) before: ServerTotals,
    pub(crate) idle: ServerTotals,
    pub(crate) after: ServerTotals,
    pub(crate) kernel_before: Kernel,
    pub(crate) kernel_idle: Kernel,
    /// Seconds spent connecting.
    pub(crate) opening: f64,
    pub(crate) comparison: Vec<Traffic>,
    pub(crate) traffic: Traffic,
}

/// Prints them.
pub(crate) fn print(results: &Results) {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    for (name, value) in rows(results) {
        table.add_row([name, value]);
    }
    if let Some(column) = table.column_mut(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    println!("{table}");
}

fn rows(results: &Results) -> Vec<(String, String)> {
    let Results {
        options,
        plan,
        before,
        idle,
        after,
        kernel_before,
        kernel_idle,
        opening,
        comparison,
        traffic,
    } = results;
    let connections = f64::from(options.connections);
    let per_connection = |kib: u64| kib as f64 / connections;
    let rss = per_connection(idle.rss_kib.saturating_sub(before.rss_kib));
    let tables = per_connection(idle.tables_kib.saturating_sub(before.tables_kib));
    let slab = per_connection(kernel_idle.slab_kib.saturating_sub(kernel_before.slab_kib));
    let buffers = kernel_idle
        .buffers_kib
        .saturating_sub(kernel_before.buffers_kib);
    let served_by = format!(
        "{} x {} worker{}, fullest {}",
        plan.servers,
        plan.workers,
        if plan.workers == 1 { "" } else { "s" },
        idle.fullest
    );
    let mut rows = vec![
        row("connections held", options.connections.to_string()),
        row("server processes", served_by),
        row("load processes", plan.loads.len().to_string()),
        row("connect rate", format!("{:.0} /s", connections / opening)),
        row(
            "user memory per idle connection",
            format!("{:.2} KiB", rss + tables),
        ),
        row("  resident", format!("{rss:.2} KiB")),
        row("  page tables", format!("{tables:.2} KiB")),
        row("kernel memory per connection, both ends", {
            format!("{:.2} KiB", slab + per_connection(buffers))
        }),
        row("  slabs", format!("{slab:.2} KiB")),
        row(
            "  socket buffers",
            format!("{:.2} KiB", per_connection(buffers)),
        ),
        row("server memory after the traffic", {
            let total = after.rss_kib + after.tables_kib;
            format!("{:.1} MiB in all", total as f64 / 1024.0)
        }),
    ];
    match &comparison[..] {
        [first, last] => {
            for period in [first, traffic, last] {
                rows.extend(traffic_rows(period));
            }
            let mean = |of: fn(&Traffic) -> f64| (of(first) + of(last)) / 2.0;
            let percent =
                |of: fn(&Traffic) -> f64| format!("{:.1} %", of(traffic) / mean(of) * 100.0);
            rows.push(row(
                &format!("{} open against {}:", traffic.open, first.open),
                String::new(),
            ));
            rows.push(row("  throughput", percent(Traffic::rate)));
            rows.push(row(
                "  server CPU per message",
                percent(Traffic::cpu_per_message),
            ));
        }
        _ => rows.extend(traffic_rows(traffic)),
    }
    rows
}

fn traffic_rows(traffic: &Traffic) -> Vec<(String, String)> {
    let latency = |quantile: f64| {
        let ns = traffic.latencies.value_at_quantile(quantile);
        format!("{:.0} us", ns as f64 / 1000.0)
    };
    let per_message = |count: u64| count as f64 / traffic.messages as f64;
    vec![
        row(
            &format!(
                "traffic: {} of {} connections",
                traffic.active, traffic.open
            ),
            format!("{} messages in {:.1} s", traffic.messages, traffic.seconds),
        ),
        row("  throughput", format!("{:.0} /s", traffic.rate())),
        row(
            "  server CPU per message",
            format!("{:.2} us", traffic.cpu_per_message()),
        ),
        row("  latency p50", latency(0.5)),
        row("  latency p99", latency(0.99)),
        row("  latency p99.9", latency(0.999)),
        row(
            "  messages per connection",
            format!("{} to {}", traffic.least, traffic.most),
        ),
        row("  context switches of the servers", {
            format!(
                "{} waiting, {} forced",
                traffic.voluntary, traffic.involuntary
            )
        }),
        row("  per message", {
            format!(
                "{:.4}",
                per_message(traffic.voluntary + traffic.involuntary)
            )
        }),
    ]
}

fn row(name: &str, value: String) -> (String, String) {
    (name.to_owned(), value)
}
