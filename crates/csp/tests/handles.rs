//! The handles and errors as types: identity, clones, formats, conversions, bounds, iterators.

mod support;

use weftwork_csp as channel;

use channel::{
    Iter, ReadyTimeoutError, Receiver, RecvError, RecvTimeoutError, Select, SelectTimeoutError,
    SelectedOperation, SendError, SendTimeoutError, Sender, TryIter, TryReadyError, TryRecvError,
    TrySelectError, TrySendError, after, at, bounded, never, tick, unbounded,
};
use std::cell::Cell;
use std::error::Error;
use std::fmt::{Debug, Display};
use std::iter::FusedIterator;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::thread;
use std::time::{Duration, Instant};
use support::{CAPACITIES, for_each_capacity, open, watched};

#[test]
fn same_channel_tells_clones_from_strangers() {
    for capacity in CAPACITIES {
        let (s, r) = open::<u8>(capacity);
        for other in CAPACITIES {
            let (other_s, other_r) = open::<u8>(other);
            assert!(!s.same_channel(&other_s) && !other_s.same_channel(&s));
            assert!(!r.same_channel(&other_r) && !other_r.same_channel(&r));
        }
        assert!(s.same_channel(&s) && s.same_channel(&s.clone()));
        assert!(r.same_channel(&r) && r.clone().same_channel(&r));
    }
}

#[test]
fn same_channel_of_timers_is_their_common_origin() {
    let now = Instant::now();
    let hour = Duration::from_secs(3_600);
    let timers = [after(hour), after(hour), at(now), at(now), tick(hour)];
    for (i, timer) in timers.iter().enumerate() {
        for (j, other) in timers.iter().enumerate() {
            assert_eq!(timer.same_channel(&other.clone()), i == j);
        }
        assert!(!timer.same_channel(&never()) && !timer.same_channel(&unbounded().1));
    }
    assert!(never::<u8>().same_channel(&never()), "one is as another");
}

#[test]
fn clones_are_handles_of_one_stream_of_messages() {
    for_each_capacity(|capacity| {
        if capacity == Some(0) {
            return;
        }
        let (s1, r1) = open(capacity);
        let (s2, r2) = (s1.clone(), r1.clone());
        s1.send(1).unwrap();
        assert_eq!(r2.recv(), Ok(1));
        s2.send(2).unwrap();
        assert_eq!((r1.len(), r2.len(), s1.len()), (1, 1, 1));
        assert_eq!(r1.recv(), Ok(2));
    });
}

#[test]
fn handles_do_not_need_messages_that_can_be_cloned_or_shown() {
    struct Plain;
    let (s, r) = bounded::<Plain>(2);
    let (s2, r2) = (s.clone(), r.clone());
    assert!(s2.send(Plain).is_ok());
    assert!(matches!(r2.recv(), Ok(Plain)));
    drop(r2);
    drop(r);
    let error = s.send(Plain).expect_err("nobody receives");
    assert!(format!("{error:?}").contains("SendError(..)"));
}

#[test]
fn debug_of_a_handle_tells_its_kind_and_keeps_its_messages_to_itself() {
    let (s, r) = unbounded();
    s.send("secret").unwrap();
    let shown = [
        format!("{s:?}"),
        format!("{r:?}"),
        format!("{:?}", r.iter()),
        format!("{:?}", r.try_iter()),
        format!("{:?}", Select::new()),
        format!("{:?}", r.clone().into_iter()),
    ];
    let kinds = [
        "Sender", "Receiver", "Iter", "TryIter", "Select", "IntoIter",
    ];
    for (shown, kind) in shown.iter().zip(kinds) {
        assert!(shown.starts_with(kind), "{shown}");
        assert!(!shown.contains("secret"), "{shown}");
    }
}

#[test]
fn errors_say_what_happened() {
    fn says(error: impl Error, debug: &str, display: &str) {
        let shown = format!("{error:?}");
        assert!(shown.contains(debug), "{shown} for {debug}");
        assert_eq!(error.to_string(), display);
    }
    let disconnected = "sending on a disconnected channel";
    says(SendError(1), "SendError(..)", disconnected);
    says(
        TrySendError::Full(1),
        "Full(..)",
        "sending on a full channel",
    );
    says(
        TrySendError::Disconnected(1),
        "Disconnected(..)",
        disconnected,
    );
    says(
        SendTimeoutError::Timeout(1),
        "Timeout(..)",
        "timed out waiting on send operation",
    );
    says(
        SendTimeoutError::Disconnected(1),
        "Disconnected(..)",
        disconnected,
    );
    let empty_and_gone = "receiving on an empty and disconnected channel";
    says(RecvError, "RecvError", empty_and_gone);
    says(
        TryRecvError::Empty,
        "Empty",
        "receiving on an empty channel",
    );
    says(TryRecvError::Disconnected, "Disconnected", empty_and_gone);
    says(
        RecvTimeoutError::Timeout,
        "Timeout",
        "timed out waiting on receive operation",
    );
    says(
        RecvTimeoutError::Disconnected,
        "Disconnected",
        "channel is empty and disconnected",
    );
    says(
        TrySelectError,
        "TrySelectError",
        "all operations in select would block",
    );
    says(
        SelectTimeoutError,
        "SelectTimeoutError",
        "timed out waiting on select",
    );
}

