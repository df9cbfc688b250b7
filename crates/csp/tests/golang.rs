//! What Go's specification and memory model promise of channels and `select`, as claims.
//!
//! Closing a channel is dropping its last sender; a nil channel is `never()`.

mod support;

use weftwork_csp as channel;

use channel::{
    Receiver, RecvError, Select, Sender, TryRecvError, after, bounded, never, select, unbounded,
};
use std::cell::UnsafeCell;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;
use support::{SHORT, for_each_capacity, let_others_run, open, watched};
use weftwork_testkit::iters;

#[test]
fn receiving_from_a_closed_channel_gives_what_was_sent_and_then_never_waits() {
    for_each_capacity(|capacity| {
        let (s, r) = open(capacity);
        let fits = capacity.unwrap_or(10);
        (0..fits).for_each(|n| s.send(n).unwrap());
        drop(s);
        for n in 0..fits {
            assert_eq!(r.recv(), Ok(n));
        }
        for _ in 0..10 {
            assert_eq!(r.recv(), Err(RecvError));
            assert_eq!(r.try_recv(), Err(TryRecvError::Disconnected));
            select! { recv(r) -> message => assert_eq!(message, Err(RecvError)) }
            select! {
                recv(r) -> message => assert_eq!(message, Err(RecvError)),
                default => unreachable!("a closed channel can always be received from"),
            }
        }
    });
}

#[test]
fn a_range_over_a_channel_ends_when_it_is_closed() {
    for_each_capacity(|capacity| {
        let (s, r) = open(capacity);
        thread::scope(|scope| {
            scope.spawn(move || (1..=10).for_each(|n| s.send(n).unwrap()));
            let mut sum = 0;
            for n in &r {
                sum += n;
            }
            assert_eq!(sum, 55);
        });
    });
}

#[test]
fn a_nil_channel_is_never_ready() {
    watched(|| {
        let nil = never::<u8>();
        select! {
            recv(nil) -> _ => unreachable!("nil"),
            default => {}
        }
        select! {
            recv(nil) -> _ => unreachable!("nil"),
            recv(nil) -> _ => unreachable!("nil"),
            recv(after(SHORT)) -> _ => {}
        }
    });
}

#[test]
fn a_select_whose_channels_are_switched_off_one_by_one_merges_two_streams() {
    watched(|| {
        let (a_s, a_r) = bounded(0);
        let (b_s, b_r) = bounded(3);
        thread::scope(|scope| {
            scope.spawn(move || (0..50).for_each(|n| a_s.send(n).unwrap()));
            scope.spawn(move || (50..100).for_each(|n| b_s.send(n).unwrap()));
            let (mut a, mut b) = (a_r, b_r);
            let (mut open, mut seen) = (2, Vec::new());
            while open > 0 {
                select! {
                    recv(a) -> message => match message {
                        Ok(n) => seen.push(n),
                        Err(RecvError) => { a = never(); open -= 1 }
                    },
                    recv(b) -> message => match message {
                        Ok(n) => seen.push(n),
                        Err(RecvError) => { b = never(); open -= 1 }
                    },
                }
            }
            seen.sort_unstable();
            assert!(seen.into_iter().eq(0..100));
        });
    });
}

#[test]
fn default_runs_only_if_every_case_would_block() {
    watched(|| {
        let (full_s, _full) = bounded(1);
        full_s.send(0).unwrap();
        let (idle_s, idle_r) = bounded::<u8>(0);
        for _ in 0..100 {
            select! {
                send(full_s, 1) -> _ => unreachable!("full"),
                send(idle_s, 1) -> _ => unreachable!("nobody receives"),
                recv(idle_r) -> _ => unreachable!("nobody sends"),
                default => {}
            }
        }
        let (s, r) = bounded(1);
        for n in 0..100 {
            select! {
                send(full_s, 1) -> _ => unreachable!("full"),
                send(s, n) -> sent => sent.unwrap(),
                default => unreachable!("there is room"),
            }
            select! {
                recv(idle_r) -> _ => unreachable!("nobody sends"),
                recv(r) -> message => assert_eq!(message, Ok(n)),
                default => unreachable!("a message is there"),
            }
        }
    });
}

