//! Steps of the protocol that can be weakened, to show that the models would notice.
//!
//! Without `--cfg weftwork_canary` the answer is a constant, and the wrong variants are gone.

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
