//! Things that go wrong on purpose.

use super::target::{SignalKind, Target};
use crate::cell::Header;
use crate::testing::random::Random;
use std::any::type_name;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use weftwork_core::sync::atomic::{AtomicU64, Ordering};

/// Something that is to go wrong in a [`Lab`](super::Lab), and when.
///
/// Without more it happens once, at the first occasion. An occasion is a message or signal, a start or an
/// `init` that the fault is for; they are counted for each fault, over all actors that it is for and all their
/// incarnations. So an actor that panics at its third message does not do so again when it was restarted.
///
/// | fault | what it does |
/// | --- | --- |
/// | [`panic`](Self::panic) | the actor panics instead of handling the message, as if its handler had: `terminate` is called, the asker is told the reason |
/// | [`kill`](Self::kill) | the actor ends as [`Killed`](crate::Reason::Killed) instead of handling the message |
/// | [`drop_message`](Self::drop_message) | the message is lost: its sender does not learn of it, an asker waits for its time limit |
/// | [`drop_signal`](Self::drop_signal) | the signal is lost, both ends keep what they know: see there |
/// | [`delay_message`](Self::delay_message), [`delay_signal`](Self::delay_signal) | it arrives later, by the clock of the lab; whatever the sender sends to the receiver meanwhile waits behind it, so that the order of the two is kept |
/// | [`refuse_start`](Self::refuse_start) | the start fails as [`Refused`](crate::StartError::Refused) |
/// | [`fail_init`](Self::fail_init) | `init` is not called; the start fails |
///
/// ```
/// use weftwork_actor::testing::{Fault, Target, simulate};
/// use weftwork_actor::{Actor, Context, Handler, InitError};
///
/// struct Worker;
///
/// impl Actor for Worker {
///     type Args = ();
///     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> {
///         Ok(Worker)
///     }
/// }
///
/// impl Handler<u32> for Worker {
///     type Reply = ();
///     fn handle(&mut self, _: u32, _: &mut Context<Self>) {}
/// }
///
/// simulate(1, |lab| {
///     let worker = lab.start::<Worker>(());
///     let fault = lab.inject(Fault::panic(Target::actor::<Worker>()).nth(3));
///     worker.ask(1).unwrap();
///     worker.ask(2).unwrap();
///     assert!(worker.ask(3).is_err());
///     assert!(worker.pid().exit_reason().is_some_and(|reason| reason.is_panic()));
///     assert_eq!(fault.hits(), 1);
/// });
/// ```
#[derive(Debug, Clone)]
#[must_use = "a fault does nothing unless it is injected"]
pub struct Fault {
    at: Occasion,
    effect: Effect,
    from: Target,
    to: Target,
    message: Option<&'static str>,
    nth: u64,
    times: u64,
    chance: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Occasion {
    Handle,
    Message,
    Signal(SignalKind),
    Start,
    Init,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    Panic,
    Kill,
    Drop,
    Delay(Duration),
    Refuse,
}

impl Fault {
    fn new(at: Occasion, effect: Effect, from: Target, to: Target) -> Self {
        Fault {
            at,
            effect,
            from,
            to,
            message: None,
            nth: 1,
            times: 1,
            chance: None,
        }
    }

    /// Lets `actor` panic instead of handling a message.
    pub fn panic(actor: impl Into<Target>) -> Self {
        let any = Target::any();
        Fault::new(Occasion::Handle, Effect::Panic, any, actor.into())
    }

    /// Kills `actor` when it is to handle a message.
    pub fn kill(actor: impl Into<Target>) -> Self {
        let any = Target::any();
        Fault::new(Occasion::Handle, Effect::Kill, any, actor.into())
    }

    /// Loses a message on its way.
    pub fn drop_message(from: impl Into<Target>, to: impl Into<Target>) -> Self {
        Fault::new(Occasion::Message, Effect::Drop, from.into(), to.into())
    }

    /// Lets a message arrive `by` later.
    pub fn delay_message(from: impl Into<Target>, to: impl Into<Target>, by: Duration) -> Self {
        Fault::new(Occasion::Message, Effect::Delay(by), from.into(), to.into())
    }

    /// Loses a signal on its way. What follows from it:
    ///
    /// | lost | then |
    /// | --- | --- |
    /// | [`Link`](SignalKind::Link) | the sender's end reaches nobody; the receiver's end is not told to the sender |
    /// | [`Unlink`](SignalKind::Unlink) | the sender hears nothing of the link any more; its end still ends the receiver |
    /// | [`LinkExit`](SignalKind::LinkExit) | the receiver goes on, and stays linked to the dead |
    /// | [`Monitor`](SignalKind::Monitor) | nobody is told of the end |
    /// | [`Demonitor`](SignalKind::Demonitor) | a down is sent, and ignored |
    /// | [`Down`](SignalKind::Down) | the watcher is not told, if it is an actor |
    /// | [`Exit`](SignalKind::Exit), [`Stop`](SignalKind::Stop) | the receiver goes on |
    ///
    /// The link of a start is there without a signal. A kill is not lost.
    pub fn drop_signal(signal: SignalKind, from: impl Into<Target>, to: impl Into<Target>) -> Self {
        let at = Occasion::Signal(signal);
        Fault::new(at, Effect::Drop, from.into(), to.into())
    }

