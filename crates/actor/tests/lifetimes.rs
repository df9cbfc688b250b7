//! How long actors, states and messages live.

#![allow(clippy::disallowed_types, reason = "tests may use std's locks")]

mod support;

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::{Event, Note, Puppet, Stage, everywhere, on_scheduler};
use weftwork_actor::introspect::{Probe, Trace};
use weftwork_actor::registry::Registry;
use weftwork_actor::{
    Actor, Addr, AskError, AsyncHandler, Context, Handler, InitError, Mailbox, Options, Pid,
    Reason, StartError, System, start,
};
use weftwork_core::{Refused, Spawn, Task};
use weftwork_sched::Runtime;
use weftwork_testkit::{Counted, DropCounter, iters, watchdog};

/// Holds something whose drop is counted.
struct Holder {
    _state: Counted<u64>,
}

struct Held(Counted<u64>);

impl Actor for Holder {
    type Args = Counted<u64>;
    fn init(state: Self::Args, _: &mut Context<Self>) -> Result<Self, InitError> {
        Ok(Holder { _state: state })
    }
}

impl Handler<Held> for Holder {
    type Reply = Counted<u64>;
    fn handle(&mut self, Held(held): Held, _: &mut Context<Self>) -> Counted<u64> {
        held
    }
}

#[test]
fn an_actor_lives_on_without_addresses_and_ends_in_spite_of_them() {
    everywhere(|system| {
        let drops = DropCounter::new();
        let holder = start::<Holder>(system, drops.track(1), Options::new()).unwrap();
        let pid = holder.pid();
        drop(holder);
        assert!(pid.is_alive());
        let kept: Vec<_> = (0..10).map(|_| pid.clone()).collect();
        let end = pid.watch();
        pid.stop(Reason::Normal);
        end.wait_down();
        // The state was dropped before anybody was told.
        drops.assert_none_live();
        assert_eq!(kept.len(), 10);
    });
}

#[test]
fn the_state_is_gone_before_the_end_is_told() {
    everywhere(|system| {
        for kill in [false, true] {
            let drops = DropCounter::new();
            let holder = start::<Holder>(system, drops.track(1), Options::new()).unwrap();
            let watching = Stage::new(system);
            let pid = holder.pid();
            watching.run(move |_, ctx| {
                ctx.monitor(&pid);
            });
            if kill {
                holder.kill();
            } else {
                holder.stop(Reason::Killed);
            }
            assert_eq!(watching.next(), Event::Down(holder.pid(), Reason::Killed));
            drops.assert_none_live();
        }
    });
}

#[test]
fn messages_that_were_not_handled_are_dropped_once() {
    everywhere(|system| {
        let drops = DropCounter::new();
        let options = Options::new().mailbox(Mailbox::Unbounded);
        let holder = start::<Holder>(system, drops.track(0), options).unwrap();
        let end = holder.pid().watch();
        let mut back = 0;
        for n in 0..1000 {
            if n == 500 {
                holder.kill();
            }
            back += usize::from(holder.tell(Held(drops.track(n))).is_err());
        }
        end.wait_down();
        assert!(back <= 500);
        // The memory of those in flight is freed with the last reference to the cell, by its task.
        drop(holder);
        while drops.live() > 0 {
            std::thread::yield_now();
        }
        drops.assert_none_live();
    });
}

#[test]
fn each_message_is_handled_or_returned_or_dropped_whenever_the_actor_is_stopped() {
    everywhere(|system| {
        for round in 0..iters(60, 20, 5) {
            let drops = DropCounter::new();
            let options = Options::new().mailbox(Mailbox::bounded(4));
            let holder = start::<Holder>(system, drops.track(0), options).unwrap();
            let senders: Vec<_> = (0..3)
                .map(|_| {
                    let (to, drops) = (holder.clone(), drops.clone());
                    std::thread::spawn(move || while to.tell(Held(drops.track(1))).is_ok() {})
                })
                .collect();
            let asked = holder.ask(Held(drops.track(2)));
            drop(asked);
            if round % 2 == 0 {
                holder.kill();
            } else {
                holder.stop(Reason::Normal);
            }
            senders
                .into_iter()
                .for_each(|sender| sender.join().unwrap());
            holder.pid().watch().wait_down();
            drop(holder);
            while drops.live() > 0 {
                std::thread::yield_now();
            }
        }
    });
}

