//! Whom a selection may take for a partner, and what becomes of partners that were set aside.

#![cfg(not(weftwork_loom))]

use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;
use weftwork_csp::{Select, TrySendError, bounded, select_async, unbounded};
use weftwork_testkit::watchdog;

#[test]
fn a_select_that_was_chosen_for_another_arm_is_no_receiver() {
    let (to_first, first) = bounded::<i32>(0);
    let (to_second, second) = unbounded::<i32>();
    let mut context = Context::from_waker(Waker::noop());
    let mut select = pin!(async {
        select_async! {
            recv(first) -> n => n,
            recv(second) -> n => n,
        }
    });
    assert!(select.as_mut().poll(&mut context).is_pending());
    to_second.send(2).unwrap();
    // It has been told of the second arm, and has not looked yet.
    let mut other = Select::new();
    other.send(&to_first);
    assert!(other.try_select().is_err());
    assert!(to_first.try_reserve().is_err());
    assert_eq!(to_first.try_send(1), Err(TrySendError::Full(1)));
    assert!(select.as_mut().poll(&mut context).is_ready());
    assert!(first.is_empty());
}

#[test]
fn a_receiver_is_ready_when_a_sender_waits_behind_a_permit() {
    let _dog = watchdog(Duration::from_secs(60));
    let (s, r) = bounded(1);
    let permit = s.reserve().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| s.send(1).unwrap());
        let mut select = Select::new();
        let index = select.recv(&r);
        assert_eq!(select.ready(), index);
        assert_eq!(r.recv(), Ok(1));
    });
    permit.send(2).unwrap();
    assert_eq!(r.recv(), Ok(2));
}

#[test]
fn a_message_that_comes_back_is_received_before_one_that_is_promised() {
    let _dog = watchdog(Duration::from_secs(60));
    let (s, r) = bounded(0);
    let mut context = Context::from_waker(Waker::noop());
    let mut dropped = Box::pin(r.recv_async());
    let mut kept = Box::pin(r.recv_async());
    assert!(kept.as_mut().poll(&mut context).is_pending());
    // Sets the first that waits aside.
    let permit = s.try_reserve().unwrap();
    assert!(dropped.as_mut().poll(&mut context).is_pending());
    s.try_send(1).unwrap();
    drop(dropped);
    assert_eq!(weftwork_core::block_on(kept), Ok(1));
    permit.send(2).unwrap();
    assert_eq!(r.recv(), Ok(2));
}
