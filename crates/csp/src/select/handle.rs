//! What an arm of a select can do: the side of the protocol that knows the channel.

use crate::channel::Channel;
use crate::channel::state::{Found, State, UNBOUNDED};
use crate::reason::CloseReason;
use crate::receiver::Flavor;
use crate::waiting::{List, Node, Packet, Role, Signal, Wakes};
use crate::{Receiver, Sender, never};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Instant;

/// An arm and its number.
pub type Handle<'a> = (&'a dyn SelectHandle, usize);

/// What a selection has in hand until it is completed.
#[derive(Debug)]
pub enum Token {
    /// The message is in the packet.
    Received,
    /// The channel is disconnected, or closed.
    Disconnected,
    /// There is room, of which a permit was taken.
    Permit,
    /// There is a receiver, which was set aside.
    Promised,
    /// There is no limit.
    Free,
    /// The output is in the event's arm.
    Event,
    /// The channel has ended.
    Closed(Option<CloseReason>),
}

/// What came of an arm that a select wanted to wait at.
#[derive(Debug)]
pub enum Enlisted {
    /// It waits there now.
    Waits,
    /// It did not have to. The select is withdrawn: nobody else can choose for it any more.
    Done(Token),
    /// It has a partner, who will hand a value over.
    Matched,
    /// Another arm was chosen before.
    Chosen,
}

/// The select, as its arms see it.
#[derive(Debug, Clone, Copy)]
pub struct Me<'a> {
    pub(crate) signal: &'a Signal,
    pub(crate) packet: *mut Packet,
    pub(crate) is_future: bool,
}

/// An arm of a select. Sealed: its methods speak of types that are not public.
pub trait SelectHandle {
    /// Does the operation if that needs no wait. With a message it fills the packet.
    #[doc(hidden)]
    fn attempt(&self, packet: &mut Packet, context: Option<&mut Context<'_>>) -> Option<Token>;

    /// As `attempt`, of a select that others may choose for; else leaves the node.
    #[doc(hidden)]
    fn enlist(&self, me: Me<'_>, node: Pin<&Node>, arm: usize) -> Enlisted;

    /// Leaves a node that is told of the next change. False: it is ready.
    #[doc(hidden)]
    fn observe(&self, signal: &Signal, node: Pin<&Node>, arm: usize) -> bool;

    /// Takes the node back. True: it was still there.
    #[doc(hidden)]
    fn delist(&self, node: &Node) -> bool;

    /// Says whether the arm would not have to wait.
    #[doc(hidden)]
    fn is_ready(&self) -> bool;

    /// The token for an arm that another party has done.
    #[doc(hidden)]
    fn done(&self) -> Token {
        Token::Received
    }

    /// Leaves a waker with a matched receiver. False: it is not matched any more.
    #[doc(hidden)]
    fn keep_matched(&self, _node: &Node, _signal: &Signal, _waker: &Waker) -> bool {
        false
    }

    /// Gives back what a selection has in hand and will not use.
    #[doc(hidden)]
    fn release(&self, token: Token, packet: &mut Packet);

    /// The select was told of this arm, and goes without looking: the next in line is told.
    #[doc(hidden)]
    fn pass_on(&self) {}

    /// When the arm gets ready by the clock alone.
    #[doc(hidden)]
    fn due(&self) -> Option<Instant> {
        None
    }

    /// Whether it is an event, which must be polled to learn of it.
    #[doc(hidden)]
    fn is_event(&self) -> bool {
        false
    }

    /// Tells apart what a selection may be completed with: clones of a handle are alike.
    #[doc(hidden)]
    fn address(&self) -> *const ();
}

/// An arm that is never ready.
pub fn never_handle() -> &'static dyn SelectHandle {
    struct Never(Receiver<()>);
    static NEVER: std::sync::OnceLock<Never> = std::sync::OnceLock::new();
    &NEVER.get_or_init(|| Never(never())).0
}

fn receive<T>(channel: &Channel<T>, packet: &mut Packet) -> Option<Token> {
    let mut wakes = Wakes::new();
    let found = channel.lock().take(&mut wakes);
    wakes.wake();
    match found {
        Found::Value(value) => {
            packet.put(value);
            Some(Token::Received)
        }
        Found::Ended => Some(Token::Disconnected),
        Found::Empty => None,
    }
}

impl<T> SelectHandle for Receiver<T> {
    fn attempt(&self, packet: &mut Packet, _: Option<&mut Context<'_>>) -> Option<Token> {
        match self.flavor() {
            Flavor::Channel(channel) => receive(channel, packet),
            Flavor::Clock(clock) => {
                packet.put(clock.try_take()?);
                Some(Token::Received)
            }
            Flavor::Never => None,
        }
    }

