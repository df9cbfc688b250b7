//! Actors of `actix`, each of which lives on one thread.
//!
//! With one worker all is on the thread of the driver. With two there is a second thread, which has the
//! counters, every other sender, and every other actor of a ring. The messages go past the limit of the
//! mailbox, as its `do_send` does.

use std::cell::RefCell;
use std::future::Future;

use ::actix::prelude::*;
use tokio::sync::oneshot;
use tokio::task::yield_now;

use crate::actors::futures::{AsyncActors, Done, entries};
use crate::cli::Run;
use crate::registry::Entry;

pub(crate) const ENTRIES: &[Entry] = &entries::<Actix>("actix");

thread_local! {
    /// The second thread, as the thread of the driver knows it.
    static SECOND: RefCell<Option<Arbiter>> = const { RefCell::new(None) };
}

/// Runs `on` with the second thread, if that is where the `index`-th of what is spread belongs.
fn with_arbiter<T>(index: usize, on: impl FnOnce(Option<&Arbiter>) -> T) -> T {
    SECOND.with_borrow(|second| on(second.as_ref().filter(|_| index % 2 == 1)))
}

/// Where the counters live.
const COUNTERS: usize = 1;

enum Actix {}

struct Counter(u64);

impl Actor for Counter {
    type Context = Context<Self>;
}

#[derive(Message)]
#[rtype(result = "()")]
struct Add(u64);

#[derive(Message)]
#[rtype(result = "u64")]
struct Get;

#[derive(Message)]
#[rtype(result = "()")]
struct Stop;

impl Handler<Add> for Counter {
    type Result = ();

    fn handle(&mut self, Add(more): Add, _: &mut Context<Self>) {
        self.0 += more;
    }
}

impl Handler<Get> for Counter {
    type Result = u64;

    fn handle(&mut self, _: Get, _: &mut Context<Self>) -> u64 {
        self.0
    }
}

impl Handler<Stop> for Counter {
    type Result = ();

    fn handle(&mut self, _: Stop, context: &mut Context<Self>) {
        context.stop();
    }
}

struct Node(Option<(Addr<Node>, Done)>);

impl Actor for Node {
    type Context = Context<Self>;
}

#[derive(Message)]
#[rtype(result = "()")]
struct Next(Addr<Node>, Done);

#[derive(Message)]
#[rtype(result = "()")]
struct Number(u64);

impl Handler<Next> for Node {
    type Result = ();

    fn handle(&mut self, Next(node, done): Next, _: &mut Context<Self>) {
        self.0 = Some((node, done));
    }
}

impl Handler<Number> for Node {
    type Result = ();

    fn handle(&mut self, Number(number): Number, _: &mut Context<Self>) {
        let (next, done) = self.0.as_ref().expect("the ring is closed");
        match number {
            0 => done.send(()).expect("the driver waits"),
            _ => next.do_send(Number(number - 1)),
        }
    }
}

/// Starts an actor on the thread for `index`.
fn start<A>(index: usize, actor: A) -> Addr<A>
where
    A: Actor<Context = Context<A>> + Send,
{
    with_arbiter(index, |arbiter| match arbiter {
        Some(arbiter) => A::start_in_arbiter(&arbiter.handle(), |_| actor),
        None => actor.start(),
    })
}

impl AsyncActors for Actix {
    type Counter = Addr<Counter>;
    type Address = Addr<Counter>;
    type Node = Addr<Node>;

    fn drive<T: Send + 'static>(run: &Run, driver: impl Future<Output = T> + Send + 'static) -> T {
        let two = run.workers > 1;
        System::new().block_on(async move {
            SECOND.set(two.then(Arbiter::new));
            let result = driver.await;
            if let Some(second) = SECOND.take() {
                second.stop();
                second.join().expect("nothing on it panics");
            }
            result
        })
    }

    fn spawn(
        index: u64,
        sender: impl Future<Output = ()> + Send + 'static,
    ) -> impl Future<Output = ()> + Send {
        let (tell, told) = oneshot::channel();
        let sender = async move {
            sender.await;
            tell.send(()).expect("the driver waits");
        };
        let spawned = with_arbiter(index as usize, |arbiter| match arbiter {
            Some(arbiter) => arbiter.spawn(sender),
            None => Arbiter::current().spawn(sender),
        });
        assert!(spawned, "the thread runs");
        async move { told.await.expect("it does not panic") }
    }

    async fn start() -> Addr<Counter> {
        start(COUNTERS, Counter(0))
    }

    async fn ready(_: &Addr<Counter>) {}

    fn address(counter: &Addr<Counter>) -> Addr<Counter> {
        counter.clone()
    }

    async fn add_one(counter: &Addr<Counter>) {
        counter.do_send(Add(1));
    }

    async fn get(counter: &Addr<Counter>) -> u64 {
        counter.send(Get).await.expect("it answers")
    }

    async fn stop(counter: &Addr<Counter>) {
        counter.do_send(Stop);
    }

    async fn ended(counter: Addr<Counter>) {
        while counter.connected() {
            yield_now().await;
        }
    }

    async fn start_node(index: usize) -> Addr<Node> {
        start(index, Node(None))
    }

    async fn connect(node: &Addr<Node>, next: Addr<Node>, done: Done) {
        node.do_send(Next(next, done));
    }

    async fn pass(node: &Addr<Node>, number: u64) {
        node.do_send(Number(number));
    }
}
