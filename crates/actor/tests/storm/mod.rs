//! What the stress programs share: who takes part, where the actors run, dice, and the account that every
//! message is in.
//!
//! The programs have a `main` of their own and use no lock or channel of std's, so that ThreadSanitizer sees
//! all that orders their accesses: see `ci/tsan.sh`.

#![allow(dead_code, reason = "each program uses a part")]

pub(crate) mod account;

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Instant;
use weftwork_actor::{Pid, Reason, System};
use weftwork_core::{Refused, Spawn, Task, block_on};
use weftwork_sched::{JoinHandle, Runtime};

/// Enough for a supervisor that waits for one that waits for an actor, and some that do not.
const THREADS: usize = 6;

/// Runs `part` with our scheduler of two workers, and twice: with the actors on the scheduler, and on threads
/// that know nothing of green threads.
pub(crate) fn on_both(name: &str, part: impl Fn(&Runtime, &System)) {
    let runtime = Runtime::builder().workers(2).build().unwrap();
    let start = Instant::now();
    part(&runtime, &System::new(runtime.handle()));
    println!("{name}: {:.1?}", start.elapsed());
    let start = Instant::now();
    let pool = Pool::new(THREADS);
    part(&runtime, &pool.system());
    // The pool ends when no actor's cell is left: one that leaks is a hang here.
    pool.join();
    println!("{name}, on plain threads: {:.1?}", start.elapsed());
}

/// An executor of plain threads: a task runs on one of them whenever it is woken.
pub(crate) struct Pool {
    system: System,
    threads: Vec<thread::JoinHandle<()>>,
}

#[derive(Debug, Clone)]
struct Queue(weftwork_csp::Sender<Task>);

impl Spawn for Queue {
    fn spawn_task(&self, task: Task) -> Result<(), Refused> {
        (self.0)
            .try_send(task)
            .map_err(|unsent| Refused(unsent.into_inner()))
    }
}

impl Pool {
    pub(crate) fn new(threads: usize) -> Pool {
        let (queue, tasks) = weftwork_csp::unbounded::<Task>();
        let run = |tasks: weftwork_csp::Receiver<Task>| move || tasks.iter().for_each(Task::run);
        Pool {
            system: System::new(&Queue(queue)),
            threads: (0..threads)
                .map(|_| thread::spawn(run(tasks.clone())))
                .collect(),
        }
    }

    pub(crate) fn system(&self) -> System {
        self.system.clone()
    }

    /// Waits until nobody has the system any more, no address and no pid either.
    pub(crate) fn join(self) {
        drop(self.system);
        for thread in self.threads {
            thread.join().expect("no task panics");
        }
    }
}

/// The parties of one round.
pub(crate) struct Crowd<'r> {
    runtime: &'r Runtime,
    threads: Vec<thread::JoinHandle<()>>,
    green: Vec<JoinHandle<()>>,
}

impl<'r> Crowd<'r> {
    pub(crate) fn new(runtime: &'r Runtime) -> Self {
        Crowd {
            runtime,
            threads: Vec::new(),
            green: Vec::new(),
        }
    }

    /// Lets `work` run on an OS thread.
    pub(crate) fn thread(&mut self, work: impl FnOnce() + Send + 'static) {
        self.threads.push(thread::spawn(work));
    }

    /// Lets `work` run on a green thread.
    pub(crate) fn green(&mut self, work: impl FnOnce() + Send + 'static) {
        self.green.push(self.runtime.spawn(work));
    }

    /// Lets the future of `work` run on a thread that does nothing else.
    pub(crate) fn future(&mut self, work: impl AsyncFnOnce() + Send + 'static) {
        self.threads.push(thread::spawn(move || block_on(work())));
    }

    /// Waits until all are through.
    pub(crate) fn join(self) {
        for thread in self.threads {
            thread.join().expect("no thread panics");
        }
        for thread in self.green {
            thread.join().expect("no green thread panics");
        }
    }
}

/// A cheap generator of numbers that look random.
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        // xorshift64* (Vigna 2016).
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % limit
    }
}

/// Polls a future once, and drops it if it is not ready.
pub(crate) fn poll_once<F: Future>(future: Pin<&mut F>) -> Option<F::Output> {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// Lets the others of an executor go first, once.
pub(crate) async fn yield_once() {
    let mut is_second = false;
    poll_fn(|context| {
        if std::mem::replace(&mut is_second, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Lets others run: whoever calls this looks for something that happens by itself.
pub(crate) fn breathe() {
    weftwork_sched::yield_now();
    thread::yield_now();
}

/// Unwinds as a panic does, and prints nothing.
pub(crate) fn crash() -> ! {
    std::panic::resume_unwind(Box::new("as the test wants"))
}

/// The ways to end an actor from outside, and with what reason it then ends, unless it was ending already.
pub(crate) fn end(pid: &Pid, way: usize) -> Reason {
    match way % 4 {
        0 => {
            pid.kill();
            Reason::Killed
        }
        1 => {
            pid.exit(Reason::other("storm"));
            Reason::other("storm")
        }
        2 => {
            pid.stop(Reason::Normal);
            Reason::Normal
        }
        _ => {
            pid.stop(Reason::Shutdown);
            Reason::Shutdown
        }
    }
}
