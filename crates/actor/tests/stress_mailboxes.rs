//! Mailboxes of every policy between many senders of every kind, while their actor is stopped, killed, or
//! crashes: each message is handled, handed back or a dead letter, each question is answered or fails, and
//! the order of each sender is kept.

mod storm;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use storm::account::{Account, Letter};
use storm::{Crowd, Dice, breathe, crash, end, on_both, poll_once, yield_once};
use weftwork_actor::{
    Actor, Addr, AskError, AsyncHandler, Context, DeferredHandler, Handler, InitError, Mailbox,
    OnFull, Options, Priority, Reason, ReplyTo, SendError, System, start,
};
use weftwork_sched::Runtime;
use weftwork_testkit::{iters, watchdog};

/// Two threads, two green threads, two futures.
const SENDERS: usize = 6;
const CAPACITY: usize = 8;

const MAILBOXES: [Mailbox; 7] = [
    Mailbox::bounded(CAPACITY),
    Mailbox::with(CAPACITY, OnFull::Fail),
    Mailbox::with(CAPACITY, OnFull::DropNewest),
    Mailbox::with(CAPACITY, OnFull::DropOldest),
    Mailbox::with(CAPACITY, OnFull::StopActor),
    Mailbox::with(1, OnFull::DropOldest),
    Mailbox::Unbounded,
];

/// A message of a sender, in one of the shapes below.
struct Message {
    sender: usize,
    letter: Letter,
}

impl Message {
    fn returned(self) {
        self.letter.returned();
    }
}

/// Handled at once.
struct Plain(Message);
/// Handled before the others.
struct Urgent(Message);
/// Handled in a future.
struct Slow(Message);
/// Answered at once, or by and by, or not at all.
struct Later(Message);
/// Handled by a panic.
struct Bomb(Message);

trait Shape: Send + 'static {
    fn returned(self);
}

macro_rules! shapes {
    ($($shape:ident)*) => {$(
        impl Shape for $shape {
            fn returned(self) {
                self.0.returned();
            }
        }
    )*};
}
shapes!(Plain Urgent Slow Later Bomb);

/// What a sink has handled last from each sender, with and without hurry.
type Last = [[Option<u64>; SENDERS]; 2];

/// Lets a sink answer what it has kept.
struct Release {
    message: Letter,
    kept: u64,
}

struct Sink {
    account: Account,
    last: Last,
    kept: Option<ReplyTo<u64>>,
}

impl Sink {
    /// Handles a message, which is newer than the one before of its sender.
    fn take(&mut self, message: Message, hurry: bool) -> u64 {
        let last = &mut self.last[usize::from(hurry)][message.sender];
        let number = message.letter.handled();
        assert!(last.is_none_or(|last| last < number), "out of order");
        *last = Some(number);
        number
    }
}

impl Actor for Sink {
    type Args = Account;
    fn init(account: Account, _: &mut Context<Self>) -> Result<Self, InitError> {
        Ok(Sink {
            account,
            last: Last::default(),
            kept: None,
        })
    }
}

impl Handler<Plain> for Sink {
    type Reply = u64;
    fn handle(&mut self, Plain(message): Plain, _: &mut Context<Self>) -> u64 {
        self.take(message, false)
    }
}

impl Handler<Urgent> for Sink {
    type Reply = u64;
    const PRIORITY: Priority = Priority::Urgent;
    fn handle(&mut self, Urgent(message): Urgent, _: &mut Context<Self>) -> u64 {
        self.take(message, true)
    }
}

impl AsyncHandler<Slow> for Sink {
    type Reply = u64;
    async fn handle(&mut self, Slow(message): Slow, _: &mut Context<Self>) -> u64 {
        let number = self.take(message, false);
        yield_once().await;
        number
    }
}

impl DeferredHandler<Later> for Sink {
    type Reply = u64;
    fn handle(&mut self, Later(message): Later, reply: ReplyTo<u64>, ctx: &mut Context<Self>) {
        let kept = self.take(message, false);
        match kept % 3 {
            0 => reply.send(kept),
            1 => drop(reply),
            _ => {
                self.kept = Some(reply);
                let message = self.account.write(kept);
                ctx.continue_with(Release { message, kept });
            }
        }
    }
}

