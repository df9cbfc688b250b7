//! The frame in which loom models run: bounded, counted, and held to a floor.
//!
//! A model can pass because it explores nothing: its threads never race, or the code under test was
//! built with the real atomics. The count of interleavings is the only witness, so every model
//! prints it and asserts a floor.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Preemptions per interleaving where `LOOM_MAX_PREEMPTIONS` does not say otherwise.
const PREEMPTIONS: usize = 2;

/// Branches per interleaving where `LOOM_MAX_BRANCHES` does not say otherwise.
const BRANCHES: usize = 10_000;

/// Runs `body` under loom in every interleaving with at most two preemptions, and asserts that there
/// were at least `floor` of them.
///
/// It prints `loom model NAME: N interleavings`; when the model fails it prints the number of the
/// interleaving that did, and lets the panic through. `LOOM_MAX_PREEMPTIONS` and the other variables
/// of loom apply.
///
/// Under `--cfg weftwork_canary` one ordering per protocol is weakened and the model named `canary_…`
/// is expected to fail. There the floor is not asserted: a model that fails only for its floor has
/// caught nothing, and must not pass for one that did.
///
/// ```text
/// #[test]
/// #[cfg_attr(weftwork_canary, should_panic)]
/// fn canary_a_message_is_seen_whole() {
///     weftwork_testkit::model("a message is seen whole", 10, || { … });
/// }
/// ```
///
/// # Panics
///
/// If an interleaving fails, if there were fewer than `floor`, or if `floor` is below 2: a model with
/// one interleaving has no concurrency in it.
#[track_caller]
pub fn model<F>(name: &str, floor: usize, body: F)
where
    F: Fn() + Send + Sync + 'static,
{
    assert!(
        floor >= 2,
        "loom model {name}: a floor of {floor} can not fail"
    );

    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(PREEMPTIONS);
    if std::env::var_os("LOOM_MAX_BRANCHES").is_none() {
        builder.max_branches = BRANCHES;
    }

    // A std counter: it stands outside the model and adds no step to it.
    let count = Arc::new(AtomicUsize::new(0));
    let report = FailureReport {
        name,
        count: Arc::clone(&count),
    };
    let inner = Arc::clone(&count);
    builder.check(move || {
        inner.fetch_add(1, Ordering::Relaxed);
        body();
    });
    drop(report);

    let count = count.load(Ordering::Relaxed);
    if !cfg!(weftwork_canary) {
        assert!(
            count >= floor,
            "loom model {name}: only {count} interleavings, at least {floor} expected; \
             is everything it touches behind weftwork_core::sync?",
        );
    }
    println!("loom model {name}: {count} interleavings");
}

/// Says, while a failed model unwinds, which interleaving failed.
struct FailureReport<'a> {
    name: &'a str,
    count: Arc<AtomicUsize>,
}

impl Drop for FailureReport<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let count = self.count.load(Ordering::Relaxed);
            println!("loom model {}: failed in interleaving {count}", self.name);
        }
    }
}
