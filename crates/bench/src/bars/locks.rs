//! Locks.

use super::{Bar, Limit};
use crate::registry::Bench;
use crate::setting::Grid;

const fn mutex(workers: &'static [usize], tasks: &'static [usize]) -> Grid {
    Grid::new(Bench::Mutex, workers).tasks(tasks)
}

pub(super) const BARS: &[Bar] = &[
    // Nobody else wants it: one read-modify-write to take it and one to give it back.
    Bar::time(mutex(&[1], &[1]), Limit::TimesLeast(1.1, &["parking_lot"])),
    Bar::time(mutex(&[1], &[1]), Limit::TimesLeast(1.1, &["parking_lot"])).of("weftwork-threads"),
    // Eight want it, on two workers.
    Bar::time(mutex(&[2], &[8]), Limit::TimesLeast(0.5, &["go"])),
    Bar::time(mutex(&[2], &[8]), Limit::TimesLeast(1.2, &["parking_lot"])),
];