#[test]
fn a_kill_interrupts_a_handler_that_waits_under_a_scheduler() {
    struct Waits;
    struct Go(Sender<()>);
    impl Actor for Waits {
        type Args = ();
        fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> {
            Ok(Waits)
        }
        fn terminate(&mut self, _: &Reason, _: &mut Context<Self>) {
            panic!("a kill tidies nothing up");
        }
    }
    impl Handler<Go> for Waits {
        type Reply = ();
        fn handle(&mut self, Go(inside): Go, _: &mut Context<Self>) {
            inside.send(()).unwrap();
            let (_open, gate) = weftwork_csp::bounded::<()>(0);
            let _ = gate.recv();
        }
    }
    for workers in [1, 2] {
        on_scheduler(workers, |system| {
            let waits = start::<Waits>(system, (), Options::new()).unwrap();
            let (inside, entered) = channel();
            waits.tell(Go(inside)).unwrap();
            entered.recv().unwrap();
            let end = waits.pid().watch();
            waits.kill();
            assert_eq!(end.wait_down(), Reason::Killed);
        });
    }
}

/// An executor that lets an actor end when it is next given a task.
#[derive(Clone)]
struct Meddler {
    system: System,
    prey: Arc<Mutex<Option<Pid>>>,
}

impl Spawn for Meddler {
    fn spawn_task(&self, task: Task) -> Result<(), Refused> {
        let prey = self.prey.lock().unwrap().take();
        if let Some(prey) = prey {
            prey.exit(Reason::other("meddled"));
        }
        self.system.spawn_task(task)
    }
}

#[test]
fn an_asynchronous_handler_has_begun_before_an_exit_can_end_it() {
    struct Begins(Sender<()>);
    struct Traced;
    impl Actor for Begins {
        type Args = Sender<()>;
        fn init(begun: Sender<()>, _: &mut Context<Self>) -> Result<Self, InitError> {
            Ok(Begins(begun))
        }
    }
    impl AsyncHandler<()> for Begins {
        type Reply = ();
        async fn handle(&mut self, (): (), _: &mut Context<Self>) {
            self.0.send(()).unwrap();
            std::future::pending().await
        }
    }
    impl Actor for Traced {
        type Args = ();
        fn init((): (), _: &mut Context<Self>) -> Result<Self, InitError> {
            Ok(Traced)
        }
    }
    impl Handler<Trace> for Traced {
        type Reply = ();
        fn handle(&mut self, _: Trace, _: &mut Context<Self>) {}
    }
    on_scheduler(1, |system| {
        let meddler = Meddler {
            system: system.clone(),
            prey: Arc::default(),
        };
        let (sender, begun) = channel();
        let begins = start::<Begins>(system, sender, Options::new()).unwrap();
        let tracer = start::<Traced>(&meddler, (), Options::new()).unwrap();
        let probe = Probe::tracing(&begins.pid(), tracer.recipient()).unwrap();
        // The exit comes when the trace of the message does, between its delivery and its handler.
        *meddler.prey.lock().unwrap() = Some(begins.pid());
        let died = Err(AskError::Died(Reason::other("meddled")));
        assert_eq!(begins.ask(()), died);
        begun.recv().unwrap();
        drop(probe);
        tracer.kill();
    });
}

/// An executor that kills whoever has the name, as soon as that has begun to wait.
#[derive(Clone)]
struct Assassin {
    system: System,
    names: Registry,
    entered: Arc<Mutex<Receiver<()>>>,
}

impl Spawn for Assassin {
    fn spawn_task(&self, task: Task) -> Result<(), Refused> {
        self.system.spawn_task(task)?;
        if let Some(pid) = self.names.whereis("prey") {
            self.entered.lock().unwrap().recv().unwrap();
            pid.kill();
        }
        Ok(())
    }
}

#[test]
fn a_kill_interrupts_an_init_that_waits_even_before_the_start_knows_its_task() {
    struct Prey;
    impl Actor for Prey {
        type Args = Sender<()>;
        fn init(inside: Sender<()>, _: &mut Context<Self>) -> Result<Self, InitError> {
            inside.send(()).unwrap();
            let (_open, gate) = weftwork_csp::bounded::<()>(0);
            let _ = gate.recv();
            Ok(Prey)
        }
    }
    on_scheduler(1, |system| {
        let (inside, entered) = channel();
        let names = Registry::new();
        let assassin = Assassin {
            system: system.clone(),
            names: names.clone(),
            entered: Arc::new(Mutex::new(entered)),
        };
        let options = Options::new().register(names.clone(), "prey");
        let started = start::<Prey>(&assassin, inside, options);
        assert_eq!(started.unwrap_err(), StartError::Failed(Reason::Killed));
    });
}

