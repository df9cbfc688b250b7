//! Members in a row of places, and the ways to choose one.
//!
//! The row is replaced as a whole when it changes; who chooses takes the row that is there and lets go of
//! the lock. A member that has ended is passed over; its place stays, so that keys keep their members.

use crate::accept::Accepts;
use crate::actor::Actor;
use crate::addr::Addr;
use crate::error::SendError;
use std::error::Error;
use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash};
use std::sync::Arc;
use weftwork_core::sync::Mutex;
use weftwork_core::sync::atomic::{AtomicUsize, Ordering};

/// Chooses among the members of a row. Clones share the row and the turn.
///
/// What is chosen was alive a moment before. A message that comes back because it is not any more may be
/// sent to another choice: see [`tell`](Self::tell).
///
/// ```
/// # use weftwork_actor::{Actor, Context, Handler, InitError, Options, start};
/// # struct Echo;
/// # impl Actor for Echo {
/// #     type Args = ();
/// #     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> { Ok(Echo) }
/// # }
/// # impl Handler<u32> for Echo {
/// #     type Reply = u32;
/// #     fn handle(&mut self, n: u32, _: &mut Context<Self>) -> u32 { n }
/// # }
/// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
/// use weftwork_actor::router::Router;
///
/// let [a, b] = [(); 2].map(|()| start::<Echo>(rt.handle(), (), Options::new()).unwrap());
/// let router = Router::new([a.clone(), b.clone()]);
/// assert_eq!(router.members().len(), 2);
///
/// // The dead are passed over.
/// let end = a.pid().watch();
/// a.kill();
/// end.wait_down();
/// assert_eq!(router.next()?, b);
/// assert_eq!(router.next()?, b);
/// # b.kill();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Router<A>(Arc<Row<A>>);

struct Row<A> {
    places: Mutex<Arc<[Addr<A>]>>,
    turn: AtomicUsize,
}

/// There is no member that is alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoMember(());

impl fmt::Display for NoMember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no member is alive")
    }
}

impl Error for NoMember {}

