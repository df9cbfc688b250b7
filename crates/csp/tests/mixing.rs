//! The ends of one channel in OS threads, green threads and the tasks of another executor.

mod support;

use weftwork_csp as channel;

use channel::{Receiver, RecvError, Select, Sender, bounded, never, select};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;
use support::{AMPLE, CAPACITIES, HANG, open};
use weftwork_sched::Runtime;
use weftwork_testkit::{iters, with_watchdog};

/// Where an end of a channel is used.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Thread,
    Green,
    Future,
}

const PLACES: [Place; 3] = [Place::Thread, Place::Green, Place::Future];

/// A scheduler of green threads, and an executor that knows nothing of it.
struct Worlds {
    green: Runtime,
    tokio: tokio::runtime::Runtime,
}

/// Runs `test` with green threads on so many workers; no task may be left over.
fn with_worlds(workers: usize, test: impl FnOnce(&Worlds)) {
    with_watchdog(HANG, || {
        let worlds = Worlds {
            green: Runtime::builder().workers(workers).build().unwrap(),
            tokio: tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_time()
                .build()
                .unwrap(),
        };
        test(&worlds);
        let report = worlds.green.shutdown(AMPLE);
        assert!(report.is_clean(), "{report}");
    });
}

/// Something that was started and can be waited for from an OS thread.
type Started<T> = Box<dyn FnOnce() -> T>;

impl Worlds {
    fn send_all(&self, place: Place, s: Sender<usize>, numbers: Vec<usize>) -> Started<()> {
        let work = move || numbers.into_iter().for_each(|n| s.send(n).unwrap());
        match place {
            Place::Thread => {
                let thread = thread::spawn(work);
                Box::new(|| thread.join().unwrap())
            }
            Place::Green => {
                let task = self.green.spawn(work);
                Box::new(|| task.join().unwrap())
            }
            Place::Future => unreachable!("a future would stand still: see `send_all_async`"),
        }
    }

    fn send_all_async(&self, s: Sender<usize>, numbers: Vec<usize>) -> Started<()> {
        let task = self.tokio.spawn(async move {
            for n in numbers {
                s.send_async(n).await.unwrap();
            }
        });
        let handle = self.tokio.handle().clone();
        Box::new(move || handle.block_on(task).unwrap())
    }

    fn start_sender(&self, place: Place, s: Sender<usize>, numbers: Vec<usize>) -> Started<()> {
        match place {
            Place::Future => self.send_all_async(s, numbers),
            _ => self.send_all(place, s, numbers),
        }
    }

    fn start_receiver(&self, place: Place, r: Receiver<usize>) -> Started<Vec<usize>> {
        match place {
            Place::Thread => {
                let thread = thread::spawn(move || r.iter().collect());
                Box::new(|| thread.join().unwrap())
            }
            Place::Green => {
                let task = self.green.spawn(move || r.iter().collect());
                Box::new(|| task.join().unwrap())
            }
            Place::Future => {
                let task = self.tokio.spawn(async move {
                    let mut all = Vec::new();
                    while let Ok(n) = r.recv_async().await {
                        all.push(n);
                    }
                    all
                });
                let handle = self.tokio.handle().clone();
                Box::new(move || handle.block_on(task).unwrap())
            }
        }
    }
}

