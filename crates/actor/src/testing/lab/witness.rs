//! Sees all that the actors of a lab do, writes the trace, and lets faults happen.
//!
//! It knows the actors by the order of their starts: the numbers of pids are the process's, and differ from run
//! to run.

use super::fault::{Effect, Fault, Injection, Occasion, Rule};
use super::parcel::{self, Load};
use super::seat;
use super::target::{SignalKind, is_kill};
use super::trace::{Happened, Trace, TraceEvent, short};
use super::turns::Turns;
use crate::actor::InitError;
use crate::cell::{CellRef, Header};
use crate::current;
use crate::hooks::Injected;
use crate::mailbox::inbox::Pushed;
use crate::mailbox::letter::Letter;
use crate::mailbox::weighed;
use crate::reason::Reason;
use crate::signal::Signal;
use crate::testing::ManualClock;
use crate::testing::random::Random;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;
use weftwork_core::sync::Mutex;

pub(crate) struct Witness {
    pub(super) clock: ManualClock,
    start: Instant,
    turns: Arc<Turns>,
    inner: Mutex<Inner>,
}

struct Inner {
    /// By the number of the pid.
    actors: HashMap<u64, Known>,
    started: u64,
    trace: Trace,
    /// The test is over: the trace and the faults, too.
    is_over: bool,
    rules: Vec<Rule>,
    /// For faults, and for whoever asks for a draw.
    chances: Random,
    draws: Random,
    /// Until when what one sends to another is held up.
    late: HashMap<(u64, u64), Instant>,
    /// Messages that were lost: their askers wait.
    lost: Vec<Letter>,
}

/// An actor of the lab.
struct Known {
    label: Arc<str>,
    /// As long as it lives.
    cell: Option<CellRef>,
    /// Who sent what is in its mailbox, by the letter's address.
    senders: HashMap<usize, Arc<str>>,
}

/// What becomes of something that was sent.
enum Fate {
    Arrives,
    Lost,
    Late(Instant, CellRef),
}

impl Witness {
    pub(super) fn new(seed: u64, clock: ManualClock, turns: Arc<Turns>) -> Self {
        Witness {
            start: clock.now(),
            clock,
            turns,
            inner: Mutex::new(Inner {
                actors: HashMap::new(),
                started: 0,
                trace: Trace::default(),
                is_over: false,
                rules: Vec::new(),
                chances: Random::new(seed, 1),
                draws: Random::new(seed, 2),
                late: HashMap::new(),
                lost: Vec::new(),
            }),
        }
    }

    pub(super) fn trace(&self) -> Trace {
        self.inner.lock().trace.clone()
    }

    pub(super) fn inject(&self, fault: Fault) -> Injection {
        let (rule, injection) = Rule::new(fault);
        self.inner.lock().rules.push(rule);
        injection
    }

    pub(super) fn note(&self, text: &str) {
        let text = text.into();
        self.happens(&mut self.inner.lock(), Happened::Note { text });
    }

    pub(crate) fn draw(&self) -> u64 {
        self.inner.lock().draws.next()
    }

    /// Forgets what it holds of the actors.
    pub(super) fn close(&self) {
        let mut inner = self.inner.lock();
        let held = (
            std::mem::take(&mut inner.actors),
            std::mem::take(&mut inner.lost),
        );
        drop(inner);
        drop(held);
    }

    /// The test is over: what happens from now on is its end.
    pub(super) fn stop(&self) {
        let mut inner = self.inner.lock();
        inner.is_over = true;
        inner.rules.clear();
    }

    fn happens(&self, inner: &mut Inner, what: Happened) {
        if inner.is_over {
            return;
        }
        let at = self.clock.now().duration_since(self.start);
        inner.trace.events.push(TraceEvent { at, what });
    }

    /// Asks the faults. The one that happens is told in the trace.
    fn meet(
        &self,
        inner: &mut Inner,
        at: Occasion,
        ends: (Option<&Header>, &Header),
        message: Option<&str>,
    ) -> Option<Effect> {
        let mut happens = None;
        for rule in &mut inner.rules {
            let effect = rule.meet(at, ends, message, &mut inner.chances);
            if happens.is_none()
                && let Some(effect) = effect
            {
                happens = Some((effect, rule.fault().to_string()));
            }
        }
        let (effect, fault) = happens?;
        let fault = format!("{}: {fault}", inner.label(Some(ends.1))).into();
        self.happens(inner, Happened::Fault { fault });
        Some(effect)
    }