/// Data that only a channel keeps two threads from touching at once: a race is an error for the
/// sanitizers, a wrong value for the assertions.
struct Unguarded(UnsafeCell<usize>);

// SAFETY: shared on purpose; the tests order their accesses by what they are about.
unsafe impl Sync for Unguarded {}

impl Unguarded {
    fn new() -> Unguarded {
        Unguarded(UnsafeCell::new(0))
    }

    fn set(&self, value: usize) {
        // SAFETY: the caller's protocol makes this the only access at this time.
        unsafe { *self.0.get() = value };
    }

    fn get(&self) -> usize {
        // SAFETY: as in `set`.
        unsafe { *self.0.get() }
    }
}

#[test]
fn a_send_happens_before_its_receive_completes() {
    for_each_capacity(|capacity| {
        for n in 1..=iters(200, 50, 5) {
            let data = Unguarded::new();
            let (s, r) = open(capacity);
            thread::scope(|scope| {
                scope.spawn(|| {
                    data.set(n);
                    s.send(()).unwrap();
                });
                r.recv().unwrap();
                assert_eq!(data.get(), n);
            });
        }
    });
}

#[test]
fn closing_happens_before_the_receive_that_tells_of_it() {
    for_each_capacity(|capacity| {
        for n in 1..=iters(200, 50, 5) {
            let data = Unguarded::new();
            let (s, r) = open::<()>(capacity);
            thread::scope(|scope| {
                let data = &data;
                scope.spawn(move || {
                    data.set(n);
                    drop(s);
                });
                match n % 3 {
                    0 => assert_eq!(r.recv(), Err(RecvError)),
                    1 => {
                        while r.try_recv() == Err(TryRecvError::Empty) {
                            thread::yield_now()
                        }
                    }
                    _ => select! {
                        recv(r) -> message => assert_eq!(message, Err(RecvError)),
                        recv(never::<u8>()) -> _ => unreachable!("never"),
                    },
                }
                assert_eq!(data.get(), n);
            });
        }
    });
}

#[test]
fn a_receive_happens_before_the_send_on_an_unbuffered_channel_completes() {
    watched(|| {
        for n in 1..=iters(300, 50, 5) {
            let data = Unguarded::new();
            let (s, r) = bounded(0);
            thread::scope(|scope| {
                scope.spawn(|| {
                    data.set(n);
                    r.recv().unwrap();
                });
                s.send(()).unwrap();
                assert_eq!(data.get(), n);
            });
        }
    });
}

#[test]
fn the_kth_receive_happens_before_the_send_c_later_completes() {
    watched(|| {
        for capacity in [1, 2, 5] {
            let rounds = iters(2_000, 500, 20);
            let (s, r) = bounded(capacity);
            // The receiver writes each once, before its receive of the same number.
            let slots: Vec<_> = (0..rounds).map(|_| Unguarded::new()).collect();
            thread::scope(|scope| {
                let (slots, r) = (&slots, &r);
                scope.spawn(move || {
                    for (n, slot) in slots.iter().enumerate() {
                        slot.set(n + 1);
                        assert_eq!(r.recv(), Ok(n));
                    }
                });
                for n in 0..rounds + capacity {
                    s.send(n).unwrap();
                    if let Some(received) = n.checked_sub(capacity) {
                        assert_eq!(slots[received].get(), received + 1);
                    }
                }
            });
        }
    });
}

#[test]
fn a_buffered_channel_is_a_counting_semaphore() {
    watched(|| {
        const PERMITS: usize = 3;
        let (acquire, release) = bounded(PERMITS);
        let (inside, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..iters(300, 60, 4) {
                        acquire.send(()).unwrap();
                        let now = inside.fetch_add(1, Ordering::SeqCst) + 1;
                        most.fetch_max(now, Ordering::SeqCst);
                        thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                        release.recv().unwrap();
                    }
                });
            }
        });
        assert!((1..=PERMITS).contains(&most.load(Ordering::SeqCst)));
    });
}

#[test]
fn a_channel_of_one_is_a_mutex() {
    watched(|| {
        const THREADS: usize = 4;
        let count = iters(2_000, 500, 20);
        let data = Unguarded::new();
        let (lock, unlock) = bounded(1);
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for _ in 0..count {
                        lock.send(()).unwrap();
                        data.set(data.get() + 1);
                        unlock.recv().unwrap();
                    }
                });
            }
        });
        assert_eq!(data.get(), THREADS * count);
    });
}

