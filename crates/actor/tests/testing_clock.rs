//! The manual clock: whatever goes by time goes by it, on any executor.
#![cfg(not(weftwork_loom))]

mod support;
mod testing_support;

use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;
use support::on_scheduler;
use testing_support::{Do, SECOND, Teller, Told};
use weftwork_actor::statem::{Cast, Entry, Event, Machine, Next, StateMachine, Step};
use weftwork_actor::supervisor::{Backoff, ChildRef, ChildSpec, SupervisorSpec};
use weftwork_actor::testing::{ManualClock, Probe, simulate};
use weftwork_actor::{
    Addr, AskError, InitError, Mailbox, OnFull, Options, Reason, Recipient, SendErrorKind,
    StartError, System, start,
};

/// Runs `test` with a manual clock, on a scheduler.
fn with_clock(test: impl Fn(&System, &ManualClock)) {
    on_scheduler(2, |system| {
        let clock = ManualClock::new();
        test(&System::with_clock(system, &clock), &clock);
    });
}

/// Lets the actor take all that is there, timers included.
fn settle(teller: &Addr<Teller>) {
    teller.ask(Do::new(|_, _| {})).unwrap();
}

#[test]
fn timers_fire_when_the_clock_is_moved_past_them_and_not_before() {
    with_clock(|system, clock| {
        let probe = Probe::<Told>::start(system);
        let teller = start::<Teller>(system, probe.recipient(), Options::new()).unwrap();
        teller.ask(Do::after(SECOND * 20, 2)).unwrap();
        teller.ask(Do::after(SECOND * 10, 1)).unwrap();
        teller.ask(Do::after(SECOND * 20, 3)).unwrap();
        clock.advance(SECOND * 9);
        settle(&teller);
        probe.expect_none(Duration::ZERO);
        clock.advance(SECOND);
        probe.expect(Told::Number(1));
        settle(&teller);
        probe.expect_none(Duration::ZERO);
        clock.advance(SECOND * 3600);
        // Those of one time in the order in which they were set.
        probe.expect(Told::Number(2));
        probe.expect(Told::Number(3));
        teller.kill();
    });
}

#[test]
fn series_and_keyed_timers_follow_the_clock() {
    simulate(3, |lab| {
        let probe = lab.probe::<Told>();
        let teller = lab.start::<Teller>(probe.recipient());
        let work = |_: &mut Teller, ctx: &mut weftwork_actor::Context<Teller>| {
            ctx.send_every(SECOND, 1);
            ctx.send_after_keyed("key", SECOND * 2, 8);
            ctx.send_after_keyed("key", SECOND * 3, 9);
        };
        teller.ask(Do::new(work)).unwrap();
        lab.advance(Duration::from_millis(3500));
        // The keyed one that was set last, and behind the tick of its time, which was set before.
        for n in [1, 1, 1, 9] {
            probe.expect(Told::Number(n));
        }
        probe.expect_none(Duration::ZERO);
    });
}

#[test]
fn the_limit_of_an_ask_goes_by_the_clock_for_threads_and_for_futures() {
    with_clock(|system, clock| {
        let probes = [(); 2].map(|()| Probe::<u32, u32>::start(system));
        let (by_thread, by_future) = (probes[0].addr(), probes[1].addr());
        let threads = [
            thread::spawn(move || by_thread.ask(1)),
            thread::spawn(move || weftwork_core::block_on(by_future.ask_async(1))),
        ];
        // Nobody answers.
        for probe in &probes {
            probe.expect(1);
        }
        clock.advance(Duration::from_millis(4999));
        assert!(threads.iter().all(|thread| !thread.is_finished()));
        // Each reads the clock when it begins to wait: perhaps just now.
        while threads.iter().any(|thread| !thread.is_finished()) {
            clock.advance(SECOND);
            thread::yield_now();
        }
        for thread in threads {
            let error = thread.join().unwrap().unwrap_err();
            assert!(matches!(error, AskError::Timeout), "{error}");
        }
    });
}

#[test]
fn the_limit_of_an_ask_in_a_lab_takes_five_seconds_of_the_lab() {
    simulate(5, |lab| {
        let probe = Probe::<u32, u32>::start(&lab.system());
        let error = probe.addr().ask(1).unwrap_err();
        assert!(matches!(error, AskError::Timeout), "{error}");
        assert_eq!(lab.clock().elapsed(), SECOND * 5);
    });
}

#[test]
fn the_limit_of_a_tell_to_a_full_mailbox_goes_by_the_clock() {
    with_clock(|system, clock| {
        let probe = Probe::<Told>::start(system);
        let options = Options::new().mailbox(Mailbox::with(1, OnFull::Wait));
        let teller = start::<Teller>(system, probe.recipient(), options).unwrap();
        let (open, gate) = weftwork_csp::bounded::<()>(1);
        let (busy, is_busy) = channel();
        let work = move |_: &mut Teller, _: &mut _| {
            busy.send(()).unwrap();
            let _ = gate.recv();
        };
        teller.tell(Do::new(work)).unwrap();
        is_busy.recv().unwrap();
        while teller.try_tell(1).is_ok() {}
        let sender = thread::spawn({
            let teller = teller.clone();
            move || teller.tell_timeout(2, SECOND * 60)
        });
        while !sender.is_finished() {
            clock.advance(SECOND);
            thread::yield_now();
        }
        let error = sender.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), SendErrorKind::Timeout);
        assert!(clock.elapsed() >= SECOND * 60);
        drop(open);
        teller.kill();
    });
}

