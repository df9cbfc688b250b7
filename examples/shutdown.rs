//! A graceful shutdown: most work ends by itself, what does not is cancelled, unwinds and is listed.
//!
//! Built with panic=abort nothing unwinds: then the same tasks are listed, and left behind.
//!
//! `cargo run --release --example shutdown`

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use weftwork::prelude::*;
use weftwork::task::TaskBuilder;

/// Something a connection must give back, however it ends.
struct Session(Arc<AtomicUsize>);

impl Drop for Session {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn main() {
    let runtime = Runtime::builder()
        .workers(2)
        .name("server")
        .unwind_limit(Duration::from_secs(1))
        .build()
        .expect("the runtime starts");

    let finished = Arc::new(AtomicUsize::new(0));
    let closed = Arc::new(AtomicUsize::new(0));

    let done = Arc::clone(&finished);
    let sessions = Arc::clone(&closed);
    runtime.run(move || {
        // Ten requests that need a few milliseconds more.
        for n in 1..=10 {
            let done = Arc::clone(&done);
            // Dropping a handle lets the task go on by itself.
            drop(spawn(move || {
                sleep(Duration::from_millis(n));
                done.fetch_add(1, Ordering::Relaxed);
            }));
        }
        // Two connections whose clients say nothing.
        let started = Arc::new(AtomicUsize::new(0));
        for name in ["client-1", "client-2"] {
            let (sessions, started) = (Arc::clone(&sessions), Arc::clone(&started));
            drop(TaskBuilder::named(name).spawn(move || {
                let _session = Session(sessions);
                started.fetch_add(1, Ordering::Release);
                sleep(Duration::MAX);
            }));
        }
        while started.load(Ordering::Acquire) < 2 {
            sleep(Duration::from_millis(1));
        }
    });

    // From here on nobody can spawn from outside. Who does is told so.
    let outside = runtime.handle().clone();
    let report = runtime.shutdown(Duration::from_millis(500));
    println!("shutdown: {report}");
    let late = outside.spawn(|| ()).join();
    println!(
        "late spawn: {}",
        late.as_ref().expect_err("the runtime is gone")
    );

    assert_eq!(
        finished.load(Ordering::Relaxed),
        10,
        "the requests ended in time"
    );
    let mut names: Vec<_> = report
        .cancelled()
        .iter()
        .filter_map(|task| task.name())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["client-1", "client-2"]);
    let unwinds = cfg!(panic = "unwind");
    let (unwound, left) = if unwinds { (2, 0) } else { (0, 2) };
    assert_eq!(closed.load(Ordering::Relaxed), unwound, "sessions closed");
    assert_eq!((report.abandoned(), report.stuck_threads()), (left, 0));
    assert!(late.is_err_and(|error| error.is_cancelled()));
}
