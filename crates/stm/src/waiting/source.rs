//! What a transaction can wait for besides changes of variables.

use std::task::{Context, Poll};

/// Something that happens outside of transactions, and then stores its result in a variable.
///
/// A transaction that retries polls its sources before it sleeps, with its own waker. That happens outside
/// of any attempt, so a source may run transactions.
pub(crate) trait Source: Send + Sync {
    /// Ready when the transaction should look again. Leaves the waker otherwise.
    fn poll(&self, context: &mut Context<'_>) -> Poll<()>;
}
