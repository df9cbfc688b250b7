//! The life of an actor: its task.
//!
//! The task is a future of one small type, whatever the actor, so that a cell can start children on an
//! executor whose type it has forgotten. A poll serves the signals that have arrived, then messages: at most
//! [`BATCH`] or for [`SLICE`], then others come first. The steps of an end are in [`end`](crate::end).

use crate::actor::{Down, Exit, MonitorRef};
use crate::batch::{self, Batch};
use crate::cell::CellRef;
use crate::current;
use crate::end::end;
use crate::exit;
use crate::hooks::Injected;
use crate::init;
use crate::mailbox::Priority;
use crate::mailbox::chain::Chain;
use crate::mailbox::letter::{Kind, Letter};
use crate::mailbox::limit::Load;
use crate::mailbox::weighed;
use crate::owned::{Ending, First, More, Owned, Phase};
use crate::panics;
use crate::reason::Reason;
use crate::shelf::Shelf;
use crate::signal::Signal;
use std::num::NonZeroU64;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};

/// How many messages a poll handles at most.
const BATCH: u32 = 256;
/// How long a poll goes on taking messages.
const SLICE: Duration = Duration::from_micros(100);
/// After so many messages a poll looks at the clock.
const LOOK: u32 = 32;

/// The future of an actor's task. It owns the cell's owned part (invariant 2 of the cell).
pub(crate) struct Runner(CellRef);

impl Runner {
    /// # Safety
    /// There is one runner per cell.
    pub(crate) unsafe fn new(cell: CellRef) -> Self {
        Runner(cell)
    }
}

impl Future for Runner {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<()> {
        let cell = &self.0;
        current::enter(cell, || poll(cell, context))
    }
}

impl Drop for Runner {
    /// Ends an actor whose task was cancelled: by a kill, or because the executor stops.
    fn drop(&mut self) {
        let cell = &self.0;
        if phase(cell) != Phase::Ended {
            current::enter(cell, || {
                take_inbox(cell);
                let reason = match take_ending(cell) {
                    Some((Ending::Signal, reason)) => reason,
                    _ => Reason::Killed,
                };
                end(cell, reason, false, None);
            });
        }
    }
}

/// Reaches the owned part for the length of a closure that calls nothing of the user's.
#[inline]
pub(crate) fn with<R>(cell: &CellRef, f: impl FnOnce(&mut Owned) -> R) -> R {
    // SAFETY: this file, `batch`, `init`, `end` and `reports` run for the runner, the owner, and pass closures
    // that reach nothing else.
    f(unsafe { cell.owned() })
}

fn phase(cell: &CellRef) -> Phase {
    with(cell, |own| own.phase)
}

/// How far the actor got.
enum Step {
    /// There was something to do.
    Busy,
    /// There is nothing to do.
    Idle,
    /// The actor has ended.
    Ended,
}

