//! The parker that a wait on an OS thread uses, kept by the thread between waits.
//!
//! A wait has its parker to itself. If a wait inside it (in the operation's own code, or in a waker
//! it calls) shared the parker, the inner one could take the token that was left for the outer one,
//! which would then sleep for ever. So a wait takes the parker away from the thread, and a wait that
//! finds none makes another.

use super::Parker;
use std::sync::Arc;
use std::task::Waker;

type Pair = (Arc<Parker>, Waker);

/// A parker of the calling thread, in the hand of one wait.
pub(super) struct LocalParker(Option<Pair>);

impl LocalParker {
    /// Takes the thread's parker, or makes one: for a nested wait, or during the thread's exit.
    pub(super) fn take() -> Self {
        LocalParker(Some(kept::take().unwrap_or_else(|| {
            let parker = Arc::new(Parker::new());
            let waker = parker.waker();
            (parker, waker)
        })))
    }

    pub(super) fn get(&self) -> &Pair {
        self.0.as_ref().expect("given back only by the drop")
    }
}

impl Drop for LocalParker {
    fn drop(&mut self) {
        if let Some(pair) = self.0.take() {
            kept::give_back(pair);
        }
    }
}

#[cfg(not(weftwork_loom))]
mod kept {
    use super::Pair;
    use std::cell::Cell;

    thread_local! {
        static KEPT: Cell<Option<Pair>> = const { Cell::new(None) };
    }

    pub(super) fn take() -> Option<Pair> {
        // An error says that the thread is ending.
        KEPT.try_with(Cell::take).ok().flatten()
    }

    pub(super) fn give_back(pair: Pair) {
        // An error says that the thread is ending: the pair is dropped.
        let _ = KEPT.try_with(|kept| kept.set(Some(pair)));
    }
}

/// A model's threads are not std's: each wait has a parker of its own.
#[cfg(weftwork_loom)]
mod kept {
    use super::Pair;

    pub(super) fn take() -> Option<Pair> {
        None
    }

    pub(super) fn give_back(pair: Pair) {
        drop(pair);
    }
}
