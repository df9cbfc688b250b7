//! Starts in a loop: each is a wait, whose actor has run before it would have begun.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use weftwork_actor::{Actor, Addr, Context, InitError, Options, System, start};
use weftwork_sched::{Runtime, spawn, yield_now};
use weftwork_testkit::with_watchdog;

const LIMIT: Duration = Duration::from_secs(60);

struct Idle;

impl Actor for Idle {
    type Args = ();
    fn init((): (), _: &mut Context<Self>) -> Result<Self, InitError> {
        Ok(Idle)
    }
}

/// Starts actors, and ends them, while `goes_on`.
fn start_while(system: &System, goes_on: impl Fn() -> bool) {
    let mut last: Option<Addr<Idle>> = None;
    while goes_on() {
        let new = start::<Idle>(system, (), Options::new()).unwrap();
        if let Some(before) = last.replace(new) {
            before.kill();
        }
    }
}

#[test]
fn a_loop_of_starts_lets_others_have_their_turns() {
    with_watchdog(LIMIT, || {
        let runtime = Runtime::builder().workers(1).build().unwrap();
        let system = System::new(runtime.handle());
        runtime.run(move || {
            let turns = Arc::new(AtomicUsize::new(0));
            let other = spawn({
                let turns = Arc::clone(&turns);
                move || {
                    while turns.fetch_add(1, SeqCst) < 10 {
                        yield_now();
                    }
                }
            });
            start_while(&system, || turns.load(SeqCst) < 10);
            other.join().unwrap();
        });
    });
}

#[test]
fn a_loop_of_starts_ends_where_its_thread_is_cancelled() {
    with_watchdog(LIMIT, || {
        let runtime = Runtime::builder().workers(1).build().unwrap();
        let system = System::new(runtime.handle());
        runtime.run(move || {
            let begun = Arc::new(AtomicBool::new(false));
            let starter = spawn({
                let begun = Arc::clone(&begun);
                move || {
                    begun.store(true, SeqCst);
                    start_while(&system, || true);
                }
            });
            while !begun.load(SeqCst) {
                yield_now();
            }
            starter.cancel();
            assert!(starter.join().unwrap_err().is_cancelled());
        });
    });
}
