//! `select!` and `select_biased!`: what can be written, what is evaluated, and when.

#![recursion_limit = "256"]

mod support;

use weftwork_csp as channel;

use channel::{
    Receiver, RecvError, SendError, Sender, after, bounded, never, select, select_biased, unbounded,
};
use std::cell::Cell;
use std::thread;
use std::time::{Duration, Instant};
use support::{AMPLE, SHORT, watched};
use weftwork_testkit::{DropCounter, iters};

/// Far beyond the end of any test.
const FAR: Duration = Duration::from_secs(3_600);

fn filled<T>(messages: impl IntoIterator<Item = T>) -> (Sender<T>, Receiver<T>) {
    let (s, r) = unbounded();
    messages.into_iter().for_each(|m| s.send(m).unwrap());
    (s, r)
}

#[test]
fn an_arm_receives_or_sends_and_the_whole_is_its_value() {
    watched(|| {
        let (_s, r) = filled([1]);
        let (idle, _r) = bounded::<u8>(0);
        let received = select! {
            recv(r) -> message => message.map(|n| n + 1),
            send(idle, 9) -> _ => Err(RecvError),
        };
        assert_eq!(received, Ok(2));

        let (s, r) = bounded(1);
        let sent: Result<(), SendError<u8>> = select! {
            recv(never::<u8>()) -> _ => unreachable!("never"),
            send(s, 3) -> sent => sent,
        };
        assert_eq!((sent, r.try_recv()), (Ok(()), Ok(3)));
    });
}

#[test]
fn one_arm_alone_is_the_plain_operation() {
    watched(|| {
        let (s, r) = filled([1]);
        select! { recv(r) -> message => assert_eq!(message, Ok(1)) }
        select! { send(s, 2) -> sent => assert_eq!(sent, Ok(())) }
        assert_eq!(select! { recv(r) -> message => message }, Ok(2));
        drop(s);
        assert_eq!(select! { recv(r) -> message => message }, Err(RecvError));
        let (s, r) = bounded(0);
        thread::scope(|scope| {
            scope.spawn(|| select! { send(s, 5) -> sent => sent.unwrap() });
            select! { recv(r) -> message => assert_eq!(message, Ok(5)) }
        });
    });
}

#[test]
fn default_is_taken_if_no_arm_is_ready() {
    watched(|| {
        let (s, r) = bounded(1);
        let look = || {
            select! {
                recv(r) -> message => message.ok(),
                default => None,
            }
        };
        assert_eq!(look(), None);
        s.send(1).unwrap();
        assert_eq!(look(), Some(1));
        let offer = |n| {
            select! {
                send(s, n) -> sent => sent.is_ok(),
                default() => false,
            }
        };
        assert!(offer(2));
        assert!(!offer(3));
        drop(s);
        assert_eq!(look(), Some(2));
        assert_eq!(r.recv(), Err(RecvError));
    });
}

#[test]
fn default_with_a_time_is_taken_when_it_is_over_and_not_before() {
    watched(|| {
        let (s, r) = bounded::<u8>(0);
        let start = Instant::now();
        select! {
            recv(r) -> _ => unreachable!("nobody sends"),
            default(SHORT) => assert!(start.elapsed() >= SHORT),
        }
        let start = Instant::now();
        select! {
            recv(r) -> _ => unreachable!("nobody sends"),
            send(s, 1) -> _ => unreachable!("nobody receives"),
            default(SHORT) => assert!(start.elapsed() >= SHORT),
        }
        let (_s, r) = filled([1]);
        select! {
            recv(r) -> message => assert_eq!(message, Ok(1)),
            default(Duration::ZERO) => unreachable!("a message is there"),
        }
        let (_s, r) = filled([1]);
        select! {
            recv(never::<u8>()) -> _ => unreachable!("never"),
            recv(r) -> message => assert_eq!(message, Ok(1)),
            default(Duration::MAX) => unreachable!("the longest time is not over"),
        }
    });
}

#[test]
fn default_alone_does_not_look_at_anything() {
    watched(|| {
        assert_eq!(select! { default => 5 }, 5);
        assert_eq!(select! { default() => 6, }, 6);
        let start = Instant::now();
        select! { default(SHORT) => {} }
        assert!(start.elapsed() >= SHORT);
    });
}

