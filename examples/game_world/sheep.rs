//! Sheep: they wander, and jump when they are bitten.

use weftwork::actor::{Context, Reason};
use weftwork::prelude::*;

use crate::body::{Birth, Body, Doom, Tick};
use crate::fate::crash;
use crate::map::Kind;
use crate::pulse::TICK;

const SPEED: f32 = 1.5;

pub(crate) struct Sheep {
    body: Body,
}

/// A wolf has got it.
pub(crate) struct Bite;

impl Actor for Sheep {
    type Args = Birth;

    fn init(birth: Birth, ctx: &mut Context<Self>) -> Result<Self, InitError> {
        // So that `terminate` is called when the supervisor stops it.
        ctx.trap_exit(true);
        let body = Body::born(&birth, Kind::Sheep, ctx.pid())?;
        ctx.send_every(TICK, Tick);
        Ok(Sheep { body })
    }

    fn terminate(&mut self, _: &Reason, _: &mut Context<Self>) {
        self.body.pulse.tell();
    }
}

impl Handler<Tick> for Sheep {
    type Reply = ();
    fn handle(&mut self, _: Tick, _: &mut Context<Self>) {
        self.body.pulse.beat();
        self.body.wander();
        self.body.walk(SPEED);
    }
}

impl Handler<Bite> for Sheep {
    type Reply = ();
    fn handle(&mut self, _: Bite, _: &mut Context<Self>) {
        self.body.turn_round();
        self.body.pulse.note(|notes| notes.bites += 1);
    }
}

impl Handler<Doom> for Sheep {
    type Reply = ();
    fn handle(&mut self, _: Doom, ctx: &mut Context<Self>) {
        ctx.stop(crash());
    }
}
