//! Ends in every interleaving: a link and a monitor against the death of the other actor, and an ask.
//!
//! A model whose name starts with `canary_` is run a second time under `--cfg weftwork_canary` with
//! the step it is about weakened, and must then fail with the message it is given here.

#![cfg(weftwork_loom)]
#![allow(
    clippy::disallowed_types,
    reason = "what is noted stands outside the model"
)]

mod modelled;

use modelled::Queue;
use std::sync::Arc;
use std::sync::Mutex as Outside;
use weftwork_actor::{
    Actor, AskError, Context, Down, Exit, Handler, InitError, Options, Pid, Reason,
};
use weftwork_core::sync::thread;
use weftwork_testkit::model;

/// Weakens one step for the rest of the test, in the canary build.
macro_rules! weaken {
    ($step:literal) => {
        #[cfg(weftwork_canary)]
        let _weak = weftwork_core::canary::weaken(weftwork_core::canary::Step::Of($step));
    };
}

/// What was told, outside the model.
type Told = Arc<Outside<Vec<Reason>>>;

/// Traps exits, and notes the ends that it is told of.
struct Observer(Told);

struct Link(Pid);
struct Unlink(Pid);
struct Monitor(Pid);

impl Actor for Observer {
    type Args = Told;
    fn init(told: Told, ctx: &mut Context<Self>) -> Result<Self, InitError> {
        ctx.trap_exit(true);
        Ok(Observer(told))
    }
    fn on_exit(&mut self, exit: Exit, _: &mut Context<Self>) {
        self.0.lock().unwrap().push(exit.reason);
    }
    fn on_down(&mut self, down: Down, _: &mut Context<Self>) {
        self.0.lock().unwrap().push(down.reason);
    }
}

impl Handler<Link> for Observer {
    type Reply = ();
    fn handle(&mut self, Link(pid): Link, ctx: &mut Context<Self>) {
        ctx.link(&pid).unwrap();
    }
}

impl Handler<Unlink> for Observer {
    type Reply = ();
    fn handle(&mut self, Unlink(pid): Unlink, ctx: &mut Context<Self>) {
        ctx.unlink(&pid);
    }
}

impl Handler<Monitor> for Observer {
    type Reply = ();
    fn handle(&mut self, Monitor(pid): Monitor, ctx: &mut Context<Self>) {
        ctx.monitor(&pid);
    }
}

/// An observer that does `order` while the other actor ends, until it is told.
fn told_of_the_end<M>(order: fn(Pid) -> M)
where
    M: Send + 'static,
    Observer: Handler<M>,
{
    let (queue, dying) = (Queue::default(), Queue::default());
    let (told, nothing) = (Told::default(), Told::default());
    let victim = dying.start::<Observer>(nothing, Options::new());
    let observer = queue.start::<Observer>(Arc::clone(&told), Options::new());
    victim.stop(Reason::Shutdown);
    let other = thread::spawn({
        let victim = victim.clone();
        move || dying.run_until(|| !victim.is_alive())
    });
    observer
        .tell::<M, weftwork_actor::Direct>(order(victim.pid()))
        .unwrap();
    queue.run_until(|| !told.lock().unwrap().is_empty());
    other.join().unwrap();
    observer.kill();
    queue.run_until(|| !observer.is_alive());
    let told = told.lock().unwrap();
    assert_eq!(told.len(), 1);
    assert!(matches!(told[0], Reason::Shutdown | Reason::NoProc));
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "deadlock"))]
fn canary_a_link_to_one_that_dies_is_told_of_its_end() {
    weaken!("actor_late");
    model("actor: link against death", 700, || told_of_the_end(Link));
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "deadlock"))]
fn canary_a_monitor_of_one_that_dies_is_told_of_its_end() {
    weaken!("actor_announce");
    model("actor: monitor against death", 700, || {
        told_of_the_end(Monitor)
    });
}

#[test]
fn a_watcher_from_outside_is_told_of_the_end() {
    model("actor: watch against death", 260, || {
        let dying = Queue::default();
        let victim = dying.start::<Observer>(Told::default(), Options::new());
        victim.stop(Reason::Shutdown);
        let other = thread::spawn({
            let victim = victim.clone();
            move || dying.run_until(|| !victim.is_alive())
        });
        let end = victim.pid().watch().wait_down();
        assert!(matches!(end, Reason::Shutdown | Reason::NoProc));
        other.join().unwrap();
    });
}

#[test]
fn an_unlink_against_the_end_leaves_at_most_what_came_before() {
    model("actor: unlink against death", 1900, || {
        let (queue, dying) = (Queue::default(), Queue::default());
        let told = Told::default();
        let victim = dying.start::<Observer>(Told::default(), Options::new());
        let observer = queue.start::<Observer>(Arc::clone(&told), Options::new());
        observer.tell(Link(victim.pid())).unwrap();
        observer.tell(Unlink(victim.pid())).unwrap();
        victim.stop(Reason::Shutdown);
        let other = thread::spawn({
            let victim = victim.clone();
            move || dying.run_until(|| !victim.is_alive())
        });
        observer.stop(Reason::Normal);
        queue.run_until(|| !observer.is_alive());
        other.join().unwrap();
        let told = told.lock().unwrap();
        assert!(told.is_empty(), "{told:?}");
    });
}

#[test]
fn an_ask_of_one_that_dies_ends_with_the_reason() {
    model("actor: ask against death", 45, || {
        let dying = Queue::default();
        let victim = dying.start::<Observer>(Told::default(), Options::new());
        victim.stop(Reason::Shutdown);
        let other = thread::spawn({
            let victim = victim.clone();
            move || dying.run_until(|| !victim.is_alive())
        });
        match victim.ask_timeout(Link(Pid::outside()), std::time::Duration::MAX) {
            Ok(()) | Err(AskError::Dead(_) | AskError::Timeout) => {}
            Err(AskError::Died(reason)) => assert_eq!(reason, Reason::Shutdown),
            Err(error) => panic!("{error:?}"),
        }
        other.join().unwrap();
    });
}
