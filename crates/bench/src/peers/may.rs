//! Stackful coroutines on may.
//!
//! Every stack of may is two memory maps (stack and guard), so about half of `vm.max_map_count`
//! coroutines can be alive; beyond that it aborts or hangs. `table` therefore gives may smaller
//! sizes than the others. May's `spawn` is unsafe, because its coroutines may change threads
//! while they hold references to thread-locals; the tasks here hold none.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ::may as rt;
use rt::coroutine::{self, JoinHandle};
use rt::go;
use rt::sync::spsc;

use crate::cli::Run;
use crate::measure::{self, Measurement};
use crate::peers::server;
use crate::process::{Footprint, cpu_time};
use crate::registry::{Bench, Entry};
use crate::workload::{self, ECHO_BUFFER, FAN_OUT, LOOK_AGAIN, SETTLE, Sleeps};

pub(crate) const ENTRIES: &[Entry] = &[
    Entry::measure(Bench::Switch, "may", switch),
    Entry::measure(Bench::SpawnJoin, "may", spawn_join),
    Entry::measure(Bench::Parked, "may", parked),
    Entry::measure(Bench::Pingpong, "may", pingpong),
    Entry::measure(Bench::Skynet, "may", skynet),
    Entry::measure(Bench::CpuFib, "may", cpu_fib),
    Entry::measure(Bench::Timer, "may", timer),
    Entry::serve(Bench::Echo, "may", echo),
];

/// Stack of a coroutine: may's own default.
const STACK: usize = 32 * 1024;
/// Stack where the number of coroutines counts.
const SMALL_STACK: usize = 8 * 1024;

/// Sets up the runtime, which starts with the first coroutine.
fn set_up(run: &Run, stack: usize) {
    let words = run.stack_or(stack) / size_of::<usize>();
    rt::config().set_workers(run.workers).set_stack_size(words);
}

fn drive<T: Send + 'static>(
    run: &Run,
    stack: usize,
    driver: impl FnOnce() -> T + Send + 'static,
) -> T {
    set_up(run, stack);
    go!(driver).join().expect("the driver does not panic")
}

fn switch(run: &Run) -> Measurement {
    let n = run.n_or(1_000_000);
    let yields = move || {
        for _ in 0..n {
            coroutine::yield_now();
        }
    };
    let elapsed = drive(run, STACK, move || {
        let start = Instant::now();
        let (one, other) = (go!(yields), go!(yields));
        one.join().unwrap();
        other.join().unwrap();
        start.elapsed()
    });
    Measurement::new(n, n, elapsed)
}

fn spawn_join(run: &Run) -> Measurement {
    let n = run.n_or(1_000_000);
    let elapsed = drive(run, STACK, move || {
        let start = Instant::now();
        let mut handles = Vec::with_capacity(workload::BATCH as usize);
        let mut sum = 0;
        for batch in workload::batches(n) {
            handles.extend((0..batch).map(|_| go!(|| 1_u64)));
            for handle in handles.drain(..) {
                sum += handle.join().unwrap();
            }
        }
        assert_eq!(sum, n);
        start.elapsed()
    });
    Measurement::new(n, n, elapsed)
}

fn parked(run: &Run) -> Measurement {
    let n = run.n_or(30_000);
    drive(run, SMALL_STACK, move || {
        let parked = Arc::new(AtomicU64::new(0));
        let mut handles: Vec<JoinHandle<()>> = Vec::with_capacity(n as usize);
        let before = Footprint::now();
        let start = Instant::now();
        for _ in 0..n {
            let parked = parked.clone();
            handles.push(go!(move || {
                parked.fetch_add(1, Ordering::Relaxed);
                coroutine::park();
            }));
        }
        while parked.load(Ordering::Relaxed) < n {
            coroutine::sleep(LOOK_AGAIN);
        }
        let spawn = start.elapsed();
        coroutine::sleep(SETTLE);
        let held = Footprint::now();
        let start = Instant::now();
        for handle in &handles {
            handle.coroutine().unpark();
        }
        for handle in handles {
            handle.join().unwrap();
        }
        measure::parked(n, spawn, start.elapsed(), before, held)
    })
}

