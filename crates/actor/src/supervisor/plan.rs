//! What a supervisor decides: OTP's rules, without an actor.
//!
//! A [`Plan`] is told what happens and says what is to be done through [`Hands`]: start this child, stop that
//! one so, come back later. It has no clock and waits for nothing itself, so that tests can give it any
//! history.
//!
//! | happens | child | then |
//! | --- | --- | --- |
//! | child ends | permanent; transient and not in good order | counted, restarted by the strategy |
//! | | transient, in good order | place kept, empty; may be the end of the supervisor |
//! | | temporary | place forgotten; may be the end of the supervisor |
//! | restart fails | | being restarted; tried again when the messages that came meanwhile are served |
//! | one restart too many | | the supervisor stops with `Shutdown` |
//!
//! A restart is counted once, whatever it takes along; each further try counts. Calls of the administration
//! count nothing.

use super::id::ChildId;
use super::report::Report;
use super::rules::{AutoShutdown, Flags, Restart, Rules, Shutdown, Strategy};
use super::table::{Children, Key, State};
use super::window::Window;
use crate::reason::Reason;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// What a plan cannot do itself.
pub(crate) trait Hands<P, S> {
    fn now(&mut self) -> Instant;
    /// A number from 0 to 1.
    fn random(&mut self) -> f64;
    /// Starts an incarnation, and returns when its `init` has. `None`: it chose not to start.
    fn start(
        &mut self,
        id: Option<&ChildId>,
        rules: &Rules,
        start: &mut S,
    ) -> Result<Option<P>, Reason>;
    /// Stops a child, and returns when it has ended.
    fn stop(&mut self, id: Option<&ChildId>, pid: &P, how: Shutdown) -> Reason;
    /// Stops children all at once, and returns when all have ended.
    fn stop_together(&mut self, children: Vec<(P, Shutdown)>) -> Vec<Reason>;
    /// Has [`Plan::try_again`] called when the messages that are there are served, or after a wait.
    fn later(&mut self, again: Again, wait: Duration);
    fn report(&mut self, report: Report<P>);
    /// Hears that a restart was counted, and is about to come.
    fn restarts(&mut self, _: Option<&ChildId>) {}
}

/// Whether the supervisor goes on.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    GoOn,
    /// It stops with `Shutdown`.
    Stop,
}

/// A restart that is to be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Again {
    pub(crate) key: Key,
    pub(super) number: u64,
    /// It was counted when it was put off.
    pub(super) is_counted: bool,
}

/// A child that did not start, of those that a supervisor begins with.
#[derive(Debug, PartialEq)]
pub(crate) struct NotBegun {
    pub(crate) id: Option<ChildId>,
    pub(crate) reason: Reason,
}

#[derive(Debug)]
pub(crate) struct Plan<P, S> {
    pub(crate) flags: Flags,
    pub(crate) children: Children<P, S>,
    pub(super) window: Window,
    /// How many restarts were put off.
    numbers: u64,
}

impl<P: Clone + Eq + Hash, S> Plan<P, S> {
    /// The flags are possible.
    pub(crate) fn new(flags: Flags) -> Self {
        Plan {
            window: Window::new(flags.intensity, flags.period),
            flags,
            children: Children::new(),
            numbers: 0,
        }
    }

    /// Starts the children, in order. If one does not start, those before it are stopped, the last first.
    pub(crate) fn begin(&mut self, hands: &mut impl Hands<P, S>) -> Result<(), NotBegun> {
        let Err((key, reason)) = self.start_from(hands, self.children.first()) else {
            return Ok(());
        };
        let id = self.id(key);
        self.stop_all(hands);
        Err(NotBegun { id, reason })
    }

    /// A child has ended, or somebody else: those are ignored.
    pub(crate) fn ended(
        &mut self,
        hands: &mut impl Hands<P, S>,
        pid: &P,
        reason: &Reason,
    ) -> Verdict {
        let key = self.children.by_pid(pid);
        let Some((key, child)) = key.and_then(|key| Some((key, self.children.get(key)?))) else {
            return Verdict::GoOn;
        };
        if !matches!(child.state(), State::Running(now) if now == pid) {
            return Verdict::GoOn;
        }
        let restart = child.rules.restart;
        if restart == Restart::Permanent || !reason.is_normal() {
            hands.report(Report::Ended {
                id: child.id.clone(),
                pid: pid.clone(),
                reason: reason.clone(),
            });
        }
        match restart {
            Restart::Permanent => self.restart(hands, key),
            Restart::Transient if !reason.is_normal() => self.restart(hands, key),
            Restart::Transient | Restart::Temporary => self.left(key),
        }
    }