/// Sends `count` numbers from each of `senders` to `receivers`: each arrives once, and those of one
/// sender in order.
fn pass(
    worlds: &Worlds,
    capacity: Option<usize>,
    senders: &[Place],
    receivers: &[Place],
    count: usize,
) {
    let (s, r) = open(capacity);
    let receiving: Vec<_> = receivers
        .iter()
        .map(|place| worlds.start_receiver(*place, r.clone()))
        .collect();
    drop(r);
    let sending: Vec<_> = senders
        .iter()
        .enumerate()
        .map(|(n, place)| {
            let numbers = (n * count..(n + 1) * count).collect();
            worlds.start_sender(*place, s.clone(), numbers)
        })
        .collect();
    drop(s);
    sending.into_iter().for_each(|sender| sender());
    let received: Vec<Vec<usize>> = receiving.into_iter().map(|receiver| receiver()).collect();
    let context = format!("capacity {capacity:?}, from {senders:?} to {receivers:?}");
    for of_one in &received {
        for sender in 0..senders.len() {
            let from_it = of_one.iter().filter(|n| **n / count == sender);
            assert!(from_it.is_sorted(), "out of order: {context}");
        }
    }
    let mut all = received.concat();
    all.sort_unstable();
    assert!(all.into_iter().eq(0..senders.len() * count), "{context}");
}

#[test]
fn messages_pass_between_any_two_places() {
    for workers in [1, 2] {
        with_worlds(workers, |worlds| {
            for capacity in CAPACITIES {
                for from in PLACES {
                    for to in PLACES {
                        pass(worlds, capacity, &[from], &[to], iters(400, 100, 10));
                    }
                }
            }
        });
    }
}

#[test]
fn many_in_all_places_share_one_channel() {
    for workers in [1, 2] {
        with_worlds(workers, |worlds| {
            for capacity in CAPACITIES {
                let all = [PLACES, PLACES].concat();
                pass(worlds, capacity, &all, &all, iters(400, 100, 10));
            }
        });
    }
}

#[test]
fn ping_pong_between_a_thread_and_a_green_thread_alternates() {
    with_worlds(1, |worlds| {
        let (ping_s, ping_r) = bounded::<usize>(0);
        let (pong_s, pong_r) = bounded(0);
        let echo = worlds
            .green
            .spawn(move || ping_r.iter().for_each(|n| pong_s.send(n + 1).unwrap()));
        for n in 0..iters(2_000, 500, 20) {
            ping_s.send(n).unwrap();
            assert_eq!(pong_r.recv(), Ok(n + 1));
        }
        drop(ping_s);
        echo.join().unwrap();
    });
}

#[test]
fn green_threads_of_one_worker_meet_at_a_rendezvous() {
    // Whoever told parties apart by their OS thread would never let these two meet.
    with_worlds(1, |worlds| {
        worlds.green.run(|| {
            let (s, r) = bounded(0);
            let (both_s, both_r) = bounded(0);
            weftwork_sched::scope(|scope| {
                scope.spawn(|| (0..100).for_each(|n| s.send(n).unwrap()));
                assert!((0..100).all(|n| r.recv() == Ok(n)));
            });
            let sends = AtomicUsize::new(0);
            weftwork_sched::scope(|scope| {
                for me in 0..2 {
                    let (s, r, sends) = (&both_s, &both_r, &sends);
                    scope.spawn(move || {
                        for _ in 0..100 {
                            select! {
                                send(s, me) -> sent => {
                                    sent.unwrap();
                                    sends.fetch_add(1, Ordering::Relaxed);
                                }
                                recv(r) -> from => assert_eq!(from, Ok(1 - me)),
                            }
                        }
                    });
                }
            });
            assert_eq!(sends.into_inner(), 100, "each meeting has one sender");
        });
    });
}

#[test]
fn a_waiting_green_thread_lets_the_others_of_its_worker_run() {
    with_worlds(1, |worlds| {
        let (s, r) = bounded(0);
        let (go_s, go_r) = bounded::<()>(0);
        let idle = never::<()>();
        let select = worlds.green.spawn({
            let r = r.clone();
            move || {
                select! {
                    recv(r) -> message => message,
                    recv(idle) -> _ => unreachable!("never"),
                }
            }
        });
        let plain = worlds.green.spawn(move || r.recv());
        let limited = worlds.green.spawn(move || go_r.recv_timeout(AMPLE));
        // With all of these waiting on its only worker, another still runs.
        assert_eq!(worlds.green.spawn(|| 5).join().unwrap(), 5);
        worlds
            .green
            .spawn(move || (0..2).for_each(|n| s.send(n).unwrap()))
            .join()
            .unwrap();
        drop(go_s);
        let mut both = [select.join().unwrap(), plain.join().unwrap()];
        both.sort_unstable_by_key(|m| m.unwrap());
        assert_eq!(both, [Ok(0), Ok(1)]);
        assert!(limited.join().unwrap().is_err());
    });
}

