//! The macros `select!`, `select_biased!`, `select_async!` and `select_async_biased!`.
//!
//! Each call goes through two stages, both in hidden macros:
//!
//! 1. [parse](self::parse) takes the tokens apart, arm by arm, and gives every arm a number and a
//!    variable; [error](self::error) says what is wrong with an arm that cannot be read.
//! 2. [expand](self::expand) turns the list of arms into one `match` on the arm that was chosen.
//!
//! What the expansion promises:
//!
//! 1. Each handle, event and guard is evaluated once, in the order in which they are written. Their
//!    temporaries live until the chosen body has ended; a guard's only until the guard is known.
//! 2. The message of a `send` is evaluated only if its arm is chosen, in the branch of its body: what
//!    it moves is moved in that branch alone.
//! 3. Events are dropped, the chosen one and the others, before a body starts.
//! 4. Bodies stand in the caller's own function: `?`, `break`, `return` and `.await` mean what they
//!    mean outside.
//! 5. Nothing is cloned or allocated, and no `unsafe` is expanded.
//! 6. A future made of `select_async!` is `Send` if its arms allow it: the list of handles is made
//!    anew for each poll, and nothing untyped is kept across an `.await`.

mod error;
mod expand;
mod parse;

/// Waits for one of several channel operations and events, and does the one that is ready first.
///
/// If several are ready, each is as likely to be chosen. An operation is ready if it would not wait,
/// so also if it would fail, because the channel is disconnected. The thread or green thread that
/// calls waits until an arm is ready; a task that is cancelled meanwhile unwinds from here, and then
/// no arm has happened. Inside a future use
/// [`select_async!`](crate::select_async!).
///
/// # Arms
///
/// ```text
/// recv(receiver) -> result => body         result: Result<T, RecvError>
/// send(sender, message) -> result => body  result: Result<(), SendError<T>>
/// event(event) -> output => body           output: the event's output
/// closed(handle) -> reason => body         reason: Option<CloseReason>
/// default => body                          nothing is ready now
/// default(timeout) => body                 nothing was ready for this Duration
/// deadline(instant) => body                nothing was ready until this Instant
/// ```
///
/// - `recv` and `send` take a handle, a reference to one, or whatever dereferences to one; or an
///   `Option` of a handle or a reference, where `None` disables the arm.
/// - The message of a `send` is evaluated if the arm is chosen, and only then.
/// - `event` takes anything that is an [`Event`](weftwork_core::Event), such as a join handle, by value,
///   as `&mut event` or as `Pin<&mut _>`. The events are dropped before a body starts.
/// - `closed` takes a sender or receiver. It is ready when the channel is closed, or when all handles of
///   the other side are dropped.
/// - `deadline` also takes an `Option<Instant>`, where `None` means never.
/// - At most one `default` or `deadline` may be given.
/// - The first four take a guard: `recv(r) if condition -> result => body`. An arm whose guard is false
///   is disabled. Its handle is evaluated all the same, right after the guard.
/// - Results are bound to patterns, which must match all values, as in `let`.
/// - A body is an expression. After a block the comma may be left out.
///
/// All bodies have the same type, which is the type of the whole. They may use `?`, `break`, `continue`
/// and `return`. A value that one arm moves is moved if that arm is chosen; the bodies of the other
/// arms may use it.
///
/// There can be up to 48 arms.
///
/// # Panics
///
/// If all arms are disabled and there is neither a `default` nor a `deadline`: nothing could ever end
/// the wait. To wait for ever, receive from [`never`](crate::never).
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use weftwork_csp::{bounded, select, unbounded};
///
/// let (s1, r1) = bounded(1);
/// let (s2, r2) = unbounded();
/// s2.send("from two").unwrap();
///
/// let text = select! {
///     recv(r1) -> text => text.unwrap(),
///     recv(r2) -> text => text.unwrap(),
///     default(Duration::from_secs(60)) => "nothing",
/// };
/// assert_eq!(text, "from two");
///
/// // A message is moved only if it is sent.
/// let parcel = String::from("parcel");
/// let (s3, _r3) = bounded(0);
/// select! {
///     send(s3, parcel) -> _ => unreachable!("nobody receives"),
///     default => assert_eq!(parcel, "parcel"),
/// }
/// # drop(s1);
/// ```
///
/// Guards and optional arms:
///
/// ```
/// use weftwork_csp::{Receiver, select, unbounded};
///
/// let (orders, incoming) = unbounded();
/// let (results, outgoing) = unbounded();
/// (0..10).for_each(|n| orders.send(n).unwrap());
/// drop(orders);
///
/// let mut incoming: Option<Receiver<u32>> = Some(incoming);
/// let mut pending = Vec::new();
/// while incoming.is_some() || !pending.is_empty() {
///     select! {
///         recv(incoming) if pending.len() < 4 -> order => match order {
///             Ok(n) => pending.push(n),
///             Err(_) => incoming = None,
///         },
///         send(results, pending.pop().unwrap()) if !pending.is_empty() -> sent => sent.unwrap(),
///     }
/// }
/// drop(results);
/// assert_eq!(outgoing.iter().sum::<u32>(), 45);
/// ```
#[macro_export]
macro_rules! select {
    ($($arms:tt)*) => {
        $crate::__weftwork_csp_select!([block false] $($arms)*)
    };
}

