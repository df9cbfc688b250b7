//! A node of the tree: whether it has ended, who waits for that, and what hangs on it.
//!
//! Invariants
//! 1. `end` is set once, with the queue locked, and `ended` right after it. Nothing hangs on a node
//!    that has ended: what comes later is ended at once by who brings it.
//! 2. A child hangs on its parent weakly, and holds it strongly. It unhooks itself when it ends or is
//!    dropped.
//! 3. Callbacks, wakers and causes are called and dropped without a lock.

use super::slab::Slab;
use super::{Cause, ContextError};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, OnceLock, Weak};
use std::task::{Wake, Waker};
use std::time::Instant;
use weftwork_core::sync::Mutex;
use weftwork_core::sync::atomic::{AtomicBool, Ordering};
use weftwork_core::timer::{Timer, call_at};
use weftwork_core::wait::queue::{Lane, Line, Locked, WaitQueue};

pub(super) type Callback = Box<dyn FnOnce() + Send>;

pub(super) struct Node {
    pub(super) queue: WaitQueue<State>,
    pub(super) deadline: Option<Instant>,
    /// The parent, and where this hangs on it.
    parent: Option<(Arc<Node>, OnceLock<usize>)>,
    timer: Mutex<Option<Timer>>,
}

pub(super) struct State {
    end: Option<End>,
    hooks: Slab<Hook>,
}

impl State {
    pub(super) fn has_ended(&self) -> bool {
        self.end.is_some()
    }
}

/// How a node ended.
#[derive(Clone)]
pub(super) struct End {
    pub(super) error: ContextError,
    pub(super) cause: Option<Cause>,
}

/// What hangs on a node.
enum Hook {
    Child(Weak<Node>),
    Callback(Callback),
}

