//! The runs of a table, grouped by setting and peer.

use serde_json::{Map, Value};

use crate::bars::Metric;
use crate::measure::median;
use crate::setting::Setting;

/// A JSON line.
pub(super) type Record = Map<String, Value>;

/// One run: its record, or why there is none.
#[derive(Debug)]
pub(super) struct SingleRun {
    pub(super) setting: Setting,
    pub(super) peer: String,
    pub(super) record: Result<Record, String>,
}

impl SingleRun {
    fn is_ours(&self) -> bool {
        self.peer.starts_with("weftwork")
    }
}

/// Which figure stands for several runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Summary {
    /// The middle one.
    Median,
    /// The best one: of figures that noise can only make worse, the one with the least of it.
    Best,
}

/// All runs of one peer in one setting.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) setting: Setting,
    pub(super) peer: String,
    records: Vec<Record>,
}

impl Row {
    /// Returns what stands for the runs in a key; `None`, where one of them lacks it.
    pub(super) fn summary(&self, key: &str, summary: Summary) -> Option<f64> {
        match summary {
            Summary::Median => median(&self.values(key).collect::<Option<Vec<_>>>()?),
            // The only figure of which more is better.
            Summary::Best if key == "ops_per_s" => self.range(key).map(|(_, greatest)| greatest),
            Summary::Best => self.range(key).map(|(least, _)| least),
        }
    }

    /// Returns the least and the greatest value of a key.
    pub(super) fn range(&self, key: &str) -> Option<(f64, f64)> {
        let values: Vec<f64> = self.values(key).collect::<Option<_>>()?;
        let least = values.iter().copied().reduce(f64::min)?;
        Some((least, values.into_iter().fold(least, f64::max)))
    }

    /// Returns what stands for the runs in a metric of a bar.
    pub(super) fn metric(&self, metric: Metric, summary: Summary) -> Option<f64> {
        metric
            .keys()
            .iter()
            .map(|key| self.summary(key, summary))
            .sum()
    }

    fn values(&self, key: &str) -> impl Iterator<Item = Option<f64>> {
        self.records
            .iter()
            .map(move |record| record.get(key)?.as_f64())
    }
}

/// All runs.
#[derive(Debug, Default)]
pub(super) struct Results {
    rows: Vec<Row>,
    failures: Vec<SingleRun>,
}

impl Results {
    /// Adds a run to its row, or to the failures.
    pub(super) fn add(&mut self, run: SingleRun) {
        let record = match run.record {
            Ok(record) => record,
            Err(_) => return self.failures.push(run),
        };
        let found = self
            .rows
            .iter_mut()
            .find(|row| (row.setting, &row.peer) == (run.setting, &run.peer));
        match found {
            Some(row) => row.records.push(record),
            None => self.rows.push(Row {
                setting: run.setting,
                peer: run.peer,
                records: vec![record],
            }),
        }
    }

    /// Returns the rows, those of one setting together, in the order in which they were first run.
    pub(super) fn rows(&self) -> Vec<&Row> {
        let mut settings = Vec::new();
        for row in &self.rows {
            if !settings.contains(&row.setting) {
                settings.push(row.setting);
            }
        }
        let of = |setting| self.rows.iter().filter(move |row| row.setting == setting);
        settings.into_iter().flat_map(of).collect()
    }

    /// Returns the row of a peer in a setting.
    pub(super) fn find(&self, setting: Setting, peer: &str) -> Option<&Row> {
        self.rows
            .iter()
            .find(|row| row.setting == setting && row.peer == peer)
    }

    /// Says, for each failed run, which it was and why.
    pub(super) fn failures(&self) -> impl Iterator<Item = String> {
        self.failures.iter().map(|run| {
            let why = run.record.as_ref().err().map_or("", |error| error.trim());
            format!("{}: {why}", run.setting.name_of_run(&run.peer))
        })
    }

    /// Returns how many runs of ours failed.
    pub(super) fn failures_of_ours(&self) -> usize {
        self.failures.iter().filter(|run| run.is_ours()).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Bench;
    use crate::setting::Grid;

    fn echo(conns: Option<usize>) -> Setting {
        let [setting] = Grid::new(Bench::Echo, &[1]).settings()[..] else {
            panic!("one setting");
        };
        Setting { conns, ..setting }
    }

    fn run(peer: &str, conns: Option<usize>, record: Result<Value, String>) -> SingleRun {
        let record = record.map(|value| value.as_object().unwrap().clone());
        SingleRun {
            setting: echo(conns),
            peer: peer.to_owned(),
            record,
        }
    }

    #[test]
    fn runs_of_one_setting_stand_together_and_give_medians() {
        let mut results = Results::default();
        for value in [3.0, 1.0, 2.0] {
            for conns in [50, 1000] {
                for peer in ["weftwork", "go"] {
                    let time = value * conns as f64;
                    let record = serde_json::json!({ "ns_per_op": time, "ops_per_s": 1e9 / time });
                    results.add(run(peer, Some(conns), Ok(record)));
                }
            }
        }
        let order: Vec<_> = results
            .rows()
            .iter()
            .map(|row| (row.setting.conns.unwrap(), row.peer.clone()))
            .collect();
        let expected = [
            (50, "weftwork"),
            (50, "go"),
            (1000, "weftwork"),
            (1000, "go"),
        ];
        assert_eq!(
            order,
            expected.map(|(conns, peer)| (conns, peer.to_owned()))
        );
        let row = results.find(echo(Some(50)), "go").unwrap();
        assert_eq!(row.summary("ns_per_op", Summary::Median), Some(100.0));
        assert_eq!(row.summary("ns_per_op", Summary::Best), Some(50.0));
        assert_eq!(row.summary("ops_per_s", Summary::Best), Some(2e7));
        assert_eq!(row.range("ns_per_op"), Some((50.0, 150.0)));
        assert_eq!(row.summary("p99_us", Summary::Best), None);
        assert_eq!(row.metric(Metric::KibPerUnit, Summary::Median), None);
    }

    #[test]
    fn failures_are_told_and_only_those_of_ours_count() {
        let mut results = Results::default();
        results.add(run("go", None, Err("it hung".to_owned())));
        results.add(run("weftwork-join", None, Err("it panicked".to_owned())));
        assert_eq!(results.failures_of_ours(), 1);
        let told: Vec<_> = results.failures().collect();
        assert_eq!(
            told,
            ["echo go w1: it hung", "echo weftwork-join w1: it panicked"]
        );
    }
}
