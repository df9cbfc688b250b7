//! What one client knows of its rooms, and whether what it hears fits.
//!
//! A line that does not fit is an error at once. What is missing shows in the end, when the client compares
//! where it is with where it must be ([`Person::misses`]): the numbers of a room go on without a gap, so one
//! who has the last one has them all.

use crate::Outcome;
use crate::lines::split;
use crate::town::{Place, Town, name, person};

/// A client.
#[derive(Debug)]
pub(crate) struct Person {
    pub(crate) index: u32,
    town: Town,
    pub(crate) views: [View; 2],
    /// How many messages it has got for itself alone, and how many it has sent.
    direct: u32,
    pub(crate) direct_sent: u32,
}

/// What it knows of a room.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) place: Place,
    /// Who is there, by seat. Empty: it is not in.
    present: Vec<bool>,
    /// The number of the next message.
    next: u64,
    /// Messages of the history that are to come.
    history: u64,
    /// The number of the last message of each, by seat; 0 is unknown.
    heard: Vec<u32>,
    /// How many have left, and how often the room was started again.
    left: u32,
    restarts: u32,
    /// How many messages it has sent.
    pub(crate) sent: u32,
}

/// What was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A message, and when it was sent; whether by oneself.
    Message { sent_ns: u64, is_own: bool },
    /// A message of the history.
    History,
    /// A message for oneself alone, and when it was sent.
    Direct { sent_ns: u64 },
    /// One's own message to somebody alone has got there.
    Confirmed,
    /// Somebody has come or gone, or a room says who is there.
    Presence,
}

/// Where everybody must be.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Expected {
    /// Rounds of talk so far, and those of them in which those who crash said nothing.
    pub(crate) rounds: u32,
    pub(crate) crash_rounds: u32,
    /// Those who crash are gone.
    pub(crate) are_gone: bool,
    /// Those who crash have crashed.
    pub(crate) have_crashed: bool,
    /// Some rooms were started again.
    pub(crate) have_restarted: bool,
}

/// A message of the load: its number of this sender and place, its time, and as much as makes it `size` long.
pub(crate) fn compose(number: u32, now_ns: u64, size: usize) -> String {
    let mut text = format!("{number} {now_ns} ");
    while text.len() < size {
        text.push('.');
    }
    text
}

fn decompose(text: &str) -> Outcome<(u32, u64)> {
    let mut words = text.split(' ');
    let mut next = || words.next().and_then(|word| word.parse::<u64>().ok());
    match (next(), next()) {
        (Some(number), Some(ns)) => Ok((number as u32, ns)),
        _ => Err(format!("a broken message: {text}")),
    }
}

impl Person {
    pub(crate) fn new(index: u32, town: Town) -> Self {
        Person {
            index,
            town,
            views: town.places_of(index).map(|place| {
                let seats = town.population(place) as usize;
                View {
                    place,
                    present: Vec::new(),
                    next: 0,
                    history: 0,
                    heard: vec![0; seats],
                    left: 0,
                    restarts: 0,
                    sent: 0,
                }
            }),
            direct: 0,
            direct_sent: 0,
        }
    }

    /// Whether it is in both rooms.
    pub(crate) fn is_in(&self) -> bool {
        self.views.iter().all(|view| !view.present.is_empty())
    }

    /// The connection was lost.
    pub(crate) fn is_gone(&mut self) {
        for view in &mut self.views {
            view.present.clear();
        }
    }

    /// Takes a line. `keeps` is how many messages a room keeps.
    pub(crate) fn hear(&mut self, line: &str, keeps: u64) -> Outcome<Heard> {
        let fits = self.try_hear(line, keeps);
        fits.map_err(|why| format!("{} heard \"{line}\": {why}", name(self.index)))
    }

    fn try_hear(&mut self, line: &str, keeps: u64) -> Outcome<Heard> {
        let (word, rest) = split(line);
        match word.as_bytes() {
            [b'#', ..] => self.message(word, rest),
            [b'@', sender @ .., b':'] => {
                let before = name(self.town.before(self.index));
                if sender != before.as_bytes() {
                    return Err(format!("only {before} should say this"));
                }
                let (number, sent_ns) = decompose(rest)?;
                self.direct += 1;
                if number != self.direct {
                    return Err(format!("number {} should come", self.direct));
                }
                Ok(Heard::Direct { sent_ns })
            }
            b">" => Ok(Heard::Confirmed),
            [sign @ (b'=' | b'~' | b'+' | b'-')] => {
                let (room, rest) = split(rest);
                self.presence(*sign, room, rest, keeps)?;
                Ok(Heard::Presence)
            }
            _ => Err("that is not expected".to_owned()),
        }
    }

