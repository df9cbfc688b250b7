//! What `select!` and its sisters accept, and what they evaluate, move and drop when.
//!
//! Where a test can be decided by chance, no arm but one is ready.

#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::fmt;
use std::iter;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use weftwork_core::{Event, block_on};
use weftwork_csp::{
    Receiver, RecvError, SendError, Sender, bounded, never, select, select_async,
    select_async_biased, select_biased, unbounded,
};
use weftwork_testkit::{Counted, DropCounter, watchdog};

const PATIENCE: Duration = Duration::from_secs(60);
const SOON: Duration = Duration::from_millis(1);

/// Happens at once, if `Some`; else never.
struct Fixed<T>(Option<T>);

impl<T: Unpin> Future for Fixed<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<T> {
        self.0.take().map_or(Poll::Pending, Poll::Ready)
    }
}

impl<T: Unpin> Event for Fixed<T> {}

/// A channel that is never ready in either direction.
fn stuck() -> (Sender<u32>, Receiver<u32>) {
    bounded(0)
}

/// A receiver with one message.
fn filled<T>(message: T) -> Receiver<T> {
    let (s, r) = unbounded();
    s.send(message)
        .unwrap_or_else(|_| unreachable!("the receiver is here"));
    r
}

fn panic_message(f: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(f)).expect_err("it should panic");
    let text = payload.downcast_ref::<String>().cloned();
    text.or_else(|| payload.downcast_ref::<&str>().map(|s| s.to_string()))
        .expect("the payload is text")
}

#[test]
fn handles_are_evaluated_once_and_in_order() {
    let _dog = watchdog(PATIENCE);
    let (s, r) = stuck();
    let (s2, r2) = unbounded();
    let log = RefCell::new(Vec::new());
    fn note<'a, T>(log: &RefCell<Vec<u32>>, n: u32, handle: &'a T) -> &'a T {
        log.borrow_mut().push(n);
        handle
    }
    select! {
        recv(note(&log, 0, &r)) -> _ => unreachable!(),
        send(note(&log, 1, &s), 0) -> _ => unreachable!(),
        closed(note(&log, 2, &s)) -> _ => unreachable!(),
        event({ log.borrow_mut().push(3); Fixed::<()>(None) }) -> () => unreachable!(),
        send(note(&log, 4, &s2), 7) -> sent => sent.unwrap(),
    }
    assert_eq!(r2.recv(), Ok(7));
    assert_eq!(*log.borrow(), [0, 1, 2, 3, 4]);
}

#[test]
fn a_message_is_evaluated_only_if_its_arm_is_chosen() {
    let _dog = watchdog(PATIENCE);
    let (s, r) = stuck();
    let evaluated = Cell::new(0);
    let message = || {
        evaluated.set(evaluated.get() + 1);
        1
    };
    select! {
        send(s, message()) -> _ => unreachable!(),
        recv(r) -> _ => unreachable!(),
        default => {}
    }
    assert_eq!(evaluated.get(), 0);
    let (s, r) = unbounded();
    select! {
        send(s, message()) -> sent => sent.unwrap(),
        recv(never::<()>()) -> _ => unreachable!(),
    }
    assert_eq!((evaluated.get(), r.recv()), (1, Ok(1)));
}

#[test]
fn a_message_that_was_not_sent_is_there_for_the_other_arms() {
    let _dog = watchdog(PATIENCE);
    let drops = DropCounter::new();
    let (s, _r) = bounded::<Counted<&str>>(0);
    let parcel = drops.track("parcel");
    select! {
        send(s, parcel) -> _ => unreachable!(),
        recv(never::<()>()) -> _ => drop(parcel),
        default(SOON) => assert_eq!(parcel.into_inner(), "parcel"),
    }
    drops.assert_none_live();

    let letter = drops.track("letter");
    select! {
        send(s, letter) -> _ => unreachable!(),
        recv(filled(1)) -> n => {
            assert_eq!(n, Ok(1));
            assert_eq!(letter.into_inner(), "letter");
        }
    }
    drops.assert_none_live();
}