impl Line for State {
    /// Whether the node has ended: for a look without the lock.
    type Shared = AtomicBool;
    type Ask = ();
    type Token = ();
    fn left(_: &mut Locked<'_, Self>, _: Lane) {}
    fn returned(_: &mut Locked<'_, Self>, (): ()) {}
}

impl Node {
    fn new(deadline: Option<Instant>, parent: Option<Arc<Node>>) -> Node {
        let state = State {
            end: None,
            hooks: Slab::new(),
        };
        Node {
            queue: WaitQueue::with_shared(AtomicBool::new(false), state),
            deadline,
            parent: parent.map(|parent| (parent, OnceLock::new())),
            timer: Mutex::new(None),
        }
    }

    pub(super) fn root() -> Arc<Node> {
        Arc::new(Node::new(None, None))
    }

    /// Makes a child, which ends with the node; `expiry` says when by itself, and what for.
    pub(super) fn child(self: &Arc<Self>, expiry: Option<(Instant, Option<Cause>)>) -> Arc<Node> {
        // A deadline that is not before the parent's never counts.
        let expiry = expiry.filter(|(own, _)| self.deadline.is_none_or(|ours| *own < ours));
        let deadline = expiry.as_ref().map(|(own, _)| *own).or(self.deadline);
        let child = Arc::new(Node::new(deadline, Some(Arc::clone(self))));
        match self.hang(Hook::Child(Arc::downgrade(&child))) {
            Ok(key) => {
                let (_, slot) = child.parent.as_ref().expect("just given");
                let _ = slot.set(key);
                // The parent may have ended since, before there was a place to unhook from: then it
                // ended the child, and there is nothing to unhook.
            }
            Err(_) => {
                let end = self.end().expect("refused because it has ended");
                child.cancel(end);
            }
        }
        if let Some((at, cause)) = expiry {
            child.expire_at(at, cause);
        }
        child
    }

    fn expire_at(self: &Arc<Self>, at: Instant, cause: Option<Cause>) {
        let end = End {
            error: ContextError::DeadlineExceeded,
            cause,
        };
        if Instant::now() >= at {
            self.cancel(end);
            return;
        }
        let waker = Waker::from(Arc::new(Expire(Arc::downgrade(self), end)));
        let timer = call_at(at, waker);
        *self.timer.lock() = Some(timer);
        if self.is_ended() {
            // It ended before the timer was there to be called off.
            drop(self.take_timer());
        }
    }

    fn take_timer(&self) -> Option<Timer> {
        self.timer.lock().take()
    }

    #[inline]
    pub(super) fn is_ended(&self) -> bool {
        // Acquire: pairs with the Release in `mark`.
        self.queue.shared().load(Ordering::Acquire)
    }

    pub(super) fn end(&self) -> Option<End> {
        if !self.is_ended() {
            return None;
        }
        self.queue.lock().end.clone()
    }

    /// Ends the node and all below it. False: it had ended before.
    pub(super) fn cancel(self: &Arc<Self>, end: End) -> bool {
        let Some(hooks) = self.mark(&end) else {
            return false;
        };
        self.unhook();
        let mut panicked = None;
        // Not by recursion: a tree may be deep.
        let mut pending = vec![hooks];
        while let Some(hooks) = pending.pop() {
            for hook in hooks {
                match hook {
                    Hook::Child(child) => {
                        let child = child.upgrade();
                        pending.extend(child.and_then(|child| child.mark(&end)));
                    }
                    Hook::Callback(callback) => {
                        // One that panics does not keep the others from hearing of it.
                        let called = catch_unwind(AssertUnwindSafe(callback));
                        panicked = panicked.or(called.err());
                    }
                }
            }
        }
        if let Some(payload) = panicked {
            resume_unwind(payload);
        }
        true
    }

    /// Ends the node alone: wakes those who wait, and gives what hung on it.
    fn mark(&self, end: &End) -> Option<Vec<Hook>> {
        let mut queue = self.queue.lock();
        if queue.end.is_some() {
            return None;
        }
        queue.end = Some(end.clone());
        // Release: pairs with the Acquire in `is_ended`.
        self.queue.shared().store(true, Ordering::Release);
        let hooks = queue.hooks.take().collect();
        queue.notify_all(Lane::First, || ());
        drop(queue);
        drop(self.take_timer());
        Some(hooks)
    }

    /// Hangs something on the node; hands it back if the node has ended.
    fn hang(&self, hook: Hook) -> Result<usize, Hook> {
        let mut queue = self.queue.lock();
        if queue.end.is_some() {
            return Err(hook);
        }
        Ok(queue.hooks.insert(hook))
    }

    /// Hangs a callback on the node; hands it back if the node has ended.
    pub(super) fn hang_callback(&self, callback: Callback) -> Result<usize, Callback> {
        self.hang(Hook::Callback(callback))
            .map_err(|hook| match hook {
                Hook::Callback(callback) => callback,
                Hook::Child(_) => unreachable!("a callback was hung"),
            })
    }

    /// Takes a callback off. `None`: it has been called, or is about to be.
    pub(super) fn take_callback(&self, key: usize) -> Option<Callback> {
        let hook = self.queue.lock().hooks.remove(key);
        match hook {
            Some(Hook::Callback(callback)) => Some(callback),
            _ => None,
        }
    }

    /// Takes this off its parent.
    fn unhook(&self) {
        if let Some((parent, slot)) = &self.parent
            && let Some(key) = slot.get()
        {
            let hook = parent.queue.lock().hooks.remove(*key);
            debug_assert!(
                !matches!(hook, Some(Hook::Callback(_))),
                "a place of another"
            );
            drop(hook);
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Where the child ended before, its place may be another's by now.
        if !self.is_ended() {
            self.unhook();
        }
        // Not by recursion: a chain may be long.
        let mut parent = self.parent.take();
        while let Some((node, _)) = parent {
            let Some(mut node) = Arc::into_inner(node) else {
                return;
            };
            if !node.is_ended() {
                node.unhook();
            }
            parent = node.parent.take();
        }
    }
}

/// Ends a node when its time is over.
struct Expire(Weak<Node>, End);

impl Wake for Expire {
    fn wake(self: Arc<Self>) {
        if let Some(node) = self.0.upgrade() {
            node.cancel(self.1.clone());
        }
    }
}