#[test]
fn a_select_is_completed_from_any_place() {
    with_worlds(2, |worlds| {
        for capacity in [Some(0), Some(1), None] {
            for waits in [Place::Thread, Place::Green] {
                let count = iters(300, 60, 5);
                let channels: Vec<_> = PLACES.iter().map(|_| open::<usize>(capacity)).collect();
                let (s, r): (Vec<_>, Vec<_>) = channels.into_iter().unzip();
                let collect = move || {
                    let mut select = Select::new();
                    r.iter().for_each(|r| {
                        select.recv(r);
                    });
                    let (mut sums, mut open) = (vec![0; r.len()], r.len());
                    while open > 0 {
                        let operation = select.select();
                        let index = operation.index();
                        match operation.recv(&r[index]) {
                            Ok(n) => sums[index] += n,
                            Err(RecvError) => {
                                select.remove(index);
                                open -= 1;
                            }
                        }
                    }
                    sums
                };
                let senders: Vec<_> = PLACES
                    .iter()
                    .zip(s)
                    .map(|(place, s)| worlds.start_sender(*place, s, (0..count).collect()))
                    .collect();
                let sums = match waits {
                    Place::Green => worlds.green.spawn(collect).join().unwrap(),
                    _ => thread::spawn(collect).join().unwrap(),
                };
                senders.into_iter().for_each(|sender| sender());
                assert_eq!(sums, vec![count * (count - 1) / 2; PLACES.len()]);
            }
        }
    });
}

#[test]
fn disconnection_wakes_whoever_waits_wherever() {
    with_worlds(2, |worlds| {
        for capacity in CAPACITIES {
            let (s, r) = open::<usize>(capacity);
            let waiting: Vec<_> = PLACES
                .iter()
                .map(|place| worlds.start_receiver(*place, r.clone()))
                .collect();
            drop(s);
            for receiver in waiting {
                assert_eq!(receiver(), []);
            }
        }
    });
}

#[test]
fn a_green_thread_that_is_cancelled_in_a_wait_leaves_the_channel_to_the_others() {
    if cfg!(panic = "abort") {
        return;
    }
    with_worlds(1, |worlds| {
        for capacity in [0, 1] {
            let (s, r) = bounded(capacity);
            let cancelled = worlds.green.spawn({
                let r = r.clone();
                move || r.recv()
            });
            cancelled.cancel();
            assert!(cancelled.join().unwrap_err().is_cancelled());
            let other = worlds.green.spawn(move || r.recv());
            s.send(7).unwrap();
            assert_eq!(other.join().unwrap(), Ok(7));
        }
    });
}

#[test]
fn time_limits_hold_on_green_threads() {
    with_worlds(1, |worlds| {
        worlds.green.run(|| {
            let (s, r) = bounded(1);
            let short = Duration::from_millis(5);
            let late = support::never_early(|d| r.recv_timeout(d));
            assert!(late.is_err_and(|e| e.is_timeout()));
            s.send(1).unwrap();
            assert!(s.send_timeout(2, short).is_err_and(|e| e.is_timeout()));
            let mut select = Select::new();
            select.send(&s);
            assert!(support::never_early(|d| select.ready_timeout(d)).is_err());
            assert!(channel::after(short).recv().is_ok());
            let ticks = channel::tick(Duration::from_millis(1));
            assert_eq!(ticks.iter().take(5).count(), 5);
        });
    });
}
