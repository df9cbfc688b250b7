//! Who waits for whose answer, so that a circle is found before anybody waits in it.
//!
//! An actor that waits for an answer inside a handler takes no other message meanwhile, so a circle of such
//! waits would last until they time out. Each cell says whose answer its actor waits for. An ask first writes
//! that, then follows the trail; the locks of the cells order the two, so of two asks that would close a
//! circle between them at least one finds it. An actor that has passed the answer on (see `DeferredHandler`)
//! is not waited for any more, and the trail is cut there.

use crate::cell::CellRef;
use crate::current;
use crate::error::Cycle;

/// How far a trail is followed.
const LIMIT: usize = 256;

/// Says, while it lives, that an actor waits for the answer of another.
pub(crate) struct Waits(Option<CellRef>);

impl Waits {
    /// The calling actor, if there is one, is about to wait for `target`'s answer.
    ///
    /// # Errors
    /// Nobody in the circle could go on.
    pub(crate) fn for_answer_of(target: &CellRef) -> Result<Waits, Cycle> {
        let Some(me) = current::cell() else {
            return Ok(Waits(None));
        };
        {
            let mut asks = me.asks.lock();
            if asks.is_some() {
                // One of several questions at a time, in an asynchronous handler: not followed.
                return Ok(Waits(None));
            }
            *asks = Some(target.clone());
        }
        let waits = Waits(Some(me.clone()));
        // Most targets wait for nobody.
        let is_end = *target != me && target.asks.lock().is_none();
        if is_end {
            return Ok(waits);
        }
        let mut trail = vec![me.pid()];
        let mut at = target.clone();
        while at != me {
            trail.push(at.pid());
            if trail.len() > LIMIT {
                return Ok(waits);
            }
            let next = at.asks.lock().clone();
            match next {
                Some(next) => at = next,
                None => return Ok(waits),
            }
        }
        drop(waits);
        Err(Cycle(trail))
    }

    /// Who waits, if it is an actor.
    pub(crate) fn asker(&self) -> Option<CellRef> {
        self.0.clone()
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        if let Some(me) = &self.0 {
            let target = me.asks.lock().take();
            drop(target);
        }
    }
}

/// `by`, which `asker` has asked, passes the answer on.
pub(crate) fn passed_on(asker: &CellRef, by: &CellRef) {
    let mut asks = asker.asks.lock();
    let target = asks.take_if(|target| target == by);
    drop(asks);
    drop(target);
}
