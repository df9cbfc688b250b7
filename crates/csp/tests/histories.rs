//! What several threads saw of one channel has a sequential explanation.

mod support;

use channel::{RecvTimeoutError, SendTimeoutError, TryRecvError, TrySendError};
use std::collections::VecDeque;
use std::thread;
use std::time::Duration;
use support::{Dice, open, watched};
use weftwork_csp as channel;
use weftwork_testkit::{Log, Model, Recorder, check, iters};

/// What is asked of a channel.
#[derive(Clone, Copy, Debug)]
enum Op {
    /// A form that waits as long as it takes.
    Send(u32),
    Recv,
    /// A form that gives up when it has waited.
    PatientSend(u32),
    PatientRecv,
    /// A form that does not wait.
    TrySend(u32),
    TryRecv,
}

/// What it answers.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ret {
    Sent,
    Received(u32),
    GaveUp,
}

/// A queue with room for so many messages; with `None`, for any number.
#[derive(Debug)]
struct Queue(Option<usize>);

impl Model for Queue {
    type State = VecDeque<u32>;
    type Op = Op;
    type Ret = Ret;

    fn initial(&self) -> Self::State {
        VecDeque::new()
    }

    fn step(&self, state: &Self::State, op: &Op, ret: Option<&Ret>) -> Option<Self::State> {
        let mut after = state.clone();
        let full = self.0.is_some_and(|capacity| state.len() == capacity);
        match (op, ret?) {
            (Op::Send(n) | Op::PatientSend(n) | Op::TrySend(n), Ret::Sent) if !full => {
                after.push_back(*n);
            }
            (Op::Recv | Op::PatientRecv | Op::TryRecv, Ret::Received(n)) => {
                after.pop_front().filter(|front| front == n)?;
            }
            // What never waits may refuse only what is impossible at that time.
            (Op::TrySend(_), Ret::GaveUp) if full => {}
            (Op::TryRecv, Ret::GaveUp) if state.is_empty() => {}
            // What waited has seen it impossible at some time, too.
            (Op::PatientSend(_), Ret::GaveUp) if full => {}
            (Op::PatientRecv, Ret::GaveUp) if state.is_empty() => {}
            _ => return None,
        }
        Some(after)
    }
}

/// No room: a send takes effect in one instant with the receive of its message, which is to say that
/// nothing comes between the two.
#[derive(Debug)]
struct Rendezvous;

impl Model for Rendezvous {
    type State = Option<u32>;
    type Op = Op;
    type Ret = Ret;

    fn initial(&self) -> Option<u32> {
        None
    }

    fn step(&self, state: &Option<u32>, op: &Op, ret: Option<&Ret>) -> Option<Option<u32>> {
        match (op, ret?, *state) {
            (Op::Send(n) | Op::PatientSend(n) | Op::TrySend(n), Ret::Sent, None) => Some(Some(*n)),
            (Op::Recv | Op::PatientRecv | Op::TryRecv, Ret::Received(n), Some(handed)) => {
                (*n == handed).then_some(None)
            }
            (
                Op::PatientSend(_) | Op::TrySend(_) | Op::PatientRecv | Op::TryRecv,
                Ret::GaveUp,
                None,
            ) => Some(None),
            _ => None,
        }
    }
}

type Ends = (channel::Sender<u32>, channel::Receiver<u32>);

fn perform((s, r): &Ends, log: &mut Log<Op, Ret>, op: Op) -> Ret {
    const PATIENCE: Duration = Duration::from_micros(15);
    log.record(op, || match op {
        Op::Send(n) => s.send(n).map(|()| Ret::Sent).unwrap(),
        Op::Recv => Ret::Received(r.recv().unwrap()),
        Op::PatientSend(n) => match s.send_timeout(n, PATIENCE) {
            Ok(()) => Ret::Sent,
            Err(SendTimeoutError::Timeout(_)) => Ret::GaveUp,
            Err(SendTimeoutError::Disconnected(_)) => unreachable!("both ends are held"),
        },
        Op::PatientRecv => match r.recv_timeout(PATIENCE) {
            Ok(n) => Ret::Received(n),
            Err(RecvTimeoutError::Timeout) => Ret::GaveUp,
            Err(RecvTimeoutError::Disconnected) => unreachable!("both ends are held"),
        },
        Op::TrySend(n) => match s.try_send(n) {
            Ok(()) => Ret::Sent,
            Err(TrySendError::Full(_)) => Ret::GaveUp,
            Err(TrySendError::Disconnected(_)) => unreachable!("both ends are held"),
        },
        Op::TryRecv => match r.try_recv() {
            Ok(n) => Ret::Received(n),
            Err(TryRecvError::Empty) => Ret::GaveUp,
            Err(TryRecvError::Disconnected) => unreachable!("both ends are held"),
        },
    })
}

