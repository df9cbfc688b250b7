//! The one door to atomics, locks, cells and threads.
//!
//! Every crate of the workspace whose protocols are model-checked takes these from here and nowhere
//! else. Built with `--cfg weftwork_loom`, the same names are [loom]'s, so that one source is both
//! what ships and what is checked. The switch is the project's own cfg: a global `cfg(loom)` would
//! also change dependencies, and a gate on `cfg(test)` would leave integration tests linked against
//! the real atomics without a word.
//!
//! Outside loom the locks are `parking_lot`'s: they do not poison, and `lock` returns the guard.
//!
//! [loom]: https://docs.rs/loom

#[cfg(not(weftwork_loom))]
mod native;
#[cfg(not(weftwork_loom))]
pub use native::*;

#[cfg(weftwork_loom)]
mod modelled;
#[cfg(weftwork_loom)]
pub use modelled::*;

/// Picks the first value in an ordinary build and the second one, usually smaller, under loom.
///
/// A model that must visit every interleaving cannot afford a queue of 256 slots or a spin of a
/// hundred turns.
#[must_use]
pub const fn sized(native: usize, modelled: usize) -> usize {
    if cfg!(weftwork_loom) {
        modelled
    } else {
        native
    }
}
