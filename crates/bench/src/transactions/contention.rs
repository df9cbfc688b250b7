//! Where transactions are in each other's way: a number that all write, and a long transaction
//! against short ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::numbers::{DEPOSIT, shares};
use super::{Numbers, Random, together};
use crate::cli::Run;
use crate::measure::Measurement;
use crate::place::Place;

/// `stm_long_reader`: so many variables are read.
const VARS: u64 = 50_000;

/// `stm_long_reader`: so many reads are tried, where it is not said.
const READS: u64 = 100;

/// `stm_long_reader`: after so many transactions the writer looks at the clock.
const BETWEEN_LOOKS: u64 = 64;

/// Threads add to one number and are compared with one thread that does; then each transaction is
/// timed, for the worst of them.
///
/// Reading the clock takes as long as a transaction, so the first two figures are taken without.
pub(crate) fn hot<P: Place, N: Numbers>(run: &Run) -> Measurement {
    let threads = run.workers;
    let (each, total) = shares(run.n_or(1_000_000), threads);
    let (each_timed, timed) = shares(total / 4, threads);
    let (alone, elapsed, worst) = P::drive(run, move || {
        let number = Arc::new(N::new(vec![0]));
        let add = |threads: usize, each: u64| {
            let number = number.clone();
            together::<P, _>(threads, move |_| (0..each).for_each(|_| number.add_one(0))).0
        };
        // The first transactions of a thread build what later ones find.
        add(threads, each / 10);
        let alone = add(1, total);
        let elapsed = add(threads, each);
        let (_, worst) = together::<P, _>(threads, {
            let number = number.clone();
            move |_| {
                let mut worst = Duration::ZERO;
                let mut before = Instant::now();
                for _ in 0..each_timed {
                    number.add_one(0);
                    let after = Instant::now();
                    worst = worst.max(after - before);
                    before = after;
                }
                worst
            }
        });
        let warm = each / 10 * threads as u64;
        assert_eq!(
            number.read(0),
            warm + 2 * total + timed,
            "every increment counts"
        );
        (alone, elapsed, worst)
    });
    let worst = worst.into_iter().max().expect("there is a thread");
    Measurement::new(total, total, elapsed)
        .with("alone_ns_per_op", alone.as_nanos() as f64 / total as f64)
        .with("times_alone", elapsed.as_secs_f64() / alone.as_secs_f64())
        .with("worst_us", worst.as_secs_f64() * 1e6)
}

/// What one of the two threads of `stm_long_reader` has done.
enum Done {
    Reads {
        finished: u64,
        longest: Duration,
        elapsed: Duration,
    },
    Writes(u64),
}

/// One thread reads many numbers at once while the other moves between them without a pause.
///
/// The writer gives up after `--span-ms`. A read that finishes only then has not finished against
/// the writer: it is counted as starved, and so are those that were not even begun.
pub(crate) fn long_reader<P: Place, N: Numbers>(run: &Run) -> Measurement {
    assert!(
        run.workers >= 2,
        "a reader and a writer take --workers 2 at least"
    );
    let (tries, span) = (run.n_or(READS), Duration::from_millis(run.span_ms));
    let (alone, done) = P::drive(run, move || {
        let numbers = Arc::new(N::new(vec![DEPOSIT; VARS as usize]));
        let read = |numbers: &N| assert_eq!(numbers.sum(), VARS * DEPOSIT, "it sees one moment");
        // Twice: the first builds what later ones find.
        read(&numbers);
        let start = Instant::now();
        read(&numbers);
        let alone = start.elapsed();
        let (writer_gave_up, reader_is_done) = (AtomicBool::new(false), AtomicBool::new(false));
        let (_, done) = together::<P, _>(2, move |thread| {
            let start = Instant::now();
            if thread == 1 {
                let (mut random, mut writes) = (Random::of_thread(thread), 0);
                while !reader_is_done.load(Ordering::Relaxed) && start.elapsed() < span {
                    for _ in 0..BETWEEN_LOOKS {
                        let (from, to) = random.pair_below(VARS);
                        numbers.transfer(from, to);
                    }
                    writes += BETWEEN_LOOKS;
                }
                writer_gave_up.store(true, Ordering::Release);
                return Done::Writes(writes);
            }
            let (mut finished, mut longest, mut begin) = (0, Duration::ZERO, start);
            while finished < tries {
                read(&numbers);
                if writer_gave_up.load(Ordering::Acquire) {
                    break;
                }
                finished += 1;
                longest = longest.max(begin.elapsed());
                begin = Instant::now();
            }
            reader_is_done.store(true, Ordering::Relaxed);
            Done::Reads {
                finished,
                longest,
                elapsed: start.elapsed(),
            }
        });
        (alone, done)
    });
    let [
        Done::Reads {
            finished,
            longest,
            elapsed,
        },
        Done::Writes(writes),
    ] = done[..]
    else {
        unreachable!("the first thread reads and the second writes");
    };
    let measurement = match finished {
        0 => Measurement::untimed(tries),
        _ => Measurement::new(tries, finished, elapsed)
            .with("longest_ms", longest.as_secs_f64() * 1e3),
    };
    measurement
        .with("alone_ms", alone.as_secs_f64() * 1e3)
        .with(
            "starved_pct",
            (tries - finished) as f64 * 100.0 / tries as f64,
        )
        .with(
            "writer_ns_per_op",
            elapsed.as_nanos() as f64 / writes.max(1) as f64,
        )
}
