//! The loop: what a carrier does when no task is on it, and the root when no carrier is to be had.

use super::{BUDGET, MAX_IDLE, Worker};
use crate::carrier::{Carrier, Joiner, Label};
use crate::foreign;
use crate::fork_join::Job;
use crate::home::Published;
use crate::item::Unpacked;
use std::cell::Cell;
use std::ptr::NonNull;
use std::time::Instant;
use weftwork_core::sync::atomic::Ordering;
use weftwork_core::task::Task;
use weftwork_fiber::switch_final;

/// What the loop does next.
#[derive(Debug)]
pub(super) enum Work {
    Resume(NonNull<Carrier>),
    Run(Task),
    Job(NonNull<Job>),
    /// Back to the root: its turn has come, or the end of the worker.
    Root,
}

impl Work {
    pub(super) fn unpack(item: crate::item::Item) -> Work {
        match item.unpack() {
            Unpacked::Task(task) => Work::Run(task),
            Unpacked::Job(job) => Work::Job(job),
        }
    }
}

/// The base frame of every carrier.
///
/// # Safety
/// `carrier` is the one that was just switched to for the first time, on its worker's thread.
pub(super) unsafe extern "C" fn carrier_main(carrier: *mut ()) -> ! {
    let me = NonNull::new(carrier.cast::<Carrier>()).expect("a carrier is not at address zero");
    super::with(|worker| {
        let worker = worker.expect("carriers run on workers");
        worker.bury();
        worker.carrier_loop(me)
    })
}

impl Worker {
    fn carrier_loop(&self, me: NonNull<Carrier>) -> ! {
        // SAFETY: the carrier that runs is alive.
        let this = unsafe { me.as_ref() };
        loop {
            if let Some(task) = self.hand_over.take() {
                self.run_task(this, task);
            }
            match self.next_work(true) {
                Work::Run(task) => self.run_task(this, task),
                Work::Job(job) => self.run_job(this, me, job),
                Work::Resume(next) => self.make_way(this, me, Some(next)),
                Work::Root => self.make_way(this, me, None),
            }
        }
    }

    /// Leaves the loop to itself: `me` becomes idle, or ends if there are idle carriers enough.
    fn make_way(&self, this: &Carrier, me: NonNull<Carrier>, next: Option<NonNull<Carrier>>) {
        if self.idle_len.get() >= MAX_IDLE {
            self.end(this, me, next);
        }
        self.push_idle(me);
        // SAFETY: `next` is ready, hence suspended, and this worker's, as is the root. An idle
        // carrier is resumed by `loop_carrier`'s callers or retired.
        unsafe { self.switch(next) };
        if this.retire.get() {
            self.end(this, me, self.retirer.take());
        }
    }

    /// Leaves the stack of `me` for ever.
    fn end(&self, this: &Carrier, me: NonNull<Carrier>, next: Option<NonNull<Carrier>>) -> ! {
        self.current.set(next);
        self.zombie.set(Some(me));
        let published = &self.home().published;
        Published::bump(&published.epoch);
        published.set_label(self.label());
        // SAFETY: `next` is suspended and this worker's, `me` is in no list and is not resumed
        // again: whoever runs next buries it. The loop's frame owns nothing.
        unsafe { switch_final(&raw const this.context, self.context(next)) }
    }

    /// Runs one task on the carrier.
    #[inline]
    fn run_task(&self, this: &Carrier, task: Task) {
        let raw = task.raw();
        if self.stopping.get() {
            self.cancel_queued(&task);
        }
        // SAFETY: the task's handle is in our hand, so it is alive.
        let (id, _, spawned_at) = unsafe { raw.describe() };
        let label = Label {
            id: id.get(),
            spawned_at,
        };
        this.task.set(Some(raw));
        this.label.set(label);
        this.busy.set(true);
        self.budget.set(BUDGET);
        let published = &self.home().published;
        Published::bump(&published.epoch);
        published.set_label(label);
        task.run();
        this.busy.set(false);
        this.task.set(None);
        this.label.set(Label::none());
        published.set_label(Label::none());
        Published::bump(&published.run);
    }

