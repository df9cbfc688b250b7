//! Fate: makes creatures and zones crash, several times a second.

use std::fmt;
use std::panic;
use std::time::{Duration, Instant};

use weftwork::actor::statem::{Cast, Machine};
use weftwork::actor::{Pid, Reason};
use weftwork::time::sleep_until;

use crate::body::Doom;
use crate::map::Dice;
use crate::sheep::Sheep;
use crate::tree::World;
use crate::wolf::{Sense, Wolf};

/// From one stroke to the next, and how many creatures each hits.
const PAUSE: Duration = Duration::from_millis(250);
const VICTIMS: usize = 10;
/// Every so often it hits a zone, too.
const ZONE_EVERY: u64 = 4;

/// How long anything may take that should take no time.
const PATIENCE: Duration = Duration::from_secs(30);

const TEXT: &str = "doom";

pub(crate) struct Fate<'a> {
    world: &'a World,
    dice: Dice,
    done: Deeds,
}

/// What fate has done.
#[derive(Debug, Default)]
pub(crate) struct Deeds {
    pub(crate) creatures: u64,
    zones: u64,
    /// From each stroke until all that it hit lived again.
    restarts: Vec<Duration>,
}

/// Crashes: by a panic, or where nothing unwinds with the reason that this returns.
pub(crate) fn crash() -> Reason {
    if cfg!(panic = "unwind") {
        panic!("{TEXT}");
    }
    Reason::other(TEXT)
}

/// Keeps panics that are meant to be out of the output. To be called before any actor starts.
pub(crate) fn expect_doom() {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if info.payload_as_str() != Some(TEXT) {
            hook(info);
        }
    }));
}

impl<'a> Fate<'a> {
    pub(crate) fn new(world: &'a World) -> Self {
        Fate {
            world,
            dice: Dice::new(0),
            done: Deeds::default(),
        }
    }

    /// Strikes again and again, for so long.
    pub(crate) fn act_for(mut self, time: Duration) -> Result<Deeds, String> {
        let begin = Instant::now();
        for stroke in 1.. {
            let due = begin + PAUSE * stroke;
            if due > begin + time {
                break;
            }
            sleep_until(due);
            self.strike()?;
            if u64::from(stroke).is_multiple_of(ZONE_EVERY) {
                self.strike_zone()?;
            }
        }
        sleep_until(begin + time);
        Ok(self.done)
    }

    /// Makes some creatures crash, each in another zone, and waits until as many were born again.
    fn strike(&mut self) -> Result<(), String> {
        let begin = Instant::now();
        let (count, first) = (
            self.world.zones.len(),
            self.dice.below(self.world.zones.len()),
        );
        let mut ends = Vec::new();
        for zone in (first..first + count).map(|zone| zone % count) {
            let members = self.world.groups.members(&self.world.names[zone]);
            if members.is_empty() || ends.len() == VICTIMS {
                continue;
            }
            let victim = &members[self.dice.below(members.len())];
            let end = victim.watch();
            if doom(victim) {
                ends.push(end);
            }
        }
        self.world.note_crash();
        self.done.creatures += ends.len() as u64;
        for mut end in ends {
            match end.wait_timeout(PATIENCE) {
                Ok(reason) if reason.to_string().contains(TEXT) => {}
                Ok(reason) => return Err(format!("{} was not to die of: {reason}", end.pid())),
                Err(error) => return Err(format!("{} does not die: {error}", end.pid())),
            }
        }
        self.world.wait_for_births(self.done.creatures, PATIENCE)?;
        self.done.restarts.push(begin.elapsed());
        Ok(())
    }

    /// Makes a zone crash, and waits for the next incarnation.
    fn strike_zone(&mut self) -> Result<(), String> {
        let zone = &self.world.zones[self.dice.below(self.world.zones.len())];
        let old = zone.wait();
        old.tell(Doom).map_err(|e| format!("a zone: {e}"))?;
        self.world.note_crash();
        zone.wait_other_than(&old.pid());
        self.done.zones += 1;
        Ok(())
    }
}

/// Tells a creature to crash. Players are spared.
fn doom(victim: &Pid) -> bool {
    if let Some(sheep) = victim.downcast::<Sheep>() {
        return sheep.tell(Doom).is_ok();
    }
    let wolf = victim.downcast::<Machine<Wolf>>();
    wolf.is_some_and(|wolf| wolf.tell(Cast(Sense::Doom)).is_ok())
}

impl fmt::Display for Deeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut restarts = self.restarts.clone();
        restarts.sort_unstable();
        write!(
            f,
            "crashes: {} creatures, {} zones",
            self.creatures, self.zones
        )?;
        if let (Some(half), Some(most)) = (restarts.get(restarts.len() / 2), restarts.last()) {
            write!(
                f,
                "; {VICTIMS} at once were born again after {half:.1?} in the median, {most:.1?} at most"
            )?;
        }
        Ok(())
    }
}
