//! Who is in a group, and how it went.
//!
//! Invariants
//! 1. A task is in `tasks` from before it is spawned until it ends, in whatever way: its
//!    [`Member`](super::member::Member) sees to that. A group without tasks is idle.
//! 2. Once `cancelled` is set no task comes in, and each one that is in is asked to end: those whose
//!    handle is known by whoever sets it, the others by their spawner, who looks after it has spawned.
//! 3. Of several errors the first is kept, and of several panics; no error hides a panic.
//! 4. Tasks are cancelled, and errors dropped, while the queue is unlocked: that is foreign code.

use crate::attempt::{News, Operation};
use std::any::Any;
use std::collections::HashMap;
#[cfg(weftwork_canary)]
use weftwork_core::canary::{self, Step};
use weftwork_core::task::TaskRef;
use weftwork_core::wait::queue::{Lane, Line, Locked, WaitQueue};

/// Where those wait that want to spawn.
pub(super) const SPAWNERS: Lane = Lane::First;
/// Where those wait that want the group to be idle.
pub(super) const JOINERS: Lane = Lane::Second;

pub(super) type Payload = Box<dyn Any + Send>;

/// How a task ended.
pub(super) enum End<E> {
    Done,
    Failed(E),
    Panicked(Payload),
    /// Cancelled, or dropped by its executor.
    Unfinished,
}

/// How a group ended.
pub(super) struct Outcome<E> {
    pub(super) failed: Option<E>,
    pub(super) panicked: Option<Payload>,
    pub(super) unfinished: bool,
}

pub(super) struct State<E> {
    /// By number; without a handle while its spawner is about to give it.
    tasks: HashMap<u64, Option<TaskRef>>,
    next: u64,
    limit: usize,
    cancelled: bool,
    outcome: Outcome<E>,
}

pub(super) type Queue<E> = WaitQueue<State<E>>;

impl<E> Line for State<E> {
    type Shared = ();
    type Ask = ();
    type Token = News;

    fn left(_: &mut Locked<'_, Self>, _: Lane) {}

    fn returned(state: &mut Locked<'_, Self>, _: News) {
        if state.has_room() {
            // Nobody waits: whoever comes looks. All joiners were told of what there is.
            let _ = state.notify(SPAWNERS, News::Look);
        }
    }
}

impl<E> State<E> {
    pub(super) fn new(limit: usize) -> Self {
        State {
            tasks: HashMap::new(),
            next: 0,
            limit,
            cancelled: false,
            outcome: Outcome {
                failed: None,
                panicked: None,
                unfinished: false,
            },
        }
    }

    pub(super) fn len(&self) -> usize {
        self.tasks.len()
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled
    }

    fn has_room(&self) -> bool {
        self.tasks.len() < self.limit
    }
}

/// Ends the group: asks all tasks to end and takes no more.
pub(super) fn cancel<E>(queue: &Queue<E>) {
    let mut state = queue.lock();
    let doomed = close(&mut state);
    drop(state);
    doomed.iter().for_each(TaskRef::cancel);
}

/// Sets `cancelled`. Gives the tasks that the caller is to cancel, unlocked.
#[must_use]
fn close<E>(state: &mut Locked<'_, State<E>>) -> Vec<TaskRef> {
    if std::mem::replace(&mut state.cancelled, true) {
        return Vec::new();
    }
    let doomed = state.tasks.values().flatten().cloned().collect();
    state.notify_all(SPAWNERS, || News::Look);
    doomed
}

/// Gives the group the handle of a task that was spawned.
pub(super) fn register<E>(queue: &Queue<E>, number: u64, task: TaskRef) {
    let mut state = queue.lock();
    let too_late = state.cancelled;
    // Canary: the spawner does not look whether the group was cancelled meanwhile.
    #[cfg(weftwork_canary)]
    let too_late = too_late && !canary::is(Step::Of("group_register"));
    // None: it has ended already.
    if let Some(slot) = state.tasks.get_mut(&number).filter(|_| !too_late) {
        *slot = Some(task);
        return;
    }
    drop(state);
    if too_late {
        task.cancel();
    }
}

/// Takes a task out that has ended.
pub(super) fn remove<E>(queue: &Queue<E>, number: u64, end: End<E>) {
    let mut state = queue.lock();
    let task = state.tasks.remove(&number);
    let is_failure = !matches!(end, End::Done);
    let outcome = &mut state.outcome;
    let surplus = match end {
        End::Done => None,
        End::Failed(error) if outcome.failed.is_none() => {
            outcome.failed = Some(error);
            None
        }
        End::Panicked(payload) if outcome.panicked.is_none() => {
            outcome.panicked = Some(payload);
            None
        }
        End::Unfinished => {
            outcome.unfinished = true;
            None
        }
        surplus => Some(surplus),
    };
    let doomed = if is_failure {
        close(&mut state)
    } else {
        Vec::new()
    };
    // Nobody waits: whoever comes looks.
    let _ = state.notify(SPAWNERS, News::Look);
    if state.tasks.is_empty() {
        state.notify_all(JOINERS, || News::Look);
    }
    drop(state);
    doomed.iter().for_each(TaskRef::cancel);
    drop((task, surplus));
}

/// Takes what the group has come to.
pub(super) fn take_outcome<E>(queue: &Queue<E>) -> Outcome<E> {
    let outcome = &mut queue.lock().outcome;
    Outcome {
        failed: outcome.failed.take(),
        panicked: outcome.panicked.take(),
        unfinished: outcome.unfinished,
    }
}

/// Waits for room for a task, and gives its number; `None` once the group is cancelled.
pub(super) struct Enter;

impl<E> Operation<State<E>> for Enter {
    type Found = Option<u64>;
    type Output = Option<u64>;

    fn attempt(&mut self, state: &mut Locked<'_, State<E>>, _: bool) -> Option<Option<u64>> {
        if state.cancelled {
            return Some(None);
        }
        if !state.has_room() {
            return None;
        }
        let number = state.next;
        state.next += 1;
        state.tasks.insert(number, None);
        Some(Some(number))
    }

    fn finish(&mut self, found: Option<u64>) -> Option<Option<u64>> {
        Some(found)
    }
}

/// Waits until no task runs.
pub(super) struct Idle;

impl<E> Operation<State<E>> for Idle {
    type Found = ();
    type Output = ();

    fn attempt(&mut self, state: &mut Locked<'_, State<E>>, _: bool) -> Option<()> {
        state.tasks.is_empty().then_some(())
    }

    fn finish(&mut self, (): ()) -> Option<()> {
        Some(())
    }
}