#[test]
fn bodies_leave_loops_and_functions() {
    let _dog = watchdog(PATIENCE);
    fn sum(numbers: &Receiver<i64>) -> Result<i64, RecvError> {
        let mut sum = 0;
        loop {
            select! {
                recv(numbers) -> n => {
                    let n = n?;
                    if n == 0 {
                        continue;
                    }
                    if n < 0 {
                        return Ok(sum);
                    }
                    sum += n;
                }
            }
        }
    }
    let (s, r) = unbounded();
    for n in [1, 0, 2, -1, 5] {
        s.send(n).unwrap();
    }
    drop(s);
    assert_eq!(sum(&r), Ok(3));
    assert_eq!(sum(&r), Err(RecvError));

    let (s, r) = unbounded();
    let last = 'outer: loop {
        loop {
            select! {
                recv(r) -> n => if n == Ok(3) { break 'outer 3 } else { break },
                send(s, 3) -> _ => continue,
            }
        }
    };
    assert_eq!(last, 3);
}

#[test]
fn commas_are_optional_after_blocks_and_allowed_everywhere() {
    let _dog = watchdog(PATIENCE);
    let (s, r) = stuck();
    let text = select! {
        recv(r,) -> _ => { "recv" }
        send(s, 1,) -> _ => { "send" },
        closed(s,) -> _ => "closed",
        event(Fixed::<()>(None),) -> _ => { "event" }
        default(SOON,) => "default",
    };
    assert_eq!(text, "default");
    let n = select! { recv(r) -> _ => 1, default => { 2 } };
    assert_eq!(n, 2);
    let text = select! { default => { text }.trim_start_matches("de") };
    assert_eq!(text, "fault");
    let n = select! { recv(filled(7)) -> n => { n }.unwrap(), recv(r) -> n => { n }.unwrap() };
    assert_eq!(n, 7);
}

#[test]
fn the_limits_may_be_written_in_every_way() {
    let _dog = watchdog(PATIENCE);
    let (_s, r) = stuck();
    let start = Instant::now();
    assert_eq!(select! { recv(r) -> _ => 0, default => 1 }, 1);
    assert_eq!(select! { recv(r) -> _ => 0, default() => 2 }, 2);
    assert_eq!(select! { default => 3 }, 3);
    assert_eq!(select! { recv(r) -> _ => 0, default(SOON) => 4 }, 4);
    assert!(start.elapsed() >= SOON);
    let instant = Instant::now() + SOON;
    assert_eq!(select! { recv(r) -> _ => 0, deadline(instant) => 5 }, 5);
    assert!(Instant::now() >= instant);
    let some = Some(instant);
    assert_eq!(select! { recv(r) -> _ => 0, deadline(some) => 6 }, 6);
    // A limit may stand first, and `None` is no limit.
    let n = select! { deadline(None) => unreachable!(), recv(filled(7)) -> n => n };
    assert_eq!(n, Ok(7));
    let n = select! { default(Duration::MAX) => unreachable!(), recv(filled(8)) -> n => n };
    assert_eq!(n, Ok(8));
}

#[test]
fn results_have_the_types_of_the_operations() {
    let _dog = watchdog(PATIENCE);
    let (s, _) = unbounded::<u32>();
    let (_, r) = unbounded::<u32>();
    for _ in 0..16 {
        select! {
            recv(r) -> result => { let _: Result<u32, RecvError> = result; }
            send(s, 1) -> result => { let _: Result<(), SendError<u32>> = result; }
            event(Fixed(Some((1, "one")))) -> (n, text) => assert_eq!((n, text), (1, "one")),
        }
    }
}

#[test]
fn a_false_guard_disables_its_arm() {
    let _dog = watchdog(PATIENCE);
    let r = filled(1);
    let (s, _r) = unbounded();
    let on = false;
    select_biased! {
        recv(r) if on -> _ => unreachable!(),
        send(s, 1) if on && r.len() == 1 -> _ => unreachable!(),
        event(Fixed(Some(()))) if on || { on } -> _ => unreachable!(),
        closed(&filled(1)) if matches!(r.len(), n if n > 9) -> _ => unreachable!(),
        recv(r) if !on -> n => assert_eq!(n, Ok(1)),
    }
}

