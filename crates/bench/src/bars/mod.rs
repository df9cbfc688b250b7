//! What the project promises of its speed, as data.
//!
//! A bar compares a figure of ours with a fixed limit or with the best figure of some peers that
//! were measured in the same run, on the same machine. `table` prints a verdict for each.
//! The promises that need more than this program are shown elsewhere: 50,000 open connections by
//! the example `c50k`; the memory of a channel by the tests of its crate.

mod actors;
mod channels;
mod locks;
mod runtime;
mod stm;

use crate::setting::Grid;

/// One promise, to be kept in each of the settings it is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bar {
    pub(crate) on: Grid,
    /// The name under which ours takes part.
    pub(crate) ours: &'static str,
    pub(crate) metric: Metric,
    pub(crate) limit: Limit,
}

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Metric {
    /// Time of one operation (CPU time, of `timer`).
    NsPerOp,
    /// Operations per second.
    OpsPerS,
    /// Memory of one unit: what is resident, and its page tables.
    KibPerUnit,
    /// 99th percentile of the lateness of a timer.
    LateP99Us,
    /// The middle of the times of an operation.
    P50Us,
    /// 99th percentile of the time of a round trip.
    P99Us,
    /// Times that a thread of an idle process woke, per second.
    WakeupsPerS,
    /// CPU time of an idle process, per second.
    CpuUsPerS,
    /// Time of an operation by several threads over that of one thread alone.
    TimesAlone,
    /// The longest that a single operation took.
    WorstUs,
    /// Operations of a hundred that did not end while others went on.
    StarvedPct,
    /// Waiters that woke and were not meant.
    WrongWakes,
    /// Memory of one variable, with its value.
    BytesPerVar,
    /// Memory of one idle actor, with its mailbox and its address.
    BytesPerActor,
    /// The most values that were replaced and not dropped yet.
    Backlog,
}

impl Metric {
    /// Returns the keys of the JSON line whose values are added up.
    pub(crate) fn keys(self) -> &'static [&'static str] {
        match self {
            Metric::NsPerOp => &["ns_per_op"],
            Metric::OpsPerS => &["ops_per_s"],
            Metric::KibPerUnit => &["rss_kib_per_unit", "pte_kib_per_unit"],
            Metric::LateP99Us => &["late_p99_us"],
            Metric::P50Us => &["p50_us"],
            Metric::P99Us => &["p99_us"],
            Metric::WakeupsPerS => &["wakeups_per_s"],
            Metric::CpuUsPerS => &["cpu_us_per_s"],
            Metric::TimesAlone => &["times_alone"],
            Metric::WorstUs => &["worst_us"],
            Metric::StarvedPct => &["starved_pct"],
            Metric::WrongWakes => &["wrong_wakes"],
            Metric::BytesPerVar => &["bytes_per_var"],
            Metric::BytesPerActor => &["bytes_per_actor"],
            Metric::Backlog => &["backlog"],
        }
    }

    /// Returns the name for a table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Metric::NsPerOp => "ns/op",
            Metric::OpsPerS => "op/s",
            Metric::KibPerUnit => "KiB per task (RSS + page tables)",
            Metric::LateP99Us => "lateness p99, µs",
            Metric::P50Us => "median, µs",
            Metric::P99Us => "p99, µs",
            Metric::WakeupsPerS => "wake-ups/s",
            Metric::CpuUsPerS => "CPU µs/s",
            Metric::TimesAlone => "times one thread alone",
            Metric::WorstUs => "worst, µs",
            Metric::StarvedPct => "starved, %",
            Metric::WrongWakes => "wrong wake-ups",
            Metric::BytesPerVar => "bytes per variable",
            Metric::BytesPerActor => "bytes per idle actor",
            Metric::Backlog => "values replaced and not dropped",
        }
    }
}

/// The limit of a metric.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Limit {
    /// At most this.
    Fixed(f64),
    /// At most so many times the least of these peers.
    TimesLeast(f64, &'static [&'static str]),
    /// At least so many times the greatest of these peers.
    TimesGreatest(f64, &'static [&'static str]),
}

/// How a bar came out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Verdict {
    /// Ours, the limit, and whether it is kept.
    Measured { ours: f64, limit: f64, kept: bool },
    /// Ours or one of the peers was not measured.
    Missing,
}

impl Bar {
    /// Makes a promise about the time of one operation of `weftwork`.
    const fn time(on: Grid, limit: Limit) -> Bar {
        Bar::new(on, Metric::NsPerOp, limit)
    }

