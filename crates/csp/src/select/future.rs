//! A select as a future.

use super::handle::Handle;
use super::machine::{Machine, Step};
use super::operation::SelectedOperation;
use super::order::shuffle;
use crate::clock::SleepUntil;
use crate::error::SelectTimeoutError;
use crate::lock;
use crate::waiting::Node;
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

/// Polls a machine, and the clock beside it. `Some(None)`: the time is over.
///
/// # Safety
/// As [`Machine::step`].
unsafe fn poll_machine<'a, N: AsRef<[Node]>>(
    machine: &mut Machine<N>,
    handles: &[Handle<'a>],
    sleep: &mut Option<SleepUntil>,
    deadline: Option<Instant>,
    context: &mut Context<'_>,
) -> Poll<Result<SelectedOperation<'a>, SelectTimeoutError>> {
    loop {
        // SAFETY: says the caller.
        let mut selected = match unsafe { machine.step(handles, context) } {
            Poll::Ready(Step::Selected(arm, token)) => Some((arm, token)),
            Poll::Ready(Step::Matched) | Poll::Pending => None,
        };
        let mut over = false;
        if selected.is_none() {
            let dues = handles.iter().filter_map(|(handle, _)| handle.due());
            let Some(until) = dues.chain(deadline).min() else {
                return Poll::Pending;
            };
            if sleep.as_ref().and_then(SleepUntil::deadline) != Some(until) {
                *sleep = Some(SleepUntil::new(Some(until)));
            }
            let slept = sleep.as_mut().expect("just made");
            if Pin::new(slept).poll(context).is_pending() {
                return Poll::Pending;
            }
            *sleep = None;
            selected = machine.leave(handles);
            over = deadline.is_some_and(|deadline| deadline <= Instant::now());
        }
        if let Some((arm, token)) = selected {
            let (handle, index) = handles[arm];
            let packet = machine.take_packet();
            return Poll::Ready(Ok(SelectedOperation::new(index, handle, token, packet)));
        }
        if over {
            return Poll::Ready(Err(SelectTimeoutError));
        }
    }
}

/// A select of a macro: its list of arms is made anew at each poll, by `fill`.
pub struct SelectAsync<'a, const N: usize, F: Fn(&mut [Handle<'a>; N]) -> usize> {
    fill: F,
    deadline: Option<Instant>,
    sleep: Option<SleepUntil>,
    machine: Machine<[Node; N]>,
    /// Which arm of the list comes first, second and so on.
    order: [usize; N],
    arms: PhantomData<fn() -> &'a ()>,
}

/// Waits, as a future, until an arm is chosen; at most until `deadline`.
///
/// `fill` lists the arms that are enabled and returns their number: the same at each call.
pub fn select_async<'a, const N: usize, F>(
    fill: F,
    deadline: Option<Instant>,
    biased: bool,
) -> SelectAsync<'a, N, F>
where
    F: Fn(&mut [Handle<'a>; N]) -> usize,
{
    let mut order = std::array::from_fn(|arm| arm);
    if !biased {
        shuffle(&mut order);
    }
    SelectAsync {
        fill,
        deadline,
        sleep: None,
        machine: Machine::new([const { Node::new() }; N], true),
        order,
        arms: PhantomData,
    }
}

impl<'a, const N: usize, F: Fn(&mut [Handle<'a>; N]) -> usize> SelectAsync<'a, N, F> {
    /// Lists the arms in the order of this select.
    fn list(&self) -> ([Handle<'a>; N], usize) {
        let nobody = (super::handle::never_handle(), 0);
        let mut listed = [nobody; N];
        let len = (self.fill)(&mut listed);
        let mut ordered = [nobody; N];
        let in_order = self.order.iter().filter(|arm| **arm < len);
        for (place, arm) in ordered.iter_mut().zip(in_order) {
            *place = listed[*arm];
        }
        (ordered, len)
    }
}

impl<'a, const N: usize, F: Fn(&mut [Handle<'a>; N]) -> usize> Future for SelectAsync<'a, N, F> {
    type Output = Result<SelectedOperation<'a>, SelectTimeoutError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let (handles, len) = self.list();
        // SAFETY: nothing is moved out of it.
        let this = unsafe { self.get_unchecked_mut() };
        // SAFETY: pinned with `self`; the drop cleans up, before the arms go, which outlive 'a; the list
        // is the same each time.
        unsafe {
            poll_machine(
                &mut this.machine,
                &handles[..len],
                &mut this.sleep,
                this.deadline,
                context,
            )
        }
    }
}

impl<'a, const N: usize, F: Fn(&mut [Handle<'a>; N]) -> usize> Drop for SelectAsync<'a, N, F> {
    fn drop(&mut self) {
        if !self.machine.is_looking() && !lock::is_gone() {
            let (handles, len) = self.list();
            self.machine.clean_up(&handles[..len]);
        }
    }
}

impl<'a, const N: usize, F: Fn(&mut [Handle<'a>; N]) -> usize> fmt::Debug
    for SelectAsync<'a, N, F>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("SelectAsync { .. }")
    }
}

/// Waits for an arm of a [`Select`](crate::Select), as a future. Dropped before it is ready, it has
/// done nothing.
#[must_use = "a future does nothing unless it is awaited"]
pub struct SelectFuture<'s, 'a> {
    handles: &'s [Handle<'a>],
    sleep: Option<SleepUntil>,
    machine: Machine<Box<[Node]>>,
}

impl<'s, 'a> SelectFuture<'s, 'a> {
    pub(crate) fn new(handles: &'s [Handle<'a>]) -> Self {
        let nodes = handles.iter().map(|_| Node::new()).collect();
        SelectFuture {
            handles,
            sleep: None,
            machine: Machine::new(nodes, true),
        }
    }
}

impl<'a> Future for SelectFuture<'_, 'a> {
    type Output = SelectedOperation<'a>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: nothing is moved out of it.
        let this = unsafe { self.get_unchecked_mut() };
        // SAFETY: pinned with `self`; the drop cleans up, before the arms go; the list stays.
        let polled = unsafe {
            poll_machine(
                &mut this.machine,
                this.handles,
                &mut this.sleep,
                None,
                context,
            )
        };
        polled.map(|selected| selected.expect("a select without deadline timed out"))
    }
}

impl Drop for SelectFuture<'_, '_> {
    fn drop(&mut self) {
        if !lock::is_gone() {
            self.machine.clean_up(self.handles);
        }
    }
}

impl fmt::Debug for SelectFuture<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("SelectFuture { .. }")
    }
}
