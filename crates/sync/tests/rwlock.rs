//! The reader-writer lock: exclusion, phases, timeouts, cancellation, and a sequential model.

mod support;

use proptest::prelude::*;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use support::{all_kinds, poll, runtime};
use weftwork_sync::{ReadFuture, RwLock, RwLockReadGuard, RwLockWriteGuard, WriteFuture};
use weftwork_testkit::{iters, watchdog};

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn writers_of_every_kind_add_up_and_readers_see_whole_values() {
    let _dog = watchdog(LIMIT);
    let each = iters(3_000, 500, 50) as u64;
    let lock = Arc::new(RwLock::new((0_u64, 0_u64)));
    let (blocking, asynchronous) = (Arc::clone(&lock), Arc::clone(&lock));
    let parties = all_kinds(
        move || {
            for _ in 0..each {
                {
                    let mut pair = blocking.write();
                    pair.0 += 1;
                    pair.1 += 1;
                }
                let pair = blocking.read();
                assert_eq!(pair.0, pair.1);
            }
        },
        || {
            let lock = Arc::clone(&asynchronous);
            async move {
                for _ in 0..each {
                    {
                        let mut pair = lock.write_async().await;
                        pair.0 += 1;
                        pair.1 += 1;
                    }
                    let pair = lock.read_async().await;
                    assert_eq!(pair.0, pair.1);
                }
            }
        },
    );
    assert_eq!(*lock.read(), (parties * each, parties * each));
    assert!(!lock.is_locked());
}

#[test]
fn readers_share_and_writers_exclude() {
    let lock = RwLock::new(1);
    let (a, b) = (lock.read(), lock.try_read().unwrap());
    assert!(lock.try_write().is_none());
    drop((a, b));
    let guard = lock.write();
    assert!(lock.try_read().is_none() && lock.try_write().is_none());
    drop(guard);
    assert!(lock.try_write().is_some());
}

#[test]
fn phases_alternate_whoever_came_first() {
    let lock = RwLock::new(());
    let inside = lock.read();
    let mut writers = [(); 2].map(|()| Box::pin(lock.write_async()));
    let mut readers = [(); 2].map(|()| Box::pin(lock.read_async()));
    assert!(poll(writers[0].as_mut()).is_pending());
    // New readers wait behind the writer, though a reader is inside.
    assert!(lock.try_read().is_none());
    assert!(poll(readers[0].as_mut()).is_pending());
    assert!(poll(writers[1].as_mut()).is_pending());
    assert!(poll(readers[1].as_mut()).is_pending());
    drop(inside);
    let std::task::Poll::Ready(writer) = poll(writers[0].as_mut()) else {
        panic!("a writer's phase");
    };
    assert!(poll(readers[0].as_mut()).is_pending());
    drop(writer);
    // All readers that wait are next, also the one that came after the second writer.
    assert!(poll(writers[1].as_mut()).is_pending());
    let inside = readers.each_mut().map(|reader| poll(reader.as_mut()));
    assert!(inside.iter().all(std::task::Poll::is_ready));
    assert!(poll(writers[1].as_mut()).is_pending());
    drop(inside);
    assert!(poll(writers[1].as_mut()).is_ready());
}

#[test]
fn a_crowd_of_readers_is_let_in_whole() {
    let lock = RwLock::new(());
    let guard = lock.write();
    let mut crowd: Vec<_> = (0..100).map(|_| Box::pin(lock.read_async())).collect();
    for reader in &mut crowd {
        assert!(poll(reader.as_mut()).is_pending());
    }
    let mut writer = pin!(lock.write_async());
    assert!(poll(writer.as_mut()).is_pending());
    drop(guard);
    let inside: Vec<_> = crowd
        .iter_mut()
        .map(|reader| poll(reader.as_mut()))
        .collect();
    assert!(inside.iter().all(std::task::Poll::is_ready));
    assert!(poll(writer.as_mut()).is_pending());
    drop(inside);
    assert!(poll(writer.as_mut()).is_ready());
}

