//! What a figure is a figure of: a bench, on so many workers, of one shape.
//!
//! 1. A dimension that a bench does not have is absent from its settings. Two settings are equal
//!    if and only if they ask for the same work.
//! 2. A [`Grid`] is every combination of what it lists. The plan of a table and the bars are both
//!    written as grids, so that a bar is about settings that are run.

use std::fmt;
use std::str::FromStr;

use crate::registry::Bench;

/// How many values a channel holds. Of none, a send waits for its receive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Capacity {
    /// At most so many.
    Bounded(usize),
    /// As many as there is memory for.
    Unbounded,
}

impl Capacity {
    /// Returns the number that stands for it on the command line and in a record: -1, without bound.
    pub(crate) fn number(self) -> i64 {
        match self {
            Capacity::Bounded(capacity) => capacity as i64,
            Capacity::Unbounded => -1,
        }
    }
}

impl FromStr for Capacity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "-1" => Ok(Capacity::Unbounded),
            _ => text
                .parse()
                .map(Capacity::Bounded)
                .map_err(|_| format!("not a capacity: {text:?} (-1 is unbounded)")),
        }
    }
}

impl fmt::Display for Capacity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Capacity::Bounded(capacity) => write!(formatter, "cap{capacity}"),
            Capacity::Unbounded => formatter.write_str("unbounded"),
        }
    }
}

/// How many tasks send, and how many receive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sides {
    pub(crate) producers: usize,
    pub(crate) consumers: usize,
}

impl Sides {
    /// Makes the two sides of a channel.
    pub(crate) const fn new(producers: usize, consumers: usize) -> Self {
        Sides {
            producers,
            consumers,
        }
    }
}

impl fmt::Display for Sides {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}x{}", self.producers, self.consumers)
    }
}

/// One piece of work that peers are compared at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) bench: Bench,
    pub(crate) workers: usize,
    /// Of a bench of channels with a choice of sides.
    pub(crate) sides: Option<Sides>,
    /// Of a bench of channels with a choice of capacity.
    pub(crate) capacity: Option<Capacity>,
    /// Tasks at one lock.
    pub(crate) tasks: Option<usize>,
    /// Variables that a transaction reads.
    pub(crate) vars: Option<usize>,
    /// How many of a hundred transactions read everything.
    pub(crate) audits: Option<usize>,
    /// Connections, of `echo`.
    pub(crate) conns: Option<usize>,
}

impl Setting {
    /// Returns the flags of a run that ask for this shape.
    pub(crate) fn flags(&self) -> Vec<String> {
        let mut flags = Vec::new();
        let mut push = |flag: &str, value: String| flags.extend([flag.to_owned(), value]);
        push("--workers", self.workers.to_string());
        if let Some(sides) = self.sides {
            push("--producers", sides.producers.to_string());
            push("--consumers", sides.consumers.to_string());
        }
        if let Some(capacity) = self.capacity {
            push("--cap", capacity.number().to_string());
        }
        if let Some(tasks) = self.tasks {
            push("--tasks", tasks.to_string());
        }
        if let Some(vars) = self.vars {
            push("--vars", vars.to_string());
        }
        if let Some(audits) = self.audits {
            push("--audits", audits.to_string());
        }
        flags
    }

    /// Names the bench and its shape, as in the first column of a table.
    pub(crate) fn name(&self) -> String {
        format!("{}{}", self.bench.name(), self.shape())
    }

    /// Names a run of this setting by `peer`: what `--filter` is matched against.
    pub(crate) fn name_of_run(&self, peer: &str) -> String {
        let (bench, shape, workers) = (self.bench.name(), self.shape(), self.workers);
        format!("{bench} {peer}{shape} w{workers}")
    }

    /// Names the dimensions beside the workers, each after a blank.
    fn shape(&self) -> String {
        let parts = [
            self.sides.map(|sides| sides.to_string()),
            self.capacity.map(|capacity| capacity.to_string()),
            self.tasks.map(|tasks| match tasks {
                1 => "1 task".to_owned(),
                _ => format!("{tasks} tasks"),
            }),
            self.vars.map(|vars| format!("{vars} vars")),
            self.audits.map(|audits| format!("{audits}% audits")),
            self.conns.map(|conns| conns.to_string()),
        ];
        parts
            .into_iter()
            .flatten()
            .map(|p| format!(" {p}"))
            .collect()
    }
}

