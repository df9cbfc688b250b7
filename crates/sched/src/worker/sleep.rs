//! Sleeping in the poller, and the looks at the clock, the poller and the timers in between.
//!
//! The protocol is in `docs/design/idle.md`. In short: count as asleep, look once more into every
//! queue, perhaps linger, announce the sleep in the inbox, wait in the poller until an event, a timer or a wake.

use super::Worker;
use crate::foreign;
use crate::home::Published;
use crate::idle::Woken;
use std::time::{Duration, Instant};
use weftwork_core::sync::atomic::Ordering;
use weftwork_reactor::Clock;

/// Turns of the loop before the first look at the clock.
pub(super) const CHECK_FIRST: u64 = 61;
const CHECK_MOST: u64 = 2048;
/// How long a busy worker goes without a look at its poller and timers, about.
const CHECK_TARGET: Duration = Duration::from_micros(100);
/// The least time, in nanoseconds, between two times a worker wakes for timers.
const TIMER_GAP: u64 = 500_000;
/// Parked stacks that are looked at for unused pages before the poller is looked at again.
const SWEEP_BATCH: usize = 256;
/// How long the root sleeps while no stack is to be had: others may free one without a word.
const NO_STACK_NAP: Duration = Duration::from_millis(10);

impl Worker {
    /// Looks at poller and timers without waiting, and sets how many turns later to do so again.
    #[cold]
    pub(super) fn check_clock(&self) {
        let now = Instant::now();
        let elapsed = now.duration_since(self.checked_at.get());
        self.checked_at.set(now);
        let every = self.check_every.get();
        let every = if elapsed > CHECK_TARGET {
            every / 2
        } else {
            every * 2
        };
        let every = every.clamp(1, CHECK_MOST);
        self.check_every.set(every);
        self.next_check.set(self.tick.get() + every);
        self.turn(Some(Duration::ZERO));
        self.fire_due();
        if let Some(Some(deadline)) = self.stop_at.get()
            && deadline <= now
        {
            self.leave_loop();
        }
    }

    /// Whether the last look is as long ago as one should be at most.
    pub(super) fn check_is_due(&self) -> bool {
        self.checked_at.get().elapsed() > CHECK_TARGET
    }

    /// Waits until there may be something to do.
    pub(super) fn sleep(&self, start_new: bool) {
        let searching = self.searching.replace(false);
        // Without a stack it is no use to those who have work: they are to wake another.
        if start_new {
            self.shared.idle.sleep(self.index, searching);
        } else if searching && self.shared.idle.found() {
            self.shared.work_published();
        }
        let seen = start_new && self.work_in_sight();
        if !seen {
            self.wait_for_events(start_new);
        }
        if start_new && self.shared.idle.wake_up(self.index) == Woken::ForWork {
            self.searching.set(true);
        }
        self.shared.monitor.note_awake();
    }

    /// Lingers, then sleeps in the poller, until there is mail, an event or a timer.
    fn wait_for_events(&self, start_new: bool) {
        let inbox = &self.home().inbox;
        let idle_since = Instant::now();
        // The protocol allows any time before the announcement: whoever publishes meanwhile kicks us.
        if self.linger.is_worth_it() {
            let poll = || {
                self.turn(Some(Duration::ZERO));
                !self.ready.is_empty() || (start_new && self.has_own_tasks())
            };
            let timeout = self.sleep_at_most(start_new);
            if self.linger.wait(timeout, || inbox.has_mail(), poll) {
                return;
            }
        }
        if !inbox.announce_sleep() {
            return;
        }
        let mut timeout = self.sleep_at_most(start_new);
        self.shared.note_quiet();
        Published::bump(&self.home().published.sleeps);
        if timeout != Some(Duration::ZERO) && self.shrink() {
            timeout = Some(Duration::ZERO);
        }
        let asleep = &self.home().published.asleep;
        // Relaxed, both: for the monitor's looks.
        asleep.store(true, Ordering::Relaxed);
        self.turn(timeout);
        asleep.store(false, Ordering::Relaxed);
        let by_mail = !inbox.is_announced();
        self.take_mail();
        self.fire_due();
        let now = Instant::now();
        self.linger.slept(now - idle_since, by_mail);
        self.hasty.set(false);
        self.checked_at.set(now);
        self.next_check
            .set(self.tick.get() + self.check_every.get());
    }

