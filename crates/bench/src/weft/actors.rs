//! Our actors, whose handlers and callers are green threads' code that blocks. Mailboxes are those of the
//! default: 1024 messages, and senders wait for room.

use std::time::{Duration, Instant};

use super::actor::supervisor::{ChildRef, ChildSpec, SupervisorSpec};
use super::actor::{Actor, Addr, Context, Handler, InitError, Options, Reason, System, start};
use super::{channel, runtime, sleep, spawn};
use crate::actors::crash::{CRASHES, Crashes};
use crate::actors::{NODES, SENDERS, idle, shares};
use crate::cli::Run;
use crate::measure::Measurement;
use crate::process::Footprint;
use crate::registry::{Bench, Entry};
use crate::workload::{self, SETTLE};

pub(crate) const ENTRIES: &[Entry] = &[
    Entry::measure(Bench::ActorTell, "weftwork", |run| tell(run, 1)),
    Entry::measure(Bench::ActorFanin, "weftwork", |run| tell(run, SENDERS)),
    Entry::measure(Bench::ActorAsk, "weftwork", ask),
    Entry::measure(Bench::ActorSpawn, "weftwork", start_and_stop),
    Entry::measure(Bench::ActorMem, "weftwork", memory),
    Entry::measure(Bench::Ring, "weftwork", ring),
    Entry::measure(Bench::ActorRestart, "weftwork", restart),
];

/// Runs `driver` as a green thread of a runtime, on which it starts actors.
fn drive<T: Send + 'static>(run: &Run, driver: impl FnOnce(System) -> T + Send + 'static) -> T {
    let runtime = runtime(run);
    let system = System::new(runtime.handle());
    runtime.run(move || driver(system))
}

struct Counter(u64);

struct Add(u64);

struct Get;

impl Actor for Counter {
    type Args = ();

    fn init((): (), _: &mut Context<Self>) -> Result<Self, InitError> {
        Ok(Counter(0))
    }
}

impl Handler<Add> for Counter {
    type Reply = ();

    fn handle(&mut self, Add(more): Add, _: &mut Context<Self>) {
        self.0 += more;
    }
}

impl Handler<Get> for Counter {
    type Reply = u64;

    fn handle(&mut self, _: Get, _: &mut Context<Self>) -> u64 {
        self.0
    }
}

fn counter(system: &System) -> Addr<Counter> {
    start(system, (), Options::new()).expect("it starts")
}

fn tell(run: &Run, senders: u64) -> Measurement {
    let (each, total) = shares(run, senders);
    let elapsed = drive(run, move |system| {
        let counter = counter(&system);
        assert_eq!(counter.ask(Get).unwrap(), 0);
        let start = Instant::now();
        let senders: Vec<_> = (0..senders)
            .map(|_| {
                let counter = counter.clone();
                spawn(move || {
                    for _ in 0..each {
                        counter.tell(Add(1)).unwrap();
                    }
                })
            })
            .collect();
        for sender in senders {
            sender.join().unwrap();
        }
        assert_eq!(counter.ask(Get).unwrap(), total);
        let elapsed = start.elapsed();
        counter.stop(Reason::Normal);
        elapsed
    });
    Measurement::new(total, total, elapsed)
}

fn ask(run: &Run) -> Measurement {
    let n = run.n_or(500_000);
    let elapsed = drive(run, move |system| {
        let counter = counter(&system);
        counter.tell(Add(1)).unwrap();
        let start = Instant::now();
        for _ in 0..n {
            assert_eq!(counter.ask(Get).unwrap(), 1);
        }
        let elapsed = start.elapsed();
        counter.stop(Reason::Normal);
        elapsed
    });
    Measurement::new(n, n, elapsed)
}

/// Stops actors, and waits until all have ended.
fn stop_all(counters: &mut Vec<Addr<Counter>>) {
    let stopped: Vec<_> = counters
        .drain(..)
        .map(|counter| {
            let end = counter.pid().watch();
            counter.stop(Reason::Normal);
            end
        })
        .collect();
    for end in stopped {
        assert_eq!(end.wait_down(), Reason::Normal);
    }
}

