//! Simulations: one seed is one interleaving, and a seed that fails does so again.
#![cfg(not(weftwork_loom))]

mod testing_support;

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use testing_support::{Do, SECOND, Teller, Told};
use weftwork_actor::testing::{Lab, Probe, explore, search, simulate};
use weftwork_actor::{
    Actor, Addr, AskError, AsyncHandler, Context, Handler, InitError, Mailbox, OnFull, Options,
    Reason, Recipient, start,
};
use weftwork_core::Spawn;
use weftwork_testkit::{DropCounter, watchdog};

/// What an assertion says that fails.
fn failure(test: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(test)).expect_err("the assertion fails");
    match payload.downcast_ref::<&str>() {
        Some(text) => (*text).into(),
        None => *payload.downcast::<String>().expect("with a text"),
    }
}

/// Counts orders until the shop closes. Deliberately wrong: it takes it that the last order comes before the
/// closing, which somebody else tells it of.
struct Till {
    orders: u32,
    is_closed: bool,
}

struct Order;
struct Close;
struct Total;

impl Actor for Till {
    type Args = ();
    fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> {
        Ok(Till {
            orders: 0,
            is_closed: false,
        })
    }
}

impl Handler<Order> for Till {
    type Reply = ();
    fn handle(&mut self, _: Order, _: &mut Context<Self>) {
        if !self.is_closed {
            self.orders += 1;
        }
    }
}

impl Handler<Close> for Till {
    type Reply = ();
    fn handle(&mut self, _: Close, _: &mut Context<Self>) {
        self.is_closed = true;
    }
}

impl Handler<Total> for Till {
    type Reply = u32;
    fn handle(&mut self, _: Total, _: &mut Context<Self>) -> u32 {
        self.orders
    }
}

/// Passes an order on, or the closing.
struct Waiter(Addr<Till>);

impl Actor for Waiter {
    type Args = Addr<Till>;
    fn init(till: Addr<Till>, _: &mut Context<Self>) -> Result<Self, InitError> {
        Ok(Waiter(till))
    }
}

impl Handler<Order> for Waiter {
    type Reply = ();
    fn handle(&mut self, order: Order, _: &mut Context<Self>) {
        self.0.tell(order).unwrap();
    }
}

impl Handler<Close> for Waiter {
    type Reply = ();
    fn handle(&mut self, close: Close, _: &mut Context<Self>) {
        self.0.tell(close).unwrap();
    }
}

fn an_evening(lab: &Lab) {
    let till = lab.start::<Till>(());
    let waiters = [(); 2].map(|()| lab.start::<Waiter>(till.clone()));
    waiters[0].tell(Order).unwrap();
    waiters[1].tell(Close).unwrap();
    lab.run_until_idle();
    assert_eq!(till.ask(Total).unwrap(), 1, "an order was lost");
}

#[test]
fn an_actor_that_relies_on_an_order_is_found_within_a_few_seeds_and_replayed_by_its_seed() {
    let failure = search(0..32, an_evening).expect_err("one order in two is wrong");
    assert!(failure.message().contains("an order was lost"));
    let mut replayed = None;
    let text = self::failure(|| {
        simulate(failure.seed(), |lab| {
            let caught = catch_unwind(AssertUnwindSafe(|| an_evening(lab)));
            replayed = Some(lab.trace());
            if let Err(payload) = caught {
                std::panic::resume_unwind(payload);
            }
        });
    });
    assert!(text.contains("an order was lost"));
    assert_eq!(replayed.as_ref(), Some(failure.trace()));
    // And those before it pass.
    assert!(search(0..failure.seed(), an_evening).is_ok());
}

#[test]
fn explore_reports_the_seed_how_to_replay_it_and_the_trace() {
    let text = failure(|| explore(0..32, an_evening));
    assert!(text.contains(" fails: "), "{text}");
    assert!(text.contains("an order was lost"), "{text}");
    assert!(text.contains("replay it by simulate("), "{text}");
    assert!(text.contains("Waiter#2 -> Till#1: Order"), "{text}");
    assert!(text.contains("Till#1 handles Close of Waiter#3"), "{text}");
}

