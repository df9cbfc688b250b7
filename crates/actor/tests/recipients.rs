//! Addresses without the type of the actor: for telling and for asking, and what they are equal to.

mod support;

use std::collections::HashSet;
use std::time::{Duration, Instant};
use support::{Event, Note, Stage, everywhere, on_scheduler};
use weftwork_actor::{
    Actor, AskError, Context, DeferredHandler, InitError, Options, Pid, Reason, Recipient,
    ReplyRecipient, ReplyTo, start,
};

/// Lets another one answer.
struct Front(ReplyRecipient<Note, u64>);

impl Actor for Front {
    type Args = ReplyRecipient<Note, u64>;
    fn init(back: Self::Args, _: &mut Context<Self>) -> Result<Self, InitError> {
        Ok(Front(back))
    }
}

impl DeferredHandler<Note> for Front {
    type Reply = u64;
    fn handle(&mut self, note: Note, reply: ReplyTo<u64>, _: &mut Context<Self>) {
        self.0.forward(note, reply);
    }
}

#[test]
fn a_question_is_answered_by_whatever_actor_takes_it() {
    everywhere(|system| {
        let stage = Stage::new(system);
        let front = start::<Front>(system, stage.addr.reply_recipient(), Options::new()).unwrap();
        let all: [ReplyRecipient<Note, u64>; 2] =
            [stage.addr.reply_recipient(), front.reply_recipient()];
        for to in &all {
            assert_eq!(to.ask(Note(1)), Ok(1));
            assert_eq!(to.ask_timeout(Note(2), Duration::MAX), Ok(2));
            assert_eq!(weftwork_core::block_on(to.ask_async(Note(3))), Ok(3));
            let in_time = to.ask_async_timeout(Note(4), Duration::from_secs(60));
            assert_eq!(weftwork_core::block_on(in_time), Ok(4));
            to.recipient().cast(Note(5)).unwrap();
        }
        assert_eq!(all[1].pid(), front.pid());
        stage.stop(Reason::Normal);
        assert!(!all[0].is_alive() && all[1].is_alive());
        assert_eq!(all[0].ask(Note(6)), Err(AskError::Dead(Note(6))));
        assert_eq!(all[1].ask(Note(6)), Err(AskError::NoReply));
        front.kill();
    });
}

#[test]
fn a_circle_of_questions_is_told_there_too() {
    on_scheduler(1, |system| {
        let stage = Stage::new(system);
        let me: ReplyRecipient<Note, u64> = stage.addr.reply_recipient();
        stage.run(move |_, _| {
            let error = me.ask(Note(1)).unwrap_err();
            assert!(matches!(error, AskError::Cycle(Note(1), _)));
        });
    });
}

#[test]
fn addresses_of_one_actor_are_equal_and_hash_alike() {
    on_scheduler(1, |system| {
        let (one, other) = (Stage::new(system), Stage::new(system));
        let of = |stage: &Stage| -> (Recipient<Note>, ReplyRecipient<Note, u64>) {
            (stage.addr.recipient(), stage.addr.reply_recipient())
        };
        assert_eq!(of(&one), of(&one).clone());
        assert_ne!(of(&one).0, of(&other).0);
        assert_ne!(of(&one).1, of(&other).1);
        let all: HashSet<_> = [of(&one), of(&one), of(&other)].into();
        assert_eq!(all.len(), 2);
        let addrs: HashSet<_> = [one.addr.clone(), one.addr.clone(), other.addr.clone()].into();
        assert_eq!(addrs.len(), 2);
        assert_eq!(Pid::from(&one.addr), one.pid());
        let text = format!("{:?} {:?}", of(&one).0, of(&one).1);
        let pid = one.pid();
        assert_eq!(text, format!("Recipient({pid:?}) ReplyRecipient({pid:?})"));
    });
}

#[test]
fn a_recipient_tells_with_a_deadline_as_an_address_does() {
    on_scheduler(1, |system| {
        let stage = Stage::new(system);
        let to: Recipient<Note> = stage.addr.recipient();
        to.tell_deadline(Note(1), Instant::now()).unwrap();
        assert_eq!(stage.so_far(), [Event::Note(1)]);
    });
}
