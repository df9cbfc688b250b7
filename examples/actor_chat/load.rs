//! The load: many clients driven by one thread and a bare poller, so that they cost little beside the server.
//!
//! Each command of the coordinator is a phase. A phase is over when every client of this process is where it
//! must be, which includes what clients of other processes have to say.

use std::io::{self, BufRead};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tungstenite::protocol::frame::coding::CloseCode;
use weftwork_examples::processes::lifetime::die_with_parent;
use weftwork_examples::processes::measure::clock_ns;
use weftwork_examples::processes::protocol::Message;
use weftwork_reactor::{Events, Poller};

use crate::Outcome;
use crate::checks::{Expected, Heard, Person, compose};
use crate::client::{Link, News};
use crate::options::Options;
use crate::town::{Town, name};

/// Clients that come in at once.
const COMING: usize = 64;

/// How long nothing may come.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often progress is reported.
const PROGRESS: Duration = Duration::from_millis(200);

/// A client, its connection, and what is to become of that.
#[derive(Debug)]
struct Client {
    person: Person,
    link: Link,
    fate: Fate,
}

/// How a connection may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Not at all.
    Stays,
    /// Without a word.
    Crashes,
    /// With the server's goodbye.
    IsToPart,
    HasParted,
}

/// This process's share of the load.
#[derive(Debug)]
struct Load {
    options: Options,
    town: Town,
    poller: Poller,
    events: Events,
    clients: Vec<Client>,
    /// Messages that have not come back to their senders.
    in_flight: usize,
    /// It is the round of crashes.
    is_crash: bool,
    /// Clients that have not been welcomed in both rooms.
    coming: usize,
    latencies: Histogram<u64>,
    /// Messages received, of rooms and alone.
    received: u64,
    presence: u64,
    ended: u32,
    reported: Instant,
}

impl Load {
    fn new(options: &Options) -> Outcome<Load> {
        let town = Town::new(options.load, options.members);
        let own = (0..town.people()).filter(|person| person % options.loads == options.index);
        let client = |index| Client {
            person: Person::new(index, town),
            link: Link::Closed,
            fate: Fate::Stays,
        };
        Ok(Load {
            options: options.clone(),
            town,
            poller: Poller::new().map_err(|e| e.to_string())?,
            events: Events::with_capacity(256),
            clients: own.map(client).collect(),
            in_flight: 0,
            is_crash: false,
            coming: 0,
            latencies: latencies(),
            received: 0,
            presence: 0,
            ended: 0,
            reported: Instant::now(),
        })
    }

    /// Connects the clients for which `is_one` holds, a few at a time, and has each join its rooms.
    fn come(&mut self, is_one: impl Fn(&Client) -> bool) -> Outcome<()> {
        for at in 0..self.clients.len() {
            if !is_one(&self.clients[at]) {
                continue;
            }
            let (server, process) = (self.options.address, self.options.index);
            let client = &mut self.clients[at];
            let name = name(client.person.index);
            client.link = Link::connect(server, process, &self.poller, at as u32, &name)?;
            client.fate = Fate::Stays;
            self.coming += 1;
            while self.coming >= COMING {
                self.pump()?;
            }
        }
        while self.coming > 0 {
            self.pump()?;
        }
        Ok(())
    }

    /// Waits for events and deals with them.
    fn pump(&mut self) -> Outcome<()> {
        let mut events = std::mem::replace(&mut self.events, Events::with_capacity(1));
        let found = self.poller.wait(&mut events, Some(PATIENCE));
        if found.map_err(|e| format!("poller: {e}"))? == 0 {
            return Err(format!("nothing has come in {} s", PATIENCE.as_secs()));
        }
        for event in &events {
            let at = event.token.index() as usize;
            if event.writable {
                self.clients[at].link.flush()?;
            }
            // A handshake begins when the connection can be written to.
            if event.readable || !self.clients[at].link.is_open() {
                self.read(at)?;
            }
        }
        self.events = events;
        self.progress();
        Ok(())
    }

