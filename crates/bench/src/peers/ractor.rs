//! Actors of `ractor`, tasks on tokio. Their mailboxes have no bound.

use std::future::Future;

use ::ractor::{
    Actor, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent, call, cast,
    concurrency::JoinHandle,
};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::actors::crash::{CRASHES, Crashes};
use crate::actors::futures::{AsyncActors, Done, entries};
use crate::cli::Run;
use crate::measure::Measurement;
use crate::peers::tokio as on_tokio;
use crate::registry::{Bench, Entry};

pub(crate) const ENTRIES: &[Entry] = &entries::<Ractor>("ractor");

pub(crate) const RESTART: &[Entry] = &[Entry::measure(Bench::ActorRestart, "ractor", restart)];

enum Ractor {}

struct Counter;

enum Message {
    Add(u64),
    Get(RpcReplyPort<u64>),
}

impl Actor for Counter {
    type Msg = Message;
    type State = u64;
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Message>, (): ()) -> Result<u64, ActorProcessingErr> {
        Ok(0)
    }

    async fn handle(
        &self,
        _: ActorRef<Message>,
        message: Message,
        number: &mut u64,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::Add(more) => *number += more,
            Message::Get(reply) => reply.send(*number)?,
        }
        Ok(())
    }
}

struct Node;

enum Token {
    Next(ActorRef<Token>, Done),
    Number(u64),
}

impl Actor for Node {
    type Msg = Token;
    type State = Option<(ActorRef<Token>, Done)>;
    type Arguments = ();

    async fn pre_start(
        &self,
        _: ActorRef<Token>,
        (): (),
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok(None)
    }

    async fn handle(
        &self,
        _: ActorRef<Token>,
        message: Token,
        next: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        match (message, &next) {
            (Token::Next(node, done), _) => *next = Some((node, done)),
            (Token::Number(0), Some((_, done))) => done.send(())?,
            (Token::Number(number), Some((node, _))) => cast!(node, Token::Number(number - 1))?,
            (Token::Number(_), None) => panic!("the ring is closed"),
        }
        Ok(())
    }
}

impl AsyncActors for Ractor {
    type Counter = (ActorRef<Message>, JoinHandle<()>);
    type Address = ActorRef<Message>;
    type Node = ActorRef<Token>;

    fn drive<T: Send + 'static>(run: &Run, driver: impl Future<Output = T> + Send + 'static) -> T {
        on_tokio::drive(run, driver)
    }

    fn spawn(
        _: u64,
        sender: impl Future<Output = ()> + Send + 'static,
    ) -> impl Future<Output = ()> + Send {
        on_tokio::spawn(sender)
    }

    async fn start() -> Self::Counter {
        Actor::spawn(None, Counter, ()).await.expect("it starts")
    }

    async fn ready(_: &Self::Counter) {}

    fn address((counter, _): &Self::Counter) -> ActorRef<Message> {
        counter.clone()
    }

    async fn add_one(counter: &ActorRef<Message>) {
        cast!(counter, Message::Add(1)).expect("it runs");
    }

    async fn get(counter: &ActorRef<Message>) -> u64 {
        call!(counter, Message::Get).expect("it answers")
    }

    async fn stop((counter, _): &Self::Counter) {
        counter.stop(None);
    }

    async fn ended((_, end): Self::Counter) {
        end.await.expect("it does not panic");
    }

    async fn start_node(_: usize) -> ActorRef<Token> {
        Actor::spawn(None, Node, ()).await.expect("it starts").0
    }

    async fn connect(node: &ActorRef<Token>, next: ActorRef<Token>, done: Done) {
        cast!(node, Token::Next(next, done)).expect("it runs");
    }

    async fn pass(node: &ActorRef<Token>, number: u64) {
        cast!(node, Token::Number(number)).expect("it runs");
    }
}

/// A child that crashes at its first message.
struct Child;

impl Actor for Child {
    type Msg = ();
    type State = Crashes;
    type Arguments = Crashes;

    async fn pre_start(
        &self,
        _: ActorRef<()>,
        crashes: Crashes,
    ) -> Result<Crashes, ActorProcessingErr> {
        Ok(crashes)
    }

    async fn handle(
        &self,
        _: ActorRef<()>,
        (): (),
        crashes: &mut Crashes,
    ) -> Result<(), ActorProcessingErr> {
        crashes.crash()
    }
}

/// Starts the child anew each time, and hands its address out.
struct Supervisor;

type Watched = (Crashes, UnboundedSender<ActorRef<()>>);

impl Supervisor {
    async fn start_child(myself: &ActorRef<()>, (crashes, children): &Watched) {
        let (child, _) = Actor::spawn_linked(None, Child, crashes.clone(), myself.get_cell())
            .await
            .expect("it starts");
        crashes.ready();
        // The driver may have seen enough.
        let _ = children.send(child);
    }
}

impl Actor for Supervisor {
    type Msg = ();
    type State = Watched;
    type Arguments = Watched;

    async fn pre_start(
        &self,
        myself: ActorRef<()>,
        watched: Watched,
    ) -> Result<Watched, ActorProcessingErr> {
        Supervisor::start_child(&myself, &watched).await;
        Ok(watched)
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<()>,
        event: SupervisionEvent,
        watched: &mut Watched,
    ) -> Result<(), ActorProcessingErr> {
        if let SupervisionEvent::ActorFailed(..) = event {
            Supervisor::start_child(&myself, watched).await;
        }
        Ok(())
    }
}

fn restart(run: &Run) -> Measurement {
    let n = run.n_or(CRASHES);
    let crashes = Crashes::new();
    on_tokio::drive(run, {
        let crashes = crashes.clone();
        async move {
            let (sender, mut children) = unbounded_channel();
            let (supervisor, end) = Actor::spawn(None, Supervisor, (crashes, sender))
                .await
                .expect("it starts");
            for _ in 0..n {
                let child = children.recv().await.expect("there is a child");
                cast!(child, ()).expect("it runs");
            }
            children.recv().await.expect("there is a child again");
            supervisor.stop(None);
            end.await.expect("it does not panic");
        }
    });
    crashes.measurement(n)
}
