//! What most files of a program want, by one `use weftwork::prelude::*`.

#[cfg(feature = "actor")]
pub use crate::actor::{Actor, Addr, AsyncHandler, Handler, InitError, Pid, Reason};
#[cfg(feature = "csp")]
pub use crate::csp::{
    Receiver, Sender, after, bounded, never, select, select_async, tick, unbounded,
};
#[cfg(feature = "net")]
pub use crate::net;
#[cfg(feature = "stm")]
pub use crate::stm::{Stm, TVar, Tx, atomically, atomically_async, snapshot, try_atomically};
pub use crate::task::{JoinError, JoinHandle};
pub use crate::time::{interval, sleep, timeout};
pub use crate::{
    Runtime, block_on, blocking, checkpoint, join, scope, spawn, spawn_async, spawn_local,
    yield_now,
};
