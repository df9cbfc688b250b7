//! A select, from its first look at the arms to a selection: one state machine for threads and futures.
//!
//! First all arms are tried. If none is ready, the word is published, and each arm is tried once more
//! under its channel's lock and, if it is not ready, left there as a node under the same hold: what
//! comes later finds the node. From then on anybody may choose an arm, by claiming the word; so may the
//! select itself, while it is still at it. No two locks are ever held at once.
//!
//! Invariants
//! 1. While `stage` is `Waiting` or `Matched`, nodes may be linked; `clean_up` unlinks them all.
//! 2. The packet is the select's while its word is `IDLE` or an outcome.

use super::handle::{Enlisted, Handle, Me, SelectHandle, Token};
use super::operation::SelectedOperation;
use super::order::shuffle;
use crate::channel::GRACE;
use crate::error::{SelectTimeoutError, TrySelectError};
use crate::lock;
use crate::waiting::{Node, Packet, Signal, Status};
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use weftwork_core::host;
use weftwork_core::sync::cell::UnsafeCell;
use weftwork_core::wait::{Reason, TimedOut, deadline_after, is_first_look, wait_deadline};

/// The word in reports for what selects wait for.
const SELECT: Reason = Reason::new("select");

/// How many nodes a select of a thread has without an allocation.
const NODES: usize = 8;

/// Where a select stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It is to look at its arms.
    Looking,
    /// It waits in the queues of its arms.
    Waiting,
    /// It waits for the value of this arm.
    Matched(usize),
}

/// What a step of the machine came to.
pub(crate) enum Step {
    Selected(usize, Token),
    /// It waits for a hand-over, which is not to take long.
    Matched,
}

/// See the module's page. Does not move while it waits.
pub(crate) struct Machine<N> {
    signal: Signal,
    packet: UnsafeCell<Packet>,
    nodes: N,
    stage: Stage,
    is_future: bool,
}

// SAFETY: the packet's cell keeps the automatic one away: it is reached under the word's protocol. What
// is in it comes from a channel whose handles the select holds; it is `Send` if those are.
unsafe impl<N: Send> Send for Machine<N> {}
// SAFETY: shared references reach the word only.
unsafe impl<N: Sync> Sync for Machine<N> {}

impl<N: AsRef<[Node]>> Machine<N> {
    pub(crate) fn new(nodes: N, is_future: bool) -> Self {
        Machine {
            signal: Signal::new(),
            packet: UnsafeCell::new(Packet::empty()),
            nodes,
            stage: Stage::Looking,
            is_future,
        }
    }

    fn node(&self, arm: usize) -> Pin<&Node> {
        // SAFETY: the machine is pinned while nodes are linked: `step` takes it pinned.
        unsafe { Pin::new_unchecked(&self.nodes.as_ref()[arm]) }
    }

    /// The packet, for the owner, whose word is `IDLE` or an outcome.
    fn packet(&mut self) -> &mut Packet {
        // SAFETY: exclusive, and nobody else has a claim (invariant 2).
        self.packet.with_mut(|packet| unsafe { &mut *packet })
    }