#[test]
fn closing_a_channel_is_a_broadcast() {
    watched(|| {
        let (done_s, done) = bounded::<()>(0);
        let (report, reports) = unbounded();
        thread::scope(|scope| {
            for n in 0..8 {
                let (done, report) = (done.clone(), report.clone());
                let work = never::<()>();
                scope.spawn(move || {
                    select! {
                        recv(done) -> message => assert!(message.is_err()),
                        recv(work) -> _ => unreachable!("never"),
                    }
                    report.send(n).unwrap();
                });
            }
            let_others_run();
            assert!(reports.is_empty());
            drop(done_s);
            let mut all: Vec<_> = reports.iter().take(8).collect();
            all.sort_unstable();
            assert!(all.into_iter().eq(0..8));
        });
    });
}

#[test]
fn a_chain_of_filters_sieves_the_primes() {
    for capacity in [0, 1, 7] {
        watched(|| {
            let (s, mut source) = bounded(capacity);
            let mut threads = vec![thread::spawn(move || {
                let mut n = 2;
                while s.send(n).is_ok() {
                    n += 1;
                }
            })];
            let mut primes = Vec::new();
            for _ in 0..25 {
                let prime: u32 = source.recv().unwrap();
                primes.push(prime);
                let (s, filtered) = bounded(capacity);
                let from = std::mem::replace(&mut source, filtered);
                threads.push(thread::spawn(move || {
                    for n in from.iter().filter(|n| n % prime != 0) {
                        if s.send(n).is_err() {
                            break;
                        }
                    }
                }));
            }
            assert_eq!(
                primes,
                [
                    2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73,
                    79, 83, 89, 97
                ]
            );
            // The end of the chain is dropped, and the whole of it falls.
            drop(source);
            threads.into_iter().for_each(|t| t.join().unwrap());
        });
    }
}

#[test]
fn fan_in_gives_the_messages_of_all_sources() {
    fn fan_in(a: Receiver<u32>, b: Receiver<u32>) -> Receiver<u32> {
        let (s, r) = bounded(0);
        thread::spawn(move || {
            let mut select = Select::new();
            let (from_a, from_b) = (select.recv(&a), select.recv(&b));
            let mut open = 2;
            while open > 0 {
                let operation = select.select();
                let index = operation.index();
                assert!(index == from_a || index == from_b);
                match operation.recv(if index == from_a { &a } else { &b }) {
                    Ok(n) => s.send(n).unwrap(),
                    Err(RecvError) => {
                        select.remove(index);
                        open -= 1;
                    }
                }
            }
        });
        r
    }
    fn source(numbers: std::ops::Range<u32>) -> Receiver<u32> {
        let (s, r) = bounded(0);
        thread::spawn(move || numbers.for_each(|n| s.send(n).unwrap()));
        r
    }
    watched(|| {
        let both = fan_in(source(0..100), source(100..200));
        let four = fan_in(both, fan_in(source(200..300), source(300..400)));
        let mut all: Vec<_> = four.iter().collect();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..400));
    });
}

#[test]
fn a_stage_that_selects_between_input_and_output_is_an_unbounded_buffer() {
    watched(|| {
        let count = iters(2_000, 500, 20);
        let (in_s, in_r) = bounded(0);
        let (out_s, out_r) = bounded(0);
        thread::scope(|scope| {
            scope.spawn(move || {
                let mut queue = std::collections::VecDeque::new();
                let mut input = in_r;
                let mut open = true;
                while open || !queue.is_empty() {
                    // With nothing to give, only the input; a nil channel in place of the output.
                    let Some(&front) = queue.front() else {
                        match input.recv() {
                            Ok(n) => queue.push_back(n),
                            Err(RecvError) => open = false,
                        }
                        continue;
                    };
                    select! {
                        recv(input) -> message => match message {
                            Ok(n) => queue.push_back(n),
                            Err(RecvError) => { open = false; input = never() }
                        },
                        send(out_s, front) -> sent => { sent.unwrap(); queue.pop_front(); }
                    }
                }
            });
            // Nobody receives yet, and still no send waits for long.
            (0..count).for_each(|n| in_s.send(n).unwrap());
            drop(in_s);
            assert!(out_r.iter().eq(0..count));
        });
    });
}

