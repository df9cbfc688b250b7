//! Queues, channels, heaps and places against their sequential models, operation by operation, with
//! transactions that are rolled back in between.

#![cfg(not(weftwork_loom))]

mod sequential;

use proptest::prelude::*;
use sequential::{compare, transactions};
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;
use weftwork_stm::{Stm, TBQueue, TChan, TMVar, TPriorityQueue, TQueue, Tx, atomically, snapshot};
use weftwork_testkit::watchdog;

const LIMIT: Duration = Duration::from_secs(120);

#[derive(Debug, Clone)]
enum Op {
    Push(u8),
    PushFront(u8),
    Pop,
    TryPop,
    Peek,
    TryPeek,
    Drain,
    Look,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => any::<u8>().prop_map(Op::Push),
        1 => any::<u8>().prop_map(Op::PushFront),
        2 => Just(Op::Pop),
        2 => Just(Op::TryPop),
        1 => Just(Op::Peek),
        1 => Just(Op::TryPeek),
        1 => Just(Op::Drain),
        1 => Just(Op::Look),
    ]
}

/// What an operation gives. `None` where a value was asked for, or the operation would wait.
#[derive(Debug, PartialEq)]
enum Given {
    One(Option<u8>),
    Done(bool),
    All(Vec<u8>),
    Size(usize, bool, bool),
}
use Given::{All, Done, One, Size};

/// The value that `branch` gives, or that it would wait.
fn or_waits(tx: &Tx, branch: impl FnOnce(&Tx) -> Stm<u8>) -> Stm<Given> {
    Ok(One(tx.optionally(branch)?))
}

fn model(queue: &mut VecDeque<u8>, capacity: usize, op: &Op) -> Given {
    let has_room = queue.len() < capacity;
    match *op {
        Op::Push(value) => {
            if has_room {
                queue.push_back(value);
            }
            Done(has_room)
        }
        Op::PushFront(value) => {
            if has_room {
                queue.push_front(value);
            }
            Done(has_room)
        }
        Op::Pop | Op::TryPop => One(queue.pop_front()),
        Op::Peek | Op::TryPeek => One(queue.front().copied()),
        Op::Drain => All(queue.drain(..).collect()),
        Op::Look => Size(queue.len(), queue.is_empty(), !has_room),
    }
}

proptest! {
    #[test]
    fn a_queue_is_first_in_first_out(transactions in transactions(op())) {
        let _dog = watchdog(LIMIT);
        let (queue, mut expected) = (TQueue::new(), VecDeque::new());
        compare(
            &mut expected,
            &transactions,
            |tx, op| match *op {
                Op::Push(value) => queue.push(tx, value).map(|()| Done(true)),
                Op::PushFront(value) => queue.push_front(tx, value).map(|()| Done(true)),
                Op::Pop => or_waits(tx, |tx| queue.pop(tx)),
                Op::TryPop => queue.try_pop(tx).map(One),
                Op::Peek => or_waits(tx, |tx| queue.peek(tx).copied()),
                Op::TryPeek => Ok(One(queue.try_peek(tx)?.copied())),
                Op::Drain => queue.drain(tx).map(All),
                Op::Look => Ok(Size(queue.len(tx)?, queue.is_empty(tx)?, false)),
            },
            |queue, op| model(queue, usize::MAX, op),
        );
        let seen: Vec<u8> = snapshot(|s| queue.view(s).copied().collect());
        prop_assert_eq!(seen, Vec::from(expected));
    }

    #[test]
    fn a_bounded_queue_is_first_in_first_out_and_holds_no_more_than_its_capacity(
        transactions in transactions(op()),
        capacity in 0..5_usize,
    ) {
        let _dog = watchdog(LIMIT);
        let (queue, mut expected) = (TBQueue::new(capacity), VecDeque::new());
        compare(
            &mut expected,
            &transactions,
            |tx, op| match *op {
                // Both ways to push, in turn.
                Op::Push(value) if value % 2 == 0 => {
                    let refused = queue.try_push(tx, value)?;
                    Ok(Done(refused.map_err(|full| assert_eq!(full.0, value)).is_ok()))
                }
                Op::Push(value) => Ok(Done(tx.optionally(|tx| queue.push(tx, value))?.is_some())),
                Op::PushFront(value) => {
                    Ok(Done(tx.optionally(|tx| queue.push_front(tx, value))?.is_some()))
                }
                Op::Pop => or_waits(tx, |tx| queue.pop(tx)),
                Op::TryPop => queue.try_pop(tx).map(One),
                Op::Peek => or_waits(tx, |tx| queue.peek(tx).copied()),
                Op::TryPeek => Ok(One(queue.try_peek(tx)?.copied())),
                Op::Drain => queue.drain(tx).map(All),
                Op::Look => Ok(Size(queue.len(tx)?, queue.is_empty(tx)?, queue.is_full(tx)?)),
            },
            |queue, op| model(queue, capacity, op),
        );
        let seen: Vec<u8> = snapshot(|s| queue.view(s).copied().collect());
        prop_assert_eq!(seen, Vec::from(expected));
    }

    #[test]
    fn a_priority_queue_gives_the_greatest_first(transactions in transactions(op())) {
        let _dog = watchdog(LIMIT);
        let (queue, mut expected) = (TPriorityQueue::new(), BinaryHeap::new());
        compare(
            &mut expected,
            &transactions,
            |tx, op| match *op {
                Op::Push(value) | Op::PushFront(value) => {
                    queue.push(tx, value).map(|()| Done(true))
                }
                Op::Pop => or_waits(tx, |tx| queue.pop(tx)),
                Op::TryPop => queue.try_pop(tx).map(One),
                Op::Peek => or_waits(tx, |tx| queue.peek(tx).copied()),
                Op::TryPeek => Ok(One(queue.try_peek(tx)?.copied())),
                Op::Drain => queue.drain(tx).map(All),
                Op::Look => Ok(Size(queue.len(tx)?, queue.is_empty(tx)?, false)),
            },
            |heap: &mut BinaryHeap<u8>, op| match *op {
                Op::Push(value) | Op::PushFront(value) => {
                    heap.push(value);
                    Done(true)
                }
                Op::Pop | Op::TryPop => One(heap.pop()),
                Op::Peek | Op::TryPeek => One(heap.peek().copied()),
                Op::Drain => All(std::mem::take(heap).into_sorted_vec().into_iter().rev().collect()),
                Op::Look => Size(heap.len(), heap.is_empty(), false),
            },
        );
        let mut seen: Vec<u8> = snapshot(|s| queue.view(s).copied().collect());
        seen.sort_unstable();
        prop_assert_eq!(seen, expected.into_sorted_vec());
    }

    #[test]
    fn a_place_holds_one_value_or_none(transactions in transactions(op())) {
        let _dog = watchdog(LIMIT);
        let (place, mut expected) = (TMVar::empty(), None);
        compare(
            &mut expected,
            &transactions,
            |tx, op| match *op {
                Op::Push(value) if value % 2 == 0 => {
                    let refused = place.try_put(tx, value)?;
                    Ok(Done(refused.map_err(|full| assert_eq!(full.0, value)).is_ok()))
                }
                Op::Push(value) => Ok(Done(tx.optionally(|tx| place.put(tx, value))?.is_some())),
                Op::PushFront(value) if value % 2 == 0 => {
                    place.write(tx, value).map(|()| One(None))
                }
                Op::PushFront(value) => or_waits(tx, |tx| place.swap(tx, value)),
                Op::Pop => or_waits(tx, |tx| place.take(tx)),
                Op::TryPop | Op::Drain => place.try_take(tx).map(One),
                Op::Peek => or_waits(tx, |tx| place.read(tx).copied()),
                Op::TryPeek => Ok(One(place.try_read(tx)?.copied())),
                Op::Look => Ok(Done(place.is_empty(tx)?)),
            },
            |place: &mut Option<u8>, op| match *op {
                Op::Push(value) => {
                    let is_free = place.is_none();
                    place.get_or_insert(value);
                    Done(is_free)
                }
                Op::PushFront(value) if value % 2 == 0 => {
                    *place = Some(value);
                    One(None)
                }
                Op::PushFront(value) => One(place.as_mut().map(|old| std::mem::replace(old, value))),
                Op::Pop | Op::TryPop | Op::Drain => One(place.take()),
                Op::Peek | Op::TryPeek => One(*place),
                Op::Look => Done(place.is_none()),
            },
        );
        prop_assert_eq!(place.load(), expected);
        prop_assert_eq!(snapshot(|s| place.view(s).copied()), expected);
    }
}

