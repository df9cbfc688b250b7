//! An event bus: whoever subscribes to a type of event is told of each that is published.
//!
//! A publisher waits for nobody. A subscriber whose mailbox is full misses the event, and its
//! [`Subscription`] counts that; one that has ended is forgotten. Events of one publisher reach each
//! subscriber in order.
//!
//! ```
//! use weftwork_actor::events::EventBus;
//! use weftwork_actor::{Actor, Context, Handler, InitError, Options, start};
//!
//! #[derive(Clone)]
//! struct Price(u64);
//!
//! struct Total;
//!
//! struct Ledger(u64);
//!
//! impl Actor for Ledger {
//!     type Args = EventBus;
//!     fn init(bus: EventBus, ctx: &mut Context<Self>) -> Result<Self, InitError> {
//!         bus.subscribe::<Price>(&ctx.addr().recipient());
//!         Ok(Ledger(0))
//!     }
//! }
//!
//! impl Handler<Price> for Ledger {
//!     type Reply = ();
//!     fn handle(&mut self, Price(n): Price, _: &mut Context<Self>) {
//!         self.0 += n;
//!     }
//! }
//!
//! impl Handler<Total> for Ledger {
//!     type Reply = u64;
//!     fn handle(&mut self, _: Total, _: &mut Context<Self>) -> u64 {
//!         self.0
//!     }
//! }
//!
//! # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
//! let bus = EventBus::new();
//! let ledger = start::<Ledger>(rt.handle(), bus.clone(), Options::new())?;
//! assert_eq!(bus.publish(Price(2)), 1);
//! assert_eq!(bus.publish(Price(3)), 1);
//! assert_eq!(bus.publish("nobody wants a text"), 0);
//! assert_eq!(ledger.ask(Total).unwrap(), 5);
//! # ledger.kill();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::ends;
use crate::number;
use crate::pid::Pid;
use crate::recipient::Recipient;
use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Weak};
use weftwork_core::sync::Mutex;
use weftwork_core::sync::atomic::{AtomicU64, Ordering};

/// Passes events on to those who have subscribed to their type. Clones share the subscribers.
#[derive(Clone)]
pub struct EventBus(Arc<Mutex<Topics>>);

/// A [`Topic`] per type of event.
type Topics = HashMap<TypeId, Arc<dyn Any + Send + Sync>>;

/// Who has subscribed to one type. Published from the row that is there; replaced as a whole.
struct Topic<E: Send + 'static>(Mutex<Arc<[Subscriber<E>]>>);

struct Subscriber<E: Send + 'static> {
    to: Recipient<E>,
    entry: Arc<Entry>,
}

struct Entry {
    number: u64,
    missed: AtomicU64,
}

impl EventBus {
    /// Makes a bus without subscribers.
    #[must_use]
    pub fn new() -> Self {
        EventBus(Arc::new(Mutex::new(HashMap::new())))
    }

