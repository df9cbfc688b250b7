//! An actor whose messages the test takes and judges.

use super::recorder::{Item, Perform, Received, Record, Recorder, RecorderArgs, Work};
use crate::accept::Deferred;
use crate::addr::Addr;
use crate::executor::Executor;
use crate::options::Options;
use crate::pid::Pid;
use crate::reason::Reason as Why;
use crate::recipient::Recipient;
use crate::reply::ReplyTo;
use crate::start::start;
use std::cell::RefCell;
use std::fmt::{self, Debug};
use std::sync::Arc;
use std::time::Duration;
use weftwork_core::wait::{self, Reason};

/// An address for the code under test, and what came there for the test to judge.
///
/// Behind it is an actor, [`Recorder`], which takes messages of type `M` without bound, and answers those that
/// are asked when the test says what, with an `R`. It traps exits.
///
/// The methods that wait park the calling thread or green thread; in a [`Lab`](super::Lab) they let the actors
/// run, and the time goes by the clock of the lab. Those that `expect` look at what has come in order: the next
/// must be what is expected, be it a message, an exit or a down. They panic if it is something else, and say
/// what came instead, or if nothing comes for three seconds ([`patience`](Self::patience)). Dropping the probe
/// ends its actor.
///
/// ```
/// use weftwork_actor::testing::Probe;
/// use weftwork_actor::{Actor, Context, Handler, InitError, Options, Recipient, start};
///
/// /// Doubles what it gets.
/// struct Doubler(Recipient<u32>);
///
/// impl Actor for Doubler {
///     type Args = Recipient<u32>;
///     fn init(to: Recipient<u32>, _: &mut Context<Self>) -> Result<Self, InitError> {
///         Ok(Doubler(to))
///     }
/// }
///
/// impl Handler<u32> for Doubler {
///     type Reply = ();
///     fn handle(&mut self, n: u32, _: &mut Context<Self>) {
///         self.0.tell(n.checked_mul(2).expect("it is small")).unwrap();
///     }
/// }
///
/// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
/// let probe = Probe::<u32>::start(rt.handle());
/// let doubler = start::<Doubler>(rt.handle(), probe.recipient(), Options::new())?;
/// probe.watch(&doubler.pid());
///
/// for n in 1..=3 {
///     doubler.tell(n).unwrap();
/// }
/// probe.expect(2);
/// assert_eq!(probe.fish(|n| *n > 4), 6);
/// doubler.tell(u32::MAX).unwrap();
/// assert!(probe.expect_down(&doubler.pid()).is_panic());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Probe<M: Send + 'static, R: Send + 'static = ()> {
    addr: Addr<Recorder<M, R>>,
    record: Arc<Record<M, R>>,
    /// Who asked the last message that was taken.
    asker: RefCell<Option<ReplyTo<R>>>,
    patience: Duration,
}

/// How long a probe waits by default.
const PATIENCE: Duration = Duration::from_secs(3);

/// How many of those that came behind are told of by an assertion.
const BEHIND: usize = 8;

impl<M: Send + 'static, R: Send + 'static> Probe<M, R> {
    /// Starts a probe, named `probe`.
    ///
    /// # Panics
    /// The executor takes no more tasks.
    #[must_use]
    #[track_caller]
    pub fn start(executor: &impl Executor) -> Self {
        Probe::named(executor, "probe")
    }

    /// As [`start`](Self::start), with a name for reports.
    ///
    /// # Panics
    /// As `start`.
    #[must_use]
    #[track_caller]
    pub fn named(executor: &impl Executor, name: &str) -> Self {
        let record = Arc::new(Record::new());
        let args = RecorderArgs(Arc::clone(&record));
        let options = Options::new().name(name).mailbox(crate::Mailbox::Unbounded);
        let addr = match start::<Recorder<M, R>>(executor, args, options) {
            Ok(addr) => addr,
            Err(error) => panic!("a probe: {error}"),
        };
        Probe {
            addr,
            record,
            asker: RefCell::new(None),
            patience: PATIENCE,
        }
    }

    /// Says how long it waits for what is expected.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The address of its actor, for whoever asks, or wants an [`Addr`].
    #[must_use]
    pub fn addr(&self) -> Addr<Recorder<M, R>> {
        self.addr.clone()
    }

    /// The address for whoever tells messages.
    #[must_use]
    pub fn recipient(&self) -> Recipient<M> {
        self.addr.recipient::<M, Deferred>()
    }

    /// Who its actor is.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.addr.pid()
    }

    /// Monitors an actor: its end comes as a [`Received::Down`].
    #[track_caller]
    pub fn watch(&self, pid: &Pid) {
        let pid = pid.clone();
        self.perform(Box::new(move |ctx| {
            ctx.monitor(&pid);
        }));
    }

    /// Links its actor to another: the end of that comes as a [`Received::Exit`], and the end of the probe ends
    /// the other.
    #[track_caller]
    pub fn link(&self, pid: &Pid) {
        let pid = pid.clone();
        // It traps exits: so a link to the dead is an exit.
        self.perform(Box::new(move |ctx| drop(ctx.link(&pid))));
    }

    #[track_caller]
    fn perform(&self, work: Work<M, R>) {
        if let Err(error) = self.addr.ask_timeout(Perform(work), Duration::MAX) {
            panic!("the probe is gone: {error}");
        }
    }

    /// Waits for so long at most for whatever comes next.
    #[track_caller]
    pub fn next_within(&self, time: Duration) -> Option<Received<M>> {
        let deadline = wait::deadline_after(time);
        let next = wait::wait_deadline(Reason::new("probe"), deadline, |context| {
            self.record.poll(context)
        });
        let (received, asker): Item<M, R> = next.ok()?;
        let before = self.asker.replace(asker);
        drop(before);
        Some(received)
    }

    /// Answers the last message that was taken. If it was not asked, nobody hears.
    ///
    /// # Panics
    /// There is none, or it was answered.
    #[track_caller]
    pub fn reply(&self, answer: R) {
        let Some(asker) = self.asker.take() else {
            panic!("the probe has taken no message to reply to");
        };
        asker.send(answer);
    }
}