    fn enlist(&self, me: Me<'_>, node: Pin<&Node>, arm: usize) -> Enlisted {
        let Some(channel) = self.channel() else {
            return Enlisted::Waits;
        };
        let node = node.get_ref();
        let mut wakes = Wakes::new();
        let mut state = channel.lock();
        let enlisted = enlist_receiver(&mut state, me, node, arm, &mut wakes);
        drop(state);
        wakes.wake();
        enlisted
    }

    fn observe(&self, signal: &Signal, node: Pin<&Node>, arm: usize) -> bool {
        let Some(channel) = self.channel() else {
            return !self.is_ready();
        };
        let mut state = channel.lock();
        if receiver_is_ready(&state) {
            return false;
        }
        node.prepare(Role::Observe, arm, signal, std::ptr::null_mut());
        // SAFETY: pinned, not linked, prepared; delisted before the select ends.
        unsafe {
            state
                .queues
                .push_front(List::ReceiveWatchers, node.get_ref());
        }
        true
    }

    fn delist(&self, node: &Node) -> bool {
        self.channel()
            .is_some_and(|channel| channel.lock().queues.remove(node))
    }

    fn is_ready(&self) -> bool {
        match self.flavor() {
            Flavor::Channel(channel) => receiver_is_ready(&channel.lock()),
            Flavor::Clock(clock) => clock.is_due(),
            Flavor::Never => false,
        }
    }

    fn keep_matched(&self, node: &Node, signal: &Signal, waker: &Waker) -> bool {
        let Some(channel) = self.channel() else {
            return false;
        };
        let waker = waker.clone();
        let state = channel.lock();
        if node.list() != Some(List::Matched) {
            drop(state);
            return false;
        }
        // SAFETY: the owner, under the lock, and the node is linked.
        let before = unsafe { signal.leave_waker(waker) };
        drop(state);
        drop(before);
        true
    }

    fn release(&self, token: Token, packet: &mut Packet) {
        if let (Token::Received, Some(channel)) = (token, self.channel())
            // SAFETY: filled by this handle, or by a sender of the same channel.
            && let Some(value) = unsafe { packet.take::<T>() }
        {
            channel.give_back(value);
        }
    }

    fn pass_on(&self) {
        if let Some(channel) = self.channel() {
            let mut wakes = Wakes::new();
            channel.lock().offer_again(&mut wakes);
            wakes.wake();
        }
    }

    fn due(&self) -> Option<Instant> {
        match self.flavor() {
            Flavor::Clock(clock) => clock.due(),
            Flavor::Channel(_) | Flavor::Never => None,
        }
    }

    fn address(&self) -> *const () {
        match self.flavor() {
            Flavor::Channel(channel) => Arc::as_ptr(channel).cast(),
            Flavor::Clock(clock) => Arc::as_ptr(clock).cast(),
            Flavor::Never => std::ptr::null(),
        }
    }
}

fn receiver_is_ready<T>(state: &State<T>) -> bool {
    !state.buffer.is_empty()
        || state.has_sender()
        || (!state.queues.is_empty(List::Senders) && state.is_rendezvous())
        || state.is_exhausted()
}

fn enlist_receiver<T>(
    state: &mut State<T>,
    me: Me<'_>,
    node: &Node,
    arm: usize,
    wakes: &mut Wakes,
) -> Enlisted {
    if !state.buffer.is_empty() || state.has_sender() || state.is_exhausted() {
        let Some(claim) = me.signal.try_claim() else {
            return Enlisted::Chosen;
        };
        claim.withdraw();
        return match state.take(wakes) {
            Found::Value(value) => {
                // SAFETY: withdrawn, so the packet is ours; it is empty while the select waits.
                unsafe { (*me.packet).put(value) };
                Enlisted::Done(Token::Received)
            }
            Found::Ended => Enlisted::Done(Token::Disconnected),
            Found::Empty => unreachable!("seen under this hold of the lock"),
        };
    }
    let role = if me.is_future {
        Role::SelectReceiveFuture
    } else {
        Role::SelectReceive
    };
    node.prepare(role, arm, me.signal, me.packet.cast());
    if state.is_rendezvous() {
        if me.is_future {
            state.notify_selects_that_send(me.signal, wakes);
        } else {
            match state.match_selects(me.signal, arm, wakes) {
                None => return Enlisted::Chosen,
                Some(true) => {
                    // SAFETY: pinned, not linked, prepared; delisted before the select ends.
                    unsafe { state.queues.push_back(List::Matched, node) };
                    return Enlisted::Matched;
                }
                Some(false) => state.notify_others(List::SendWatchers, me.signal, wakes),
            }
        }
    }
    let list = if me.is_future {
        List::ReceiveWatchers
    } else {
        List::Receivers
    };
    // SAFETY: as above.
    unsafe { state.queues.push_back(list, node) };
    Enlisted::Waits
}

/// Takes what a send needs, if it is there. `Err`: the select was chosen for another arm.
fn reserve<T>(
    state: &mut State<T>,
    me: Option<&Signal>,
    wakes: &mut Wakes,
) -> Result<Option<Token>, ()> {
    let claim = |token| match me.map(Signal::try_claim) {
        Some(None) => Err(()),
        Some(Some(claim)) => {
            claim.withdraw();
            Ok(Some(token))
        }
        None => Ok(Some(token)),
    };
    if state.refuses() {
        return claim(Token::Disconnected);
    }
    if state.is_rendezvous() {
        let set_aside = state.set_receiver_aside(me, wakes).ok_or(())?;
        return Ok(set_aside.then_some(Token::Promised));
    }
    if state.capacity == UNBOUNDED {
        return claim(Token::Free);
    }
    if state.has_room() {
        let token = claim(Token::Permit)?;
        state.permits += 1;
        state.selections += 1;
        return Ok(token);
    }
    Ok(None)
}

impl<T> SelectHandle for Sender<T> {
    fn attempt(&self, _: &mut Packet, _: Option<&mut Context<'_>>) -> Option<Token> {
        let mut wakes = Wakes::new();
        let token = reserve(&mut self.channel().lock(), None, &mut wakes);
        wakes.wake();
        token.expect("nobody chooses for a select that does not wait")
    }

