//! Pairing at capacity 0: selects that send, and receivers.
//!
//! A select that sends has no value before its arm is chosen: it is evaluated then. So it is paired
//! with its receiver in two steps. When the arm is chosen the receiver is set aside, in `Matched`,
//! where no other sender finds it; when the value is there it is handed over. A selection that never
//! comes to that (its handle was forgotten) blocks nobody for ever: a receiver may leave `Matched`, and
//! a blocked sender takes it from there after a grace period. The selection, if it comes after all,
//! then leaves its value in the buffer, which is one above capacity for once.

use super::state::State;
use crate::waiting::signal::Outcome;
use crate::waiting::{List, Packet, Pair, Role, Signal, Wakes, claim_pair};

impl<T> State<T> {
    /// Chooses the arm of a blocked select that sends, for a receiver that has no word yet. True: the
    /// caller is to go to `Matched`.
    pub(crate) fn match_select_that_sends(&mut self, wakes: &mut Wakes) -> bool {
        let mut cursor = self.queues.first(List::Senders);
        while let Some(node) = cursor {
            cursor = self.queues.after(node);
            if node.role() != Role::SelectSend {
                continue;
            }
            self.queues.remove(node);
            // SAFETY: unlinked just now, under the lock.
            if let Some(claim) = unsafe { node.signal() }.try_claim() {
                wakes.add(claim.finish(Outcome::done(node.arm())));
                return true;
            }
        }
        false
    }

    /// As [`match_select_that_sends`](Self::match_select_that_sends), for a receiving select whose
    /// word others may claim: both are, or neither. `None`: the select was chosen for another arm.
    pub(crate) fn match_selects(
        &mut self,
        me: &Signal,
        arm: usize,
        wakes: &mut Wakes,
    ) -> Option<bool> {
        let mut cursor = self.queues.first(List::Senders);
        while let Some(node) = cursor {
            cursor = self.queues.after(node);
            if node.role() != Role::SelectSend || std::ptr::eq(node.signal_address(), me) {
                continue;
            }
            // SAFETY: linked, under the lock.
            match claim_pair(me, unsafe { node.signal() }) {
                Pair::Both(mine, theirs) => {
                    self.queues.remove(node);
                    wakes.add(theirs.finish(Outcome::done(node.arm())));
                    mine.finish_own(Outcome::matched(arm));
                    return Some(true);
                }
                Pair::FirstGone => return None,
                Pair::SecondGone => {
                    self.queues.remove(node);
                }
            }
        }
        Some(false)
    }

    /// Sets a receiver aside for a select that is to send to it. `me` is the word of the select, if
    /// others may claim it: it is claimed, too, and then withdrawn. `None`: the select was chosen for
    /// another arm. `Some(false)`: there is no receiver.
    pub(crate) fn set_receiver_aside(
        &mut self,
        me: Option<&Signal>,
        wakes: &mut Wakes,
    ) -> Option<bool> {
        let own = me.map_or(std::ptr::null(), std::ptr::from_ref);
        for list in [List::Receivers, List::ReceiveWatchers] {
            let mut cursor = self.queues.first(list);
            while let Some(node) = cursor {
                cursor = self.queues.after(node);
                if node.role() == Role::Observe || std::ptr::eq(node.signal_address(), own) {
                    continue;
                }
                // SAFETY: linked, under the lock.
                let signal = unsafe { node.signal() };
                if node.role() == Role::SelectReceive {
                    let pair = match me {
                        Some(me) => match claim_pair(me, signal) {
                            Pair::Both(mine, theirs) => Some((Some(mine), theirs)),
                            Pair::FirstGone => return None,
                            Pair::SecondGone => None,
                        },
                        None => signal.try_claim().map(|theirs| (None, theirs)),
                    };
                    self.queues.remove(node);
                    let Some((mine, theirs)) = pair else { continue };
                    // SAFETY: pinned, just unlinked, prepared; its owner unlinks it as before.
                    unsafe { self.queues.push_back(List::Matched, node) };
                    // Woken, too: it waits for the value for a limited time.
                    wakes.add(theirs.finish(Outcome::matched(node.arm())));
                    if let Some(mine) = mine {
                        mine.withdraw();
                    }
                    return Some(true);
                }
                if node.role() == Role::SelectReceiveFuture {
                    // It may have another arm's outcome, which it has not looked at yet.
                    let Some(claim) = signal.try_claim() else {
                        self.queues.remove(node);
                        continue;
                    };
                    claim.abandon();
                }
                if let Some(me) = me {
                    me.try_claim()?.withdraw();
                }
                self.queues.remove(node);
                // SAFETY: as above.
                unsafe { self.queues.push_back(List::Matched, node) };
                if node.role() != Role::SelectReceiveFuture {
                    // SAFETY: it waits here only, and we hold the lock.
                    unsafe { signal.promise() };
                }
                return Some(true);
            }
        }
        Some(false)
    }

    /// Hands a value to a receiver that was set aside.
    pub(crate) fn hand_to_matched(&mut self, value: T, wakes: &mut Wakes) -> Result<(), T> {
        while let Some(node) = self.queues.pop_front(List::Matched) {
            match node.role() {
                Role::SelectReceive => {
                    // SAFETY: the packet of a select that is matched, and empty; the node was unlinked
                    // just now, under the lock, from that queue.
                    unsafe {
                        (*node.place().cast::<Packet>()).put(value);
                        wakes.add(node.settle(Outcome::done(node.arm())));
                    }
                    return Ok(());
                }
                Role::SelectReceiveFuture => {
                    // SAFETY: unlinked just now, under the lock.
                    if let Some(claim) = unsafe { node.signal() }.try_claim() {
                        // SAFETY: the packet of a select that is claimed, and empty while it waits.
                        unsafe { (*node.place().cast::<Packet>()).put(value) };
                        wakes.add(claim.finish(Outcome::done(node.arm())));
                        return Ok(());
                    }
                }
                _ => {
                    // SAFETY: unlinked just now, under the lock; a `Receive` or `ReceiveFuture`.
                    wakes.add(unsafe { self.write_and_settle(node, value) });
                    return Ok(());
                }
            }
        }
        Err(value)
    }

    /// Puts a receiver that was set aside back in line: the selection does not send.
    pub(crate) fn release_matched(&mut self, wakes: &mut Wakes) {
        let Some(node) = self.queues.pop_front(List::Matched) else {
            return; // It has left, or somebody who needed it has taken it.
        };
        match node.role() {
            Role::SelectReceiveFuture => {
                // SAFETY: unlinked just now, under the lock.
                if let Some(claim) = unsafe { node.signal() }.try_claim() {
                    wakes.add(claim.finish(Outcome::fired(node.arm())));
                }
            }
            // It looks again, and queues again.
            // SAFETY: unlinked just now, under the lock, from that queue.
            _ => wakes.add(unsafe { node.settle(Outcome::fired(node.arm())) }),
        }
    }
}
