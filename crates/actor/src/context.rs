//! What an actor can do: the argument of its handlers.

use crate::accept::{self, Accepts};
use crate::actor::{Actor, MonitorRef};
use crate::addr::Addr;
use crate::cell::{CellRef, Header};
use crate::error::{LinkError, StartError};
use crate::executor::System;
use crate::links::Linked;
use crate::mailbox::Priority;
use crate::mailbox::limit::Load;
use crate::number;
use crate::options::Options;
use crate::owned::{Owned, new_monitor_ref};
use crate::pid::Pid;
use crate::reason::Reason;
use crate::reply::{Back, ReplyTo};
use crate::signal::{Cause, Observer, Signal};
use crate::start;
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

/// An actor's view of itself, in its handlers.
///
/// No method waits, but for those that start actors.
pub struct Context<A: Actor> {
    /// Borrowed: the poll that made the context holds the reference.
    cell: ManuallyDrop<CellRef>,
    actor: PhantomData<fn(A)>,
}

impl<A: Actor> Context<A> {
    /// # Safety
    /// The caller is the owner of the cell, which is an `A`'s and outlives the context. While there is the
    /// context, the owner reaches its part of the cell only through short borrows, as the methods do.
    pub(crate) unsafe fn new(header: NonNull<Header>) -> Self {
        Context {
            // SAFETY: not dropped, so not counted; alive, says the caller.
            cell: ManuallyDrop::new(unsafe { CellRef::from_raw(header) }),
            actor: PhantomData,
        }
    }

    pub(crate) fn own(&mut self) -> &mut Owned {
        // SAFETY: a context is in its owner's hand (see `new`), and is borrowed for as long as this.
        unsafe { self.cell.owned() }
    }

    pub(crate) fn cell(&self) -> &CellRef {
        &self.cell
    }

    /// The actor's own address.
    #[must_use]
    pub fn addr(&self) -> Addr<A> {
        Addr::of((*self.cell).clone())
    }

