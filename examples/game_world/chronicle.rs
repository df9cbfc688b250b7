//! The chronicle: what the creatures have noted.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use weftwork::actor::Context;
use weftwork::prelude::*;

/// A tick.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Beat {
    pub(crate) late: Duration,
    /// Whether somebody has crashed shortly before.
    pub(crate) is_soon: bool,
}

/// What a creature has noted since it told last.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(crate) beats: Vec<Beat>,
    /// Periods without a tick; less than none if one comes after all that was given up.
    pub(crate) overruns: i64,
    /// Ticks that came before they were due.
    pub(crate) early: u64,
    /// From one zone to another.
    pub(crate) moves: u64,
    pub(crate) chases: u64,
    pub(crate) flights: u64,
    pub(crate) bites: u64,
    /// Things seen that are not near.
    pub(crate) wrong: u64,
}

pub(crate) struct Chronicle(Report);

/// Asks for all of it.
pub(crate) struct Close;

#[derive(Debug, Clone)]
pub(crate) struct Report {
    /// How late ticks were, in microseconds: at other times, and soon after a crash.
    usual: Histogram<u64>,
    soon: Histogram<u64>,
    sum: Sum,
}

#[derive(Debug, Clone, Default)]
struct Sum {
    overruns: i64,
    early: u64,
    moves: u64,
    chases: u64,
    flights: u64,
    bites: u64,
    wrong: u64,
}

impl Actor for Chronicle {
    type Args = ();

    fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> {
        // A minute is as good as any longer time.
        let histogram = Histogram::new_with_max(60_000_000, 3).map_err(InitError::failed)?;
        Ok(Chronicle(Report {
            usual: histogram.clone(),
            soon: histogram,
            sum: Sum::default(),
        }))
    }
}

impl Handler<Notes> for Chronicle {
    type Reply = ();
    fn handle(&mut self, notes: Notes, _: &mut Context<Self>) {
        let Report { usual, soon, sum } = &mut self.0;
        for Beat { late, is_soon } in notes.beats {
            let histogram = if is_soon { &mut *soon } else { &mut *usual };
            histogram.saturating_record(late.as_micros() as u64);
        }
        sum.overruns += notes.overruns;
        sum.early += notes.early;
        sum.moves += notes.moves;
        sum.chases += notes.chases;
        sum.flights += notes.flights;
        sum.bites += notes.bites;
        sum.wrong += notes.wrong;
    }
}

impl Handler<Close> for Chronicle {
    type Reply = Report;
    fn handle(&mut self, _: Close, _: &mut Context<Self>) -> Report {
        self.0.clone()
    }
}

impl Report {
    /// Whether all is as it must be, on a slow machine, too.
    pub(crate) fn check(&self) -> Result<(), String> {
        let Sum { early, wrong, .. } = self.sum;
        match (self.usual.len() + self.soon.len(), early, wrong) {
            (0, ..) => Err("nobody has ticked".into()),
            (_, 0, 0) => Ok(()),
            _ => Err(format!(
                "{early} ticks were early, {wrong} things seen are not near"
            )),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { usual, soon, sum } = self;
        let ticks = usual.len() + soon.len();
        writeln!(
            f,
            "ticks: {ticks}, and {} overruns (periods without a tick)",
            sum.overruns
        )?;
        for (when, histogram) in [("at most times", usual), ("soon after a crash", soon)] {
            let late = |q| Duration::from_micros(histogram.value_at_quantile(q));
            let (half, most) = (late(0.5), late(0.99));
            let (count, max) = (histogram.len(), Duration::from_micros(histogram.max()));
            writeln!(
                f,
                "late {when}: p50 {half:.1?}, p99 {most:.1?}, max {max:.1?} ({count} ticks)"
            )?;
        }
        let Sum {
            moves,
            chases,
            flights,
            bites,
            ..
        } = sum;
        write!(
            f,
            "moves to another zone: {moves}; chases: {chases}, bites: {bites}, flights: {flights}"
        )
    }
}