    fn enlist(&self, me: Me<'_>, node: Pin<&Node>, arm: usize) -> Enlisted {
        let mut wakes = Wakes::new();
        let mut state = self.channel().lock();
        let enlisted = match reserve(&mut state, Some(me.signal), &mut wakes) {
            Err(()) => Enlisted::Chosen,
            Ok(Some(token)) => Enlisted::Done(token),
            Ok(None) => {
                let (role, list) = if me.is_future {
                    (Role::SelectSendFuture, List::SendWatchers)
                } else {
                    (Role::SelectSend, List::Senders)
                };
                node.prepare(role, arm, me.signal, std::ptr::null_mut());
                // SAFETY: pinned, not linked, prepared; delisted before the select ends.
                unsafe { state.queues.push_back(list, node.get_ref()) };
                if state.is_rendezvous() {
                    // Observers hear of it, and futures that receive.
                    state.notify_others(List::ReceiveWatchers, me.signal, &mut wakes);
                }
                Enlisted::Waits
            }
        };
        drop(state);
        wakes.wake();
        enlisted
    }

    fn observe(&self, signal: &Signal, node: Pin<&Node>, arm: usize) -> bool {
        let mut state = self.channel().lock();
        if sender_is_ready(&state) {
            return false;
        }
        node.prepare(Role::Observe, arm, signal, std::ptr::null_mut());
        // SAFETY: as above.
        unsafe { state.queues.push_front(List::SendWatchers, node.get_ref()) };
        true
    }

    fn delist(&self, node: &Node) -> bool {
        self.channel().lock().queues.remove(node)
    }

    fn is_ready(&self) -> bool {
        sender_is_ready(&self.channel().lock())
    }

    fn done(&self) -> Token {
        Token::Promised
    }

    fn release(&self, token: Token, _: &mut Packet) {
        let mut wakes = Wakes::new();
        match token {
            Token::Permit => self.channel().lock().give_back_permit(true, &mut wakes),
            Token::Promised => self.channel().lock().release_matched(&mut wakes),
            _ => {}
        }
        wakes.wake();
    }

    fn pass_on(&self) {
        let mut wakes = Wakes::new();
        self.channel().lock().want_again(&mut wakes);
        wakes.wake();
    }

    fn address(&self) -> *const () {
        // Not that of the receivers.
        Arc::as_ptr(self.channel())
            .cast::<u8>()
            .wrapping_add(1)
            .cast()
    }
}

fn sender_is_ready<T>(state: &State<T>) -> bool {
    state.has_room()
        || state.refuses()
        || (state.is_rendezvous()
            && (!state.queues.is_empty(List::Receivers) || state.has_receiving_future()))
}

impl<T> Channel<T> {
    /// Sends by what a selection has in hand. Never waits.
    pub(crate) fn send_selected(&self, token: Token, value: T) -> Result<(), T> {
        let mut wakes = Wakes::new();
        let mut state = self.lock();
        let mut back = None;
        if matches!(token, Token::Permit) && state.selections > 0 {
            state.selections -= 1;
            state.permits -= 1;
        }
        if state.refuses() {
            back = Some(value);
        } else if matches!(token, Token::Promised) {
            if let Err(value) = state.hand_to_matched(value, &mut wakes) {
                state.place_promised(value, &mut wakes);
            }
        } else {
            state.place_promised(value, &mut wakes);
        }
        drop(state);
        wakes.wake();
        back.map_or(Ok(()), Err)
    }
}
