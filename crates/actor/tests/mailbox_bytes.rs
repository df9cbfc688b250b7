//! Mailboxes that are bounded by bytes as well as by number.

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context as TaskContext, Waker};
use std::time::Duration;
use support::{everywhere, on_scheduler};
use weftwork_actor::{
    Actor, Addr, AskError, AsyncHandler, Context, DeferredHandler, Handler, InitError, Mailbox,
    OnFull, Options, Priority, Reason, ReplyTo, SendErrorKind, System, dead_letters, start,
};
use weftwork_csp::{Receiver, Sender, bounded, unbounded};

/// Waits at a gate for each `Wait`, and tells of each text that it takes.
struct Reader {
    gate: Receiver<()>,
    read: Sender<String>,
}

struct Wait;
/// Weighs what it is long.
#[derive(Debug, Clone, PartialEq)]
struct Text(String);
/// As `Text`, before others.
struct Soon(String);
/// As `Text`, asked.
#[derive(PartialEq)]
struct Later(String);

impl Actor for Reader {
    type Args = (Receiver<()>, Sender<String>);
    fn init((gate, read): Self::Args, _: &mut Context<Self>) -> Result<Self, InitError> {
        Ok(Reader { gate, read })
    }
}

impl Handler<Wait> for Reader {
    type Reply = ();
    fn weigh(_: &Wait) -> usize {
        0
    }
    fn handle(&mut self, _: Wait, ctx: &mut Context<Self>) {
        // What it sends itself does not weigh.
        ctx.send_self(Text("own".repeat(50)));
        let _ = self.read.send("waits".into());
        let _ = self.gate.recv();
    }
}

impl Handler<Text> for Reader {
    type Reply = usize;
    fn weigh(text: &Text) -> usize {
        text.0.len()
    }
    fn handle(&mut self, text: Text, _: &mut Context<Self>) -> usize {
        let len = text.0.len();
        let _ = self.read.send(text.0);
        len
    }
}

impl AsyncHandler<Soon> for Reader {
    type Reply = ();
    const PRIORITY: Priority = Priority::High;
    fn weigh(text: &Soon) -> usize {
        text.0.len()
    }
    async fn handle(&mut self, text: Soon, _: &mut Context<Self>) {
        let _ = self.read.send(text.0);
    }
}

impl DeferredHandler<Later> for Reader {
    type Reply = usize;
    fn weigh(text: &Later) -> usize {
        text.0.len()
    }
    fn handle(&mut self, text: Later, reply: ReplyTo<usize>, _: &mut Context<Self>) {
        reply.send(text.0.len());
    }
}

fn text(n: usize) -> Text {
    Text("x".repeat(n))
}

struct Gated {
    addr: Addr<Reader>,
    open: Sender<()>,
    read: Receiver<String>,
}

/// A reader that waits at its gate.
fn gated(system: &System, mailbox: Mailbox) -> Gated {
    let (open, gate) = bounded(1);
    let (sender, read) = unbounded();
    let options = Options::new().mailbox(mailbox);
    let addr = start::<Reader>(system, (gate, sender), options).unwrap();
    addr.tell(Wait).unwrap();
    assert_eq!(read.recv().unwrap(), "waits");
    Gated { addr, open, read }
}

impl Gated {
    /// Opens the gate, and returns the lengths of what is read until the actor has ended.
    fn lengths(self) -> Vec<usize> {
        let end = self.addr.pid().watch();
        self.addr.stop(Reason::Normal);
        drop(self.open);
        end.wait_down();
        let own = 150;
        let lengths = self.read.try_iter().map(|text| text.len());
        lengths.filter(|len| *len != own).collect()
    }
}