    /// The time of a restart that was put off has come.
    pub(crate) fn try_again(&mut self, hands: &mut impl Hands<P, S>, again: Again) -> Verdict {
        let Some(child) = self.children.get(again.key) else {
            return Verdict::GoOn;
        };
        if !matches!(child.state(), State::Restarting(number, _) if *number == again.number) {
            // It was stopped, started or deleted since.
            return Verdict::GoOn;
        }
        self.retry(hands, again)
    }

    /// Stops all children: the last first, one after the other; dynamic ones at once.
    pub(crate) fn stop_all(&mut self, hands: &mut impl Hands<P, S>) {
        if self.flags.strategy == Strategy::Dynamic {
            self.stop_dynamic(hands);
        } else {
            self.stop_down_to(hands, self.children.first());
        }
    }

    fn stop_dynamic(&mut self, hands: &mut impl Hands<P, S>) {
        let mut keys = Vec::new();
        let mut pids = Vec::new();
        for (key, child) in self.children.iter_reverse() {
            if let State::Running(pid) = child.state() {
                keys.push(key);
                pids.push((pid.clone(), child.rules.how()));
            }
        }
        if !keys.is_empty() {
            for (key, reason) in keys.into_iter().zip(hands.stop_together(pids)) {
                self.report_stop(hands, key, reason);
            }
        }
        self.children = Children::new();
    }

    /// Stops the children from the last one to `end`, which is one of them.
    pub(super) fn stop_down_to(&mut self, hands: &mut impl Hands<P, S>, end: Option<Key>) {
        let Some(end) = end else { return };
        let mut at = self.children.last();
        while let Some(key) = at {
            at = (key != end).then(|| self.children.before(key)).flatten();
            self.stop_one(hands, key);
        }
    }

    /// Stops a child if it runs. Its place is empty then, or forgotten.
    pub(super) fn stop_one(&mut self, hands: &mut impl Hands<P, S>, key: Key) {
        let Some(child) = self.children.get(key) else {
            return;
        };
        if let State::Running(pid) = child.state() {
            let reason = hands.stop(child.id.as_ref(), pid, child.rules.how());
            self.report_stop(hands, key, reason);
        }
        self.vacate(key);
    }

    /// Reports a stop that did not go as it should.
    fn report_stop(&self, hands: &mut impl Hands<P, S>, key: Key, reason: Reason) {
        let Some(child) = self.children.get(key) else {
            return;
        };
        let is_fine = match (&reason, child.rules.how()) {
            (Reason::Killed, Shutdown::BrutalKill) => true,
            (Reason::Shutdown, Shutdown::Timeout(_) | Shutdown::Infinity) => true,
            _ => reason.is_normal() && child.rules.restart != Restart::Permanent,
        };
        if let (false, State::Running(pid)) = (is_fine, child.state()) {
            hands.report(Report::StopFailed {
                id: child.id.clone(),
                pid: pid.clone(),
                reason,
            });
        }
    }

    pub(super) fn id(&self, key: Key) -> Option<ChildId> {
        self.children.get(key)?.id.clone()
    }

    /// A child has ended, and is not restarted.
    pub(super) fn left(&mut self, key: Key) -> Verdict {
        let is_significant = (self.children.get(key)).is_some_and(|child| child.rules.significant);
        self.vacate(key);
        let stops = is_significant
            && match self.flags.auto_shutdown {
                AutoShutdown::Never => false,
                AutoShutdown::AnySignificant => true,
                AutoShutdown::AllSignificant => !self.children.has_significant(),
            };
        if stops { Verdict::Stop } else { Verdict::GoOn }
    }

    /// Empties the place of a child that does not run any more, or forgets it.
    pub(super) fn vacate(&mut self, key: Key) {
        let Some(child) = self.children.get(key) else {
            return;
        };
        if child.rules.restart == Restart::Temporary || self.flags.strategy == Strategy::Dynamic {
            self.children.remove(key);
        } else {
            self.children.set(key, State::Ended);
        }
    }

    /// Has a restart tried later.
    pub(super) fn put_off(
        &mut self,
        hands: &mut impl Hands<P, S>,
        key: Key,
        wait: Duration,
        is_counted: bool,
    ) {
        let Some(child) = self.children.get(key) else {
            return;
        };
        let old = match child.state() {
            State::Running(pid) | State::Restarting(_, Some(pid)) => Some(pid.clone()),
            State::Restarting(_, None) | State::Ended => None,
        };
        self.numbers += 1;
        let number = self.numbers;
        self.children.set(key, State::Restarting(number, old));
        let again = Again {
            key,
            number,
            is_counted,
        };
        hands.later(again, wait);
    }
}