#[test]
fn a_downgrade_lets_readers_in_and_no_writer() {
    let lock = RwLock::new(1);
    let guard = lock.write();
    let mut reader = pin!(lock.read_async());
    let mut writer = pin!(lock.write_async());
    assert!(poll(reader.as_mut()).is_pending());
    assert!(poll(writer.as_mut()).is_pending());
    let guard = RwLockWriteGuard::downgrade(guard);
    assert!(poll(writer.as_mut()).is_pending());
    drop(guard);
    // The reader's phase or the writer's: one of them, and then the other.
    if poll(reader.as_mut()).is_ready() {
        assert!(poll(writer.as_mut()).is_ready());
    } else {
        assert!(poll(writer.as_mut()).is_ready());
        assert!(poll(reader.as_mut()).is_ready());
    }
}

#[test]
fn what_a_dropped_future_was_given_goes_on() {
    let lock = RwLock::new(());
    let guard = lock.write();
    let mut writer = Box::pin(lock.write_async());
    let mut reader = pin!(lock.read_async());
    assert!(poll(writer.as_mut()).is_pending());
    drop(guard);
    // The writer has the lock and does not know it yet.
    assert!(poll(reader.as_mut()).is_pending());
    drop(writer);
    assert!(poll(reader.as_mut()).is_ready());
}

#[test]
fn timeouts_are_never_early_and_a_writer_that_gives_up_lets_readers_in() {
    let _dog = watchdog(LIMIT);
    let lock = RwLock::new(());
    let inside = lock.read();
    std::thread::scope(|s| {
        let writer = s.spawn(|| {
            let start = Instant::now();
            assert!(lock.write_timeout(Duration::from_millis(20)).is_err());
            assert!(start.elapsed() >= Duration::from_millis(20));
        });
        let reader = s.spawn(|| drop(lock.read()));
        writer.join().unwrap();
        reader.join().unwrap();
    });
    drop(inside);
    let guard = lock.write();
    assert!(lock.read_deadline(Instant::now()).is_err());
    assert!(lock.read_timeout(Duration::from_millis(1)).is_err());
    drop(guard);
    assert!(lock.read_timeout(Duration::MAX).is_ok());
}

#[test]
fn cancelled_green_threads_leave_the_line() {
    let _dog = watchdog(LIMIT);
    runtime().run(|| {
        let lock = Arc::new(RwLock::new(()));
        let guard = lock.write();
        let waiting = Arc::new(AtomicUsize::new(0));
        let parties: Vec<_> = (0..4)
            .map(|n| {
                let (lock, waiting) = (Arc::clone(&lock), Arc::clone(&waiting));
                weftwork_sched::spawn(move || {
                    waiting.fetch_add(1, Ordering::SeqCst);
                    if n % 2 == 0 {
                        drop(lock.read());
                    } else {
                        drop(lock.write());
                    }
                })
            })
            .collect();
        while waiting.load(Ordering::SeqCst) < 4 {
            weftwork_sched::yield_now();
        }
        for party in &parties {
            party.task_ref().cancel();
        }
        for party in parties {
            assert!(party.join().unwrap_err().is_cancelled());
        }
        drop(guard);
        assert!(lock.try_write().is_some());
    });
}

