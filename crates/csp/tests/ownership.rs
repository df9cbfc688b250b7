//! Who owns a message: each is dropped once, by whoever has it, however odd its type or its drop.

mod support;

use weftwork_csp as channel;

use channel::{Receiver, Sender, TrySendError, bounded, select, unbounded};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;
use support::{AMPLE, Dice, for_each_capacity, open, watched};
use weftwork_testkit::{DropCounter, iters};

#[test]
fn messages_left_in_the_channel_are_dropped_with_its_last_receiver() {
    for_each_capacity(|capacity| {
        let drops = DropCounter::new();
        let (s, r) = open(capacity);
        let fits = capacity.unwrap_or(100);
        for n in 0..fits {
            s.send(drops.track(n)).unwrap();
        }
        let other = r.clone();
        drop(r);
        drops.assert_live(fits);
        drop(other);
        // The sender lives on, the messages that nobody can receive do not.
        drops.assert_live(0);
        assert!(s.send(drops.track(0)).is_err());
        drops.assert_none_live();
    });
}

#[test]
fn messages_left_in_the_channel_survive_its_last_sender() {
    for_each_capacity(|capacity| {
        let drops = DropCounter::new();
        let (s, r) = open(capacity);
        let fits = capacity.unwrap_or(100);
        for n in 0..fits {
            s.send(drops.track(n)).unwrap();
        }
        drop(s);
        drops.assert_live(fits);
        assert_eq!(r.try_iter().take(2).count(), fits.min(2));
        drops.assert_live(fits.saturating_sub(2));
        drop(r);
        assert_eq!((drops.created(), drops.live()), (fits, 0));
    });
}

#[test]
fn every_message_is_dropped_once_whoever_goes_first() {
    for_each_capacity(|capacity| {
        for round in 0..iters(400, 100, 5) as u64 {
            let drops = DropCounter::new();
            let (s, r) = open(capacity);
            thread::scope(|scope| {
                for thread in 0..2 {
                    let (s, r, drops) = (s.clone(), r.clone(), drops.clone());
                    let mut dice = Dice::new(round * 4 + thread);
                    scope.spawn(move || {
                        for n in 0..dice.below(70) {
                            if s.send(drops.track(n)).is_err() {
                                break;
                            }
                        }
                    });
                    let mut dice = Dice::new(round * 4 + 2 + thread);
                    scope.spawn(move || {
                        let enough = dice.below(70) as usize;
                        assert!(r.iter().take(enough).count() <= enough);
                    });
                }
                drop((s, r, drops.track(0)));
            });
            drops.assert_none_live();
        }
    });
}

#[test]
fn refused_messages_are_the_ones_that_were_offered() {
    for_each_capacity(|capacity| {
        let (s, r) = open(capacity);
        let message = Box::new(5);
        let address: *const i32 = &*message;
        drop(r);
        let Err(TrySendError::Disconnected(back)) = s.try_send(message) else {
            panic!("nobody can receive it");
        };
        assert_eq!(&*back as *const i32, address);
    });
}

/// Stands where no other type may: at a multiple of 128.
#[derive(Debug, PartialEq, Clone, Copy)]
#[repr(align(128))]
struct Aligned<T>(T);

fn assert_carries<T: Send + PartialEq + std::fmt::Debug>(make: impl Fn(u8) -> T + Sync) {
    for_each_capacity(|capacity| {
        let (s, r) = open(capacity);
        thread::scope(|scope| {
            scope.spawn(|| {
                for n in 0..100 {
                    let message = make(n);
                    match n % 3 {
                        0 => s.send(message).unwrap(),
                        1 => s.send_timeout(message, AMPLE).unwrap(),
                        _ => select! { send(s, message) -> sent => sent.unwrap() },
                    }
                }
            });
            for n in 0..100 {
                let received = match n % 4 {
                    0 => r.recv().unwrap(),
                    1 => r.recv_timeout(AMPLE).unwrap(),
                    2 => r.iter().next().unwrap(),
                    _ => select! { recv(r) -> received => received.unwrap() },
                };
                assert_eq!(received, make(n));
                assert!((&raw const received).is_aligned());
            }
        });
    });
}

