//! The hands of a supervisor: starts and stops real actors.
//!
//! A stop is a monitor, an exit signal, and a wait for the monitor's answer; the answer comes whether or not
//! the child is still linked. The exit of the link that comes besides is of somebody unknown by then, and
//! ignored. While the supervisor waits for one child it says so, as an ask does: a question that the child
//! asks it then is an error, not a deadlock.

use super::child::ChildStart;
use super::id::ChildId;
use super::keeper::Keeper;
use super::plan::{Again, Hands};
use super::report::Report;
use super::rules::{Rules, Shutdown};
use super::spec::{Clock, Reporter};
use super::starting::StartContext;
use crate::clock::Clock as ActorClock;
use crate::context::Context;
use crate::error::StartError;
use crate::panics;
use crate::pid::Pid;
use crate::reason::Reason;
use crate::reports;
use crate::waits::Waits;
use crate::watcher::Watcher;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};
use weftwork_core::wait::cancel::is_cancel_unwind;
use weftwork_core::wait::checkpoint;

/// What a supervisor has besides its plan.
pub(crate) struct Tools {
    pub(super) reporter: Option<Reporter>,
    pub(super) clock: Option<Clock>,
    pub(super) stop_deadline: Option<Duration>,
    random: u64,
}

impl Tools {
    pub(super) fn new(
        reporter: Option<Reporter>,
        clock: Option<Clock>,
        stop_deadline: Option<Duration>,
        random: Option<u64>,
    ) -> Self {
        Tools {
            reporter,
            clock,
            stop_deadline,
            // Each state of this kind has keys of its own.
            random: random.unwrap_or_else(|| RandomState::new().hash_one(0)),
        }
    }
}

pub(crate) struct Crew<'a> {
    pub(super) ctx: &'a mut Context<Keeper>,
    pub(super) tools: &'a mut Tools,
    /// When the supervisor is to have stopped.
    pub(super) deadline: Option<Instant>,
}

impl Crew<'_> {
    fn clock(&self) -> ActorClock<'_> {
        self.ctx.cell().clock()
    }

    /// Waits for the end of a child that was asked to stop, and kills it when its time is over.
    fn wait(
        &mut self,
        id: Option<&ChildId>,
        mut watch: Watcher,
        how: Shutdown,
        since: Instant,
    ) -> Reason {
        let own = match how {
            Shutdown::Timeout(time) => since.checked_add(time),
            Shutdown::BrutalKill | Shutdown::Infinity => None,
        };
        let limit = match (own, self.deadline) {
            (Some(own), Some(all)) => Some(own.min(all)),
            (own, all) => own.or(all),
        };
        let pid = watch.pid().clone();
        if let Some(limit) = limit {
            let left = pid.clock().left(Some(limit));
            match watch.wait_timeout(left) {
                Ok(reason) => return truth(&pid, reason),
                Err(_) => {
                    if self.deadline == Some(limit) {
                        self.report(Report::StopOverdue {
                            id: id.cloned(),
                            pid: pid.clone(),
                            waited: self.clock().now().saturating_duration_since(since),
                        });
                    }
                    self.ctx.exit(&pid, Reason::Kill);
                }
            }
        }
        truth(&pid, watch.wait_down())
    }

    fn ask_to_stop(&self, pid: &Pid, how: Shutdown) -> Watcher {
        // Among many children none may make it wait: others get their turn nevertheless.
        checkpoint();
        let watch = pid.watch();
        let signal = match how {
            Shutdown::BrutalKill => Reason::Kill,
            Shutdown::Timeout(_) | Shutdown::Infinity => Reason::Shutdown,
        };
        self.ctx.exit(pid, signal);
        watch
    }
}

/// Why it ended: a monitor that came too late does not know.
fn truth(pid: &Pid, reason: Reason) -> Reason {
    match reason {
        Reason::NoProc => pid.exit_reason().unwrap_or(Reason::NoProc),
        reason => reason,
    }
}

