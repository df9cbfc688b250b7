//! Wolves: state machines.
//!
//! | state | does | until |
//! | --- | --- | --- |
//! | idle | wanders, looks around once a second | it sees a sheep: chase; a player: flee |
//! | chase | runs after a sheep, looks six times a second | it bites, or tires: idle; it sees a player: flee |
//! | flee | runs away from a player | some time is over: idle |

use std::f32::consts::PI;
use std::time::Duration;

use weftwork::actor::statem::{Entry, Event, Next, StateMachine, Step};
use weftwork::prelude::*;

use crate::body::{Birth, Body};
use crate::fate::crash;
use crate::map::{Kind, Sight};
use crate::sheep::{Bite, Sheep};
use crate::zone::{Eye, Seen};

const WALK: f32 = 2.0;
const RUN: f32 = 5.0;
const SIGHT: f32 = 15.0;
const REACH: f32 = 1.0;
/// How long it runs after one sheep, and how long away from a player.
const BREATH: Duration = Duration::from_secs(3);
const FRIGHT: Duration = Duration::from_secs(1);

pub(crate) struct Wolf {
    body: Body,
    eye: Eye,
    prey: Option<Sight>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Idle,
    Chase,
    Flee,
}

/// What a wolf is told.
#[derive(Debug)]
pub(crate) enum Sense {
    Tick,
    Seen(Seen),
    Tired,
    Calm,
    Doom,
}

impl Wolf {
    /// What to do about what it sees.
    fn decide(&mut self, seen: &Seen) -> Next<State> {
        let here = self.body.place();
        let nearest = |kind| {
            let those = seen.near.iter().filter(|sight| sight.kind == kind);
            those.min_by(|a, b| here.distance(a.place).total_cmp(&here.distance(b.place)))
        };
        if let Some(player) = nearest(Kind::Player) {
            self.body.turn(here.heading_to(player.place) + PI);
            return Next::To(State::Flee);
        }
        let Some(sheep) = nearest(Kind::Sheep) else {
            return Next::Keep;
        };
        if here.distance(sheep.place) <= REACH {
            if let Some(sheep) = sheep.pid.downcast::<Sheep>() {
                // It may be dead by now.
                let _ = sheep.try_tell(Bite);
            }
            return Next::To(State::Idle);
        }
        self.body.turn(here.heading_to(sheep.place));
        self.prey = Some(sheep.clone());
        Next::To(State::Chase)
    }

    fn tick(&mut self, state: State) {
        self.body.pulse.beat();
        let (speed, looks_every) = match state {
            State::Idle => {
                self.body.wander();
                (WALK, 30)
            }
            State::Chase => (RUN, 5),
            State::Flee => (RUN, u64::MAX),
        };
        if let (State::Chase, Some(prey)) = (state, &self.prey) {
            self.body.turn(self.body.place().heading_to(prey.place));
        }
        self.body.walk(speed);
        if self.body.age.is_multiple_of(looks_every) {
            self.body.look(SIGHT, &self.eye);
        }
    }
}

impl StateMachine for Wolf {
    type Args = Birth;
    type State = State;
    type Event = Sense;
    type Reply = ();

    fn init(birth: Birth, step: &mut Step<'_, Self>) -> Result<(Self, State), InitError> {
        let ctx = step.context();
        ctx.trap_exit(true);
        let eye = Eye::Wolf(ctx.addr());
        let body = Body::born(&birth, Kind::Wolf, ctx.pid())?;
        step.timeout("tick", body.pulse.rest(), Sense::Tick);
        let prey = None;
        Ok((Wolf { body, eye, prey }, State::Idle))
    }

    fn enter(&mut self, _: &State, new: &State, entry: &mut Entry<'_, Self>) {
        match new {
            State::Idle => self.prey = None,
            State::Chase => {
                self.body.pulse.note(|notes| notes.chases += 1);
                entry.state_timeout(BREATH, Sense::Tired);
            }
            State::Flee => {
                self.body.pulse.note(|notes| notes.flights += 1);
                entry.state_timeout(FRIGHT, Sense::Calm);
            }
        }
    }

    fn handle(
        &mut self,
        state: &State,
        event: Event<Self>,
        step: &mut Step<'_, Self>,
    ) -> Next<State> {
        match (state, event) {
            (_, Event::Timeout(_, Sense::Tick)) => {
                self.tick(*state);
                step.timeout("tick", self.body.pulse.rest(), Sense::Tick);
                Next::Keep
            }
            (State::Idle | State::Chase, Event::Cast(Sense::Seen(seen))) => self.decide(&seen),
            (State::Chase, Event::StateTimeout(Sense::Tired)) => Next::To(State::Idle),
            (State::Flee, Event::StateTimeout(Sense::Calm)) => Next::To(State::Idle),
            (_, Event::Cast(Sense::Doom)) => Next::Stop(crash()),
            _ => Next::Keep,
        }
    }

    fn terminate(&mut self, _: &Reason, _: &State) {
        self.body.pulse.tell();
    }
}
