//! [`Poller`]: waits for many file descriptors, and can be woken.
//!
//! Invariants:
//! 1. A blocking wait announces itself in the wake word before it enters the kernel and leaves the
//!    word after, on every path, so a wake is never lost and never written for nobody.
//! 2. A wait with timeout zero leaves the word alone. It may run beside a blocking one, and hands a
//!    wake event that it received on to the thread asleep.
//! 3. A signal never shortens a wait that the caller sees: the rest is computed from the deadline.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::{Duration, Instant};

use weftwork_core::sync::atomic::{AtomicU64, Ordering};

use crate::event::Events;
use crate::interest::{Interest, Mode};
use crate::stats::PollerStats;
use crate::sys::{ForkStamp, Selector, Timeouts};
use crate::token::Token;
use crate::wake_word::WakeWord;

/// Waits for readiness of many file descriptors at once; on Linux, one epoll set.
///
/// Every method takes `&self` and may be called from any thread at any time: descriptors may be
/// added while another thread waits. The poller does not own the descriptors. Delete one before
/// closing it: the kernel forgets a descriptor only when its last duplicate is closed, and until
/// then goes on reporting it.
///
/// Descriptors that are always ready (regular files, `/dev/null`) are refused.
///
/// All of its own descriptors are close-on-exec. In a child made by `fork` every method fails: the
/// child shares the kernel's set with its parent and would take registrations away from it.
#[derive(Debug)]
pub struct Poller {
    selector: Selector,
    word: WakeWord,
    stamp: ForkStamp,
    polls: AtomicU64,
    events: AtomicU64,
    wakes_written: AtomicU64,
    wakes_elided: AtomicU64,
    wakes_forwarded: AtomicU64,
}

impl Poller {
    /// Makes a poller. Timeouts are honoured to the nanosecond where the kernel can (Linux 5.11).
    ///
    /// # Errors
    ///
    /// The system's error if descriptors or memory have run out.
    pub fn new() -> io::Result<Poller> {
        Poller::with(Timeouts::Best)
    }

