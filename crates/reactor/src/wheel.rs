//! [`Wheel`]: a hierarchical timer wheel.
//!
//! After Varghese and Lauck, "Hashed and Hierarchical Timing Wheels" (SOSP 1987), scheme 7. Time is
//! counted in nanoseconds and cut into ticks of 2¹⁶ ns (65.5 µs). Six levels of 256 slots cover all
//! 48 bits of a tick number: level 0 holds one tick per slot, each further level 256 times as many.
//!
//! Invariants:
//! 1. `tick` is the current tick. An entry due in it or before sits in level 0, in the current
//!    tick's slot. Any other sits at the level of the highest byte in which its tick differs from
//!    the current one, in the slot that this byte of its tick names. So everything on a level is
//!    due before anything on a higher one, and all slots in use lie ahead of the current one.
//! 2. The current tick enters a slot of a higher level only by moving that slot's entries down.
//!    Lists are first in, first out, and a move keeps the order, so entries with equal deadlines
//!    always stand in the order of their insertion: the later one can reach a lower level only
//!    after the earlier one was moved there.
//! 3. A slot's `earliest` is at most the deadline of each of its entries, and equals the least one
//!    if none has been cancelled since the slot was last filled or searched.
//! 4. A slot's bit in `used` is set exactly while its list is not empty.
//! 5. Each timer has a serial number of its own. A key names a timer only while the entry at its
//!    index is in use and carries its serial number, so a key of a fired timer names nothing for
//!    good.
//!
//! Entries live in two vectors, linked by index; freed ones are linked into a free list.
//! Nothing here runs user code: payloads are moved in and out.

use std::fmt;

/// The bits of a nanosecond count below the tick.
const TICK_BITS: u32 = 16;
/// The bits of a tick number that one level resolves.
const LEVEL_BITS: u32 = 8;
/// Slots per level.
const SLOTS: usize = 1 << LEVEL_BITS;
/// Levels, for all bits of a tick number.
const LEVELS: usize = (64 - TICK_BITS).div_ceil(LEVEL_BITS) as usize;
/// The link that leads nowhere.
const NIL: u32 = u32::MAX;
/// Room for entries, beyond which a wheel that became empty gives its memory back.
const KEEP: usize = 1 << 18;

/// Names an armed timer; of no use once the timer fired or was cancelled.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimerKey {
    index: u32,
    serial: u64,
}

impl fmt::Debug for TimerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TimerKey({}.{})", self.index, self.serial)
    }
}

/// What the lists need of a timer, apart from the rest so that four share a cache line: sinking and
/// looking for what is due touch nothing else.
#[derive(Clone, Copy)]
struct Link {
    deadline: u64,
    next: u32,
    prev: u32,
}

/// The rest of a timer. Without a payload the entry is free, and its link leads to the next free one.
struct Entry<T> {
    serial: u64,
    payload: Option<T>,
}

/// A list of entries and the bound on their deadlines.
#[derive(Clone, Copy)]
struct List {
    head: u32,
    tail: u32,
    earliest: u64,
}

const EMPTY: List = List {
    head: NIL,
    tail: NIL,
    earliest: u64::MAX,
};

