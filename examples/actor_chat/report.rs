//! The table at the end.

use comfy_table::{CellAlignment, Table, presets};
use hdrhistogram::Histogram;

use crate::coordinator::{Phase, Results};
use crate::flood;

/// Prints what was measured.
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
    println!("shutdown: {}", results.phases);
}

fn rows(results: &Results) -> Vec<(String, String)> {
    let Results {
        options,
        before,
        idle,
        after,
        coming,
        talk,
        crash,
        again,
        breaking,
        flooded,
        flood,
        parting,
        ..
    } = results;
    let people = f64::from(options.load);
    let growth =
        (idle.rss_kib + idle.tables_kib).saturating_sub(before.rss_kib + before.tables_kib);
    let per_connection = growth as f64 / people;
    let mib = |kib: u64| format!("{:.1} MiB", kib as f64 / 1024.0);
    let mut rows = vec![
        row("connections", options.load.to_string()),
        row("rooms", format!("{} of {}", results.rooms, options.members)),
        row(
            "join rate, with names, rooms and presence",
            format!("{:.0} /s", people / coming.seconds),
        ),
        row("  news of presence", rate(coming.presence, coming)),
        row(
            "memory of the server, all idle",
            format!("{} resident", mib(idle.rss_kib)),
        ),
        row("  per connection", format!("{per_connection:.2} KiB")),
        row("  after everything", mib(after.rss_kib)),
    ];
    rows.extend(phase_rows("talk", talk));
    rows.push(row(
        "  server CPU per message received",
        format!(
            "{:.2} us",
            results.talk_cpu_us as f64 / talk.received as f64
        ),
    ));
    rows.extend(phase_rows("talk while sessions crash", crash));
    rows.push(row(
        "  sessions crashed, survived by all others",
        crash.ended.to_string(),
    ));
    rows.push(row(
        "  came back",
        format!("{:.0} /s", crash.ended as f64 / again.seconds),
    ));
    rows.push(row(
        "rooms crashed and started again",
        format!(
            "{} in {:.0} ms",
            after.rooms_crashed,
            breaking.seconds * 1000.0
        ),
    ));
    rows.extend(phase_rows("talk while others do not read", flooded));
    rows.push(row(
        "  sessions stopped by overflow",
        format!("{} of {}", after.slow, flood::SLOW),
    ));
    rows.push(row(
        "  got at most",
        format!(
            "{} of {} messages",
            flood.most,
            flood.received / u64::from(flood::READERS + 1)
        ),
    ));
    rows.extend(latency_rows("  readers of the same room", &flood.latencies));
    rows.push(row(
        "supervisor of sessions: started, crashed, slow, live",
        format!(
            "{}, {}, {}, {}",
            after.sessions, after.crashed, after.slow, after.live_sessions
        ),
    ));
    rows.push(row(
        "supervisor of rooms: started, crashed, live",
        format!(
            "{}, {}, {}",
            after.rooms, after.rooms_crashed, after.live_rooms
        ),
    ));
    rows.push(row(
        "messages written by sessions",
        after.written.to_string(),
    ));
    rows.push(row(
        "goodbyes",
        format!("{} in {:.2} s", parting.ended, parting.seconds),
    ));
    rows
}

fn phase_rows(name: &str, phase: &Phase) -> Vec<(String, String)> {
    let mut rows = vec![row(name, rate(phase.received, phase))];
    rows.extend(latency_rows("  latency", &phase.latencies));
    rows
}

fn rate(count: u64, phase: &Phase) -> String {
    let per_second = count as f64 / phase.seconds;
    format!("{count} in {:.2} s, {per_second:.0} /s", phase.seconds)
}

fn latency_rows(name: &str, latencies: &Histogram<u64>) -> Vec<(String, String)> {
    let at = |quantile| {
        let ns = latencies.value_at_quantile(quantile);
        format!("{:.2} ms", ns as f64 / 1e6)
    };
    vec![
        row(&format!("{name} p50"), at(0.5)),
        row(&format!("{name} p99"), at(0.99)),
    ]
}

fn row(name: &str, value: String) -> (String, String) {
    (name.to_owned(), value)
}
