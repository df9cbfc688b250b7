//! Messages that an actor sends itself later.

mod support;

use std::time::{Duration, Instant};
use support::{Event, Note, Stage, everywhere};
use weftwork_actor::Reason;

const SOON: Duration = Duration::from_millis(3);

#[test]
fn a_timer_fires_once_and_never_early() {
    everywhere(|system| {
        let stage = Stage::new(system);
        let set = Instant::now();
        stage.run(|_, ctx| {
            ctx.send_after(SOON, Note(1));
        });
        assert_eq!(stage.next(), Event::Note(1));
        assert!(set.elapsed() >= SOON);
        assert_eq!(stage.so_far(), []);
    });
}

#[test]
fn timers_fire_in_the_order_of_their_times() {
    everywhere(|system| {
        let stage = Stage::new(system);
        stage.run(|_, ctx| {
            ctx.send_after(SOON * 3, Note(3));
            ctx.send_after(SOON, Note(1));
            ctx.send_after(SOON * 2, Note(2));
            ctx.send_after(Duration::ZERO, Note(0));
        });
        let all = [(); 4].map(|()| stage.next());
        assert_eq!(all, [0, 1, 2, 3].map(Event::Note));
    });
}

#[test]
fn a_cancelled_timer_does_not_fire() {
    everywhere(|system| {
        let stage = Stage::new(system);
        stage.run(|_, ctx| {
            let timer = ctx.send_after(SOON, Note(1));
            ctx.send_after(SOON * 2, Note(2));
            assert!(ctx.cancel(timer));
            assert!(!ctx.cancel(timer));
        });
        assert_eq!(stage.next(), Event::Note(2));
        assert_eq!(stage.so_far(), []);
    });
}

#[test]
fn a_timer_that_fired_is_cancelled_as_long_as_its_message_was_not_handled() {
    everywhere(|system| {
        let stage = Stage::new(system);
        let timer = stage.get(|ctx| ctx.send_after(Duration::ZERO, Note(1)));
        // Due, and perhaps in the mailbox; or handled already.
        let was_there = stage.get(move |ctx| ctx.cancel(timer));
        let seen = stage.so_far();
        assert_eq!(seen.is_empty(), was_there, "{seen:?}");
        assert!(!stage.get(move |ctx| ctx.cancel(timer)));
    });
}

#[test]
fn a_timer_that_was_handled_cannot_be_cancelled() {
    everywhere(|system| {
        let stage = Stage::new(system);
        let timer = stage.get(|ctx| ctx.send_after(Duration::ZERO, Note(1)));
        assert_eq!(stage.next(), Event::Note(1));
        assert!(!stage.get(move |ctx| ctx.cancel(timer)));
    });
}

#[test]
fn a_series_ticks_until_it_is_cancelled() {
    everywhere(|system| {
        let stage = Stage::new(system);
        let series = stage.get(|ctx| {
            let tick = Do1;
            ctx.send_every(Duration::from_millis(1), tick)
        });
        for _ in 0..5 {
            assert_eq!(stage.next(), Event::Note(1));
        }
        assert!(stage.get(move |ctx| ctx.cancel(series)));
        stage.so_far();
        stage.run(|_, ctx| {
            ctx.send_after(Duration::from_millis(5), Note(9));
        });
        assert_eq!(stage.next(), Event::Note(9));
    });
}

/// A message that can be cloned.
#[derive(Clone)]
struct Do1;

impl weftwork_actor::Handler<Do1> for support::Puppet {
    type Reply = ();
    fn handle(&mut self, _: Do1, _: &mut weftwork_actor::Context<Self>) {
        let _ = self.events.send(Event::Note(1));
    }
}

#[test]
fn a_timer_under_a_key_takes_the_place_of_the_one_before() {
    everywhere(|system| {
        let stage = Stage::new(system);
        stage.run(|_, ctx| {
            ctx.send_after_keyed("poll", SOON, Note(1));
            ctx.send_after_keyed("poll", SOON, Note(2));
            ctx.send_after_keyed("other", SOON * 2, Note(3));
            ctx.send_after_keyed(7, SOON * 2, Note(4));
            assert!(ctx.cancel_keyed(&7));
            assert!(!ctx.cancel_keyed(&7));
        });
        assert_eq!(
            [stage.next(), stage.next()],
            [Event::Note(2), Event::Note(3)]
        );
        assert_eq!(stage.so_far(), []);
    });
}

#[test]
fn timers_end_with_the_actor() {
    everywhere(|system| {
        let stage = Stage::new(system);
        stage.run(|_, ctx| {
            ctx.send_after(SOON, Note(1));
            ctx.send_every(SOON, Do1);
        });
        stage.stop(Reason::Normal);
        // The channel closes with the last that could send: no timer holds a message.
        let all: Vec<_> = stage.events.iter().collect();
        assert_eq!(all.last(), Some(&Event::Terminate(Reason::Normal)));
    });
}
