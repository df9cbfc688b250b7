//! The letters that the actor has taken out of its inbox, by priority.
//!
//! Most actors get messages of the normal priority alone. That row is in line; the others are made when the
//! first letter of another priority comes.

use super::chain::Chain;
use super::letter::{Kind, Letter};
use super::priority::{PRIORITIES, Priority};

/// One row per priority. The actor's alone.
pub(crate) struct Lanes {
    normal: Chain,
    /// By priority; the place of the normal one stays empty.
    others: Option<Box<[Chain; PRIORITIES]>>,
}

impl Lanes {
    pub(crate) const fn new() -> Self {
        Lanes {
            normal: Chain::new(),
            others: None,
        }
    }

    #[inline]
    pub(crate) fn push(&mut self, priority: Priority, letter: Letter) {
        self.lane(priority).push_back(letter);
    }

    #[inline]
    pub(crate) fn lane(&mut self, priority: Priority) -> &mut Chain {
        match priority {
            Priority::Normal => &mut self.normal,
            other => &mut self.others.get_or_insert_default()[other as usize],
        }
    }

    /// Takes the first letter of the highest priority.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Letter> {
        match &mut self.others {
            None => self.normal.pop_front(),
            Some(others) => Self::pop_any(&mut self.normal, others),
        }
    }

    fn pop_any(normal: &mut Chain, others: &mut [Chain; PRIORITIES]) -> Option<Letter> {
        let (lower, higher) = others.split_at_mut(Priority::Normal as usize);
        (higher.iter_mut().rev().find_map(Chain::pop_front))
            .or_else(|| normal.pop_front())
            .or_else(|| lower.iter_mut().rev().find_map(Chain::pop_front))
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.normal.is_empty() && self.is_plain()
    }

    /// Whether all letters have the normal priority.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        (self.others.as_ref()).is_none_or(|others| others.iter().all(Chain::is_empty))
    }

    /// Takes the first letter, if it is a message and none has another priority.
    #[inline]
    pub(crate) fn pop_plain(&mut self) -> Option<Letter> {
        if !self.is_plain() || self.normal.first_class()?.kind == Kind::Signal {
            return None;
        }
        self.normal.pop_front()
    }

    /// Takes the oldest message of the lowest priority.
    pub(crate) fn pop_least(&mut self, is_message: impl Fn(&Letter) -> bool) -> Option<Letter> {
        let Some(others) = &mut self.others else {
            return pop_first(&mut self.normal, is_message);
        };
        let (lower, higher) = others.split_at_mut(Priority::Normal as usize);
        (lower.iter_mut())
            .chain([&mut self.normal])
            .chain(higher)
            .find_map(|lane| pop_first(lane, &is_message))
    }
}

fn pop_first(lane: &mut Chain, is_message: impl Fn(&Letter) -> bool) -> Option<Letter> {
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
    found
}
