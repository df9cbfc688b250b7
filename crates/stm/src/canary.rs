//! What the code does differently for models: steps of the protocol can be weakened, to show that the models would
//! notice, and the ruins of a model that failed are left alone.
//!
//! Without `--cfg weftwork_canary` the answer is a constant, and the wrong variants are gone.

/// Whether a model has failed and the frames of its threads are being unwound: there is nothing to unlock, to
/// leave or to give back any more.
#[inline(always)]
pub(crate) fn is_gone() -> bool {
    cfg!(weftwork_loom) && std::thread::panicking()
}

/// Whether the model that runs has chosen to do this step wrong.
#[cfg(weftwork_canary)]
pub(crate) fn is_weak(step: &'static str) -> bool {
    weftwork_core::canary::is(weftwork_core::canary::Step::Of(step))
}

/// No step is done wrong.
#[cfg(not(weftwork_canary))]
#[inline(always)]
pub(crate) const fn is_weak(_: &'static str) -> bool {
    false
}
