//! Where the next piece of work comes from: the worker's own queues in turn, then everybody's.
//!
//! Own queues: carriers that are ready go before tasks, because what has started is nearer its end,
//! but after seven of them a queued task has its turn. Among tasks the future woken last runs first
//! (at most three times in a row while others are queued), then woken futures and thread-bound tasks, then new tasks; every
//! fourth task is a new one, and every sixty-first the oldest instead of the newest. So nothing waits
//! for ever.

use super::Worker;
use super::run::Work;
use crate::carrier::{Carrier, release};
use crate::home::{Home, Published};
use crate::inbox::Link;
use crate::item::Item;
use crate::shared::Phase;
use crossbeam_deque::Steal;
use std::hint;
use std::ptr::NonNull;
use weftwork_core::Task;
use weftwork_core::sync::atomic::Ordering;

/// How often in a row the future woken last may run first.
const LIFO_RUNS: u32 = 3;
/// How many ready carriers are resumed before a queued task has its turn.
const CARRIER_TURNS: u32 = 7;
/// Every so many tasks a new one goes before the woken ones.
const WOKEN_TURNS: u32 = 4;
/// Every so many tasks the oldest new one goes before the newest.
const OLDEST_TURNS: u32 = 61;

/// How often at most a worker looks whether another gets on with its tasks, before it steals them.
const BEGIN_ROUNDS: u32 = 8;
/// Looks at its queue in each of these rounds: about a microsecond.
const BEGIN_LOOKS: u32 = 100;

impl Worker {
    /// Waits for something to do.
    pub(super) fn next_work(&self, start_new: bool) -> Work {
        loop {
            let tick = self.tick.get() + 1;
            self.tick.set(tick);
            if self.to_root.get() {
                return Work::Root;
            }
            if tick >= self.next_check.get() {
                self.check_clock();
                if start_new
                    && !self.to_root.get()
                    && let Some(item) = self.take_injected()
                {
                    return self.found(Work::unpack(item));
                }
            }
            if self.home().inbox.has_mail() {
                self.take_mail();
            }
            if self.to_root.get() {
                return Work::Root;
            }
            if let Some(work) = self.own_work(start_new) {
                return self.found(work);
            }
            if start_new && let Some(item) = self.search() {
                return self.found(Work::unpack(item));
            }
            if self.must_leave() {
                self.to_root.set(true);
                return Work::Root;
            }
            self.sleep(start_new);
        }
    }

    /// Ends the search, if there was one, and passes it on.
    #[inline]
    fn found(&self, work: Work) -> Work {
        if self.searching.get() {
            self.pass_on();
        }
        work
    }

    #[cold]
    fn pass_on(&self) {
        self.searching.set(false);
        if self.shared.idle.found() {
            self.shared.work_published();
        }
    }

    #[inline]
    fn own_work(&self, start_new: bool) -> Option<Work> {
        if !start_new {
            return self.ready.pop().map(Work::Resume);
        }
        if self.tasks_turn() {
            self.next_task()
                .or_else(|| self.ready.pop().map(Work::Resume))
        } else {
            self.ready
                .pop()
                .map(Work::Resume)
                .or_else(|| self.next_task())
        }
    }

    /// Whether it is the turn of queued tasks rather than ready carriers. Counts the turns.
    #[inline]
    pub(super) fn tasks_turn(&self) -> bool {
        let turns = self.carrier_turns.get();
        let over = turns >= CARRIER_TURNS;
        self.carrier_turns.set(if over { 0 } else { turns + 1 });
        over
    }

    /// Makes the next turn one of queued tasks.
    #[inline]
    pub(super) fn tasks_first(&self) {
        self.carrier_turns.set(CARRIER_TURNS);
    }

    #[inline]
    fn next_task(&self) -> Option<Work> {
        if let Some(task) = self.home().next_up.take() {
            let runs = self.lifo_runs.get();
            if runs < LIFO_RUNS {
                self.lifo_runs.set(runs + 1);
                return Some(Work::Run(task));
            }
            // Alone it would be the first of its queue; and there another worker would take it.
            if !self.has_queued() {
                return Some(Work::Run(task));
            }
            self.push_behind(task);
        }
        self.lifo_runs.set(0);
        let turn = self.task_turns.get().wrapping_add(1);
        self.task_turns.set(turn);
        if turn.is_multiple_of(WOKEN_TURNS)
            && let Some(item) = self.take_fresh(turn)
        {
            return Some(Work::unpack(item));
        }
        if let Some(item) = self.woken.pop() {
            return Some(Work::unpack(item));
        }
        if let Some(task) = self.pop_local() {
            return Some(Work::Run(task));
        }
        self.take_fresh(turn).map(Work::unpack)
    }

    #[inline]
    fn pop_local(&self) -> Option<Task> {
        self.local.borrow_mut().pop_front()
    }

    #[inline]
    fn take_fresh(&self, turn: u32) -> Option<Item> {
        if turn.is_multiple_of(OLDEST_TURNS)
            && let Steal::Success(item) = self.home().fresh.steal()
        {
            return Some(item);
        }
        self.fresh.pop()
    }

