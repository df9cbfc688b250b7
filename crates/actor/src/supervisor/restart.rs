//! How a lost child is restarted: counting, waiting, the strategies.

use super::plan::{Again, Hands, Plan, Verdict};
use super::report::Report;
use super::rules::Strategy;
use super::table::{Key, State};
use crate::reason::Reason;
use std::hash::Hash;
use std::time::Duration;

/// What the limits say of one more restart.
enum Counted {
    Allowed,
    /// The child's own limit is reached: it is left as it is.
    Left,
    /// The supervisor gives up.
    TooMany,
}

impl<P: Clone + Eq + Hash, S> Plan<P, S> {
    /// A child was lost that is to be restarted.
    pub(super) fn restart(&mut self, hands: &mut impl Hands<P, S>, key: Key) -> Verdict {
        match self.count(hands, key) {
            Counted::Left => return self.left(key),
            Counted::TooMany => return Verdict::Stop,
            Counted::Allowed => {}
        }
        let wait = self.wait(hands, key);
        self.stop_group(hands, key);
        if wait.is_zero() {
            self.start_group(hands, key);
        } else {
            self.put_off(hands, key, wait, true);
        }
        Verdict::GoOn
    }

    /// A restart that was put off is tried.
    pub(super) fn retry(&mut self, hands: &mut impl Hands<P, S>, again: Again) -> Verdict {
        if !again.is_counted {
            match self.count(hands, again.key) {
                Counted::Left => return self.left(again.key),
                Counted::TooMany => return Verdict::Stop,
                Counted::Allowed => {}
            }
        }
        self.stop_group(hands, again.key);
        self.start_group(hands, again.key);
        Verdict::GoOn
    }

    /// Counts a restart, against the child's own limit and the supervisor's.
    fn count(&mut self, hands: &mut impl Hands<P, S>, key: Key) -> Counted {
        let now = hands.now();
        let Some(child) = self.children.get_mut(key) else {
            return Counted::Left;
        };
        let is_allowed = child.limit.as_mut().is_none_or(|limit| limit.allows(now));
        let id = child.id.clone();
        if !is_allowed {
            let escalates = child.rules.limit.is_some_and(|limit| limit.escalates);
            hands.report(Report::LimitReached { id: id.clone() });
            if !escalates {
                return Counted::Left;
            }
        }
        if is_allowed && self.window.allows(now) {
            hands.restarts(id.as_ref());
            return Counted::Allowed;
        }
        hands.report(Report::GaveUp { id });
        self.vacate(key);
        Counted::TooMany
    }

    /// How long the child waits before its restart.
    fn wait(&mut self, hands: &mut impl Hands<P, S>, key: Key) -> Duration {
        let Some(child) = self.children.get_mut(key) else {
            return Duration::ZERO;
        };
        let Some(backoff) = child.rules.backoff else {
            return Duration::ZERO;
        };
        let ran = (child.since.take()).map(|since| hands.now().saturating_duration_since(since));
        if ran.is_some_and(|ran| backoff.is_stable(ran)) {
            child.in_a_row = 0;
        }
        let wait = backoff.wait(child.in_a_row, hands.random());
        child.in_a_row = child.in_a_row.saturating_add(1);
        wait
    }

    /// The first of those that are restarted with a child; `None`: it is restarted alone.
    fn group(&self, key: Key) -> Option<Key> {
        match self.flags.strategy {
            Strategy::OneForOne | Strategy::Dynamic => None,
            Strategy::RestForOne => Some(key),
            Strategy::OneForAll => self.children.first(),
        }
    }

    /// Stops those that are restarted with a child that does not run any more.
    fn stop_group(&mut self, hands: &mut impl Hands<P, S>, key: Key) {
        if let Some(first) = self.group(key) {
            self.children.set(key, State::Ended);
            self.stop_down_to(hands, Some(first));
        }
    }

    /// Starts a child and those that are restarted with it. If one fails the rest waits until it is tried
    /// again.
    fn start_group(&mut self, hands: &mut impl Hands<P, S>, key: Key) {
        let started: Result<(), (Key, Reason)> = match self.group(key) {
            None => (self.launch(hands, key))
                .map(drop)
                .map_err(|reason| (key, reason)),
            Some(first) => self.start_from(hands, Some(first)),
        };
        if let Err((failed, _)) = started {
            let wait = self.wait(hands, failed);
            self.put_off(hands, failed, wait, false);
        }
    }

    /// Starts the children from `first` on that do not run.
    pub(super) fn start_from(
        &mut self,
        hands: &mut impl Hands<P, S>,
        first: Option<Key>,
    ) -> Result<(), (Key, Reason)> {
        let mut at = first;
        while let Some(key) = at {
            at = self.children.after(key);
            let is_running = (self.children.get(key))
                .is_some_and(|child| matches!(child.state(), State::Running(_)));
            if !is_running {
                self.launch(hands, key).map_err(|reason| (key, reason))?;
            }
        }
        Ok(())
    }

    /// Starts a child in its place.
    pub(super) fn launch(
        &mut self,
        hands: &mut impl Hands<P, S>,
        key: Key,
    ) -> Result<Option<P>, Reason> {
        let Some(child) = self.children.get_mut(key) else {
            return Ok(None);
        };
        match hands.start(child.id.as_ref(), &child.rules, &mut child.start) {
            Ok(Some(pid)) => {
                child.since = child.rules.backoff.map(|_| hands.now());
                let id = child.id.clone();
                self.children.set(key, State::Running(pid.clone()));
                hands.report(Report::Started {
                    id,
                    pid: pid.clone(),
                });
                Ok(Some(pid))
            }
            Ok(None) => {
                self.vacate(key);
                Ok(None)
            }
            Err(reason) => {
                hands.report(Report::StartFailed {
                    id: child.id.clone(),
                    reason: reason.clone(),
                });
                Err(reason)
            }
        }
    }
}
