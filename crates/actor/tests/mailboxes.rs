//! What a full mailbox does, which messages come first, and what gets in anyway.

mod support;

use std::task::{Context as TaskContext, Waker};
use std::time::{Duration, Instant};
use support::{Event, Note, Stage, everywhere, on_scheduler};
use weftwork_actor::{
    Actor, Addr, AskError, AsyncHandler, Context, Handler, InitError, Mailbox, OnFull, Options,
    Priority, Reason, SendErrorKind, System, start,
};
use weftwork_csp::{Receiver, Sender, bounded};

/// A puppet whose handler waits at a gate, so that its mailbox fills up.
struct Gated {
    stage: Stage,
    open: Sender<()>,
}

fn gated(system: &System, mailbox: Mailbox) -> Gated {
    let stage = Stage::with(system, Options::new().mailbox(mailbox));
    let (open, gate) = bounded(1);
    let (inside, entered) = bounded(1);
    stage.tell(move |_, _| {
        inside.send(()).unwrap();
        let _ = gate.recv();
    });
    entered.recv().unwrap();
    Gated { stage, open }
}

impl Gated {
    fn notes(self) -> Vec<u64> {
        drop(self.open);
        self.stage.run(|_, _| {});
        let note = |event| match event {
            Event::Note(n) => n,
            other => panic!("{other:?}"),
        };
        self.stage.events.try_iter().map(note).collect()
    }
}

/// How many notes get in, without waiting.
fn fill(to: &Addr<support::Puppet>, notes: std::ops::Range<u64>) -> Vec<u64> {
    notes.filter(|n| to.try_tell(Note(*n)).is_ok()).collect()
}

#[test]
fn a_bounded_mailbox_takes_its_capacity_and_hands_the_next_message_back() {
    everywhere(|system| {
        for capacity in [1, 2, 7, 1024] {
            for on_full in [OnFull::Wait, OnFull::Fail] {
                let gated = gated(system, Mailbox::with(capacity, on_full));
                let got_in = fill(&gated.stage.addr, 0..5000);
                // A mailbox of many may count one that was taken up, and spare a place.
                let few = if capacity < 128 { 0 } else { 2 };
                let room = got_in.len();
                assert!((capacity - few..=capacity).contains(&room), "{room}");
                let back = gated.stage.addr.try_tell(Note(7)).unwrap_err();
                assert_eq!(
                    (back.kind(), back.into_inner()),
                    (SendErrorKind::Full, Note(7))
                );
                let fails = gated
                    .stage
                    .addr
                    .tell_timeout(Note(8), Duration::from_millis(2));
                let kind = match on_full {
                    OnFull::Wait => SendErrorKind::Timeout,
                    _ => SendErrorKind::Full,
                };
                assert_eq!(fails.unwrap_err().kind(), kind);
                drop(gated.open);
                assert_eq!(gated.stage.events.iter().take(room).count(), room);
            }
        }
    });
}

#[test]
fn an_actor_that_gets_one_message_at_a_time_fills_up_like_others() {
    everywhere(|system| {
        let mailbox = Mailbox::with(128, OnFull::Fail);
        let stage = Stage::with(system, Options::new().mailbox(mailbox));
        // From now on it expects one at a time, and the next is not counted.
        stage.run(|_, _| {});
        stage.run(|_, _| {});
        let (open, gate) = bounded::<()>(1);
        let (inside, entered) = bounded(1);
        stage.tell(move |_, _| {
            inside.send(()).unwrap();
            let _ = gate.recv();
        });
        entered.recv().unwrap();
        let before = stage.pid().mailbox_len();
        let room = fill(&stage.addr, 0..200).len();
        assert!((126..=128).contains(&room), "{room}");
        assert_eq!(stage.pid().mailbox_len(), before + room);
        drop(open);
        assert_eq!(stage.events.iter().take(room).count(), room);
        stage.run(|_, _| {});
        assert!(stage.pid().mailbox_len() <= 2);
    });
}

/// Awaits a word before it takes another message.
struct Awaits(Receiver<()>);

impl Actor for Awaits {
    type Args = Receiver<()>;
    fn init(word: Self::Args, _: &mut Context<Self>) -> Result<Self, InitError> {
        Ok(Awaits(word))
    }
}