/// A test with all that there is: asks in handlers, asynchronous ones, timers, ends, a full mailbox.
fn a_busy_day(lab: &Lab) {
    let probe = lab.probe::<Told>();
    let tellers: Vec<_> = (0..12)
        .map(|_| lab.start::<Teller>(probe.recipient()))
        .collect();
    for (at, teller) in tellers.iter().enumerate() {
        let next = tellers[(at + 1) % tellers.len()].clone();
        let all: Vec<_> = tellers.iter().map(Addr::pid).collect();
        let work = move |_: &mut Teller, ctx: &mut Context<Teller>| {
            ctx.trap_exit(true);
            if at == 0 {
                for pid in &all[1..] {
                    ctx.link(pid).unwrap();
                }
            }
            ctx.send_after(SECOND * (at as u32 % 3), at as u32);
            // Circles are found.
            let _ = next.ask(at as u32);
        };
        teller.tell(Do::new(work)).unwrap();
    }
    lab.advance(SECOND * 10);
    tellers[0].stop(Reason::other("done"));
    lab.run_until_idle();
    while probe.next_within(Duration::from_millis(1)).is_some() {}
}

fn trace_of(seed: u64, test: impl Fn(&Lab)) -> String {
    simulate(seed, |lab| {
        test(lab);
        lab.trace().to_string()
    })
}

#[test]
fn the_same_seed_gives_the_same_trace_and_another_one_another() {
    let _dog = watchdog(Duration::from_secs(120));
    let mut seen = HashSet::new();
    for seed in 0..12 {
        let trace = trace_of(seed, a_busy_day);
        // Also on another thread, with other numbers for pids, while others run.
        let others: Vec<_> = (0..2)
            .map(|_| std::thread::spawn(move || trace_of(seed, a_busy_day)))
            .collect();
        for other in others {
            assert_eq!(trace, other.join().unwrap());
        }
        seen.insert(trace);
    }
    assert_eq!(seen.len(), 12);
}

#[test]
fn a_handler_that_waits_lets_the_others_run_the_one_it_waits_for_too() {
    // Each asks the next one before it answers: twenty handlers wait at a time, and none for a limit.
    explore(0..10, |lab| {
        let probe = lab.probe::<Told>();
        let mut last: Option<Addr<Teller>> = None;
        for n in 0..20 {
            let teller = lab.start::<Teller>(probe.recipient());
            if let Some(next) = last.take() {
                let asks = move |teller: &mut Teller, _: &mut Context<Teller>| {
                    next.ask(Do::new(|_, _| {})).unwrap();
                    teller.tell(Told::Number(n));
                };
                teller.tell(Do::new(asks)).unwrap();
            }
            last = Some(teller);
        }
        last.unwrap().ask(1).unwrap();
        lab.run_until_idle();
        let mut numbers = Vec::new();
        while let Some(weftwork_actor::testing::Received::Message(Told::Number(n))) =
            probe.next_within(Duration::from_millis(1))
        {
            numbers.push(n);
        }
        assert_eq!(numbers.len(), 20, "{numbers:?}");
        assert!(lab.clock().elapsed() < SECOND);
    });
}

#[test]
fn waits_that_are_not_nested_end_in_any_order() {
    explore(0..20, |lab| {
        let probe = lab.probe::<Told>();
        let gates: Vec<_> = (0..3).map(|_| weftwork_csp::bounded::<()>(1)).collect();
        let mut opens = Vec::new();
        for (n, (open, gate)) in gates.into_iter().enumerate() {
            opens.push(open);
            let teller = lab.start::<Teller>(probe.recipient());
            let work = move |teller: &mut Teller, _: &mut Context<Teller>| {
                gate.recv().unwrap();
                teller.tell(Told::Number(n as u32));
            };
            teller.tell(Do::new(work)).unwrap();
        }
        lab.run_until_idle();
        probe.expect_none(Duration::ZERO);
        // The first one that waited is not the last one to go on, whatever the seed.
        for n in [0, 2, 1] {
            opens[n].send(()).unwrap();
            probe.expect(Told::Number(n as u32));
        }
    });
}

