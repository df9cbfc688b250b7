//! What can be asked of a supervisor: its children, and to start, stop and delete them.

use super::check;
use super::id::ChildId;
use super::plan::{Hands, Plan};
use super::rules::{Kind, Restart, Strategy};
use super::table::{Child, Key, State};
use crate::pid::Pid;
use crate::reason::Reason;
use std::error::Error;
use std::fmt;
use std::hash::Hash;

/// How a child is, in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChildState<P = Pid> {
    /// It runs; this is its present incarnation.
    Running(P),
    /// A restart has failed or waits.
    Restarting,
    /// It has ended or never started, and is not going to be restarted.
    Ended,
}

/// A child, in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChildInfo<P = Pid> {
    /// Its id; children of a dynamic supervisor have none.
    pub id: Option<ChildId>,
    /// How it is.
    pub state: ChildState<P>,
    /// What it is.
    pub kind: Kind,
    /// When it is restarted.
    pub restart: Restart,
}

/// How many children there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counts {
    /// Places; of a dynamic supervisor one, for all its children are alike.
    pub specs: usize,
    /// Children that run.
    pub active: usize,
    /// Supervisors, running or not.
    pub supervisors: usize,
    /// Workers, running or not.
    pub workers: usize,
}

/// Why a call to a supervisor did nothing.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum AdminError {
    /// There is no such child.
    NotFound,
    /// The child runs.
    Running,
    /// The child is being restarted.
    Restarting,
    /// A dynamic supervisor does not do this: its children have no ids and no places.
    Dynamic,
    /// The child did not start.
    Failed(Reason),
    /// The supervisor has ended, or ended meanwhile, and why.
    Down(Reason),
    /// The supervisor waits for the caller: each would wait for the other.
    Cycle,
}

impl fmt::Display for AdminError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AdminError::NotFound => f.write_str("no such child"),
            AdminError::Running => f.write_str("child is running"),
            AdminError::Restarting => f.write_str("child is being restarted"),
            AdminError::Dynamic => f.write_str("not for a dynamic supervisor"),
            AdminError::Failed(reason) => write!(f, "child did not start: {reason}"),
            AdminError::Down(reason) => write!(f, "supervisor has ended: {reason}"),
            AdminError::Cycle => f.write_str("caller and supervisor would wait for each other"),
        }
    }
}

impl Error for AdminError {}

/// Why a child was not added.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Refusal<P> {
    AlreadyStarted(P),
    AlreadyPresent,
    TooMany,
    Impossible(check::SpecError),
    Failed(Reason),
}

/// A child that was not added.
#[derive(Debug)]
pub(crate) struct NotAdded<P, S> {
    pub(crate) refusal: Refusal<P>,
    pub(crate) child: Box<Child<P, S>>,
}

impl<P: Clone + Eq + Hash, S> Plan<P, S> {
    /// Adds a child and starts it. One that fails to start is not added, and given back.
    pub(crate) fn add(
        &mut self,
        hands: &mut impl Hands<P, S>,
        child: Child<P, S>,
    ) -> Result<Option<P>, NotAdded<P, S>> {
        if let Err(refusal) = self.may_add(&child) {
            let child = Box::new(child);
            return Err(NotAdded { refusal, child });
        }
        let key = self.children.push(child);
        self.launch(hands, key).map_err(|reason| {
            let child = self.children.remove(key);
            NotAdded {
                refusal: Refusal::Failed(reason),
                child: Box::new(child.expect("one that did not start keeps its place")),
            }
        })
    }

    fn may_add(&self, child: &Child<P, S>) -> Result<(), Refusal<P>> {
        check::child(&self.flags, child.id.as_ref(), &child.rules).map_err(Refusal::Impossible)?;
        let present = child.id.as_ref().and_then(|id| self.children.by_id(id));
        match present
            .and_then(|key| self.children.get(key))
            .map(Child::state)
        {
            Some(State::Running(pid)) => Err(Refusal::AlreadyStarted(pid.clone())),
            Some(State::Restarting(..) | State::Ended) => Err(Refusal::AlreadyPresent),
            None if self.children.len() >= self.flags.max_children => Err(Refusal::TooMany),
            None => Ok(()),
        }
    }

    /// Adds a child that is not started yet, one of those that the supervisor begins with.
    pub(crate) fn add_idle(&mut self, child: Child<P, S>) {
        self.children.push(child);
    }

    /// Stops a child. Its place stays, unless it is temporary.
    pub(crate) fn terminate(
        &mut self,
        hands: &mut impl Hands<P, S>,
        id: &ChildId,
    ) -> Result<(), AdminError> {
        let key = self.find(id)?;
        self.stop_one(hands, key);
        Ok(())
    }

    /// Stops a child of a dynamic supervisor, or calls its restart off.
    pub(crate) fn terminate_pid(
        &mut self,
        hands: &mut impl Hands<P, S>,
        pid: &P,
    ) -> Result<(), AdminError> {
        let key = self.children.by_pid(pid).ok_or(AdminError::NotFound)?;
        self.stop_one(hands, key);
        Ok(())
    }

    /// Starts a child whose place is empty.
    pub(crate) fn start_again(
        &mut self,
        hands: &mut impl Hands<P, S>,
        id: &ChildId,
    ) -> Result<Option<P>, AdminError> {
        let key = self.find_ended(id)?;
        self.launch(hands, key).map_err(AdminError::Failed)
    }

    /// Forgets an empty place.
    pub(crate) fn delete(&mut self, id: &ChildId) -> Result<(), AdminError> {
        let key = self.find_ended(id)?;
        self.children.remove(key);
        Ok(())
    }

    /// The present incarnation.
    pub(crate) fn pid_of(&self, id: &ChildId) -> Result<Option<P>, AdminError> {
        let key = self.find(id)?;
        match self.children.get(key).map(Child::state) {
            Some(State::Running(pid)) => Ok(Some(pid.clone())),
            _ => Ok(None),
        }
    }

    fn find(&self, id: &ChildId) -> Result<Key, AdminError> {
        if self.flags.strategy == Strategy::Dynamic {
            return Err(AdminError::Dynamic);
        }
        self.children.by_id(id).ok_or(AdminError::NotFound)
    }

    fn find_ended(&self, id: &ChildId) -> Result<Key, AdminError> {
        let key = self.find(id)?;
        match self.children.get(key).map(Child::state) {
            Some(State::Ended) => Ok(key),
            Some(State::Running(_)) => Err(AdminError::Running),
            Some(State::Restarting(..)) => Err(AdminError::Restarting),
            None => Err(AdminError::NotFound),
        }
    }

    /// The children, the one that was added last first.
    pub(crate) fn list(&self) -> Vec<ChildInfo<P>> {
        let info = |(_, child): (Key, &Child<P, S>)| ChildInfo {
            id: child.id.clone(),
            state: match child.state() {
                State::Running(pid) => ChildState::Running(pid.clone()),
                State::Restarting(..) => ChildState::Restarting,
                State::Ended => ChildState::Ended,
            },
            kind: child.rules.kind,
            restart: child.rules.restart,
        };
        self.children.iter_reverse().map(info).collect()
    }

    pub(crate) fn count_children(&self) -> Counts {
        let (all, supervisors) = (self.children.len(), self.children.supervisors());
        Counts {
            specs: match self.flags.strategy {
                Strategy::Dynamic => 1,
                _ => all,
            },
            active: self.children.running(),
            supervisors,
            workers: all - supervisors,
        }
    }
}