impl Handler<Release> for Sink {
    type Reply = ();
    fn handle(&mut self, Release { message, kept }: Release, _: &mut Context<Self>) {
        assert_eq!(message.handled(), kept);
        self.kept.take().expect("it was kept").send(kept);
    }
}

impl Handler<Bomb> for Sink {
    type Reply = ();
    fn handle(&mut self, Bomb(message): Bomb, _: &mut Context<Self>) {
        self.take(message, false);
        crash();
    }
}

/// One of the senders.
struct Sender {
    number: usize,
    to: Addr<Sink>,
    mailbox: Mailbox,
    account: Account,
    has_hooks: bool,
    written: u64,
    questions: Arc<Questions>,
    dice: Dice,
}

/// How many questions came to what.
#[derive(Default)]
struct Questions {
    answered: AtomicU64,
    returned: AtomicU64,
    died: AtomicU64,
    dropped: AtomicU64,
}

impl Sender {
    fn write(&mut self) -> Message {
        self.written += 1;
        Message {
            sender: self.number,
            letter: self.account.write(self.written),
        }
    }

    /// Whether a question may be given up by an actor that goes on.
    fn drops_questions(&self) -> bool {
        matches!(
            self.mailbox,
            Mailbox::Bounded {
                on_full: OnFull::DropOldest,
                ..
            }
        )
    }

    fn sent<M: Shape>(sent: Result<(), SendError<M>>) {
        if let Err(unsent) = sent {
            unsent.into_inner().returned();
        }
    }