#[test]
fn a_test_that_waits_for_ever_is_told_who_waits_for_what() {
    simulate(1, |lab| {
        let probe = lab.probe::<Told>();
        let (_open, gate) = weftwork_csp::bounded::<()>(1);
        let system = lab.system();
        let options = Options::new().name("doorman");
        let teller = start::<Teller>(&system, probe.recipient(), options).unwrap();
        let waits = move |_: &mut Teller, _: &mut Context<Teller>| {
            let _ = gate.recv();
        };
        teller.tell(Do::new(waits)).unwrap();
        let text = failure(|| drop(teller.pid().watch().wait_down()));
        assert!(text.contains("the test waits for"), "{text}");
        assert!(
            text.contains("nothing can run, and no alarm is set"),
            "{text}"
        );
        assert!(text.contains("doorman#2 waits for"), "{text}");
        assert!(text.contains("testing_lab.rs"), "{text}");
        // The lab can be used on.
        teller.kill();
        assert_eq!(teller.pid().watch().wait_down(), Reason::Killed);
    });
}

#[test]
fn a_lab_that_does_not_come_to_rest_says_so() {
    simulate(1, |lab| {
        let probe = lab.probe::<Told>();
        let teller = lab.start::<Teller>(probe.recipient());
        struct Again(Recipient<u32>);
        impl Actor for Again {
            type Args = ();
            fn init(_: (), ctx: &mut Context<Self>) -> Result<Self, InitError> {
                ctx.send_self(0_u32);
                Ok(Again(ctx.addr().recipient()))
            }
        }
        impl Handler<u32> for Again {
            type Reply = ();
            fn handle(&mut self, n: u32, _: &mut Context<Self>) {
                self.0.tell(n).unwrap();
            }
        }
        let again = lab.start::<Again>(());
        lab.limit(1000);
        let text = failure(|| lab.run_until_idle());
        assert!(text.contains("does not come to rest"), "{text}");
        let text = failure(|| drop(probe.receive()));
        assert!(
            text.contains("after 1000 turns there is no end in sight"),
            "{text}"
        );
        again.kill();
        lab.run_until_idle();
        teller.ask(1).unwrap();
    });
}

#[test]
fn waits_of_the_test_take_no_time_and_end_in_order_of_their_time() {
    let begin = std::time::Instant::now();
    simulate(2, |lab| {
        let probe = lab.probe::<Told>();
        let teller = lab.start::<Teller>(probe.recipient());
        let day = SECOND * 86_400;
        for n in [3, 1, 2] {
            teller.tell(Do::after(day * n, n)).unwrap();
        }
        let patient = probe.patience(day * 2);
        for n in 1..=3 {
            patient.expect(Told::Number(n));
            assert_eq!(lab.clock().elapsed(), day * n);
        }
        // A wait of a channel of ours goes by the lab's clock as well.
        let (_sender, receiver) = weftwork_csp::bounded::<()>(1);
        assert!(receiver.recv_timeout(day).is_err());
        assert_eq!(lab.clock().elapsed(), day * 4);
        lab.run_until(|| true);
        let text = failure(|| lab.run_until(|| false));
        assert!(text.contains("it does not come to pass"), "{text}");
    });
    // Four days would have been noticed.
    assert!(begin.elapsed() < SECOND * 3600);
}

/// Awaits the end of another handler.
struct Awaiter;

impl Actor for Awaiter {
    type Args = ();
    fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> {
        Ok(Awaiter)
    }
}

impl AsyncHandler<Addr<Teller>> for Awaiter {
    type Reply = Result<u32, AskError<u32>>;
    async fn handle(&mut self, whom: Addr<Teller>, _: &mut Context<Self>) -> Self::Reply {
        whom.ask_async(7).await
    }
}

