//! The transactional memories `stm` and `fast-stm`, on threads of the operating system.
//!
//! The second began as a copy of the first, and what is used here of both is alike.

use crate::peers::threads::OsThreads;
use crate::registry::{Bench, Entry};
use crate::transactions::wake::{Bell, wake};
use crate::transactions::{Numbers, entries};

pub(crate) const STM: &[Entry] = &entries::<OsThreads, Vec<stm::TVar<u64>>>("stm");

pub(crate) const FAST_STM: &[Entry] = &entries::<OsThreads, Vec<fast_stm::TVar<u64>>>("fast-stm");

pub(crate) const WAKES: &[Entry] = &[
    Entry::measure(Bench::StmWake, "stm", wake::<OsThreads, stm::TVar<u64>>),
    Entry::measure(
        Bench::StmWake,
        "fast-stm",
        wake::<OsThreads, fast_stm::TVar<u64>>,
    ),
];

macro_rules! implement {
    ($library:ident) => {
        impl Numbers for Vec<$library::TVar<u64>> {
            fn new(values: Vec<u64>) -> Self {
                values.into_iter().map($library::TVar::new).collect()
            }

            fn read(&self, index: usize) -> u64 {
                $library::atomically(|tx| self[index].read(tx))
            }

            fn add_one(&self, index: usize) {
                $library::atomically(|tx| {
                    let value = self[index].read(tx)?;
                    self[index].write(tx, value + 1)
                });
            }

            fn transfer(&self, from: usize, to: usize) {
                $library::atomically(|tx| {
                    let left = self[from].read(tx)?;
                    let there = self[to].read(tx)?;
                    if left > 0 {
                        self[from].write(tx, left - 1)?;
                        self[to].write(tx, there + 1)?;
                    }
                    Ok(())
                });
            }

            fn sum(&self) -> u64 {
                $library::atomically(|tx| {
                    let mut sum = 0;
                    for number in self {
                        sum += number.read(tx)?;
                    }
                    Ok(sum)
                })
            }
        }

        impl Bell for $library::TVar<u64> {
            fn new() -> Self {
                $library::TVar::new(0)
            }

            fn ring(&self, round: u64) {
                $library::atomically(|tx| self.write(tx, round));
            }

            fn wait(&self, round: u64, looked: impl Fn()) {
                $library::atomically(|tx| {
                    looked();
                    $library::guard(self.read(tx)? >= round)
                });
            }
        }
    };
}

implement!(stm);
implement!(fast_stm);
