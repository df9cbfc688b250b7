//! What a stack overflow report says about the green thread: its name, number and origin.

use crate::carrier::Carrier;
use std::sync::Once;
use weftwork_fiber::overflow::{self, Report};

/// Installs the process-wide handler, once; it passes other faults on to the one before it.
pub(crate) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Without a handler an overflow ends the process all the same, with less to say.
        let _ = overflow::install();
        overflow::set_describe(describe);
    });
}

fn describe(top: *const u8, out: &mut Report) {
    // SAFETY: the stacks of carriers are marked as described by `Carrier::create` and lose the mark
    // when they are given back: between the two a carrier lies at the top. The handler runs on the
    // thread that overflowed the stack, so the carrier is running.
    let carrier = unsafe { &*Carrier::at_top(top) };
    match carrier.task.get() {
        // SAFETY: the task on a running carrier is being run, hence alive.
        Some(task) => unsafe {
            let (id, name, location) = task.describe();
            overflow_line(out, id.get(), name, location);
        },
        None => overflow_line(
            out,
            carrier.label.get().id,
            None,
            carrier.label.get().spawned_at,
        ),
    }
}

fn overflow_line(
    out: &mut Report,
    id: u64,
    name: Option<&str>,
    location: &'static std::panic::Location<'static>,
) {
    out.text("green thread ");
    out.number(usize::try_from(id).unwrap_or(usize::MAX));
    if let Some(name) = name {
        out.text(" '");
        out.text(name);
        out.text("'");
    }
    out.text(" spawned at ");
    out.text(location.file());
    out.text(":");
    out.number(location.line() as usize);
}
