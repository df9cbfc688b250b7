//! One shared counter, transactions that only read, and a bank.

use std::sync::Arc;

use super::{Numbers, Random, together};
use crate::cli::Run;
use crate::measure::Measurement;
use crate::place::Place;
use crate::workload::sum_below;

/// `stm_bank`: so many accounts.
pub(crate) const ACCOUNTS: u64 = 1024;

/// What each account holds at first.
pub(crate) const DEPOSIT: u64 = 1000;

/// `stm_read`: variables where none are asked for.
const VARS: usize = 64;

/// Cuts `n` transactions into equal shares; returns a share and the sum of all of them.
pub(super) fn shares(n: u64, threads: usize) -> (u64, u64) {
    let each = n.div_ceil(threads as u64);
    (each, each * threads as u64)
}

/// Threads add to one number.
pub(crate) fn counter<P: Place, N: Numbers>(run: &Run) -> Measurement {
    let threads = run.workers;
    let (each, total) = shares(run.n_or(1_000_000), threads);
    let elapsed = P::drive(run, move || {
        let number = Arc::new(N::new(vec![0]));
        let (elapsed, _) = together::<P, _>(threads, {
            let number = number.clone();
            move |_| (0..each).for_each(|_| number.add_one(0))
        });
        assert_eq!(number.read(0), total, "every increment counts");
        elapsed
    });
    Measurement::new(total, total, elapsed)
}

/// Threads read all of some numbers, and nobody writes.
pub(crate) fn read<P: Place, N: Numbers>(run: &Run) -> Measurement {
    let (threads, vars) = (run.workers, run.vars.unwrap_or(VARS) as u64);
    let (each, total) = shares(run.n_or(200_000), threads);
    let elapsed = P::drive(run, move || {
        let numbers = N::new((0..vars).collect());
        let (elapsed, _) = together::<P, _>(threads, move |_| {
            for _ in 0..each {
                assert_eq!(numbers.sum(), sum_below(vars), "nobody writes");
            }
        });
        elapsed
    });
    Measurement::new(total, total, elapsed).with("vars", vars as f64)
}

/// Threads move money between two accounts at random; some transactions read all accounts instead.
pub(crate) fn bank<P: Place, N: Numbers>(run: &Run) -> Measurement {
    let (threads, audits) = (run.workers, run.audits.unwrap_or(1) as u64);
    let (each, total) = shares(run.n_or(1_000_000), threads);
    let elapsed = P::drive(run, move || {
        let accounts = Arc::new(N::new(vec![DEPOSIT; ACCOUNTS as usize]));
        let (elapsed, _) = together::<P, _>(threads, {
            let accounts = accounts.clone();
            move |thread| {
                let mut random = Random::of_thread(thread);
                for _ in 0..each {
                    if audits > 0 && random.below(100) < audits {
                        let sum = accounts.audit();
                        assert_eq!(sum, ACCOUNTS * DEPOSIT, "an audit sees one moment");
                    } else {
                        let (from, to) = random.pair_below(ACCOUNTS);
                        accounts.transfer(from, to);
                    }
                }
            }
        });
        assert_eq!(accounts.sum(), ACCOUNTS * DEPOSIT, "transfers keep the sum");
        elapsed
    });
    Measurement::new(total, total, elapsed).with("audits_pct", audits as f64)
}
