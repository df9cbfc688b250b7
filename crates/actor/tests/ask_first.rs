//! Asks by green threads and actors, whose actor may run before they wait.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use support::on_scheduler;
use weftwork_actor::{
    Actor, Addr, AskError, Context, Handler, InitError, Options, Reason, System, start,
};
use weftwork_csp::oneshot;
use weftwork_sched::{Runtime, yield_now};
use weftwork_testkit::with_watchdog;

const LIMIT: Duration = Duration::from_secs(60);

/// Counts what it is asked, and asks and waits as it is told.
struct Clerk(u64);

#[derive(Debug, PartialEq)]
struct Count;
/// Tells that it has begun, and waits for the end.
struct WaitFor(oneshot::Sender<()>, oneshot::Receiver<()>);
#[derive(Debug, PartialEq)]
struct Ask(Vec<Addr<Clerk>>);
struct AskToWait(Addr<Clerk>, WaitFor);
struct Crash;

impl Actor for Clerk {
    type Args = ();
    fn init((): (), _: &mut Context<Self>) -> Result<Self, InitError> {
        Ok(Clerk(0))
    }
}

impl Handler<Count> for Clerk {
    type Reply = u64;
    fn handle(&mut self, _: Count, _: &mut Context<Self>) -> u64 {
        self.0 += 1;
        self.0
    }
}

impl Handler<WaitFor> for Clerk {
    type Reply = ();
    fn handle(&mut self, WaitFor(begun, end): WaitFor, _: &mut Context<Self>) {
        self.0 += 1;
        begun.send(()).unwrap();
        end.recv().unwrap();
    }
}

impl Handler<Ask> for Clerk {
    /// How many have been asked.
    type Reply = usize;
    fn handle(&mut self, Ask(mut others): Ask, _: &mut Context<Self>) -> usize {
        match others.pop() {
            Some(next) => 1 + next.ask(Ask(others)).unwrap(),
            None => 0,
        }
    }
}

impl Handler<AskToWait> for Clerk {
    type Reply = ();
    fn handle(&mut self, AskToWait(other, wait): AskToWait, _: &mut Context<Self>) {
        other.ask(wait).unwrap();
    }
}

impl Handler<Crash> for Clerk {
    type Reply = ();
    fn handle(&mut self, _: Crash, _: &mut Context<Self>) {
        panic!("asked to")
    }
}

fn clerk(system: &System) -> Addr<Clerk> {
    start(system, (), Options::new()).unwrap()
}

/// Runs `test` as a green thread of one worker, and of two.
fn in_a_green_thread(test: impl Fn(System) + Clone + Send + 'static) {
    for workers in [1, 2] {
        let test = test.clone();
        with_watchdog(LIMIT, move || {
            let runtime = Runtime::builder().workers(workers).build().unwrap();
            let system = System::new(runtime.handle());
            runtime.run(move || test(system));
        });
    }
}

#[test]
fn what_was_told_before_is_handled_before_the_question() {
    in_a_green_thread(|system| {
        let clerk = clerk(&system);
        for round in 0..100 {
            clerk.tell(Count).unwrap();
            clerk.tell(Count).unwrap();
            assert_eq!(clerk.ask(Count), Ok(3 * round + 3));
        }
    });
}

#[test]
fn the_time_limit_is_kept_while_the_one_asked_waits_in_its_handler() {
    in_a_green_thread(|system| {
        let clerk = clerk(&system);
        for round in 0..20 {
            let (begun, has_begun) = oneshot::channel();
            let (go_on, end) = oneshot::channel();
            let asked = clerk.ask_timeout(WaitFor(begun, end), Duration::from_millis(1));
            assert!(matches!(asked, Err(AskError::Timeout)));
            has_begun.recv().unwrap();
            go_on.send(()).unwrap();
            assert_eq!(clerk.ask(Count), Ok(2 * round + 2));
        }
    });
}

#[test]
fn a_kill_of_the_asker_leaves_the_one_asked_alone() {
    in_a_green_thread(|system| {
        let (asker, asked) = (clerk(&system), clerk(&system));
        let (begun, has_begun) = oneshot::channel();
        let (go_on, end) = oneshot::channel();
        let wait = WaitFor(begun, end);
        asker.tell(AskToWait(asked.clone(), wait)).unwrap();
        has_begun.recv().unwrap();
        let killed = asker.pid().watch();
        asker.kill();
        assert_eq!(killed.wait_down(), Reason::Killed);
        assert!(asked.is_alive());
        go_on.send(()).unwrap();
        assert_eq!(asked.ask(Count), Ok(2));
    });
}

#[test]
fn a_row_of_a_hundred_actors_that_ask_each_other_answers() {
    in_a_green_thread(|system| {
        let all: Vec<_> = (0..100).map(|_| clerk(&system)).collect();
        let first = clerk(&system);
        for _ in 0..3 {
            assert_eq!(first.ask(Ask(all.clone())), Ok(100));
        }
    });
}

#[test]
fn a_loop_of_asks_lets_others_have_their_turns() {
    in_a_green_thread(|system| {
        let clerk = clerk(&system);
        let turns = Arc::new(AtomicUsize::new(0));
        let other = weftwork_sched::spawn({
            let turns = Arc::clone(&turns);
            move || {
                while turns.fetch_add(1, SeqCst) < 100 {
                    yield_now();
                }
            }
        });
        while turns.load(SeqCst) < 100 {
            clerk.ask(Count).unwrap();
        }
        other.join().unwrap();
    });
}

#[test]
fn a_panic_of_the_one_asked_is_the_askers_error_and_no_more() {
    in_a_green_thread(|system| {
        let clerk = clerk(&system);
        let Err(AskError::Died(Reason::Panic(panic))) = clerk.ask(Crash) else {
            panic!("it died")
        };
        assert_eq!(panic.message(), "asked to");
        assert!(!clerk.is_alive());
    });
}

#[test]
fn a_destructor_of_a_thread_that_panics_may_ask() {
    struct AsksAtTheEnd<'a>(&'a Addr<Clerk>);
    impl Drop for AsksAtTheEnd<'_> {
        fn drop(&mut self) {
            self.0.ask(Count).unwrap();
        }
    }
    in_a_green_thread(|system| {
        let clerk = clerk(&system);
        let caught = catch_unwind(AssertUnwindSafe(|| {
            let _asks = AsksAtTheEnd(&clerk);
            panic!("on purpose");
        }));
        assert!(caught.is_err());
        assert_eq!(clerk.ask(Count), Ok(2));
    });
}

#[test]
fn asks_of_one_that_is_asked_by_many_are_answered_each() {
    in_a_green_thread(|system| {
        let clerk = clerk(&system);
        let askers: Vec<_> = (0..8)
            .map(|_| {
                let clerk = clerk.clone();
                weftwork_sched::spawn(move || {
                    (0..500).map(|_| clerk.ask(Count).unwrap()).max().unwrap()
                })
            })
            .collect();
        let last = askers.into_iter().map(|asker| asker.join().unwrap()).max();
        assert_eq!(last, Some(8 * 500));
    });
}

#[test]
fn two_workers_that_ask_the_same_actor_and_time_out_lose_no_answer_of_others() {
    on_scheduler(2, |system| {
        let clerk = clerk(system);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        match clerk.ask_timeout(Count, Duration::from_micros(1)) {
                            Ok(_) | Err(AskError::Timeout) => {}
                            Err(error) => panic!("{error}"),
                        }
                    }
                });
            }
        });
        assert_eq!(clerk.ask(Count), Ok(401));
    });
}