/// Timers, each a deadline in nanoseconds and a payload such as a [`Waker`](std::task::Waker).
///
/// Arming, cancelling and moving a timer take constant time. A timer is touched again each time it
/// sinks to a lower level: at most twice for a deadline within 4 s, five times for any. A cancelled
/// timer frees its place at once, and its payload is returned. Nothing is allocated while there are
/// no more timers than there once were.
///
/// The wheel has no clock and no lock of its own. Deadlines and [`advance`](Self::advance) count
/// nanoseconds since an epoch that its owner chose; [`Clock`](crate::Clock) is one. A timer never
/// fires early: it is handed out by the first `advance` whose time is its deadline or later.
///
/// ```
/// use weftwork_reactor::Wheel;
///
/// let mut wheel = Wheel::new(0);
/// wheel.insert(2_000, "second");
/// wheel.insert(1_000, "first");
/// let never = wheel.insert(1_500, "cancelled");
/// assert_eq!(wheel.cancel(never), Some("cancelled"));
/// assert_eq!(wheel.next_deadline(), Some(1_000));
///
/// let mut due = Vec::new();
/// assert_eq!(wheel.advance(1_999, &mut due), 1);
/// assert_eq!(wheel.advance(2_000, &mut due), 1);
/// assert_eq!(due, ["first", "second"]);
/// ```
pub struct Wheel<T> {
    /// As long as `entries`, and in its order.
    links: Vec<Link>,
    entries: Vec<Entry<T>>,
    /// Head of the free list.
    free: u32,
    /// The serial number of the next timer.
    serial: u64,
    /// Armed timers.
    len: usize,
    tick: u64,
    lists: Box<[List]>,
    used: [[u64; SLOTS / 64]; LEVELS],
    /// Due entries of one tick, being put in order: deadline, position, index.
    batch: Vec<(u64, u32, u32)>,
}

impl<T> Wheel<T> {
    /// Makes an empty wheel whose time is `start_ns`.
    #[must_use]
    pub fn new(start_ns: u64) -> Self {
        Wheel {
            links: Vec::new(),
            entries: Vec::new(),
            free: NIL,
            serial: 0,
            len: 0,
            tick: start_ns >> TICK_BITS,
            lists: vec![EMPTY; LEVELS * SLOTS].into_boxed_slice(),
            used: [[0; SLOTS / 64]; LEVELS],
            batch: Vec::new(),
        }
    }

    /// Returns the number of armed timers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Tells whether no timer is armed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Arms a timer. One whose deadline has passed is handed out by the next
    /// [`advance`](Self::advance).
    ///
    /// # Panics
    ///
    /// If 2³² - 1 timers are armed.
    pub fn insert(&mut self, deadline_ns: u64, payload: T) -> TimerKey {
        let serial = self.serial;
        self.serial += 1;
        let link = Link {
            deadline: deadline_ns,
            next: NIL,
            prev: NIL,
        };
        let entry = Entry {
            serial,
            payload: Some(payload),
        };
        let index = self.free;
        let index = if index == NIL {
            let index = u32::try_from(self.entries.len()).unwrap_or(NIL);
            assert_ne!(index, NIL, "a wheel holds at most 2^32 - 1 timers");
            self.links.push(link);
            self.entries.push(entry);
            index
        } else {
            self.free = self.links[index as usize].next;
            self.links[index as usize] = link;
            self.entries[index as usize] = entry;
            index
        };
        self.len += 1;
        self.link(index, deadline_ns);
        TimerKey { index, serial }
    }

    /// Disarms a timer and returns its payload; `None` if it fired or was cancelled before.
    pub fn cancel(&mut self, key: TimerKey) -> Option<T> {
        if !self.is_armed(key) {
            return None;
        }
        self.unlink(key.index);
        let payload = self.give_entry_back(key.index);
        if self.len == 0 {
            self.start_over();
        }
        payload
    }

    /// Moves a timer to another deadline. Among equal deadlines it counts as inserted now. Returns
    /// false if it fired or was cancelled before.
    pub fn reset(&mut self, key: TimerKey, deadline_ns: u64) -> bool {
        if !self.is_armed(key) {
            return false;
        }
        self.unlink(key.index);
        self.links[key.index as usize].deadline = deadline_ns;
        self.link(key.index, deadline_ns);
        true
    }

    /// Tells whether the timer is armed.
    #[must_use]
    pub fn is_armed(&self, key: TimerKey) -> bool {
        self.entries.get(key.index as usize).is_some_and(|entry| {
            // The canary forgets that a place may have a new tenant.
            (entry.serial == key.serial || cfg!(weftwork_canary)) && entry.payload.is_some()
        })
    }

    /// Returns the deadline of an armed timer.
    #[must_use]
    pub fn deadline(&self, key: TimerKey) -> Option<u64> {
        self.is_armed(key)
            .then(|| self.links[key.index as usize].deadline)
    }