    fn answered<M: Shape>(&self, answer: Result<u64, AskError<M>>, may_drop: bool) {
        let questions = &*self.questions;
        let count = match answer {
            Ok(number) => {
                assert_eq!(number, self.written, "the answer to another question");
                &questions.answered
            }
            Err(AskError::Died(_)) => {
                assert!(!self.to.is_alive(), "told of an end that is to come");
                &questions.died
            }
            Err(AskError::NoReply) if may_drop || self.drops_questions() => &questions.dropped,
            Err(error) => {
                let text = format!("{error:?}");
                let message = error.into_message();
                let Some(message) = message else {
                    panic!("a question ended with {text}")
                };
                message.returned();
                &questions.returned
            }
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Sends a message in one way or another, as threads do.
    fn send(&mut self) {
        let (way, message) = (self.dice.below(16), self.write());
        match way {
            0..=3 => Self::sent(self.to.tell(Plain(message))),
            4 | 5 => Self::sent(self.to.try_tell(Plain(message))),
            6 => {
                let soon = Duration::from_micros(50);
                Self::sent(self.to.tell_timeout(Plain(message), soon));
            }
            // With hooks the account is less exact.
            7 if self.has_hooks => {
                let undelivered = |Plain(message): Plain| message.letter.hooked();
                self.to.tell_or_return(Plain(message), undelivered);
            }
            7 => Self::sent(self.to.tell(Plain(message))),
            8 => Self::sent(self.to.tell(Urgent(message))),
            9 => Self::sent(self.to.recipient::<Urgent, _>().tell(Urgent(message))),
            10 | 11 => Self::sent(self.to.tell(Slow(message))),
            12 => Self::sent(self.to.tell(Later(message))),
            13 => {
                let answer = self.to.ask_timeout(Plain(message), Duration::MAX);
                self.answered(answer, false);
            }
            14 => {
                let answer = self.to.ask_timeout(Slow(message), Duration::MAX);
                self.answered(answer, false);
            }
            _ => {
                let answer = self.to.ask_timeout(Later(message), Duration::MAX);
                self.answered(answer, true);
            }
        }
    }

    /// Sends a message in one way or another, as futures do.
    async fn send_async(&mut self) {
        let (way, message) = (self.dice.below(8), self.write());
        match way {
            0 | 1 => Self::sent(self.to.tell_async(Plain(message)).await),
            2 => Self::sent(self.to.tell_async(Slow(message)).await),
            3 => Self::sent(self.to.tell_async(Urgent(message)).await),
            4 | 5 => {
                let mut sending = Box::pin(self.to.tell_async(Plain(message)));
                match poll_once(sending.as_mut()) {
                    Some(sent) => Self::sent(sent),
                    None => {
                        drop(sending);
                        self.account.note_withdrawn();
                    }
                }
            }
            6 => {
                let asked = self.to.ask_async_timeout(Plain(message), Duration::MAX);
                let answer = asked.await;
                self.answered(answer, false);
            }
            _ => {
                let asked = self.to.ask_async_timeout(Later(message), Duration::MAX);
                let answer = asked.await;
                self.answered(answer, true);
            }
        }
    }
}

/// What ends the sink of a round, besides its senders having nothing more to say.
fn meddle(round: usize, sink: &Addr<Sink>, sender: &mut Sender) {
    match round % 8 {
        way @ 0..4 => drop(end(&sink.pid(), way)),
        4 => Sender::sent(sink.try_tell(Bomb(sender.write()))),
        5 => {
            // Both at once.
            drop(end(&sink.pid(), 2));
            drop(end(&sink.pid(), 0));
        }
        _ => {}
    }
}

fn one_round(runtime: &Runtime, system: &System, round: usize, each: u64) {
    let account = Account::new();
    let mailbox = MAILBOXES[round % MAILBOXES.len()];
    let options = Options::new().mailbox(mailbox);
    let sink = start::<Sink>(system, account.clone(), options).unwrap();
    let over = sink.pid().watch();
    let questions = Arc::<Questions>::default();
    let sending = Arc::new(AtomicUsize::new(SENDERS));
    let sender = |number| Sender {
        number,
        to: sink.clone(),
        mailbox,
        account: account.clone(),
        has_hooks: round.is_multiple_of(3),
        written: 0,
        questions: Arc::clone(&questions),
        dice: Dice::new((round * SENDERS + number) as u64),
    };
    let mut crowd = Crowd::new(runtime);
    for number in (0..SENDERS).step_by(3) {
        // The last one meddles: what it writes then is the next in its order.
        let work = |mut sender: Sender, meddles: bool| {
            let sending = Arc::clone(&sending);
            move || {
                for n in 0..each {
                    sender.send();
                    if meddles && n == each / 2 {
                        let sink = sender.to.clone();
                        meddle(round, &sink, &mut sender);
                    }
                }
                sending.fetch_sub(1, Ordering::Relaxed);
            }
        };
        crowd.thread(work(sender(number), number == 0));
        crowd.green(work(sender(number + 1), false));
        let (mut sender, sending) = (sender(number + 2), Arc::clone(&sending));
        crowd.future(async move || {
            for _ in 0..each {
                sender.send_async().await;
            }
            sending.fetch_sub(1, Ordering::Relaxed);
        });
    }
    if let Mailbox::Bounded {
        capacity, on_full, ..
    } = mailbox
        && on_full != OnFull::DropOldest
    {
        // The bound holds at all times.
        let (pid, sending) = (sink.pid(), Arc::clone(&sending));
        crowd.thread(move || {
            while pid.is_alive() && sending.load(Ordering::Relaxed) > 0 {
                assert!(pid.mailbox_len() <= capacity);
                breathe();
            }
        });
    }
    crowd.join();
    sink.stop(Reason::Normal);
    drop(sink);
    over.wait_down();
    account.settle();
}

fn each_message_is_accounted_for(runtime: &Runtime, system: &System) {
    let rounds = iters(350, 56, 7);
    let each = iters(400, 200, 20) as u64;
    for round in 0..rounds {
        one_round(runtime, system, round, each);
    }
}

fn main() {
    // They crash on purpose.
    weftwork_actor::reports::silence();
    let _dog = watchdog(Duration::from_secs(180));
    on_both("messages of every kind", each_message_is_accounted_for);
}