    /// Runs the second half of somebody's fork-join.
    fn run_job(&self, this: &Carrier, me: NonNull<Carrier>, job: NonNull<Job>) {
        // SAFETY: it was just taken out of a queue.
        let spawned_at = unsafe { Job::location(job) };
        let label = Label {
            id: u64::MAX,
            spawned_at,
        };
        // SAFETY: as above; we are the running carrier.
        this.on_behalf.set(unsafe { Job::settle(job, me) });
        this.label.set(label);
        this.busy.set(true);
        self.budget.set(BUDGET);
        let published = &self.home().published;
        Published::bump(&published.epoch);
        published.set_label(label);
        // SAFETY: as above.
        unsafe { Job::run(job) };
        this.busy.set(false);
        this.on_behalf.set(None);
        this.label.set(Label::none());
        published.set_label(Label::none());
    }

    /// Runs a task that is joined by the task on the current carrier, on the same stack.
    pub(super) fn run_in_place(&self, task: Task) {
        let Some(carrier) = self.current.get() else {
            return drop(task);
        };
        // SAFETY: the running carrier is alive.
        let this = unsafe { carrier.as_ref() };
        let raw = task.raw();
        // SAFETY: the task's handle is in our hand, so it is alive.
        let (id, _, spawned_at) = unsafe { raw.describe() };
        let joiner = Joiner {
            task: this.task.replace(Some(raw)),
            below: this.joiners.get(),
            token: Cell::new(false),
        };
        this.joiners.set(Some(NonNull::from(&joiner)));
        let label = this.label.replace(Label {
            id: id.get(),
            spawned_at,
        });
        let published = &self.home().published;
        published.set_label(this.label.get());
        if self.stopping.get() {
            self.cancel_queued(&task);
        }
        task.run();
        if joiner.token.get() {
            this.token.set(true);
        }
        this.task.set(joiner.task);
        this.joiners.set(joiner.below);
        this.label.set(label);
        if self.stopping.get()
            && let Some(outer) = joiner.task
        {
            // A stop that began meanwhile has seen the inner task only.
            // SAFETY: the outer task is being run, on this carrier.
            self.cancel_overlooked(&unsafe { outer.upgrade() });
        }
        published.set_label(label);
        Published::bump(&published.run);
    }

    /// Runs the worker until it is told to go back to the root or to exit.
    pub(crate) fn run_root(&self) {
        debug_assert!(self.current.get().is_none());
        loop {
            match self.loop_carrier() {
                // SAFETY: idle or new, hence suspended, and ours. The root is resumed by
                // `Work::Root` or by a park that finds no stack.
                Ok(carrier) => unsafe { self.switch(Some(carrier)) },
                Err(error) => {
                    self.report_exhaustion(&error);
                    match self.next_work(false) {
                        // SAFETY: ready, hence suspended, and ours. The root as above.
                        Work::Resume(carrier) => unsafe { self.switch(Some(carrier)) },
                        Work::Root => {}
                        Work::Run(_) | Work::Job(_) => {
                            unreachable!("the root asks for no new work")
                        }
                    }
                }
            }
            if self.to_root.replace(false) {
                return;
            }
        }
    }

    /// Sends the loop back to the root at its next turn.
    pub(crate) fn leave_loop(&self) {
        self.to_root.set(true);
    }

    /// Runs the worker until no task is left, at most until `deadline`: the end of a runtime without
    /// threads of its own.
    pub(crate) fn run_until(&self, deadline: Option<Instant>) {
        self.stop_at.set(Some(deadline));
        if self.shared.live() != 0 {
            self.run_root();
        }
        self.stop_at.set(None);
    }

    fn report_exhaustion(&self, error: &weftwork_fiber::StackError) {
        // Relaxed: once per runtime, by whoever is first.
        if !self.shared.out_of_stacks.swap(true, Ordering::Relaxed) {
            let text = format!(
                "no stack for another waiting task ({error}); \
                 tasks that were not started wait until others end"
            );
            foreign::call(|| (self.shared.config.on_warning)(&text));
        }
    }

    /// Ends all idle carriers but `keep`, from the root or from a carrier.
    pub(super) fn retire_idle(&self, keep: usize) {
        while self.idle_len.get() > keep {
            let Ok(carrier) = self.loop_carrier() else {
                return;
            };
            // SAFETY: idle, hence alive.
            unsafe { carrier.as_ref() }.retire.set(true);
            self.retirer.set(self.current.get());
            // SAFETY: idle, hence suspended, and ours; it resumes us, the retirer, and ends.
            unsafe { self.switch(Some(carrier)) };
        }
    }
}
