//! What holds for a channel whatever room it has: order, disconnection, timeouts, ownership.

mod support;

use weftwork_csp as channel;

use channel::{
    Receiver, RecvError, RecvTimeoutError, SendError, SendTimeoutError, Sender, TryRecvError,
    TrySendError,
};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};
use support::{AMPLE, for_each_capacity, let_others_run, never_early, open, past};
use weftwork_testkit::iters;

#[test]
fn messages_of_one_sender_arrive_in_order() {
    for_each_capacity(|capacity| {
        let count = iters(20_000, 5_000, 200);
        let (s, r) = open(capacity);
        thread::scope(|scope| {
            scope.spawn(move || (0..count).for_each(|n| s.send(n).unwrap()));
            for n in 0..count {
                assert_eq!(r.recv(), Ok(n));
            }
            assert_eq!(r.recv(), Err(RecvError));
        });
    });
}

#[test]
fn many_to_many_each_message_arrives_once_and_in_the_order_of_its_sender() {
    for_each_capacity(|capacity| {
        const SENDERS: usize = 4;
        const RECEIVERS: usize = 3;
        let count = iters(5_000, 1_000, 50);
        let (s, r) = open(capacity);
        let received: Vec<Vec<(usize, usize)>> = thread::scope(|scope| {
            for sender in 0..SENDERS {
                let s = s.clone();
                scope.spawn(move || (0..count).for_each(|n| s.send((sender, n)).unwrap()));
            }
            drop(s);
            let receivers: Vec<_> = (0..RECEIVERS)
                .map(|_| {
                    let r = r.clone();
                    scope.spawn(move || r.iter().collect())
                })
                .collect();
            receivers.into_iter().map(|t| t.join().unwrap()).collect()
        });
        for of_one_receiver in &received {
            for sender in 0..SENDERS {
                let numbers = of_one_receiver.iter().filter(|m| m.0 == sender);
                assert!(
                    numbers.is_sorted_by(|a, b| a.1 < b.1),
                    "a receiver saw the messages of sender {sender} out of order"
                );
            }
        }
        let mut all: Vec<_> = received.concat();
        all.sort_unstable();
        let expected: Vec<_> = (0..SENDERS)
            .flat_map(|sender| (0..count).map(move |n| (sender, n)))
            .collect();
        assert_eq!(all, expected);
    });
}

#[test]
fn recv_after_the_last_sender_is_gone_drains_the_queue_and_then_reports_it() {
    for_each_capacity(|capacity| {
        let (s, r) = open(capacity);
        let fits = capacity.unwrap_or(100);
        for n in 0..fits {
            s.try_send(n).unwrap();
        }
        let other = s.clone();
        drop(s);
        drop(other);
        for n in 0..fits {
            match n % 3 {
                0 => assert_eq!(r.recv(), Ok(n)),
                1 => assert_eq!(r.try_recv(), Ok(n)),
                _ => assert_eq!(r.recv_timeout(AMPLE), Ok(n)),
            }
        }
        assert_eq!(r.recv(), Err(RecvError));
        assert_eq!(r.try_recv(), Err(TryRecvError::Disconnected));
        assert_eq!(r.recv_timeout(AMPLE), Err(RecvTimeoutError::Disconnected));
        assert_eq!(
            r.recv_deadline(past()),
            Err(RecvTimeoutError::Disconnected),
            "a peer that is gone is told before a time that is over"
        );
        assert_eq!(r.iter().next(), None);
        assert_eq!(r.try_iter().next(), None);
    });
}

#[test]
fn send_after_the_last_receiver_is_gone_gives_the_message_back() {
    for_each_capacity(|capacity| {
        let (s, r) = open(capacity);
        let other = r.clone();
        drop(r);
        drop(other);
        let message = || String::from("kept");
        assert_eq!(s.send(message()), Err(SendError(message())));
        assert_eq!(
            s.try_send(message()),
            Err(TrySendError::Disconnected(message()))
        );
        assert_eq!(
            s.send_timeout(message(), AMPLE),
            Err(SendTimeoutError::Disconnected(message()))
        );
        assert_eq!(
            s.send_deadline(message(), past()),
            Err(SendTimeoutError::Disconnected(message()))
        );
    });
}

#[test]
fn a_clone_keeps_its_side_connected() {
    for_each_capacity(|capacity| {
        let (s, r) = open(capacity);
        let (s2, r2) = (s.clone(), r.clone());
        drop((s, r));
        assert_eq!(r2.try_recv(), Err(TryRecvError::Empty));
        thread::scope(|scope| {
            scope.spawn(|| s2.send(5).unwrap());
            assert_eq!(r2.recv(), Ok(5));
        });
        drop(s2);
        assert_eq!(r2.try_recv(), Err(TryRecvError::Disconnected));
    });
}