    /// Goes on as far as possible without waiting.
    ///
    /// # Safety
    /// The machine does not move from the first call until [`clean_up`](Self::clean_up), which comes
    /// before the machine, or an arm, goes. `handles` are the same at each call.
    pub(crate) unsafe fn step(
        &mut self,
        handles: &[Handle<'_>],
        context: &mut Context<'_>,
    ) -> Poll<Step> {
        let mut fresh = false;
        loop {
            match self.stage {
                Stage::Looking => {
                    if !self.is_future && is_first_look(context.waker()) {
                        // A thread has looked already, and makes its waker now.
                        return Poll::Pending;
                    }
                    for (arm, (handle, _)) in handles.iter().enumerate() {
                        // Channels are looked at once more under the lock that takes the node.
                        if !self.is_future && !handle.is_event() && handle.due().is_none() {
                            continue;
                        }
                        if let Some(token) = handle.attempt(self.packet(), Some(context)) {
                            return Poll::Ready(Step::Selected(arm, token));
                        }
                    }
                    if let Some((arm, token)) = self.enlist(handles, context) {
                        self.signal.reset();
                        self.unlink(handles, None);
                        self.stage = Stage::Looking;
                        return Poll::Ready(Step::Selected(arm, token));
                    }
                    fresh = true;
                }
                Stage::Waiting => match self.signal.status() {
                    Status::Waiting => {
                        if fresh {
                            return Poll::Pending;
                        }
                        if handles.iter().any(|(handle, _)| handle.is_event()) {
                            // It may have been an event that woke us.
                            if self.signal.withdraw() {
                                self.unlink(handles, None);
                                self.stage = Stage::Looking;
                            }
                            continue;
                        }
                        if self.keep_waker(context) {
                            return Poll::Pending;
                        }
                    }
                    Status::Fired(arm) => {
                        self.signal.reset();
                        self.unlink(handles, None);
                        self.stage = Stage::Looking;
                        let handle = handles[arm].0;
                        if let Some(token) = handle.attempt(self.packet(), Some(context)) {
                            return Poll::Ready(Step::Selected(arm, token));
                        }
                        // Something was there and is gone, or we are not the one who can use it.
                        handle.pass_on();
                    }
                    Status::Done(arm) => {
                        self.signal.reset();
                        self.unlink(handles, None);
                        self.stage = Stage::Looking;
                        return Poll::Ready(Step::Selected(arm, handles[arm].0.done()));
                    }
                    Status::Matched(arm) => {
                        self.unlink(handles, Some(arm));
                        self.stage = Stage::Matched(arm);
                    }
                    Status::Idle => self.stage = Stage::Looking,
                },
                Stage::Matched(arm) => match self.signal.status() {
                    Status::Matched(_) => {
                        let node = &self.nodes.as_ref()[arm];
                        if handles[arm]
                            .0
                            .keep_matched(node, &self.signal, context.waker())
                        {
                            return Poll::Ready(Step::Matched);
                        }
                    }
                    Status::Done(_) => {
                        self.signal.reset();
                        self.stage = Stage::Looking;
                        return Poll::Ready(Step::Selected(arm, Token::Received));
                    }
                    Status::Fired(_) | Status::Idle | Status::Waiting => {
                        self.signal.reset();
                        self.stage = Stage::Looking;
                    }
                },
            }
        }
    }

    /// Publishes the word and leaves a node at each arm, as long as none is ready or chosen.
    fn enlist(&mut self, handles: &[Handle<'_>], context: &Context<'_>) -> Option<(usize, Token)> {
        let hosted = !self.is_future
            && host::with(|host| host.map(|host| self.signal.publish_hosted(host)).is_some());
        if !hosted {
            self.signal.publish(context.waker().clone());
        }
        self.stage = Stage::Waiting;
        let me = Me {
            signal: &self.signal,
            packet: self.packet.with_mut(|packet| packet),
            is_future: self.is_future,
        };
        for (arm, (handle, _)) in handles.iter().enumerate() {
            match handle.enlist(me, self.node(arm), arm) {
                Enlisted::Waits => {}
                Enlisted::Done(token) => return Some((arm, token)),
                Enlisted::Matched | Enlisted::Chosen => break,
            }
        }
        None
    }

    /// Sees to it that the context's waker is called. False: there is an outcome.
    fn keep_waker(&self, context: &Context<'_>) -> bool {
        if !self.is_future || self.signal.will_wake(context.waker()) {
            // A thread's waker is the same in one wait; it waits once.
            return true;
        }
        let mut waker = Some(context.waker().clone());
        self.signal.set_waker(&mut waker)
    }

    fn unlink(&self, handles: &[Handle<'_>], except: Option<usize>) {
        for (arm, (handle, _)) in handles.iter().enumerate() {
            if Some(arm) != except {
                handle.delist(&self.nodes.as_ref()[arm]);
            }
        }
    }

    /// Stops waiting. Returns the selection that came first, if one did.
    pub(crate) fn leave(&mut self, handles: &[Handle<'_>]) -> Option<(usize, Token)> {
        match self.stage {
            Stage::Looking => return None,
            Stage::Matched(arm) => {
                handles[arm].0.delist(&self.nodes.as_ref()[arm]);
            }
            Stage::Waiting => {
                if self.signal.withdraw() {
                    self.unlink(handles, None);
                    self.stage = Stage::Looking;
                    return None;
                }
                // A matched one may be handed its value until it is unlinked: the status comes after.
                self.unlink(handles, None);
            }
        }
        let status = self.signal.status();
        self.signal.reset();
        self.stage = Stage::Looking;
        match status {
            Status::Done(arm) => Some((arm, handles[arm].0.done())),
            Status::Fired(arm) => {
                let handle = handles[arm].0;
                let token = handle.attempt(self.packet(), None);
                if token.is_none() {
                    handle.pass_on();
                }
                token.map(|token| (arm, token))
            }
            Status::Idle | Status::Waiting | Status::Matched(_) => None,
        }
    }

    /// Stops waiting, and gives back what came meanwhile.
    pub(crate) fn clean_up(&mut self, handles: &[Handle<'_>]) {
        if let Some((arm, token)) = self.leave(handles) {
            handles[arm].0.release(token, self.packet());
        }
    }

    pub(crate) fn is_looking(&self) -> bool {
        self.stage == Stage::Looking
    }

    pub(crate) fn take_packet(&mut self) -> Packet {
        std::mem::replace(self.packet(), Packet::empty())
    }
}

impl<N> fmt::Debug for Machine<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine")
            .field("stage", &self.stage)
            .finish_non_exhaustive()
    }
}

/// The nodes of a select on a thread: in its frame, unless there are many.
#[expect(
    clippy::large_enum_variant,
    reason = "the large one is there to save the allocation of the other"
)]
pub(crate) enum Nodes {
    Few([Node; NODES]),
    Many(Box<[Node]>),
}

impl Nodes {
    pub(crate) fn new(count: usize) -> Self {
        if count <= NODES {
            Nodes::Few([const { Node::new() }; NODES])
        } else {
            Nodes::Many((0..count).map(|_| Node::new()).collect())
        }
    }
}

impl AsRef<[Node]> for Nodes {
    fn as_ref(&self) -> &[Node] {
        match self {
            Nodes::Few(nodes) => nodes,
            Nodes::Many(nodes) => nodes,
        }
    }
}

/// A machine on a thread's stack, with its arms: cleans up when it goes, by whatever way.
struct Blocked<'h, 'a> {
    machine: Machine<Nodes>,
    handles: &'h [Handle<'a>],
}