#[test]
fn default_may_stand_anywhere() {
    watched(|| {
        let (_s, r) = filled([1, 2]);
        for n in 1..=2 {
            select! {
                default => unreachable!("a message is there"),
                recv(r) -> message => assert_eq!(message, Ok(n)),
            }
        }
        let found = select! {
            recv(r) -> _ => 1,
            default => 2,
            recv(never::<u8>()) -> _ => 3,
        };
        assert_eq!(found, 2);
    });
}

#[test]
fn bodies_are_blocks_or_expressions_with_or_without_commas() {
    watched(|| {
        let (s, r) = unbounded::<i32>();
        let mut log = Vec::new();
        for _ in 0..6 {
            s.send(1).unwrap();
        }
        select! { recv(r) -> _ => log.push(1) }
        select! { recv(r) -> _ => log.push(2), }
        select! { recv(r) -> _ => { log.push(3) } }
        select! { recv(r) -> _ => { log.push(4) }, }
        select! {
            recv(r) -> _ => { log.push(5); }
            recv(never::<u8>()) -> _ => log.push(0),
            default => {}
        }
        select! {
            recv(r) -> _ => if log.len() == 5 { log.push(6) } else { unreachable!() },
            default => unreachable!("a message is there"),
        }
        select! {
            recv(r,) -> _ => {}
            send(s, 7,) -> sent => match sent { Ok(()) => log.push(7), Err(e) => unreachable!("{e}") },
            default(AMPLE,) => {}
        }
        assert_eq!(log, [1, 2, 3, 4, 5, 6, 7]);
    });
}

#[test]
fn results_are_taken_apart_by_patterns() {
    watched(|| {
        let (_s, r) = filled([(1, "a")]);
        select! {
            recv(r) -> mut message => {
                if let Ok((n, _)) = &mut message {
                    *n += 1;
                }
                assert_eq!(message, Ok((2, "a")));
            }
        }
        let (s, r) = bounded::<u8>(1);
        select! {
            send(s, 1) -> (Ok(()) | Err(SendError(_))) => {}
            recv(never::<u8>()) -> (Ok(_) | Err(RecvError)) => {}
        }
        select! { recv(r) -> ref message => assert!(message.is_ok()) }
        select! {
            recv(r) -> _ => unreachable!("it is empty"),
            default => {}
        }
    });
}

#[test]
fn handles_are_any_expression_that_is_or_refers_to_one() {
    watched(|| {
        struct Link {
            s: Sender<u8>,
            r: Box<Receiver<u8>>,
        }
        impl Link {
            fn receiver(&self) -> &Receiver<u8> {
                &self.r
            }
        }
        let (s, r) = unbounded();
        let link = Link { s, r: Box::new(r) };
        let list = [link.receiver().clone()];
        let (by_ref, by_ref_ref) = (&link.s, &&link.s);
        for round in 0..6 {
            select! { send(by_ref, round) -> sent => sent.unwrap() }
            let message = match round {
                0 => select! { recv(*link.r) -> m => m },
                1 => select! { recv(link.receiver()) -> m => m },
                2 => select! { recv(&list[0]) -> m => m },
                3 => select! { recv(list[0]) -> m => m },
                4 => select! { recv({ link.r.clone() }) -> m => m },
                _ => select! { recv(if round > 3 { &link.r } else { &list[0] }) -> m => m },
            };
            assert_eq!(message, Ok(round));
        }
        select! { send(**by_ref_ref, 7) -> sent => sent.unwrap() }
        select! { send(&link.s, 8) -> sent => sent.unwrap() }
        select! {
            recv(&mut link.r.clone()) -> m => assert_eq!(m, Ok(7)),
            default => unreachable!("a message is there"),
        }
    });
}

#[test]
fn handles_made_in_place_live_as_long_as_the_choice() {
    watched(|| {
        let make = || filled([String::from("a")]).1;
        select! { recv(make()) -> message => assert_eq!(message.unwrap(), "a") }
        select! {
            recv(make()) -> message => assert_eq!(message.unwrap(), "a"),
            recv(after(FAR)) -> _ => unreachable!("an hour has not passed"),
        }
        // Its receiver is gone before it is offered.
        select! {
            send(unbounded::<u8>().0, 1) -> sent => assert!(sent.is_err() || sent.is_ok()),
            recv(never::<u8>()) -> _ => unreachable!("never"),
        }
    });
}

