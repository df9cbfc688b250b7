//! The group: spawning into it, cancelling it, waiting for it.

use super::error::{GroupError, NotSpawned};
use super::member::Member;
use super::state::{self, Enter, Idle, JOINERS, Queue, SPAWNERS, State};
use crate::attempt::{self, Attempt};
use std::fmt;
use std::future::poll_fn;
use std::panic::resume_unwind;
use std::pin::pin;
use std::time::{Duration, Instant};
use weftwork_core::sync::Arc;
use weftwork_core::wait::queue::{WaitQueue, Waiter};
use weftwork_core::wait::{self, Reason};
use weftwork_core::{JoinHandle, Refused, Spawn, TimedOut};

const SPAWN: Reason = Reason::new("group_spawn");
const WAIT: Reason = Reason::new("group_wait");

/// Tasks that belong together.
///
/// The first task that fails, panics or is dropped by its executor ends the group: the others are
/// cancelled, and no more are taken. What cancelling does depends on the task: one that has not started
/// is dropped, a future is dropped between polls, a green thread unwinds from its next wait. An OS thread
/// cannot be stopped: it goes on to its end, and [`wait`](Self::wait) waits for it; it may ask
/// [`is_cancelled`](Self::is_cancelled).
///
/// Dropping a group cancels its tasks and does not wait for them, since a drop must not block; nor does
/// it tell of their errors and panics. Call [`wait`](Self::wait) or [`wait_async`](Self::wait_async).
pub struct Group<S, E> {
    spawner: S,
    queue: Arc<Queue<E>>,
}

