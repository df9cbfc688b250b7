//! Tasks on tokio.
//!
//! Peers: `tokio` (the multi-threaded flavour with `--workers` threads) and `tokio-ct` (the
//! current-thread flavour).

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ::tokio as rt;
use rt::io::{AsyncReadExt, AsyncWriteExt};
use rt::sync::oneshot;

use crate::cli::Run;
use crate::measure::{self, Measurement};
use crate::peers::server;
use crate::process::{Footprint, cpu_time};
use crate::registry::{Bench, Entry};
use crate::workload::{self, ECHO_BUFFER, FAN_OUT, LOOK_AGAIN, SETTLE, Sleeps};

pub(crate) const ENTRIES: &[Entry] = &[
    Entry::measure(Bench::Switch, "tokio", switch),
    Entry::measure(Bench::Switch, "tokio-ct", switch),
    Entry::measure(Bench::SpawnJoin, "tokio", spawn_join),
    Entry::measure(Bench::SpawnJoin, "tokio-ct", spawn_join),
    Entry::measure(Bench::Parked, "tokio", parked),
    Entry::measure(Bench::Skynet, "tokio", skynet),
    Entry::measure(Bench::CpuFib, "tokio", cpu_fib),
    Entry::measure(Bench::Timer, "tokio", timer),
    Entry::serve(Bench::Echo, "tokio", echo),
];

fn runtime(run: &Run) -> io::Result<rt::runtime::Runtime> {
    if run.peer.ends_with("-ct") {
        rt::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
    } else {
        rt::runtime::Builder::new_multi_thread()
            .worker_threads(run.workers)
            .enable_all()
            .build()
    }
}

/// Runs `driver` as a task on a worker, not on the blocked main thread.
pub(crate) fn drive<T: Send + 'static>(
    run: &Run,
    driver: impl Future<Output = T> + Send + 'static,
) -> T {
    let runtime = runtime(run).expect("the runtime starts");
    runtime.block_on(async { rt::spawn(driver).await.expect("the driver does not panic") })
}

/// Spawns a task; the result waits for it.
pub(crate) fn spawn(
    task: impl Future<Output = ()> + Send + 'static,
) -> impl Future<Output = ()> + Send {
    let handle = rt::spawn(task);
    async move { handle.await.expect("the task does not panic") }
}

async fn yields(n: u64) {
    for _ in 0..n {
        rt::task::yield_now().await;
    }
}

fn switch(run: &Run) -> Measurement {
    let n = run.n_or(1_000_000);
    let elapsed = drive(run, async move {
        let start = Instant::now();
        let (one, other) = (rt::spawn(yields(n)), rt::spawn(yields(n)));
        one.await.unwrap();
        other.await.unwrap();
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
            handles.extend((0..batch).map(|_| rt::spawn(async { 1_u64 })));
            for handle in handles.drain(..) {
                sum += handle.await.unwrap();
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
            handles.push(rt::spawn(async move {
                parked.fetch_add(1, Ordering::Relaxed);
                receiver.await.unwrap();
            }));
        }
        while parked.load(Ordering::Relaxed) < n {
            rt::time::sleep(LOOK_AGAIN).await;
        }
        let spawn = start.elapsed();
        rt::time::sleep(SETTLE).await;
        let held = Footprint::now();
        let start = Instant::now();
        for sender in senders {
            sender.send(()).unwrap();
        }
        for handle in handles {
            handle.await.unwrap();
        }
        measure::parked(n, spawn, start.elapsed(), before, held)
    })
}

fn sky(first: u64, leaves: u64) -> Pin<Box<dyn Future<Output = u64> + Send>> {
    Box::pin(async move {
        if leaves == 1 {
            return first;
        }
        let share = leaves / FAN_OUT;
        let children: [_; FAN_OUT as usize] =
            std::array::from_fn(|child| rt::spawn(sky(first + child as u64 * share, share)));
        let mut sum = 0;
        for child in children {
            sum += child.await.unwrap();
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
        let forked = rt::spawn(fib(n - 1));
        let inline = fib(n - 2).await;
        forked.await.unwrap() + inline
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
    rt::time::sleep(sleep).await;
    Instant::now().saturating_duration_since(due).as_nanos() as u64
}

fn timer(run: &Run) -> Measurement {
    let (n, span_ms) = (run.n_or(100_000), run.span_ms);
    let cpu = cpu_time();
    let (wall, late) = drive(run, async move {
        let start = Instant::now();
        let handles: Vec<_> = Sleeps::new(span_ms)
            .take(n as usize)
            .map(|sleep| rt::spawn(sleep_and_tell_lateness(sleep)))
            .collect();
        let mut late = Vec::with_capacity(n as usize);
        for handle in handles {
            late.push(handle.await.unwrap());
        }
        (start.elapsed(), late)
    });
    measure::timer(n, span_ms, cpu_time() - cpu, wall, late)
}

async fn serve(mut stream: rt::net::TcpStream) {
    let mut buffer = [0; ECHO_BUFFER];
    while let Ok(read) = stream.read(&mut buffer).await {
        if read == 0 || stream.write_all(&buffer[..read]).await.is_err() {
            break;
        }
    }
}

fn echo(run: &Run) -> io::Result<()> {
    let runtime = runtime(run)?;
    let _entered = runtime.enter();
    let listener = server::listen(run, false)?;
    listener.set_nonblocking(true)?;
    let listener = rt::net::TcpListener::from_std(listener)?;
    server::announce(run, "tokio");
    let accept = rt::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                continue;
            };
            // Without it the figures would show delayed acknowledgements.
            let _ = stream.set_nodelay(true);
            rt::spawn(serve(stream));
        }
    });
    runtime.block_on(accept).map_err(io::Error::other)
}