/// A way to wait for a message; it gives `None` when the other side is gone.
type Receive = fn(&Receiver<u8>) -> Option<u8>;

/// A way to send; it gives the message back when the other side is gone.
type Offer = fn(&Sender<u8>, u8) -> Option<u8>;

const RECEIVES: [Receive; 4] = [
    |r| r.recv().ok(),
    |r| r.recv_timeout(Duration::MAX).ok(),
    |r| r.recv_deadline(Instant::now() + AMPLE).ok(),
    |r| r.iter().next(),
];

const SENDS: [Offer; 3] = [
    |s, n| s.send(n).err().map(SendError::into_inner),
    |s, n| {
        let sent = s.send_timeout(n, Duration::MAX);
        sent.err().map(SendTimeoutError::into_inner)
    },
    |s, n| {
        let sent = s.send_deadline(n, Instant::now() + AMPLE);
        sent.err().map(SendTimeoutError::into_inner)
    },
];

#[test]
fn the_last_sender_wakes_every_waiting_receiver_when_it_goes() {
    for_each_capacity(|capacity| {
        for round in 0..iters(100, 20, 2) {
            let (s, r) = open::<u8>(capacity);
            let start = Barrier::new(RECEIVES.len() + 1);
            thread::scope(|scope| {
                for receive in RECEIVES {
                    let (r, start) = (&r, &start);
                    scope.spawn(move || {
                        start.wait();
                        assert_eq!(receive(r), None);
                    });
                }
                start.wait();
                if round % 2 == 0 {
                    let_others_run();
                }
                drop(s);
            });
        }
    });
}

#[test]
fn the_last_receiver_wakes_every_waiting_sender_when_it_goes() {
    for_each_capacity(|capacity| {
        let Some(capacity) = capacity else { return };
        for round in 0..iters(100, 20, 2) {
            let (s, r) = open::<u8>(Some(capacity));
            for _ in 0..capacity {
                s.send(0).unwrap();
            }
            let start = Barrier::new(SENDS.len() + 1);
            thread::scope(|scope| {
                for (send, n) in SENDS.into_iter().zip(1..) {
                    let (s, start) = (&s, &start);
                    scope.spawn(move || {
                        start.wait();
                        assert_eq!(send(s, n), Some(n), "the message comes back");
                    });
                }
                start.wait();
                if round % 2 == 0 {
                    let_others_run();
                }
                drop(r);
            });
        }
    });
}

#[test]
fn a_receiver_on_an_empty_channel_gives_up_when_its_time_is_over_and_not_before() {
    for_each_capacity(|capacity| {
        let (s, r) = open::<u8>(capacity);
        let timeout = Err(RecvTimeoutError::Timeout);
        assert_eq!(never_early(|d| r.recv_timeout(d)), timeout);
        assert_eq!(
            never_early(|d| r.recv_deadline(Instant::now() + d)),
            timeout
        );
        assert_eq!(r.recv_timeout(Duration::ZERO), timeout);
        assert_eq!(r.recv_deadline(past()), timeout);
        // It left nothing behind: the channel works as before.
        thread::scope(|scope| {
            scope.spawn(|| s.send(1).unwrap());
            assert_eq!(r.recv_timeout(AMPLE), Ok(1));
        });
    });
}

#[test]
fn a_sender_on_a_full_channel_gives_up_when_its_time_is_over_and_not_before() {
    for_each_capacity(|capacity| {
        let Some(capacity) = capacity else { return };
        let (s, r) = open(Some(capacity));
        for n in 0..capacity {
            s.send(n).unwrap();
        }
        let timeout = Err(SendTimeoutError::Timeout(99));
        assert_eq!(never_early(|d| s.send_timeout(99, d)), timeout);
        assert_eq!(
            never_early(|d| s.send_deadline(99, Instant::now() + d)),
            timeout
        );
        assert_eq!(s.send_timeout(99, Duration::ZERO), timeout);
        assert_eq!(s.send_deadline(99, past()), timeout);
        // What timed out is not in the channel.
        drop(s);
        assert!(r.iter().eq(0..capacity));
    });
}

#[test]
fn a_message_that_is_there_is_received_though_the_time_is_over() {
    for_each_capacity(|capacity| {
        if capacity == Some(0) {
            return;
        }
        let (s, r) = open(capacity);
        s.send(1).unwrap();
        assert_eq!(r.recv_deadline(past()), Ok(1));
        s.send(2).unwrap();
        assert_eq!(r.recv_timeout(Duration::ZERO), Ok(2));
    });
}