fn poll(cell: &CellRef, context: &mut TaskContext<'_>) -> Poll<()> {
    match phase(cell) {
        Phase::Fresh => {
            // SAFETY: the first poll.
            unsafe { cell.set_waker(context.waker()) };
            return init::begin(cell, context);
        }
        Phase::Starting => return init::go_on(cell, context),
        Phase::Running => {}
        Phase::Ended => return Poll::Ready(()),
    }
    let mut turn = Turn::new(match cell.hooks() {
        // There, whoever comes next is drawn after every message.
        Some(hooks) if hooks.is_simulation() => 1,
        _ => BATCH,
    });
    let mut served = batch::serve_alone(cell, &mut turn.handled);
    match served {
        Ok(Batch::Empty) => return Poll::Pending,
        Ok(Batch::Other) => {
            fire_timers(cell);
            served = batch::serve(cell, &mut turn.handled, turn.look);
        }
        _ => {}
    }
    loop {
        let step = match served {
            Ok(Batch::Empty) => Step::Idle,
            Ok(Batch::Full) => Step::Busy,
            Ok(Batch::Began) => go_on(cell, context),
            Ok(Batch::Other) => step(cell, context),
            Err(reason) => settle(cell, Err(reason)),
        };
        match step {
            Step::Busy => {}
            Step::Ended => return Poll::Ready(()),
            Step::Idle if rest(cell, turn.handled) => return Poll::Pending,
            Step::Idle => {}
        }
        turn.handled += 1;
        if turn.is_over() {
            leave_room(cell, 0);
            fire_timers(cell);
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        served = batch::serve(cell, &mut turn.handled, turn.look);
    }
}

/// How much of its turn a poll has used.
struct Turn {
    handled: u32,
    most: u32,
    /// At so many it looks at the clock.
    look: u32,
    /// When it looked first.
    start: Option<Instant>,
}

impl Turn {
    fn new(most: u32) -> Self {
        Turn {
            handled: 0,
            most,
            look: LOOK.min(most),
            start: None,
        }
    }

    #[inline]
    fn is_over(&mut self) -> bool {
        if self.handled < self.look {
            return false;
        }
        self.look = self.handled + LOOK;
        if self.handled >= self.most {
            return true;
        }
        let now = Instant::now();
        now.duration_since(*self.start.get_or_insert(now)) >= SLICE
    }
}

/// Lets the actor sleep. False: something has come in. `handled`: so much was done since it woke.
#[inline]
fn rest(cell: &CellRef, handled: u32) -> bool {
    leave_room(cell, 0);
    let waits = with(cell, |own| {
        if let Some(more) = &mut own.more {
            more.timers.set_alarm(cell.clock(), || cell.waker());
        }
        own.is_sparse = handled <= 1;
        // Messages wait for the end of a handler that awaits; only news wake.
        own.handling.is_some() || own.is_suspended()
    });
    cell.shelf(|shelf| {
        let is_empty = shelf.is_empty();
        (is_empty || waits) && cell.inbox.try_idle(is_empty)
    })
}

/// Whether `init` left nothing to do.
pub(crate) fn is_quiet(cell: &CellRef) -> bool {
    let is_quiet = |own: &mut Owned| {
        let has_more = |more: &More| !more.next.is_empty() || !more.timers.is_empty();
        !own.is_ending() && !own.more.as_deref().is_some_and(has_more)
    };
    with(cell, is_quiet) && cell.shelf(|shelf| shelf.is_empty() && cell.inbox.try_idle(true))
}

/// Serves the signals, then one message or the rest of one.
fn step(cell: &CellRef, context: &mut TaskContext<'_>) -> Step {
    let (is_handling, is_suspended) =
        with(cell, |own| (own.handling.is_some(), own.is_suspended()));
    if is_handling || is_suspended || cell.attention() || cell.shelf(|shelf| shelf.lanes.is_empty())
    {
        take_inbox(cell);
    }
    if let Some((ending, reason)) = take_ending(cell) {
        end(cell, reason, ending == Ending::Stop, None);
        return Step::Ended;
    }
    if is_handling {
        return go_on(cell, context);
    }
    let first = with(cell, Owned::first);
    let is_suspended = matches!(first, First::Signals);
    let done = match first {
        First::Visit(letter) => visit(cell, letter),
        First::Message(letter) => deliver(cell, letter),
        First::Mailbox | First::Signals => match cell.shelf(|shelf| pop(shelf, is_suspended)) {
            None => return Step::Idle,
            Some(letter) if letter.class().kind == Kind::Signal => {
                perform(cell, Signal::from_letter(letter))
            }
            Some(letter) => {
                let letter = take_up(cell, letter);
                deliver(cell, letter)
            }
        },
    };
    match settle(cell, done) {
        // At once: a message whose handler has not begun is lost without a word if an exit comes first.
        Step::Busy if with(cell, |own| own.handling.is_some()) => go_on(cell, context),
        step => step,
    }
}

/// How and why the actor is to end, if it is.
pub(crate) fn take_ending(cell: &CellRef) -> Option<(Ending, Reason)> {
    let ending = with(cell, Owned::take_ending);
    if ending == Ending::None {
        return None;
    }
    // SAFETY: we are the owner, and the inbox is open: the actor has not ended.
    let reason = unsafe { cell.take_exit() };
    Some((ending, reason.expect("whoever ends an actor says why")))
}

/// Takes the next letter; of a suspended actor's only what is no message.
#[inline]
fn pop(shelf: &mut Shelf, is_suspended: bool) -> Option<Letter> {
    if is_suspended {
        let is_signal = |letter: &Letter| letter.class().kind == Kind::Signal;
        return shelf.lanes.pop_least(is_signal);
    }
    shelf.lanes.pop()
}

/// Serves a visit from outside, which catches its own panics.
#[cold]
fn visit(cell: &CellRef, letter: Letter) -> Result<(), Reason> {
    let deliver = letter.class().deliver;
    // SAFETY: as in `deliver`.
    panics::catch(|| unsafe { deliver(letter, cell) }).map(drop)
}

/// Ends an actor that panicked.
fn settle(cell: &CellRef, done: Result<(), Reason>) -> Step {
    match done {
        Ok(()) => Step::Busy,
        Err(reason) => {
            // One that was killed where it waited has nothing to tidy up.
            let terminates = reason != Reason::Killed;
            end(cell, reason, terminates, None);
            Step::Ended
        }
    }
}

/// Takes a message up: its place is free.
#[inline]
pub(crate) fn take_up(cell: &CellRef, letter: Letter) -> Letter {
    if cell.room.weighs() {
        let (load, letter) = weighed::open(letter);
        cell.room.take_off(load);
        return letter;
    }
    leave_room(cell, 1);
    letter
}

/// Counts messages that were taken up, and takes them off the room now and then: at zero all of them.
#[inline]
pub(crate) fn leave_room(cell: &CellRef, messages: u32) {
    let batch = cell.room.batch();
    let leave = with(cell, |own| {
        own.untold += messages;
        if messages == 0 || own.untold >= batch || cell.room.has_waiters() {
            std::mem::take(&mut own.untold)
        } else {
            0
        }
    });
    if leave > 0 {
        cell.room.leave(leave as usize);
    }
}

/// Takes what has come in: messages into their lanes, signals to their effect.
pub(crate) fn take_inbox(cell: &CellRef) {
    let mut arrived = cell.shelf(|shelf| {
        let mut arrived = std::mem::take(&mut shelf.unsorted);
        arrived.append(cell.take_letters().letters);
        arrived
    });
    sort(cell, &mut arrived);
}

pub(crate) fn sort(cell: &CellRef, arrived: &mut Chain) {
    while let Some(letter) = arrived.pop_front() {
        match letter.class().kind {
            Kind::Message(priority) => cell.shelf(|shelf| shelf.lanes.push(priority, letter)),
            Kind::Signal => {
                if let Some(letter) = with(cell, |own| exit::arrive(cell, own, letter)) {
                    cell.shelf(|shelf| shelf.lanes.push(Priority::Normal, letter));
                }
            }
        }
    }
}

/// Hands a message to its handler, and lets know who watches.
fn deliver(cell: &CellRef, letter: Letter) -> Result<(), Reason> {
    if let Some(hooks) = cell.hooks()
        && let Some(injected) = hooks.handles(cell, &letter)
    {
        return inject(cell, letter, injected);
    }
    let Some(watches) = with(cell, |own| own.watches()) else {
        return batch::handle_one(cell, letter);
    };
    let message = letter.class().name.map_or("timer", |name| name());
    watches.begin(&cell.pid(), message);
    let done = batch::handle_one(cell, letter);
    if !with(cell, |own| own.handling.is_some()) {
        watches.end(&cell.pid());
    }
    done
}

/// Lets a fault of a test's happen instead of a handler.
#[cold]
fn inject(cell: &CellRef, letter: Letter, injected: Injected) -> Result<(), Reason> {
    // Dropped when the end is known: its asker looks for the reason then.
    with(cell, |own| own.more().remains.push(Box::new(letter)));
    match injected {
        Injected::Panic(text) => panics::catch(|| panic!("{text}")),
        Injected::Kill => {
            with(cell, |own| own.doom(cell, Reason::Killed));
            Ok(())
        }
    }
}

/// Polls the asynchronous handler.
fn go_on(cell: &CellRef, context: &mut TaskContext<'_>) -> Step {
    let Some(mut handling) = with(cell, |own| own.handling.take()) else {
        return Step::Busy;
    };
    match panics::catch(|| handling.as_mut().poll(context)) {
        Ok(Poll::Pending) => {
            with(cell, |own| own.handling = Some(handling));
            take_inbox(cell);
            let ends = with(cell, |own| own.is_ending());
            if ends { Step::Busy } else { Step::Idle }
        }
        Ok(Poll::Ready(())) => {
            let done = panics::drop_caught(handling);
            end_watched(cell);
            settle(cell, done)
        }
        Err(reason) => {
            let _ = panics::drop_caught(handling);
            end_watched(cell);
            settle(cell, Err(reason))
        }
    }
}

/// An asynchronous handler is through.
fn end_watched(cell: &CellRef) {
    if let Some(watches) = with(cell, |own| own.watches()) {
        watches.end(&cell.pid());
    }
}

/// A signal has its turn.
fn perform(cell: &CellRef, signal: Signal) -> Result<(), Reason> {
    let vtable = cell.vtable;
    match signal {
        Signal::Exit { from, reason, .. } => {
            let is_parent = with(cell, |own| own.is_parent(&from));
            if is_parent {
                with(cell, |own| own.stop(cell, reason));
                return Ok(());
            }
            // SAFETY: we are the owner, and the table is the cell's.
            panics::catch(|| unsafe { (vtable.on_exit)(cell, Exit { from, reason }) })
        }
        Signal::Down {
            reference,
            pid,
            reason,
        } => {
            let is_awaited = with(cell, |own| own.more().monitors.remove(reference)).is_some();
            let Some(monitor) = NonZeroU64::new(reference).filter(|_| is_awaited) else {
                return Ok(());
            };
            let monitor = MonitorRef(monitor);
            let down = Down {
                monitor,
                pid,
                reason,
            };
            // SAFETY: as above.
            panics::catch(|| unsafe { (vtable.on_down)(cell, down) })
        }
        Signal::Stop { reason } => {
            with(cell, |own| own.stop(cell, reason));
            Ok(())
        }
        // Others take effect when they arrive.
        _ => Ok(()),
    }
}

/// Puts the messages of timers that are due behind what has arrived.
#[inline]
fn fire_timers(cell: &CellRef) {
    if with(cell, |own| own.has_timers()) {
        fire_due(cell);
    }
}

#[cold]
fn fire_due(cell: &CellRef) {
    take_inbox(cell);
    let now = cell.clock().now();
    loop {
        // The message of a series is cloned here: code of the user's.
        let due = panics::catch(|| with(cell, |own| own.more().timers.due(now)));
        match due {
            Ok(Some(letter)) => {
                let Kind::Message(priority) = letter.class().kind else {
                    unreachable!("timers send messages")
                };
                cell.room.admit(Load::ONE);
                cell.shelf(|shelf| shelf.lanes.push(priority, letter));
            }
            Ok(None) => return,
            Err(reason) => {
                with(cell, |own| own.stop(cell, reason));
                return;
            }
        }
    }
}