#[test]
fn every_handle_is_evaluated_once_in_the_order_written() {
    watched(|| {
        let (s, r) = filled([1]);
        let order = Cell::new(0);
        let step = |n| {
            assert_eq!(order.replace(n), n - 1);
        };
        select! {
            recv({ step(1); &r }) -> message => assert_eq!(message, Ok(1)),
            send({ step(2); bounded::<u8>(0).0.clone() }, 1) -> _ => {}
            recv({ step(3); never::<u8>() }) -> _ => unreachable!("never"),
        }
        assert_eq!(order.get(), 3);
        let order = Cell::new(0);
        select! {
            recv({ order.set(order.get() + 1); &r }) -> _ => {}
            default({ order.set(order.get() + 1); Duration::ZERO }) => {}
        }
        assert_eq!(order.get(), 2);
        drop(s);
    });
}

#[test]
fn the_message_of_a_send_arm_is_evaluated_only_if_the_arm_is_chosen() {
    watched(|| {
        let evaluated = Cell::new(0);
        let (idle_s, _idle_r) = bounded(0);
        let (s, r) = bounded(1);
        let message = |n| {
            evaluated.set(evaluated.get() + 1);
            n
        };
        s.send(0).unwrap();
        for _ in 0..10 {
            select! {
                send(idle_s, message(1)) -> _ => unreachable!("nobody receives"),
                send(s, message(2)) -> _ => unreachable!("it is full"),
                default => {}
            }
            select! {
                send(idle_s, message(1)) -> _ => unreachable!("nobody receives"),
                send(s, message(2)) -> _ => unreachable!("it is full"),
                default(Duration::from_micros(10)) => {}
            }
        }
        assert_eq!(evaluated.get(), 0);
        r.recv().unwrap();
        select! {
            send(idle_s, message(1)) -> _ => unreachable!("nobody receives"),
            send(s, message(2)) -> sent => sent.unwrap(),
        }
        assert_eq!((evaluated.get(), r.recv()), (1, Ok(2)));
    });
}

#[test]
fn a_value_is_moved_into_its_send_arm_only_if_it_is_chosen() {
    watched(|| {
        let drops = DropCounter::new();
        let (s, r) = bounded(1);
        let (_full_s, empty) = bounded::<u8>(0);
        let mut value = Some(drops.track(5));
        s.send(drops.track(4)).unwrap();
        for _ in 0..3 {
            select! {
                send(s, value.take().unwrap()) -> _ => unreachable!("it is full"),
                recv(empty) -> _ => unreachable!("it is empty"),
                default => {}
            }
        }
        assert_eq!(value.as_deref(), Some(&5));
        drop(r);
        // Chosen because the channel is disconnected: the message comes back.
        let error = select! {
            send(s, value.take().unwrap()) -> sent => sent.unwrap_err(),
            recv(empty) -> _ => unreachable!("it is empty"),
        };
        assert_eq!(*error.into_inner(), 5);
        drops.assert_none_live();
    });
}

#[test]
fn bodies_leave_loops_and_functions() {
    fn first_even(r: &Receiver<u8>) -> Option<u8> {
        loop {
            select! {
                recv(r) -> message => match message {
                    Ok(n) if n % 2 == 0 => return Some(n),
                    Ok(_) => continue,
                    Err(RecvError) => break,
                },
                default(AMPLE) => unreachable!("the messages are there"),
            }
        }
        None
    }
    fn sum(r: &Receiver<u8>) -> Result<u8, RecvError> {
        let mut sum = 0;
        for _ in 0..2 {
            sum += select! {
                recv(r) -> message => message?,
                recv(never::<u8>()) -> _ => unreachable!("never"),
            };
        }
        Ok(sum)
    }
    watched(|| {
        let (s, r) = filled([1, 3, 4, 5]);
        drop(s);
        assert_eq!(first_even(&r), Some(4));
        assert_eq!(first_even(&r), None);
        let (s, r) = filled([1, 2, 3]);
        drop(s);
        assert_eq!(sum(&r), Ok(3));
        assert_eq!(sum(&r), Err(RecvError));
        let (_s, r) = filled(0..10);
        let found = 'outer: loop {
            for _ in 0..3 {
                select! {
                    recv(r) -> n => if n == Ok(7) { break 'outer n },
                    default => unreachable!("the messages are there"),
                }
            }
        };
        assert_eq!(found, Ok(7));
    });
}

