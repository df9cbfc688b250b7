//! Waiting for several operations and events at once.

mod arms;
mod event;
mod future;
mod handle;
mod machine;
mod macros;
mod observer;
mod operation;
mod order;
mod selector;

pub(crate) use handle::{SelectHandle, Token};
pub(crate) use machine::{Machine, Step};

pub use event::EventArm;
pub use future::SelectFuture;
pub use operation::SelectedOperation;
pub use selector::Select;

/// What the macros expand to. Not for use by hand: it may change in any release.
#[doc(hidden)]
pub mod internal {
    pub use super::arms::{ClosableArm, ClosedArm, ReceiverArm, SenderArm};
    pub use super::event::EventArm;
    pub use super::future::select_async;
    pub use super::handle::{Handle, SelectHandle, never_handle};
    pub use super::machine::{select, select_deadline, select_timeout, try_select};
}