#[test]
fn a_handler_that_waits_keeps_nobody_else_waiting_under_a_scheduler() {
    on_scheduler(1, |system| {
        let (open, gate) = weftwork_csp::bounded::<()>(0);
        let waiting: Vec<_> = (0..100).map(|_| Stage::new(system)).collect();
        for stage in &waiting {
            let gate = gate.clone();
            stage.tell(move |puppet, _| {
                gate.recv().unwrap();
                puppet.events.send(Event::Note(1)).unwrap();
            });
        }
        let other = Stage::new(system);
        assert_eq!(other.addr.ask(Note(5)), Ok(5));
        for _ in &waiting {
            open.send(()).unwrap();
        }
        for stage in &waiting {
            assert_eq!(stage.next(), Event::Note(1));
        }
    });
}

#[test]
fn the_end_of_the_runtime_ends_its_actors() {
    let dog = watchdog(Duration::from_secs(60));
    let drops = DropCounter::new();
    let rt = Runtime::builder().workers(2).build().unwrap();
    let system = System::new(rt.handle());
    let holders: Vec<Addr<Holder>> = (0..50)
        .map(|n| start::<Holder>(&system, drops.track(n), Options::new()).unwrap())
        .collect();
    let ends: Vec<_> = holders.iter().map(|holder| holder.pid().watch()).collect();
    rt.shutdown(Duration::ZERO);
    for end in ends {
        assert_eq!(end.wait_down(), Reason::Killed);
    }
    drops.assert_none_live();
    drop(dog);
}

#[test]
fn links_in_a_circle_end_once_each() {
    everywhere(|system| {
        let ring: Vec<_> = (0..20).map(|_| Stage::new(system)).collect();
        for n in 0..ring.len() {
            ring[n].link(&ring[(n + 1) % ring.len()]);
            ring[(n + 1) % ring.len()].link(&ring[n]);
        }
        let ends: Vec<_> = ring.iter().map(|stage| stage.pid().watch()).collect();
        ring[7].pid().exit(Reason::other("r"));
        for end in ends {
            assert_eq!(end.wait_down(), Reason::other("r"));
        }
    });
}

#[test]
fn two_that_link_and_unlink_each_other_at_once_agree_in_the_end() {
    everywhere(|system| {
        for _ in 0..iters(50, 20, 3) {
            let (a, b) = (Stage::trapping(system), Stage::trapping(system));
            for stage in [(&a, &b), (&b, &a)] {
                let other = stage.1.pid();
                stage.0.tell(move |_, ctx| {
                    for _ in 0..20 {
                        ctx.link(&other).unwrap();
                        ctx.unlink(&other);
                    }
                });
            }
            // What the other one sent last has arrived when it has answered since.
            for _ in 0..2 {
                a.run(|_, _| {});
                b.run(|_, _| {});
            }
            let linked = [
                a.get(|ctx| ctx.links().len()),
                b.get(|ctx| ctx.links().len()),
            ];
            assert_eq!(linked, [0, 0]);
            a.stop(Reason::other("r"));
            assert_eq!(b.so_far(), []);
        }
    });
}

#[test]
fn an_actor_with_thousands_of_links_hears_of_each_end() {
    on_scheduler(2, |system| {
        let hub = Stage::trapping(system);
        let many = iters(20_000, 5_000, 200) as usize;
        let spokes: Vec<_> = (0..many)
            .map(|_| {
                let (events, _) = channel();
                start::<Puppet>(system, events, Options::new()).unwrap()
            })
            .collect();
        let pids: Vec<_> = spokes.iter().map(Addr::pid).collect();
        hub.run(move |_, ctx| pids.iter().for_each(|pid| ctx.link(pid).unwrap()));
        for spoke in &spokes {
            spoke.stop(Reason::Normal);
        }
        for _ in 0..many {
            assert!(matches!(hub.next(), Event::Exit(_, Reason::Normal)));
        }
        assert_eq!(hub.get(|ctx| ctx.links().len()), 0);
    });
}