#[test]
fn a_body_may_hold_another_choice_over_the_same_handles() {
    watched(|| {
        let (s, r) = filled([1, 2]);
        let pair = select! {
            recv(r) -> a => select! {
                recv(r) -> b => select! {
                    send(s, 9) -> sent => (a, b, sent),
                    recv(never::<u8>()) -> _ => unreachable!("never"),
                },
                default(AMPLE) => unreachable!("the second is there"),
            },
            recv(never::<u8>()) -> _ => unreachable!("never"),
        };
        assert_eq!(pair, (Ok(1), Ok(2), Ok(())));
        assert_eq!(r.try_recv(), Ok(9));
    });
}

#[test]
fn a_body_may_drop_or_move_the_handles_of_its_choice() {
    watched(|| {
        let (s, r) = filled([1]);
        let (s2, r2) = bounded::<u8>(1);
        select! {
            recv(r) -> message => { assert_eq!(message, Ok(1)); drop(r); drop(s) }
            recv(r2) -> _ => { drop(r2); unreachable!("it is empty") }
        }
        drop(s2);
    });
}

#[test]
fn arms_may_differ_in_the_types_of_their_messages() {
    watched(|| {
        let (_s1, r1) = filled(["text"]);
        let (s2, r2) = bounded::<Vec<u8>>(1);
        let (_s3, r3) = filled([1.5]);
        let mut kinds = Vec::new();
        for _ in 0..3 {
            select! {
                recv(r1) -> message => if message.is_ok() { kinds.push("text") },
                send(s2, vec![1]) -> sent => if sent.is_ok() { kinds.push("bytes") },
                recv(r3) -> message => if message == Ok(1.5) { kinds.push("number") },
            }
        }
        kinds.sort_unstable();
        assert_eq!(kinds, ["bytes", "number", "text"]);
        assert_eq!(r2.recv(), Ok(vec![1]));
    });
}

#[test]
fn the_types_of_messages_are_inferred_from_the_arms() {
    watched(|| {
        let (s, r) = unbounded();
        select! { send(s, Some(5_u16)) -> _ => {} }
        select! { recv(r) -> message => assert_eq!(message.unwrap(), Some(5)) }
        let (s, r) = unbounded();
        if s.is_full() {
            select! { recv(r) -> message => { let _: Result<String, _> = message; } }
        }
        s.send(String::new()).unwrap();
    });
}

macro_rules! all_of_32 {
    ($select:ident, $r:ident) => {
        $select! {
            recv($r[0]) -> m => (0, m), recv($r[1]) -> m => (1, m), recv($r[2]) -> m => (2, m),
            recv($r[3]) -> m => (3, m), recv($r[4]) -> m => (4, m), recv($r[5]) -> m => (5, m),
            recv($r[6]) -> m => (6, m), recv($r[7]) -> m => (7, m), recv($r[8]) -> m => (8, m),
            recv($r[9]) -> m => (9, m), recv($r[10]) -> m => (10, m), recv($r[11]) -> m => (11, m),
            recv($r[12]) -> m => (12, m), recv($r[13]) -> m => (13, m),
            recv($r[14]) -> m => (14, m), recv($r[15]) -> m => (15, m),
            recv($r[16]) -> m => (16, m), recv($r[17]) -> m => (17, m),
            recv($r[18]) -> m => (18, m), recv($r[19]) -> m => (19, m),
            recv($r[20]) -> m => (20, m), recv($r[21]) -> m => (21, m),
            recv($r[22]) -> m => (22, m), recv($r[23]) -> m => (23, m),
            recv($r[24]) -> m => (24, m), recv($r[25]) -> m => (25, m),
            recv($r[26]) -> m => (26, m), recv($r[27]) -> m => (27, m),
            recv($r[28]) -> m => (28, m), recv($r[29]) -> m => (29, m),
            recv($r[30]) -> m => (30, m), recv($r[31]) -> m => (31, m),
        }
    };
}