    /// How long a sleep may last.
    fn sleep_at_most(&self, start_new: bool) -> Option<Duration> {
        let timeout = if start_new {
            self.until_next_timer()
        } else {
            Some(NO_STACK_NAP)
        };
        let Some(Some(deadline)) = self.stop_at.get() else {
            return timeout;
        };
        let left = deadline.saturating_duration_since(Instant::now());
        Some(timeout.map_or(left, |timeout| timeout.min(left)))
    }

    /// How long until a timer is due; `None` without timers.
    ///
    /// A timer that is alone fires as soon as it is due. Where timers are dense the worker does not
    /// wake for each: it sleeps at least `TIMER_GAP` from one batch to the next.
    fn until_next_timer(&self) -> Option<Duration> {
        let next = self.home().wheel.lock().next_deadline()?;
        let next = next.max(self.fired_at.get().saturating_add(TIMER_GAP));
        Clock::remaining(self.shared.clock.now_ns(), next)
    }

    /// Lets the poller call wakers.
    fn turn(&self, timeout: Option<Duration>) {
        // Borrowed only if a waker came back here, which must not wait in the poller again.
        let Ok(mut events) = self.events.try_borrow_mut() else {
            return;
        };
        let before = self.no_park.replace(true);
        // A waker that panics does so after the others were called.
        let turn = foreign::call(|| self.home().driver.turn(&mut events, timeout));
        self.no_park.set(before);
        if let Some(Err(error)) = turn {
            // The kernel refuses to wait on a set of our own: nothing sensible is left to do.
            panic!("worker {} cannot poll: {error}", self.index);
        }
    }

    /// Calls the wakers of timers that are due.
    pub(super) fn fire_due(&self) {
        // Taken out: a waker may do anything but wait.
        let mut due = self.due.take();
        let mut now = 0;
        {
            let mut wheel = self.home().wheel.lock();
            if !wheel.is_empty() {
                now = self.shared.clock.now_ns();
                wheel.advance(now, &mut due);
            }
        }
        if !due.is_empty() {
            self.fired_at.set(now);
            let before = self.no_park.replace(true);
            for waker in due.drain(..) {
                foreign::call(|| waker.wake());
            }
            self.no_park.set(before);
        }
        self.due.replace(due);
    }

    /// Whether the time slice of the running task was ended by the monitor.
    #[inline]
    pub(super) fn slice_is_over(&self) -> bool {
        let preempt = &self.home().preempt;
        // Relaxed: a hint.
        if preempt.load(Ordering::Relaxed) {
            preempt.store(false, Ordering::Relaxed);
            return true;
        }
        false
    }

    /// Before a sleep: gives surplus idle carriers back, and what the monitor asks for. True: there is
    /// more to give back, so the sleep is to be short.
    fn shrink(&self) -> bool {
        self.retire_idle(super::MAX_IDLE / 2);
        let sweep = &self.home().sweep;
        // Relaxed, both: ordered by the kick that comes with it; cleared by this thread alone.
        if !sweep.load(Ordering::Relaxed) {
            return false;
        }
        let more = self.trim_parked();
        sweep.store(more, Ordering::Relaxed);
        more
    }

    /// Gives unused pages of some parked stacks back. True: there are more.
    fn trim_parked(&self) -> bool {
        let mut batch = Vec::with_capacity(SWEEP_BATCH);
        self.each_carrier(|carrier| {
            if batch.len() < SWEEP_BATCH && carrier.parked.get() && !carrier.trimmed.replace(true) {
                batch.push(std::ptr::from_ref(carrier));
            }
        });
        for carrier in &batch {
            // SAFETY: it is parked, hence alive and switched away, and this is its worker's thread,
            // which does nothing else meanwhile.
            unsafe { (**carrier).trim() };
        }
        batch.len() == SWEEP_BATCH
    }
}
