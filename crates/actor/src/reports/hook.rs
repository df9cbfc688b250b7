//! Who is told of incidents. There is one hook in the process; the threads of a model have none.

use super::Incident;
use crate::panics;
use crate::supervisor::Report;
use std::sync::Arc;
// Outside the models: a switch.
use std::sync::atomic::{AtomicU8, Ordering};
use weftwork_core::sync::Mutex;

type Hook = Arc<dyn Fn(&Incident) + Send + Sync>;

const PRINT: u8 = 0;
const SILENT: u8 = 1;
const CALL: u8 = 2;

static MODE: AtomicU8 = AtomicU8::new(PRINT);
static HOOK: Mutex<Option<Hook>> = Mutex::new(None);

fn mode() -> u8 {
    // Relaxed: a switch, for incidents to come.
    MODE.load(Ordering::Relaxed)
}

fn switch(mode: u8, hook: Option<Hook>) {
    let before = {
        let mut current = HOOK.lock();
        // Relaxed: as above.
        MODE.store(mode, Ordering::Relaxed);
        std::mem::replace(&mut *current, hook)
    };
    // Its drop is the user's.
    drop(before);
}

pub(super) fn set(hook: Hook) {
    switch(CALL, Some(hook));
}

pub(super) fn print() {
    switch(PRINT, None);
}

pub(super) fn silence() {
    switch(SILENT, None);
}

pub(super) fn is_on() -> bool {
    mode() != SILENT
}

/// What is printed leaves out that all is well.
pub(super) fn is_told_of(report: &Report) -> bool {
    match mode() {
        PRINT => !matches!(report, Report::Started { .. }),
        mode => mode != SILENT,
    }
}

pub(super) fn tell(incident: &Incident) {
    let told = match mode() {
        SILENT => return,
        PRINT => panics::catch(|| eprintln!("{incident}")),
        _ => {
            let hook = HOOK.lock().clone();
            panics::catch(|| hook.inspect(|hook| hook(incident))).map(drop)
        }
    };
    // What a log does wrong is not the actor's fault.
    drop(told);
}