    /// Lets a signal arrive `by` later. If the receiver has ended by then, the sender of a link or a monitor
    /// is told [`NoProc`](crate::Reason::NoProc).
    pub fn delay_signal(
        signal: SignalKind,
        from: impl Into<Target>,
        to: impl Into<Target>,
        by: Duration,
    ) -> Self {
        let at = Occasion::Signal(signal);
        Fault::new(at, Effect::Delay(by), from.into(), to.into())
    }

    /// Lets the executor refuse to spawn `actor`, chosen by name or type.
    pub fn refuse_start(actor: impl Into<Target>) -> Self {
        let any = Target::any();
        Fault::new(Occasion::Start, Effect::Refuse, any, actor.into())
    }

    /// Lets the `init` of `actor` fail, chosen by name or type.
    pub fn fail_init(actor: impl Into<Target>) -> Self {
        let any = Target::any();
        Fault::new(Occasion::Init, Effect::Refuse, any, actor.into())
    }

    /// Lets it happen at the `n`th occasion; the first is 1.
    pub fn nth(mut self, n: u64) -> Self {
        self.nth = n;
        self
    }

    /// Lets it happen at so many occasions, one after the other.
    pub fn times(mut self, times: u64) -> Self {
        self.times = times;
        self
    }

    /// Lets it happen at all occasions.
    pub fn always(self) -> Self {
        self.times(u64::MAX)
    }

    /// Lets it happen at this share of the occasions, drawn by the seed of the lab; 0.1 is every tenth.
    pub fn chance(mut self, share: f64) -> Self {
        self.chance = Some(share);
        self.always()
    }

    /// Counts messages of type `M` alone.
    pub fn only<M: 'static>(mut self) -> Self {
        self.message = Some(type_name::<M>());
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.at {
            Occasion::Handle | Occasion::Message => "message",
            Occasion::Signal(kind) => kind.text(),
            Occasion::Start => "start",
            Occasion::Init => "init",
        };
        match (self.effect, self.at) {
            (Effect::Panic, _) => write!(f, "panic at a {what}"),
            (Effect::Kill, _) => write!(f, "kill at a {what}"),
            (Effect::Drop, _) => write!(f, "{what} is lost"),
            (Effect::Delay(by), _) => write!(f, "{what} is {by:?} late"),
            (Effect::Refuse, Occasion::Init) => f.write_str("init fails"),
            (Effect::Refuse, _) => write!(f, "{what} is refused"),
        }
    }
}

/// A fault that was injected: tells how often it has happened.
#[derive(Debug, Clone)]
pub struct Injection(Arc<AtomicU64>);

impl Injection {
    /// How often it has happened.
    #[must_use]
    pub fn hits(&self) -> u64 {
        // Relaxed: one at a time runs in a lab.
        self.0.load(Ordering::Relaxed)
    }
}

/// A fault in a lab, and how often it could have happened.
pub(super) struct Rule {
    fault: Fault,
    seen: u64,
    hits: Arc<AtomicU64>,
}

impl Rule {
    pub(super) fn new(fault: Fault) -> (Rule, Injection) {
        let hits = Arc::new(AtomicU64::new(0));
        let injection = Injection(Arc::clone(&hits));
        let rule = Rule {
            fault,
            seen: 0,
            hits,
        };
        (rule, injection)
    }

    pub(super) fn fault(&self) -> &Fault {
        &self.fault
    }

    /// There is an occasion. What happens, if anything does?
    pub(super) fn meet(
        &mut self,
        at: Occasion,
        (from, to): (Option<&Header>, &Header),
        message: Option<&str>,
        random: &mut Random,
    ) -> Option<Effect> {
        let fault = &self.fault;
        let is_for = match (fault.at, at) {
            (Occasion::Signal(wanted), Occasion::Signal(kind)) => wanted.covers(kind),
            (wanted, at) => wanted == at,
        };
        let is_one = fault.message.is_none() || fault.message == message;
        if !is_for || !is_one || !fault.from.is(from) || !fault.to.is(Some(to)) {
            return None;
        }
        self.seen += 1;
        // Relaxed: as in `hits`.
        let hits = self.hits.load(Ordering::Relaxed);
        if self.seen < fault.nth || hits >= fault.times {
            return None;
        }
        if fault.chance.is_some_and(|share| !random.chance(share)) {
            return None;
        }
        self.hits.store(hits + 1, Ordering::Relaxed);
        Some(fault.effect)
    }
}