impl Drop for Blocked<'_, '_> {
    fn drop(&mut self) {
        if !lock::is_gone() {
            self.machine.clean_up(self.handles);
        }
    }
}

/// Looks at each arm once.
fn look<'a>(handles: &[Handle<'a>]) -> Option<SelectedOperation<'a>> {
    let mut packet = Packet::empty();
    for &(handle, index) in handles {
        if let Some(token) = handle.attempt(&mut packet, None) {
            return Some(SelectedOperation::new(index, handle, token, packet));
        }
    }
    None
}

/// Waits until an arm is chosen, until `deadline`.
#[track_caller]
fn run<'a>(
    handles: &mut [Handle<'a>],
    deadline: Option<Instant>,
    biased: bool,
) -> Option<SelectedOperation<'a>> {
    if !biased {
        shuffle(handles);
    }
    // It counts against the time slice, and a cancelled task ends here.
    weftwork_core::wait::checkpoint();
    look(handles).or_else(|| wait_for(handles, deadline))
}

#[track_caller]
fn wait_for<'a>(
    handles: &[Handle<'a>],
    deadline: Option<Instant>,
) -> Option<SelectedOperation<'a>> {
    let mut blocked = Blocked {
        machine: Machine::new(Nodes::new(handles.len()), false),
        handles,
    };
    let mut grace: Option<Instant> = None;
    let selected = loop {
        let due = handles.iter().filter_map(|(handle, _)| handle.due()).min();
        // A hand-over that is on its way is waited for even if the time is over.
        let until = grace.or_else(|| [deadline, due].into_iter().flatten().min());
        let in_grace = grace.is_some();
        let waited = wait_deadline(SELECT, until, |context| {
            // SAFETY: `blocked` stays in this frame and cleans up in its drop, at the latest.
            let mut step = unsafe { blocked.machine.step(handles, context) };
            if step.is_pending()
                && !host::is_hosted()
                && !blocked.machine.is_looking()
                && crate::spin::until(|| blocked.machine.signal.has_moved())
            {
                // SAFETY: as above.
                step = unsafe { blocked.machine.step(handles, context) };
            }
            match step {
                Poll::Ready(Step::Matched) if in_grace => Poll::Pending,
                step => step,
            }
        });
        match waited {
            Ok(Step::Selected(arm, token)) => break Some((arm, token)),
            Ok(Step::Matched) => grace = deadline_after(GRACE),
            Err(TimedOut) => {
                if let Some(selected) = blocked.machine.leave(handles) {
                    break Some(selected);
                }
                grace = None;
                if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                    break None;
                }
            }
        }
    };
    let (arm, token) = selected?;
    let (handle, index) = handles[arm];
    let packet = blocked.machine.take_packet();
    Some(SelectedOperation::new(index, handle, token, packet))
}

