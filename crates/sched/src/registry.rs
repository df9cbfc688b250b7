//! Futures that have been suspended at least once: the tasks that lie in no queue and on no stack.
//!
//! A future registers itself when its first poll is not ready, so one that never waits costs nothing
//! here. The registry's reference keeps the last waker's drop from ending the future on some other
//! thread, and lets a shutdown find it.

use crate::worker::Leftover;
use weftwork_core::sync::Mutex;
use weftwork_core::task::TaskRef;

/// One list per worker, to which the worker that suspends a future adds it.
pub(crate) struct Registry {
    shards: Box<[Mutex<Shard>]>,
    leftovers: Mutex<Vec<Leftover>>,
}

#[derive(Default)]
struct Shard {
    tasks: Vec<Slot>,
    free: Option<u32>,
    living: u64,
}

enum Slot {
    Task(TaskRef),
    Free(Option<u32>),
}

/// Where a future is registered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    shard: u32,
    slot: u32,
}

impl Registry {
    pub(crate) fn new(shards: usize) -> Self {
        Registry {
            shards: (0..shards.max(1))
                .map(|_| Mutex::new(Shard::default()))
                .collect(),
            leftovers: Mutex::new(Vec::new()),
        }
    }

    pub(crate) fn insert(&self, shard: usize, task: TaskRef) -> Key {
        let shard = shard % self.shards.len();
        let mut list = self.shards[shard].lock();
        list.living += 1;
        let slot = match list.free {
            Some(slot) => {
                let Slot::Free(next) = list.tasks[slot as usize] else {
                    unreachable!("the free list holds free slots")
                };
                list.free = next;
                list.tasks[slot as usize] = Slot::Task(task);
                slot
            }
            None => {
                let slot = u32::try_from(list.tasks.len()).expect("four thousand million futures");
                list.tasks.push(Slot::Task(task));
                slot
            }
        };
        Key {
            shard: shard as u32,
            slot,
        }
    }

    pub(crate) fn remove(&self, key: Key) {
        let mut list = self.shards[key.shard as usize].lock();
        if key.slot as usize >= list.tasks.len() {
            // All were leaked, and this one has ended after all: on a worker that came back.
            return;
        }
        list.living -= 1;
        let next = list.free.replace(key.slot);
        let task = std::mem::replace(&mut list.tasks[key.slot as usize], Slot::Free(next));
        drop(list);
        // The task is alive in its caller's hand, so this frees nothing.
        drop(task);
    }

    /// Cancels every suspended future, and notes it as left over.
    pub(crate) fn cancel_all(&self) {
        for shard in &self.shards {
            let tasks: Vec<TaskRef> = shard
                .lock()
                .tasks
                .iter()
                .filter_map(|slot| match slot {
                    Slot::Task(task) => Some(task.clone()),
                    Slot::Free(_) => None,
                })
                .collect();
            for task in tasks {
                if !task.is_finished() && !task.is_cancelled() {
                    self.note_leftover(Leftover::new(&task, None));
                }
                task.cancel();
            }
        }
    }

    /// How many futures are suspended.
    pub(crate) fn len(&self) -> u64 {
        self.shards.iter().map(|shard| shard.lock().living).sum()
    }

    /// How many of them are in their poll just now.
    pub(crate) fn polling(&self) -> u64 {
        let polling = |slot: &&Slot| matches!(slot, Slot::Task(task) if task.is_polling());
        let shards = self.shards.iter();
        let counts = shards.map(|shard| shard.lock().tasks.iter().filter(polling).count());
        counts.sum::<usize>() as u64
    }

    /// Forgets all futures for good: those that would not end are leaked, not dropped on the wrong
    /// thread.
    pub(crate) fn leak_all(&self) {
        for shard in &self.shards {
            std::mem::forget(std::mem::take(&mut *shard.lock()));
        }
    }

    pub(crate) fn note_leftover(&self, leftover: Leftover) {
        self.leftovers.lock().push(leftover);
    }

    /// What was noted, each task once, in the order of their numbers.
    pub(crate) fn take_leftovers(&self) -> Vec<Leftover> {
        let mut leftovers = std::mem::take(&mut *self.leftovers.lock());
        // A future that waits inside its poll is found both here and by its worker, who knows more.
        leftovers.sort_by_key(|task| (task.id().get(), task.waited_for().is_none()));
        leftovers.dedup_by_key(|task| task.id());
        leftovers
    }
}