/// What one party of the model below does.
enum Party<'a> {
    Out,
    Reads(Pin<Box<ReadFuture<'a, ()>>>),
    Writes(Pin<Box<WriteFuture<'a, ()>>>),
    Reader(#[allow(dead_code, reason = "held")] RwLockReadGuard<'a, ()>),
    Writer(#[allow(dead_code, reason = "held")] RwLockWriteGuard<'a, ()>),
}

/// The sequential lock: who is inside, who waits, and whose phase is next.
#[derive(Default)]
struct Sequential {
    readers: Vec<usize>,
    writer: Option<usize>,
    /// Those that wait, and whether for writing.
    line: Vec<(usize, bool)>,
    readers_next: bool,
}

impl Sequential {
    fn ask(&mut self, n: usize, writes: bool) {
        let is_free = self.writer.is_none() && self.line.is_empty();
        if is_free && writes && self.readers.is_empty() {
            self.writer = Some(n);
        } else if is_free && !writes {
            self.readers.push(n);
        } else {
            self.line.push((n, writes));
        }
        self.settle();
    }

    fn leave(&mut self, n: usize) {
        self.line.retain(|(other, _)| *other != n);
        self.readers.retain(|other| *other != n);
        if self.writer == Some(n) {
            self.writer = None;
            // Remembered for as long as somebody waits.
            self.readers_next |= !self.line.is_empty();
        }
        self.settle();
    }

    fn settle(&mut self) {
        if self.line.is_empty() {
            // Whoever comes later has waited for no writer yet.
            self.readers_next = false;
        }
        if self.writer.is_some() {
            return;
        }
        let writer = self.line.iter().position(|(_, writes)| *writes);
        let has_readers = self.line.iter().any(|(_, writes)| !writes);
        if self.readers.is_empty()
            && let Some(first) = writer
            && !(has_readers && self.readers_next)
        {
            self.writer = Some(self.line.remove(first).0);
            self.readers_next &= !self.line.is_empty();
        } else if has_readers && (self.readers.is_empty() || writer.is_none()) {
            self.readers_next = false;
            self.line.retain(|(n, writes)| {
                if !writes {
                    self.readers.push(*n);
                }
                *writes
            });
        }
    }

    fn is_inside(&self, n: usize) -> bool {
        self.writer == Some(n) || self.readers.contains(&n)
    }
}

proptest! {
    /// Six parties that ask, look and leave, against the sequential lock.
    #[test]
    fn the_lock_does_what_the_sequential_one_does(
        steps in proptest::collection::vec((0..6_usize, 0..4_u8), 0..60)
    ) {
        let lock = RwLock::new(());
        let mut model = Sequential::default();
        let mut parties: Vec<Party<'_>> = (0..6).map(|_| Party::Out).collect();
        for (n, step) in steps {
            parties[n] = match (std::mem::replace(&mut parties[n], Party::Out), step) {
                (Party::Out, 0 | 1) => {
                    let mut future = Box::pin(lock.read_async());
                    model.ask(n, false);
                    match poll(future.as_mut()) {
                        std::task::Poll::Ready(guard) => Party::Reader(guard),
                        std::task::Poll::Pending => Party::Reads(future),
                    }
                }
                (Party::Out, _) => {
                    let mut future = Box::pin(lock.write_async());
                    model.ask(n, true);
                    match poll(future.as_mut()) {
                        std::task::Poll::Ready(guard) => Party::Writer(guard),
                        std::task::Poll::Pending => Party::Writes(future),
                    }
                }
                (Party::Reads(mut future), 0..=2) => match poll(future.as_mut()) {
                    std::task::Poll::Ready(guard) => Party::Reader(guard),
                    std::task::Poll::Pending => Party::Reads(future),
                },
                (Party::Writes(mut future), 0..=2) => match poll(future.as_mut()) {
                    std::task::Poll::Ready(guard) => Party::Writer(guard),
                    std::task::Poll::Pending => Party::Writes(future),
                },
                (party, _) => {
                    drop(party);
                    model.leave(n);
                    Party::Out
                }
            };
            match parties[n] {
                Party::Reader(_) | Party::Writer(_) => prop_assert!(model.is_inside(n)),
                _ => prop_assert!(step == 3 || !model.is_inside(n)),
            }
            prop_assert_eq!(lock.is_locked_exclusive(), model.writer.is_some());
            let is_locked = model.writer.is_some() || !model.readers.is_empty();
            prop_assert_eq!(lock.is_locked(), is_locked);
        }
        drop(parties);
        prop_assert!(!lock.is_locked());
    }
}
