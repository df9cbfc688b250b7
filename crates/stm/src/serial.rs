//! The serial turn: one transaction runs alone, and nobody can make it fail.
//!
//! The holder has [closed](crate::clock::Clock::close) the gate in the clock, so it reads and writes against
//! nobody: who took a stamp before has its locks in plain sight, who takes one later steps back.
//!
//! Threads and green threads get the turn in the order in which they asked. Futures keep their place in the
//! line, too, but are passed by others while nobody polls them: a future that is not polled must not hold
//! up anybody.
//!
//! Invariants
//! 1. `is_taken` is set as long as a [`Turn`] exists; there is one at most.
//! 2. When a turn ends, the first in line is woken, and, as long as that is a future, the next one, too.
//! 3. Wakers are called without the lock.

use crate::canary::{is_gone, is_weak};
use crate::domain::domain;
use crate::waiting::Waiter;
use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};
use weftwork_core::sync::Mutex;

#[derive(Debug)]
pub(crate) struct Gate(Mutex<State>);

#[derive(Debug)]
struct State {
    is_taken: bool,
    line: VecDeque<Ticket>,
    /// Who waits until the gate is open, to commit as everybody does.
    outside: Vec<Arc<Waiter>>,
}

#[derive(Debug)]
struct Ticket {
    waiter: Arc<Waiter>,
    is_future: bool,
}

impl Gate {
    #[cfg(not(weftwork_loom))]
    pub(crate) const fn new() -> Gate {
        Gate(Mutex::new(State {
            is_taken: false,
            line: VecDeque::new(),
            outside: Vec::new(),
        }))
    }

    #[cfg(weftwork_loom)]
    pub(crate) fn new() -> Gate {
        Gate(Mutex::new(State {
            is_taken: false,
            line: VecDeque::new(),
            outside: Vec::new(),
        }))
    }

    fn end_turn(&self) {
        let mut woken = {
            let mut state = self.0.lock();
            state.is_taken = false;
            let mut woken = mem::take(&mut state.outside);
            for ticket in state.line.iter().filter(|_| !is_weak("stm: end of a turn")) {
                woken.push(Arc::clone(&ticket.waiter));
                if !ticket.is_future {
                    break;
                }
            }
            woken
        };
        woken.drain(..).for_each(|waiter| {
            waiter.notify();
        });
    }
}

/// A place in the line for the turn. Dropping it leaves the line.
#[derive(Debug)]
pub(crate) struct Place {
    waiter: Arc<Waiter>,
    is_future: bool,
}

impl Place {
    /// Queues up.
    pub(crate) fn new(is_future: bool) -> Place {
        let waiter = Arc::new(Waiter::new());
        let ticket = Ticket {
            waiter: Arc::clone(&waiter),
            is_future,
        };
        domain().gate.0.lock().line.push_back(ticket);
        Place { waiter, is_future }
    }

    /// Takes the turn if it is free and nobody is ahead who would come for it.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Turn> {
        loop {
            {
                let mut state = domain().gate.0.lock();
                let mine = |ticket: &Ticket| Arc::ptr_eq(&ticket.waiter, &self.waiter);
                let at = state
                    .line
                    .iter()
                    .position(mine)
                    .expect("queued until it is dropped");
                let is_next = state.line.iter().take(at).all(|ticket| ticket.is_future);
                if is_next && !state.is_taken {
                    state.is_taken = true;
                    drop(state);
                    return Poll::Ready(Turn::begin());
                }
                // Notified before, and somebody else was quicker: wait for the next turn in the same place.
                if self.waiter.is_notified() {
                    self.waiter = Arc::new(Waiter::new());
                    state.line[at].waiter = Arc::clone(&self.waiter);
                }
            }
            if self.waiter.poll(context).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if is_gone() {
            return;
        }
        let (ticket, next) = {
            let mut state = domain().gate.0.lock();
            let mine = |ticket: &Ticket| Arc::ptr_eq(&ticket.waiter, &self.waiter);
            let at = state.line.iter().position(mine);
            let ticket = at.and_then(|at| state.line.remove(at));
            // It may have been woken for a turn that it does not take: the next one hears of it.
            let next = (!state.is_taken && !self.is_future).then(|| {
                state
                    .line
                    .iter()
                    .map(|t| Arc::clone(&t.waiter))
                    .collect::<Vec<_>>()
            });
            (ticket, next)
        };
        drop(ticket);
        next.into_iter().flatten().for_each(|waiter| {
            waiter.notify();
        });
    }
}

/// The right to run alone, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn(());

impl Turn {
    fn begin() -> Turn {
        domain().clock.close();
        Turn(())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if is_gone() {
            return;
        }
        let domain = domain();
        domain.clock.open();
        domain.gate.end_turn();
    }
}

/// Waits at the gate, for whoever was sent back because another runs alone.
#[derive(Debug)]
pub(crate) struct Outside(Option<Arc<Waiter>>);

impl Outside {
    pub(crate) fn new() -> Outside {
        let mut state = domain().gate.0.lock();
        if !state.is_taken {
            return Outside(None);
        }
        let waiter = Arc::new(Waiter::new());
        state.outside.push(Arc::clone(&waiter));
        Outside(Some(waiter))
    }

    pub(crate) fn poll(&self, context: &mut Context<'_>) -> Poll<()> {
        match &self.0 {
            Some(waiter) => waiter.poll(context),
            None => Poll::Ready(()),
        }
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        if is_gone() {
            return;
        }
        if let Some(waiter) = &self.0 {
            let mut state = domain().gate.0.lock();
            let at = state
                .outside
                .iter()
                .position(|other| Arc::ptr_eq(other, waiter));
            let entry = at.map(|at| state.outside.swap_remove(at));
            drop(state);
            drop(entry);
        }
    }
}