/// Waits until an arm is chosen.
///
/// # Panics
/// If there is no arm.
#[track_caller]
pub fn select<'a>(handles: &mut [Handle<'a>], biased: bool) -> SelectedOperation<'a> {
    assert!(
        !handles.is_empty(),
        "no operations have been added to `Select`"
    );
    run(handles, None, biased).expect("a select without deadline timed out")
}

/// Chooses an arm if one is ready.
///
/// # Errors
/// None is.
#[track_caller]
pub fn try_select<'a>(
    handles: &mut [Handle<'a>],
    biased: bool,
) -> Result<SelectedOperation<'a>, TrySelectError> {
    if !biased {
        shuffle(handles);
    }
    if let Some(operation) = look(handles) {
        return Ok(operation);
    }
    // A blocked select that sends, at capacity 0, has no value before it is chosen, and that takes a
    // moment.
    if handles.iter().any(|(handle, _)| handle.is_ready()) {
        return wait_for(handles, Some(Instant::now())).ok_or(TrySelectError);
    }
    Err(TrySelectError)
}

/// Waits until an arm is chosen, at most for `timeout`.
///
/// # Errors
/// The time is over.
#[track_caller]
pub fn select_timeout<'a>(
    handles: &mut [Handle<'a>],
    timeout: Duration,
    biased: bool,
) -> Result<SelectedOperation<'a>, SelectTimeoutError> {
    run(handles, deadline_after(timeout), biased).ok_or(SelectTimeoutError)
}

/// Waits until an arm is chosen, at most until `deadline`.
///
/// # Errors
/// The time is over.
#[track_caller]
pub fn select_deadline<'a>(
    handles: &mut [Handle<'a>],
    deadline: Instant,
    biased: bool,
) -> Result<SelectedOperation<'a>, SelectTimeoutError> {
    run(handles, Some(deadline), biased).ok_or(SelectTimeoutError)
}

/// The arms' handles, looked at without choosing.
pub(crate) fn ready_one(handles: &[Handle<'_>]) -> Option<usize> {
    handles
        .iter()
        .find(|(handle, _)| SelectHandle::is_ready(*handle))
        .map(|(_, index)| *index)
}
