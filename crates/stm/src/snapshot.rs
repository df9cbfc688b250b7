//! Reading many variables as they were at one instant, without a log and without conflicts.
//!
//! A snapshot pins, then [cuts](crate::clock::Clock::cut) time; from then on it reads each variable as of that
//! time, going back through the nodes that were replaced since. They are all still there: whoever replaced one
//! took its stamp after the cut, so retired it after the pin.

use crate::canary::is_weak;
use crate::current::{Entered, Kind};
use crate::domain::domain;
use crate::node::NodeRef;
use crate::reclaim::{self, Pin};
use crate::var::inner::VarRef;
use std::fmt;
use std::marker::PhantomData;
use std::panic::Location;

/// A state of all variables, to be read with [`TVar::view`](crate::TVar::view).
pub struct Snapshot {
    time: u64,
    _pin: Pin,
    _of_this_thread: PhantomData<*mut ()>,
}

/// Calls `f` with the state of all variables at this instant.
///
/// It never conflicts, never runs `f` twice, and holds up no writer. A view of a variable that was written since
/// takes a step for each write: look at the busy ones first. Values that are replaced meanwhile are
/// kept until `f` returns, all of them: be quick, or expect memory to grow. It does not block.
///
/// # Panics
/// It is called inside a transaction, or begins one.
///
/// ```
/// use weftwork_stm::{TVar, snapshot};
///
/// let accounts = [TVar::new(3), TVar::new(4)];
/// let total: i32 = snapshot(|s| accounts.iter().map(|a| *a.view(s)).sum());
/// assert_eq!(total, 7);
/// ```
#[track_caller]
pub fn snapshot<R>(f: impl FnOnce(&Snapshot) -> R) -> R {
    let location = Location::caller();
    let pin = reclaim::pin();
    let snapshot = Snapshot {
        // Read after the pin: see the head of this file.
        time: domain().clock.cut(),
        _pin: pin,
        _of_this_thread: PhantomData,
    };
    let entered = Entered::enter(Kind::Snapshot, location);
    let result = f(&snapshot);
    drop(entered);
    result
}

impl Snapshot {
    /// The node that `var` had at the time of the snapshot.
    #[inline]
    pub(crate) fn find(&self, var: VarRef) -> NodeRef {
        let mut word = var.look();
        let mut node = word.node();
        let is_newest = node.version() <= self.time;
        if word.is_locked() && is_newest && !is_weak("stm: snapshot behind a lock") {
            // The commit that has the lock may have its stamp from before our time.
            word = var.look_unlocked();
            node = word.node();
        }
        while node.version() > self.time {
            let previous = node.previous();
            node = previous.expect("the first node of a variable is older than any clock");
        }
        node
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("time", &self.time)
            .finish_non_exhaustive()
    }
}
