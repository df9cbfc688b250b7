//! A start waits for the `init` of the new actor: what that asks whoever waits for it is a circle.

mod support;

use std::sync::mpsc::{Sender, channel};
use support::{Note, Puppet, Stage, everywhere, on_scheduler};
use weftwork_actor::supervisor::{AdminError, ChildSpec, SupervisorRef, SupervisorSpec};
use weftwork_actor::{
    Actor, Addr, AskError, Context, InitError, Options, Pid, StartError, System, start,
};

/// Asks in its `init`.
struct Asks;

type Told = Result<u64, AskError<Note>>;

impl Actor for Asks {
    type Args = (Addr<Puppet>, Sender<(Pid, Told)>);
    fn init((of, told): Self::Args, ctx: &mut Context<Self>) -> Result<Self, InitError> {
        let answer = of.ask(Note(1));
        told.send((ctx.pid(), answer)).unwrap();
        Ok(Asks)
    }
}

fn circle_of(told: Told) -> Vec<Pid> {
    match told {
        Err(AskError::Cycle(Note(1), cycle)) => cycle.actors().to_vec(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_init_that_asks_who_starts_it_is_told_of_the_circle_and_the_start_goes_on() {
    everywhere(|system| {
        let starter = Stage::new(system);
        type Start = fn(&System, &mut Context<Puppet>, <Asks as Actor>::Args) -> Pid;
        let ways: [Start; 3] = [
            |_, ctx, args| ctx.spawn::<Asks>(args, Options::new()).unwrap().pid(),
            |_, ctx, args| ctx.spawn_link::<Asks>(args, Options::new()).unwrap().pid(),
            |system, _, args| start::<Asks>(system, args, Options::new()).unwrap().pid(),
        ];
        let mut children = Vec::new();
        for way in ways {
            let (sender, told) = channel();
            let (system, of) = (system.clone(), starter.addr.clone());
            let child = starter.get(move |ctx| way(&system, ctx, (of, sender)));
            let (asker, answer) = told.recv().unwrap();
            assert_eq!(asker, child);
            assert_eq!(circle_of(answer), [child.clone(), starter.pid()]);
            children.push(child);
        }
        // It waits for nobody any more.
        assert_eq!(starter.addr.ask(Note(2)), Ok(2));
        // Two of them have no link that would end them.
        children.iter().for_each(Pid::kill);
    });
}

#[test]
fn the_circle_may_go_over_others() {
    on_scheduler(2, |system| {
        let (starter, between) = (Stage::new(system), Stage::new(system));
        let (sender, told) = channel();
        let (of, by) = (starter.addr.clone(), between.addr.clone());
        // The starter asks one who starts an actor that asks the starter.
        starter.run(move |_, _| {
            let start = move |_: &mut Puppet, ctx: &mut Context<Puppet>| {
                ctx.spawn::<Asks>((of, sender), Options::new()).unwrap();
            };
            by.ask(support::Do(Box::new(start))).unwrap();
        });
        let (child, answer) = told.recv().unwrap();
        let circle = [child, starter.pid(), between.pid()];
        assert_eq!(circle_of(answer), circle);
    });
}

/// Asks the supervisor for its children in its `init`.
struct Nosy;

impl Actor for Nosy {
    type Args = (SupervisorRef, Sender<AdminError>);
    fn init((of, told): Self::Args, _: &mut Context<Self>) -> Result<Self, InitError> {
        let error = of
            .which_children()
            .expect_err("it waits for this very init");
        told.send(error).unwrap();
        Err(InitError::Ignore)
    }
}

#[test]
fn a_child_whose_init_asks_its_supervisor_is_told_of_the_circle() {
    everywhere(|system| {
        let (sender, told) = channel();
        let child = ChildSpec::new("nosy", move |ctx| {
            let of = ctx.supervisor();
            ctx.start::<Nosy>((of, sender.clone()), Options::new())
        });
        let app = SupervisorSpec::new().child(child).start(system).unwrap();
        assert!(matches!(told.recv().unwrap(), AdminError::Cycle));
        // At a start by hand, too, and the supervisor serves on.
        assert_eq!(app.restart_child("nosy"), Ok(None));
        assert!(matches!(told.recv().unwrap(), AdminError::Cycle));
        assert_eq!(app.count_children().unwrap().specs, 1);
        app.shutdown();
    });
}

#[test]
fn a_start_that_fails_leaves_no_wait_behind() {
    everywhere(|system| {
        let (starter, other) = (Stage::new(system), Stage::new(system));
        let of = other.addr.clone();
        starter.run(move |_, ctx| {
            let (sender, told) = channel();
            drop(told);
            // Its `init` panics at the send.
            let failed = ctx.spawn::<Asks>((of, sender), Options::new());
            assert!(matches!(failed, Err(StartError::Failed(_))));
        });
        let of = starter.addr.clone();
        other.run(move |_, _| assert_eq!(of.ask(Note(3)), Ok(3)));
    });
}