    /// Returns the time at which to call [`advance`](Self::advance) next, or `None` without timers.
    ///
    /// Never later than the next deadline, and equal to it unless the timer it belonged to was
    /// cancelled or moved. Then it may name that former deadline once: advancing to it finds
    /// nothing and corrects the bound, so cancelling a timer causes at most one wake-up for
    /// nothing, and none if the timer had its slot of the wheel to itself.
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        let (level, slot) = self.first_used()?;
        Some(self.lists[level * SLOTS + slot].earliest)
    }

    /// Moves the time to `now_ns` and appends the payloads of all timers due by then to `due`: by
    /// deadline, equal ones in the order of insertion. Returns how many.
    ///
    /// Time does not run backwards: after a `now_ns` below an earlier one, timers armed meanwhile
    /// are still handed out in time.
    pub fn advance(&mut self, now_ns: u64, due: &mut Vec<T>) -> usize {
        let target = (now_ns >> TICK_BITS).max(self.tick);
        let before = self.len;
        while let Some((level, slot)) = self.first_used() {
            let list = level * SLOTS + slot;
            if self.lists[list].earliest > now_ns {
                break;
            }
            let start = self.slot_start(level, slot);
            debug_assert!(start >= self.tick && start <= target);
            self.tick = start;
            if level > 0 {
                self.sink(list);
            } else {
                self.expire(list, now_ns, due);
            }
        }
        self.enter(target);
        if self.len == 0 && before > 0 {
            self.start_over();
        }
        before - self.len
    }

    /// Makes `target` the current tick, moving down what it enters. All entries are due later than
    /// now.
    fn enter(&mut self, target: u64) {
        while let Some((level, slot)) = self.first_used() {
            let start = self.slot_start(level, slot);
            if level == 0 || start > target {
                break;
            }
            self.tick = start;
            self.sink(level * SLOTS + slot);
        }
        self.tick = self.tick.max(target);
    }

    /// The first tick of a slot that lies ahead on its level, or the current one.
    fn slot_start(&self, level: usize, slot: usize) -> u64 {
        let shift = level as u32 * LEVEL_BITS;
        let above = self.tick >> shift >> LEVEL_BITS << LEVEL_BITS;
        (above | slot as u64) << shift
    }

    /// The slot that is due first.
    fn first_used(&self) -> Option<(usize, usize)> {
        if self.len == 0 {
            return None;
        }
        self.used.iter().enumerate().find_map(|(level, words)| {
            let at = words.iter().position(|&word| word != 0)?;
            Some((level, at * 64 + words[at].trailing_zeros() as usize))
        })
    }

    /// Moves the entries of a slot that the current tick has entered to lower levels.
    fn sink(&mut self, list: usize) {
        let mut index = self.take_list(list).head;
        while index != NIL {
            let Link { deadline, next, .. } = self.links[index as usize];
            self.link(index, deadline);
            index = next;
        }
    }

    /// Takes the entries of the current tick's slot that are due out, in order.
    fn expire(&mut self, list: usize, now_ns: u64, due: &mut Vec<T>) {
        let List { head, tail, .. } = self.lists[list];
        if head == tail {
            // `earliest` may be that of a cancelled timer.
            let deadline = self.links[head as usize].deadline;
            if deadline <= now_ns {
                self.take_list(list);
                due.extend(self.give_entry_back(head));
            } else {
                self.lists[list].earliest = deadline;
            }
            return;
        }
        let mut batch = std::mem::take(&mut self.batch);
        let mut earliest = None;
        let mut index = head;
        while index != NIL {
            let Link { deadline, next, .. } = self.links[index as usize];
            if deadline <= now_ns {
                batch.push((deadline, batch.len() as u32, index));
            } else {
                earliest = Some(earliest.unwrap_or(u64::MAX).min(deadline));
            }
            index = next;
        }
        if !batch.is_sorted() {
            batch.sort_unstable(); // Stable, by the position in it.
        }
        if earliest.is_none() {
            self.take_list(list);
        }
        for &(_, _, index) in &batch {
            if earliest.is_some() {
                self.unlink(index);
            }
            due.extend(self.give_entry_back(index));
        }
        if let Some(earliest) = earliest {
            self.lists[list].earliest = earliest;
        }
        batch.clear();
        self.batch = batch;
    }

    /// Where an entry with this deadline sits now, by invariant 1: level × 256 + slot.
    #[inline]
    fn list_of(&self, deadline: u64) -> usize {
        let tick = (deadline >> TICK_BITS).max(self.tick);
        // The highest byte that differs; level 0 if none does.
        let level = ((tick ^ self.tick) | 1).ilog2() / LEVEL_BITS;
        level as usize * SLOTS + (tick >> (level * LEVEL_BITS)) as usize % SLOTS
    }

    /// Appends an entry that is in no list to the one where its deadline belongs.
    #[inline]
    fn link(&mut self, index: u32, deadline: u64) {
        let at = self.list_of(deadline);
        let list = &mut self.lists[at];
        let tail = list.tail;
        list.tail = index;
        list.earliest = list.earliest.min(deadline);
        if tail == NIL {
            list.head = index;
            let slot = at % SLOTS;
            self.used[at / SLOTS][slot / 64] |= 1 << (slot % 64);
        } else {
            self.links[tail as usize].next = index;
        }
        let link = &mut self.links[index as usize];
        link.next = NIL;
        link.prev = tail;
    }

    /// Takes an entry out of its list.
    #[inline]
    fn unlink(&mut self, index: u32) {
        let Link {
            deadline,
            next,
            prev,
        } = self.links[index as usize];
        let at = self.list_of(deadline);
        let list = &mut self.lists[at];
        if next == NIL {
            list.tail = prev;
        } else {
            self.links[next as usize].prev = prev;
        }
        if prev == NIL {
            list.head = next;
        } else {
            self.links[prev as usize].next = next;
        }
        if list.head == NIL {
            self.take_list(at);
        }
    }

    /// Empties a list and returns what it was; the entries are still linked to each other.
    #[inline]
    fn take_list(&mut self, list: usize) -> List {
        let slot = list % SLOTS;
        self.used[list / SLOTS][slot / 64] &= !(1 << (slot % 64));
        std::mem::replace(&mut self.lists[list], EMPTY)
    }

    /// Puts an entry that is in no list into the free list and returns its payload.
    #[inline]
    fn give_entry_back(&mut self, index: u32) -> Option<T> {
        self.links[index as usize].next = self.free;
        self.free = index;
        self.len -= 1;
        self.entries[index as usize].payload.take()
    }

    /// Starts over with fresh entries in a wheel that became empty: in order again, where the free
    /// list would hand them out in the order in which timers ended, all over the memory. The cost
    /// is shared by the timers that made the entries; a few entries are near each other anyway.
    fn start_over(&mut self) {
        if self.entries.len() <= SLOTS {
            return;
        }
        self.free = NIL;
        if self.entries.capacity() > KEEP {
            self.links = Vec::new();
            self.entries = Vec::new();
            self.batch = Vec::new();
        } else {
            self.links.clear();
            self.entries.clear();
        }
    }
}

impl<T> fmt::Debug for Wheel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wheel")
            .field("len", &self.len)
            .field("now_ns", &(self.tick << TICK_BITS))
            .field("next_deadline", &self.next_deadline())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;

    #[test]
    fn an_entry_with_a_waker_takes_at_most_48_bytes() {
        assert!(size_of::<Link>() + size_of::<Entry<Waker>>() <= 48);
    }

    #[test]
    fn a_large_wheel_that_becomes_empty_gives_its_memory_back() {
        let mut wheel = Wheel::new(0);
        let keys: Vec<TimerKey> = (0..2 * KEEP as u64)
            .map(|n| wheel.insert(n << 20, ()))
            .collect();
        for &key in &keys {
            assert!(wheel.cancel(key).is_some());
        }
        assert_eq!(wheel.entries.capacity(), 0);
        let again = wheel.insert(5, ());
        assert!(keys.iter().all(|&key| wheel.cancel(key).is_none()));
        assert!(wheel.cancel(again).is_some());
    }
}