impl AsyncHandler<Note> for Awaits {
    type Reply = u64;
    async fn handle(&mut self, Note(n): Note, _: &mut Context<Self>) -> u64 {
        let _ = self.0.recv_async().await;
        n
    }
}

#[test]
fn an_actor_that_awaits_takes_no_more_than_its_capacity_and_all_of_it_is_handled() {
    everywhere(|system| {
        let (word, words) = bounded::<()>(1);
        let options = Options::new().mailbox(Mailbox::with(128, OnFull::Fail));
        let addr = start::<Awaits>(system, words, options).unwrap();
        // One at a time, and each is given the time to be taken: the first is handled, the others wait.
        let mut room = 0;
        for n in 0..1000 {
            room += usize::from(addr.try_tell(Note(n)).is_ok());
            std::thread::yield_now();
        }
        assert!((127..=129).contains(&room), "{room} and the one it handles");
        drop(word);
        let answer = loop {
            match addr.ask(Note(1000)) {
                Err(AskError::Full(_)) => std::thread::yield_now(),
                answer => break answer,
            }
        };
        assert_eq!(answer.unwrap(), 1000);
        assert!(addr.pid().mailbox_len() <= 2);
        addr.kill();
    });
}

#[test]
fn an_unbounded_mailbox_takes_all() {
    everywhere(|system| {
        let gated = gated(system, Mailbox::Unbounded);
        assert_eq!(fill(&gated.stage.addr, 0..20_000).len(), 20_000);
        assert_eq!(gated.notes(), (0..20_000).collect::<Vec<_>>());
    });
}

#[test]
fn the_newest_message_is_dropped_where_the_mailbox_says_so() {
    everywhere(|system| {
        let gated = gated(system, Mailbox::with(3, OnFull::DropNewest));
        assert_eq!(fill(&gated.stage.addr, 0..5).len(), 5);
        assert!(matches!(
            gated.stage.addr.ask(Note(9)),
            Err(AskError::Full(Note(9)))
        ));
        drop(gated.open);
        let three: Vec<_> = gated.stage.events.iter().take(3).collect();
        assert_eq!(three, [Event::Note(0), Event::Note(1), Event::Note(2)]);
        assert_eq!(gated.stage.so_far(), []);
    });
}

#[test]
fn the_oldest_message_is_dropped_where_the_mailbox_says_so() {
    everywhere(|system| {
        let gated = gated(system, Mailbox::with(3, OnFull::DropOldest));
        assert_eq!(fill(&gated.stage.addr, 0..10).len(), 10);
        drop(gated.open);
        let three: Vec<_> = gated.stage.events.iter().take(3).collect();
        assert_eq!(three, [Event::Note(7), Event::Note(8), Event::Note(9)]);
        assert_eq!(gated.stage.so_far(), []);
    });
}

#[test]
fn a_signal_among_them_is_not_dropped_with_the_oldest_messages() {
    everywhere(|system| {
        let gated = gated(system, Mailbox::with(2, OnFull::DropOldest));
        fill(&gated.stage.addr, 0..1);
        let end = gated.stage.pid().watch();
        fill(&gated.stage.addr, 1..100);
        gated.stage.addr.stop(Reason::other("r"));
        drop(gated.open);
        assert_eq!(end.wait_down(), Reason::other("r"));
        let all: Vec<_> = gated.stage.events.iter().collect();
        let terminate = Event::Terminate(Reason::other("r"));
        assert_eq!(all, [Event::Note(98), Event::Note(99), terminate]);
    });
}

#[test]
fn an_overflow_stops_the_actor_where_the_mailbox_says_so() {
    everywhere(|system| {
        let gated = gated(system, Mailbox::with(2, OnFull::StopActor));
        let end = gated.stage.pid().watch();
        assert_eq!(fill(&gated.stage.addr, 0..3).len(), 2);
        drop(gated.open);
        assert_eq!(end.wait_down(), Reason::other("mailbox overflow"));
    });
}