/// Its channels for one producer and one consumer, which are unbounded.
fn pingpong(run: &Run) -> Measurement {
    let n = run.n_or(1_000_000);
    let elapsed = drive(run, STACK, move || {
        let (to_echo, at_echo) = spsc::channel::<u64>();
        let (from_echo, back) = spsc::channel();
        let start = Instant::now();
        let echo = go!(move || {
            for _ in 0..n {
                from_echo.send(at_echo.recv().unwrap()).unwrap();
            }
        });
        for value in 0..n {
            to_echo.send(value).unwrap();
            assert_eq!(back.recv(), Ok(value));
        }
        echo.join().unwrap();
        start.elapsed()
    });
    Measurement::new(n, n, elapsed).with("cap", -1.0)
}

fn sky(first: u64, leaves: u64) -> u64 {
    if leaves == 1 {
        return first;
    }
    let share = leaves / FAN_OUT;
    let children: [_; FAN_OUT as usize] =
        std::array::from_fn(|child| go!(move || sky(first + child as u64 * share, share)));
    children
        .into_iter()
        .map(|child| child.join().unwrap())
        .sum()
}

fn skynet(run: &Run) -> Measurement {
    let n = workload::full_tree(run.n_or(10_000));
    let elapsed = drive(run, SMALL_STACK, move || {
        let start = Instant::now();
        assert_eq!(sky(0, n), workload::sum_below(n));
        start.elapsed()
    });
    Measurement::new(n, n, elapsed)
}

fn fib(n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let forked = go!(move || fib(n - 1));
    let inline = fib(n - 2);
    forked.join().unwrap() + inline
}

fn cpu_fib(run: &Run) -> Measurement {
    let n = run.fib;
    let elapsed = drive(run, STACK, move || {
        let start = Instant::now();
        assert_eq!(fib(n), workload::fibonacci(n));
        start.elapsed()
    });
    Measurement::new(n, workload::fibonacci_forks(n), elapsed)
        .with("wall_ms", elapsed.as_secs_f64() * 1e3)
}

fn sleep_and_tell_lateness(sleep: Duration) -> u64 {
    let due = Instant::now() + sleep;
    coroutine::sleep(sleep);
    Instant::now().saturating_duration_since(due).as_nanos() as u64
}

fn timer(run: &Run) -> Measurement {
    let (n, span_ms) = (run.n_or(30_000), run.span_ms);
    let cpu = cpu_time();
    let (wall, late) = drive(run, SMALL_STACK, move || {
        let start = Instant::now();
        let handles: Vec<_> = Sleeps::new(span_ms)
            .take(n as usize)
            .map(|sleep| go!(move || sleep_and_tell_lateness(sleep)))
            .collect();
        let late: Vec<u64> = handles
            .into_iter()
            .map(|handle| handle.join().unwrap())
            .collect();
        (start.elapsed(), late)
    });
    measure::timer(n, span_ms, cpu_time() - cpu, wall, late)
}

fn serve(mut stream: rt::net::TcpStream) {
    let mut buffer = [0; ECHO_BUFFER];
    while let Ok(read) = stream.read(&mut buffer) {
        if read == 0 || stream.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
}

fn echo(run: &Run) -> io::Result<()> {
    set_up(run, SMALL_STACK);
    let listener = rt::net::TcpListener::bind(server::address(run))?;
    server::announce(run, "may");
    let accept = go!(move || {
        loop {
            let Ok((stream, _)) = listener.accept() else {
                continue;
            };
            // Without it the figures would show delayed acknowledgements.
            let _ = stream.set_nodelay(true);
            go!(move || serve(stream));
        }
    });
    accept
        .join()
        .map_err(|_| io::Error::other("the accepting coroutine panicked"))
}
