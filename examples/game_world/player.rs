//! Players: they walk on, and are told what is near.

use std::collections::HashMap;
use std::fmt;

use weftwork::actor::Context;
use weftwork::prelude::*;

use crate::body::{Birth, Body, Tick};
use crate::map::{Kind, Place, Sight};
use crate::pulse::TICK;
use crate::zone::{Eye, Seen};

const SPEED: f32 = 4.0;
const SIGHT: f32 = 25.0;
/// Ticks from one look to the next.
const LOOKS_EVERY: u64 = 10;

pub(crate) struct Player {
    body: Body,
    eye: Eye,
    near: HashMap<Pid, Sight>,
    sightings: u64,
}

/// Asks a player what it sees.
pub(crate) struct WhatNews;

/// What a player sees.
#[derive(Debug)]
pub(crate) struct News {
    who: Pid,
    place: Place,
    sheep: usize,
    wolves: usize,
    players: usize,
    /// All that it was told of so far.
    pub(crate) sightings: u64,
}

impl Actor for Player {
    type Args = Birth;

    fn init(birth: Birth, ctx: &mut Context<Self>) -> Result<Self, InitError> {
        ctx.trap_exit(true);
        let body = Body::born(&birth, Kind::Player, ctx.pid())?;
        ctx.send_every(TICK, Tick);
        Ok(Player {
            body,
            eye: Eye::Player(ctx.addr()),
            near: HashMap::new(),
            sightings: 0,
        })
    }

    fn terminate(&mut self, _: &Reason, _: &mut Context<Self>) {
        self.body.pulse.tell();
    }
}

impl Handler<Tick> for Player {
    type Reply = ();
    fn handle(&mut self, _: Tick, _: &mut Context<Self>) {
        self.body.pulse.beat();
        self.body.walk(SPEED);
        if self.body.age.is_multiple_of(LOOKS_EVERY) {
            self.near.clear();
            self.body.look(SIGHT, &self.eye);
        }
    }
}

impl Handler<Seen> for Player {
    type Reply = ();
    fn handle(&mut self, seen: Seen, _: &mut Context<Self>) {
        for sight in seen.near {
            let is_right = sight.place.distance(seen.place) <= seen.radius;
            self.body
                .pulse
                .note(|notes| notes.wrong += u64::from(!is_right));
            self.sightings += 1;
            self.near.insert(sight.pid.clone(), sight);
        }
    }
}

impl Handler<WhatNews> for Player {
    type Reply = News;
    fn handle(&mut self, _: WhatNews, ctx: &mut Context<Self>) -> News {
        let count = |kind| {
            self.near
                .values()
                .filter(|sight| sight.kind == kind)
                .count()
        };
        News {
            who: ctx.pid(),
            place: self.body.place(),
            sheep: count(Kind::Sheep),
            wolves: count(Kind::Wolf),
            players: count(Kind::Player),
            sightings: self.sightings,
        }
    }
}

impl fmt::Display for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let News {
            who,
            place,
            sheep,
            wolves,
            players,
            sightings,
        } = self;
        write!(
            f,
            "player {who} at ({:.0}, {:.0}) sees {sheep} sheep, {wolves} wolves, {players} players; \
             {sightings} sightings so far",
            place.x, place.y
        )
    }
}
