//! What an actor does later: its timers, and the messages it has put aside.

use crate::accept::{self, Accepts};
use crate::actor::Actor;
use crate::context::Context;
use crate::mailbox::Priority;
use crate::mailbox::letter::{Class, Delivery, Kind, Letter};
use crate::number;
use crate::reply::{Back, ReplyTo};
use crate::timers::{Key, Tick, TimerRef};
use std::any::TypeId;
use std::fmt::Debug;
use std::time::Duration;

impl<A: Actor> Context<A> {
    /// Sends the actor a message when `delay` is over, never earlier, behind those that have arrived by
    /// then. The timer ends with the actor: it never reaches another incarnation.
    ///
    /// ```
    /// use std::time::Duration;
    /// use weftwork_actor::{Actor, Context, Handler, InitError, Options, start};
    ///
    /// struct Me(weftwork_csp::Sender<&'static str>);
    ///
    /// impl Actor for Me {
    ///     type Args = weftwork_csp::Sender<&'static str>;
    ///     fn init(told: Self::Args, ctx: &mut Context<Self>) -> Result<Self, InitError> {
    ///         ctx.send_after(Duration::from_millis(20), "second");
    ///         ctx.send_after(Duration::from_millis(1), "first");
    ///         Ok(Me(told))
    ///     }
    /// }
    ///
    /// impl Handler<&'static str> for Me {
    ///     type Reply = ();
    ///     fn handle(&mut self, text: &'static str, _: &mut Context<Self>) {
    ///         self.0.send(text).unwrap();
    ///     }
    /// }
    ///
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// let (sender, told) = weftwork_csp::unbounded();
    /// let me = start::<Me>(rt.handle(), sender, Options::new())?;
    /// assert_eq!(told.recv()?, "first");
    /// assert_eq!(told.recv()?, "second");
    /// # me.kill();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_after<M, K>(&mut self, delay: Duration, message: M) -> TimerRef
    where
        A: Accepts<M, K>,
        M: Send + 'static,
        K: 'static,
    {
        self.add_timer::<A, M, K>(delay, None, once(message))
    }

    /// As [`send_after`](Self::send_after), named by `key`: it takes the place of a timer that the actor
    /// has under an equal key. Keys of different types differ; of one type, those do whose `Debug` text
    /// differs.
    ///
    /// ```
    /// use std::time::Duration;
    /// use weftwork_actor::{Actor, Context, Handler, InitError, Options, start};
    ///
    /// struct Me(weftwork_csp::Sender<&'static str>);
    ///
    /// impl Actor for Me {
    ///     type Args = weftwork_csp::Sender<&'static str>;
    ///     fn init(told: Self::Args, ctx: &mut Context<Self>) -> Result<Self, InitError> {
    ///         ctx.send_after_keyed("alarm", Duration::from_millis(1), "early");
    ///         // Takes the place of that.
    ///         ctx.send_after_keyed("alarm", Duration::from_millis(2), "late");
    ///         Ok(Me(told))
    ///     }
    /// }
    ///
    /// impl Handler<&'static str> for Me {
    ///     type Reply = ();
    ///     fn handle(&mut self, text: &'static str, _: &mut Context<Self>) {
    ///         self.0.send(text).unwrap();
    ///     }
    /// }
    ///
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// let (sender, told) = weftwork_csp::unbounded();
    /// let me = start::<Me>(rt.handle(), sender, Options::new())?;
    /// assert_eq!(told.recv()?, "late");
    /// assert!(told.is_empty());
    /// # me.kill();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_after_keyed<M, K, N>(&mut self, key: N, delay: Duration, message: M) -> TimerRef
    where
        A: Accepts<M, K>,
        M: Send + 'static,
        K: 'static,
        N: Debug + 'static,
    {
        self.add_timer::<A, M, K>(delay, Some(name(&key)), once(message))
    }

    /// Sends the actor a message every `period`, first when the first is over. A tick that the actor was too
    /// busy to take in time is left out.
    ///
    /// ```
    /// use std::time::Duration;
    /// use weftwork_actor::{Actor, Context, Handler, InitError, Options, start};
    ///
    /// struct Me(weftwork_csp::Sender<&'static str>);
    ///
    /// impl Actor for Me {
    ///     type Args = weftwork_csp::Sender<&'static str>;
    ///     fn init(told: Self::Args, ctx: &mut Context<Self>) -> Result<Self, InitError> {
    ///         ctx.send_every(Duration::from_millis(1), "tick");
    ///         Ok(Me(told))
    ///     }
    /// }
    ///
    /// impl Handler<&'static str> for Me {
    ///     type Reply = ();
    ///     fn handle(&mut self, text: &'static str, _: &mut Context<Self>) {
    ///         self.0.send(text).unwrap();
    ///     }
    /// }
    ///
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// let (sender, told) = weftwork_csp::unbounded();
    /// let me = start::<Me>(rt.handle(), sender, Options::new())?;
    /// for _ in 0..3 {
    ///     assert_eq!(told.recv()?, "tick");
    /// }
    /// # me.kill();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    /// The period is zero.
    pub fn send_every<M, K>(&mut self, period: Duration, message: M) -> TimerRef
    where
        A: Accepts<M, K>,
        M: Clone + Send + 'static,
        K: 'static,
    {
        self.add_series::<M, K>(period, None, message)
    }