#[test]
fn messages_without_size_arrive() {
    assert_carries(|_| ());
    assert_carries(|_| Aligned(()));
}

#[test]
fn messages_that_must_be_aligned_are() {
    assert_carries(Aligned);
    assert_carries(|n| (n, Aligned(u64::from(n))));
}

#[test]
fn messages_with_padding_and_niches_arrive() {
    assert_carries(|n| (n, u64::from(n), n.is_multiple_of(2).then_some(Box::new(n))));
    assert_carries(|n| {
        if n.is_multiple_of(2) {
            None
        } else {
            Some(&"a")
        }
    });
}

#[test]
fn messages_of_64_kib_arrive_whole() {
    assert_carries(|n| Box::new([n; 65_536]));
    // By value; without optimization, each of many calls has a copy in its frame.
    watched(|| {
        let thread = thread::Builder::new().stack_size(32 << 20);
        let work = || {
            for capacity in [Some(1), Some(7), None] {
                let (s, r) = open(capacity);
                for n in 0..100 {
                    s.send([n; 65_536]).unwrap();
                    assert!(r.recv().unwrap() == [n; 65_536]);
                }
            }
        };
        thread.spawn(work).unwrap().join().unwrap();
    });
}

#[test]
fn large_messages_do_not_pass_over_the_stack_in_bulk() {
    // A block of messages of this size is larger than the stack of the thread: the channel has to
    // make it where it stays.
    type Large = [u8; 32 * 1024];

    // One message at a time in a frame: without optimization each mention of one has a place of its own.
    fn put(s: &Sender<Large>, n: u8) {
        s.send([n; 32 * 1024]).unwrap();
    }

    fn take(r: &Receiver<Large>) -> u8 {
        r.recv().unwrap()[1]
    }

    watched(|| {
        let thread = thread::Builder::new().stack_size(960 << 10);
        let work = || {
            for capacity in [Some(32), None] {
                let (s, r) = open(capacity);
                put(&s, 7);
                put(&s, 8);
                assert_eq!([take(&r), take(&r)], [7, 8]);
            }
        };
        thread.spawn(work).unwrap().join().unwrap();
    });
}

/// Its drop panics, once for all that share the counter; each drop counts.
#[derive(Debug)]
struct Explosive(Arc<AtomicUsize>);

impl Drop for Explosive {
    fn drop(&mut self) {
        if self.0.fetch_add(1, Ordering::SeqCst) == 0 && !thread::panicking() {
            panic!("the first drop");
        }
    }
}

#[test]
fn a_message_whose_drop_panics_is_dropped_once_and_the_panic_comes_out() {
    for_each_capacity(|capacity| {
        if capacity == Some(0) {
            return;
        }
        let fits = capacity.map_or(5, |capacity| capacity.min(5));
        let dropped = Arc::new(AtomicUsize::new(0));
        let (s, r) = open(capacity);
        for _ in 0..fits {
            s.send(Explosive(Arc::clone(&dropped))).unwrap();
        }
        let panic = catch_unwind(AssertUnwindSafe(|| drop(r))).expect_err("the drop panics");
        assert_eq!(panic.downcast_ref(), Some(&"the first drop"));
        let dropped_once = dropped.load(Ordering::SeqCst);
        assert!((1..=fits).contains(&dropped_once), "{dropped_once} drops");
        // The channel is in order: it is disconnected, and gives messages back.
        let error = s.try_send(Explosive(Arc::clone(&dropped))).unwrap_err();
        assert!(error.is_disconnected());
        drop(error);
        drop(s);
        assert!(dropped.load(Ordering::SeqCst) <= fits + 1, "a double drop");
    });
}

/// A message that sends another when it is dropped, into its own channel.
#[derive(Debug)]
struct Echo(Option<Sender<Echo>>, Arc<AtomicUsize>);

impl Drop for Echo {
    fn drop(&mut self) {
        self.1.fetch_add(1, Ordering::SeqCst);
        if let Some(channel) = self.0.take() {
            let last = Echo(None, Arc::clone(&self.1));
            // Refused or full, the message comes back and is dropped here.
            drop(channel.try_send(last));
        }
    }
}

