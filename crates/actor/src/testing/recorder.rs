//! The actor behind a probe: it keeps what comes, for the probe to look at.

use crate::actor::{Actor, DeferredHandler, Down, Exit, Handler, InitError};
use crate::context::Context;
use crate::reply::ReplyTo;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};
use weftwork_core::sync::Mutex;

/// Something that has come to a [`Probe`](super::Probe).
#[derive(Debug, Clone, PartialEq)]
pub enum Received<M> {
    /// A message.
    Message(M),
    /// An exit signal: the probe traps them.
    Exit(Exit),
    /// The end of an actor that the probe watches.
    Down(Down),
}

/// What has come, and the way back if it was a message.
pub(super) type Item<M, R> = (Received<M>, Option<ReplyTo<R>>);

/// What the probe and its actor share.
pub(super) struct Record<M, R>(Mutex<State<M, R>>);

struct State<M, R> {
    items: VecDeque<Item<M, R>>,
    /// Who waits for the next.
    waker: Option<Waker>,
}

impl<M, R> Record<M, R> {
    pub(super) fn new() -> Self {
        Record(Mutex::new(State {
            items: VecDeque::new(),
            waker: None,
        }))
    }

    fn put(&self, item: Item<M, R>) {
        let mut state = self.0.lock();
        state.items.push_back(item);
        let waker = state.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }

    pub(super) fn poll(&self, context: &mut TaskContext<'_>) -> Poll<Item<M, R>> {
        let new = context.waker().clone();
        let mut state = self.0.lock();
        let (item, old) = match state.items.pop_front() {
            Some(item) => (Poll::Ready(item), None),
            None => (Poll::Pending, state.waker.replace(new)),
        };
        drop(state);
        drop(old);
        item
    }

    /// Looks at what is there, by way of a text of each.
    pub(super) fn texts(&self, text: impl Fn(&Received<M>) -> String) -> Vec<String> {
        // Taken out meanwhile: a text is made by code of the user's.
        let items = std::mem::take(&mut self.0.lock().items);
        let texts = items.iter().map(|(received, _)| text(received)).collect();
        let mut state = self.0.lock();
        let newer = std::mem::replace(&mut state.items, items);
        state.items.extend(newer);
        texts
    }
}

/// The actor that a [`Probe`](super::Probe) speaks for.
pub struct Recorder<M, R = ()> {
    record: Arc<Record<M, R>>,
}

/// What a recorder starts with.
pub struct RecorderArgs<M, R>(pub(super) Arc<Record<M, R>>);

impl<M: Send + 'static, R: Send + 'static> Actor for Recorder<M, R> {
    type Args = RecorderArgs<M, R>;

    fn init(RecorderArgs(record): Self::Args, ctx: &mut Context<Self>) -> Result<Self, InitError> {
        ctx.trap_exit(true);
        Ok(Recorder { record })
    }

    fn on_exit(&mut self, exit: Exit, _: &mut Context<Self>) {
        self.record.put((Received::Exit(exit), None));
    }

    fn on_down(&mut self, down: Down, _: &mut Context<Self>) {
        self.record.put((Received::Down(down), None));
    }
}

impl<M: Send + 'static, R: Send + 'static> DeferredHandler<M> for Recorder<M, R> {
    type Reply = R;

    fn handle(&mut self, message: M, reply: ReplyTo<R>, _: &mut Context<Self>) {
        self.record.put((Received::Message(message), Some(reply)));
    }
}

/// What the probe wants its actor to do.
pub struct Perform<M: Send + 'static, R: Send + 'static>(pub(super) Work<M, R>);

pub(super) type Work<M, R> = Box<dyn FnOnce(&mut Context<Recorder<M, R>>) + Send>;

impl<M: Send + 'static, R: Send + 'static> Handler<Perform<M, R>> for Recorder<M, R> {
    type Reply = ();

    fn handle(&mut self, Perform(work): Perform<M, R>, ctx: &mut Context<Self>) {
        work(ctx);
    }
}

impl<M, R> fmt::Debug for Recorder<M, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

impl<M, R> fmt::Debug for RecorderArgs<M, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecorderArgs").finish_non_exhaustive()
    }
}

impl<M: Send + 'static, R: Send + 'static> fmt::Debug for Perform<M, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Perform").finish_non_exhaustive()
    }
}