#[test]
fn errors_of_readiness_are_shown_by_their_names() {
    assert_eq!(format!("{TryReadyError:?}"), "TryReadyError");
    assert_eq!(format!("{ReadyTimeoutError:?}"), "ReadyTimeoutError");
}

#[test]
fn errors_of_sending_give_the_message_back_and_tell_their_cause() {
    let message = || Box::new(5);
    assert_eq!(SendError(message()).into_inner(), message());
    assert_eq!(SendError(message()).0, message());

    let full = TrySendError::Full(message());
    assert_eq!((full.is_full(), full.is_disconnected()), (true, false));
    assert_eq!(full.into_inner(), message());
    let gone = TrySendError::Disconnected(message());
    assert_eq!((gone.is_full(), gone.is_disconnected()), (false, true));
    assert_eq!(gone.into_inner(), message());

    let late = SendTimeoutError::Timeout(message());
    assert_eq!((late.is_timeout(), late.is_disconnected()), (true, false));
    assert_eq!(late.into_inner(), message());
    let gone = SendTimeoutError::Disconnected(message());
    assert_eq!((gone.is_timeout(), gone.is_disconnected()), (false, true));
    assert_eq!(gone.into_inner(), message());
}

#[test]
fn errors_of_receiving_tell_their_cause() {
    assert!(TryRecvError::Empty.is_empty() && !TryRecvError::Empty.is_disconnected());
    let gone = TryRecvError::Disconnected;
    assert!(gone.is_disconnected() && !gone.is_empty());
    assert!(RecvTimeoutError::Timeout.is_timeout());
    assert!(!RecvTimeoutError::Timeout.is_disconnected());
    let gone = RecvTimeoutError::Disconnected;
    assert!(gone.is_disconnected() && !gone.is_timeout());
}

#[test]
fn the_error_of_a_plain_operation_converts_into_that_of_its_other_forms() {
    assert_eq!(
        TrySendError::from(SendError(1)),
        TrySendError::Disconnected(1)
    );
    assert_eq!(
        SendTimeoutError::from(SendError(1)),
        SendTimeoutError::Disconnected(1)
    );
    assert_eq!(TryRecvError::from(RecvError), TryRecvError::Disconnected);
    assert_eq!(
        RecvTimeoutError::from(RecvError),
        RecvTimeoutError::Disconnected
    );
    fn forwards(s: &Sender<u8>, n: u8) -> Result<(), TrySendError<u8>> {
        Ok(s.send(n)?)
    }
    let (s, r) = unbounded();
    drop(r);
    assert_eq!(forwards(&s, 3), Err(TrySendError::Disconnected(3)));
}

#[test]
fn errors_are_values_that_compare_and_copy_if_their_message_does() {
    fn value<T: PartialEq + Eq + Clone + Copy + Debug>(error: T) {
        let copy = error;
        assert!(copy == error);
    }
    value(SendError(1));
    value(TrySendError::Full(1));
    value(SendTimeoutError::Timeout(1));
    value(RecvError);
    value(TryRecvError::Empty);
    value(RecvTimeoutError::Timeout);
    value(TrySelectError);
    value(SelectTimeoutError);
    value(TryReadyError);
    value(ReadyTimeoutError);
    assert_ne!(TrySendError::Full(1), TrySendError::Disconnected(1));
    assert_ne!(SendError(1), SendError(2));
}

#[test]
fn errors_box_as_errors_that_cross_threads() {
    fn boxes(error: impl Error + Send + Sync + 'static) -> Box<dyn Error + Send + Sync> {
        Box::new(error)
    }
    let (s, r) = bounded::<String>(0);
    drop(r);
    let error = boxes(s.send(String::from("a")).unwrap_err());
    assert!(error.source().is_none());
    boxes(s.try_send(String::new()).unwrap_err());
    boxes(s.send_timeout(String::new(), Duration::ZERO).unwrap_err());
}

fn assert_send_sync<T: Send + Sync>() {}
fn assert_unwind_safe<T: UnwindSafe + RefUnwindSafe>() {}

#[test]
fn handles_cross_threads_if_their_messages_may_be_sent_shared_or_not() {
    // `Cell` can be sent, not shared: whoever receives it has it alone.
    assert_send_sync::<Sender<Cell<u8>>>();
    assert_send_sync::<Receiver<Cell<u8>>>();
    assert_send_sync::<Iter<'_, Cell<u8>>>();
    assert_send_sync::<TryIter<'_, Cell<u8>>>();
    assert_send_sync::<Select<'_>>();
    assert_send_sync::<TryRecvError>();
}