#[test]
fn senders_that_wait_get_in_when_there_is_room_and_none_is_lost() {
    everywhere(|system| {
        let gated = gated(system, Mailbox::bounded(2));
        let senders: Vec<_> = (0..4)
            .map(|s| {
                let to = gated.stage.addr.clone();
                std::thread::spawn(move || {
                    (0..200).for_each(|n| to.tell(Note(s * 1000 + n)).unwrap());
                })
            })
            .collect();
        drop(gated.open);
        senders
            .into_iter()
            .for_each(|sender| sender.join().unwrap());
        gated.stage.run(|_, _| {});
        let mut next = [0; 4];
        for event in gated.stage.events.try_iter() {
            let Event::Note(note) = event else {
                panic!("{event:?}")
            };
            let (sender, n) = ((note / 1000) as usize, note % 1000);
            assert_eq!(n, next[sender], "the messages of one sender in order");
            next[sender] += 1;
        }
        assert_eq!(next, [200; 4]);
    });
}

#[test]
fn senders_that_wait_are_told_of_the_end() {
    everywhere(|system| {
        let gated = gated(system, Mailbox::bounded(1));
        fill(&gated.stage.addr, 0..1);
        let to = gated.stage.addr.clone();
        let waiting = std::thread::spawn(move || to.tell(Note(7)).unwrap_err());
        gated.stage.pid().exit(Reason::Shutdown);
        drop(gated.open);
        let error = waiting.join().unwrap();
        assert!(error.is_dead());
        assert_eq!(error.into_inner(), Note(7));
    });
}

#[test]
fn a_tell_that_is_awaited_waits_for_room_and_may_be_dropped() {
    everywhere(|system| {
        let gated = gated(system, Mailbox::bounded(1));
        fill(&gated.stage.addr, 0..1);
        let to = gated.stage.addr.clone();
        let mut context = TaskContext::from_waker(Waker::noop());
        let mut dropped = Box::pin(to.tell_async(Note(1)));
        let mut kept = Box::pin(to.tell_async(Note(2)));
        assert!(dropped.as_mut().poll(&mut context).is_pending());
        assert!(kept.as_mut().poll(&mut context).is_pending());
        drop(dropped);
        drop(gated.open);
        weftwork_core::block_on(kept).unwrap();
        assert_eq!(gated.stage.so_far(), [Event::Note(0), Event::Note(2)]);
    });
}

#[test]
fn an_actor_does_not_wait_for_room_in_its_own_mailbox() {
    everywhere(|system| {
        let stage = Stage::with(system, Options::new().mailbox(Mailbox::bounded(1)));
        let me = stage.addr.clone();
        stage.run(move |_, ctx| {
            while me.try_tell(Note(1)).is_ok() {}
            let error = me.tell(Note(2)).unwrap_err();
            assert_eq!(error.kind(), SendErrorKind::Full);
            // What it sends itself gets in, however full it is.
            ctx.send_self(Note(3));
        });
        let all = stage.so_far();
        assert_eq!(all.last(), Some(&Event::Note(3)));
    });
}

#[test]
fn links_exits_monitors_and_stops_get_into_a_full_mailbox() {
    everywhere(|system| {
        let gated = gated(system, Mailbox::bounded(1));
        fill(&gated.stage.addr, 0..1);
        let linked = Stage::trapping(system);
        linked.link(&gated.stage);
        let end = gated.stage.pid().watch();
        gated.stage.pid().exit(Reason::other("r"));
        drop(gated.open);
        assert_eq!(end.wait_down(), Reason::other("r"));
        assert_eq!(
            linked.next(),
            Event::Exit(gated.stage.pid(), Reason::other("r"))
        );
        // It ended before it came to the message.
        assert_eq!(gated.stage.events.iter().count(), 0);
    });
}

#[test]
fn an_exit_does_not_wait_behind_the_messages_of_others() {
    everywhere(|system| {
        let gated = gated(system, Mailbox::Unbounded);
        fill(&gated.stage.addr, 0..10_000);
        gated.stage.pid().exit(Reason::Shutdown);
        let end = gated.stage.pid().watch();
        drop(gated.open);
        assert!(matches!(end.wait_down(), Reason::Shutdown));
        assert_eq!(gated.stage.events.iter().count(), 0);
    });
}

/// Notes the order in which its messages come.
struct Ranked(Vec<u32>, Receiver<()>);

