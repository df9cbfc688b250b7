//! A zone: who is where in a part of the world.

use std::collections::HashMap;
use std::sync::Arc;

use weftwork::actor::groups::{Change, Event};
use weftwork::actor::statem::{Cast, Machine};
use weftwork::actor::{Context, Priority};
use weftwork::prelude::*;

use crate::body::Doom;
use crate::fate::crash;
use crate::map::{Place, Sight};
use crate::player::Player;
use crate::tree::World;
use crate::wolf::{Sense, Wolf};

pub(crate) struct Zone {
    there: HashMap<Pid, Sight>,
}

/// Says where somebody is.
pub(crate) struct At(pub(crate) Sight);

/// Asks who is near a place.
pub(crate) struct Look {
    pub(crate) place: Place,
    pub(crate) radius: f32,
    pub(crate) eye: Eye,
}

/// Who wants to see.
#[derive(Clone)]
pub(crate) enum Eye {
    Player(Addr<Player>),
    Wolf(Addr<Machine<Wolf>>),
}

/// What a zone shows: those within the radius of the place.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) place: Place,
    pub(crate) radius: f32,
    pub(crate) near: Vec<Sight>,
}

/// Asks how many there are.
pub(crate) struct Count;

impl Actor for Zone {
    type Args = (Arc<World>, usize);

    fn init((world, number): Self::Args, ctx: &mut Context<Self>) -> Result<Self, InitError> {
        let name = Arc::clone(&world.names[number]);
        // Who is there already will tell where.
        let _members = world.groups.monitor_by(name, &ctx.addr().recipient());
        Ok(Zone {
            there: HashMap::new(),
        })
    }
}

impl Handler<At> for Zone {
    type Reply = ();
    fn handle(&mut self, At(sight): At, _: &mut Context<Self>) {
        self.there.insert(sight.pid.clone(), sight);
    }
}

/// Of the group: whoever leaves has told his place before, so that nobody stays behind.
impl Handler<Event> for Zone {
    type Reply = ();
    fn handle(&mut self, event: Event, _: &mut Context<Self>) {
        if event.change == Change::Leave {
            self.there.remove(&event.pid);
        }
    }
}

impl Handler<Look> for Zone {
    type Reply = ();
    fn handle(&mut self, look: Look, _: &mut Context<Self>) {
        let Look { place, radius, eye } = look;
        let who = match &eye {
            Eye::Player(player) => player.pid(),
            Eye::Wolf(wolf) => wolf.pid(),
        };
        let is_near = |sight: &&Sight| sight.pid != who && sight.place.distance(place) <= radius;
        let near = self.there.values().filter(is_near).cloned().collect();
        let seen = Seen {
            place,
            radius,
            near,
        };
        // It may have died, or be too busy to look.
        let _ = match eye {
            Eye::Player(player) => player.try_tell(seen).is_ok(),
            Eye::Wolf(wolf) => wolf.try_tell(Cast(Sense::Seen(seen))).is_ok(),
        };
    }
}

impl Handler<Count> for Zone {
    type Reply = usize;
    fn handle(&mut self, _: Count, _: &mut Context<Self>) -> usize {
        self.there.len()
    }
}

impl Handler<Doom> for Zone {
    type Reply = ();
    const PRIORITY: Priority = Priority::Urgent;
    fn handle(&mut self, _: Doom, ctx: &mut Context<Self>) {
        ctx.stop(crash());
    }
}