impl<S: Spawn + Clone, E: Send + 'static> Group<S, E> {
    /// Makes a group that spawns with a clone of `spawner`, as many tasks as one likes.
    ///
    /// ```
    /// use weftwork_csp::group::{Group, ThreadPerTask};
    ///
    /// let group = Group::<_, String>::new(&ThreadPerTask);
    /// group.spawn(|| Ok(())).unwrap();
    /// assert_eq!(group.wait(), Ok(()));
    /// ```
    #[must_use]
    pub fn new(spawner: &S) -> Self {
        Group::make(spawner, usize::MAX)
    }

    /// Makes a group of which at most `limit` tasks run at a time.
    ///
    /// # Panics
    /// If `limit` is zero.
    ///
    /// ```
    /// use weftwork_csp::group::{Group, ThreadPerTask};
    ///
    /// let group = Group::<_, String>::with_limit(&ThreadPerTask, 2);
    /// for _ in 0..10 {
    ///     group.spawn(|| Ok(())).unwrap(); // Waits where two run already.
    /// }
    /// assert_eq!(group.wait(), Ok(()));
    /// ```
    #[must_use]
    #[track_caller]
    pub fn with_limit(spawner: &S, limit: usize) -> Self {
        assert!(limit > 0, "a group with a limit of zero can run nothing");
        Group::make(spawner, limit)
    }

    fn make(spawner: &S, limit: usize) -> Self {
        Group {
            spawner: spawner.clone(),
            queue: Arc::new(WaitQueue::new(State::new(limit))),
        }
    }

    /// Spawns a closure. Waits while the group runs as many tasks as it may.
    ///
    /// # Errors
    /// The group is at its end, or the executor takes no more tasks.
    ///
    /// ```
    /// use weftwork_csp::group::{Group, ThreadPerTask};
    ///
    /// let group = Group::new(&ThreadPerTask);
    /// group.spawn(|| "7".parse::<i32>().map(drop)).unwrap();
    /// assert!(group.wait().is_ok());
    /// ```
    #[track_caller]
    pub fn spawn<F>(&self, work: F) -> Result<(), NotSpawned<F>>
    where
        F: FnOnce() -> Result<(), E> + Send + 'static,
    {
        match self.enter() {
            Some(member) => self.start(member, |member| {
                self.spawner.spawn_fn(Member::closure(work, member))
            }),
            None => Err(NotSpawned::Cancelled(work)),
        }
    }

    /// Spawns a closure if the group runs fewer tasks than it may. Never waits.
    ///
    /// # Errors
    /// The group is full, or as for [`spawn`](Self::spawn).
    ///
    /// ```
    /// use weftwork_csp::group::{Group, ThreadPerTask};
    ///
    /// let (go, gone) = weftwork_csp::bounded(0);
    /// let group = Group::<_, String>::with_limit(&ThreadPerTask, 1);
    /// group.spawn(move || gone.recv().map_err(|e| e.to_string())).unwrap();
    /// assert!(group.try_spawn(|| Ok(())).unwrap_err().is_full());
    /// go.send(()).unwrap();
    /// assert_eq!(group.wait(), Ok(()));
    /// ```
    #[track_caller]
    pub fn try_spawn<F>(&self, work: F) -> Result<(), NotSpawned<F>>
    where
        F: FnOnce() -> Result<(), E> + Send + 'static,
    {
        match self.try_enter() {
            Ok(Some(member)) => self.start(member, |member| {
                self.spawner.spawn_fn(Member::closure(work, member))
            }),
            Ok(None) => Err(NotSpawned::Cancelled(work)),
            Err(Enter) => Err(NotSpawned::Full(work)),
        }
    }

    /// Spawns a future, as [`spawn`](Self::spawn) does a closure.
    ///
    /// # Errors
    /// As for [`spawn`](Self::spawn).
    ///
    /// ```
    /// use weftwork_csp::group::{Group, GroupError, ThreadPerTask};
    ///
    /// let group = Group::new(&ThreadPerTask);
    /// group.spawn_future(async { Err("no luck") }).unwrap();
    /// assert_eq!(group.wait(), Err(GroupError::Failed("no luck")));
    /// ```
    #[track_caller]
    pub fn spawn_future<F>(&self, work: F) -> Result<(), NotSpawned<F>>
    where
        S: Sync + Send + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
    {
        match self.enter() {
            Some(member) => self.start(member, |member| {
                self.spawner.spawn_future(Member::future(work, member))
            }),
            None => Err(NotSpawned::Cancelled(work)),
        }
    }

    /// Spawns a future if the group runs fewer tasks than it may. Never waits: for use in other futures.
    ///
    /// # Errors
    /// As for [`try_spawn`](Self::try_spawn).
    ///
    /// ```
    /// use weftwork_csp::group::{Group, ThreadPerTask};
    ///
    /// let group = Group::<_, String>::with_limit(&ThreadPerTask, 1);
    /// group.try_spawn_future(std::future::pending()).unwrap();
    /// assert!(group.try_spawn_future(async { Ok(()) }).unwrap_err().is_full());
    /// ```
    #[track_caller]
    pub fn try_spawn_future<F>(&self, work: F) -> Result<(), NotSpawned<F>>
    where
        S: Sync + Send + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
    {
        match self.try_enter() {
            Ok(Some(member)) => self.start(member, |member| {
                self.spawner.spawn_future(Member::future(work, member))
            }),
            Ok(None) => Err(NotSpawned::Cancelled(work)),
            Err(Enter) => Err(NotSpawned::Full(work)),
        }
    }

    #[track_caller]
    fn enter(&self) -> Option<Member<E>> {
        let waiter = Waiter::in_lane(&self.queue, SPAWNERS, ());
        let number = attempt::wait(SPAWN, Attempt::new(waiter, Enter))?;
        Some(Member::new(Arc::clone(&self.queue), number))
    }

    fn try_enter(&self) -> Result<Option<Member<E>>, Enter> {
        let number = attempt::once(&*self.queue, Enter)?;
        Ok(number.map(|number| Member::new(Arc::clone(&self.queue), number)))
    }

    #[track_caller]
    fn start<W>(
        &self,
        member: Member<E>,
        spawn: impl FnOnce(Member<E>) -> Result<JoinHandle<()>, Refused>,
    ) -> Result<(), NotSpawned<W>> {
        let number = member.number();
        // A task that is refused is dropped, and so is its membership: the group hears of it.
        let handle = spawn(member).map_err(|_| NotSpawned::Refused)?;
        state::register(&self.queue, number, handle.task_ref());
        Ok(())
    }

    /// Waits until all tasks have ended.
    ///
    /// A cancelled task unwinds from here, which drops the group.
    ///
    /// # Errors
    /// The first error of a task; or that some did not get to their end, without an error.
    ///
    /// # Panics
    /// With the payload of the first task that panicked. No error hides a panic.
    ///
    /// ```
    /// use weftwork_csp::group::{Group, ThreadPerTask};
    ///
    /// let group = Group::<_, String>::new(&ThreadPerTask);
    /// group.spawn(|| std::panic::resume_unwind(Box::new(7))).unwrap();
    /// let payload = std::panic::catch_unwind(|| group.wait()).unwrap_err();
    /// assert_eq!(payload.downcast_ref(), Some(&7));
    /// ```
    #[track_caller]
    pub fn wait(self) -> Result<(), GroupError<E>> {
        attempt::wait(WAIT, self.idle());
        self.outcome()
    }

    /// Waits until all tasks have ended, as [`wait`](Self::wait), at most for `timeout`; one that no
    /// clock can tell is for ever.
    ///
    /// # Errors
    /// The time was over first: the group goes on. The inner result is that of [`wait`](Self::wait), which
    /// takes the error out of the group.
    ///
    /// # Panics
    /// As [`wait`](Self::wait).
    ///
    /// ```
    /// use std::time::Duration;
    /// use weftwork_csp::group::{Group, ThreadPerTask};
    ///
    /// let group = Group::<_, String>::new(&ThreadPerTask);
    /// group.spawn_future(std::future::pending()).unwrap();
    /// assert!(group.wait_timeout(Duration::from_millis(1)).is_err());
    /// ```
    #[track_caller]
    pub fn wait_timeout(&self, timeout: Duration) -> Result<Result<(), GroupError<E>>, TimedOut> {
        self.wait_until(wait::deadline_after(timeout))
    }

    /// Waits until all tasks have ended, as [`wait`](Self::wait), at most until `deadline`.
    ///
    /// # Errors
    /// As for [`wait_timeout`](Self::wait_timeout).
    ///
    /// # Panics
    /// As [`wait`](Self::wait).
    ///
    /// ```
    /// use std::time::Instant;
    /// use weftwork_csp::group::{Group, ThreadPerTask};
    ///
    /// let group = Group::<_, String>::new(&ThreadPerTask);
    /// assert_eq!(group.wait_deadline(Instant::now()), Ok(Ok(())));
    /// ```
    #[track_caller]
    pub fn wait_deadline(&self, deadline: Instant) -> Result<Result<(), GroupError<E>>, TimedOut> {
        self.wait_until(Some(deadline))
    }

    #[track_caller]
    fn wait_until(&self, deadline: Option<Instant>) -> Result<Result<(), GroupError<E>>, TimedOut> {
        attempt::wait_deadline(WAIT, deadline, self.idle(), |_| TimedOut)?;
        Ok(self.outcome())
    }

    /// Waits until all tasks have ended, as a future. Dropping the future drops the group.
    ///
    /// # Errors
    /// As for [`wait`](Self::wait).
    ///
    /// # Panics
    /// As [`wait`](Self::wait).
    ///
    /// ```
    /// use weftwork_csp::group::{Group, ThreadPerTask};
    ///
    /// let group = Group::<_, String>::new(&ThreadPerTask);
    /// group.spawn(|| Ok(())).unwrap();
    /// assert_eq!(weftwork_core::block_on(group.wait_async()), Ok(()));
    /// ```
    pub async fn wait_async(self) -> Result<(), GroupError<E>> {
        {
            let mut idle = pin!(self.idle());
            poll_fn(|context| idle.as_mut().poll(context)).await;
        }
        self.outcome()
    }

    fn idle(&self) -> Attempt<'_, State<E>, Idle> {
        Attempt::new(Waiter::in_lane(&self.queue, JOINERS, ()), Idle)
    }

    fn outcome(&self) -> Result<(), GroupError<E>> {
        let outcome = state::take_outcome(&self.queue);
        if let Some(payload) = outcome.panicked {
            resume_unwind(payload);
        }
        match outcome.failed {
            Some(error) => Err(GroupError::Failed(error)),
            None if outcome.unfinished => Err(GroupError::Cancelled),
            None => Ok(()),
        }
    }
}