#[test]
fn the_limit_of_a_start_goes_by_the_clock() {
    struct Stuck;
    impl weftwork_actor::Actor for Stuck {
        type Args = weftwork_csp::Receiver<()>;
        fn init(
            gate: Self::Args,
            _: &mut weftwork_actor::Context<Self>,
        ) -> Result<Self, InitError> {
            let _ = gate.recv();
            Ok(Stuck)
        }
    }
    simulate(5, |lab| {
        let (_open, gate) = weftwork_csp::bounded::<()>(1);
        let options = Options::new().timeout(SECOND * 60);
        let error = start::<Stuck>(&lab.system(), gate, options).unwrap_err();
        assert_eq!(error, StartError::Timeout);
        assert_eq!(lab.clock().elapsed(), SECOND * 60);
    });
}

#[test]
fn back_off_and_the_window_of_restarts_follow_the_clock() {
    simulate(9, |lab| {
        let probe = lab.probe::<Told>();
        let told: Recipient<Told> = probe.recipient();
        let child = ChildRef::<Teller>::new();
        let start = child.filled_by(move |ctx| ctx.start::<Teller>(told.clone(), Options::new()));
        let backoff = Backoff::new(SECOND * 10, SECOND * 40).jitter(0.0);
        let spec = SupervisorSpec::new()
            .intensity(2, SECOND * 100)
            .child(ChildSpec::new("teller", start).backoff(backoff));
        let app = spec.start(&lab.system()).unwrap();
        let begin = lab.clock().elapsed();
        let mut waits = Vec::new();
        for _ in 0..2 {
            let old = child.wait();
            old.kill();
            let before = lab.clock().elapsed();
            child.wait_other_than(&old.pid());
            waits.push(lab.clock().elapsed() - before);
        }
        assert_eq!(waits, [SECOND * 10, SECOND * 20]);
        // Two in a hundred seconds are allowed: the third is, too, when those are over.
        lab.advance(SECOND * 101);
        let old = child.wait();
        old.kill();
        let new = child.wait_other_than(&old.pid());
        assert!(app.is_alive());
        assert!(lab.clock().elapsed() - begin >= SECOND * 141);
        let is_restart = |event: &weftwork_actor::testing::TraceEvent| {
            event.what.to_string().contains("restarts child teller")
        };
        let restarts = lab
            .trace()
            .events()
            .iter()
            .filter(|e| is_restart(e))
            .count();
        assert_eq!(restarts, 3);
        // Two more at once are too many.
        new.kill();
        let newer = child.wait_other_than(&new.pid());
        let end = app.pid().watch();
        newer.kill();
        assert_eq!(end.wait_down(), Reason::Shutdown);
    });
}

struct Lamp(Recipient<&'static str>);

#[derive(Debug, Clone, PartialEq)]
enum Light {
    Off,
    On,
}

impl StateMachine for Lamp {
    type Args = Recipient<&'static str>;
    type State = Light;
    type Event = ();
    type Reply = ();

    fn init(to: Self::Args, _: &mut Step<'_, Self>) -> Result<(Self, Light), InitError> {
        Ok((Lamp(to), Light::Off))
    }

    fn enter(&mut self, _: &Light, new: &Light, entry: &mut Entry<'_, Self>) {
        let text = if *new == Light::On { "on" } else { "off" };
        self.0.tell(text).unwrap();
        if *new == Light::On {
            entry.state_timeout(SECOND * 600, ());
        }
    }

    fn handle(&mut self, _: &Light, event: Event<Self>, _: &mut Step<'_, Self>) -> Next<Light> {
        match event {
            Event::Cast(()) => Next::To(Light::On),
            Event::StateTimeout(()) => Next::To(Light::Off),
            _ => Next::Keep,
        }
    }
}

#[test]
fn time_outs_of_state_machines_follow_the_clock() {
    with_clock(|system, clock| {
        let probe = Probe::<&'static str>::start(system);
        let lamp = start::<Machine<Lamp>>(system, probe.recipient(), Options::new()).unwrap();
        probe.expect("off");
        lamp.tell(Cast(())).unwrap();
        probe.expect("on");
        // Its alarm is set when it has nothing else to do.
        while clock.until_next().is_none() {
            thread::yield_now();
        }
        clock.advance(SECOND * 599);
        probe.expect_none(Duration::from_millis(1));
        clock.advance(SECOND);
        probe.expect("off");
        lamp.kill();
    });
}