#[test]
fn a_guard_is_evaluated_before_its_handle_and_lets_go_of_what_it_borrowed() {
    let _dog = watchdog(PATIENCE);
    let queue = RefCell::new(vec![1]);
    let (s, r) = unbounded();
    select! {
        send(s, queue.borrow_mut().pop().unwrap()) if !queue.borrow().is_empty() -> sent => {
            sent.unwrap();
            assert!(queue.borrow().is_empty());
        }
        default => unreachable!(),
    }
    assert_eq!(r.recv(), Ok(1));

    let mut ready = Fixed(Some(5));
    select! {
        event(&mut ready) if ready.0.is_some() -> n => assert_eq!((n, ready.0), (5, None)),
    }
}

#[test]
fn none_disables_an_arm() {
    let _dog = watchdog(PATIENCE);
    let r = filled(1);
    let mut owned: Option<Receiver<u32>> = None;
    let borrowed: Option<&Receiver<u32>> = None;
    let sink: Option<Sender<u32>> = None;
    let borrowed_sink: Option<&Sender<u32>> = sink.as_ref();
    select! {
        recv(owned) -> _ => unreachable!(),
        recv(&owned) -> _ => unreachable!(),
        recv(owned.as_ref()) -> _ => unreachable!(),
        recv(borrowed) -> _ => unreachable!(),
        send(sink, 1) -> _ => unreachable!(),
        send(&sink, 1) -> _ => unreachable!(),
        send(borrowed_sink, 1) -> _ => unreachable!(),
        closed(sink) -> _ => unreachable!(),
        closed(borrowed) -> _ => unreachable!(),
        recv(Some(&r)) -> n => {
            assert_eq!(n, Ok(1));
            owned = Some(filled(2));
        }
    }
    select! { recv(owned) -> n => assert_eq!(n, Ok(2)) }
}

#[test]
fn without_any_enabled_arm_the_default_is_taken() {
    let _dog = watchdog(PATIENCE);
    let nothing: Option<Receiver<()>> = None;
    assert_eq!(select! { recv(nothing) -> _ => 0, default => 1 }, 1);
    assert_eq!(select! { recv(nothing) -> _ => 0, default(SOON) => 2 }, 2);
    assert_eq!(
        select! { recv(nothing) -> _ => 0, deadline(Instant::now()) => 3 },
        3
    );
}

#[test]
fn without_any_enabled_arm_and_default_it_panics() {
    let _dog = watchdog(PATIENCE);
    let nothing: Option<Receiver<()>> = None;
    let expected = "all arms of a `select!` without `default` are disabled";
    let message = panic_message(|| select! { recv(nothing) -> _ => {} });
    assert_eq!(message, expected);
    let message = panic_message(|| select! { recv(never::<()>()) if false -> _ => {} });
    assert_eq!(message, expected);
    let message = panic_message(|| select! { recv(nothing) -> _ => {}, deadline(None) => {} });
    assert_eq!(message, expected);
    let message = panic_message(|| {
        block_on(async {
            select_async! { recv(nothing) -> _ => {} }
        });
    });
    assert_eq!(message, expected);
}

#[test]
fn events_are_given_by_value_or_by_reference() {
    let _dog = watchdog(PATIENCE);
    let (_s, r) = stuck();
    let n = select! { event(Fixed(Some(1))) -> n => n, recv(r) -> _ => 0 };
    assert_eq!(n, 1);
    let mut borrowed = Fixed(Some(2));
    let n = select! { event(&mut borrowed) -> n => n, recv(r) -> _ => 0 };
    assert_eq!(n, 2);
    let mut pinned = pin!(Fixed(Some(3)));
    let n = select! { event(pinned.as_mut()) -> n => n, recv(r) -> _ => 0 };
    assert_eq!(n, 3);
    let boxed: Pin<Box<dyn Event<Output = u32>>> = Box::pin(Fixed(Some(4)));
    let n = select! { event(boxed) -> n => n, recv(r) -> _ => 0 };
    assert_eq!(n, 4);
}

