//! Who is in which room, who crashes and when: what all processes know without asking.
//!
//! Person *i* of *n* lives in a house with the next ones, room `#a…`, and in a street with those of the same
//! remainder, room `#b…`. So two people share one room at most, nearly, and every room has members in all
//! load processes.

/// The population.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Town {
    people: u32,
    members: u32,
    /// Houses, and as many streets.
    houses: u32,
}

/// A room of the town.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    House(u32),
    Street(u32),
}

/// How many people there are to one that crashes.
const PER_CRASH: u32 = 20;

/// How many rooms there are to one that crashes.
const PER_ROOM_CRASH: u32 = 10;

impl Town {
    /// `people` in rooms of `members`.
    pub(crate) fn new(people: u32, members: u32) -> Self {
        let houses = people.div_ceil(members);
        Town {
            people,
            members,
            houses,
        }
    }

    pub(crate) fn people(&self) -> u32 {
        self.people
    }

    pub(crate) fn places(&self) -> impl Iterator<Item = Place> + use<> {
        let houses = self.houses;
        (0..houses)
            .map(Place::House)
            .chain((0..houses).map(Place::Street))
    }

    /// The two rooms of a person.
    pub(crate) fn places_of(&self, person: u32) -> [Place; 2] {
        [
            Place::House(person / self.members),
            Place::Street(person % self.houses),
        ]
    }

    /// The people of a room, in the order of their seats.
    pub(crate) fn people_of(&self, place: Place) -> impl Iterator<Item = u32> + use<> {
        let (first, step, end) = match place {
            Place::House(n) => {
                let first = n * self.members;
                (first, 1, (first + self.members).min(self.people))
            }
            Place::Street(n) => (n, self.houses as usize, self.people),
        };
        (first..end).step_by(step)
    }

    pub(crate) fn population(&self, place: Place) -> u32 {
        self.people_of(place).count() as u32
    }

    /// Where in the room a person sits.
    pub(crate) fn seat(&self, place: Place, person: u32) -> Option<usize> {
        if person >= self.people {
            return None;
        }
        match place {
            Place::House(n) if person / self.members == n => Some((person % self.members) as usize),
            Place::Street(n) if person % self.houses == n => Some((person / self.houses) as usize),
            _ => None,
        }
    }

    /// To whom a person speaks alone.
    pub(crate) fn after(&self, person: u32) -> u32 {
        (person + 1) % self.people
    }

    pub(crate) fn before(&self, person: u32) -> u32 {
        (person + self.people - 1) % self.people
    }

    /// Whether the session of a person crashes in the round of crashes.
    pub(crate) fn crashes(person: u32) -> bool {
        person % PER_CRASH == 7
    }

    /// How many sessions crash, of all or in a room.
    pub(crate) fn crashes_in(&self, place: Option<Place>) -> u32 {
        let crash = |person: &u32| Town::crashes(*person);
        match place {
            Some(place) => self.people_of(place).filter(crash).count() as u32,
            None => (0..self.people).filter(crash).count() as u32,
        }
    }

    /// Who makes a room crash, if it does.
    pub(crate) fn breaker(&self, place: Place) -> Option<u32> {
        let (Place::House(n) | Place::Street(n)) = place;
        (n % PER_ROOM_CRASH == 3).then(|| self.people_of(place).next())?
    }
}

/// The name of a person.
pub(crate) fn name(person: u32) -> String {
    format!("u{person}")
}

/// Whose name it is.
pub(crate) fn person(name: &str) -> Option<u32> {
    name.strip_prefix('u')?.parse().ok()
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::House(n) => write!(f, "#a{n}"),
            Place::Street(n) => write!(f, "#b{n}"),
        }
    }
}
