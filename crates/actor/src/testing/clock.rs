//! A clock that stands still until somebody moves it.
//!
//! Invariants
//! 1. `entries` holds the wakers of the alarms that have neither fired nor been dropped, in the order in
//!    which they fire: by time, and among equals by age.
//! 2. An alarm whose time has come when it is set fires at once: none is missed by one that moves the clock
//!    meanwhile.
//! 3. Wakers are called and dropped without the lock.

use crate::executor::{Engine, Executor, System, engine};
use crate::testing::hooks::{Hooked, Hooks};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};
use weftwork_core::sync::Mutex;

/// A clock that a test moves, and actors go by. Clones are the same clock.
///
/// Actors of a [`System::with_clock`], and those of a [`Lab`](crate::testing::Lab), take from it the time of
/// their timers, the limits of asks, tells, starts and watches, back-off and restart limits of supervisors, and
/// the time-outs of state machines. What is due fires in order of its time, and of its age among equals.
///
/// An [`advance`](Self::advance) wakes; it does not wait for those who are woken. Between two alarms that one
/// advance passes, an actor on a scheduler may or may not have run. Ask it something in between, or use a lab,
/// where everybody comes to rest before time goes on.
///
/// ```
/// use std::time::Duration;
/// use weftwork_actor::testing::{ManualClock, Probe};
/// use weftwork_actor::{Actor, Context, Handler, InitError, Options, Recipient, System, start};
///
/// /// Tells somebody that an hour is over.
/// struct Hourglass(Recipient<&'static str>);
///
/// struct Over;
///
/// impl Actor for Hourglass {
///     type Args = Recipient<&'static str>;
///     fn init(to: Self::Args, ctx: &mut Context<Self>) -> Result<Self, InitError> {
///         ctx.send_after(Duration::from_secs(3600), Over);
///         Ok(Hourglass(to))
///     }
/// }
///
/// impl Handler<Over> for Hourglass {
///     type Reply = ();
///     fn handle(&mut self, _: Over, _: &mut Context<Self>) {
///         self.0.tell("over").unwrap();
///     }
/// }
///
/// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
/// let clock = ManualClock::new();
/// let system = System::with_clock(rt.handle(), &clock);
/// let probe = Probe::<&'static str>::start(&system);
/// let glass = start::<Hourglass>(&system, probe.recipient(), Options::new())?;
/// clock.advance(Duration::from_secs(3599));
/// probe.expect_none(Duration::ZERO);
/// clock.advance(Duration::from_secs(1));
/// probe.expect("over");
/// # glass.kill();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ManualClock(Arc<Shared>);

struct Shared {
    start: Instant,
    state: Mutex<State>,
}

struct State {
    now: Instant,
    entries: BTreeMap<Key, Waker>,
    ages: u64,
}

/// When an alarm fires, and how old it is.
type Key = (Instant, u64);

impl ManualClock {
    /// A clock that stands.
    #[must_use]
    pub fn new() -> Self {
        let start = Instant::now();
        ManualClock(Arc::new(Shared {
            start,
            state: Mutex::new(State {
                now: start,
                entries: BTreeMap::new(),
                ages: 0,
            }),
        }))
    }

