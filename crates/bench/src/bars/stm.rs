//! Transactions.
//!
//! Promises about other transactional memories are given for the Rust libraries and for GHC apart,
//! so that there is a verdict where GHC is not installed.

use super::{Bar, Limit, Metric};
use crate::registry::Bench;
use crate::setting::Grid;

/// The other transactional memories in Rust.
const RUST: &[&str] = &["stm", "fast-stm", "async-stm"];
const GHC: &[&str] = &["ghc"];
const ORDERED_LOCKS: &[&str] = &["ordered-locks"];

const COUNTER: Grid = Grid::new(Bench::StmCounter, &[1]);
const READ: Grid = Grid::new(Bench::StmRead, &[1, 2]).vars(&[64, 100, 1000]);
const TRANSFERS: Grid = Grid::new(Bench::StmBank, &[2]).audits(&[0]);
const AUDITS: Grid = Grid::new(Bench::StmBank, &[2]).audits(&[1]);
const HOT: Grid = Grid::new(Bench::StmHot, &[2]);
const LONG_READER: Grid = Grid::new(Bench::StmLongReader, &[2]);
const WAKE: Grid = Grid::new(Bench::StmWake, &[1, 2]);
const MAP: Grid = Grid::new(Bench::StmMap, &[2]);
const MEMORY: Grid = Grid::new(Bench::StmMemory, &[1]);

const GREEN: &str = "weftwork";
const THREADS: &str = "weftwork-threads";
const TOKIO: &str = "weftwork-tokio";

/// A tenth of a second: a transaction that loses is served in turn after a bounded number of
/// attempts, and what takes longer than those is the kernel that runs something else.
const WORST: Limit = Limit::Fixed(100_000.0);

/// What is handed out for a variable besides the eight bytes of its value, and those.
const BYTES_PER_VAR: Limit = Limit::Fixed(64.0 + 8.0);

/// What waits to be dropped does not grow with the number of transactions.
const BACKLOG: Limit = Limit::Fixed(1000.0);

/// Makes the promise for green threads and for threads of the operating system.
const fn both(bar: Bar) -> [Bar; 2] {
    [bar.of(GREEN), bar.of(THREADS)]
}

pub(super) const BARS: &[[Bar; 2]] = &[
    // Two atomic operations on the variable and one on the clock, and no allocation.
    both(Bar::time(COUNTER, Limit::TimesLeast(0.25, RUST))),
    both(Bar::time(COUNTER, Limit::TimesLeast(1.2, GHC))),
    // A read is two loads and an entry in a list.
    both(Bar::time(READ, Limit::TimesLeast(0.06, RUST))),
    both(Bar::time(READ, Limit::TimesLeast(0.15, GHC))),
    both(Bar::time(TRANSFERS, Limit::TimesLeast(0.35, RUST))),
    both(Bar::time(TRANSFERS, Limit::TimesLeast(0.35, GHC))),
    // An audit reads the versions of one moment: no transfer disturbs it, nor waits for it.
    both(Bar::time(AUDITS, Limit::TimesLeast(0.1, RUST))),
    both(Bar::time(AUDITS, Limit::TimesLeast(0.1, GHC))),
    both(Bar::time(AUDITS, Limit::TimesLeast(1.0, ORDERED_LOCKS))),
    // Two that want the same do not take longer than one after the other, but for the cache line.
    both(Bar::new(HOT, Metric::TimesAlone, Limit::Fixed(1.5))),
    both(Bar::new(HOT, Metric::WorstUs, WORST)),
    // A transaction that keeps losing is served in turn.
    both(Bar::new(LONG_READER, Metric::StarvedPct, Limit::Fixed(0.0))),
    [
        Bar::time(WAKE, Limit::TimesLeast(2.0, &["weftwork-park"])),
        Bar::time(WAKE, Limit::TimesLeast(2.0, &["std"])).of(THREADS),
    ],
    both(Bar::new(WAKE, Metric::WrongWakes, Limit::Fixed(0.0))),
    // The same where the waiter is a future.
    [
        Bar::time(WAKE, Limit::TimesLeast(2.0, &["tokio"])).of(TOKIO),
        Bar::new(WAKE, Metric::WrongWakes, Limit::Fixed(0.0)).of(TOKIO),
    ],
    both(Bar::time(MAP, Limit::TimesLeast(2.0, &["sharded-locks"]))),
    both(Bar::new(MEMORY, Metric::BytesPerVar, BYTES_PER_VAR)),
    both(Bar::new(MEMORY, Metric::Backlog, BACKLOG)),
];
