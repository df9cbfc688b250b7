//! The event bus: a slow or dead subscriber harms nobody.

mod support;

use std::sync::mpsc::{Receiver, channel};
use support::{Event, Note, Stage, everywhere, on_scheduler};
use weftwork_actor::events::EventBus;
use weftwork_actor::{Actor, Addr, Context, Handler, InitError, Mailbox, Options, Reason, start};
use weftwork_testkit::iters;

#[derive(Clone)]
struct Tick(u64);

/// Adds up.
struct Sum(u64);

struct Total;

impl Actor for Sum {
    type Args = ();
    fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> {
        Ok(Sum(0))
    }
}

impl Handler<Tick> for Sum {
    type Reply = ();
    fn handle(&mut self, Tick(n): Tick, _: &mut Context<Self>) {
        self.0 += n;
    }
}

impl Handler<Total> for Sum {
    type Reply = u64;
    fn handle(&mut self, _: Total, _: &mut Context<Self>) -> u64 {
        self.0
    }
}

/// Blocks its actor until it is dropped.
struct Gate(Receiver<()>);

impl Handler<Gate> for Sum {
    type Reply = ();
    fn handle(&mut self, Gate(gate): Gate, _: &mut Context<Self>) {
        let _ = gate.recv();
    }
}

fn sum(system: &weftwork_actor::System, mailbox: Mailbox) -> Addr<Sum> {
    start::<Sum>(system, (), Options::new().mailbox(mailbox)).unwrap()
}

#[test]
fn who_subscribes_to_a_type_is_told_of_each_event_of_it_and_of_no_other() {
    everywhere(|system| {
        let bus = EventBus::new();
        let (a, b) = (
            sum(system, Mailbox::default()),
            sum(system, Mailbox::default()),
        );
        assert_eq!(bus.publish(Tick(1)), 0);
        let first = bus.subscribe::<Tick>(&a.recipient());
        bus.subscribe::<Tick>(&b.recipient());
        bus.subscribe::<Tick>(&b.recipient());
        assert_eq!(bus.publish(Tick(2)), 3);
        assert_eq!(bus.publish("a text"), 0);
        first.cancel();
        first.cancel();
        assert_eq!(bus.publish(Tick(3)), 2);
        assert_eq!((a.ask(Total).unwrap(), b.ask(Total).unwrap()), (2, 10));
        a.kill();
        b.kill();
    });
}

#[test]
fn a_full_subscriber_misses_events_and_holds_nobody_up() {
    on_scheduler(2, |system| {
        let bus = EventBus::new();
        let (slow, quick) = (
            sum(system, Mailbox::bounded(2)),
            sum(system, Mailbox::Unbounded),
        );
        let missing = bus.subscribe::<Tick>(&slow.recipient());
        let none = bus.subscribe::<Tick>(&quick.recipient());
        let (open, gate) = channel();
        slow.tell(Gate(gate)).unwrap();
        let mut got = 0;
        for _ in 0..100 {
            got += bus.publish(Tick(1));
        }
        drop(open);
        let slow_got = slow.ask(Total).unwrap();
        assert_eq!(missing.missed() + slow_got, 100);
        assert!(missing.missed() >= 97);
        assert_eq!((quick.ask(Total).unwrap(), none.missed()), (100, 0));
        assert_eq!(got as u64, 100 + slow_got);
        slow.kill();
        quick.kill();
    });
}

#[test]
fn a_dead_subscriber_is_forgotten() {
    everywhere(|system| {
        let bus = EventBus::new();
        let (a, b) = (
            sum(system, Mailbox::default()),
            sum(system, Mailbox::default()),
        );
        bus.subscribe::<Tick>(&a.recipient());
        bus.subscribe::<Tick>(&b.recipient());
        let end = a.pid().watch();
        a.kill();
        end.wait_down();
        assert_eq!(bus.subscribers::<Tick>(), 1);
        assert_eq!(bus.publish(Tick(1)), 1);
        bus.subscribe::<Tick>(&a.recipient());
        assert_eq!(bus.publish(Tick(1)), 1);
        b.kill();
    });
}

#[test]
fn events_of_one_publisher_come_in_order_while_others_come_and_go() {
    on_scheduler(2, |system| {
        let rounds = iters(2000, 500, 50) as u64;
        let bus = EventBus::new();
        let stage = Stage::with(system, Options::new().mailbox(Mailbox::Unbounded));
        let puppet = stage.addr.clone();
        struct Relay(Addr<support::Puppet>);
        impl Actor for Relay {
            type Args = Addr<support::Puppet>;
            fn init(to: Self::Args, _: &mut Context<Self>) -> Result<Self, InitError> {
                Ok(Relay(to))
            }
        }
        impl Handler<Tick> for Relay {
            type Reply = ();
            fn handle(&mut self, Tick(n): Tick, _: &mut Context<Self>) {
                self.0.tell(Note(n)).unwrap();
            }
        }
        impl Handler<Total> for Relay {
            type Reply = ();
            fn handle(&mut self, _: Total, _: &mut Context<Self>) {}
        }
        let options = Options::new().mailbox(Mailbox::Unbounded);
        let relay = start::<Relay>(system, puppet, options).unwrap();
        bus.subscribe::<Tick>(&relay.recipient());
        std::thread::scope(|threads| {
            threads.spawn(|| {
                for _ in 0..rounds / 10 {
                    let other = sum(system, Mailbox::default());
                    bus.subscribe::<Tick>(&other.recipient());
                    other.kill();
                }
            });
            for n in 0..rounds {
                bus.publish(Tick(n));
            }
        });
        relay.ask(Total).unwrap();
        let expected: Vec<_> = (0..rounds).map(Event::Note).collect();
        assert_eq!(stage.so_far(), expected);
        relay.kill();
        stage.stop(Reason::Normal);
    });
}
