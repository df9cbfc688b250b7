//! What fits into a mailbox, and the word in which it is counted.
//!
//! ```text
//!   bounded by messages             count                 | CLOSED | WAITERS
//!   bounded by bytes, too   bytes | count: 26 bits        | CLOSED | WAITERS
//! ```
//!
//! Both parts go up and down in one step, so a room needs one word whatever it counts. A part that overflows
//! carries over and borrows back when the messages leave: the sum is exact, and in between the mailbox looks
//! fuller than it is.

/// Somebody waits for room.
pub(super) const WAITERS: usize = 1;
/// Set by the actor at its end, once: nobody is admitted any more.
pub(super) const CLOSED: usize = 2;
/// From this capacity on a message less matters little.
const LARGE: usize = 128;
/// One message.
pub(super) const ONE: usize = 4;

/// Where the bytes start in the word.
const SHIFT: u32 = usize::BITS / 2 - 4;
/// How many messages can be told beside the bytes.
const MANY: usize = (1 << (SHIFT - 2)) - 1;
/// How many bytes can be told; half of what has a place, so that one message more does not overflow.
const MUCH: usize = usize::MAX >> (SHIFT + 1);
/// In a limit: bytes are counted.
const WEIGHS: usize = 1;
/// In a limit: it is one less than what the mailbox takes.
const SPARE: usize = 2;

/// How many messages, and how many bytes if those count; as in the word, but for the marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit(usize);

/// What one message adds to the word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Load(pub(super) usize);

impl Load {
    /// A message whose bytes do not count.
    pub(crate) const ONE: Load = Load(ONE);
}

impl Limit {
    /// Bounded by messages alone.
    pub(crate) const fn messages(most: usize) -> Self {
        let most = if most < usize::MAX / ONE {
            most
        } else {
            usize::MAX / ONE
        };
        Limit(most * ONE)
    }

    /// Bounded by messages and by bytes.
    pub(crate) const fn bytes(messages: usize, bytes: usize) -> Self {
        let messages = if messages < MANY { messages } else { MANY };
        let bytes = if bytes < MUCH { bytes } else { MUCH };
        Limit((bytes << SHIFT) | (messages * ONE) | WEIGHS)
    }

    /// The limit for a mailbox that takes one message uncounted, and so counts up to one less: a large one
    /// without bytes. In others each message matters.
    pub(crate) const fn with_spare(self) -> Self {
        if self.weighs() || self.capacity() < LARGE {
            return self;
        }
        Limit((self.0 - ONE) | SPARE)
    }

    /// Whether this is a limit with a spare place.
    #[inline]
    pub(crate) const fn has_spare(self) -> bool {
        self.0 & SPARE != 0
    }

    #[inline]
    pub(crate) const fn weighs(self) -> bool {
        self.0 & WEIGHS != 0
    }

    /// How many messages.
    #[inline]
    pub(crate) const fn capacity(self) -> usize {
        self.count(self.0)
    }

    /// What a message of so many bytes adds. One that is heavier than all that fits counts as that: it gets
    /// in alone.
    pub(crate) fn load(self, bytes: usize) -> Load {
        let most = self.weight(self.0);
        Load(ONE + (bytes.min(most) << SHIFT))
    }

    /// How many messages a word tells of.
    #[inline]
    pub(crate) const fn count(self, word: usize) -> usize {
        if self.weighs() {
            (word / ONE) & MANY
        } else {
            word / ONE
        }
    }

    /// How many bytes a word tells of.
    pub(crate) const fn weight(self, word: usize) -> usize {
        if self.weighs() { word >> SHIFT } else { 0 }
    }

    /// Whether `load` fits beside what a word tells of.
    #[inline]
    pub(crate) fn has_room(self, word: usize, load: Load) -> bool {
        if self.count(word) >= self.capacity() {
            return false;
        }
        !self.weighs() || self.weight(word) + self.weight(load.0) <= self.weight(self.0)
    }
}

#[cfg(all(test, not(weftwork_loom)))]
mod tests {
    use super::*;

    #[test]
    fn messages_and_bytes_are_bounded_each_by_its_own_limit() {
        let limit = Limit::bytes(3, 100);
        let (light, heavy) = (limit.load(1), limit.load(60));
        assert!(limit.has_room(heavy.0, light));
        assert!(!limit.has_room(heavy.0, heavy));
        assert!(!limit.has_room(3 * light.0, light), "three messages");
        let word = heavy.0 + light.0 + WAITERS + CLOSED;
        assert_eq!((limit.count(word), limit.weight(word)), (2, 61));
    }

    #[test]
    fn only_a_large_mailbox_without_bytes_spares_a_place() {
        for most in [1, LARGE - 1] {
            let limit = Limit::messages(most);
            assert_eq!(limit.with_spare(), limit);
        }
        let limit = Limit::messages(LARGE).with_spare();
        assert_eq!((limit.capacity(), limit.has_spare()), (LARGE - 1, true));
        let limit = Limit::bytes(LARGE, 100);
        assert!(limit.with_spare() == limit && !limit.has_spare());
    }

    #[test]
    fn a_message_heavier_than_all_that_fits_gets_in_alone() {
        let limit = Limit::bytes(1024, 100);
        let huge = limit.load(usize::MAX);
        assert!(limit.has_room(0, huge));
        assert!(!limit.has_room(limit.load(1).0, huge));
        assert!(!limit.has_room(huge.0, limit.load(1)));
        assert!(limit.has_room(huge.0, limit.load(0)), "without a byte");
    }

    #[test]
    fn limits_beyond_what_can_be_told_are_the_most_that_can() {
        let all = Limit::messages(usize::MAX);
        assert!(all.has_room(usize::MAX / 2, Load::ONE) && !all.weighs());
        let most = Limit::bytes(usize::MAX, usize::MAX);
        assert_eq!((most.capacity(), most.weight(most.0)), (MANY, MUCH));
        // Two of the heaviest, by force, go up and down without a trace.
        let heavy = most.load(usize::MAX);
        let word = Load::ONE.0.wrapping_add(heavy.0).wrapping_add(heavy.0);
        assert!(!most.has_room(word, Load::ONE) || most.weight(word) <= MUCH);
        assert_eq!(word.wrapping_sub(heavy.0).wrapping_sub(heavy.0), ONE);
    }
}
