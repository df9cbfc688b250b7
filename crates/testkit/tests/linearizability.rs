//! The checker against known histories, against brute force, and on what threads really did.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;
use weftwork_testkit::{History, Model, Operation, Recorder, check, iters};

/// A queue whose `Pop` waits on an empty queue if it is `blocking`, and answers `None` if not.
#[derive(Debug)]
struct Queue {
    blocking: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Op {
    Push(u8),
    Pop,
}

type Ret = Option<u8>;

impl Model for Queue {
    type State = VecDeque<u8>;
    type Op = Op;
    type Ret = Ret;

    fn initial(&self) -> Self::State {
        VecDeque::new()
    }

    fn step(&self, state: &Self::State, op: &Op, ret: Option<&Ret>) -> Option<Self::State> {
        let mut after = state.clone();
        let answer = match op {
            Op::Push(value) => {
                after.push_back(*value);
                None
            }
            Op::Pop => match after.pop_front() {
                None if self.blocking => return None,
                front => front,
            },
        };
        ret.is_none_or(|r| *r == answer).then_some(after)
    }
}

const NON_BLOCKING: Queue = Queue { blocking: false };
const BLOCKING: Queue = Queue { blocking: true };

fn done(op: Op, ret: Ret, called: u64, returned: u64) -> Operation<Op, Ret> {
    Operation {
        log: 0,
        op,
        called,
        returned: Some((ret, returned)),
    }
}

fn open(op: Op, called: u64) -> Operation<Op, Ret> {
    Operation {
        log: 0,
        op,
        called,
        returned: None,
    }
}

#[test]
fn an_empty_history_is_linearizable() {
    assert_eq!(check(&NON_BLOCKING, &vec![]).unwrap(), []);
}

#[test]
fn overlapping_operations_may_take_effect_in_either_order() {
    let history = vec![
        done(Op::Push(1), None, 0, 5),
        done(Op::Push(2), None, 1, 4),
        done(Op::Pop, Some(2), 6, 7),
        done(Op::Pop, Some(1), 8, 9),
    ];
    assert_eq!(check(&NON_BLOCKING, &history).unwrap(), [1, 0, 2, 3]);
}

#[test]
fn an_operation_that_returned_first_takes_effect_first() {
    let history = vec![
        done(Op::Push(1), None, 0, 1),
        done(Op::Push(2), None, 2, 3),
        done(Op::Pop, Some(2), 4, 5),
    ];
    let error = check(&NON_BLOCKING, &history).unwrap_err();
    assert_eq!(error.placed(), 2);
    let report = error.to_string();
    assert!(
        report.contains("log 0: Push(1) -> None during 0..1"),
        "{report}"
    );
    assert!(
        report.ends_with("come next:\n    log 0: Pop -> Some(2) during 4..5\n"),
        "{report}"
    );
}

#[test]
fn a_value_out_of_nowhere_and_a_value_twice_are_refused() {
    check(&NON_BLOCKING, &vec![done(Op::Pop, Some(1), 0, 1)]).unwrap_err();
    let twice = vec![
        done(Op::Push(1), None, 0, 1),
        done(Op::Pop, Some(1), 2, 5),
        done(Op::Pop, Some(1), 3, 4),
    ];
    check(&NON_BLOCKING, &twice).unwrap_err();
}

#[test]
fn a_stale_empty_answer_is_refused() {
    let history = vec![done(Op::Push(1), None, 0, 1), done(Op::Pop, None, 2, 3)];
    check(&NON_BLOCKING, &history).unwrap_err();
}

#[test]
fn an_operation_without_an_answer_may_have_taken_effect_or_not() {
    let unanswered = open(Op::Push(1), 0);
    let seen = vec![unanswered.clone(), done(Op::Pop, Some(1), 1, 2)];
    assert_eq!(check(&NON_BLOCKING, &seen).unwrap(), [0, 1]);
    let unseen = vec![unanswered.clone(), done(Op::Pop, None, 1, 2)];
    assert_eq!(check(&NON_BLOCKING, &unseen).unwrap(), [1]);
    // But it takes effect once, and not before its call.
    let twice = vec![
        unanswered,
        done(Op::Pop, Some(1), 1, 2),
        done(Op::Pop, Some(1), 3, 4),
    ];
    check(&NON_BLOCKING, &twice).unwrap_err();
    let early = vec![done(Op::Pop, Some(1), 0, 1), open(Op::Push(1), 2)];
    check(&NON_BLOCKING, &early).unwrap_err();
}

#[test]
fn an_operation_that_would_block_waits_for_the_one_that_lets_it_go() {
    let history = vec![done(Op::Pop, Some(1), 0, 3), done(Op::Push(1), None, 1, 2)];
    assert_eq!(check(&BLOCKING, &history).unwrap(), [1, 0]);
    check(&BLOCKING, &vec![open(Op::Pop, 0)]).unwrap();
    check(&BLOCKING, &vec![done(Op::Pop, None, 0, 1)]).unwrap_err();
}

#[test]
#[should_panic(expected = "returned before it was called")]
fn a_history_that_runs_backwards_is_the_callers_mistake() {
    let _ = check(&NON_BLOCKING, &vec![done(Op::Pop, None, 2, 1)]);
}

/// Tries every order of every choice of the operations, in the words of the definition.
fn brute_force(model: &Queue, history: &History<Op, Ret>) -> bool {
    fn extend(
        model: &Queue,
        history: &History<Op, Ret>,
        row: &mut Vec<usize>,
        state: &VecDeque<u8>,
    ) -> bool {
        let rest: Vec<usize> = (0..history.len()).filter(|i| !row.contains(i)).collect();
        if rest.iter().all(|&i| history[i].returned.is_none()) {
            return true;
        }
        rest.iter().any(|&i| {
            let precedes = |o: &Operation<Op, Ret>| {
                o.returned
                    .as_ref()
                    .is_some_and(|(_, at)| *at < history[i].called)
            };
            if rest.iter().any(|&j| precedes(&history[j])) {
                return false;
            }
            let ret = history[i].returned.as_ref().map(|(ret, _)| ret);
            let Some(after) = model.step(state, &history[i].op, ret) else {
                return false;
            };
            row.push(i);
            let complete = extend(model, history, row, &after);
            row.pop();
            complete
        })
    }
    extend(model, history, &mut Vec::new(), &model.initial())
}

/// Asserts that an order given as an explanation is one.
fn assert_explains(model: &Queue, history: &History<Op, Ret>, order: &[usize]) {
    let mut state = model.initial();
    for (n, &i) in order.iter().enumerate() {
        let ret = history[i].returned.as_ref().map(|(ret, _)| ret);
        state = model
            .step(&state, &history[i].op, ret)
            .expect("the order gives these answers");
        for &later in &order[n + 1..] {
            assert_ne!(later, i, "an operation stands in the order twice");
            if let Some((_, at)) = history[later].returned {
                assert!(
                    at >= history[i].called,
                    "{later} returned before {i} was called"
                );
            }
        }
    }
    for (i, o) in history.iter().enumerate() {
        assert!(
            o.returned.is_none() || order.contains(&i),
            "operation {i} is not in the order"
        );
    }
}

fn operation() -> impl Strategy<Value = Operation<Op, Ret>> {
    let op = prop_oneof![(1u8..4).prop_map(Op::Push), Just(Op::Pop), Just(Op::Pop)];
    let answer = prop_oneof![Just(None), (1u8..4).prop_map(Some)];
    (op, answer, 0u64..12, 0u64..6, prop::bool::weighted(0.85)).prop_map(
        |(op, answer, called, lasts, returns)| {
            let ret = if matches!(op, Op::Push(_)) {
                None
            } else {
                answer
            };
            let returned = returns.then_some((ret, called + lasts));
            Operation {
                log: 0,
                op,
                called,
                returned,
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(iters(4_000, 2_000, 50) as u32))]

    #[test]
    fn the_checker_agrees_with_brute_force(
        history in prop::collection::vec(operation(), 0..7),
        blocking: bool,
    ) {
        let model = Queue { blocking };
        match check(&model, &history) {
            Ok(order) => assert_explains(&model, &history, &order),
            Err(e) => prop_assert!(!brute_force(&model, &history), "brute force disagrees: {e}"),
        }
    }
}

#[test]
fn what_threads_did_to_a_locked_queue_is_linearizable() {
    for _ in 0..iters(100, 30, 2) {
        let queue = Mutex::new(VecDeque::new());
        let recorder = Recorder::new();
        std::thread::scope(|s| {
            for thread in 0..4u8 {
                let mut log = recorder.log();
                let queue = &queue;
                s.spawn(move || {
                    for n in 0..50u8 {
                        if (n + thread) % 2 == 0 {
                            log.record(Op::Push(n), || {
                                queue.lock().unwrap().push_back(n);
                                None
                            });
                        } else {
                            log.record(Op::Pop, || queue.lock().unwrap().pop_front());
                        }
                    }
                });
            }
        });
        let history = recorder.finish();
        assert_eq!(history.len(), 200);
        let order = check(&NON_BLOCKING, &history).unwrap();
        assert_explains(&NON_BLOCKING, &history, &order);
    }
}

/// A counter that loses updates: it reads and writes in two steps.
#[derive(Debug)]
struct Tally;

impl Model for Tally {
    type State = u64;
    type Op = ();
    type Ret = u64;

    fn initial(&self) -> u64 {
        0
    }

    fn step(&self, state: &u64, (): &(), ret: Option<&u64>) -> Option<u64> {
        ret.is_none_or(|r| r == state).then_some(state + 1)
    }
}

#[test]
fn a_lost_update_is_found() {
    let counter = AtomicU64::new(0);
    let recorder = Recorder::new();
    let meet = std::sync::Barrier::new(2);
    std::thread::scope(|s| {
        for _ in 0..2 {
            let mut log = recorder.log();
            let (counter, meet) = (&counter, &meet);
            s.spawn(move || {
                log.record((), || {
                    let before = counter.load(Ordering::SeqCst);
                    meet.wait();
                    counter.store(before + 1, Ordering::SeqCst);
                    before
                })
            });
        }
    });
    check(&Tally, &recorder.finish()).unwrap_err();
}

#[test]
fn a_long_history_of_many_threads_is_decided() {
    // Windows of eight operations that all overlap, ten thousand in a row: without the memory of
    // visited configurations a refusal would try 8! orders of each window.
    let mut history: History<(), u64> = Vec::new();
    for window in 0..10_000u64 {
        for n in 0..8 {
            let start = window * 16;
            // Answers in the reverse order of the calls.
            let returned = Some((window * 8 + 7 - n, start + 8 + n));
            history.push(Operation {
                log: n as usize,
                op: (),
                called: start + n,
                returned,
            });
        }
    }
    let order = check(&Tally, &history).unwrap();
    assert_eq!(order.len(), history.len());
    assert_eq!(&order[..8], [7, 6, 5, 4, 3, 2, 1, 0]);

    history.last_mut().unwrap().returned = Some((3, u64::MAX));
    check(&Tally, &history).unwrap_err();
}

#[test]
fn orders_that_lead_to_the_same_configuration_are_tried_once() {
    // Twelve pushes of one value at once and an impossible pop: 12! = 479,001,600 rows, but 2^12
    // sets of operations done, each with one state.
    let mut history: History<Op, Ret> = (0..12)
        .map(|n| done(Op::Push(1), None, n, 100 + n))
        .collect();
    history.push(done(Op::Pop, Some(2), 200, 201));
    let error = check(&NON_BLOCKING, &history).unwrap_err();
    assert_eq!(error.placed(), 12);
}

#[test]
fn a_log_keeps_an_operation_that_panicked_without_an_answer() {
    let recorder = Recorder::new();
    let mut log = recorder.log();
    log.record(Op::Push(1), || None);
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        log.record(Op::Pop, || panic!("cancelled"))
    }));
    assert!(caught.is_err());
    drop(log);
    let history = recorder.finish();
    assert_eq!(history, [done(Op::Push(1), None, 0, 1), open(Op::Pop, 2)]);
}

#[test]
fn a_history_is_not_given_while_a_log_is_open() {
    let recorder = Recorder::<Op, Ret>::new();
    let log = recorder.log();
    let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| recorder.finish()));
    let message = refused.unwrap_err();
    assert!(
        message
            .downcast_ref::<String>()
            .unwrap()
            .contains("1 logs are still open")
    );
    drop(log);
}

#[test]
#[should_panic(expected = "without an operation that waits for one")]
fn an_answer_without_a_question_is_refused() {
    let recorder = Recorder::<Op, Ret>::new();
    recorder.log().end(None);
}