/// Every combination of some workers, sides, capacities and so on. What is empty is absent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grid {
    pub(crate) bench: Bench,
    workers: &'static [usize],
    sides: &'static [Sides],
    capacities: &'static [Capacity],
    tasks: &'static [usize],
    vars: &'static [usize],
    audits: &'static [usize],
    conns: &'static [usize],
}

impl Grid {
    /// Makes the grid of a bench that has no dimension beside the workers.
    pub(crate) const fn new(bench: Bench, workers: &'static [usize]) -> Self {
        Grid {
            bench,
            workers,
            sides: &[],
            capacities: &[],
            tasks: &[],
            vars: &[],
            audits: &[],
            conns: &[],
        }
    }

    /// Adds sides.
    pub(crate) const fn sides(self, sides: &'static [Sides]) -> Self {
        Grid { sides, ..self }
    }

    /// Adds capacities.
    pub(crate) const fn capacities(self, capacities: &'static [Capacity]) -> Self {
        Grid { capacities, ..self }
    }

    /// Adds numbers of tasks.
    pub(crate) const fn tasks(self, tasks: &'static [usize]) -> Self {
        Grid { tasks, ..self }
    }

    /// Adds numbers of variables.
    pub(crate) const fn vars(self, vars: &'static [usize]) -> Self {
        Grid { vars, ..self }
    }

    /// Adds shares of transactions that read everything.
    pub(crate) const fn audits(self, audits: &'static [usize]) -> Self {
        Grid { audits, ..self }
    }

    /// Adds numbers of connections.
    pub(crate) const fn conns(self, conns: &'static [usize]) -> Self {
        Grid { conns, ..self }
    }

    /// Returns the settings: those of one number of workers together.
    pub(crate) fn settings(&self) -> Vec<Setting> {
        let plain = |workers: &usize| Setting {
            bench: self.bench,
            workers: *workers,
            sides: None,
            capacity: None,
            tasks: None,
            vars: None,
            audits: None,
            conns: None,
        };
        let mut all: Vec<_> = self.workers.iter().map(plain).collect();
        spread(&mut all, self.sides, |setting, sides| setting.sides = sides);
        spread(&mut all, self.capacities, |setting, capacity| {
            setting.capacity = capacity
        });
        spread(&mut all, self.tasks, |setting, tasks| setting.tasks = tasks);
        spread(&mut all, self.vars, |setting, vars| setting.vars = vars);
        spread(&mut all, self.audits, |setting, audits| {
            setting.audits = audits
        });
        spread(&mut all, self.conns, |setting, conns| setting.conns = conns);
        all
    }
}

/// Replaces each setting by one for each value of a dimension; leaves all as they are, where the
/// dimension is absent.
fn spread<T: Copy>(settings: &mut Vec<Setting>, values: &[T], set: fn(&mut Setting, Option<T>)) {
    if values.is_empty() {
        return;
    }
    let mut all = Vec::with_capacity(settings.len() * values.len());
    for setting in settings.iter() {
        for &value in values {
            all.push(*setting);
            set(all.last_mut().expect("just pushed"), Some(value));
        }
    }
    *settings = all;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capacity_is_read_as_it_is_written() {
        for capacity in [
            Capacity::Bounded(0),
            Capacity::Bounded(128),
            Capacity::Unbounded,
        ] {
            assert_eq!(capacity.number().to_string().parse(), Ok(capacity));
        }
        for text in ["", "-2", "1.5", "many"] {
            assert!(text.parse::<Capacity>().is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn a_grid_is_every_combination_and_names_each() {
        let grid = Grid::new(Bench::Mpmc, &[1, 2])
            .sides(const { &[Sides::new(4, 4)] })
            .capacities(&[Capacity::Bounded(0), Capacity::Unbounded]);
        let settings = grid.settings();
        let names: Vec<_> = settings.iter().map(|s| s.name_of_run("go")).collect();
        let expected = [
            "mpmc go 4x4 cap0 w1",
            "mpmc go 4x4 unbounded w1",
            "mpmc go 4x4 cap0 w2",
            "mpmc go 4x4 unbounded w2",
        ];
        assert_eq!(names, expected);
        assert_eq!(settings[0].name(), "mpmc 4x4 cap0");
    }

    #[test]
    fn an_absent_dimension_asks_for_nothing() {
        let [setting] = Grid::new(Bench::Switch, &[1]).settings()[..] else {
            panic!("one setting");
        };
        assert_eq!(setting.name(), "switch");
        assert_eq!(setting.flags(), ["--workers", "1"]);
    }
}