impl Hands<Pid, ChildStart> for Crew<'_> {
    fn now(&mut self) -> Instant {
        match &self.tools.clock {
            Some(clock) => clock(),
            None => self.clock().now(),
        }
    }

    /// The generator is splitmix64 (Steele, Lea, Flood 2014).
    fn random(&mut self) -> f64 {
        let state = &mut self.tools.random;
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let bits = (mixed ^ (mixed >> 31)) >> 11;
        bits as f64 / (1_u64 << 53) as f64
    }

    fn start(
        &mut self,
        id: Option<&ChildId>,
        rules: &Rules,
        start: &mut ChildStart,
    ) -> Result<Option<Pid>, Reason> {
        let mut ctx = StartContext {
            ctx: self.ctx,
            id,
            how: rules.how(),
        };
        let started = match catch_unwind(AssertUnwindSafe(|| start.call(&mut ctx))) {
            Ok(started) => started,
            // The supervisor was killed: it is not for the child to catch that.
            Err(payload) if is_cancel_unwind(&*payload) => resume_unwind(payload),
            Err(payload) => Err(StartError::Failed(panics::into_reason(payload))),
        };
        match started {
            Ok(pid) => {
                // It is linked already if it was started through the context. One that has ended since is
                // heard of by an exit, for a supervisor traps them.
                let _ = self.ctx.link(&pid);
                Ok(Some(pid))
            }
            Err(StartError::Ignored) => Ok(None),
            Err(StartError::Failed(reason)) => Err(reason),
            Err(other) => Err(Reason::error(other)),
        }
    }

    fn stop(&mut self, id: Option<&ChildId>, pid: &Pid, how: Shutdown) -> Reason {
        let since = self.clock().now();
        // Before the signal. If it is the child that waits already, it ends when its time is over.
        let _waits = pid.cell().map(Waits::for_answer_of);
        let watch = self.ask_to_stop(pid, how);
        self.wait(id, watch, how, since)
    }

    fn stop_together(&mut self, children: Vec<(Pid, Shutdown)>) -> Vec<Reason> {
        let since = self.clock().now();
        let asked = |(pid, how): (Pid, Shutdown)| (self.ask_to_stop(&pid, how), how);
        let asked: Vec<_> = children.into_iter().map(asked).collect();
        let wait = |(watch, how)| {
            checkpoint();
            self.wait(None, watch, how, since)
        };
        asked.into_iter().map(wait).collect()
    }

    fn later(&mut self, again: Again, wait: Duration) {
        if wait.is_zero() {
            self.ctx.send_self(again);
        } else {
            self.ctx.send_after(wait, again);
        }
    }

    fn restarts(&mut self, id: Option<&ChildId>) {
        let cell = self.ctx.cell();
        if let Some(hooks) = cell.hooks() {
            let id = id.map_or("without id", ChildId::as_str);
            hooks.supervisor(cell, format_args!("restarts child {id}"));
        }
    }

    fn report(&mut self, report: Report) {
        let cell = self.ctx.cell();
        if let Some(hooks) = cell.hooks()
            && let Report::GaveUp { .. } | Report::LimitReached { .. } = report
        {
            hooks.supervisor(cell, format_args!("sees {report}"));
        }
        let me = self.ctx.pid();
        // What a log does wrong is not the children's fault.
        let told = catch_unwind(AssertUnwindSafe(|| match &self.tools.reporter {
            Some(reporter) => reporter(&me, &report),
            None => reports::supervisor(&me, report),
        }));
        if let Err(payload) = told {
            if is_cancel_unwind(&*payload) {
                resume_unwind(payload);
            }
            drop(panics::into_reason(payload));
        }
    }
}

impl<'a> Crew<'a> {
    pub(super) fn new(ctx: &'a mut Context<Keeper>, tools: &'a mut Tools) -> Self {
        Crew {
            ctx,
            tools,
            deadline: None,
        }
    }

    /// The supervisor stops: from now on its deadline counts.
    pub(super) fn stopping(mut self) -> Self {
        let limit = self.tools.stop_deadline;
        self.deadline = limit.and_then(|limit| self.clock().deadline_after(limit));
        self
    }
}