#[test]
fn a_message_that_fits_is_sent_though_the_time_is_over() {
    for_each_capacity(|capacity| {
        if capacity == Some(0) {
            return;
        }
        let (s, r) = open(capacity);
        assert_eq!(s.send_deadline(1, past()), Ok(()));
        assert_eq!(r.try_recv(), Ok(1));
        assert_eq!(s.send_timeout(2, Duration::ZERO), Ok(()));
        assert_eq!(r.try_recv(), Ok(2));
    });
}

#[test]
fn waits_of_the_longest_duration_end_with_their_event() {
    for_each_capacity(|capacity| {
        for _ in 0..iters(50, 10, 2) {
            let (s, r) = open(capacity);
            let start = Barrier::new(2);
            thread::scope(|scope| {
                scope.spawn(|| {
                    start.wait();
                    for n in 0..20 {
                        s.send_timeout(n, Duration::MAX).unwrap();
                    }
                });
                start.wait();
                for n in 0..20 {
                    assert_eq!(r.recv_timeout(Duration::MAX), Ok(n));
                }
            });
        }
    });
}

#[test]
fn messages_and_timeouts_that_race_lose_nothing() {
    for_each_capacity(|capacity| {
        let count = iters(2_000, 500, 20);
        let (s, r) = open(capacity);
        thread::scope(|scope| {
            for sender in 0..2 {
                let s = s.clone();
                scope.spawn(move || {
                    for n in 0..count {
                        let mut message = (sender, n);
                        // The shortest waits there are: half of them end at the hand-over.
                        while let Err(e) = s.send_timeout(message, Duration::from_micros(20)) {
                            assert!(e.is_timeout());
                            message = e.into_inner();
                        }
                    }
                });
            }
            drop(s);
            let mut next = [0; 2];
            loop {
                match r.recv_timeout(Duration::from_micros(20)) {
                    Ok((sender, n)) => {
                        assert_eq!(n, next[sender], "lost, repeated or out of order");
                        next[sender] += 1;
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            }
            assert_eq!(next, [count; 2]);
        });
    });
}

#[test]
fn a_channel_carries_channels() {
    for_each_capacity(|capacity| {
        type Link = Box<dyn std::any::Any + Send>;
        let hops = iters(500, 100, 10);
        let (s, r) = open::<Link>(capacity);
        thread::scope(|scope| {
            scope.spawn(move || {
                let mut s = s;
                for _ in 0..hops {
                    let (next_s, next_r) = open::<Link>(capacity);
                    s.send(Box::new(next_r)).unwrap();
                    s = next_s;
                }
            });
            let mut r = r;
            for _ in 0..hops {
                r = *r.recv().unwrap().downcast::<Receiver<Link>>().unwrap();
            }
            assert!(r.recv().is_err());
        });
    });
}

#[test]
fn what_was_written_before_a_send_is_seen_after_its_receive() {
    for_each_capacity(|capacity| {
        let rounds = iters(2_000, 500, 20);
        let (s, r) = open::<Box<[usize; 8]>>(capacity);
        thread::scope(|scope| {
            scope.spawn(move || {
                for n in 0..rounds {
                    s.send(Box::new([n; 8])).unwrap();
                }
            });
            for (n, message) in r.iter().enumerate() {
                assert_eq!(*message, [n; 8]);
            }
        });
    });
}

#[test]
fn a_sender_and_a_receiver_of_one_channel_may_share_a_thread() {
    for_each_capacity(|capacity| {
        let (s, r) = open(capacity);
        let fits = capacity.unwrap_or(1_000);
        for lap in 0..3 {
            for n in 0..fits {
                s.send(lap * fits + n).unwrap();
            }
            for n in 0..fits {
                assert_eq!(r.recv(), Ok(lap * fits + n));
            }
        }
        assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
    });
}

#[test]
fn one_thread_can_pass_messages_on_between_two_others() {
    for_each_capacity(|capacity| {
        let count = iters(3_000, 500, 20);
        let (s1, r1) = open(capacity);
        let (s2, r2) = open(capacity);
        thread::scope(|scope| {
            scope.spawn(move || (0..count).for_each(|n| s1.send(n).unwrap()));
            scope.spawn(move || r1.iter().for_each(|n| s2.send(n).unwrap()));
            assert!(r2.iter().eq(0..count));
        });
    });
}
