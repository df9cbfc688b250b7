//! Waiting for changes of one variable, outside of transactions.
//!
//! A watch compares versions, not addresses: a node's memory may be used again while the watch sleeps.

use crate::domain::domain;
use crate::reclaim;
use crate::var::TVar;
use crate::waiting::Registration;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use weftwork_core::Event;
use weftwork_core::wait::{self, Reason};

const CHANGE: Reason = Reason::new("variable_change");

/// Follows the changes of a variable: see [`TVar::watch`].
pub struct Watch<T: 'static> {
    var: TVar<T>,
    /// The version seen last.
    seen: u64,
}

impl<T: Send + Sync + 'static> TVar<T> {
    /// Begins to follow the changes of the variable. The value that is there now counts as seen.
    ///
    /// ```
    /// use weftwork_stm::TVar;
    ///
    /// let level = TVar::new(1);
    /// let mut watch = level.watch();
    /// level.store(2);
    /// watch.changed();
    /// assert_eq!(watch.load(), 2);
    /// ```
    #[must_use]
    pub fn watch(&self) -> Watch<T> {
        let var = self.clone();
        let seen = version(&var);
        Watch { var, seen }
    }
}

fn version<T: Send + Sync>(var: &TVar<T>) -> u64 {
    let _pin = reclaim::pin();
    var.var().look_unlocked().node().version()
}

impl<T: Send + Sync + 'static> Watch<T> {
    /// Waits until the variable has been written since the last time this watch looked.
    ///
    /// Several writes may count as one change; a write of an equal value is a change. The calling green thread
    /// or OS thread parks. A cancelled green thread unwinds.
    ///
    /// ```
    /// use weftwork_stm::TVar;
    ///
    /// let level = TVar::new(1);
    /// let mut watch = level.watch();
    /// std::thread::spawn(move || level.store(2));
    /// watch.changed();
    /// assert_eq!(watch.load(), 2);
    /// ```
    #[track_caller]
    pub fn changed(&mut self) {
        let mut changed = self.changed_async();
        wait::wait(CHANGE, |context| changed.poll_change(context));
    }

    /// As [`changed`](Self::changed), as a future. It may be dropped at any time; a change is seen only by the
    /// poll that is `Ready`.
    ///
    /// ```
    /// use weftwork_core::block_on;
    /// use weftwork_stm::TVar;
    ///
    /// let level = TVar::new(1);
    /// let mut watch = level.watch();
    /// level.store(2);
    /// block_on(watch.changed_async());
    /// ```
    pub fn changed_async(&mut self) -> Changed<'_, T> {
        Changed {
            watch: self,
            registration: None,
        }
    }

    /// Whether the variable has been written since this watch looked. It does not look.
    ///
    /// ```
    /// use weftwork_stm::TVar;
    ///
    /// let level = TVar::new(1);
    /// let watch = level.watch();
    /// assert!(!watch.has_changed());
    /// level.store(1);
    /// assert!(watch.has_changed());
    /// ```
    #[must_use]
    pub fn has_changed(&self) -> bool {
        version(&self.var) != self.seen
    }

    /// Clones the newest value, and counts it as seen.
    ///
    /// ```
    /// use weftwork_stm::TVar;
    ///
    /// let level = TVar::new(1);
    /// let mut watch = level.watch();
    /// level.store(2);
    /// assert_eq!(watch.load(), 2);
    /// assert!(!watch.has_changed());
    /// ```
    pub fn load(&mut self) -> T
    where
        T: Clone,
    {
        let pin = reclaim::pin();
        let (value, version) = self.var.newest_with_version(&pin);
        self.seen = version;
        value.clone()
    }
}

impl<T: 'static> fmt::Debug for Watch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("seen", &self.seen)
            .finish_non_exhaustive()
    }
}

/// The next change of a variable: see [`Watch::changed_async`].
#[must_use = "a change is waited for by awaiting this"]
pub struct Changed<'w, T: 'static> {
    watch: &'w mut Watch<T>,
    registration: Option<Registration>,
}

impl<T: Send + Sync + 'static> Changed<'_, T> {
    fn poll_change(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            if let Some(registration) = &mut self.registration {
                if registration.poll(context).is_pending() {
                    return Poll::Pending;
                }
                self.registration = None;
            }
            let _pin = reclaim::pin();
            let var = self.watch.var.var();
            let node = var.look_unlocked().node();
            if node.version() != self.watch.seen {
                self.watch.seen = node.version();
                return Poll::Ready(());
            }
            let mut registration = Registration::new(&domain().table);
            if registration.add(var, node) {
                self.registration = Some(registration);
            }
        }
    }
}

impl<T: Send + Sync + 'static> Future for Changed<'_, T> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.get_mut().poll_change(context)
    }
}

impl<T: Send + Sync + 'static> Event for Changed<'_, T> {}

impl<T: 'static> fmt::Debug for Changed<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changed").finish_non_exhaustive()
    }
}
