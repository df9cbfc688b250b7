//! Actors of `kameo`, tasks on tokio: with mailboxes without bound (`kameo`), and with those of 64
//! messages that it has by default (`kameo-bounded`).

use std::future::Future;
use std::time::Duration;

use ::kameo::Actor;
use ::kameo::actor::{ActorRef, Spawn};
use ::kameo::error::Infallible;
use ::kameo::mailbox;
use ::kameo::message::{Context, Message};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::actors::crash::{CRASHES, Crashes};
use crate::actors::futures::{AsyncActors, Done, entries};
use crate::cli::Run;
use crate::measure::Measurement;
use crate::peers::tokio as on_tokio;
use crate::registry::{Bench, Entry};

pub(crate) const UNBOUNDED: &[Entry] = &entries::<Kameo<false>>("kameo");

pub(crate) const BOUNDED: &[Entry] = &entries::<Kameo<true>>("kameo-bounded");

pub(crate) const RESTART: &[Entry] = &[Entry::measure(Bench::ActorRestart, "kameo", restart)];

struct Kameo<const BOUNDED: bool>;

impl<const BOUNDED: bool> Kameo<BOUNDED> {
    fn spawn<A: Actor>(args: A::Args) -> ActorRef<A> {
        if BOUNDED {
            A::spawn(args)
        } else {
            A::spawn_with_mailbox(args, mailbox::unbounded())
        }
    }
}

#[derive(Actor)]
struct Counter(u64);

struct Add(u64);

struct Get;

impl Message<Add> for Counter {
    type Reply = ();

    async fn handle(&mut self, Add(more): Add, _: &mut Context<Self, ()>) {
        self.0 += more;
    }
}

impl Message<Get> for Counter {
    type Reply = u64;

    async fn handle(&mut self, _: Get, _: &mut Context<Self, u64>) -> u64 {
        self.0
    }
}

#[derive(Actor)]
struct Node(Option<(ActorRef<Node>, Done)>);

struct Next(ActorRef<Node>, Done);

struct Number(u64);

impl Message<Next> for Node {
    type Reply = ();

    async fn handle(&mut self, Next(node, done): Next, _: &mut Context<Self, ()>) {
        self.0 = Some((node, done));
    }
}

impl Message<Number> for Node {
    type Reply = ();

    async fn handle(&mut self, Number(number): Number, _: &mut Context<Self, ()>) {
        let (next, done) = self.0.as_ref().expect("the ring is closed");
        match number {
            0 => done.send(()).expect("the driver waits"),
            _ => next.tell(Number(number - 1)).await.expect("it runs"),
        }
    }
}

impl<const BOUNDED: bool> AsyncActors for Kameo<BOUNDED> {
    type Counter = ActorRef<Counter>;
    type Address = ActorRef<Counter>;
    type Node = ActorRef<Node>;

    fn drive<T: Send + 'static>(run: &Run, driver: impl Future<Output = T> + Send + 'static) -> T {
        on_tokio::drive(run, driver)
    }

    fn spawn(
        _: u64,
        sender: impl Future<Output = ()> + Send + 'static,
    ) -> impl Future<Output = ()> + Send {
        on_tokio::spawn(sender)
    }

    async fn start() -> ActorRef<Counter> {
        Kameo::<BOUNDED>::spawn(Counter(0))
    }

    async fn ready(counter: &ActorRef<Counter>) {
        counter.wait_for_startup().await;
    }

    fn address(counter: &ActorRef<Counter>) -> ActorRef<Counter> {
        counter.clone()
    }

    async fn add_one(counter: &ActorRef<Counter>) {
        counter.tell(Add(1)).await.expect("it runs");
    }

    async fn get(counter: &ActorRef<Counter>) -> u64 {
        counter.ask(Get).await.expect("it answers")
    }

    async fn stop(counter: &ActorRef<Counter>) {
        counter.stop_gracefully().await.expect("it runs");
    }

    async fn ended(counter: ActorRef<Counter>) {
        counter.wait_for_shutdown().await;
    }

    async fn start_node(_: usize) -> ActorRef<Node> {
        Kameo::<BOUNDED>::spawn(Node(None))
    }

    async fn connect(node: &ActorRef<Node>, next: ActorRef<Node>, done: Done) {
        node.tell(Next(next, done)).await.expect("it runs");
    }

    async fn pass(node: &ActorRef<Node>, number: u64) {
        node.tell(Number(number)).await.expect("it runs");
    }
}

#[derive(Actor)]
struct Supervisor;

/// A child that tells that it has started, and crashes at its first message.
#[derive(Clone)]
struct Child {
    crashes: Crashes,
    started: UnboundedSender<()>,
}

impl Actor for Child {
    type Args = Self;
    type Error = Infallible;

    async fn on_start(child: Self, _: ActorRef<Self>) -> Result<Self, Infallible> {
        child.crashes.ready();
        // The driver may have seen enough.
        let _ = child.started.send(());
        Ok(child)
    }
}

struct Crash;

impl Message<Crash> for Child {
    type Reply = ();

    async fn handle(&mut self, _: Crash, _: &mut Context<Self, ()>) {
        self.crashes.crash()
    }
}

fn restart(run: &Run) -> Measurement {
    let n = run.n_or(CRASHES);
    let crashes = Crashes::new();
    on_tokio::drive(run, {
        let crashes = crashes.clone();
        async move {
            let (started, mut starts) = unbounded_channel();
            let supervisor = Supervisor::spawn(Supervisor);
            let child = Child::supervise(&supervisor, Child { crashes, started })
                .restart_limit(u32::MAX, Duration::from_secs(1))
                .spawn()
                .await;
            for _ in 0..n {
                starts.recv().await.expect("there is a child");
                child.tell(Crash).await.expect("it runs");
            }
            starts.recv().await.expect("there is a child again");
            supervisor.stop_gracefully().await.expect("it runs");
            supervisor.wait_for_shutdown().await;
        }
    });
    crashes.measurement(n)
}
