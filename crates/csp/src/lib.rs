//! CSP channels with select, for OS threads, green threads and futures alike.
//!
//! ```
//! use std::time::Duration;
//! use weftwork_csp::{after, bounded, select};
//!
//! let (orders, inbox) = bounded(8);
//! let (done, finished) = bounded::<()>(0);
//! std::thread::spawn(move || {
//!     (0..3).for_each(|n| orders.send(n).unwrap());
//!     drop(done);
//! });
//! let mut sum = 0;
//! loop {
//!     select! {
//!         recv(inbox) -> order => match order {
//!             Ok(order) => sum += order,
//!             Err(_) => break,
//!         },
//!         recv(after(Duration::from_secs(60))) -> _ => panic!("nobody sends"),
//!     }
//! }
//! assert_eq!(sum, 3);
//! assert!(finished.recv().is_err());
//! ```
//!
//! Names, signatures and meaning are those of `crossbeam-channel` 0.5: a program that renames its import
//! works as before. What is more:
//!
//! - **Everybody may wait.** `send` and `recv` park the green thread, or the OS thread, that calls;
//!   `send_async` and `recv_async` wait as futures, under any executor. The ends of one channel may be in
//!   different worlds.
//! - **Nothing is lost.** A future that is dropped has not received or sent: the message is in the channel,
//!   with its sender, or handed back. Errors hand the message back.
//! - **Select** takes receives, sends, ends of channels and any [`Event`](weftwork_core::Event); it can
//!   wait as a future ([`select_async!`]); arms have guards. A selection that is never completed blocks
//!   no thread that sends or receives for ever.
//! - **Ends** can be told from either side: [`close`](Sender::close), with a reason, and what was sent is
//!   still received.
//! - **More kinds** of channels: [`oneshot`], [`broadcast`], [`watch`], [`lossy`]; permits, batches, sets of
//!   receivers.
//! - **Structure**: [`group`] and [`pipeline`].
//!
//! # Order and fairness
//!
//! Messages of one sender arrive in order. Threads and green threads that wait at a channel are served
//! first come, first served; futures after them, also in order. A future is only told that there is
//! something: another receiver may be quicker. `select!` chooses among the ready arms with equal chances.
//!
//! # Memory and cost
//!
//! A channel is one allocation, and its buffer grows as messages come. An operation that waits allocates
//! nothing. How it works: `docs/design/channels.md`.
#![doc(test(attr(deny(warnings))))]

mod attempt;
mod batch;
pub mod broadcast;
mod channel;
mod clock;
mod error;
mod future;
pub mod group;
mod iter;
mod lock;
pub mod lossy;
mod make;
pub mod oneshot;
mod permit;
pub mod pipeline;
mod reason;
mod receiver;
mod select;
mod sender;
pub mod set;
mod spin;
mod waiting;
pub mod watch;
mod weak;

pub use batch::{Drain, RecvManyFuture, SendManyError, Unsent};
pub use error::{
    ReadyTimeoutError, RecvError, RecvTimeoutError, SelectTimeoutError, SendError,
    SendTimeoutError, TryReadyError, TryRecvError, TrySelectError, TrySendError,
};
pub use future::{ClosedFuture, RecvFuture, RecvStream, SendFuture, SendSink};
pub use iter::{IntoIter, Iter, TryIter};
pub use make::{after, at, bounded, never, tick, unbounded};
pub use permit::{OwnedPermit, Permit, ReserveFuture};
pub use reason::CloseReason;
pub use receiver::Receiver;
pub use select::{EventArm, Select, SelectFuture, SelectedOperation, internal};
pub use sender::Sender;
pub use weak::{WeakReceiver, WeakSender};
