//! How long a worker that found nothing looks into its inbox before it sleeps in the poller.
//!
//! Waking a thread that sleeps costs far more than what it is woken for: tens of microseconds where its
//! processor was halted meanwhile. Two tasks on two workers that talk to each other would pay that for
//! every word. So a worker whose waits are short waits a while with open eyes. This is competitive
//! spinning (Karlin, Li, Manasse and Owicki, *Empirical studies of competitive spinning for a
//! shared-memory multiprocessor*, SOSP 1991): to wait about as long as a sleep costs is at worst twice as
//! dear as to sleep at once, and only what the last waits were like says whether to do it.
//!
//! Invariants
//! 1. A worker lingers at most [`MOST`] at a time, and not past its next timer. It looks into its poller
//!    every [`SLICE`].
//! 2. Each wait in vain halves the time. Only a wait that another thread ended within [`MOST`] restores it,
//!    whether it was spent with open eyes or asleep. So a runtime that is idle, or waits for descriptors
//!    and timers, or for messages that come seldom, burns nothing. Where the process has one CPU there is
//!    no lingering: nobody could bring mail meanwhile.
//! 3. It is no step of the sleep protocol in `docs/design/idle.md`: it stands between two of them.

use std::cell::Cell;
use std::hint;
use std::time::{Duration, Instant};

/// The longest time to linger. More than a wake-up out of the poller takes (about 40 µs where it was
/// measured): of two workers that talk, one would otherwise fall asleep whenever the other wakes up.
const MOST: Duration = Duration::from_micros(100);
/// Below this there is no lingering: a time so short finds nothing.
const LEAST: Duration = Duration::from_micros(2);
/// The time between two looks into the poller.
const SLICE: Duration = Duration::from_micros(25);
/// Looks into the inbox between two looks at the clock.
const LOOKS: u32 = 16;

/// How long one worker lingers.
#[derive(Debug)]
pub(super) struct Linger {
    time: Cell<Duration>,
    cpus: usize,
}

impl Linger {
    /// For a worker that has not waited yet, in a process that has `cpus` CPUs.
    pub(super) fn new(cpus: usize) -> Self {
        Linger {
            time: Cell::new(Duration::ZERO),
            cpus,
        }
    }

    /// Whether the last waits were short enough.
    pub(super) fn is_worth_it(&self) -> bool {
        self.time.get() >= LEAST
    }

    /// Waits for `mail`, as long as is worth it and not longer than `timeout`. Calls `poll` now and then, which
    /// says whether it has brought something. True: mail is there, or it has.
    pub(super) fn wait(
        &self,
        timeout: Option<Duration>,
        mail: impl Fn() -> bool,
        poll: impl Fn() -> bool,
    ) -> bool {
        let time = self.time.get();
        let most = timeout.map_or(time, |timeout| timeout.min(time));
        let start = Instant::now();
        let mut next_poll = SLICE;
        loop {
            for _ in 0..LOOKS {
                if mail() {
                    self.time.set(MOST);
                    return true;
                }
                hint::spin_loop();
            }
            let waited = start.elapsed();
            if waited >= most {
                self.time.set(time / 2);
                return false;
            }
            if waited >= next_poll {
                next_poll = waited + SLICE;
                if poll() {
                    self.time.set(time / 2);
                    return true;
                }
            }
        }
    }

    /// Learns from a wait that ended in the poller, of which lingering was a part. `by_mail`: another
    /// thread ended it.
    pub(super) fn slept(&self, time: Duration, by_mail: bool) {
        if by_mail && time < MOST && self.cpus > 1 {
            self.time.set(MOST);
        }
    }
}

#[cfg(all(test, not(weftwork_loom)))]
mod tests {
    use super::*;

    fn no() -> bool {
        false
    }

    fn lingering() -> Linger {
        let linger = Linger::new(2);
        linger.slept(LEAST, true);
        assert!(linger.is_worth_it());
        linger
    }

    #[test]
    fn only_a_short_sleep_that_was_ended_by_mail_makes_it_worth_it() {
        let linger = Linger::new(2);
        assert!(!linger.is_worth_it());
        linger.slept(LEAST, false);
        assert!(!linger.is_worth_it());
        linger.slept(MOST, true);
        assert!(!linger.is_worth_it());
        linger.slept(LEAST, true);
        assert!(linger.is_worth_it());
    }

    #[test]
    fn it_is_never_worth_it_on_one_cpu() {
        let linger = Linger::new(1);
        linger.slept(LEAST, true);
        assert!(!linger.is_worth_it());
    }

    #[test]
    fn waits_in_vain_end_it() {
        let linger = lingering();
        let mut waits = 0;
        while linger.is_worth_it() {
            assert!(!linger.wait(None, no, no));
            waits += 1;
        }
        assert_eq!(waits, 6);
    }

    #[test]
    fn mail_restores_the_time_and_an_event_does_not() {
        let linger = lingering();
        assert!(!linger.wait(None, no, no));
        assert!(linger.time.get() < MOST);
        assert!(linger.wait(None, || true, no));
        assert_eq!(linger.time.get(), MOST);
        assert!(linger.wait(None, no, || true));
        assert!(linger.time.get() < MOST);
    }

    #[test]
    fn a_timer_that_is_due_leaves_no_time_to_poll() {
        let linger = lingering();
        assert!(!linger.wait(Some(Duration::ZERO), no, || panic!("it polled")));
    }
}
