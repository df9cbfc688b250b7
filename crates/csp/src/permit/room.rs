//! What permits do under the lock of their channel.

use crate::channel::Channel;
use crate::channel::state::RECEIVERS_GONE;
use crate::select::Token;
use crate::waiting::Wakes;
#[cfg(weftwork_canary)]
use weftwork_core::canary::{self, Step};

/// Why there is no permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    Full,
    Ended,
}

impl<T> Channel<T> {
    /// Takes room for one message, if there is some.
    pub(super) fn try_reserve(&self) -> Result<(), Refused> {
        let mut wakes = Wakes::new();
        let mut state = self.lock();
        let reserved = if state.refuses() {
            Err(Refused::Ended)
        } else if state.is_rendezvous() {
            match state.set_receiver_aside(None, &mut wakes) {
                Some(true) => Ok(()),
                _ => Err(Refused::Full),
            }
        } else if state.has_room() {
            Ok(())
        } else {
            Err(Refused::Full)
        };
        if reserved.is_ok() {
            state.permits += 1;
        }
        drop(state);
        wakes.wake();
        reserved
    }

    /// Turns what a selection has in hand into a permit. `Full`: a sender that waited behind it took it
    /// for abandoned, and has it.
    pub(super) fn keep(&self, token: &Token) -> Result<(), Refused> {
        let mut state = self.lock();
        let mut taken = false;
        if matches!(token, Token::Permit) {
            if state.selections > 0 {
                state.selections -= 1;
                state.permits -= 1;
            } else {
                taken = true;
            }
        }
        let refuses = state.refuses();
        // Canary: a permit that receivers have not waited for.
        #[cfg(weftwork_canary)]
        let refuses = refuses && !canary::is(Step::Of("permit: keep"));
        if refuses {
            // The end has told everybody, those in `Matched` included.
            return Err(Refused::Ended);
        }
        if taken {
            return Err(Refused::Full);
        }
        state.permits += 1;
        Ok(())
    }

    /// Sends by a permit, which is used up.
    pub(super) fn send_by_permit(&self, value: T) -> Result<(), T> {
        let mut wakes = Wakes::new();
        let mut state = self.lock();
        let mut back = None;
        if state.ends & RECEIVERS_GONE != 0 {
            back = Some(value);
        } else if let Err(value) = state.hand_to_matched(value, &mut wakes) {
            state.place_promised(value, &mut wakes);
        }
        state.give_back_permit(false, &mut wakes);
        drop(state);
        wakes.wake();
        back.map_or(Ok(()), Err)
    }

    /// Takes a permit back that was not used.
    pub(super) fn release_permit(&self) {
        let mut wakes = Wakes::new();
        let mut state = self.lock();
        // At capacity 0 only is anybody there.
        state.release_matched(&mut wakes);
        state.give_back_permit(false, &mut wakes);
        drop(state);
        wakes.wake();
    }
}