impl<M: Debug + Send + 'static, R: Send + 'static> Probe<M, R> {
    /// Waits for the next message, whatever it is.
    ///
    /// # Panics
    /// Something else comes, or nothing in time.
    #[track_caller]
    pub fn receive(&self) -> M {
        match self.next_within(self.patience) {
            Some(Received::Message(message)) => message,
            other => self.fail("a message", other, self.patience),
        }
    }

    /// Waits for the next, which must be this message.
    ///
    /// # Panics
    /// Something else comes, or nothing in time.
    #[track_caller]
    pub fn expect(&self, message: M)
    where
        M: PartialEq,
    {
        self.expect_within(message, self.patience);
    }

    /// As [`expect`](Self::expect), waiting for so long at most.
    ///
    /// # Panics
    /// As `expect`.
    #[track_caller]
    pub fn expect_within(&self, message: M, time: Duration)
    where
        M: PartialEq,
    {
        match self.next_within(time) {
            Some(Received::Message(came)) if came == message => {}
            other => self.fail(&format!("{message:?}"), other, time),
        }
    }

    /// Waits for so long: nothing may come. For no time at all it looks at what is there.
    ///
    /// # Panics
    /// Something comes.
    #[track_caller]
    pub fn expect_none(&self, time: Duration) {
        if let other @ Some(_) = self.next_within(time) {
            self.fail("nothing", other, time);
        }
    }

    /// Waits for a message that `is_it`, and drops whatever comes before. Its whole time is the patience.
    ///
    /// # Panics
    /// None comes in time; the message lists what came.
    #[track_caller]
    pub fn fish(&self, mut is_it: impl FnMut(&M) -> bool) -> M {
        let begin = weftwork_core::host::now();
        let mut others = Vec::new();
        loop {
            let gone = weftwork_core::host::now().saturating_duration_since(begin);
            match self.next_within(self.patience.saturating_sub(gone)) {
                Some(Received::Message(message)) if is_it(&message) => return message,
                Some(other) => others.push(text(&other)),
                None => panic!(
                    "{:?} was fishing for a message, and in {:?} these came: [{}]",
                    self.pid(),
                    self.patience,
                    others.join(", ")
                ),
            }
        }
    }

    /// Waits for the next, which must be the end of an actor that the probe [watches](Self::watch), and says
    /// why that ended.
    ///
    /// # Panics
    /// Something else comes, or nothing in time.
    #[track_caller]
    pub fn expect_down(&self, pid: &Pid) -> Why {
        match self.next_within(self.patience) {
            Some(Received::Down(down)) if down.pid == *pid => down.reason,
            other => self.fail(&format!("the down of {pid:?}"), other, self.patience),
        }
    }

    /// Waits for the next, which must be an exit signal from an actor, and says with which reason.
    ///
    /// # Panics
    /// Something else comes, or nothing in time.
    #[track_caller]
    pub fn expect_exit(&self, from: &Pid) -> Why {
        match self.next_within(self.patience) {
            Some(Received::Exit(exit)) if exit.from == *from => exit.reason,
            other => self.fail(&format!("an exit of {from:?}"), other, self.patience),
        }
    }

    #[track_caller]
    fn fail(&self, expected: &str, came: Option<Received<M>>, time: Duration) -> ! {
        let came = match came {
            None => format!("nothing came in {time:?}"),
            Some(received) => format!("{} came", text(&received)),
        };
        let mut behind = self.record.texts(text);
        let more = behind.len().saturating_sub(BEHIND);
        behind.truncate(BEHIND);
        let behind = match (behind.is_empty(), more) {
            (true, _) => String::new(),
            (false, 0) => format!("; behind it: {}", behind.join(", ")),
            (false, more) => format!("; behind it: {}, and {more} more", behind.join(", ")),
        };
        panic!("{:?} expected {expected}, but {came}{behind}", self.pid())
    }
}

fn text<M: Debug>(received: &Received<M>) -> String {
    match received {
        Received::Message(message) => format!("{message:?}"),
        Received::Exit(exit) => format!("an exit of {:?} ({})", exit.from, exit.reason),
        Received::Down(down) => format!("the down of {:?} ({})", down.pid, down.reason),
    }
}

impl<M: Send + 'static, R: Send + 'static> Drop for Probe<M, R> {
    fn drop(&mut self) {
        self.addr.stop(Why::Normal);
    }
}

impl<M: Send + 'static, R: Send + 'static> fmt::Debug for Probe<M, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe")
            .field("pid", &self.pid())
            .finish_non_exhaustive()
    }
}
