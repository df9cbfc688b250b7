//! Where the next piece of work comes from: the worker's own queues in turn, then everybody's.
//!
//! Own queues: the future woken last (at most three times in a row), then, by turns, carriers that
//! are ready, woken futures, thread-bound tasks, and new tasks. What has started goes before what has
//! not, but every eighth turn a new task comes first, and every sixteenth new task is the oldest
//! instead of the newest: nothing waits for ever.

use super::Worker;
use super::run::Work;
use crate::home::Published;
use crate::item::Item;
use crate::shared::Phase;
use crossbeam_deque::Steal;
use std::ptr::NonNull;
use weftwork_core::sync::atomic::Ordering;

/// How often in a row the future woken last may run first.
const LIFO_RUNS: u32 = 3;

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
                if start_new && let Some(item) = self.take_injected() {
                    return self.found(Work::unpack(item));
                }
            }
            if self.home().inbox.has_mail() {
                self.take_mail();
            }
            if let Some(work) = self.own_work(tick, start_new) {
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
            self.searching.set(false);
            if self.shared.idle.found() {
                self.shared.work_published();
            }
        }
        work
    }

    #[inline]
    fn own_work(&self, tick: u64, start_new: bool) -> Option<Work> {
        if !start_new {
            return self.ready.pop().map(Work::Resume);
        }
        if let Some(task) = self.lifo.take() {
            let runs = self.lifo_runs.get();
            if runs < LIFO_RUNS {
                self.lifo_runs.set(runs + 1);
                return Some(Work::Run(task));
            }
            self.push_behind(task);
        }
        self.lifo_runs.set(0);
        if tick.is_multiple_of(8)
            && let Some(item) = self.take_fresh(tick)
        {
            return Some(Work::unpack(item));
        }
        if tick.is_multiple_of(2) {
            self.woken_work()
                .or_else(|| self.ready.pop().map(Work::Resume))
        } else {
            self.ready
                .pop()
                .map(Work::Resume)
                .or_else(|| self.woken_work())
        }
        .or_else(|| self.take_fresh(tick).map(Work::unpack))
    }

    fn woken_work(&self) -> Option<Work> {
        self.woken.pop().map(Work::unpack).or_else(|| {
            let task = self.local.borrow_mut().pop_front();
            task.map(Work::Run)
        })
    }

    #[inline]
    fn take_fresh(&self, tick: u64) -> Option<Item> {
        if tick.is_multiple_of(16)
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
        !self.fresh.is_empty()
            || !self.woken.is_empty()
            || self.has_lifo()
            || !self.local.borrow().is_empty()
    }

    fn has_lifo(&self) -> bool {
        let task = self.lifo.take();
        let there = task.is_some();
        self.lifo.set(task);
        there
    }

    pub(super) fn take_injected(&self) -> Option<Item> {
        loop {
            match self.shared.injector.steal_batch_and_pop(&self.woken) {
                Steal::Success(item) => return Some(item),
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
            if victim.index == self.index {
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
                Published::bump(&self.home().published.steals);
                return stolen;
            }
        }
        None
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

    /// Moves what others left in the inbox to the worker's own queues.
    pub(super) fn take_mail(&self) {
        let mut next = self.home().inbox.take();
        while let Some(link) = next {
            // SAFETY: links from the inbox are carriers' first fields, alive and ours now.
            next = NonNull::new(unsafe { link.as_ref() }.next());
            self.ready.push(link.cast());
        }
        let home = self.home();
        // Relaxed: ordered by the inbox, whose taking acquires what came before the kick.
        if home.has_local_mail.load(Ordering::Relaxed) {
            let mut mail = home.local_mail.lock();
            home.has_local_mail.store(false, Ordering::Relaxed);
            self.local.borrow_mut().extend(mail.drain(..));
        }
        if self.shared.phase() >= Phase::Stopping {
            self.begin_stop();
        }
    }
}
