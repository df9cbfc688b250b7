//! What the tests share: three executors, and an actor that does what it is told.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::disallowed_types,
    reason = "each test uses a part; tests may use std's locks"
)]

use std::convert::Infallible;
use std::sync::mpsc::{Receiver, RecvError, Sender, channel};
use std::time::Duration;
use weftwork_actor::{
    Actor, Addr, Context, Down, Executor, Exit, Handler, InitError, Options, Pid, Reason, System,
    start,
};
use weftwork_core::{Refused, Spawn, Task};
use weftwork_sched::Runtime;
use weftwork_testkit::watchdog;

/// Held by every clone of an executor, of which each actor has one.
type Hold = Sender<Infallible>;

/// Runs each task on a thread of its own, each time that it is woken.
#[derive(Debug, Clone)]
struct Threads(Hold);

impl Spawn for Threads {
    fn spawn_task(&self, task: Task) -> Result<(), Refused> {
        std::thread::spawn(move || task.run());
        Ok(())
    }
}

/// Runs tasks on tokio, which knows nothing of green threads: a handler may wait, so each run says that it
/// may block its thread.
#[derive(Debug, Clone)]
struct Tokio(tokio::runtime::Handle, Hold);

impl Spawn for Tokio {
    fn spawn_task(&self, task: Task) -> Result<(), Refused> {
        (self.0).spawn(async move { tokio::task::block_in_place(|| task.run()) });
        Ok(())
    }
}

/// Runs `test` on our scheduler, with one worker and with two, on tokio, and on plain threads.
///
/// Our scheduler takes its actors along when it ends. The others do not: there a test ends its actors itself,
/// and that nothing is left of them is a part of each test.
pub fn everywhere(test: impl Fn(&System)) {
    for workers in [1, 2] {
        on_scheduler(workers, &test);
    }
    let dog = watchdog(Duration::from_secs(120));
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    until_all_is_gone(|hold| Tokio(tokio.handle().clone(), hold), &test);
    drop(tokio);
    until_all_is_gone(Threads, &test);
    drop(dog);
}

/// Runs `test` on an executor, and waits until nobody has it: until each actor's end, and the last address.
/// An actor that a test leaves alive, or that the library never frees, is a hang here.
fn until_all_is_gone<E: Executor>(executor: impl FnOnce(Hold) -> E, test: impl FnOnce(&System)) {
    let (hold, held) = channel();
    test(&System::new(&executor(hold)));
    let dog = watchdog(Duration::from_secs(60));
    dog.on_hang("executor", |out| {
        out.push_str(
            "the test is over, but an actor of it lives on, or somebody keeps its address",
        );
    });
    let Err(RecvError) = held.recv();
    drop(dog);
}

/// Runs `test` on our scheduler.
pub fn on_scheduler(workers: usize, test: impl Fn(&System)) {
    let dog = watchdog(Duration::from_secs(120));
    let rt = Runtime::builder().workers(workers).build().unwrap();
    test(&System::new(rt.handle()));
    drop(rt);
    drop(dog);
}

/// What a puppet has lived through.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    Exit(Pid, Reason),
    Down(Pid, Reason),
    Terminate(Reason),
    Note(u64),
}

/// Does what it is told, and tells what happens to it.
#[derive(Debug)]
pub struct Puppet {
    pub events: Sender<Event>,
}

/// What a puppet is to do.
pub struct Do(pub Work);

pub type Work = Box<dyn FnOnce(&mut Puppet, &mut Context<Puppet>) + Send>;

/// A message to be noted.
#[derive(Debug, PartialEq)]
pub struct Note(pub u64);

impl Actor for Puppet {
    type Args = Sender<Event>;

    fn init(events: Sender<Event>, _: &mut Context<Self>) -> Result<Self, InitError> {
        Ok(Puppet { events })
    }

    fn on_exit(&mut self, exit: Exit, _: &mut Context<Self>) {
        let _ = self.events.send(Event::Exit(exit.from, exit.reason));
    }

    fn on_down(&mut self, down: Down, _: &mut Context<Self>) {
        let _ = self.events.send(Event::Down(down.pid, down.reason));
    }

    fn terminate(&mut self, reason: &Reason, _: &mut Context<Self>) {
        let _ = self.events.send(Event::Terminate(reason.clone()));
    }
}

impl Handler<Do> for Puppet {
    type Reply = ();
    fn handle(&mut self, Do(work): Do, ctx: &mut Context<Self>) {
        work(self, ctx);
    }
}

impl Handler<Note> for Puppet {
    type Reply = u64;
    fn handle(&mut self, Note(n): Note, _: &mut Context<Self>) -> u64 {
        let _ = self.events.send(Event::Note(n));
        n
    }
}

/// A puppet and what it tells.
#[derive(Debug)]
pub struct Stage {
    pub addr: Addr<Puppet>,
    pub events: Receiver<Event>,
}

/// Without an executor that ends it, an actor that nobody stops lives on, out of reach.
impl Drop for Stage {
    fn drop(&mut self) {
        self.addr.kill();
    }
}

impl Stage {
    pub fn new(system: &System) -> Stage {
        Stage::with(system, Options::new())
    }

    pub fn with(system: &System, options: Options) -> Stage {
        let (sender, events) = channel();
        let addr = start::<Puppet>(system, sender, options).unwrap();
        Stage { addr, events }
    }

    pub fn trapping(system: &System) -> Stage {
        let stage = Stage::new(system);
        stage.run(|_, ctx| {
            ctx.trap_exit(true);
        });
        stage
    }

    pub fn pid(&self) -> Pid {
        self.addr.pid()
    }

    /// Lets the puppet do something, and waits until it is done.
    pub fn run(&self, work: impl FnOnce(&mut Puppet, &mut Context<Puppet>) + Send + 'static) {
        self.addr.ask(Do(Box::new(work))).unwrap();
    }

    /// Lets the puppet do something that returns something.
    pub fn get<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Context<Puppet>) -> R + Send + 'static,
    ) -> R {
        let (sender, result) = channel();
        self.run(move |_, ctx| sender.send(work(ctx)).unwrap());
        result.recv().unwrap()
    }

    /// Tells the puppet to do something, and does not wait.
    pub fn tell(&self, work: impl FnOnce(&mut Puppet, &mut Context<Puppet>) + Send + 'static) {
        self.addr.tell(Do(Box::new(work))).unwrap();
    }

    pub fn link(&self, to: &Stage) {
        let pid = to.pid();
        self.get(move |ctx| ctx.link(&pid)).unwrap();
    }

    pub fn next(&self) -> Event {
        self.events.recv().unwrap()
    }

    /// What it has told until now; it is alive, and has handled all that the caller has sent.
    pub fn so_far(&self) -> Vec<Event> {
        self.run(|_, _| {});
        self.events.try_iter().collect()
    }

    /// Ends it, and waits for its end.
    pub fn stop(&self, reason: Reason) {
        let watcher = self.pid().watch();
        let pid = self.pid();
        pid.stop(reason);
        watcher.wait_down();
    }
}