/// Three threads do anything that ends by itself.
fn short_waits(capacity: Option<usize>, seed: u64) -> Recorder<Op, Ret> {
    let ends = open(capacity);
    let recorder = Recorder::new();
    thread::scope(|scope| {
        for me in 0..3 {
            let mut log = recorder.log();
            let mut dice = Dice::new(seed * 3 + me);
            let ends = &ends;
            scope.spawn(move || {
                for n in 0..8 {
                    let message = me as u32 * 100 + n;
                    let op = match dice.below(6) {
                        0 | 1 => Op::PatientSend(message),
                        2 => Op::TrySend(message),
                        3 | 4 => Op::PatientRecv,
                        _ => Op::TryRecv,
                    };
                    perform(ends, &mut log, op);
                }
            });
        }
    });
    recorder
}

/// One thread sends, one receives as often, a third gives and takes between them.
fn long_waits(capacity: Option<usize>, seed: u64) -> Recorder<Op, Ret> {
    let ends = open(capacity);
    let recorder = Recorder::new();
    thread::scope(|scope| {
        let (mut sender, mut receiver, mut third) =
            (recorder.log(), recorder.log(), recorder.log());
        let ends = &ends;
        scope.spawn(move || (0..8).for_each(|n| drop_ret(perform(ends, &mut sender, Op::Send(n)))));
        scope.spawn(move || (0..8).for_each(|_| drop_ret(perform(ends, &mut receiver, Op::Recv))));
        let mut dice = Dice::new(seed);
        scope.spawn(move || {
            for n in 100..104 {
                let op = match dice.below(2) {
                    0 => Op::TrySend(n),
                    _ => Op::PatientSend(n),
                };
                if perform(ends, &mut third, op) == Ret::Sent {
                    perform(ends, &mut third, Op::Recv);
                }
            }
        });
    });
    recorder
}

fn drop_ret(_: Ret) {}

fn assert_linearizable<M>(capacity: Option<usize>, model: &M)
where
    M: Model<Op = Op, Ret = Ret>,
{
    watched(|| {
        for round in 0..iters(500, 100, 5) as u64 {
            for recorder in [short_waits(capacity, round), long_waits(capacity, round)] {
                if let Err(error) = check(model, &recorder.finish()) {
                    panic!("round {round}: {error}");
                }
            }
        }
    });
}

#[test]
fn histories_of_a_rendezvous_channel_are_linearizable() {
    assert_linearizable(Some(0), &Rendezvous);
}

#[test]
fn histories_of_a_channel_with_room_for_one_are_linearizable() {
    assert_linearizable(Some(1), &Queue(Some(1)));
}

#[test]
fn histories_of_a_channel_with_room_for_two_are_linearizable() {
    assert_linearizable(Some(2), &Queue(Some(2)));
}

#[test]
fn histories_of_an_unbounded_channel_are_linearizable() {
    assert_linearizable(None, &Queue(None));
}

#[test]
fn the_models_refuse_what_no_channel_may_do() {
    fn refused<M: Model<Op = Op, Ret = Ret>>(model: &M, steps: &[(Op, Ret)]) {
        let recorder = Recorder::new();
        let mut log = recorder.log();
        for &(op, ret) in steps {
            log.record(op, || ret);
        }
        drop(log);
        assert!(check(model, &recorder.finish()).is_err(), "{steps:?}");
    }
    use Op::{Recv, Send, TryRecv, TrySend};
    use Ret::{GaveUp, Received, Sent};
    let one = Queue(Some(1));
    refused(&one, &[(Send(1), Sent), (Send(2), Sent)]);
    refused(&one, &[(Send(1), Sent), (TryRecv, GaveUp)]);
    refused(&one, &[(TrySend(1), GaveUp)]);
    refused(&one, &[(Recv, Received(1))]);
    let many = Queue(None);
    refused(
        &many,
        &[(Send(1), Sent), (Send(2), Sent), (Recv, Received(2))],
    );
    refused(&many, &[(TrySend(1), GaveUp)]);
    // One after the other, nobody can have met.
    refused(
        &Rendezvous,
        &[(Send(1), Sent), (TrySend(2), GaveUp), (Recv, Received(1))],
    );
    refused(&Rendezvous, &[(Recv, Received(1)), (Send(1), Sent)]);
}