#[test]
fn requests_carry_the_channel_of_their_reply() {
    watched(|| {
        struct Request(u64, Sender<u64>);
        let (requests, inbox) = bounded::<Request>(0);
        thread::scope(|scope| {
            scope.spawn(move || {
                for Request(n, reply) in &inbox {
                    reply.send(n * n).unwrap();
                }
            });
            thread::scope(|clients| {
                for client in 0..4 {
                    let requests = requests.clone();
                    clients.spawn(move || {
                        for n in 0..50 {
                            let (reply, answer) = bounded(1);
                            requests.send(Request(client + n, reply)).unwrap();
                            assert_eq!(answer.recv(), Ok((client + n) * (client + n)));
                        }
                    });
                }
            });
            drop(requests);
        });
    });
}

#[test]
fn a_thousand_links_pass_a_token_from_end_to_end() {
    watched(|| {
        let links = iters(1_000, 300, 20);
        thread::scope(|scope| {
            let (first, mut last) = bounded(0);
            for _ in 0..links {
                let (s, r) = bounded(0);
                let from = std::mem::replace(&mut last, r);
                let link = thread::Builder::new().stack_size(128 << 10);
                let work = move || s.send(from.recv().unwrap() + 1).unwrap();
                link.spawn_scoped(scope, work).unwrap();
            }
            first.send(0).unwrap();
            assert_eq!(last.recv(), Ok(links));
        });
    });
}

#[test]
fn of_two_sends_in_a_select_exactly_one_happens() {
    watched(|| {
        let rounds = iters(3_000, 500, 20);
        for capacity in [Some(0), Some(1), None] {
            let (a_s, a_r) = open(capacity);
            let (b_s, b_r) = open(capacity);
            let (merged_s, merged_r) = unbounded();
            thread::scope(|scope| {
                scope.spawn(move || {
                    for n in 0..rounds {
                        select! {
                            send(a_s, n) -> sent => sent.unwrap(),
                            send(b_s, n) -> sent => sent.unwrap(),
                        }
                    }
                });
                for r in [a_r, b_r] {
                    let merged_s = merged_s.clone();
                    scope.spawn(move || r.iter().for_each(|n| merged_s.send(n).unwrap()));
                }
                drop(merged_s);
                let mut all: Vec<_> = merged_r.iter().collect();
                all.sort_unstable();
                assert!(all.into_iter().eq(0..rounds), "lost or sent twice");
            });
        }
    });
}

#[test]
fn a_select_may_name_a_channel_twice_and_both_of_its_ends() {
    watched(|| {
        let rounds = iters(2_000, 400, 20);
        for capacity in [0, 1] {
            let (s, r) = bounded(capacity);
            let start = Barrier::new(2);
            thread::scope(|scope| {
                for me in 0..2_usize {
                    let (s, r, start) = (s.clone(), r.clone(), &start);
                    scope.spawn(move || {
                        start.wait();
                        for _ in 0..rounds {
                            select! {
                                recv(r) -> from => assert!(capacity > 0 || from != Ok(me)),
                                send(s, me) -> sent => sent.unwrap(),
                                recv(r) -> from => assert!(capacity > 0 || from != Ok(me)),
                                send(s, me) -> sent => sent.unwrap(),
                            }
                        }
                    });
                }
            });
            assert!(r.len() <= capacity);
        }
    });
}

#[test]
fn a_timer_bounds_any_wait() {
    watched(|| {
        let (_s, r) = bounded::<u8>(0);
        let result = select! {
            recv(r) -> message => message.map_err(|_| "closed"),
            recv(after(Duration::from_millis(2))) -> _ => Err("too late"),
        };
        assert_eq!(result, Err("too late"));
    });
}

#[test]
fn a_blocked_send_or_receive_does_not_keep_others_from_running() {
    watched(|| {
        let (s, r) = bounded(0);
        let ran = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| r.recv().unwrap());
            scope
                .spawn(|| {
                    ran.store(true, Ordering::Release);
                    s.send(()).unwrap();
                })
                .join()
                .unwrap();
        });
        assert!(ran.load(Ordering::Acquire));
    });
}