#[test]
fn messages_get_in_until_their_bytes_are_too_many() {
    everywhere(|system| {
        for on_full in [OnFull::Wait, OnFull::Fail] {
            let gated = gated(system, Mailbox::with(100, on_full).bytes(100));
            let to = &gated.addr;
            to.try_tell(text(40)).unwrap();
            to.cast(Soon("y".repeat(40))).unwrap();
            assert_eq!(to.pid().mailbox_bytes(), 80);
            let back = to.try_tell(text(21)).unwrap_err();
            assert_eq!(
                (back.kind(), back.into_inner()),
                (SendErrorKind::Full, text(21))
            );
            to.recipient().try_tell(text(20)).unwrap();
            assert!(to.recipient().try_tell(text(1)).unwrap_err().is_full());
            let asked = to.ask_timeout(text(1), Duration::from_millis(1));
            match on_full {
                OnFull::Wait => assert_eq!(asked, Err(AskError::Timeout)),
                _ => assert_eq!(asked, Err(AskError::Full(text(1)))),
            }
            // What has no weight still gets in.
            to.try_tell(text(0)).unwrap();
            assert_eq!(gated.lengths(), [40, 40, 20, 0]);
        }
    });
}

#[test]
fn the_number_is_bounded_as_well() {
    everywhere(|system| {
        let gated = gated(system, Mailbox::with(3, OnFull::Fail).bytes(1000));
        // One place is taken by what the actor has sent itself.
        let got_in = (0..5)
            .filter(|_| gated.addr.try_tell(text(1)).is_ok())
            .count();
        assert_eq!(got_in, 2);
        assert_eq!(gated.lengths(), [1, 1]);
    });
}

#[test]
fn a_message_heavier_than_the_limit_gets_in_alone() {
    everywhere(|system| {
        let gated = gated(system, Mailbox::Unbounded.bytes(10));
        gated.addr.try_tell(text(5000)).unwrap();
        assert!(gated.addr.try_tell(text(1)).unwrap_err().is_full());
        assert_eq!(gated.lengths(), [5000]);
    });
}

#[test]
fn senders_that_wait_get_in_first_come_first_served_and_the_bytes_come_off_again() {
    everywhere(|system| {
        let gated = gated(system, Mailbox::bounded(1000).bytes(64));
        let senders: Vec<_> = (1..=4)
            .map(|sender| {
                let to = gated.addr.clone();
                std::thread::spawn(move || {
                    (0..200).for_each(|n| to.tell(text(sender * 10 + n % 10)).unwrap());
                })
            })
            .collect();
        drop(gated.open);
        senders
            .into_iter()
            .for_each(|sender| sender.join().unwrap());
        assert_eq!(gated.addr.ask(text(7)), Ok(7));
        let pid = gated.addr.pid();
        assert_eq!((pid.mailbox_bytes(), pid.mailbox_len()), (0, 0));
        assert_eq!(gated.read.try_iter().count(), 802);
        gated.addr.kill();
    });
}

#[test]
fn a_heavy_message_that_is_called_off_lets_those_behind_it_in() {
    on_scheduler(1, |system| {
        let gated = gated(system, Mailbox::bounded(1000).bytes(100));
        gated.addr.tell(text(60)).unwrap();
        let mut context = TaskContext::from_waker(Waker::noop());
        let mut heavy = Box::pin(gated.addr.tell_async(text(50)));
        assert!(heavy.as_mut().poll(&mut context).is_pending());
        let mut light = Box::pin(gated.addr.tell_async(text(10)));
        // It would fit, and waits for its turn.
        assert!(light.as_mut().poll(&mut context).is_pending());
        drop(heavy);
        assert!(light.as_mut().poll(&mut context).is_ready());
        assert_eq!(gated.addr.pid().mailbox_bytes(), 70);
        // One that was let in and is dropped gives its bytes back.
        let mut dropped = Box::pin(gated.addr.tell_async(text(90)));
        assert!(dropped.as_mut().poll(&mut context).is_pending());
        let mut last = Box::pin(gated.addr.tell_async(text(100)));
        assert!(last.as_mut().poll(&mut context).is_pending());
        drop(gated.open);
        while gated.addr.pid().mailbox_bytes() != 90 {
            std::thread::yield_now();
        }
        drop(dropped);
        weftwork_core::block_on(last).unwrap();
        assert_eq!(gated.addr.ask(Later("z".repeat(3))), Ok(3));
        assert_eq!(gated.addr.pid().mailbox_bytes(), 0);
        gated.addr.kill();
    });
}

