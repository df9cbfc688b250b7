//! Routers choose as they say; pools replace their dead, and do not storm.

mod support;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use support::{Note, Puppet, Stage, everywhere, on_scheduler};
use weftwork_actor::router::{Pool, Router};
use weftwork_actor::{
    Actor, Context, Handler, InitError, Mailbox, OnFull, Options, Reason, StartError,
};

fn stages(system: &weftwork_actor::System, n: usize) -> (Vec<Stage>, Router<Puppet>) {
    let stages: Vec<_> = (0..n).map(|_| Stage::new(system)).collect();
    let router = Router::new(stages.iter().map(|stage| stage.addr.clone()));
    (stages, router)
}

#[test]
fn members_are_chosen_in_turn_and_the_dead_are_passed_over() {
    everywhere(|system| {
        let (stages, router) = stages(system, 3);
        let turns: Vec<_> = (0..6).map(|_| router.next().unwrap()).collect();
        for (at, chosen) in turns.iter().enumerate() {
            assert_eq!(*chosen, stages[at % 3].addr);
        }
        stages[1].stop(Reason::Normal);
        for _ in 0..6 {
            assert_ne!(router.next().unwrap(), stages[1].addr);
        }
        stages[0].stop(Reason::Normal);
        stages[2].stop(Reason::Normal);
        assert!(router.next().is_err());
        assert!(router.least_loaded().is_err());
        assert!(router.by_key("k").is_err());
        assert_eq!(router.tell(Note(7)).unwrap_err().into_inner(), Note(7));
        assert!(Router::<Puppet>::new([]).next().is_err());
    });
}

#[test]
fn a_key_keeps_its_member_and_keys_are_spread() {
    on_scheduler(1, |system| {
        let (stages, router) = stages(system, 4);
        let mut counts = HashMap::new();
        for key in 0..400 {
            let chosen = router.by_key(&key).unwrap();
            assert_eq!(router.by_key(&key).unwrap(), chosen);
            *counts.entry(chosen.pid()).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 4);
        assert!(counts.values().all(|count| *count > 40), "{counts:?}");
        // While its member is dead a key goes elsewhere; the others stay.
        let before: Vec<_> = (0..400).map(|key| router.by_key(&key).unwrap()).collect();
        stages[2].stop(Reason::Normal);
        for (key, was) in before.iter().enumerate() {
            let chosen = router.by_key(&(key as i32)).unwrap();
            assert_eq!(chosen == *was, *was != stages[2].addr);
        }
        stages.iter().for_each(|stage| stage.stop(Reason::Normal));
    });
}

#[test]
fn the_least_loaded_has_the_fewest_messages() {
    on_scheduler(2, |system| {
        let (stages, router) = stages(system, 3);
        let mut gates = Vec::new();
        for (at, stage) in stages.iter().enumerate() {
            let (open, gate) = channel::<()>();
            let (inside, entered) = channel();
            let waits = move |_: &mut Puppet, _: &mut Context<Puppet>| {
                inside.send(()).unwrap();
                let _ = Receiver::recv(&gate);
            };
            // Under this scheduler it blocks a worker; two are enough for one at a time.
            if at != 1 {
                drop(open);
                stage.tell(waits);
                entered.recv().unwrap();
                stage.run(|_, _| {});
                continue;
            }
            stage.tell(waits);
            entered.recv().unwrap();
            for n in 0..5 {
                stage.addr.tell(Note(n)).unwrap();
            }
            gates.push(open);
        }
        for _ in 0..10 {
            assert_ne!(router.least_loaded().unwrap(), stages[1].addr);
        }
        drop(gates);
        stages.iter().for_each(|stage| stage.stop(Reason::Normal));
    });
}

#[test]
fn a_broadcast_reaches_all_members() {
    everywhere(|system| {
        let listeners = Pool::<Listener>::start(system, 3, (), Options::new()).unwrap();
        assert_eq!(listeners.broadcast(1_u32), 3);
        for member in listeners.members().iter() {
            assert_eq!(member.ask(0_u32).unwrap(), 1);
        }
        listeners.stop();
    });
}

/// Adds up.
struct Listener(u32);

impl Actor for Listener {
    type Args = ();
    fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> {
        Ok(Listener(0))
    }
}

impl Handler<u32> for Listener {
    type Reply = u32;
    fn handle(&mut self, n: u32, _: &mut Context<Self>) -> u32 {
        self.0 += n;
        self.0
    }
}

#[test]
fn a_message_that_a_full_member_hands_back_goes_to_the_next() {
    on_scheduler(2, |system| {
        let options = Options::new().mailbox(Mailbox::with(1, OnFull::Fail));
        let full = Stage::with(system, options);
        let (open, gate) = channel::<()>();
        let (inside, entered) = channel();
        full.tell(move |_, _| {
            inside.send(()).unwrap();
            let _ = Receiver::recv(&gate);
        });
        entered.recv().unwrap();
        full.addr.tell(Note(0)).unwrap();
        let other = Stage::new(system);
        let router = Router::new([full.addr.clone(), other.addr.clone()]);
        for n in 1..=4 {
            router.tell(Note(n)).unwrap();
        }
        assert_eq!(other.so_far().len(), 4);
        drop(open);
        full.stop(Reason::Normal);
        other.stop(Reason::Normal);
    });
}

#[test]
fn a_pool_replaces_a_member_that_ends_in_its_place() {
    everywhere(|system| {
        let pool = Pool::<Listener>::start(system, 3, (), Options::new()).unwrap();
        for round in 0..3 {
            let before = pool.members();
            let victim = &before[round % 3];
            let end = victim.pid().watch();
            victim.kill();
            end.wait_down();
            // A message is not lost on the dead meanwhile.
            assert_ne!(pool.next().unwrap(), *victim);
            while pool.members()[round % 3] == *victim {
                std::thread::yield_now();
            }
            let after = pool.members();
            for at in 0..3 {
                assert_eq!(before[at] == after[at], at != round % 3);
            }
        }
        let ends: Vec<_> = pool
            .members()
            .iter()
            .map(|member| member.pid().watch())
            .collect();
        let keeper = pool.keeper().watch();
        pool.stop();
        assert_eq!(keeper.wait_down(), Reason::Shutdown);
        for end in ends {
            assert_eq!(end.wait_down(), Reason::Shutdown);
        }
        assert!(pool.next().is_err());
    });
}

/// Its `init` fails from the third one on.
struct Picky;

impl Actor for Picky {
    type Args = Arc<AtomicUsize>;
    fn init(count: Self::Args, _: &mut Context<Self>) -> Result<Self, InitError> {
        match count.fetch_add(1, Ordering::SeqCst) {
            2 => Err(InitError::failed("the third")),
            _ => Ok(Picky),
        }
    }
}

#[test]
fn a_pool_whose_members_do_not_start_is_none_and_one_that_lost_a_member_tries_again() {
    everywhere(|system| {
        let count = Arc::new(AtomicUsize::new(0));
        let failed = Pool::<Picky>::start(system, 3, Arc::clone(&count), Options::new());
        assert!(matches!(failed, Err(StartError::Failed(_))));
        let count = Arc::new(AtomicUsize::new(0));
        let pool = Pool::<Picky>::start(system, 2, Arc::clone(&count), Options::new()).unwrap();
        let victim = pool.members()[0].clone();
        victim.kill();
        while pool.members()[0] == victim {
            std::thread::yield_now();
        }
        // The first try failed, the second did not.
        assert_eq!(count.load(Ordering::SeqCst), 4);
        pool.stop();
    });
}