#[test]
fn thirty_two_arms_are_served() {
    watched(|| {
        let (s, r): (Vec<_>, Vec<_>) = (0..32).map(|_| bounded(0)).unzip();
        thread::scope(|scope| {
            scope.spawn(|| s.iter().enumerate().for_each(|(n, s)| s.send(n).unwrap()));
            for n in 0..32 {
                assert_eq!(all_of_32!(select, r), (n, Ok(n)));
            }
        });
    });
}

#[test]
fn the_biased_choice_is_the_first_arm_that_is_ready() {
    watched(|| {
        let (s, r): (Vec<_>, Vec<_>) = (0..32).map(|_| unbounded()).unzip();
        for s in &s {
            (0..3).for_each(|n| s.send(n).unwrap());
        }
        for arm in 0..32 {
            for n in 0..3 {
                assert_eq!(all_of_32!(select_biased, r), (arm, Ok(n)));
            }
        }
        let choice = select_biased! {
            recv(r[1]) -> _ => 1,
            send(s[2], 1) -> _ => 2,
            send(s[3], 1) -> _ => 3,
            default => 4,
        };
        assert_eq!(choice, 2);
        let choice = select_biased! { default => 4, recv(r[2]) -> _ => 5 };
        assert_eq!(choice, 5, "default is the last resort wherever it stands");
        let choice = select_biased! {
            recv(r[0]) -> _ => 1,
            recv(r[1]) -> _ => 2,
            default(Duration::from_millis(1)) => 3,
        };
        assert_eq!(choice, 3);
    });
}

#[test]
fn each_of_four_arms_that_are_ready_gets_its_share() {
    watched(|| {
        let (a_s, a) = filled(std::iter::repeat_n((), 10_000));
        let (_b_s, b) = filled(std::iter::repeat_n((), 10_000));
        let (c_s, _c) = unbounded();
        let mut shares = [0; 4];
        for round in 0..10_000 {
            let chosen = if round % 2 == 0 {
                select! {
                    recv(a) -> _ => 0,
                    recv(b) -> _ => 1,
                    send(c_s, ()) -> _ => 2,
                    send(a_s, ()) -> _ => 3,
                }
            } else {
                select! {
                    recv(a) -> _ => 0,
                    recv(b) -> _ => 1,
                    send(c_s, ()) -> _ => 2,
                    send(a_s, ()) -> _ => 3,
                    default(AMPLE) => unreachable!("four arms are ready"),
                }
            };
            shares[chosen] += 1;
        }
        assert!(
            shares.iter().all(|n| (2_000..3_000).contains(n)),
            "{shares:?}"
        );
    });
}

#[test]
fn selects_meet_selects_through_every_kind_of_arm() {
    watched(|| {
        let rounds = iters(3_000, 500, 20);
        let (s0, r0) = bounded(0);
        let (s1, r1) = bounded(1);
        thread::scope(|scope| {
            scope.spawn(move || {
                for n in 0..rounds {
                    select! {
                        send(s0, n) -> sent => sent.unwrap(),
                        send(s1, n) -> sent => sent.unwrap(),
                    }
                }
            });
            let mut seen = vec![false; rounds];
            let mut open = [true, true];
            while open != [false, false] {
                let (from, message) = match open {
                    [true, true] => select! {
                        recv(r0) -> message => (0, message),
                        recv(r1) -> message => (1, message),
                    },
                    [true, false] => (0, r0.recv()),
                    _ => (1, r1.recv()),
                };
                match message {
                    Ok(n) => assert!(!std::mem::replace(&mut seen[n], true), "{n} came twice"),
                    Err(RecvError) => open[from] = false,
                }
            }
            assert!(seen.into_iter().all(|seen| seen));
        });
    });
}

#[test]
fn keywords_and_names_of_the_macro_do_not_clash_with_those_around_it() {
    watched(|| {
        let (recv, send, default) = (5, 6, 7);
        let (_s, _r) = filled([1]);
        let _oper = 8;
        let _res = 9;
        let sel = select! {
            recv(_r) -> _sel => _sel.unwrap() + recv + send + default + _oper + _res,
            default => 0,
        };
        assert_eq!(sel, 36);
        fn with_generics<T: Send>(r: &Receiver<T>) -> Option<T> {
            select! { recv(r) -> m => m.ok(), default => None }
        }
        assert_eq!(with_generics(&_r), None);
    });
}