    /// Who it is.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.cell.pid()
    }

    /// The name that it was started with.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.cell.name.as_deref()
    }

    /// Who started it, if that was an actor.
    #[must_use]
    pub fn parent(&mut self) -> Option<Pid> {
        self.own().parent.as_ref().map(CellRef::pid)
    }

    /// The executor that it runs on.
    #[must_use]
    pub fn system(&self) -> System {
        System(std::sync::Arc::clone(&self.cell.engine))
    }

    /// Ends the actor when this handler returns: the answer is given first, then `terminate` is called.
    /// The first reason counts.
    ///
    /// ```
    /// use weftwork_actor::{Actor, Context, Handler, InitError, Options, Reason, start};
    ///
    /// struct Me;
    ///
    /// impl Actor for Me {
    ///     type Args = ();
    ///     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> {
    ///         Ok(Me)
    ///     }
    /// }
    ///
    /// impl Handler<u32> for Me {
    ///     type Reply = u32;
    ///     fn handle(&mut self, n: u32, ctx: &mut Context<Self>) -> u32 {
    ///         ctx.stop(Reason::Normal);
    ///         n
    ///     }
    /// }
    ///
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// let me = start::<Me>(rt.handle(), (), Options::new())?;
    /// let end = me.pid().watch();
    /// // The answer comes first.
    /// assert_eq!(me.ask(7), Ok(7));
    /// assert_eq!(end.wait_down(), Reason::Normal);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stop(&mut self, reason: Reason) {
        // SAFETY: as in `own`.
        unsafe { self.cell.owned() }.stop(&self.cell, reason);
    }

    /// Whether exit signals come to [`on_exit`](Actor::on_exit) instead of ending the actor. Returns what
    /// was before.
    ///
    /// ```
    /// use weftwork_actor::{Actor, Context, Exit, InitError, Options, Reason, start};
    ///
    /// struct Me(weftwork_csp::Sender<Reason>);
    ///
    /// impl Actor for Me {
    ///     type Args = weftwork_csp::Sender<Reason>;
    ///     fn init(tell: Self::Args, ctx: &mut Context<Self>) -> Result<Self, InitError> {
    ///         ctx.trap_exit(true);
    ///         Ok(Me(tell))
    ///     }
    ///     fn on_exit(&mut self, exit: Exit, _: &mut Context<Self>) {
    ///         self.0.send(exit.reason).unwrap();
    ///     }
    /// }
    ///
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// let (tell, told) = weftwork_csp::unbounded();
    /// let me = start::<Me>(rt.handle(), tell, Options::new())?;
    /// me.pid().exit(Reason::other("go away"));
    /// assert_eq!(told.recv()?, Reason::other("go away"));
    /// assert!(me.is_alive());
    /// # me.kill();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn trap_exit(&mut self, traps: bool) -> bool {
        std::mem::replace(&mut self.own().traps_exit, traps)
    }

    /// Links the two actors: when one ends, the other gets an exit signal. Linking twice is linking once.
    /// A link to itself does nothing.
    ///
    /// If the other has ended, an actor that traps exits hears of an exit with [`Reason::NoProc`].
    ///
    /// ```
    /// use weftwork_actor::{Actor, Context, Handler, InitError, LinkError, Options, Pid, Reason, start};
    ///
    /// struct Me;
    ///
    /// impl Actor for Me {
    ///     type Args = ();
    ///     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> {
    ///         Ok(Me)
    ///     }
    /// }
    ///
    /// impl Handler<Pid> for Me {
    ///     type Reply = Result<(), LinkError>;
    ///     fn handle(&mut self, other: Pid, ctx: &mut Context<Self>) -> Result<(), LinkError> {
    ///         ctx.link(&other)
    ///     }
    /// }
    ///
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// let [a, b] = [(); 2].map(|()| start::<Me>(rt.handle(), (), Options::new()).unwrap());
    /// a.ask(b.pid()).unwrap().unwrap();
    /// let end = a.pid().watch();
    /// b.stop(Reason::other("broken"));
    /// assert_eq!(end.wait_down(), Reason::other("broken"));
    ///
    /// // A link to the dead.
    /// let c = start::<Me>(rt.handle(), (), Options::new())?;
    /// assert!(c.ask(b.pid()).unwrap().is_err());
    /// # c.kill();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The other has ended, and this actor does not trap exits.
    pub fn link(&mut self, pid: &Pid) -> Result<(), LinkError> {
        let Some(peer) = pid.cell() else {
            return self.link_failed(pid);
        };
        if *peer == *self.cell {
            return Ok(());
        }
        if self.own().more().links.link(peer) == Linked::Already {
            return Ok(());
        }
        let from = (*self.cell).clone();
        if peer.send(Signal::Link { from }) {
            return Ok(());
        }
        self.own().more().links.forget(peer.number);
        self.link_failed(pid)
    }

    fn link_failed(&mut self, pid: &Pid) -> Result<(), LinkError> {
        if !self.own().traps_exit {
            return Err(LinkError(pid.clone()));
        }
        let exit = Signal::Exit {
            from: pid.clone(),
            reason: Reason::NoProc,
            cause: Cause::Link,
        };
        self.queue_own(exit);
        Ok(())
    }

    /// Puts a signal among the messages, as if it had arrived just now.
    fn queue_own(&mut self, signal: Signal) {
        crate::run::take_inbox(&self.cell);
        self.cell
            .shelf(|shelf| shelf.lanes.push(Priority::Normal, signal.into_letter()));
    }

    /// Takes the link away, at both ends. Afterwards no exit of it arrives, not even one that was on its
    /// way or in the mailbox.
    ///
    /// ```
    /// use weftwork_actor::{Actor, Context, InitError, Options, Reason, start};
    ///
    /// struct Child;
    ///
    /// impl Actor for Child {
    ///     type Args = ();
    ///     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> {
    ///         Ok(Child)
    ///     }
    /// }
    ///
    /// struct Parent;
    ///
    /// impl Actor for Parent {
    ///     type Args = ();
    ///     fn init(_: (), ctx: &mut Context<Self>) -> Result<Self, InitError> {
    ///         let child = ctx.spawn_link::<Child>((), Options::new()).map_err(InitError::failed)?;
    ///         ctx.unlink(&child.pid());
    ///         // It ends alone.
    ///         child.stop(Reason::other("broken"));
    ///         assert!(ctx.links().is_empty());
    ///         Ok(Parent)
    ///     }
    /// }
    ///
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// let parent = start::<Parent>(rt.handle(), (), Options::new())?;
    /// # parent.kill();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unlink(&mut self, pid: &Pid) {
        let Some(peer) = pid.cell() else { return };
        let id = number::next();
        if self.own().more().links.unlink(peer.number, id) {
            let from = (*self.cell).clone();
            if !peer.send(Signal::Unlink { from, id }) {
                self.own().more().links.forget(peer.number);
            }
        }
        let of_link = |signal: &Signal| matches!(signal, Signal::Exit { from, cause: Cause::Link, .. } if from == pid);
        let exits = self.cell.shelf(|shelf| {
            (shelf.lanes.lane(Priority::Normal))
                .extract(|letter| Signal::of(letter).is_some_and(of_link))
        });
        drop(exits);
    }

    /// Asks to be told, once, when an actor has ended: see [`on_down`](Actor::on_down). Monitors stack.
    ///
    /// If it has ended already, the answer comes at once, with [`Reason::NoProc`].
    ///
    /// ```
    /// use weftwork_actor::{Actor, Addr, Context, Down, Handler, InitError, Options, Reason, start};
    ///
    /// struct Me {
    ///     told: weftwork_csp::Sender<Down>,
    /// }
    ///
    /// impl Actor for Me {
    ///     type Args = weftwork_csp::Sender<Down>;
    ///     fn init(told: Self::Args, _: &mut Context<Self>) -> Result<Self, InitError> {
    ///         Ok(Me { told })
    ///     }
    ///     fn on_down(&mut self, down: Down, _: &mut Context<Self>) {
    ///         self.told.send(down).unwrap();
    ///     }
    /// }
    ///
    /// impl Handler<Addr<Me>> for Me {
    ///     type Reply = ();
    ///     fn handle(&mut self, other: Addr<Me>, ctx: &mut Context<Self>) {
    ///         ctx.monitor(&other.pid());
    ///     }
    /// }
    ///
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// let (sender, told) = weftwork_csp::unbounded();
    /// let [a, b] = [(); 2].map(|()| start::<Me>(rt.handle(), sender.clone(), Options::new()).unwrap());
    /// a.ask(b.clone()).unwrap();
    /// b.stop(Reason::Shutdown);
    /// let down = told.recv()?;
    /// assert_eq!((down.pid, down.reason), (b.pid(), Reason::Shutdown));
    ///
    /// // Of one that has ended.
    /// a.ask(b).unwrap();
    /// assert_eq!(told.recv()?.reason, Reason::NoProc);
    /// # a.kill();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn monitor(&mut self, pid: &Pid) -> MonitorRef {
        let reference = new_monitor_ref();
        let number = reference.0.get();
        let watcher = Observer::Actor((*self.cell).clone());
        let target = pid.cell();
        let own = (*self.cell).clone();
        self.own()
            .more()
            .monitors
            .insert(number, target.cloned().unwrap_or(own));
        let is_there = target.is_some_and(|target| {
            target.send(Signal::Monitor {
                reference: number,
                watcher,
            })
        });
        if !is_there {
            self.queue_own(Signal::Down {
                reference: number,
                pid: pid.clone(),
                reason: Reason::NoProc,
            });
        }
        reference
    }

    /// Takes a monitor away. Afterwards nothing of it arrives, not even what was in the mailbox (OTP's
    /// `demonitor` with `flush`). False: it had been answered.
    pub fn demonitor(&mut self, monitor: MonitorRef) -> bool {
        let reference = monitor.0.get();
        match self.own().more().monitors.remove(reference) {
            Some(target) => {
                target.send(Signal::Demonitor { reference });
                true
            }
            None => false,
        }
    }

    /// Whom the actor is linked to, in no order.
    #[must_use]
    pub fn links(&mut self) -> Vec<Pid> {
        let more = self.own().more.as_ref();
        more.map_or_else(Vec::new, |more| {
            more.links.peers().map(CellRef::pid).collect()
        })
    }

    /// Whom the actor monitors, in no order, once per monitor.
    #[must_use]
    pub fn monitored(&mut self) -> Vec<Pid> {
        let more = self.own().more.as_ref();
        more.map_or_else(Vec::new, |more| {
            more.monitors.targets().map(CellRef::pid).collect()
        })
    }

    /// Sends an exit signal from this actor: see [`Pid::exit`].
    pub fn exit(&self, pid: &Pid, reason: Reason) {
        pid.exit_from(self.pid(), reason);
    }

    /// Sends the actor a message from itself, behind those that have arrived. It gets in however full the
    /// mailbox is: an actor cannot wait for itself.
    ///
    /// ```
    /// use weftwork_actor::{Actor, Context, Handler, InitError, Options, start};
    ///
    /// struct Me;
    ///
    /// impl Actor for Me {
    ///     type Args = ();
    ///     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> {
    ///         Ok(Me)
    ///     }
    /// }
    ///
    /// /// Counts down, and lets others have a turn in between.
    /// impl Handler<u32> for Me {
    ///     type Reply = ();
    ///     fn handle(&mut self, n: u32, ctx: &mut Context<Self>) {
    ///         match n.checked_sub(1) {
    ///             Some(less) => ctx.send_self(less),
    ///             None => ctx.stop(weftwork_actor::Reason::Normal),
    ///         }
    ///     }
    /// }
    ///
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// let me = start::<Me>(rt.handle(), (), Options::new())?;
    /// let end = me.pid().watch();
    /// me.tell(100)?;
    /// assert_eq!(end.wait_down(), weftwork_actor::Reason::Normal);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_self<M, K>(&self, message: M)
    where
        A: Accepts<M, K>,
        M: Send + 'static,
        K: 'static,
    {
        self.cell.room.admit(Load::ONE);
        let letter = accept::letter::<A, M, K>(message, Back::none());
        // It is not closed: the actor lives as long as its handlers run.
        drop(self.cell.push_message(letter));
    }

    /// Handles `message` right after this handler, or after `init`, before anything queued (OTP's
    /// `continue`). Several are handled in order.
    ///
    /// ```
    /// use weftwork_actor::{Actor, Context, Handler, InitError, Options, start};
    ///
    /// struct Me(Vec<u32>);
    ///
    /// impl Actor for Me {
    ///     type Args = ();
    ///     fn init(_: (), ctx: &mut Context<Self>) -> Result<Self, InitError> {
    ///         ctx.send_self(3);
    ///         ctx.continue_with(1);
    ///         ctx.continue_with(2);
    ///         Ok(Me(Vec::new()))
    ///     }
    /// }
    ///
    /// impl Handler<u32> for Me {
    ///     type Reply = Vec<u32>;
    ///     fn handle(&mut self, n: u32, _: &mut Context<Self>) -> Vec<u32> {
    ///         self.0.push(n);
    ///         self.0.clone()
    ///     }
    /// }
    ///
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// let me = start::<Me>(rt.handle(), (), Options::new())?;
    /// assert_eq!(me.ask(4).unwrap(), [1, 2, 3, 4]);
    /// # me.kill();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn continue_with<M, K>(&mut self, message: M)
    where
        A: Accepts<M, K>,
        M: Send + 'static,
        K: 'static,
    {
        let letter = accept::letter::<A, M, K>(message, Back::none());
        self.own().more().next.push_back(letter);
    }

    /// Lets another actor answer: `message` goes to it, and its answer to whoever waits for `reply`.
    ///
    /// A message that does not get in (the other has ended, or is full) is dropped, and the asker told that
    /// there is no answer.
    pub fn forward<B, M, K>(&self, to: &Addr<B>, message: M, reply: ReplyTo<B::Reply>)
    where
        B: Accepts<M, K>,
        M: Send + 'static,
        K: 'static,
    {
        to.forward(message, reply);
    }

    /// Starts an actor on the same executor, and waits until its `init` has returned.
    ///
    /// # Errors
    /// There is no actor: see [`StartError`].
    #[track_caller]
    pub fn spawn<B: Actor>(
        &mut self,
        args: B::Args,
        options: Options,
    ) -> Result<Addr<B>, StartError> {
        start::child::<B>(&self.cell, args, options)
    }

    /// As [`spawn`](Self::spawn), with a link, which is there before `init` runs. This actor becomes the
    /// parent of the new one: see [`on_exit`](Actor::on_exit).
    ///
    /// ```
    /// use weftwork_actor::{Actor, Addr, Context, Handler, InitError, Options, Reason, start};
    ///
    /// struct Helper;
    ///
    /// impl Actor for Helper {
    ///     type Args = ();
    ///     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> {
    ///         Ok(Helper)
    ///     }
    /// }
    ///
    /// struct Me;
    ///
    /// impl Actor for Me {
    ///     type Args = ();
    ///     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> {
    ///         Ok(Me)
    ///     }
    /// }
    ///
    /// impl Handler<()> for Me {
    ///     type Reply = Addr<Helper>;
    ///     fn handle(&mut self, _: (), ctx: &mut Context<Self>) -> Addr<Helper> {
    ///         ctx.spawn_link::<Helper>((), Options::new()).unwrap()
    ///     }
    /// }
    ///
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// let me = start::<Me>(rt.handle(), (), Options::new())?;
    /// let helper = me.ask(()).unwrap();
    /// let end = helper.pid().watch();
    /// me.stop(Reason::other("broken"));
    /// // It goes along.
    /// assert_eq!(end.wait_down(), Reason::other("broken"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// There is no actor, and no exit of it arrives.
    #[track_caller]
    pub fn spawn_link<B: Actor>(
        &mut self,
        args: B::Args,
        options: Options,
    ) -> Result<Addr<B>, StartError> {
        start::child::<B>(&self.cell, args, options.linked())
    }

    /// As [`spawn`](Self::spawn), with a monitor.
    ///
    /// ```
    /// use weftwork_actor::{Actor, Addr, Context, Down, Handler, InitError, Options, Reason, start};
    ///
    /// struct Helper;
    ///
    /// impl Actor for Helper {
    ///     type Args = ();
    ///     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> {
    ///         Ok(Helper)
    ///     }
    /// }
    ///
    /// struct Me(weftwork_csp::Sender<Reason>);
    ///
    /// impl Actor for Me {
    ///     type Args = weftwork_csp::Sender<Reason>;
    ///     fn init(told: Self::Args, _: &mut Context<Self>) -> Result<Self, InitError> {
    ///         Ok(Me(told))
    ///     }
    ///     fn on_down(&mut self, down: Down, _: &mut Context<Self>) {
    ///         self.0.send(down.reason).unwrap();
    ///     }
    /// }
    ///
    /// impl Handler<()> for Me {
    ///     type Reply = Addr<Helper>;
    ///     fn handle(&mut self, _: (), ctx: &mut Context<Self>) -> Addr<Helper> {
    ///         ctx.spawn_monitor::<Helper>((), Options::new()).unwrap().0
    ///     }
    /// }
    ///
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// let (sender, told) = weftwork_csp::unbounded();
    /// let me = start::<Me>(rt.handle(), sender, Options::new())?;
    /// me.ask(()).unwrap().kill();
    /// assert_eq!(told.recv()?, Reason::Killed);
    /// assert!(me.is_alive());
    /// # me.kill();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// There is no actor, and nothing of it arrives.
    #[track_caller]
    pub fn spawn_monitor<B: Actor>(
        &mut self,
        args: B::Args,
        options: Options,
    ) -> Result<(Addr<B>, MonitorRef), StartError> {
        let addr = start::child::<B>(&self.cell, args, options)?;
        let monitor = self.monitor(&addr.pid());
        Ok((addr, monitor))
    }
}

impl<A: Actor> fmt::Debug for Context<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("pid", &self.cell.pid())
            .finish_non_exhaustive()
    }
}
