//! One place in a channel.
//!
//! The link behind a link is no variable: it is made when somebody first asks for it, and whoever asks later gets
//! the same, also where the transaction that asked first came to nothing. Were it in a variable, each link could
//! only be freed a while after the one before it, and a busy channel would never get rid of them.

use crate::TVar;
use std::sync::{Arc, OnceLock};

pub(super) struct Link<T: 'static> {
    /// Empty until it comes, and never changed afterwards.
    pub(super) value: TVar<Option<T>>,
    next: OnceLock<Arc<Link<T>>>,
}

impl<T: Send + Sync + 'static> Link<T> {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Link {
            value: TVar::new(None),
            next: OnceLock::new(),
        })
    }

    /// A link with a value, before `next`.
    pub(super) fn before(next: Arc<Self>, value: T) -> Arc<Self> {
        Arc::new(Link {
            value: TVar::new(Some(value)),
            next: OnceLock::from(next),
        })
    }

    pub(super) fn next(&self) -> &Arc<Self> {
        self.next.get_or_init(Link::new)
    }
}

impl<T: 'static> Drop for Link<T> {
    fn drop(&mut self) {
        // In a loop: the links would drop each other recursively.
        let mut next = self.next.take();
        while let Some(mut link) = next.and_then(Arc::into_inner) {
            next = link.next.take();
        }
    }
}
