//! CSP channels with select, for OS threads, green threads and futures alike.

mod attempt;
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
mod spin;
mod waiting;
pub mod watch;
mod weak;

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
