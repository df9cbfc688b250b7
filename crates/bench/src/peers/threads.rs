//! Plain threads of the operating system. One worker: the whole process is pinned to one CPU.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::cli::Run;
use crate::measure::{self, Measurement};
use crate::peers::server;
use crate::place::Place;
use crate::process::{Footprint, pin_to_one_cpu};
use crate::registry::{Bench, Entry};
use crate::workload::{self, ECHO_BUFFER, LOOK_AGAIN, SETTLE};

pub(crate) const ENTRIES: &[Entry] = &[
    Entry::measure(Bench::Switch, "std", switch),
    Entry::measure(Bench::SpawnJoin, "std", spawn_join),
    Entry::measure(Bench::Parked, "std", parked),
    Entry::serve(Bench::Echo, "std", echo),
];

/// Stack of a thread where the number of threads counts: the least that glibc grants.
const SMALL_STACK: usize = 16 * 1024;

/// Restricts the process to one CPU, where one worker is asked for.
pub(crate) fn set_up(run: &Run) {
    if run.workers == 1 {
        pin_to_one_cpu();
    }
}

/// Threads of the operating system, as a place of blocking code.
#[derive(Debug)]
pub(crate) enum OsThreads {}

impl Place for OsThreads {
    type Handle<T: Send + 'static> = thread::JoinHandle<T>;

    fn drive<T, F>(run: &Run, driver: F) -> T
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        set_up(run);
        driver()
    }

    fn spawn<T, F>(body: F) -> Self::Handle<T>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        thread::spawn(body)
    }

    fn sleep(duration: Duration) {
        thread::sleep(duration);
    }

    fn join<T: Send + 'static>(handle: Self::Handle<T>) -> T {
        handle.join().expect("a thread does not panic")
    }
}

fn switch(run: &Run) -> Measurement {
    let n = run.n_or(200_000);
    pin_to_one_cpu();
    let yields = move || {
        for _ in 0..n {
            thread::yield_now();
        }
    };
    let start = Instant::now();
    let (one, other) = (thread::spawn(yields), thread::spawn(yields));
    one.join().unwrap();
    other.join().unwrap();
    Measurement::new(n, n, start.elapsed())
}

fn spawn_join(run: &Run) -> Measurement {
    set_up(run);
    let n = run.n_or(20_000);
    let start = Instant::now();
    let mut handles = Vec::with_capacity(workload::BATCH as usize);
    let mut sum = 0;
    for batch in workload::batches(n) {
        handles.extend((0..batch).map(|_| thread::spawn(|| 1_u64)));
        for handle in handles.drain(..) {
            sum += handle.join().unwrap();
        }
    }
    assert_eq!(sum, n);
    Measurement::new(n, n, start.elapsed())
}

fn parked(run: &Run) -> Measurement {
    set_up(run);
    let n = run.n_or(10_000);
    let parked = Arc::new(AtomicU64::new(0));
    let release = Arc::new(AtomicU64::new(0));
    let mut handles = Vec::with_capacity(n as usize);
    let before = Footprint::now();
    let start = Instant::now();
    for _ in 0..n {
        let (parked, release) = (parked.clone(), release.clone());
        let thread = thread::Builder::new().stack_size(run.stack_or(SMALL_STACK));
        let handle = thread.spawn(move || {
            parked.fetch_add(1, Ordering::Relaxed);
            while release.load(Ordering::Acquire) == 0 {
                thread::park();
            }
        });
        handles.push(handle.expect("the system grants one more thread"));
    }
    while parked.load(Ordering::Relaxed) < n {
        thread::sleep(LOOK_AGAIN);
    }
    let spawn = start.elapsed();
    thread::sleep(SETTLE);
    let held = Footprint::now();
    let start = Instant::now();
    release.store(1, Ordering::Release);
    for handle in &handles {
        handle.thread().unpark();
    }
    for handle in handles {
        handle.join().unwrap();
    }
    measure::parked(n, spawn, start.elapsed(), before, held)
}

fn serve(mut stream: TcpStream) {
    let mut buffer = [0; ECHO_BUFFER];
    while let Ok(read) = stream.read(&mut buffer) {
        if read == 0 || stream.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
}

fn echo(run: &Run) -> io::Result<()> {
    let listener = server::listen(run, false)?;
    server::announce(run, "std");
    loop {
        let Ok((stream, _)) = listener.accept() else {
            continue;
        };
        // Without it the figures would show delayed acknowledgements.
        let _ = stream.set_nodelay(true);
        let thread = thread::Builder::new().stack_size(run.stack_or(SMALL_STACK));
        // A refused thread drops the stream: the load generator counts a failed connection.
        let _ = thread.spawn(move || serve(stream));
    }
}
