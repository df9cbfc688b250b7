//! Actors on each kind of executor, started, asked, watched and ended by OS threads, green threads and tasks
//! of tokio at once: each start, each answer and each end comes to whoever waits for it.

mod storm;
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use storm::{Crowd, end};
use support::everywhere;
use weftwork_actor::{
    Actor, Addr, AskError, Context, Handler, InitError, Options, Reason, System, start, start_async,
};
use weftwork_sched::Runtime;
use weftwork_testkit::{Counted, DropCounter, iters};

struct Echo {
    _state: Counted<usize>,
}

impl Actor for Echo {
    type Args = Counted<usize>;
    fn init(state: Counted<usize>, _: &mut Context<Self>) -> Result<Self, InitError> {
        Ok(Echo { _state: state })
    }
}

impl Handler<usize> for Echo {
    type Reply = usize;
    fn handle(&mut self, n: usize, _: &mut Context<Self>) -> usize {
        n
    }
}

/// Asks one that another party may be ending.
fn ask_the_dying(other: &Addr<Echo>, n: usize) {
    match other.ask(n) {
        Ok(answer) => assert_eq!(answer, n),
        Err(AskError::Dead(back)) => assert_eq!(back, n),
        Err(AskError::Died(_)) => assert!(!other.is_alive()),
        Err(error) => panic!("{error}"),
    }
}

/// What each party does with each actor, when it has started one.
fn use_up(echo: &Addr<Echo>, before: Option<&Addr<Echo>>, n: usize) -> Reason {
    assert_eq!(echo.ask(n), Ok(n));
    if let Some(before) = before {
        ask_the_dying(before, n);
    }
    end(&echo.pid(), n)
}

fn all_at_once(system: &System) {
    let each = iters(1_500, 300, 10);
    let drops = DropCounter::new();
    let done = Arc::new(AtomicUsize::new(0));
    let runtime = Runtime::builder().workers(2).build().unwrap();
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    let mut crowd = Crowd::new(&runtime);
    let work = || {
        let (system, drops, done) = (system.clone(), drops.clone(), Arc::clone(&done));
        move || {
            let mut before = None;
            for n in 0..each {
                let echo = start::<Echo>(&system, drops.track(n), Options::new()).unwrap();
                let watch = echo.pid().watch();
                let told = use_up(&echo, before.as_ref(), n);
                before = Some(echo);
                if n % 2 == 0 {
                    assert_eq!(watch.wait_down(), told);
                }
                done.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    crowd.thread(work());
    crowd.green(work());
    let (system, drops_of_tokio, done_of_tokio) = (system.clone(), drops.clone(), done.clone());
    let task = tokio.spawn(async move {
        for n in 0..each {
            let state = drops_of_tokio.track(n);
            let echo = start_async::<Echo>(&system, state, Options::new()).await;
            let echo = echo.unwrap();
            let watch = echo.pid().watch();
            assert_eq!(echo.ask_async(n).await, Ok(n));
            let told = end(&echo.pid(), n);
            assert_eq!(watch.await, told);
            done_of_tokio.fetch_add(1, Ordering::Relaxed);
        }
    });
    crowd.join();
    tokio.block_on(task).unwrap();
    assert_eq!(done.load(Ordering::Relaxed), 3 * each);
    while drops.live() > 0 {
        std::thread::yield_now();
    }
}

#[test]
fn starts_answers_and_ends_reach_whoever_waits_wherever_that_runs() {
    everywhere(all_at_once);
}
