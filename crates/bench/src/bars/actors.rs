//! Actors.

use super::{Bar, Limit, Metric};
use crate::registry::Bench;
use crate::setting::Grid;

/// The other libraries of actors, with each kind of mailbox.
const LIBRARIES: &[&str] = &["ractor", "kameo", "kameo-bounded", "actix"];
const GO: &[&str] = &["go"];

const TELL: Grid = Grid::new(Bench::ActorTell, &[1, 2]);
const FAN_IN: Grid = Grid::new(Bench::ActorFanin, &[1, 2]);
const ASK: Grid = Grid::new(Bench::ActorAsk, &[1, 2]);
const SPAWN: Grid = Grid::new(Bench::ActorSpawn, &[1, 2]);
const MEMORY: Grid = Grid::new(Bench::ActorMem, &[1]);
const RING_ALONE: Grid = Grid::new(Bench::Ring, &[1]);
const RING: Grid = Grid::new(Bench::Ring, &[2]);
const RESTART: Grid = Grid::new(Bench::ActorRestart, &[1, 2]);

/// An actor is a task and what others point to, and a mailbox that holds nothing is a few words.
const BYTES_PER_ACTOR: Limit = Limit::Fixed(512.0);

/// An unwinding, an exit signal and a start, none of which sleeps.
const BACK_IN: Limit = Limit::Fixed(10.0);

pub(super) const BARS: &[Bar] = &[
    // A push is a swap and a store, and a message has its letter to itself.
    Bar::time(TELL, Limit::TimesLeast(0.25, LIBRARIES)),
    Bar::time(TELL, Limit::TimesLeast(1.0, GO)),
    Bar::time(FAN_IN, Limit::TimesLeast(0.25, LIBRARIES)),
    Bar::time(FAN_IN, Limit::TimesLeast(1.0, GO)),
    Bar::time(ASK, Limit::TimesLeast(0.25, LIBRARIES)),
    Bar::time(SPAWN, Limit::TimesLeast(0.3, LIBRARIES)),
    Bar::new(MEMORY, Metric::BytesPerActor, BYTES_PER_ACTOR),
    Bar::time(RING_ALONE, Limit::TimesLeast(0.4, LIBRARIES)),
    // Whoever is woken runs on the worker that woke it.
    Bar::time(RING, Limit::TimesLeast(0.2, LIBRARIES)),
    Bar::new(RESTART, Metric::P50Us, BACK_IN),
];