    fn topic<E: Send + 'static>(&self) -> Arc<Topic<E>> {
        let topic = {
            let mut topics = self.0.lock();
            let topic = topics
                .entry(TypeId::of::<E>())
                .or_insert_with(|| Arc::new(Topic::<E>(Mutex::new(Arc::new([])))));
            Arc::clone(topic)
        };
        topic
            .downcast()
            .unwrap_or_else(|_| unreachable!("kept under its type"))
    }

    /// Tells an actor of every event of type `E` from now on, until it ends or the subscription is
    /// [cancelled](Subscription::cancel). One that subscribes twice is told twice.
    pub fn subscribe<E: Clone + Send + 'static>(&self, to: &Recipient<E>) -> Subscription {
        let entry = Arc::new(Entry {
            number: number::next(),
            missed: AtomicU64::new(0),
        });
        let topic = self.topic::<E>();
        topic.change(|row| {
            let newest = Subscriber {
                to: to.clone(),
                entry: Arc::clone(&entry),
            };
            row.iter().cloned().chain([newest]).collect()
        });
        let number = entry.number;
        let subscription = Subscription {
            pid: to.pid(),
            entry,
            cancel: Arc::new({
                let topic = Arc::downgrade(&topic);
                move || forget(&topic, number)
            }),
        };
        let topic = Arc::downgrade(&topic);
        if !ends::call_at_end(&to.pid(), number, move |_| forget(&topic, number)) {
            (subscription.cancel)();
        }
        subscription
    }

    /// Tells all subscribers to the type of `event`, each with a clone, and returns how many got it. Does
    /// not wait.
    pub fn publish<E: Clone + Send + 'static>(&self, event: E) -> usize {
        let row = Arc::clone(&self.topic::<E>().0.lock());
        let mut got = 0;
        for subscriber in row.iter() {
            match subscriber.to.try_tell(event.clone()) {
                Ok(()) => got += 1,
                // Its end takes it out of the row.
                Err(error) if error.is_dead() => {}
                Err(_) => {
                    // Relaxed: a count.
                    subscriber.entry.missed.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        got
    }

    /// How many have subscribed to events of type `E`.
    #[must_use]
    pub fn subscribers<E: Clone + Send + 'static>(&self) -> usize {
        let row = Arc::clone(&self.topic::<E>().0.lock());
        row.iter()
            .filter(|subscriber| subscriber.to.is_alive())
            .count()
    }
}

impl<E: Send + 'static> Topic<E> {
    fn change(&self, f: impl FnOnce(&[Subscriber<E>]) -> Arc<[Subscriber<E>]>) {
        let mut row = self.0.lock();
        let changed = f(&row);
        let before = std::mem::replace(&mut *row, changed);
        drop(row);
        drop(before);
    }
}

fn forget<E: Send + 'static>(topic: &Weak<Topic<E>>, number: u64) {
    if let Some(topic) = topic.upgrade() {
        let others = |one: &&Subscriber<E>| one.entry.number != number;
        topic.change(|row| row.iter().filter(others).cloned().collect());
    }
}

impl<E: Send + 'static> Clone for Subscriber<E> {
    fn clone(&self) -> Self {
        Subscriber {
            to: self.to.clone(),
            entry: Arc::clone(&self.entry),
        }
    }
}

/// What [`EventBus::subscribe`] has made. Dropping it changes nothing.
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
/// use weftwork_actor::events::EventBus;
/// use weftwork_actor::{Mailbox, introspect};
///
/// let options = Options::new().mailbox(Mailbox::bounded(1));
/// let echo = start::<Echo>(rt.handle(), (), options)?;
/// let bus = EventBus::new();
/// let subscription = bus.subscribe::<u32>(&echo.recipient());
/// introspect::suspend(&echo.pid(), Duration::from_secs(1))?;
/// assert_eq!(bus.publish(1_u32), 1);
/// // The mailbox is full.
/// assert_eq!(bus.publish(2_u32), 0);
/// assert_eq!(subscription.missed(), 1);
///
/// subscription.cancel();
/// assert_eq!(bus.subscribers::<u32>(), 0);
/// # echo.kill();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Subscription {
    pid: Pid,
    entry: Arc<Entry>,
    cancel: Arc<dyn Fn() + Send + Sync>,
}

impl Subscription {
    /// How many events the subscriber has missed because its mailbox was full.
    #[must_use]
    pub fn missed(&self) -> u64 {
        // Relaxed: a count.
        self.entry.missed.load(Ordering::Relaxed)
    }

    /// Ends the subscription. An event that is being published may still come.
    pub fn cancel(&self) {
        (self.cancel)();
        ends::call_off(&self.pid, self.entry.number);
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("Subscription");
        f.field("pid", &self.pid)
            .field("missed", &self.missed())
            .finish()
    }
}

impl Default for EventBus {
    fn default() -> Self {
        EventBus::new()
    }
}

impl fmt::Debug for EventBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventBus").finish_non_exhaustive()
    }
}
