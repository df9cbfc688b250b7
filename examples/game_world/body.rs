//! What all creatures have: a place, a way to walk, and eyes.

use std::f32::consts::PI;
use std::sync::Arc;

use weftwork::actor::InitError;
use weftwork::prelude::*;

use crate::map::{Dice, Kind, Place, Sight};
use crate::pulse::{Pulse, TICK};
use crate::tree::World;
use crate::zone::{At, Eye, Look};

/// What a creature is started with.
#[derive(Clone)]
pub(crate) struct Birth {
    pub(crate) world: Arc<World>,
    /// Tells it from the others, whatever its incarnation.
    pub(crate) number: u64,
}

/// Tells a creature that a period is over.
#[derive(Clone)]
pub(crate) struct Tick;

/// Makes a creature crash.
pub(crate) struct Doom;

pub(crate) struct Body {
    world: Arc<World>,
    me: Sight,
    zone: usize,
    heading: f32,
    dice: Dice,
    pub(crate) pulse: Pulse,
    /// Ticks since the birth.
    pub(crate) age: u64,
}

impl Body {
    /// Enters the world, at a place that depends on nothing but the number.
    pub(crate) fn born(birth: &Birth, kind: Kind, pid: Pid) -> Result<Body, InitError> {
        let Birth { world, number } = birth;
        let mut dice = Dice::new(*number);
        let place = dice.place();
        let body = Body {
            world: Arc::clone(world),
            me: Sight { pid, kind, place },
            zone: place.zone(),
            heading: dice.heading(),
            dice,
            pulse: Pulse::new(world),
            age: 0,
        };
        let zone = Arc::clone(&world.names[body.zone]);
        (world.groups.join(zone, &body.me.pid)).map_err(InitError::failed)?;
        body.tell_zone();
        Ok(body)
    }

    pub(crate) fn place(&self) -> Place {
        self.me.place
    }

    pub(crate) fn turn(&mut self, heading: f32) {
        self.heading = heading;
    }

    pub(crate) fn turn_round(&mut self) {
        self.heading += PI;
    }

    /// Turns a bit to either side.
    pub(crate) fn wander(&mut self) {
        self.heading += (self.dice.part() - 0.5) * 0.4;
    }

    /// Walks for a tick.
    pub(crate) fn walk(&mut self, metres_per_second: f32) {
        self.age += 1;
        let before = self.me.place.metre();
        let metres = metres_per_second * TICK.as_secs_f32();
        self.me.place = self.me.place.towards(self.heading, metres);
        let zone = self.me.place.zone();
        if zone != self.zone {
            self.move_to(zone);
        } else if self.me.place.metre() != before || self.age.is_multiple_of(30) {
            // Now and then in any case: the zone may be another incarnation, which knows nobody.
            self.tell_zone();
        }
    }

    /// Goes over into another zone.
    fn move_to(&mut self, zone: usize) {
        let World { groups, names, .. } = &*self.world;
        // Neither fails: it is alive, and has joined.
        let left = groups.leave(&names[self.zone], &self.me.pid);
        let joined = groups.join(Arc::clone(&names[zone]), &self.me.pid);
        debug_assert!(left.is_ok() && joined.is_ok());
        self.zone = zone;
        self.pulse.note(|notes| notes.moves += 1);
        self.tell_zone();
    }

    /// Tells the zone where it is. If that is just being restarted, or has too much to do, it is told later.
    fn tell_zone(&self) {
        if let Some(zone) = self.world.zones[self.zone].get() {
            let _ = zone.try_tell(At(self.me.clone()));
        }
    }

    /// Asks the zones around who is near. The answers come as messages, one of each zone.
    pub(crate) fn look(&self, radius: f32, eye: &Eye) {
        for zone in self.me.place.zones_within(radius) {
            if let Some(zone) = self.world.zones[zone].get() {
                let look = Look {
                    place: self.me.place,
                    radius,
                    eye: eye.clone(),
                };
                // One does not see through too thick a crowd.
                let _ = zone.try_tell(look);
            }
        }
    }
}