#[test]
fn asynchronous_handlers_tasks_and_closures_run_in_a_lab_too() {
    explore(0..10, |lab| {
        let probe = lab.probe::<Told>();
        let teller = lab.start::<Teller>(probe.recipient());
        let awaiter = lab.start::<Awaiter>(());
        assert_eq!(awaiter.ask(teller.clone()).unwrap().unwrap(), 7);
        let asks = teller.clone();
        let closure = lab.spawn_fn(move || asks.ask(8).unwrap()).unwrap();
        assert_eq!(closure.join().unwrap(), 8);
        let future = lab
            .system()
            .spawn_future(async move { teller.ask_async(9).await.unwrap() });
        assert_eq!(future.unwrap().join().unwrap(), 9);
    });
}

#[test]
fn a_sender_that_waits_for_room_lets_the_others_run() {
    explore(0..10, |lab| {
        let probe = lab.probe::<Told>();
        let options = Options::new().mailbox(Mailbox::with(2, OnFull::Wait));
        let teller = start::<Teller>(&lab.system(), probe.recipient(), options).unwrap();
        for n in 0..50 {
            teller.tell(n).unwrap();
        }
        for n in 0..50 {
            probe.expect(Told::Number(n));
        }
    });
}

#[test]
fn the_end_of_a_lab_ends_all_actors_and_drops_what_they_hold() {
    let drops = DropCounter::new();
    let (_open, pids) = simulate(4, |lab| {
        let probe = lab.probe::<Told>();
        let (open, gate) = weftwork_csp::bounded::<()>(1);
        let idle = lab.start::<Teller>(probe.recipient());
        let held = drops.track(1);
        idle.tell(Do::new(move |_, ctx| {
            ctx.send_after(SECOND, 1_u32);
            ctx.continue_with(Do::new(move |_, _| drop(held)));
        }))
        .unwrap();
        let waits = lab.start::<Teller>(probe.recipient());
        let held = drops.track(2);
        waits
            .tell(Do::new(move |_, _| {
                let _held = held;
                let _ = gate.recv();
            }))
            .unwrap();
        lab.run_until_idle();
        let unheard = lab.start::<Teller>(probe.recipient());
        let held = drops.track(3);
        unheard.tell(Do::new(move |_, _| drop(held))).unwrap();
        (open, [idle.pid(), waits.pid(), unheard.pid()])
    });
    for pid in pids {
        assert_eq!(pid.exit_reason(), Some(Reason::Killed), "{pid:?}");
    }
    drops.assert_none_live();
}

#[test]
fn a_test_that_panics_ends_its_lab() {
    let counted = Arc::new(());
    let held = Arc::clone(&counted);
    let text = failure(move || {
        simulate(4, |lab| {
            let probe = lab.probe::<Told>();
            let (_open, gate) = weftwork_csp::bounded::<()>(1);
            let teller = lab.start::<Teller>(probe.recipient());
            let work = move |_: &mut Teller, _: &mut Context<Teller>| {
                let _held = held;
                let _ = gate.recv();
            };
            teller.tell(Do::new(work)).unwrap();
            lab.run_until_idle();
            assert_eq!(1 + 1, 3, "the test is wrong, {}", 7);
        });
    });
    assert!(text.contains("the test is wrong, 7"), "{text}");
    assert_eq!(Arc::strong_count(&counted), 1);
}

#[test]
fn draws_and_notes_of_the_test_are_the_seeds() {
    let drawn = |seed| {
        simulate(seed, |lab| {
            lab.note("three draws");
            let draws = [(); 3].map(|()| lab.draw(1000));
            assert!(lab.trace().to_string().ends_with("# three draws"));
            assert_eq!(lab.seed(), seed);
            draws
        })
    };
    assert_eq!(drawn(1), drawn(1));
    assert_ne!(drawn(1), drawn(2));
}

#[test]
fn labs_nest() {
    let inner = simulate(1, |lab| {
        let probe = lab.probe::<u32>();
        let inner = simulate(2, |lab| {
            let probe = Probe::<u32>::start(&lab.system());
            probe.recipient().tell(2).unwrap();
            probe.receive()
        });
        probe.recipient().tell(1).unwrap();
        probe.expect(1);
        inner
    });
    assert_eq!(inner, 2);
}