    /// As [`send_every`](Self::send_every), named as in [`send_after_keyed`](Self::send_after_keyed).
    ///
    /// ```
    /// use std::time::Duration;
    /// use weftwork_actor::{Actor, Context, Handler, InitError, Options, start};
    ///
    /// struct Me(weftwork_csp::Sender<&'static str>);
    ///
    /// impl Actor for Me {
    ///     type Args = weftwork_csp::Sender<&'static str>;
    ///     fn init(told: Self::Args, ctx: &mut Context<Self>) -> Result<Self, InitError> {
    ///         ctx.send_every_keyed("clock", Duration::from_millis(1), "tick");
    ///         assert!(ctx.cancel_keyed(&"clock"));
    ///         ctx.send_every_keyed("clock", Duration::from_millis(1), "tock");
    ///         Ok(Me(told))
    ///     }
    /// }
    ///
    /// impl Handler<&'static str> for Me {
    ///     type Reply = ();
    ///     fn handle(&mut self, text: &'static str, _: &mut Context<Self>) {
    ///         self.0.send(text).unwrap();
    ///     }
    /// }
    ///
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// let (sender, told) = weftwork_csp::unbounded();
    /// let me = start::<Me>(rt.handle(), sender, Options::new())?;
    /// assert_eq!(told.recv()?, "tock");
    /// # me.kill();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    /// The period is zero.
    pub fn send_every_keyed<M, K, N>(&mut self, key: N, period: Duration, message: M) -> TimerRef
    where
        A: Accepts<M, K>,
        M: Clone + Send + 'static,
        K: 'static,
        N: Debug + 'static,
    {
        self.add_series::<M, K>(period, Some(name(&key)), message)
    }

    fn add_series<M, K>(&mut self, period: Duration, key: Option<Key>, message: M) -> TimerRef
    where
        A: Accepts<M, K>,
        M: Clone + Send + 'static,
        K: 'static,
    {
        assert!(!period.is_zero(), "a timer that never rests");
        let number = number::next();
        let tick: Tick = Box::new(move |number| timed::<A, M, K>(number, message.clone()));
        let due = self.cell().clock().deadline_after(period);
        self.own()
            .more()
            .timers
            .add(number, due, Some(period), key, tick);
        TimerRef(number)
    }

    fn add_timer<B, M, K>(
        &mut self,
        delay: Duration,
        key: Option<Key>,
        mut message: impl FnMut() -> M + Send + 'static,
    ) -> TimerRef
    where
        B: Accepts<M, K>,
        M: Send + 'static,
        K: 'static,
    {
        let number = number::next();
        let tick: Tick = Box::new(move |number| timed::<B, M, K>(number, message()));
        let due = self.cell().clock().deadline_after(delay);
        self.own().more().timers.add(number, due, None, key, tick);
        TimerRef(number)
    }