#[test]
fn a_message_may_send_into_its_own_channel_when_the_channel_drops_it() {
    for_each_capacity(|capacity| {
        if capacity == Some(0) {
            return;
        }
        let fits = capacity.unwrap_or(5);
        let dropped = Arc::new(AtomicUsize::new(0));
        let (s, r) = open(capacity);
        for _ in 0..fits {
            s.send(Echo(Some(s.clone()), Arc::clone(&dropped))).unwrap();
        }
        drop(s);
        drop(r);
        assert_eq!(dropped.load(Ordering::SeqCst), 2 * fits);
        assert_eq!(Arc::strong_count(&dropped), 1, "nothing is left anywhere");
    });
}

#[test]
fn a_message_may_send_into_its_own_channel_when_its_receiver_drops_it() {
    for_each_capacity(|capacity| {
        if capacity == Some(0) {
            return;
        }
        let dropped = Arc::new(AtomicUsize::new(0));
        let (s, r) = open(capacity);
        s.send(Echo(Some(s.clone()), Arc::clone(&dropped))).unwrap();
        drop(s);
        assert_eq!(r.iter().count(), 2, "the message and its echo");
        assert_eq!(dropped.load(Ordering::SeqCst), 2);
    });
}

#[test]
fn a_message_may_hold_the_receiver_of_its_own_channel() {
    // A cycle that only the receiver outside breaks; then nothing is left of it.
    struct Cycle(#[expect(dead_code, reason = "held, not used")] channel::Receiver<Cycle>);
    let (s, r) = unbounded();
    s.send(Cycle(r.clone())).unwrap();
    let taken = r.recv().unwrap();
    drop((taken, r));
    let error = s.try_send(Cycle(channel::never())).unwrap_err();
    assert!(error.is_disconnected());
}

/// Runs what it is given when its thread ends.
#[derive(Default)]
struct AtExit(RefCell<Option<Box<dyn FnOnce()>>>);

impl Drop for AtExit {
    fn drop(&mut self) {
        if let Some(work) = self.0.take() {
            work();
        }
    }
}

thread_local! {
    static AT_EXIT: AtExit = AtExit::default();
}

/// Runs `work` when the thread-locals of a thread go: before those of the channels if these were
/// set up first, after them otherwise.
fn while_a_thread_exits(channels_first: bool, work: impl FnOnce() + Send + 'static) {
    let touch_channels = || {
        let (_s, r) = bounded::<()>(0);
        assert!(r.recv_timeout(Duration::from_millis(1)).is_err());
    };
    let thread = thread::spawn(move || {
        if channels_first {
            touch_channels();
        }
        AT_EXIT.with(|at_exit| at_exit.0.replace(Some(Box::new(work))));
        if !channels_first {
            touch_channels();
        }
    });
    thread.join().unwrap();
}

#[test]
fn channels_work_in_the_destructor_of_a_thread_local() {
    for_each_capacity(|capacity| {
        for channels_first in [false, true] {
            let (s, r) = open(capacity);
            let (back_s, back_r) = open(capacity);
            let (done_s, done_r) = open::<&str>(None);
            let peer = thread::spawn(move || {
                for n in r {
                    back_s.send(n).unwrap();
                }
            });
            while_a_thread_exits(channels_first, move || {
                let (_idle_s, idle) = bounded::<()>(0);
                // All of these wait.
                s.send(1).unwrap();
                assert_eq!(back_r.recv(), Ok(1));
                assert!(idle.recv_timeout(Duration::from_millis(2)).is_err());
                select! {
                    recv(idle) -> _ => unreachable!("nobody sends"),
                    default(Duration::from_millis(2)) => {}
                }
                select! {
                    recv(idle) -> _ => unreachable!("nobody sends"),
                    send(s, 2) -> sent => sent.unwrap(),
                }
                assert_eq!(back_r.recv_timeout(AMPLE), Ok(2));
                done_s.send("to the end").unwrap();
            });
            peer.join().unwrap();
            assert_eq!(done_r.recv(), Ok("to the end"));
        }
    });
}