    /// Takes everything that has come for a client.
    fn read(&mut self, at: usize) -> Outcome<()> {
        loop {
            let client = &mut self.clients[at];
            let who = name(client.person.index);
            match client.link.look().map_err(|e| format!("{who}: {e}"))? {
                News::Nothing => return Ok(()),
                News::Open => {
                    for place in self.town.places_of(client.person.index) {
                        client.link.say(format!("/join {place}"))?;
                    }
                }
                News::Line(line) => self.hear(at, &line)?,
                News::Goodbye(CloseCode::Away) if client.fate == Fate::IsToPart => {
                    client.fate = Fate::HasParted;
                }
                News::Goodbye(code) => return Err(format!("{who} heard goodbye: {code}")),
                News::Closed => {
                    if !matches!(client.fate, Fate::Crashes | Fate::HasParted) {
                        return Err(format!("the connection of {who} was lost"));
                    }
                    client.person.is_gone();
                    self.ended += 1;
                    return Ok(());
                }
            }
        }
    }

    fn hear(&mut self, at: usize, line: &str) -> Outcome<()> {
        let client = &mut self.clients[at];
        let was_in = client.person.is_in();
        let heard = client.person.hear(line, u64::from(self.options.history))?;
        // How much one hears before its session crashes is a matter of luck.
        let counts = !(self.is_crash && Town::crashes(client.person.index));
        match heard {
            Heard::Message { sent_ns, is_own } if counts => {
                self.note(sent_ns);
                self.in_flight -= usize::from(is_own);
            }
            Heard::Direct { sent_ns } if counts => self.note(sent_ns),
            Heard::Confirmed if counts => self.in_flight -= 1,
            Heard::Presence => {
                self.presence += 1;
                self.coming -= usize::from(!was_in && self.clients[at].person.is_in());
            }
            _ => {}
        }
        Ok(())
    }

    fn note(&mut self, sent_ns: u64) {
        self.received += 1;
        let latency = clock_ns().saturating_sub(sent_ns).max(1);
        self.latencies.saturating_record(latency);
    }

    /// Has everybody talk for some rounds, a few messages at a time. In a round of crashes those who crash do
    /// so instead.
    fn talk(&mut self, rounds: u32) -> Outcome<()> {
        let is_crash = self.is_crash;
        for _ in 0..rounds {
            for at in 0..self.clients.len() {
                while self.in_flight >= self.options.in_flight as usize {
                    self.pump()?;
                }
                let person = self.clients[at].person.index;
                if is_crash && Town::crashes(person) {
                    self.clients[at].link.say("/crash".to_owned())?;
                    self.clients[at].fate = Fate::Crashes;
                    continue;
                }
                for room in 0..2 {
                    self.say(at, room)?;
                }
                if !(is_crash && Town::crashes(self.town.after(person))) {
                    self.tell(at)?;
                }
            }
        }
        Ok(())
    }

    fn say(&mut self, at: usize, room: usize) -> Outcome<()> {
        let client = &mut self.clients[at];
        let view = &mut client.person.views[room];
        view.sent += 1;
        let text = compose(view.sent, clock_ns(), self.options.size as usize);
        self.in_flight += 1;
        client.link.say(format!("/say {} {text}", view.place))
    }

    fn tell(&mut self, at: usize) -> Outcome<()> {
        let client = &mut self.clients[at];
        let to = name(self.town.after(client.person.index));
        client.person.direct_sent += 1;
        let number = client.person.direct_sent;
        let text = compose(number, clock_ns(), self.options.size as usize);
        self.in_flight += 1;
        client.link.say(format!("/msg {to} {text}"))
    }

    /// Makes some of the rooms crash.
    fn break_rooms(&mut self) -> Outcome<()> {
        for client in &mut self.clients {
            for place in self.town.places_of(client.person.index) {
                if self.town.breaker(place) == Some(client.person.index) {
                    client.link.say(format!("/crash {place}"))?;
                }
            }
        }
        Ok(())
    }