    /// Makes a poller that counts timeouts in milliseconds, as on an older kernel.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn with_millisecond_timeouts() -> io::Result<Poller> {
        Poller::with(Timeouts::Milliseconds)
    }

    fn with(timeouts: Timeouts) -> io::Result<Poller> {
        Ok(Poller {
            selector: Selector::new(timeouts)?,
            word: WakeWord::new(),
            stamp: ForkStamp::new(),
            polls: AtomicU64::new(0),
            events: AtomicU64::new(0),
            wakes_written: AtomicU64::new(0),
            wakes_elided: AtomicU64::new(0),
            wakes_forwarded: AtomicU64::new(0),
        })
    }

    /// Tells whether timeouts are honoured to the nanosecond, not rounded up to milliseconds.
    #[must_use]
    pub fn has_nanosecond_timeouts(&self) -> bool {
        self.selector.is_nanosecond()
    }

    /// Adds `fd` to the set, to be reported under `token`.
    ///
    /// A condition that already holds is reported by the next wait, in every mode.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` if `fd` is in the set, `PermissionDenied` if it is always ready and cannot
    /// be polled, `InvalidInput` for [`Token::RESERVED`], for the poller itself and for a cycle or
    /// too deep a nesting of pollers, `Unsupported` in a forked child, and the system's errors. The
    /// set is then as it was.
    pub fn add(&self, fd: RawFd, token: Token, interest: Interest, mode: Mode) -> io::Result<()> {
        self.check_change(token)?;
        self.selector.add(fd, token, interest, mode)
    }

    /// Changes what `fd` is reported for, and under which token.
    ///
    /// Arms a oneshot registration again. A condition that holds is reported anew, in every mode,
    /// even if nothing changed.
    ///
    /// # Errors
    ///
    /// `NotFound` if `fd` is not in the set; otherwise as [`add`](Self::add).
    pub fn modify(
        &self,
        fd: RawFd,
        token: Token,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        self.check_change(token)?;
        self.selector.modify(fd, token, interest, mode)
    }

    /// Takes `fd` out of the set. No wait that starts later reports it; one under way may.
    ///
    /// # Errors
    ///
    /// `NotFound` if `fd` is not in the set, `Unsupported` in a forked child, or the system's
    /// error, such as that of a descriptor that was closed before.
    pub fn delete(&self, fd: RawFd) -> io::Result<()> {
        self.stamp.check_pid()?;
        self.selector.delete(fd)
    }

    fn check_change(&self, token: Token) -> io::Result<()> {
        self.stamp.check_pid()?;
        if token == Token::RESERVED {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the token of all ones is reserved for the poller",
            ));
        }
        Ok(())
    }

    /// Waits until something is ready, the timeout ends, or a wake; returns the number of events.
    ///
    /// `None` waits without limit. `Some(Duration::ZERO)` looks and returns at once, may be called
    /// beside a wait that blocks, and neither consumes a [`wake`](Self::wake) nor robs the other of
    /// it. Any other timeout is rounded up, never down, and one beyond the range of the clock is no
    /// limit. A signal does not end the wait.
    ///
    /// Zero events do not mean that the timeout ended: compare with the clock. Several threads may
    /// wait at once; each event goes to one of them in [`Mode::Edge`] and the oneshot modes.
    ///
    /// # Errors
    ///
    /// `Unsupported` in a forked child; otherwise the system's error.
    pub fn wait(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<usize> {
        self.wait_with(events, timeout, || true)
    }

    /// Waits as [`wait`](Self::wait) does, after a last look at the caller's own queues.
    ///
    /// `may_sleep` is called once the wait has announced that it is about to sleep: whoever
    /// produces work after that call and then calls [`wake`](Self::wake) ends the wait. If it
    /// returns false, the wait does not block. It is not called when the wait would not block
    /// anyway.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    pub fn wait_with(
        &self,
        events: &mut Events,
        timeout: Option<Duration>,
        may_sleep: impl FnOnce() -> bool,
    ) -> io::Result<usize> {
        events.clear();
        self.stamp.check()?;
        let result = if timeout.is_some_and(|t| t.is_zero()) {
            self.look(events)
        } else if self.word.enter_sleep() {
            let asleep = Asleep(&self.word);
            if may_sleep() {
                let result = self.sleep(events, timeout);
                events.woken = asleep.leave();
                result
            } else {
                events.woken = asleep.leave();
                self.look(events)
            }
        } else {
            events.woken = true;
            self.look(events)
        };
        self.polls.fetch_add(1, Ordering::Relaxed); // Relaxed: a counter.
        if let Ok(found @ 1..) = result {
            self.events.fetch_add(found as u64, Ordering::Relaxed); // Relaxed: a counter.
        }
        result
    }

    /// Collects what is ready, without blocking.
    fn look(&self, events: &mut Events) -> io::Result<usize> {
        loop {
            match self
                .selector
                .select(&mut events.buffer, Some(Duration::ZERO))
            {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
                Ok(0) => return Ok(0),
                Ok(_) => break,
            }
        }
        if events.buffer.take_wake() && self.word.must_forward() {
            self.wakes_forwarded.fetch_add(1, Ordering::Relaxed); // Relaxed: a counter.
            self.selector.wake()?;
        }
        Ok(events.len())
    }

    /// Blocks. The caller has entered sleep in the wake word and leaves it afterwards.
    fn sleep(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<usize> {
        let deadline = timeout.and_then(|t| Instant::now().checked_add(t));
        let mut left = deadline.and(timeout);
        loop {
            match self.selector.select(&mut events.buffer, left) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
                Ok(0) => {}
                Ok(_) => {
                    events.buffer.take_wake();
                    return Ok(events.len());
                }
            }
            // A signal, the end of the timeout, or of the part of it that the kernel could
            // represent.
            left = match deadline {
                None => None,
                Some(deadline) => match deadline.checked_duration_since(Instant::now()) {
                    None | Some(Duration::ZERO) => return Ok(0),
                    rest => rest,
                },
            };
        }
    }

    /// Ends one wait: the one that blocks now, or else the next that would block.
    ///
    /// Wakes that nobody consumed yet merge into one. If no thread sleeps, or a wake is under way,
    /// this is one atomic operation; otherwise one `write`. What the caller wrote before is visible
    /// to the thread that consumes the wake.
    ///
    /// # Errors
    ///
    /// `Unsupported` in a forked child; otherwise the system's error, which does not occur while
    /// the poller lives.
    pub fn wake(&self) -> io::Result<()> {
        self.stamp.check()?;
        if self.word.notify() {
            self.wakes_written.fetch_add(1, Ordering::Relaxed); // Relaxed: a counter.
            self.selector.wake()
        } else {
            self.wakes_elided.fetch_add(1, Ordering::Relaxed); // Relaxed: a counter.
            Ok(())
        }
    }

    /// Returns the counters. Those of waits and wakes under way may be missing.
    #[must_use]
    pub fn stats(&self) -> PollerStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed); // Relaxed: counters.
        PollerStats {
            polls: read(&self.polls),
            events: read(&self.events),
            wakes_written: read(&self.wakes_written),
            wakes_elided: read(&self.wakes_elided),
            wakes_forwarded: read(&self.wakes_forwarded),
        }
    }

    /// Adds on behalf of the driver, which has called `check_process` and makes its own tokens.
    pub(crate) fn add_checked(
        &self,
        fd: RawFd,
        token: Token,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        self.selector.add(fd, token, interest, mode)
    }

    /// Deletes on behalf of the driver, which has called `check_process`.
    pub(crate) fn delete_checked(&self, fd: RawFd) -> io::Result<()> {
        self.selector.delete(fd)
    }

    /// Replaces the kernel's set by one of `members` alone. The caller sees to it that the set is
    /// not changed meanwhile.
    pub(crate) fn rebuild(
        &self,
        members: impl Iterator<Item = (RawFd, Token, Interest)>,
        mode: Mode,
    ) -> io::Result<()> {
        self.selector.rebuild(members, mode)?;
        // A thread asleep in the old set would sleep on there, deaf to new registrations.
        self.selector.wake()
    }

    /// Fails in a forked child of the process that made the poller.
    pub(crate) fn check_process(&self) -> io::Result<()> {
        self.stamp.check_pid()
    }
}

/// Leaves sleep in the wake word, also when the caller's closure panics.
struct Asleep<'a>(&'a WakeWord);

impl Asleep<'_> {
    fn leave(self) -> bool {
        let woken = self.0.leave_sleep();
        std::mem::forget(self);
        woken
    }
}

impl Drop for Asleep<'_> {
    fn drop(&mut self) {
        // Reached only by unwinding: the wake that this consumes, if any, must not be lost.
        if self.0.leave_sleep() {
            let _ = self.0.notify();
        }
    }
}

impl AsFd for Poller {
    /// Lends the epoll descriptor, for another loop to wait on: it is readable when a wait would
    /// find an event. A wake shows there only while a wait blocks.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.selector.as_fd()
    }
}

impl AsRawFd for Poller {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}