impl<A: Actor> Router<A> {
    /// Makes a router for these members.
    ///
    /// ```
    /// # use weftwork_actor::{Actor, Context, Handler, InitError, Options, start};
    /// # struct Worker;
    /// # impl Actor for Worker {
    /// #     type Args = ();
    /// #     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> { Ok(Worker) }
    /// # }
    /// # impl Handler<&'static str> for Worker {
    /// #     type Reply = ();
    /// #     fn handle(&mut self, _: &'static str, _: &mut Context<Self>) {}
    /// # }
    /// use weftwork_actor::router::Router;
    ///
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// let a = start::<Worker>(rt.handle(), (), Options::new())?;
    /// let b = start::<Worker>(rt.handle(), (), Options::new())?;
    /// let router = Router::new([a.clone(), b.clone()]);
    /// assert_eq!(router.next()?, a);
    /// assert_eq!(router.next()?, b);
    /// assert_eq!(router.next()?, a);
    /// assert_eq!(router.broadcast("hello"), 2);
    /// # a.kill(); b.kill();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(members: impl IntoIterator<Item = Addr<A>>) -> Self {
        Router(Arc::new(Row {
            places: Mutex::new(members.into_iter().collect()),
            turn: AtomicUsize::new(0),
        }))
    }

    /// Puts other members in the place of these.
    ///
    /// ```
    /// # use weftwork_actor::{Actor, Context, Handler, InitError, Options, start};
    /// # struct Echo;
    /// # impl Actor for Echo {
    /// #     type Args = ();
    /// #     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> { Ok(Echo) }
    /// # }
    /// # impl Handler<u32> for Echo {
    /// #     type Reply = u32;
    /// #     fn handle(&mut self, n: u32, _: &mut Context<Self>) -> u32 { n }
    /// # }
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// use weftwork_actor::router::Router;
    ///
    /// let [a, b] = [(); 2].map(|()| start::<Echo>(rt.handle(), (), Options::new()).unwrap());
    /// let router = Router::new([a.clone()]);
    /// router.set([b.clone()]);
    /// assert_eq!(router.next()?, b);
    /// # a.kill(); b.kill();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set(&self, members: impl IntoIterator<Item = Addr<A>>) {
        let members = members.into_iter().collect();
        let before = std::mem::replace(&mut *self.0.places.lock(), members);
        drop(before);
    }

    /// The members, those that have ended too.
    #[must_use]
    pub fn members(&self) -> Arc<[Addr<A>]> {
        Arc::clone(&self.0.places.lock())
    }

    /// Chooses the next one in turn.
    ///
    /// ```
    /// # use weftwork_actor::{Actor, Context, Handler, InitError, Options, start};
    /// # struct Echo;
    /// # impl Actor for Echo {
    /// #     type Args = ();
    /// #     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> { Ok(Echo) }
    /// # }
    /// # impl Handler<u32> for Echo {
    /// #     type Reply = u32;
    /// #     fn handle(&mut self, n: u32, _: &mut Context<Self>) -> u32 { n }
    /// # }
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// use weftwork_actor::router::Router;
    ///
    /// let [a, b] = [(); 2].map(|()| start::<Echo>(rt.handle(), (), Options::new()).unwrap());
    /// let router = Router::new([a.clone(), b.clone()]);
    /// assert_eq!([router.next()?, router.next()?, router.next()?], [a.clone(), b.clone(), a.clone()]);
    /// # a.kill(); b.kill();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// None is alive.
    #[allow(
        clippy::should_implement_trait,
        reason = "the turn has no end, and may fail"
    )]
    pub fn next(&self) -> Result<Addr<A>, NoMember> {
        let members = self.members();
        // Relaxed: only the number counts.
        let turn = self.0.turn.fetch_add(1, Ordering::Relaxed);
        from(&members, turn).next().cloned().ok_or(NoMember(()))
    }

    /// Chooses by a key: the same key gets the same place as long as there are as many places. While its
    /// member is dead, another one is chosen.
    ///
    /// ```
    /// # use weftwork_actor::{Actor, Context, Handler, InitError, Options, start};
    /// # struct Echo;
    /// # impl Actor for Echo {
    /// #     type Args = ();
    /// #     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> { Ok(Echo) }
    /// # }
    /// # impl Handler<u32> for Echo {
    /// #     type Reply = u32;
    /// #     fn handle(&mut self, n: u32, _: &mut Context<Self>) -> u32 { n }
    /// # }
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// use weftwork_actor::router::Router;
    ///
    /// let [a, b] = [(); 2].map(|()| start::<Echo>(rt.handle(), (), Options::new()).unwrap());
    /// let router = Router::new([a.clone(), b.clone()]);
    /// assert_eq!(router.by_key("carol")?, router.by_key("carol")?);
    /// # a.kill(); b.kill();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// None is alive.
    pub fn by_key<K: Hash + ?Sized>(&self, key: &K) -> Result<Addr<A>, NoMember> {
        let members = self.members();
        // A fixed hash: the same in each router of the same program.
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(key);
        from(&members, hash as usize)
            .next()
            .cloned()
            .ok_or(NoMember(()))
    }

    /// Chooses the one with the fewest messages in its mailbox, in turn among equals. It looks at all.
    ///
    /// ```
    /// # use weftwork_actor::{Actor, Context, Handler, InitError, Options, start};
    /// # struct Echo;
    /// # impl Actor for Echo {
    /// #     type Args = ();
    /// #     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> { Ok(Echo) }
    /// # }
    /// # impl Handler<u32> for Echo {
    /// #     type Reply = u32;
    /// #     fn handle(&mut self, n: u32, _: &mut Context<Self>) -> u32 { n }
    /// # }
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// use std::time::Duration;
    /// use weftwork_actor::introspect;
    /// use weftwork_actor::router::Router;
    ///
    /// let [a, b] = [(); 2].map(|()| start::<Echo>(rt.handle(), (), Options::new()).unwrap());
    /// let router = Router::new([a.clone(), b.clone()]);
    /// // It takes no messages for now.
    /// introspect::suspend(&a.pid(), Duration::from_secs(1))?;
    /// a.tell(1)?;
    /// assert_eq!(router.least_loaded()?, b);
    /// # a.kill(); b.kill();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// None is alive.
    pub fn least_loaded(&self) -> Result<Addr<A>, NoMember> {
        let members = self.members();
        // Relaxed: only the number counts.
        let turn = self.0.turn.fetch_add(1, Ordering::Relaxed);
        let least = from(&members, turn).min_by_key(|addr| addr.pid().mailbox_len());
        least.cloned().ok_or(NoMember(()))
    }

    /// Tells the next one in turn. If that one has ended when the message comes, or its mailbox is full and
    /// does not wait, the one after it gets the message, and so on once around. May wait for room, as
    /// [`Addr::tell`].
    ///
    /// ```
    /// # use weftwork_actor::{Actor, Context, Handler, InitError, Options, start};
    /// # struct Echo;
    /// # impl Actor for Echo {
    /// #     type Args = ();
    /// #     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> { Ok(Echo) }
    /// # }
    /// # impl Handler<u32> for Echo {
    /// #     type Reply = u32;
    /// #     fn handle(&mut self, n: u32, _: &mut Context<Self>) -> u32 { n }
    /// # }
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// use std::time::Duration;
    /// use weftwork_actor::router::Router;
    /// use weftwork_actor::{Mailbox, OnFull, introspect};
    ///
    /// let options = Options::new().mailbox(Mailbox::with(1, OnFull::Fail));
    /// let [a, b] = [(); 2].map(|()| start::<Echo>(rt.handle(), (), options.clone()).unwrap());
    /// for addr in [&a, &b] {
    ///     introspect::suspend(&addr.pid(), Duration::from_secs(1))?;
    /// }
    /// let router = Router::new([a.clone(), b.clone()]);
    /// a.tell(0)?;
    /// // One is full: the other one takes it. Then both are.
    /// router.tell(1)?;
    /// assert_eq!(router.tell(2).unwrap_err().into_inner(), 2);
    /// # a.kill(); b.kill();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Nobody took the message. Here it is.
    #[track_caller]
    pub fn tell<M, K>(&self, message: M) -> Result<(), Unrouted<M>>
    where
        A: Accepts<M, K>,
        M: Send + 'static,
        K: 'static,
    {
        let members = self.members();
        // Relaxed: only the number counts.
        let turn = self.0.turn.fetch_add(1, Ordering::Relaxed);
        let mut unsent = message;
        for member in from(&members, turn) {
            match member.tell(unsent) {
                Ok(()) => return Ok(()),
                Err(error) => unsent = SendError::into_inner(error),
            }
        }
        Err(Unrouted(unsent))
    }

    /// Tells all, without waiting, and returns how many took the message. It is cloned for each.
    ///
    /// ```
    /// # use weftwork_actor::{Actor, Context, Handler, InitError, Options, start};
    /// # struct Echo;
    /// # impl Actor for Echo {
    /// #     type Args = ();
    /// #     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> { Ok(Echo) }
    /// # }
    /// # impl Handler<u32> for Echo {
    /// #     type Reply = u32;
    /// #     fn handle(&mut self, n: u32, _: &mut Context<Self>) -> u32 { n }
    /// # }
    /// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
    /// use weftwork_actor::router::Router;
    ///
    /// let [a, b] = [(); 2].map(|()| start::<Echo>(rt.handle(), (), Options::new()).unwrap());
    /// let router = Router::new([a.clone(), b.clone()]);
    /// assert_eq!(router.broadcast(7), 2);
    /// # a.kill(); b.kill();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn broadcast<M, K>(&self, message: M) -> usize
    where
        A: Accepts<M, K>,
        M: Clone + Send + 'static,
        K: 'static,
    {
        let members = self.members();
        let took = |member: &&Addr<A>| member.try_tell(message.clone()).is_ok();
        members.iter().filter(took).count()
    }
}

/// A message that no member took. Here it is.
#[derive(Clone, PartialEq, Eq)]
pub struct Unrouted<M>(M);

impl<M> Unrouted<M> {
    /// Takes the message back.
    pub fn into_inner(self) -> M {
        self.0
    }
}

impl<M> fmt::Debug for Unrouted<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unrouted(..)")
    }
}

impl<M> fmt::Display for Unrouted<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no member took the message")
    }
}

impl<M> Error for Unrouted<M> {}

/// The living members, from a place on, once around.
fn from<A: Actor>(members: &[Addr<A>], place: usize) -> impl Iterator<Item = &Addr<A>> {
    let start = place.checked_rem(members.len()).unwrap_or(0);
    let (before, behind) = members.split_at(start);
    behind.iter().chain(before).filter(|addr| addr.is_alive())
}

impl<A> Clone for Router<A> {
    fn clone(&self) -> Self {
        Router(Arc::clone(&self.0))
    }
}

impl<A> fmt::Debug for Router<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let members = Arc::clone(&self.0.places.lock());
        f.debug_tuple("Router").field(&members).finish()
    }
}
