//! The timers of an actor: messages to itself, later.
//!
//! An actor keeps its timers by due time and has one alarm set, for the earliest: a wake of its task. When it
//! is polled it puts what is due behind the messages that have arrived. A timer that is cancelled is gone,
//! and one whose message lies in the mailbox already is found out there: its number is not among the live
//! ones any more. With the actor all its timers end.

use crate::clock::Clock;
use crate::mailbox::letter::Letter;
use std::any::TypeId;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::task::Waker;
use std::time::{Duration, Instant};

#[cfg(not(weftwork_loom))]
use crate::clock::Alarm;

/// Names one timer of an actor, for [`Context::cancel`](crate::Context::cancel). Another one is never named
/// the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TimerRef(pub(crate) u64);

impl fmt::Display for TimerRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "timer {}", self.0)
    }
}

/// What names a keyed timer: a value of a type of the user's, as text of its hash would not do: two types
/// may have values that look alike.
pub(crate) type Key = (TypeId, Box<str>);

/// Makes the letter of each tick.
pub(crate) type Tick = Box<dyn FnMut(u64) -> Letter + Send>;

struct Entry {
    number: u64,
    tick: Tick,
    period: Option<Duration>,
}

/// When a timer is due, and how old it is.
type Due = (Instant, u64);

/// The timers of an actor. Few have any, so they are made by the first.
#[derive(Default)]
pub(crate) struct Timers(Option<Box<Table>>);

#[derive(Default)]
struct Table {
    /// In the order in which they fire: by time, and among equals by age.
    by_time: BTreeMap<Due, Entry>,
    ages: u64,
    /// When each live timer is due; `None`: it has fired, and its message waits for its turn.
    live: HashMap<u64, Option<Due>>,
    keyed: HashMap<Key, u64>,
    keys: HashMap<u64, Key>,
    #[cfg(not(weftwork_loom))]
    alarm: Option<Alarm>,
}

impl Timers {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        (self.0.as_ref()).is_none_or(|table| table.by_time.is_empty())
    }

    /// Adds a timer; one that is due at no time that can be told never fires.
    pub(crate) fn add(
        &mut self,
        number: u64,
        due: Option<Instant>,
        period: Option<Duration>,
        key: Option<Key>,
        tick: Tick,
    ) {
        (self.0.get_or_insert_default()).add(number, due, period, key, tick);
    }

    /// Ends a timer. False: it had ended, or its message has been handled.
    pub(crate) fn cancel(&mut self, number: u64) -> bool {
        (self.0.as_mut()).is_some_and(|table| table.cancel(number))
    }

    pub(crate) fn by_key(&self, key: &Key) -> Option<u64> {
        self.0.as_ref()?.keyed.get(key).copied()
    }

    /// The message of a timer has its turn. False: it was cancelled since.
    pub(crate) fn take_up(&mut self, number: u64) -> bool {
        (self.0.as_mut()).is_some_and(|table| table.take_up(number))
    }

    /// Takes the next message that is due.
    pub(crate) fn due(&mut self, now: Instant) -> Option<Letter> {
        self.0.as_mut()?.due(now)
    }

    /// Sets the alarm for the earliest timer.
    #[inline]
    pub(crate) fn set_alarm(&mut self, clock: Clock<'_>, waker: impl FnOnce() -> Option<Waker>) {
        if let Some(table) = &mut self.0 {
            table.set_alarm(clock, waker);
        }
    }
}

impl Table {
    fn add(
        &mut self,
        number: u64,
        due: Option<Instant>,
        period: Option<Duration>,
        key: Option<Key>,
        tick: Tick,
    ) {
        if let Some(key) = key {
            if let Some(old) = self.keyed.get(&key).copied() {
                self.cancel(old);
            }
            self.keyed.insert(key.clone(), number);
            self.keys.insert(number, key);
        }
        self.ages += 1;
        let due = due.map(|due| (due, self.ages));
        self.live.insert(number, due);
        if let Some(due) = due {
            let entry = Entry {
                number,
                tick,
                period,
            };
            self.by_time.insert(due, entry);
        }
    }

    fn cancel(&mut self, number: u64) -> bool {
        self.forget_key(number);
        match self.live.remove(&number) {
            None => false,
            Some(due) => {
                if let Some(due) = due {
                    drop(self.by_time.remove(&due));
                }
                true
            }
        }
    }

    fn forget_key(&mut self, number: u64) {
        if let Some(key) = self.keys.remove(&number) {
            self.keyed.remove(&key);
        }
    }

    fn take_up(&mut self, number: u64) -> bool {
        match self.live.get(&number) {
            None => false,
            // One of a series: the next is set already.
            Some(Some(_)) => true,
            Some(None) => {
                self.forget_key(number);
                self.live.remove(&number);
                true
            }
        }
    }

    fn due(&mut self, now: Instant) -> Option<Letter> {
        let first = self.by_time.first_entry()?;
        let (due, age) = *first.key();
        if due > now {
            return None;
        }
        let mut entry = first.remove();
        let number = entry.number;
        let letter = (entry.tick)(number);
        let next = entry.period.and_then(|period| {
            // A tick that was missed is not made up for: the next one keeps to the rhythm.
            let late = now.saturating_duration_since(due);
            let missed = late.as_nanos() / period.as_nanos().max(1);
            let steps = u32::try_from(missed).unwrap_or(u32::MAX).saturating_add(1);
            let next = due.checked_add(period.checked_mul(steps)?)?;
            Some((next, age))
        });
        self.live.insert(number, next);
        if let Some(next) = next {
            self.by_time.insert(next, entry);
        }
        Some(letter)
    }

    #[cfg(not(weftwork_loom))]
    fn set_alarm(&mut self, clock: Clock<'_>, waker: impl FnOnce() -> Option<Waker>) {
        let due = self.by_time.first_key_value().map(|((due, _), _)| *due);
        if self.alarm.as_ref().map(Alarm::deadline) == due {
            return;
        }
        self.alarm = None;
        if let (Some(due), Some(waker)) = (due, waker()) {
            self.alarm = Some(clock.call_at(due, waker));
        }
    }

    /// A model has no clock: timers do not fire.
    #[cfg(weftwork_loom)]
    fn set_alarm(&mut self, _: Clock<'_>, _: impl FnOnce() -> Option<Waker>) {}
}