    /// Waits until everybody is where `expected` says. Then nothing else may be under way.
    fn settle(&mut self, expected: &Expected) -> Outcome<()> {
        let mut left: Vec<usize> = (0..self.clients.len()).collect();
        let started = Instant::now();
        loop {
            left.retain(|&at| self.clients[at].person.misses(expected).is_some());
            let Some(&first) = left.first() else { break };
            let person = &self.clients[first].person;
            let late = || {
                let what = person.misses(expected).unwrap_or_default();
                format!("{}, first {}: {what}", left.len(), name(person.index))
            };
            if started.elapsed() > PATIENCE * 4 {
                return Err(format!("not in time: {}", late()));
            }
            let late = late();
            self.pump()
                .map_err(|e| format!("{e}; not where they should be: {late}"))?;
        }
        while self.in_flight > 0 {
            self.pump()?;
        }
        Ok(())
    }

    /// Waits until everybody has been said goodbye to.
    fn part(&mut self) -> Outcome<()> {
        for client in &mut self.clients {
            client.fate = Fate::IsToPart;
        }
        let ended = self.ended + self.clients.len() as u32;
        while self.ended < ended {
            self.pump()?;
        }
        Ok(())
    }

    fn progress(&mut self) {
        if self.reported.elapsed() >= PROGRESS {
            self.reported = Instant::now();
            Message::new("progress").with("done", self.received).say();
        }
    }

    /// What a phase has come to, for the coordinator. The next one counts anew.
    fn result(&mut self, word: &str) -> Message {
        let result = Message::new(word)
            .with("received", std::mem::take(&mut self.received))
            .with("presence", std::mem::take(&mut self.presence))
            .with("ended", std::mem::take(&mut self.ended))
            .with("histogram", written(&self.latencies));
        self.latencies.reset();
        result
    }

    /// Does one phase.
    fn phase(&mut self, command: &Message) -> Outcome<Message> {
        if command.word == "part" {
            self.part()?;
            return Ok(self.result("done"));
        }
        let expected = Expected {
            rounds: command.get("rounds")?,
            crash_rounds: command.get("crash_rounds")?,
            are_gone: command.get("are_gone")?,
            have_crashed: command.get("have_crashed")?,
            have_restarted: command.get("have_restarted")?,
        };
        self.is_crash = expected.are_gone;
        match &*command.word {
            "come" => self.come(|client| !client.link.is_open())?,
            "talk" => self.talk(command.get("talk")?)?,
            "break" => self.break_rooms()?,
            _ => return Err(format!("unknown command: {command}")),
        }
        self.settle(&expected)?;
        Ok(self.result("done"))
    }

    /// Does what the coordinator says, until it says no more.
    fn obey(&mut self) -> Outcome<()> {
        Message::new("ready").say();
        for line in io::stdin().lock().lines() {
            let command = Message::parse(&line.map_err(|e| e.to_string())?);
            if command.word == "quit" {
                break;
            }
            self.phase(&command)?.say();
        }
        Ok(())
    }
}

/// An empty record of latencies in nanoseconds, up to a minute, to three digits.
pub(crate) fn latencies() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("the bounds are valid")
}

/// As a field of a message.
pub(crate) fn written(latencies: &Histogram<u64>) -> String {
    let buckets: Vec<String> = latencies
        .iter_recorded()
        .map(|bucket| format!("{}:{}", bucket.value_iterated_to(), bucket.count_at_value()))
        .collect();
    buckets.join(",")
}

/// Adds what [`written`] has made.
pub(crate) fn add(latencies: &mut Histogram<u64>, written: &str) -> Outcome<()> {
    for bucket in written.split(',').filter(|bucket| !bucket.is_empty()) {
        let (value, count) = bucket.split_once(':').ok_or("a broken histogram")?;
        let value = value.parse().map_err(|_| "a broken histogram")?;
        let count = count.parse().map_err(|_| "a broken histogram")?;
        latencies.saturating_record_n(value, count);
    }
    Ok(())
}

/// Makes load until standard input ends or says to quit.
pub(crate) fn run(options: &Options) -> Outcome<()> {
    die_with_parent().map_err(|e| e.to_string())?;
    let result = Load::new(options).and_then(|mut load| load.obey());
    if let Err(error) = &result {
        Message::new("error").with("text", error).say();
    }
    result
}
