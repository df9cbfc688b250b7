//! Tasks on `async-executor`, the executor of smol, run by `--workers` threads; I/O and timers by
//! `async-io`, channels by `async-channel`.

use std::future::Future;
use std::io;
use std::net::TcpStream;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_executor::Executor;
use async_io::{Async, Timer};
use futures_channel::oneshot;
use futures_lite::{AsyncReadExt, AsyncWriteExt, future};

use crate::cli::Run;
use crate::measure::{self, Measurement};
use crate::peers::server;
use crate::process::{Footprint, cpu_time};
use crate::registry::{Bench, Entry};
use crate::setting::Capacity;
use crate::workload::{self, ECHO_BUFFER, FAN_OUT, LOOK_AGAIN, SETTLE, Sleeps};

pub(crate) const ENTRIES: &[Entry] = &[
    Entry::measure(Bench::Switch, "smol", switch),
    Entry::measure(Bench::SpawnJoin, "smol", spawn_join),
    Entry::measure(Bench::Parked, "smol", parked),
    Entry::measure(Bench::Pingpong, "smol", pingpong),
    Entry::measure(Bench::Skynet, "smol", skynet),
    Entry::measure(Bench::CpuFib, "smol", cpu_fib),
    Entry::measure(Bench::Timer, "smol", timer),
    Entry::serve(Bench::Echo, "smol", echo),
];

static EXECUTOR: Executor<'static> = Executor::new();

/// Starts the worker threads, which run until the process ends.
fn start(run: &Run) {
    for _ in 0..run.workers {
        std::thread::spawn(|| async_io::block_on(EXECUTOR.run(future::pending::<()>())));
    }
}

/// Runs `driver` as a task on a worker, not on the blocked main thread.
fn drive<T: Send + 'static>(run: &Run, driver: impl Future<Output = T> + Send + 'static) -> T {
    start(run);
    future::block_on(EXECUTOR.spawn(driver))
}

async fn yields(n: u64) {
    for _ in 0..n {
        future::yield_now().await;
    }
}

fn switch(run: &Run) -> Measurement {
    let n = run.n_or(1_000_000);
    let elapsed = drive(run, async move {
        let start = Instant::now();
        let (one, other) = (EXECUTOR.spawn(yields(n)), EXECUTOR.spawn(yields(n)));
        one.await;
        other.await;
        start.elapsed()
    });
    Measurement::new(n, n, elapsed)
}

fn spawn_join(run: &Run) -> Measurement {
    let n = run.n_or(1_000_000);
    let elapsed = drive(run, async move {
        let start = Instant::now();
        let mut handles = Vec::with_capacity(workload::BATCH as usize);
        let mut sum = 0;
        for batch in workload::batches(n) {
            handles.extend((0..batch).map(|_| EXECUTOR.spawn(async { 1_u64 })));
            for handle in handles.drain(..) {
                sum += handle.await;
            }
        }
        assert_eq!(sum, n);
        start.elapsed()
    });
    Measurement::new(n, n, elapsed)
}

fn parked(run: &Run) -> Measurement {
    let n = run.n_or(100_000);
    drive(run, async move {
        let parked = Arc::new(AtomicU64::new(0));
        let mut handles = Vec::with_capacity(n as usize);
        let mut senders = Vec::with_capacity(n as usize);
        let before = Footprint::now();
        let start = Instant::now();
        for _ in 0..n {
            let (sender, receiver) = oneshot::channel::<()>();
            let parked = parked.clone();
            senders.push(sender);
            handles.push(EXECUTOR.spawn(async move {
                parked.fetch_add(1, Ordering::Relaxed);
                receiver.await.unwrap();
            }));
        }
        while parked.load(Ordering::Relaxed) < n {
            Timer::after(LOOK_AGAIN).await;
        }
        let spawn = start.elapsed();
        Timer::after(SETTLE).await;
        let held = Footprint::now();
        let start = Instant::now();
        for sender in senders {
            sender.send(()).unwrap();
        }
        for handle in handles {
            handle.await;
        }
        measure::parked(n, spawn, start.elapsed(), before, held)
    })
}