#[test]
fn events_are_dropped_before_a_body_starts() {
    let _dog = watchdog(PATIENCE);
    let drops = DropCounter::new();
    let waiting = || Fixed::<Counted<()>>(None);
    let event = |on: bool| Tracked {
        inner: Fixed(on.then_some(1)),
        _counted: drops.track(()),
    };
    select! {
        event(event(false)) -> _ => unreachable!(),
        event(event(true)) -> n => assert_eq!((n, drops.live()), (1, 0)),
        event(waiting()) -> _ => unreachable!(),
    }
    select! {
        event(event(false)) -> _ => unreachable!(),
        event(event(false)) -> _ => unreachable!(),
        default => drops.assert_none_live(),
    }
    select! {
        event(event(false)) -> _ => unreachable!(),
        recv(filled(())) -> _ => drops.assert_none_live(),
    }
    block_on(async {
        select_async! {
            event(event(false)) -> _ => unreachable!(),
            recv(filled(())) -> _ => drops.assert_none_live(),
        }
    });
    assert_eq!(drops.created(), 6);
}

struct Tracked {
    inner: Fixed<u32>,
    _counted: Counted<()>,
}

impl Future for Tracked {
    type Output = u32;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<u32> {
        Pin::new(&mut self.inner).poll(cx)
    }
}

impl Event for Tracked {}

#[test]
fn a_body_may_use_what_its_select_borrowed() {
    let _dog = watchdog(PATIENCE);
    let mut r = filled(1);
    let (mut s, _r) = unbounded();
    let mut first = Fixed(Some(1));
    let mut second = Fixed::<u32>(None);
    select_biased! {
        event(&mut second) -> _ => unreachable!(),
        event(&mut first) -> _ => {
            first = Fixed(Some(2));
            second = Fixed(Some(3));
        }
        recv(r) -> _ => r = never(),
        default => r = never(),
    }
    select_biased! {
        event(&mut first) if false -> _ => unreachable!(),
        recv(r) -> n => {
            assert_eq!(n, Ok(1));
            r = never();
            s = unbounded().0;
        }
        send(s, 1) -> _ => {
            drop(s);
            return;
        }
        default(SOON) => {
            drop(r);
            return;
        }
    }
    assert_eq!((first.0, second.0), (Some(2), Some(3)));
    assert!(r.is_empty() && s.send(1).is_err());
}

#[test]
fn closed_takes_both_kinds_of_handles() {
    let _dog = watchdog(PATIENCE);
    let (s, r) = unbounded::<u32>();
    select! {
        closed(s) -> _ => unreachable!(),
        closed(&r) -> _ => unreachable!(),
        default => {}
    }
    drop(r);
    select! { closed(s) -> _ => {} }
    let (s, r) = unbounded::<u32>();
    let (shared, optional) = (Rc::new(r), Some(s));
    drop(optional);
    select! { closed(shared) -> _ => {} }
}

#[test]
fn handles_are_found_behind_whatever_dereferences_to_them() {
    let _dog = watchdog(PATIENCE);
    struct Inbox {
        receiver: Receiver<u32>,
    }
    impl Deref for Inbox {
        type Target = Receiver<u32>;

        fn deref(&self) -> &Receiver<u32> {
            &self.receiver
        }
    }
    let (s, r) = unbounded();
    let inbox = Inbox { receiver: r };
    let shared = Arc::new(s);
    let boxed = Box::new(inbox.receiver.clone());
    let mut by_mut = inbox.receiver.clone();
    let by_mut = &mut by_mut;
    for n in 0..5 {
        select! { send(shared, n) -> sent => sent.unwrap() }
        let got = select! {
            recv(inbox) -> n => n,
            recv(inbox.receiver) -> n => n,
            recv(&&&inbox.receiver) -> n => n,
            recv(boxed) -> n => n,
            recv(*boxed) -> n => n,
            recv(by_mut) -> n => n,
        };
        assert_eq!(got, Ok(n));
    }
    let lent: Option<&Sender<u32>> = iter::once(&*shared).next();
    select! { send(lent.unwrap_or(&unbounded().0), 9) -> sent => sent.unwrap() }
    let take = move || inbox.receiver;
    assert_eq!(select! { recv(take()) -> n => n }, Ok(9));
}

