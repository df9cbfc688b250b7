//! Fork-join: a quicksort whose halves are sorted at the same time, checked against std's.
//!
//! `join` offers the second half to other workers while the first runs. If none takes it, it is an
//! ordinary call, so it costs little to fork more often than there are processors.
//!
//! `cargo run --release --example fork_join`

use std::time::Instant;

use weftwork::prelude::*;

/// Below this many elements a fork would cost more than it brings.
const SEQUENTIAL: usize = 16 * 1024;

/// Sorts both sides of the median, one after the other or at the same time.
fn sort(data: &mut [u64], forks: bool) {
    if data.len() <= SEQUENTIAL {
        return data.sort_unstable();
    }
    // Lets others run now and then, and the monitor see that this is no endless loop.
    checkpoint();
    let (left, _median, right) = data.select_nth_unstable(data.len() / 2);
    if forks {
        join(|| sort(left, true), || sort(right, true));
    } else {
        sort(left, false);
        sort(right, false);
    }
}

/// Numbers that look random and are the same every time (splitmix64).
fn numbers(count: usize) -> Vec<u64> {
    let mut state = 0_u64;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    (0..count).map(|_| next()).collect()
}

fn main() {
    let is_small = std::env::var_os("WEFTWORK_SMALL").is_some();
    let count = if is_small { 200_000 } else { 8_000_000 };
    let unsorted = numbers(count);
    let mut expected = unsorted.clone();
    expected.sort_unstable();

    let mut data = unsorted.clone();
    let start = Instant::now();
    sort(&mut data, false);
    let sequential = start.elapsed();
    assert!(data == expected, "sorted differently from std");

    let runtime = Runtime::new().expect("the runtime starts");
    let mut data = unsorted;
    let start = Instant::now();
    runtime.run(|| sort(&mut data, true));
    let forked = start.elapsed();
    assert!(data == expected, "sorted differently from std");

    let workers = runtime.stats().workers;
    println!("{count} numbers: {sequential:?} one half after the other,");
    println!("{forked:?} both at the same time, with {workers} workers");
}