/// What is done with which of several channels of one family.
#[derive(Debug, Clone)]
enum ChannelOp {
    On(usize, Op),
    Duplicate(usize),
    Fork(usize),
}

fn channel_op() -> impl Strategy<Value = ChannelOp> {
    prop_oneof![
        10 => (any::<usize>(), op()).prop_map(|(at, op)| ChannelOp::On(at, op)),
        1 => any::<usize>().prop_map(ChannelOp::Duplicate),
        1 => any::<usize>().prop_map(ChannelOp::Fork),
    ]
}

proptest! {
    #[test]
    fn each_channel_of_a_family_sees_all_that_is_pushed_since_it_was_made(
        ops in proptest::collection::vec(channel_op(), 1..80),
    ) {
        let _dog = watchdog(LIMIT);
        let mut channels = vec![TChan::new()];
        let mut expected = vec![VecDeque::new()];
        for op in ops {
            match op {
                ChannelOp::Duplicate(at) => {
                    let at = at % channels.len();
                    let channel = atomically(|tx| channels[at].duplicate(tx));
                    channels.push(channel);
                    expected.push(VecDeque::new());
                }
                ChannelOp::Fork(at) => {
                    let at = at % channels.len();
                    let channel = atomically(|tx| channels[at].fork(tx));
                    channels.push(channel);
                    expected.push(expected[at].clone());
                }
                ChannelOp::On(at, op) => {
                    let at = at % channels.len();
                    let channel = &channels[at];
                    let given = atomically(|tx| match op {
                        Op::Push(value) => channel.push(tx, value).map(|()| Done(true)),
                        Op::PushFront(value) => channel.push_front(tx, value).map(|()| Done(true)),
                        Op::Pop => or_waits(tx, |tx| channel.pop(tx)),
                        Op::TryPop => channel.try_pop(tx).map(One),
                        Op::Peek => or_waits(tx, |tx| channel.peek(tx).copied()),
                        Op::TryPeek => Ok(One(channel.try_peek(tx)?.copied())),
                        Op::Drain | Op::Look => Ok(Done(channel.is_empty(tx)?)),
                    });
                    let model_given = match op {
                        Op::Push(value) => {
                            expected.iter_mut().for_each(|queue| queue.push_back(value));
                            Done(true)
                        }
                        Op::Drain | Op::Look => Done(expected[at].is_empty()),
                        op => model(&mut expected[at], usize::MAX, &op),
                    };
                    prop_assert_eq!(given, model_given);
                }
            }
        }
        for (channel, expected) in channels.iter().zip(expected) {
            let seen: VecDeque<u8> = snapshot(|s| channel.view(s).copied().collect());
            prop_assert_eq!(seen, expected);
        }
    }
}