    /// Makes a promise about `weftwork`.
    const fn new(on: Grid, metric: Metric, limit: Limit) -> Bar {
        Bar {
            on,
            ours: "weftwork",
            metric,
            limit,
        }
    }

    /// Makes it a promise about another form of ours.
    const fn of(self, ours: &'static str) -> Bar {
        Bar { ours, ..self }
    }

    /// Compares, given the figures: `figure(peer)` is the metric of a peer in one of the settings.
    ///
    /// All peers named must have been measured: the best of those that happen to be there would
    /// be another promise.
    pub(crate) fn judge(&self, figure: impl Fn(&str) -> Option<f64>) -> Verdict {
        let all = |peers: &[&str]| {
            peers
                .iter()
                .map(|peer| figure(peer))
                .collect::<Option<Vec<_>>>()
        };
        let limit = match self.limit {
            Limit::Fixed(limit) => Some(limit),
            Limit::TimesLeast(factor, peers) => all(peers)
                .and_then(|all| all.into_iter().reduce(f64::min))
                .map(|best| best * factor),
            Limit::TimesGreatest(factor, peers) => all(peers)
                .and_then(|all| all.into_iter().reduce(f64::max))
                .map(|best| best * factor),
        };
        match figure(self.ours).zip(limit) {
            None => Verdict::Missing,
            Some((ours, limit)) => {
                let kept = match self.limit {
                    Limit::TimesGreatest(..) => ours >= limit,
                    Limit::Fixed(_) | Limit::TimesLeast(..) => ours <= limit,
                };
                Verdict::Measured { ours, limit, kept }
            }
        }
    }

    /// Puts the promise into words.
    pub(crate) fn promise(&self) -> String {
        let metric = self.metric.name();
        match self.limit {
            Limit::Fixed(limit) => format!("{metric} ≤ {limit}"),
            Limit::TimesLeast(factor, [peer]) => format!("{metric} ≤ {factor} × {peer}"),
            Limit::TimesLeast(factor, peers) => {
                format!("{metric} ≤ {factor} × least of {}", peers.join(", "))
            }
            Limit::TimesGreatest(factor, [peer]) => format!("{metric} ≥ {factor} × {peer}"),
            Limit::TimesGreatest(factor, peers) => {
                format!("{metric} ≥ {factor} × greatest of {}", peers.join(", "))
            }
        }
    }
}

/// Returns every promise.
pub(crate) fn bars() -> impl Iterator<Item = &'static Bar> {
    [runtime::BARS, channels::BARS, locks::BARS, actors::BARS]
        .into_iter()
        .flatten()
        .chain(stm::BARS.iter().flatten())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Bench;

    const HALF: Bar = Bar::time(
        Grid::new(Bench::Switch, &[1]),
        Limit::TimesLeast(0.5, &["go", "tokio"]),
    );

    #[test]
    fn the_best_peer_sets_the_limit() {
        let medians = |peer: &str| match peer {
            "weftwork" => Some(51.0),
            "go" => Some(200.0),
            "tokio" => Some(100.0),
            _ => None,
        };
        let expected = Verdict::Measured {
            ours: 51.0,
            limit: 50.0,
            kept: false,
        };
        assert_eq!(HALF.judge(medians), expected);
        let at_least = Bar {
            limit: Limit::TimesGreatest(0.25, &["go", "tokio"]),
            ..HALF
        };
        let expected = Verdict::Measured {
            ours: 51.0,
            limit: 50.0,
            kept: true,
        };
        assert_eq!(at_least.judge(medians), expected);
    }

    #[test]
    fn a_missing_peer_leaves_no_verdict() {
        let without_go = |peer: &str| (peer != "go").then_some(1.0);
        assert_eq!(HALF.judge(without_go), Verdict::Missing);
        let without_ours = |peer: &str| (peer != "weftwork").then_some(1.0);
        assert_eq!(HALF.judge(without_ours), Verdict::Missing);
    }

    #[test]
    fn a_limit_may_be_met_exactly() {
        let idle = Grid::new(Bench::Idle, &[2]);
        let zero = Bar::new(idle, Metric::WakeupsPerS, Limit::Fixed(0.0));
        let verdict = zero.judge(|_| Some(0.0));
        assert_eq!(
            verdict,
            Verdict::Measured {
                ours: 0.0,
                limit: 0.0,
                kept: true
            }
        );
    }
}