#[test]
fn temporaries_of_handles_live_until_the_body_has_ended() {
    let _dog = watchdog(PATIENCE);
    let drops = DropCounter::new();
    struct Lent(
        Receiver<u32>,
        #[expect(dead_code, reason = "it is dropped")] Counted<()>,
    );
    impl Deref for Lent {
        type Target = Receiver<u32>;

        fn deref(&self) -> &Receiver<u32> {
            &self.0
        }
    }
    let lend = || Lent(filled(1), drops.track(()));
    select! { recv(lend()) -> _ => drops.assert_live(1) }
    drops.assert_none_live();
    select! {
        recv(lend()) if false -> _ => unreachable!(),
        recv(&*lend()) -> _ => drops.assert_live(2),
    }
    drops.assert_none_live();
}

#[test]
fn names_of_the_caller_do_not_meet_those_of_the_macro() {
    let _dog = watchdog(PATIENCE);
    let (_arm0, list, len, index, operation, result, deadline, on) =
        (filled(0), filled(1), 2, 3, 4, 5, SOON, true);
    let sum = select_biased! {
        recv(list) if on -> result => result.unwrap() + len + index + operation,
        recv(_arm0) if on -> _ => result,
        default(deadline) => result,
    };
    assert_eq!(sum, 10);
    // A method of the caller's that is named like one of the macro's traits.
    trait Named {
        fn receiver(&self) -> &str {
            "the caller's"
        }
        fn sender(&self) -> &str {
            "the caller's"
        }
    }
    impl<T> Named for Receiver<T> {}
    select! { recv(_arm0) -> _ => assert_eq!(_arm0.receiver(), _arm0.sender()) }
}

#[test]
fn it_may_be_called_by_its_path_and_nested() {
    let _dog = watchdog(PATIENCE);
    use weftwork_csp as channel;
    let (s, r) = unbounded();
    s.send(1).unwrap();
    let n = channel::select! {
        recv(r) -> n => channel::select_biased! {
            recv(r) -> _ => 0,
            default => channel::select! { default => n.unwrap() + 1 },
        },
    };
    assert_eq!(n, 2);
}

#[test]
fn messages_need_not_be_send() {
    let _dog = watchdog(PATIENCE);
    let r = filled(Rc::new(1));
    let (s, r2) = unbounded();
    select! {
        recv(r) -> n => assert_eq!(*n.unwrap(), 1),
        default => unreachable!(),
    }
    let two = Rc::new(2);
    block_on(async {
        select_async! {
            recv(r) if false -> _ => unreachable!(),
            send(s, two) -> sent => sent.unwrap(),
        }
    });
    assert_eq!(*r2.recv().unwrap(), 2);
}

#[test]
fn there_may_be_48_arms() {
    let _dog = watchdog(PATIENCE);
    let (_s, r) = stuck();
    let last = filled(48);
    let n = select! {
        recv(r) -> n => n, recv(r) -> n => n, recv(r) -> n => n, recv(r) -> n => n,
        recv(r) -> n => n, recv(r) -> n => n, recv(r) -> n => n, recv(r) -> n => n,
        recv(r) -> n => n, recv(r) -> n => n, recv(r) -> n => n, recv(r) -> n => n,
        recv(r) -> n => n, recv(r) -> n => n, recv(r) -> n => n, recv(r) -> n => n,
        recv(r) -> n => n, recv(r) -> n => n, recv(r) -> n => n, recv(r) -> n => n,
        recv(r) -> n => n, recv(r) -> n => n, recv(r) -> n => n, recv(r) -> n => n,
        recv(r) -> n => n, recv(r) -> n => n, recv(r) -> n => n, recv(r) -> n => n,
        recv(r) -> n => n, recv(r) -> n => n, recv(r) -> n => n, recv(r) -> n => n,
        recv(r) -> n => n, recv(r) -> n => n, recv(r) -> n => n, recv(r) -> n => n,
        recv(r) -> n => n, recv(r) -> n => n, recv(r) -> n => n, recv(r) -> n => n,
        recv(r) -> n => n, recv(r) -> n => n, recv(r) -> n => n, recv(r) -> n => n,
        recv(r) -> n => n, recv(r) -> n => n, recv(r) -> n => n, recv(last) -> n => n,
        default(PATIENCE) => Err(RecvError),
    };
    assert_eq!(n, Ok(48));
}

