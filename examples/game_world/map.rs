//! The ground: a square without edges, cut into square zones.

use std::f32::consts::TAU;

use weftwork::actor::Pid;

/// Zones on each side of the world, and metres on each side of a zone.
pub(crate) const SIDE: usize = 8;
const ZONE: f32 = 100.0;
const WORLD: f32 = ZONE * SIDE as f32;

/// A point, in metres.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Place {
    pub(crate) x: f32,
    pub(crate) y: f32,
}

/// What there is to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Sheep,
    Wolf,
    Player,
}

/// Somebody, and where.
#[derive(Debug, Clone)]
pub(crate) struct Sight {
    pub(crate) pid: Pid,
    pub(crate) kind: Kind,
    pub(crate) place: Place,
}

impl Place {
    /// The zone that it is in.
    pub(crate) fn zone(self) -> usize {
        let part = |metres: f32| ((metres / ZONE) as usize).min(SIDE - 1);
        part(self.y) * SIDE + part(self.x)
    }

    /// The square metre that it is in.
    pub(crate) fn metre(self) -> (i32, i32) {
        (self.x as i32, self.y as i32)
    }

    /// So far away, in a direction.
    pub(crate) fn towards(self, heading: f32, metres: f32) -> Place {
        Place {
            x: (self.x + heading.cos() * metres).rem_euclid(WORLD),
            y: (self.y + heading.sin() * metres).rem_euclid(WORLD),
        }
    }

    /// The shortest way to another place.
    fn way_to(self, other: Place) -> (f32, f32) {
        let part = |from: f32, to: f32| (to - from + WORLD * 1.5).rem_euclid(WORLD) - WORLD / 2.0;
        (part(self.x, other.x), part(self.y, other.y))
    }

    pub(crate) fn distance(self, other: Place) -> f32 {
        let (x, y) = self.way_to(other);
        x.hypot(y)
    }

    pub(crate) fn heading_to(self, other: Place) -> f32 {
        let (x, y) = self.way_to(other);
        y.atan2(x)
    }

    /// The zones that a circle touches, at most four if it is smaller than a zone.
    pub(crate) fn zones_within(self, radius: f32) -> Vec<usize> {
        let mut zones = Vec::with_capacity(4);
        for (x, y) in [
            (-radius, -radius),
            (radius, -radius),
            (-radius, radius),
            (radius, radius),
        ] {
            let corner = Place {
                x: (self.x + x).rem_euclid(WORLD),
                y: (self.y + y).rem_euclid(WORLD),
            };
            if !zones.contains(&corner.zone()) {
                zones.push(corner.zone());
            }
        }
        zones
    }
}

/// Chance, the same in each run: the generator xorshift64 of Marsaglia.
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        // Spread, because seeds are numbers one after the other; and never zero.
        Dice(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }

    /// From 0 to 1.
    pub(crate) fn part(&mut self) -> f32 {
        self.below(1 << 20) as f32 / (1 << 20) as f32
    }

    pub(crate) fn heading(&mut self) -> f32 {
        self.part() * TAU
    }

    pub(crate) fn place(&mut self) -> Place {
        Place {
            x: self.part() * WORLD,
            y: self.part() * WORLD,
        }
    }
}