    /// Ends a timer; a message of it that lies in the mailbox is not handled any more. False: it had ended,
    /// or its message has been handled.
    ///
    /// ```
    /// use std::time::Duration;
    /// use weftwork_actor::{Actor, Context, Handler, InitError, Options, start};
    ///
    /// struct Me(weftwork_csp::Sender<&'static str>);
    ///
    /// impl Actor for Me {
    ///     type Args = weftwork_csp::Sender<&'static str>;
    ///     fn init(told: Self::Args, ctx: &mut Context<Self>) -> Result<Self, InitError> {
    ///         let timer = ctx.send_after(Duration::ZERO, "never");
    ///         // It is due, but not handled.
    ///         assert!(ctx.cancel(timer));
    ///         assert!(!ctx.cancel(timer));
    ///         ctx.send_self("only this");
    ///         Ok(Me(told))
    ///     }
    /// }
    ///
    /// impl Handler<&'static str> for Me {
    ///     type Reply = ();
    ///     fn handle(&mut self, text: &'static str, _: &mut Context<Self>) {
    ///         self.0.send(text).unwrap();
    ///     }
    /// }
    ///
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// let (sender, told) = weftwork_csp::unbounded();
    /// let me = start::<Me>(rt.handle(), sender, Options::new())?;
    /// assert_eq!(told.recv()?, "only this");
    /// # me.kill();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cancel(&mut self, timer: TimerRef) -> bool {
        self.own().more().timers.cancel(timer.0)
    }

    /// Ends the timer under `key`, as [`cancel`](Self::cancel).
    pub fn cancel_keyed<N: Debug + 'static>(&mut self, key: &N) -> bool {
        let timers = &mut self.own().more().timers;
        match timers.by_key(&name(key)) {
            Some(number) => timers.cancel(number),
            None => false,
        }
    }

    /// Puts a message aside until [`unstash_all`](Self::unstash_all). It does not count against the mailbox.
    ///
    /// ```
    /// use weftwork_actor::{Actor, Context, Handler, InitError, Options, start};
    ///
    /// /// Takes no numbers before it is opened.
    /// #[derive(Default)]
    /// struct Me {
    ///     is_open: bool,
    ///     taken: Vec<u32>,
    /// }
    ///
    /// struct Open;
    ///
    /// impl Actor for Me {
    ///     type Args = ();
    ///     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> {
    ///         Ok(Me::default())
    ///     }
    /// }
    ///
    /// impl Handler<u32> for Me {
    ///     type Reply = ();
    ///     fn handle(&mut self, n: u32, ctx: &mut Context<Self>) {
    ///         if self.is_open {
    ///             self.taken.push(n);
    ///         } else {
    ///             ctx.stash(n);
    ///         }
    ///     }
    /// }
    ///
    /// impl Handler<Open> for Me {
    ///     type Reply = usize;
    ///     fn handle(&mut self, _: Open, ctx: &mut Context<Self>) -> usize {
    ///         self.is_open = true;
    ///         ctx.unstash_all();
    ///         self.taken.len()
    ///     }
    /// }
    ///
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// let me = start::<Me>(rt.handle(), (), Options::new())?;
    /// me.tell(1)?;
    /// me.tell(2)?;
    /// assert_eq!(me.ask(Open).unwrap(), 0);
    /// assert_eq!(me.ask(Open).unwrap(), 2);
    /// # me.kill();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stash<M, K>(&mut self, message: M)
    where
        A: Accepts<M, K>,
        M: Send + 'static,
        K: 'static,
    {
        let letter = accept::letter::<A, M, K>(message, Back::none());
        self.own().more().stash.push_back(letter);
    }

    /// As [`stash`](Self::stash), for a message that was asked.
    pub fn stash_asked<M, K>(&mut self, message: M, reply: ReplyTo<A::Reply>)
    where
        A: Accepts<M, K>,
        M: Send + 'static,
        K: 'static,
    {
        let letter = accept::letter::<A, M, K>(message, Back::of(reply));
        self.own().more().stash.push_back(letter);
    }

    /// Puts the messages that were put aside back, in order, before all that is queued.
    pub fn unstash_all(&mut self) {
        let more = self.own().more();
        let mut stash = std::mem::take(&mut more.stash);
        let next = std::mem::take(&mut more.next);
        // Behind what this handler wants handled next.
        stash.prepend(next);
        self.own().more().next = stash;
    }
}

fn name<N: Debug + 'static>(key: &N) -> Key {
    (TypeId::of::<N>(), format!("{key:?}").into())
}

fn once<M>(message: M) -> impl FnMut() -> M {
    let mut message = Some(message);
    move || message.take().expect("a timer without period fires once")
}

/// The letter of a timer: its message, in a letter of its own, and the timer's number.
struct Timed {
    number: u64,
    letter: Letter,
}

fn timed<A, M, K>(number: u64, message: M) -> Letter
where
    A: Accepts<M, K>,
    M: Send + 'static,
    K: 'static,
{
    static CLASSES: [Class; 4] = [
        class(Priority::Low),
        class(Priority::Normal),
        class(Priority::High),
        class(Priority::Urgent),
    ];
    const fn class(priority: Priority) -> Class {
        Class {
            kind: Kind::Message(priority),
            name: None,
            deliver,
            discard: Letter::discard::<Timed>,
        }
    }
    let letter = accept::letter::<A, M, K>(message, Back::none());
    Letter::new(&CLASSES[A::RANK as usize], Timed { number, letter })
}

/// # Safety
/// As for `accept::deliver`; the letter is one of `timed`.
unsafe fn deliver(letter: Letter, cell: &crate::cell::CellRef) -> Delivery {
    // SAFETY: letters of this class hold this.
    let timed = unsafe { letter.open::<Timed>() };
    // SAFETY: the caller is the owner and holds no reference to its part.
    let is_live = unsafe { cell.owned() }.more().timers.take_up(timed.number);
    if !is_live {
        return Delivery::Done;
    }
    let deliver = timed.letter.class().deliver;
    // SAFETY: the same contract; the letter inside was made for the same actor.
    unsafe { deliver(timed.letter, cell) }
}
