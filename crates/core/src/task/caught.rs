//! Running user code that must not unwind into ours.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a panic carries.
pub(super) type Payload = Box<dyn Any + Send>;

/// Drops `value`; a panic of its drop is returned.
pub(super) fn drop_caught<V>(value: V) -> Option<Payload> {
    catch_unwind(AssertUnwindSafe(|| drop(value))).err()
}

/// Drops a payload that has nobody to be told.
pub(super) fn discard(mut payload: Payload) {
    /// The drop of a payload may panic with another one, and so on; after some rounds the last is
    /// forgotten.
    const ROUNDS: usize = 8;
    for _ in 0..ROUNDS {
        match drop_caught(payload) {
            None => return,
            Some(next) => payload = next,
        }
    }
    std::mem::forget(payload);
}