#[test]
fn handles_do_not_cross_threads_if_their_messages_may_not() {
    // Resolves to the constant of the trait only if the inherent one does not apply.
    trait Otherwise {
        const SEND: bool = false;
        const SYNC: bool = false;
    }
    impl<T: ?Sized> Otherwise for Of<T> {}
    struct Of<T: ?Sized>(std::marker::PhantomData<T>);
    #[expect(dead_code, reason = "the case that must not apply")]
    impl<T: ?Sized + Send + Sync> Of<T> {
        const SEND: bool = true;
        const SYNC: bool = true;
    }
    type Local = std::rc::Rc<u8>;
    const { assert!(!Of::<Sender<Local>>::SEND && !Of::<Sender<Local>>::SYNC) };
    const { assert!(!Of::<Receiver<Local>>::SEND && !Of::<Receiver<Local>>::SYNC) };
}

#[test]
fn handles_are_unwind_safe_whatever_they_carry() {
    assert_unwind_safe::<Sender<Cell<u8>>>();
    assert_unwind_safe::<Receiver<Cell<u8>>>();
    assert_unwind_safe::<Sender<&mut u8>>();
    assert_unwind_safe::<Receiver<&mut u8>>();
}

#[test]
fn a_selected_operation_is_bound_to_its_select() {
    fn index(operation: &SelectedOperation<'_>) -> usize {
        operation.index()
    }
    let (s, r) = unbounded();
    s.send(1).unwrap();
    let mut select = Select::default();
    select.recv(&r);
    let operation = select.select();
    assert_eq!(index(&operation), 0);
    assert!(format!("{operation:?}").starts_with("SelectedOperation"));
    assert_eq!(operation.recv(&r), Ok(1));
}

#[test]
fn iter_waits_for_messages_until_the_senders_are_gone() {
    for_each_capacity(|capacity| {
        let (s, r) = open(capacity);
        thread::scope(|scope| {
            scope.spawn(move || (0..100).for_each(|n| s.send(n).unwrap()));
            assert!(r.iter().eq(0..100));
        });
        let mut iter = r.iter();
        assert_eq!((iter.next(), iter.next()), (None, None));
    });
}

#[test]
fn an_iteration_that_is_left_takes_no_more_than_it_gave() {
    watched(|| {
        let (s, r) = unbounded();
        (0..10).for_each(|n| s.send(n).unwrap());
        for n in &r {
            if n == 3 {
                break;
            }
        }
        assert_eq!(r.iter().next(), Some(4));
        assert!(r.iter().take(2).eq([5, 6]));
        assert_eq!(r.len(), 3);
    });
}

#[test]
fn try_iter_takes_what_is_there_and_does_not_wait() {
    let (s, r) = bounded(5);
    assert_eq!(r.try_iter().next(), None);
    (0..5).for_each(|n| s.send(n).unwrap());
    let mut iter = r.try_iter();
    assert!(iter.by_ref().eq(0..5));
    assert_eq!(iter.next(), None);
    s.send(5).unwrap();
    assert_eq!(iter.next(), Some(5), "it goes on if more has come");
}

#[test]
fn into_iter_takes_the_receiver_with_it() {
    watched(|| {
        let (s, r) = unbounded();
        (0..5).for_each(|n| s.send(n).unwrap());
        let mut iter = r.into_iter();
        assert_eq!(iter.next(), Some(0));
        drop(iter);
        assert_eq!(s.send(9), Err(SendError(9)), "the only receiver is gone");

        let (s, r) = unbounded();
        (0..5).for_each(|n| s.send(n).unwrap());
        drop(s);
        let mut sum = 0;
        for n in r {
            sum += n;
        }
        assert_eq!(sum, 10);
    });
}

#[test]
fn the_iterators_that_wait_are_fused() {
    fn fused<T: Debug>(_: impl FusedIterator<Item = T>) {}
    let (s, r) = unbounded::<u8>();
    drop(s);
    fused(r.iter());
    fused((&r).into_iter());
    fused(r.into_iter());
}

#[test]
fn an_iteration_may_nest_in_another_of_the_same_channel() {
    watched(|| {
        let (s, r) = unbounded();
        (0..6).for_each(|n| s.send(n).unwrap());
        drop(s);
        let mut pairs = Vec::new();
        for a in &r {
            for b in r.iter().take(1) {
                pairs.push((a, b));
            }
        }
        assert_eq!(pairs, [(0, 1), (2, 3), (4, 5)]);
    });
}

#[test]
fn messages_may_borrow_from_what_outlives_the_channel() {
    let text = String::from("a b c");
    let (s, r) = bounded(3);
    text.split(' ').for_each(|word| s.send(word).unwrap());
    drop(s);
    assert!(r.iter().eq(["a", "b", "c"]));
    fn shows(error: &dyn Display) -> String {
        error.to_string()
    }
    drop(r);
    let (s, _) = bounded(1);
    assert!(shows(&s.send(text.as_str()).unwrap_err()).contains("disconnected"));
}
