//! When ticks are due, and how late they are.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::chronicle::{Beat, Notes};
use crate::tree::World;

/// Thirty times a second.
pub(crate) const TICK: Duration = Duration::from_nanos(1_000_000_000 / 30);

/// How long after a crash a tick counts as soon after it.
const SOON: Duration = Duration::from_millis(50);

/// How many ticks are noted before the chronicle is told.
const BATCH: usize = 30;

/// The rhythm of one creature. Each tick belongs to one period; a period without a tick is an overrun.
pub(crate) struct Pulse {
    world: Arc<World>,
    /// When the next tick is due.
    due: Instant,
    notes: Notes,
}

impl Pulse {
    /// Starts now. To be called before the timer is set, so that no tick seems to be early.
    pub(crate) fn new(world: &Arc<World>) -> Self {
        Pulse {
            world: Arc::clone(world),
            due: Instant::now() + TICK,
            notes: Notes::default(),
        }
    }

    /// Notes that a tick has come.
    pub(crate) fn beat(&mut self) {
        let now = Instant::now();
        let late = if let Some(late) = now.checked_duration_since(self.due) {
            // The timer leaves out what is past, and keeps to the rhythm.
            let missed = (late.as_nanos() / TICK.as_nanos()) as u32;
            self.notes.overruns += i64::from(missed);
            self.due += TICK * (missed + 1);
            late
        } else {
            // It waited in the mailbox for so long that its period was given up.
            self.notes.overruns -= 1;
            let was_due = self.due - TICK;
            self.notes.early += u64::from(now < was_due);
            now.saturating_duration_since(was_due)
        };
        self.notes.beats.push(Beat {
            late,
            is_soon: self.world.since_crash(now) < SOON,
        });
        if self.notes.beats.len() >= BATCH {
            self.tell();
        }
    }

    /// How long it is until the next tick.
    pub(crate) fn rest(&self) -> Duration {
        self.due.saturating_duration_since(Instant::now())
    }

    /// Notes something else.
    pub(crate) fn note(&mut self, f: impl FnOnce(&mut Notes)) {
        f(&mut self.notes);
    }

    /// Tells the chronicle what was noted. Called in time for the end of the creature, however that comes.
    pub(crate) fn tell(&mut self) {
        let notes = std::mem::take(&mut self.notes);
        if let Some(chronicle) = self.world.chronicle.get() {
            // There is always room, and if there is no chronicle nobody wants to know.
            let _ = chronicle.tell(notes);
        }
    }
}