impl<S, E> Group<S, E> {
    /// Asks all tasks to end, and takes no more. Does not wait for them.
    ///
    /// ```
    /// use weftwork_csp::group::{Group, GroupError, ThreadPerTask};
    ///
    /// let group = Group::<_, String>::new(&ThreadPerTask);
    /// group.spawn_future(std::future::pending()).unwrap();
    /// group.cancel();
    /// assert_eq!(group.wait(), Err(GroupError::Cancelled));
    /// ```
    pub fn cancel(&self) {
        state::cancel(&self.queue);
    }

    /// Whether the group is at its end: a task failed, or it was cancelled.
    ///
    /// ```
    /// use weftwork_csp::group::{Group, ThreadPerTask};
    ///
    /// let group = Group::<_, String>::new(&ThreadPerTask);
    /// group.cancel();
    /// assert!(group.is_cancelled());
    /// ```
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.queue.lock().is_cancelled()
    }

    /// How many tasks have not ended yet.
    ///
    /// ```
    /// use weftwork_csp::group::{Group, ThreadPerTask};
    ///
    /// let group = Group::<_, String>::new(&ThreadPerTask);
    /// assert_eq!(group.len(), 0);
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.queue.lock().len()
    }

    /// Whether all tasks have ended.
    ///
    /// ```
    /// use weftwork_csp::group::{Group, ThreadPerTask};
    ///
    /// assert!(Group::<_, String>::new(&ThreadPerTask).is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<S, E> Drop for Group<S, E> {
    fn drop(&mut self) {
        self.cancel();
    }
}

impl<S, E> fmt::Debug for Group<S, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group")
            .field("tasks", &self.len())
            .field("is_cancelled", &self.is_cancelled())
            .finish_non_exhaustive()
    }
}