    pub(crate) fn starts(&self, cell: &CellRef, parent: Option<&CellRef>) -> bool {
        let by = parent.cloned().or_else(current::cell);
        let type_name = short((cell.vtable.type_name)());
        let mut inner = self.inner.lock();
        let by_label = inner.label(by.as_deref());
        let label: Arc<str> = match &cell.name {
            Some(name) => format!("{name}#{}", inner.started + 1),
            None => format!("{type_name}#{}", inner.started + 1),
        }
        .into();
        let known = Known {
            label: Arc::clone(&label),
            cell: None,
            senders: HashMap::new(),
        };
        inner.actors.insert(cell.number, known);
        let ends = (by.as_deref(), &**cell);
        if self.meet(&mut inner, Occasion::Start, ends, None).is_some() {
            inner.actors.remove(&cell.number);
            return false;
        }
        inner.started += 1;
        if let Some(known) = inner.actors.get_mut(&cell.number) {
            known.cell = Some(cell.clone());
        }
        let (actor, by) = (label, by_label);
        self.happens(&mut inner, Happened::Started { actor, by });
        true
    }

    pub(crate) fn fails_init(&self, cell: &CellRef) -> Option<InitError> {
        let mut inner = self.inner.lock();
        self.sits_down(&mut inner, cell);
        let ends = (None, &**cell);
        self.meet(&mut inner, Occasion::Init, ends, None)?;
        Some(InitError::Failed(Reason::other("injected fault")))
    }

    /// Notes, for reports of who waits, that the actor runs on this thread.
    fn sits_down(&self, inner: &mut Inner, cell: &Header) {
        if let Some(seat) = seat::current() {
            self.turns.names(seat, Some(inner.label(Some(cell))));
        }
    }

    pub(crate) fn message(&self, to: &Header, letter: Letter) -> Result<Pushed, Letter> {
        if !to.is_alive() {
            return to.place_message(letter);
        }
        let from = current::cell();
        let (load, inner) = weighed::peek(&letter);
        let (name, address) = (inner.class().name.map(|name| name()), inner.address());
        let fate = {
            let mut inner = self.inner.lock();
            let sender = inner.label(from.as_deref());
            let message: Arc<str> = name.map_or("message".into(), |name| short(name).into());
            let sent = Happened::Sent {
                from: Arc::clone(&sender),
                to: inner.label(Some(to)),
                message,
            };
            self.happens(&mut inner, sent);
            let ends = (from.as_deref(), to);
            let effect = self.meet(&mut inner, Occasion::Message, ends, name);
            if effect != Some(Effect::Drop)
                && let Some(known) = inner.actors.get_mut(&to.number)
            {
                known.senders.insert(address, sender);
            }
            self.fate(&mut inner, ends, effect)
        };
        match fate {
            Fate::Arrives => to.place_message(letter),
            Fate::Lost => {
                to.room.take_off(load);
                self.inner.lock().lost.push(letter);
                Ok(Pushed::Quiet)
            }
            Fate::Late(due, to) => {
                parcel::send(&self.clock, due, to, Load::Message(letter));
                Ok(Pushed::Quiet)
            }
        }
    }

    pub(crate) fn signal(&self, to: &Header, signal: Signal) -> bool {
        if !to.is_alive() {
            return to.put_signal(signal);
        }
        let from = current::cell();
        let kind = SignalKind::of(&signal);
        let is_kill = is_kill(&signal);
        // Before the lock: the text of a reason may be the user's.
        let text = kind.map(|kind| match &signal {
            Signal::Exit { reason, .. } | Signal::Down { reason, .. } | Signal::Stop { reason } => {
                format!("{}: {reason}", kind.text())
            }
            _ => kind.text().to_owned(),
        });
        let fate = {
            let mut inner = self.inner.lock();
            if let Some(text) = text {
                let sent = Happened::Signal {
                    from: inner.label(from.as_deref()),
                    to: inner.label(Some(to)),
                    signal: inner.labelled(&text),
                };
                self.happens(&mut inner, sent);
            }
            let ends = (from.as_deref(), to);
            let effect = match kind {
                Some(kind) if !is_kill => self.meet(&mut inner, Occasion::Signal(kind), ends, None),
                _ => None,
            };
            if is_kill {
                Fate::Arrives
            } else {
                self.fate(&mut inner, ends, effect)
            }
        };
        match fate {
            Fate::Arrives => to.put_signal(signal),
            Fate::Lost => true,
            Fate::Late(due, to) => {
                parcel::send(&self.clock, due, to, Load::Signal(signal));
                true
            }
        }
    }

