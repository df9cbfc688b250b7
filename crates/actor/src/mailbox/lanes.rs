//! The letters that the actor has taken out of its inbox, by priority.

use super::chain::Chain;
use super::letter::Letter;
use super::priority::{PRIORITIES, Priority};

/// One row per priority. The actor's alone.
pub(crate) struct Lanes([Chain; PRIORITIES]);

impl Lanes {
    pub(crate) const fn new() -> Self {
        Lanes([const { Chain::new() }; PRIORITIES])
    }

    #[inline]
    pub(crate) fn push(&mut self, priority: Priority, letter: Letter) {
        self.0[priority as usize].push_back(letter);
    }

    pub(crate) fn lane(&mut self, priority: Priority) -> &mut Chain {
        &mut self.0[priority as usize]
    }

    /// Takes the first letter of the highest priority.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Letter> {
        self.0.iter_mut().rev().find_map(Chain::pop_front)
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(Chain::is_empty)
    }

    /// Takes the oldest message of the lowest priority.
    pub(crate) fn pop_least(&mut self, is_message: impl Fn(&Letter) -> bool) -> Option<Letter> {
        for lane in &mut self.0 {
            let mut before = Chain::new();
            let mut found = None;
            while let Some(letter) = lane.pop_front() {
                if is_message(&letter) {
                    found = Some(letter);
                    break;
                }
                before.push_back(letter);
            }
            lane.prepend(before);
            if found.is_some() {
                return found;
            }
        }
        None
    }
}
