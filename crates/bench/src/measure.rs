//! A measurement and its JSON line.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::process;

/// The result of one run.
#[derive(Debug, Clone)]
pub(crate) struct Measurement {
    n: u64,
    /// So many operations took so long; absent, where time is not what is measured.
    timed: Option<(u64, Duration)>,
    extra: Vec<(&'static str, f64)>,
}

impl Measurement {
    /// Makes a measurement of `ops` operations of a run with parameter `n`.
    pub(crate) fn new(n: u64, ops: u64, elapsed: Duration) -> Self {
        Measurement {
            n,
            timed: Some((ops, elapsed)),
            extra: Vec::new(),
        }
    }

    /// Makes a measurement of something else than time.
    pub(crate) fn untimed(n: u64) -> Self {
        Measurement {
            n,
            timed: None,
            extra: Vec::new(),
        }
    }

    /// Adds a figure of its own to the line.
    pub(crate) fn with(mut self, key: &'static str, value: f64) -> Self {
        self.extra.push((key, value));
        self
    }

    /// Formats the line, adding the peak RSS of this process.
    pub(crate) fn to_json(&self, bench: &str, peer: &str, workers: usize) -> String {
        let mut line = Map::new();
        line.insert("bench".into(), bench.into());
        line.insert("peer".into(), peer.into());
        line.insert("lang".into(), "rust".into());
        line.insert("workers".into(), workers.into());
        line.insert("n".into(), self.n.into());
        if let Some((ops, elapsed)) = self.timed {
            let nanoseconds = elapsed.as_nanos() as f64;
            line.insert("ns_per_op".into(), rounded(nanoseconds / ops as f64));
            line.insert("ops_per_s".into(), rounded(ops as f64 * 1e9 / nanoseconds));
        }
        for (key, value) in &self.extra {
            line.insert((*key).into(), rounded(*value));
        }
        line.insert(
            "peak_rss_mib".into(),
            rounded(process::peak_rss_kib() / 1024.0),
        );
        Value::Object(line).to_string()
    }
}

/// Makes a JSON number of four decimals; of none, where the value is whole.
pub(crate) fn rounded(value: f64) -> Value {
    let value = (value * 1e4).round() / 1e4;
    if value.fract() == 0.0 && value.abs() < 1e15 {
        Value::from(value as i64)
    } else {
        Value::from(value)
    }
}

/// Makes the measurement of the bench `parked`: `n` tasks woken and joined within `wake`.
pub(crate) fn parked(
    n: u64,
    spawn: Duration,
    wake: Duration,
    before: process::Footprint,
    held: process::Footprint,
) -> Measurement {
    let per_unit = |kib: f64| kib / n as f64;
    Measurement::new(n, n, wake)
        .with("rss_kib_per_unit", per_unit(held.rss_kib - before.rss_kib))
        .with("pte_kib_per_unit", per_unit(held.pte_kib - before.pte_kib))
        .with("spawn_ns_per_op", spawn.as_nanos() as f64 / n as f64)
}

/// Makes the measurement of the bench `timer`: CPU time per timer, and by how many nanoseconds
/// each sleeper woke late.
pub(crate) fn timer(
    n: u64,
    span_ms: u64,
    cpu: Duration,
    wall: Duration,
    mut late: Vec<u64>,
) -> Measurement {
    assert_eq!(late.len() as u64, n, "every timer reports its lateness");
    late.sort_unstable();
    let wall_ms = wall.as_secs_f64() * 1e3;
    Measurement::new(n, n, cpu)
        .with("late_p50_us", quantile(&late, 0.5) as f64 / 1e3)
        .with("late_p99_us", quantile(&late, 0.99) as f64 / 1e3)
        .with("late_max_us", quantile(&late, 1.0) as f64 / 1e3)
        .with("wall_ms", wall_ms)
        .with("overhead_ms", wall_ms - span_ms as f64)
}

/// Returns the value below which the share `q` of the sorted `values` lies; 0 of none.
pub(crate) fn quantile(values: &[u64], q: f64) -> u64 {
    let index = (values.len() as f64 * q) as usize;
    values
        .get(index.min(values.len().saturating_sub(1)))
        .copied()
        .unwrap_or(0)
}

/// Returns the middle of `values` (the mean of both middles of an even number), or `None` of none.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_keeps_its_order_and_rounds() {
        let line = Measurement::new(10, 4, Duration::from_nanos(10)).with("extra", 1.0 / 3.0);
        let text = line.to_json("switch", "tokio", 2);
        let expected = concat!(
            r#"{"bench":"switch","peer":"tokio","lang":"rust","workers":2,"n":10,"#,
            r#""ns_per_op":2.5,"ops_per_s":400000000,"extra":0.3333,"peak_rss_mib":"#
        );
        assert!(text.starts_with(expected), "{text}");
    }

    #[test]
    fn quantiles_of_sorted_values() {
        let values: Vec<u64> = (0..100).collect();
        assert_eq!(quantile(&values, 0.5), 50);
        assert_eq!(quantile(&values, 0.99), 99);
        assert_eq!(quantile(&values, 1.0), 99);
        assert_eq!(quantile(&[], 0.5), 0);
    }

    #[test]
    fn the_median_of_an_even_number_is_the_mean_of_both_middles() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }
}