    /// Whether there is work of the worker's own, besides carriers, that a carrier in the loop would
    /// find.
    #[inline]
    pub(super) fn has_own_tasks(&self) -> bool {
        self.home().next_up.is_some() || self.has_queued()
    }

    /// As `has_own_tasks`, without the future woken last.
    #[inline]
    fn has_queued(&self) -> bool {
        !self.fresh.is_empty() || !self.woken.is_empty() || !self.local.borrow().is_empty()
    }

    pub(super) fn take_injected(&self) -> Option<Item> {
        loop {
            match self.shared.injector.steal_batch_and_pop(&self.woken) {
                Steal::Success(item) => {
                    // The rest of the batch was in neither queue for a moment, in which another's
                    // search may have ended. A searcher passes its search on when it is done.
                    if !self.searching.get() && !self.woken.is_empty() {
                        self.shared.work_published();
                    }
                    return Some(item);
                }
                Steal::Empty => return None,
                Steal::Retry => {}
            }
        }
    }

    /// Looks into the queues that everybody may take from.
    fn search(&self) -> Option<Item> {
        if let Some(item) = self.take_injected() {
            return Some(item);
        }
        let homes = &self.shared.homes;
        if homes.len() == 1 {
            return None;
        }
        if !self.searching.get() {
            if !self.shared.idle.start_search() {
                return None;
            }
            self.searching.set(true);
        }
        let start = self.random();
        for step in 0..homes.len() {
            let victim = &homes[start.wrapping_add(step) % homes.len()];
            if victim.index == self.index || !self.lets_others_begin(victim) {
                continue;
            }
            let stolen = loop {
                match victim.woken.steal_batch_and_pop(&self.woken).or_else(|| {
                    // New tasks go to the new task queue, whose own order they keep.
                    victim.fresh.steal_batch_and_pop(&self.fresh)
                }) {
                    Steal::Success(item) => break Some(item),
                    Steal::Empty => break None,
                    Steal::Retry => std::hint::spin_loop(),
                }
            };
            if stolen.is_some() {
                self.hasty.set(true);
                Published::bump(&self.home().published.steals);
                return stolen;
            }
        }
        None
    }

    /// Gives a worker that has new tasks, and gets on with them, a moment to begin them itself. True:
    /// there may be something to steal.
    ///
    /// Tasks that are spawned together often talk to each other, and what has started stays where it is.
    /// A worker that has just run out of work, and is awake by accident, must not tear them apart for
    /// ever. One that steals already goes on at once. (Go gives the goroutine that was made ready last 3 µs
    /// before it is stolen, for the same reason.)
    fn lets_others_begin(&self, victim: &Home) -> bool {
        if self.hasty.get() || victim.fresh.is_empty() || !victim.woken.is_empty() {
            return true;
        }
        // Relaxed, all: a guess.
        let mut epoch = victim.published.epoch.load(Ordering::Relaxed);
        for _ in 0..BEGIN_ROUNDS {
            for _ in 0..BEGIN_LOOKS {
                if victim.fresh.is_empty() {
                    return false;
                }
                hint::spin_loop();
            }
            let now = victim.published.epoch.load(Ordering::Relaxed);
            if now == epoch {
                // What runs there does not end soon.
                return true;
            }
            epoch = now;
        }
        true
    }

    /// Whether anything could be found by a search: the last look before the sleep.
    pub(super) fn work_in_sight(&self) -> bool {
        !self.shared.injector.is_empty()
            || self
                .shared
                .homes
                .iter()
                .any(|home| !home.woken.is_empty() || !home.fresh.is_empty())
    }

    /// Wakes the carriers of a list from the inbox.
    pub(super) fn open_mail(&self, mut next: Option<NonNull<Link>>) {
        while let Some(link) = next {
            // SAFETY: links from the inbox are carriers' first fields, kept alive by the inbox's
            // reference, which is ours now, and so is the link until the marks are collected.
            next = NonNull::new(unsafe { link.as_ref() }.next());
            let carrier = link.cast::<Carrier>();
            // SAFETY: as above.
            let token = unsafe { carrier.as_ref() }.collect_mail();
            self.wake_here(carrier, token);
            // SAFETY: the inbox's reference. A carrier that has left its stack for ever may go now.
            unsafe { release(carrier) };
        }
    }

    /// Moves what others left in the inbox to the worker's own queues.
    pub(super) fn take_mail(&self) {
        self.open_mail(self.home().inbox.take());
        let home = self.home();
        // Relaxed: ordered by the inbox, whose taking acquires what came before the kick.
        if home.has_local_mail.load(Ordering::Relaxed) {
            let mut mail = home.local_mail.lock();
            home.has_local_mail.store(false, Ordering::Relaxed);
            self.local.borrow_mut().extend(mail.drain(..));
        }
        match self.shared.phase() {
            Phase::Running | Phase::Closing => {}
            Phase::Stopping => self.begin_stop(),
            // Whatever is left: a task that will not end may be ready again and again.
            Phase::Exiting => self.leave_loop(),
        }
    }
}
