//! A task's membership of its group: reports how the task ended, whatever that was.
//!
//! Invariant: what the task owns is dropped before the report, also if it never began. So whoever waits for
//! the group finds nothing of its tasks left.

use super::state::{End, Payload, Queue, remove};
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::task::Poll;
use weftwork_core::sync::Arc;
use weftwork_core::wait::cancel::is_cancel_unwind;

/// Dropped without a report, it says that the task did not get to its end.
pub(super) struct Member<E> {
    queue: Arc<Queue<E>>,
    number: u64,
    reported: bool,
}

impl<E> Member<E> {
    /// The task of this number has entered the group.
    pub(super) fn new(queue: Arc<Queue<E>>, number: u64) -> Self {
        Member {
            queue,
            number,
            reported: false,
        }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    fn report(mut self, result: Result<Result<(), E>, Payload>) {
        let end = match result {
            Ok(Ok(())) => End::Done,
            Ok(Err(error)) => End::Failed(error),
            Err(payload) if is_cancel_unwind(&*payload) => {
                // Goes on with its way out of the task, which drops the member.
                resume_unwind(payload)
            }
            Err(payload) => End::Panicked(payload),
        };
        self.reported = true;
        remove(&self.queue, self.number, end);
    }

    /// The closure of the task. Dropped before it has run, it drops `work` first, hence the pair.
    pub(super) fn closure(work: impl FnOnce() -> Result<(), E>, member: Self) -> impl FnOnce() {
        let pair = (work, member);
        move || {
            let (work, member) = pair;
            member.run(work);
        }
    }

    /// The future of the task, as [`closure`](Self::closure).
    pub(super) fn future<F>(work: F, member: Self) -> impl Future<Output = ()> + use<E, F>
    where
        F: Future<Output = Result<(), E>>,
    {
        let pair = (work, member);
        async move {
            let (work, member) = pair;
            member.drive(work).await;
        }
    }

    /// Runs `work` and reports. A panic ends here: the group passes it on to whoever waits for it.
    fn run(self, work: impl FnOnce() -> Result<(), E>) {
        let result = catch_unwind(AssertUnwindSafe(work));
        self.report(result);
    }

    /// Drives `work` to its end and reports, as [`run`](Self::run).
    async fn drive(self, work: impl Future<Output = Result<(), E>>) {
        let result = {
            let mut work = pin!(work);
            poll_fn(|context| {
                match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
                    Ok(Poll::Pending) => Poll::Pending,
                    Ok(Poll::Ready(result)) => Poll::Ready(Ok(result)),
                    Err(payload) => Poll::Ready(Err(payload)),
                }
            })
            .await
        };
        self.report(result);
    }
}

impl<E> Drop for Member<E> {
    fn drop(&mut self) {
        if !self.reported {
            remove(&self.queue, self.number, End::Unfinished);
        }
    }
}