#[test]
fn async_bodies_await_and_leave_the_function() {
    let _dog = watchdog(PATIENCE);
    async fn sum(numbers: Receiver<u32>) -> Result<u32, RecvError> {
        let mut sum = 0;
        loop {
            select_async! {
                recv(numbers) -> n => {
                    sum += twice(n?).await;
                    if sum > 5 {
                        break;
                    }
                }
                deadline(None) => continue,
            }
        }
        Ok(sum)
    }
    async fn twice(n: u32) -> u32 {
        2 * n
    }
    let (s, r) = unbounded();
    s.send(1).unwrap();
    s.send(2).unwrap();
    assert_eq!(block_on(sum(r.clone())), Ok(6));
    drop(s);
    assert_eq!(block_on(sum(r)), Err(RecvError));
}

#[test]
fn async_limits_are_kept() {
    let _dog = watchdog(PATIENCE);
    let (s, r) = stuck();
    block_on(async {
        assert_eq!(select_async! { recv(r) -> _ => 0, default => 1 }, 1);
        let start = Instant::now();
        let n = select_async! { recv(r) -> _ => 0, send(s, 1) -> _ => 0, default(SOON) => 2 };
        assert_eq!(n, 2);
        assert!(start.elapsed() >= SOON);
        let instant = Instant::now() + SOON;
        assert_eq!(
            select_async! { recv(r) -> _ => 0, deadline(instant) => 3 },
            3
        );
        assert!(Instant::now() >= instant);
        let n = select_async! { recv(filled(4)) -> n => n, default(Duration::MAX) => Ok(0) };
        assert_eq!(n, Ok(4));
        assert_eq!(select_async! { default(SOON) => 5 }, 5);
    });
}

#[test]
fn async_arms_take_guards_options_and_events() {
    let _dog = watchdog(PATIENCE);
    let (s, r) = stuck();
    let nothing: Option<Receiver<u32>> = None;
    let mut ready = Fixed(Some(1));
    let n = block_on(async {
        select_async_biased! {
            recv(nothing) -> _ => 0,
            recv(filled(9)) if false -> _ => 0,
            send(s, 1) -> _ => 0,
            closed(r) -> _ => 0,
            event(&mut ready) -> n => n,
        }
    });
    assert_eq!((n, ready.0), (1, None));
}

#[test]
fn an_async_select_is_send_if_its_arms_are() {
    let _dog = watchdog(PATIENCE);
    fn send<F: Future + Send>(future: F) -> F {
        future
    }
    let (s, r) = unbounded::<u32>();
    let (s0, r0) = stuck();
    let future = send(async {
        select_async! {
            recv(r) -> n => { std::future::ready(()).await; n.unwrap() }
            send(s0, 1) -> _ => { std::future::ready(()).await; 0 }
            closed(r0) -> _ => { std::future::ready(()).await; 0 }
            event(Fixed(None)) -> n => { std::future::ready(()).await; n }
            default(PATIENCE) => { std::future::ready(()).await; 0 }
        }
    });
    s.send(5).unwrap();
    assert_eq!(block_on(future), 5);
}

#[test]
fn a_dropped_async_select_has_done_nothing() {
    let _dog = watchdog(PATIENCE);
    let (s, r) = bounded(0);
    let evaluated = Cell::new(false);
    {
        let mut waiting = pin!(async {
            select_async! {
                send(s, evaluated.set(true)) -> _ => unreachable!(),
                recv(never::<()>()) -> _ => unreachable!(),
            }
        });
        let mut context = Context::from_waker(std::task::Waker::noop());
        assert!(waiting.as_mut().poll(&mut context).is_pending());
    }
    assert!(r.try_recv().is_err());
    assert!(!evaluated.get());
}

#[test]
fn the_whole_has_the_type_of_its_bodies() {
    let _dog = watchdog(PATIENCE);
    fn tail() -> Result<Box<dyn fmt::Debug>, RecvError> {
        let r = filled("text");
        select! {
            recv(r) -> text => Ok(Box::new(text?)),
            recv(never::<()>()) -> _ => panic!("never"),
            default => Err(RecvError),
        }
    }
    assert_eq!(format!("{:?}", tail().unwrap()), "\"text\"");
}
