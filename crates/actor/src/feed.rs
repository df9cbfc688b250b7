//! Events that are put in order under somebody's lock, and handed over outside of it.
//!
//! Whoever changes a table puts the event into the feeds of those who follow it while the table is locked,
//! so each feed has the order of the changes; afterwards, with the table unlocked, it lets the feeds flow.
//! One thread at a time lets a feed flow, and takes along what others have put in meanwhile, so that the
//! order is kept to the end. Handing over may run code of the user's: a waker.

use crate::recipient::Recipient;
use std::collections::VecDeque;
use weftwork_core::sync::Mutex;

/// Where events go.
pub(crate) enum Sink<E: Send + 'static> {
    /// Into a channel without bound.
    Channel(weftwork_csp::Sender<E>),
    /// Into an actor's mailbox, however full it is.
    Actor(Recipient<E>),
}

pub(crate) struct Feed<E: Send + 'static> {
    queue: Mutex<Queue<E>>,
    sink: Sink<E>,
}

struct Queue<E> {
    waiting: VecDeque<E>,
    /// Somebody lets it flow.
    flows: bool,
    /// Nobody takes anything any more.
    is_closed: bool,
}

impl<E: Send + 'static> Feed<E> {
    pub(crate) fn new(sink: Sink<E>) -> Self {
        Feed {
            queue: Mutex::new(Queue {
                waiting: VecDeque::new(),
                flows: false,
                is_closed: false,
            }),
            sink,
        }
    }

    /// Puts an event in. May be called under a lock. False: nobody takes anything any more.
    pub(crate) fn put(&self, event: E) -> bool {
        let mut queue = self.queue.lock();
        if queue.is_closed {
            drop(queue);
            return false;
        }
        queue.waiting.push_back(event);
        true
    }

    /// Hands over what was put in. Not called under a lock.
    pub(crate) fn flow(&self) {
        if std::mem::replace(&mut self.queue.lock().flows, true) {
            // Whoever does looks once more before he stops.
            return;
        }
        // A waker that panics must not dam the feed up.
        let _stop = Stop(self);
        loop {
            let event = {
                let mut queue = self.queue.lock();
                match queue.waiting.pop_front() {
                    Some(event) => event,
                    None => {
                        queue.flows = false;
                        return;
                    }
                }
            };
            let was_taken = match &self.sink {
                Sink::Channel(sender) => sender.try_send(event).is_ok(),
                Sink::Actor(recipient) => recipient.push_anyway(event).is_ok(),
            };
            if !was_taken {
                let mut queue = self.queue.lock();
                queue.is_closed = true;
                queue.flows = false;
                let rest = std::mem::take(&mut queue.waiting);
                drop(queue);
                drop(rest);
                return;
            }
        }
    }
}

/// Unwinding from a flow.
struct Stop<'a, E: Send + 'static>(&'a Feed<E>);

impl<E: Send + 'static> Drop for Stop<'_, E> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.queue.lock().flows = false;
        }
    }
}