fn pingpong(run: &Run) -> Measurement {
    let (n, capacity) = (run.n_or(300_000), run.cap_or(Capacity::Bounded(1)));
    let open = move || match capacity {
        Capacity::Bounded(capacity) => async_channel::bounded::<u64>(capacity),
        Capacity::Unbounded => async_channel::unbounded(),
    };
    let elapsed = drive(run, async move {
        let (to_echo, at_echo) = open();
        let (from_echo, back) = open();
        let start = Instant::now();
        let echo = EXECUTOR.spawn(async move {
            for _ in 0..n {
                let value = at_echo.recv().await.unwrap();
                from_echo.send(value).await.unwrap();
            }
        });
        for value in 0..n {
            to_echo.send(value).await.unwrap();
            assert_eq!(back.recv().await, Ok(value));
        }
        echo.await;
        start.elapsed()
    });
    Measurement::new(n, n, elapsed).with("cap", capacity.number() as f64)
}

fn sky(first: u64, leaves: u64) -> Pin<Box<dyn Future<Output = u64> + Send>> {
    Box::pin(async move {
        if leaves == 1 {
            return first;
        }
        let share = leaves / FAN_OUT;
        let children: [_; FAN_OUT as usize] =
            std::array::from_fn(|child| EXECUTOR.spawn(sky(first + child as u64 * share, share)));
        let mut sum = 0;
        for child in children {
            sum += child.await;
        }
        sum
    })
}

fn skynet(run: &Run) -> Measurement {
    let n = workload::full_tree(run.n_or(1_000_000));
    let elapsed = drive(run, async move {
        let start = Instant::now();
        assert_eq!(sky(0, n).await, workload::sum_below(n));
        start.elapsed()
    });
    Measurement::new(n, n, elapsed)
}

fn fib(n: u64) -> Pin<Box<dyn Future<Output = u64> + Send>> {
    Box::pin(async move {
        if n < 2 {
            return n;
        }
        let forked = EXECUTOR.spawn(fib(n - 1));
        let inline = fib(n - 2).await;
        forked.await + inline
    })
}

fn cpu_fib(run: &Run) -> Measurement {
    let n = run.fib;
    let elapsed = drive(run, async move {
        let start = Instant::now();
        assert_eq!(fib(n).await, workload::fibonacci(n));
        start.elapsed()
    });
    Measurement::new(n, workload::fibonacci_forks(n), elapsed)
        .with("wall_ms", elapsed.as_secs_f64() * 1e3)
}

async fn sleep_and_tell_lateness(sleep: Duration) -> u64 {
    let due = Instant::now() + sleep;
    Timer::after(sleep).await;
    Instant::now().saturating_duration_since(due).as_nanos() as u64
}

fn timer(run: &Run) -> Measurement {
    let (n, span_ms) = (run.n_or(100_000), run.span_ms);
    let cpu = cpu_time();
    let (wall, late) = drive(run, async move {
        let start = Instant::now();
        let handles: Vec<_> = Sleeps::new(span_ms)
            .take(n as usize)
            .map(|sleep| EXECUTOR.spawn(sleep_and_tell_lateness(sleep)))
            .collect();
        let mut late = Vec::with_capacity(n as usize);
        for handle in handles {
            late.push(handle.await);
        }
        (start.elapsed(), late)
    });
    measure::timer(n, span_ms, cpu_time() - cpu, wall, late)
}

async fn serve(mut stream: Async<TcpStream>) {
    let mut buffer = [0; ECHO_BUFFER];
    while let Ok(read) = stream.read(&mut buffer).await {
        if read == 0 || stream.write_all(&buffer[..read]).await.is_err() {
            break;
        }
    }
}

fn echo(run: &Run) -> io::Result<()> {
    let listener = Async::new(server::listen(run, false)?)?;
    start(run);
    server::announce(run, "smol");
    future::block_on(EXECUTOR.spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                continue;
            };
            // Without it the figures would show delayed acknowledgements.
            let _ = stream.get_ref().set_nodelay(true);
            EXECUTOR.spawn(serve(stream)).detach();
        }
    }))
}