    /// The time that it shows.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.0.state.lock().now
    }

    /// How far it was moved since it was made.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.now().duration_since(self.0.start)
    }

    /// How long it is until the next alarm; `None` if there is none.
    #[must_use]
    pub fn until_next(&self) -> Option<Duration> {
        let state = self.0.state.lock();
        let ((due, _), _) = state.entries.first_key_value()?;
        Some(due.saturating_duration_since(state.now))
    }

    /// Moves the clock, alarm by alarm. It does not wait for whoever is woken.
    ///
    /// # Panics
    /// No clock can tell a time that late.
    pub fn advance(&self, by: Duration) {
        let end = self.now().checked_add(by).expect("the time can be told");
        while self.fire_until(Some(end)) {}
    }

    /// Moves the clock to the next alarm, and says how far that was. All that is due then has fired. `None`:
    /// there is no alarm, and the clock stands.
    pub fn advance_to_next(&self) -> Option<Duration> {
        let by = self.until_next()?;
        self.advance(by);
        Some(by)
    }

    /// Fires the next alarm; if none is due by `end`, moves the clock there and returns false.
    pub(super) fn fire_until(&self, end: Option<Instant>) -> bool {
        let mut state = self.0.state.lock();
        let next = state.entries.first_key_value().map(|(key, _)| *key);
        let due = next.filter(|(due, _)| end.is_none_or(|end| *due <= end));
        let Some(key) = due else {
            if let Some(end) = end {
                state.now = state.now.max(end);
            }
            return false;
        };
        let waker = state.entries.remove(&key);
        state.now = state.now.max(key.0);
        drop(state);
        waker.into_iter().for_each(Waker::wake);
        true
    }

    /// Forgets all alarms.
    pub(super) fn clear(&self) {
        let entries = std::mem::take(&mut self.0.state.lock().entries);
        drop(entries);
    }

    /// Calls `waker` at `due`, unless the alarm is dropped first.
    pub(crate) fn call_at(&self, due: Instant, waker: Waker) -> Alarm {
        let mut state = self.0.state.lock();
        let key = (due, state.ages);
        state.ages += 1;
        let is_due = due <= state.now;
        if !is_due {
            state.entries.insert(key, waker.clone());
        }
        drop(state);
        if is_due {
            waker.wake();
        }
        Alarm {
            clock: Some(self.clone()),
            key,
        }
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        ManualClock::new()
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManualClock")
            .field("elapsed", &self.elapsed())
            .field("until_next", &self.until_next())
            .finish()
    }
}

/// A wake that is to come. Dropping it calls that off.
pub(crate) struct Alarm {
    /// `None`: it fires, whoever forgets it.
    clock: Option<ManualClock>,
    key: Key,
}

impl Alarm {
    pub(crate) fn deadline(&self) -> Instant {
        self.key.0
    }

    /// Lets it fire, whoever forgets it.
    pub(super) fn detach(mut self) {
        self.clock = None;
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if let Some(clock) = &self.clock {
            let waker = clock.0.state.lock().entries.remove(&self.key);
            // The lock is released by now.
            drop(waker);
        }
    }
}

impl System {
    /// An executor whose actors go by `clock`.
    ///
    /// ```
    /// use weftwork_actor::System;
    /// use weftwork_actor::testing::ManualClock;
    ///
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// let clock = ManualClock::new();
    /// let system = System::with_clock(rt.handle(), &clock);
    /// # drop(system);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_clock<E: Executor>(executor: &E, clock: &ManualClock) -> System {
        let inner = engine(executor);
        let hooks = Hooks::new(clock.clone(), None);
        let hooked: Arc<dyn Engine> = Arc::new(Hooked::new(inner, hooks));
        System(hooked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Wake;

    struct Note(u32, Arc<Mutex<Vec<u32>>>);

    impl Wake for Note {
        fn wake(self: Arc<Self>) {
            self.1.lock().push(self.0);
        }
    }

    #[test]
    fn alarms_fire_by_time_and_then_by_age_and_dropped_ones_do_not() {
        let clock = ManualClock::new();
        let fired = Arc::new(Mutex::new(Vec::new()));
        let set = |n, ms| {
            let due = clock.now() + Duration::from_millis(ms);
            let note = Arc::new(Note(n, Arc::clone(&fired)));
            clock.call_at(due, Waker::from(note))
        };
        let _alarms = [set(1, 20), set(2, 10), set(3, 20), set(4, 40)];
        drop(set(5, 15));
        let at_once = set(6, 0);
        assert_eq!(*fired.lock(), [6]);
        drop(at_once);
        clock.advance(Duration::from_millis(30));
        assert_eq!(*fired.lock(), [6, 2, 1, 3]);
        assert_eq!(clock.elapsed(), Duration::from_millis(30));
        assert_eq!(clock.advance_to_next(), Some(Duration::from_millis(10)));
        assert_eq!(*fired.lock(), [6, 2, 1, 3, 4]);
        assert_eq!(clock.advance_to_next(), None);
    }
}
