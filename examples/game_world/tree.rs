//! The tree of supervisors, and what all of its actors know.
//!
//! ```text
//! world ── chronicle
//!        ├ zones ── zone 0, zone 1, …
//!        └ life ─── nursery 0, nursery 1, … ── creatures
//! ```

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use weftwork::actor::groups::Scope;
use weftwork::actor::statem::Machine;
use weftwork::actor::supervisor::{
    ChildRef, ChildSpec, Kind, Report, Rules, StartContext, Strategy, SupervisorRef, SupervisorSpec,
};
use weftwork::actor::{Mailbox, Options, StartError};
use weftwork::csp::watch;
use weftwork::prelude::*;

use crate::body::Birth;
use crate::chronicle::Chronicle;
use crate::map::SIDE;
use crate::player::Player;
use crate::sheep::Sheep;
use crate::wolf::Wolf;
use crate::zone::Zone;

const NURSERIES: u64 = 16;

/// What everybody knows.
pub(crate) struct World {
    begin: Instant,
    /// One group for each zone.
    pub(crate) groups: Scope,
    pub(crate) names: Vec<Arc<str>>,
    pub(crate) zones: Vec<ChildRef<Zone>>,
    pub(crate) chronicle: ChildRef<Chronicle>,
    /// In microseconds after the beginning.
    last_crash: AtomicU64,
    creatures: u64,
    /// How many were born.
    births: watch::Sender<u64>,
}

impl World {
    fn new(creatures: u32) -> Self {
        let zones = SIDE * SIDE;
        World {
            begin: Instant::now(),
            groups: Scope::new(),
            names: (0..zones)
                .map(|zone| format!("zone {zone}").into())
                .collect(),
            zones: (0..zones).map(|_| ChildRef::new()).collect(),
            chronicle: ChildRef::new(),
            last_crash: AtomicU64::new(0),
            creatures: u64::from(creatures),
            births: watch::channel(0).0,
        }
    }

    /// Somebody has crashed just now.
    pub(crate) fn note_crash(&self) {
        let now = self.begin.elapsed().as_micros() as u64;
        self.last_crash.store(now, Ordering::Relaxed);
    }

    /// How long ago the last crash was.
    pub(crate) fn since_crash(&self, now: Instant) -> Duration {
        let crash = Duration::from_micros(self.last_crash.load(Ordering::Relaxed));
        now.saturating_duration_since(self.begin + crash)
    }

    /// How many creatures were born again.
    pub(crate) fn restarts(&self) -> u64 {
        *self.births.borrow() - self.creatures
    }

    /// Waits until so many were.
    pub(crate) fn wait_for_births(&self, restarts: u64, time: Duration) -> Result<(), String> {
        let all = self.creatures + restarts;
        let mut births = self.births.subscribe();
        match births.wait_for_timeout(|births| *births >= all, time) {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("not all were born again: {error}")),
        }
    }
}

/// Starts a creature: of a thousand one is a player, and a hundred are wolves.
fn creature(ctx: &mut StartContext<'_>, birth: Birth) -> Result<Pid, StartError> {
    let options = Options::new().mailbox(Mailbox::bounded(256));
    Ok(match birth.number % 1_000 {
        0 => ctx.start::<Player>(birth, options)?.pid(),
        1..=100 => ctx.start::<Machine<Wolf>>(birth, options)?.pid(),
        _ => ctx.start::<Sheep>(birth, options)?.pid(),
    })
}

/// Starts a nursery and its creatures.
fn nursery(
    ctx: &mut StartContext<'_>,
    world: &Arc<World>,
    number: u64,
) -> Result<SupervisorRef, StartError> {
    let births = world.births.clone();
    let spec = SupervisorSpec::dynamic(Rules::new())
        // Fate is cruel.
        .intensity(1_000, Duration::from_secs(1))
        .on_report(move |_, report| {
            if let Report::Started { .. } = report {
                births.send_modify(|births| *births += 1);
            }
        });
    let nursery = ctx.supervise(spec)?;
    for number in (number..world.creatures).step_by(NURSERIES as usize) {
        let world = Arc::clone(world);
        let child = ChildSpec::dynamic(move |ctx| {
            let world = Arc::clone(&world);
            creature(ctx, Birth { world, number })
        });
        let started = nursery.start_child(child);
        started.map_err(|error| StartError::Failed(Reason::other(error.to_string())))?;
    }
    Ok(nursery)
}

fn zones(world: &Arc<World>) -> SupervisorSpec {
    let spec = SupervisorSpec::new().intensity(100, Duration::from_secs(1));
    (world.zones.iter().enumerate()).fold(spec, |spec, (number, zone)| {
        let name = Arc::clone(&world.names[number]);
        let world = Arc::clone(world);
        let start = zone.filled_by(move |ctx| {
            let options = Options::new().name(Arc::clone(&world.names[number]));
            ctx.start::<Zone>((Arc::clone(&world), number), options)
        });
        spec.child(ChildSpec::new(&*name, start))
    })
}

fn life(world: &Arc<World>) -> SupervisorSpec {
    (0..NURSERIES).fold(SupervisorSpec::new(), |spec, number| {
        let world = Arc::clone(world);
        let start = move |ctx: &mut StartContext<'_>| nursery(ctx, &world, number);
        spec.child(ChildSpec::new(format!("nursery {number}"), start).kind(Kind::Supervisor))
    })
}

/// Makes a world and lets it begin.
pub(crate) fn start(creatures: u32) -> Result<(Arc<World>, SupervisorRef), Box<dyn Error>> {
    let runtime = weftwork::Handle::current().ok_or("no runtime")?;
    let world = Arc::new(World::new(creatures));
    let chronicle = world.chronicle.filled_by(|ctx| {
        // When a world ends, all tell it at once.
        ctx.start::<Chronicle>((), Options::new().mailbox(Mailbox::Unbounded))
    });
    let (here, there) = (Arc::clone(&world), Arc::clone(&world));
    let root = SupervisorSpec::new()
        .strategy(Strategy::RestForOne)
        .child(ChildSpec::new("chronicle", chronicle))
        .child(ChildSpec::supervisor("zones", move || zones(&here)))
        .child(ChildSpec::supervisor("life", move || life(&there)))
        .start(&runtime)?;
    Ok((world, root))
}