/// Waits as [`select!`] does, and if several arms are ready, chooses the one that is written first.
///
/// The syntax is that of [`select!`]. Arms that are ready all the time starve those below them.
///
/// ```
/// use weftwork_csp::{select_biased, unbounded};
///
/// let (urgent, first) = unbounded();
/// let (normal, second) = unbounded();
/// normal.send(2).unwrap();
/// urgent.send(1).unwrap();
///
/// select_biased! {
///     recv(first) -> n => assert_eq!(n, Ok(1)),
///     recv(second) -> _ => unreachable!("the first arm is ready"),
/// }
/// ```
#[macro_export]
macro_rules! select_biased {
    ($($arms:tt)*) => {
        $crate::__weftwork_csp_select!([block true] $($arms)*)
    };
}

/// Waits as [`select!`] does, inside a future: the task of the future waits, not the thread.
///
/// The syntax is that of [`select!`], and the bodies may also `.await`. The whole is an expression of
/// the `async` block or function around it, with any executor. If the future is dropped while it
/// waits, no arm has happened: no message is lost, and none was evaluated.
///
/// The message of a `send` should not `.await`: it is evaluated when the operation is chosen already,
/// and the other side waits for it.
///
/// ```
/// use weftwork_core::block_on;
/// use weftwork_csp::{Receiver, RecvError, select_async, unbounded};
///
/// async fn sum(numbers: Receiver<u32>, stop: Receiver<()>) -> Result<u32, RecvError> {
///     let mut sum = 0;
///     loop {
///         select_async! {
///             recv(numbers) -> n => sum += n?,
///             recv(stop) -> _ => return Ok(sum),
///         }
///     }
/// }
///
/// let (s, r) = unbounded();
/// let (stop, stopped) = unbounded();
/// drop(stop);
/// s.send(1).unwrap();
/// assert!(block_on(sum(r, stopped)).is_ok());
/// ```
#[macro_export]
macro_rules! select_async {
    ($($arms:tt)*) => {
        $crate::__weftwork_csp_select!([async false] $($arms)*)
    };
}

/// Waits as [`select_async!`](crate::select_async!) does, and if several arms are ready, chooses the
/// one that is written first.
///
/// ```
/// use weftwork_core::block_on;
/// use weftwork_csp::{select_async_biased, unbounded};
///
/// let (s1, r1) = unbounded();
/// let (s2, r2) = unbounded();
/// s2.send(2).unwrap();
/// s1.send(1).unwrap();
///
/// let n = block_on(async {
///     select_async_biased! {
///         recv(r1) -> n => n,
///         recv(r2) -> n => n,
///     }
/// });
/// assert_eq!(n, Ok(1));
/// ```
#[macro_export]
macro_rules! select_async_biased {
    ($($arms:tt)*) => {
        $crate::__weftwork_csp_select!([async true] $($arms)*)
    };
}