    /// What becomes of something that `from` sends to `to`, on which the faults have this effect. It stays
    /// behind what is late already.
    fn fate(
        &self,
        inner: &mut Inner,
        (from, to): (Option<&Header>, &Header),
        effect: Option<Effect>,
    ) -> Fate {
        let now = self.clock.now();
        let way = (from.map_or(0, |from| from.number), to.number);
        let held = inner.late.get(&way).copied().filter(|due| *due > now);
        let due = match effect {
            Some(Effect::Drop) => return Fate::Lost,
            Some(Effect::Delay(by)) => now.checked_add(by).unwrap_or(now),
            _ => now,
        };
        let due = held.map_or(due, |held| held.max(due));
        let cell = inner.actors.get(&to.number).and_then(|to| to.cell.clone());
        match cell {
            Some(cell) if due > now => {
                inner.late.insert(way, due);
                Fate::Late(due, cell)
            }
            _ => Fate::Arrives,
        }
    }

    pub(crate) fn handles(&self, cell: &CellRef, letter: &Letter) -> Option<Injected> {
        let name = letter.class().name.map(|name| name());
        let mut inner = self.inner.lock();
        self.sits_down(&mut inner, cell);
        let known = inner.actors.get_mut(&cell.number)?;
        let from = known.senders.remove(&letter.address());
        let message: Arc<str> = name.map_or("timer".into(), |name| short(name).into());
        let handled = Happened::Handled {
            actor: Arc::clone(&known.label),
            message,
            from: from.filter(|_| name.is_some()),
        };
        self.happens(&mut inner, handled);
        let ends = (None, &**cell);
        match self.meet(&mut inner, Occasion::Handle, ends, name)? {
            Effect::Kill => Some(Injected::Kill),
            _ => Some(Injected::Panic("injected fault".into())),
        }
    }

    pub(crate) fn ended(&self, cell: &CellRef, reason: &Reason) {
        // Before the lock, as in `signal`.
        let reason = reason.to_string();
        let mut inner = self.inner.lock();
        let Some(known) = inner.actors.get_mut(&cell.number) else {
            return;
        };
        let reference = known.cell.take();
        known.senders.clear();
        let actor = Arc::clone(&known.label);
        let reason = inner.labelled(&reason);
        self.happens(&mut inner, Happened::Ended { actor, reason });
        drop(inner);
        drop(reference);
    }

    pub(crate) fn supervisor(&self, cell: &CellRef, what: fmt::Arguments<'_>) {
        let what = what.to_string();
        let mut inner = self.inner.lock();
        let actor = inner.label(Some(cell));
        let what = inner.labelled(&what);
        self.happens(&mut inner, Happened::Supervisor { actor, what });
    }
}

impl Inner {
    /// What the trace calls an actor; `None` is the test.
    fn label(&self, cell: Option<&Header>) -> Arc<str> {
        match cell {
            None => "test".into(),
            Some(cell) => match self.actors.get(&cell.number) {
                Some(known) => Arc::clone(&known.label),
                None => "an actor outside".into(),
            },
        }
    }

    /// A text with the labels of actors in place of their pids.
    fn labelled(&self, text: &str) -> Arc<str> {
        const PID: &str = "<0.";
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find(PID) {
            let (before, pid) = rest.split_at(at);
            out.push_str(before);
            let number = pid[PID.len()..].split_once('>');
            let known = number.and_then(|(number, behind)| {
                let known = self.actors.get(&number.parse().ok()?)?;
                Some((known, behind))
            });
            match known {
                Some((known, behind)) => {
                    out.push_str(&known.label);
                    rest = behind;
                }
                None => {
                    out.push_str(PID);
                    rest = &pid[PID.len()..];
                }
            }
        }
        out.push_str(rest);
        out.into()
    }
}