    fn view(&mut self, room: &str) -> Outcome<&mut View> {
        let number = |room: &str| room.get(2..).and_then(|number| number.parse().ok());
        let place = match (room.as_bytes(), number(room)) {
            ([_, b'a', ..], Some(number)) => Some(Place::House(number)),
            ([_, b'b', ..], Some(number)) => Some(Place::Street(number)),
            _ => None,
        };
        let view = (self.views.iter_mut()).find(|view| Some(view.place) == place);
        view.ok_or_else(|| "that is no room of its".to_owned())
    }

    fn message(&mut self, room: &str, rest: &str) -> Outcome<Heard> {
        let (town, own) = (self.town, self.index);
        let view = self.view(room)?;
        let (number, rest) = split(rest);
        let (sender, text) = split(rest);
        if number.parse() != Ok(view.next) || view.present.is_empty() {
            return Err(format!("number {} should come", view.next));
        }
        view.next += 1;
        let sender = sender.strip_suffix(':').and_then(person).ok_or("who?")?;
        let seat = town.seat(view.place, sender).ok_or("he is no member")?;
        let (number, sent_ns) = decompose(text)?;
        let before = std::mem::replace(&mut view.heard[seat], number);
        if before != 0 && number != before + 1 {
            return Err(format!("his number {} should come", before + 1));
        }
        if view.history > 0 {
            view.history -= 1;
            return Ok(Heard::History);
        }
        if !view.present[seat] {
            return Err("he is not there".to_owned());
        }
        let is_own = sender == own;
        Ok(Heard::Message { sent_ns, is_own })
    }

    fn presence(&mut self, sign: u8, room: &str, rest: &str, keeps: u64) -> Outcome<()> {
        let town = self.town;
        let view = self.view(room)?;
        let seat = |name: &str| {
            let person = person(name).ok_or("who?")?;
            town.seat(view.place, person).ok_or("he is no member")
        };
        if matches!(sign, b'+' | b'-') {
            let seat = seat(rest)?;
            let is_there = view.present.get(seat).copied().ok_or("it is not in")?;
            if is_there == (sign == b'+') {
                return Err(format!("that he is there is {is_there}"));
            }
            view.present[seat] = !is_there;
            view.left += u32::from(is_there);
            return Ok(());
        }
        let (next, names) = split(rest);
        let next: u64 = next.parse().map_err(|_| "which number?")?;
        let mut present = vec![false; view.heard.len()];
        for name in names.split(' ') {
            present[seat(name)?] = true;
        }
        if sign == b'=' {
            if !view.present.is_empty() {
                return Err("it is in".to_owned());
            }
            view.history = keeps.min(next - 1);
            view.next = next - view.history;
            view.heard.fill(0);
        } else {
            if next != view.next || present != view.present {
                return Err("the room has forgotten something".to_owned());
            }
            view.restarts += 1;
        }
        view.present = present;
        Ok(())
    }

    /// What is amiss, if everybody should be where `expected` says.
    pub(crate) fn misses(&self, expected: &Expected) -> Option<String> {
        let Expected {
            rounds,
            crash_rounds,
            ..
        } = *expected;
        let crashes = Town::crashes(self.index);
        if crashes && expected.are_gone {
            return self.is_in().then(|| "it should be gone".to_owned());
        }
        for view in &self.views {
            let place = view.place;
            let (all, crashers) = (view.heard.len() as u32, self.town.crashes_in(Some(place)));
            let present = view.present.iter().filter(|is_there| **is_there).count() as u32;
            let should = all - if expected.are_gone { crashers } else { 0 };
            if present != should {
                return Some(format!("{place}: {present} are there, not {should}"));
            }
            let said = u64::from(rounds * all - crash_rounds * crashers);
            if view.next != said + 1 || view.history != 0 {
                return Some(format!("{place}: {} were heard, not {said}", view.next - 1));
            }
            let left = if expected.have_crashed { crashers } else { 0 };
            if view.left != left && !crashes {
                return Some(format!("{place}: {} have left, not {left}", view.left));
            }
            let restarts = expected.have_restarted && self.town.breaker(place).is_some();
            if view.restarts != u32::from(restarts) {
                return Some(format!("{place}: {} restarts", view.restarts));
            }
        }
        let is_left_out = crashes || Town::crashes(self.town.before(self.index));
        let direct = rounds - if is_left_out { crash_rounds } else { 0 };
        (self.direct != direct).then(|| format!("{} heard alone, not {direct}", self.direct))
    }
}
