//! A mailbox that many senders flood: the bound holds, nothing is lost in silence, and what is no message, and
//! who is not flooded, has its turn.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use support::{Event, Note, Stage, everywhere};
use weftwork_actor::{Mailbox, OnFull, Options, Reason, SendErrorKind};
use weftwork_testkit::iters;

const SENDERS: u64 = 8;

#[test]
fn every_message_of_a_flood_is_handled_or_handed_back_and_in_its_senders_order() {
    everywhere(|system| {
        for mailbox in [Mailbox::with(16, OnFull::Fail), Mailbox::bounded(16)] {
            let stage = Stage::with(system, Options::new().mailbox(mailbox));
            let each = iters(2000, 300, 50) as u64;
            let senders: Vec<_> = (0..SENDERS)
                .map(|sender| {
                    let to = stage.addr.clone();
                    std::thread::spawn(move || {
                        let notes = (0..each).map(|n| sender << 32 | n);
                        let sent = notes.map(|n| (n, to.tell(Note(n))));
                        let is_in = |(n, sent): (u64, Result<(), _>)| match sent {
                            Ok(()) => Some(n),
                            Err(error) => {
                                let error: weftwork_actor::SendError<Note> = error;
                                assert_eq!(error.kind(), SendErrorKind::Full);
                                assert_eq!(error.into_inner(), Note(n));
                                None
                            }
                        };
                        sent.filter_map(is_in).collect::<Vec<_>>()
                    })
                })
                .collect();
            let sent: Vec<_> = senders.into_iter().map(|s| s.join().unwrap()).collect();
            while stage.pid().mailbox_len() > 0 {
                std::thread::yield_now();
            }
            let handled: Vec<u64> = (stage.so_far().into_iter())
                .map(|event| match event {
                    Event::Note(n) => n,
                    other => panic!("{other:?}"),
                })
                .collect();
            for (sender, sent) in (0..).zip(sent) {
                let of = handled.iter().copied().filter(|n| n >> 32 == sender);
                assert_eq!(of.collect::<Vec<u64>>(), sent);
            }
            stage.stop(Reason::Normal);
        }
    });
}

#[test]
fn an_exit_and_another_actor_have_their_turns_while_senders_flood_a_mailbox() {
    everywhere(|system| {
        for on_full in [
            OnFull::Wait,
            OnFull::Fail,
            OnFull::DropNewest,
            OnFull::DropOldest,
        ] {
            let mailbox = Mailbox::with(16, on_full);
            let flooded = Stage::with(system, Options::new().mailbox(mailbox));
            let other = Stage::new(system);
            let (goes_on, sent) = (AtomicBool::new(true), AtomicU64::new(0));
            let shared = Arc::new((goes_on, sent));
            let senders: Vec<_> = (0..SENDERS)
                .map(|_| {
                    let (to, shared) = (flooded.addr.clone(), Arc::clone(&shared));
                    std::thread::spawn(move || {
                        while shared.0.load(Ordering::Relaxed) {
                            let told = to.tell(Note(0));
                            shared.1.fetch_add(1, Ordering::Relaxed);
                            if told.is_err_and(|error| error.is_dead()) {
                                return;
                            }
                        }
                    })
                })
                .collect();
            while shared.1.load(Ordering::Relaxed) < 200 {
                std::thread::yield_now();
            }
            for n in 0..20 {
                assert_eq!(other.addr.ask(Note(n)), Ok(n));
            }
            let end = flooded.pid().watch();
            flooded.pid().exit(Reason::other("enough"));
            assert_eq!(end.wait_down(), Reason::other("enough"));
            // Those who waited for room are told.
            shared.0.store(false, Ordering::Relaxed);
            senders.into_iter().for_each(|s| s.join().unwrap());
            other.stop(Reason::Normal);
        }
    });
}