fn start_and_stop(run: &Run) -> Measurement {
    let n = run.n_or(200_000);
    let elapsed = drive(run, move |system| {
        let mut counters = Vec::with_capacity(workload::BATCH as usize);
        let start = Instant::now();
        for batch in workload::batches(n) {
            counters.extend((0..batch).map(|_| counter(&system)));
            stop_all(&mut counters);
        }
        start.elapsed()
    });
    Measurement::new(n, n, elapsed)
}

fn memory(run: &Run) -> Measurement {
    let n = run.n_or(200_000);
    drive(run, move |system| {
        let mut counters = Vec::with_capacity(n as usize);
        let before = Footprint::now();
        let start = Instant::now();
        counters.extend((0..n).map(|_| counter(&system)));
        for counter in &counters {
            assert_eq!(counter.ask(Get).unwrap(), 0);
        }
        let elapsed = start.elapsed();
        sleep(SETTLE);
        let held = Footprint::now();
        stop_all(&mut counters);
        idle(n, elapsed, before, held)
    })
}

/// Has the next actor of the ring, and who is told when the number is zero.
struct Node(Option<(Addr<Node>, channel::Sender<()>)>);

struct Next(Addr<Node>, channel::Sender<()>);

struct Number(u64);

impl Actor for Node {
    type Args = ();

    fn init((): (), _: &mut Context<Self>) -> Result<Self, InitError> {
        Ok(Node(None))
    }
}

impl Handler<Next> for Node {
    type Reply = ();

    fn handle(&mut self, Next(node, done): Next, _: &mut Context<Self>) {
        self.0 = Some((node, done));
    }
}

impl Handler<Number> for Node {
    type Reply = ();

    fn handle(&mut self, Number(number): Number, _: &mut Context<Self>) {
        let (next, done) = self.0.as_ref().expect("the ring is closed");
        match number {
            0 => done.send(()).expect("the driver waits"),
            _ => next.tell(Number(number - 1)).expect("it runs"),
        }
    }
}

fn ring(run: &Run) -> Measurement {
    let n = run.n_or(1_000_000);
    let elapsed = drive(run, move |system| {
        let (done, ended) = channel::bounded(1);
        let nodes: Vec<Addr<Node>> = (0..NODES)
            .map(|_| start(&system, (), Options::new()).expect("it starts"))
            .collect();
        for (index, node) in nodes.iter().enumerate() {
            let next = nodes[(index + 1) % NODES].clone();
            node.tell(Next(next, done.clone())).unwrap();
        }
        let start = Instant::now();
        nodes[0].tell(Number(n)).unwrap();
        ended.recv().expect("the ring is closed");
        let elapsed = start.elapsed();
        for node in nodes {
            node.stop(Reason::Normal);
        }
        elapsed
    });
    Measurement::new(n, n, elapsed)
}

/// A child that crashes at its first message.
struct Child(Crashes);

struct Crash;

impl Actor for Child {
    type Args = Crashes;

    fn init(crashes: Crashes, _: &mut Context<Self>) -> Result<Self, InitError> {
        Ok(Child(crashes))
    }
}

impl Handler<Crash> for Child {
    type Reply = ();

    fn handle(&mut self, _: Crash, _: &mut Context<Self>) {
        self.0.crash()
    }
}

fn restart(run: &Run) -> Measurement {
    let n = run.n_or(CRASHES);
    let crashes = Crashes::new();
    drive(run, {
        let crashes = crashes.clone();
        move |system| {
            let child = ChildRef::<Child>::new();
            let incarnation = child.filled_by(move |ctx| {
                let child = ctx.start::<Child>(crashes.clone(), Options::new());
                crashes.ready();
                child
            });
            let supervisor = SupervisorSpec::new()
                .intensity(u32::MAX, Duration::from_secs(1))
                .child(ChildSpec::new("child", incarnation))
                .start(&system)
                .expect("it starts");
            let mut present = child.wait();
            for _ in 0..n {
                present.tell(Crash).unwrap();
                present = child.wait_other_than(&present.pid());
            }
            supervisor.shutdown();
        }
    });
    crashes.measurement(n)
}