#[test]
fn the_newest_or_the_oldest_are_dropped_or_the_actor_stopped_as_the_mailbox_says() {
    everywhere(|system| {
        let gated_so = |on_full| gated(system, Mailbox::with(1000, on_full).bytes(100));
        let newest = gated_so(OnFull::DropNewest);
        [60, 50, 40, 1]
            .iter()
            .for_each(|n| newest.addr.try_tell(text(*n)).unwrap());
        assert_eq!(newest.lengths(), [60, 40]);

        // Its own message goes first: it is the oldest, and of no weight. Then as many as it takes.
        let oldest = gated_so(OnFull::DropOldest);
        [30, 31, 32, 95]
            .iter()
            .for_each(|n| oldest.addr.try_tell(text(*n)).unwrap());
        assert_eq!(oldest.addr.pid().mailbox_bytes(), 95);
        assert_eq!(oldest.lengths(), [95]);

        let stops = gated_so(OnFull::StopActor);
        let end = stops.addr.pid().watch();
        stops.addr.try_tell(text(99)).unwrap();
        assert!(stops.addr.try_tell(text(2)).unwrap_err().is_full());
        drop(stops.open);
        assert_eq!(end.wait_down(), Reason::other("mailbox overflow"));
    });
}

#[test]
fn what_an_ended_actor_has_not_read_comes_back_or_is_a_dead_letter_by_its_name() {
    everywhere(|system| {
        let before = dead_letters::counts().ended;
        let gated = gated(system, Mailbox::bounded(1000).bytes(100));
        gated.addr.tell(text(10)).unwrap();
        let (sender, returned) = unbounded();
        gated
            .addr
            .tell_or_return(text(20), move |text| sender.send(text).unwrap());
        let to = gated.addr.clone();
        let asker = std::thread::spawn(move || to.ask(text(30)));
        while gated.addr.pid().mailbox_bytes() != 60 {
            std::thread::yield_now();
        }
        gated.addr.pid().exit(Reason::Shutdown);
        drop(gated.open);
        assert_eq!(returned.recv().unwrap(), text(20));
        assert_eq!(asker.join().unwrap(), Err(AskError::Died(Reason::Shutdown)));
        assert!(dead_letters::counts().ended >= before + 3);
        assert_eq!(gated.addr.tell(text(9)).unwrap_err().into_inner(), text(9));
    });
}

/// Says another weight each time that it is asked.
struct Fickle;

static ASKED: AtomicUsize = AtomicUsize::new(0);

impl Handler<Fickle> for Reader {
    type Reply = ();
    fn weigh(_: &Fickle) -> usize {
        ASKED.fetch_add(1, Ordering::Relaxed) % 97
    }
    fn handle(&mut self, _: Fickle, _: &mut Context<Self>) {}
}

#[test]
fn a_message_is_weighed_once_whatever_it_says_later() {
    everywhere(|system| {
        let gated = gated(system, Mailbox::bounded(1000).bytes(500));
        drop(gated.open);
        let before = ASKED.load(Ordering::Relaxed);
        (0..1000).for_each(|_| gated.addr.tell(Fickle).unwrap());
        assert_eq!(ASKED.load(Ordering::Relaxed) - before, 1000);
        gated.addr.ask(text(1)).unwrap();
        assert_eq!(gated.addr.pid().mailbox_bytes(), 0);
        gated.addr.kill();
    });
}

#[test]
#[should_panic(expected = "a mailbox without room")]
fn a_mailbox_of_no_bytes_is_a_broken_contract() {
    let _ = Mailbox::bounded(1).bytes(0);
}
