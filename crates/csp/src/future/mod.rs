//! The operations as futures, under any executor.

mod closed;
mod recv;
mod send;
mod sink;
mod stream;

pub use closed::ClosedFuture;
pub use recv::RecvFuture;
pub use send::SendFuture;
pub use sink::SendSink;
pub use stream::RecvStream;