struct Low(u32);
struct Normal(u32);
struct High(u32);
struct Urgent(u32);
struct Wait;
struct Order;

impl Actor for Ranked {
    type Args = Receiver<()>;
    fn init(gate: Self::Args, _: &mut Context<Self>) -> Result<Self, InitError> {
        Ok(Ranked(Vec::new(), gate))
    }
}

macro_rules! ranked {
    ($($name:ident)*) => {$(
        impl Handler<$name> for Ranked {
            type Reply = ();
            const PRIORITY: Priority = Priority::$name;
            fn handle(&mut self, $name(n): $name, _: &mut Context<Self>) {
                self.0.push(n);
            }
        }
    )*};
}

ranked!(Low Normal High Urgent);

impl Handler<Wait> for Ranked {
    type Reply = ();
    fn handle(&mut self, _: Wait, _: &mut Context<Self>) {
        let _ = self.1.recv();
    }
}

impl Handler<Order> for Ranked {
    type Reply = Vec<u32>;
    const PRIORITY: Priority = Priority::Low;
    fn handle(&mut self, _: Order, _: &mut Context<Self>) -> Vec<u32> {
        std::mem::take(&mut self.0)
    }
}

#[test]
fn messages_of_a_higher_priority_come_first_and_equal_ones_in_order() {
    everywhere(|system| {
        let (open, gate) = bounded(1);
        let ranked = start::<Ranked>(system, gate, Options::new()).unwrap();
        ranked.tell(Wait).unwrap();
        for n in 0..3 {
            ranked.tell(Low(n)).unwrap();
            ranked.tell(Normal(10 + n)).unwrap();
            ranked.tell(Urgent(30 + n)).unwrap();
            ranked.tell(High(20 + n)).unwrap();
        }
        open.send(()).unwrap();
        assert_eq!(
            ranked.ask(Order).unwrap(),
            [30, 31, 32, 20, 21, 22, 10, 11, 12, 0, 1, 2]
        );
        ranked.kill();
    });
}

#[test]
fn a_recipient_takes_one_type_of_message_of_any_actor() {
    everywhere(|system| {
        let (stage, other) = (Stage::new(system), Stage::new(system));
        let all = [stage.addr.recipient::<Note, _>(), other.addr.recipient()];
        for (n, to) in (0..).zip(&all) {
            to.clone().tell(Note(n)).unwrap();
            weftwork_core::block_on(to.tell_async(Note(10 + n))).unwrap();
        }
        assert_eq!(all[1].pid(), other.pid());
        assert_eq!(other.so_far(), [Event::Note(1), Event::Note(11)]);
        other.stop(Reason::Normal);
        assert_eq!(all[1].tell(Note(2)).unwrap_err().into_inner(), Note(2));
        assert!(!all[1].is_alive() && all[0].is_alive());
    });
}

#[test]
fn stashed_messages_come_back_in_order_before_what_is_queued() {
    everywhere(|system| {
        let stage = Stage::new(system);
        let me = stage.addr.clone();
        stage.run(move |_, ctx| {
            me.tell(Note(3)).unwrap();
            ctx.stash(Note(1));
            ctx.stash(Note(2));
        });
        assert_eq!(stage.so_far(), [Event::Note(3)]);
        let me = stage.addr.clone();
        stage.run(move |_, ctx| {
            me.tell(Note(4)).unwrap();
            ctx.unstash_all();
        });
        assert_eq!(
            stage.so_far(),
            [Event::Note(1), Event::Note(2), Event::Note(4)]
        );
    });
}

#[test]
fn one_busy_actor_does_not_keep_the_worker_from_others() {
    on_scheduler(1, |system| {
        let (busy, other) = (Stage::new(system), Stage::new(system));
        fn again() -> support::Do {
            support::Do(Box::new(|puppet, ctx| {
                if puppet.events.send(Event::Note(0)).is_ok() {
                    ctx.send_self(again());
                }
            }))
        }
        busy.addr.tell(again()).unwrap();
        let since = Instant::now();
        for n in 0..20 {
            assert_eq!(other.addr.ask(Note(n)), Ok(n));
        }
        assert!(busy.addr.is_alive(), "after {:?}", since.elapsed());
        busy.addr.kill();
    });
}
