//! The first process: starts the others, leads them through the phases, and compares what they say.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use weftwork_examples::processes::children::Children;
use weftwork_examples::processes::limit::raise_limit;
use weftwork_examples::processes::protocol::Message;

use crate::Outcome;
use crate::flood;
use crate::load::{add, latencies};
use crate::options::Options;
use crate::report;
use crate::town::Town;

/// Descriptors of the server besides its connections.
const RESERVE: u64 = 100;

/// How long a count of the server may take to come to what it must be.
const SETTLING: Duration = Duration::from_secs(20);

/// The whole undertaking.
struct Run {
    options: Options,
    town: Town,
    children: Children,
    server: usize,
    flood: usize,
    loads: Vec<usize>,
    /// Answers that came while others were waited for.
    early: Vec<Message>,
    /// Where everybody must be by now.
    rounds: u32,
    crash_rounds: u32,
    have_restarted: bool,
}

/// What a phase came to.
#[derive(Debug, Clone)]
pub(crate) struct Phase {
    pub(crate) seconds: f64,
    /// Messages that clients received, of rooms and alone.
    pub(crate) received: u64,
    /// News of who comes and goes.
    pub(crate) presence: u64,
    /// Connections that ended.
    pub(crate) ended: u64,
    pub(crate) latencies: Histogram<u64>,
}

/// What clients who did not read came to, and those beside them.
#[derive(Debug, Clone)]
pub(crate) struct Flood {
    pub(crate) received: u64,
    /// What the luckiest of those who did not read had before it lost its connection.
    pub(crate) most: u64,
    pub(crate) latencies: Histogram<u64>,
}

/// What the server counts and measures.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Totals {
    pub(crate) sessions: u64,
    pub(crate) live_sessions: u64,
    pub(crate) live_rooms: u64,
    pub(crate) crashed: u64,
    pub(crate) slow: u64,
    pub(crate) odd: u64,
    pub(crate) rooms: u64,
    pub(crate) rooms_crashed: u64,
    pub(crate) readers: u64,
    pub(crate) written: u64,
    pub(crate) rss_kib: u64,
    pub(crate) tables_kib: u64,
    pub(crate) cpu_us: u64,
}

/// Everything that was measured.
#[derive(Debug)]
pub(crate) struct Results {
    pub(crate) options: Options,
    pub(crate) rooms: u64,
    pub(crate) before: Totals,
    pub(crate) idle: Totals,
    pub(crate) after: Totals,
    pub(crate) coming: Phase,
    pub(crate) talk: Phase,
    /// Processor time of the server meanwhile.
    pub(crate) talk_cpu_us: u64,
    pub(crate) crash: Phase,
    pub(crate) again: Phase,
    pub(crate) breaking: Phase,
    pub(crate) flooded: Phase,
    pub(crate) flood: Flood,
    pub(crate) parting: Phase,
    /// The phases of the server's shutdown.
    pub(crate) phases: String,
}

/// Runs everything and prints the results.
pub(crate) fn run(options: &Options) -> Outcome<()> {
    let needed = u64::from(options.load + flood::SESSIONS) + RESERVE;
    let limit = raise_limit(needed).map_err(|e| format!("file limit: {e}"))?;
    if limit < needed {
        return Err(format!(
            "{} connections need {needed} descriptors in the server, and it may have {limit}",
            options.load
        ));
    }
    let deadline = Instant::now() + Duration::from_secs(options.limit);
    let mut children = Children::new(deadline);
    let arguments = options.child_arguments("server", "127.0.0.1:0", 0);
    let server = children.start("server", arguments)?;
    let ready = children.gather(&[server], "ready", |_, _| {})?;
    let address = ready[0].text("address")?.to_owned();
    println!(
        "{} WebSocket connections to ws://{address}, one actor each, by {} load processes",
        options.load, options.loads
    );
    let mut start = |role: &str, index| {
        let arguments = options.child_arguments(role, &address, index);
        children.start(format!("{role} process {index}"), arguments)
    };
    let loads = (0..options.loads).map(|index| start("load", index));
    let loads = loads.collect::<Outcome<Vec<_>>>()?;
    let flood = start("flood", options.loads)?;
    let others: Vec<usize> = loads.iter().copied().chain([flood]).collect();
    children.gather(&others, "ready", |_, _| {})?;

    let mut run = Run {
        options: options.clone(),
        town: Town::new(options.load, options.members),
        children,
        server,
        flood,
        loads,
        early: Vec::new(),
        rounds: 0,
        crash_rounds: 0,
        have_restarted: false,
    };
    let results = run.lead()?;
    run.children.quit()?;
    report::print(&results);
    Ok(())
}

impl Run {
    /// Leads everybody through the phases.
    fn lead(&mut self) -> Outcome<Results> {
        let people = u64::from(self.options.load);
        let before = self.totals()?;

        let coming = self.phase("come", false)?;
        let idle = self.totals()?;
        let rooms = self.town.places().count() as u64;
        compare("sessions", idle.live_sessions, people)?;
        compare("readers", idle.readers, people)?;
        compare("rooms", idle.live_rooms, rooms)?;
        println!("all are there and know of each other");

        self.rounds += self.options.rounds;
        let talk = self.phase("talk", false)?;
        self.compare_received(&talk, self.options.rounds, false)?;
        let talk_cpu_us = self.totals()?.cpu_us - idle.cpu_us;
        println!(
            "{} messages received, each by whom it was for, in order",
            talk.received
        );

        // Some crash while the others talk.
        let crashes = u64::from(self.town.crashes_in(None));
        self.rounds += 1;
        self.crash_rounds += 1;
        let crash = self.phase("talk", true)?;
        self.compare_received(&crash, 1, true)?;
        compare("connections lost by crashes", crash.ended, crashes)?;
        let totals = self.wait_for(|totals| totals.live_sessions, people - crashes)?;
        compare("crashes", totals.crashed, crashes)?;
        compare("readers", totals.readers, people - crashes)?;
        println!("{crashes} sessions crashed, and no other noticed but by the news");

        let again = self.phase("come", false)?;
        let totals = self.totals()?;
        compare(
            "sessions that were started",
            totals.sessions,
            people + crashes,
        )?;
        compare("sessions", totals.live_sessions, people)?;

        let places = self.town.places();
        let broken = places
            .filter(|place| self.town.breaker(*place).is_some())
            .count() as u64;
        self.have_restarted = true;
        let breaking = self.phase("break", false)?;
        let totals = self.totals()?;
        compare("rooms that crashed", totals.rooms_crashed, broken)?;
        compare("rooms that were started", totals.rooms, rooms + broken)?;
        compare("rooms", totals.live_rooms, rooms)?;
        println!("{broken} rooms crashed, and were there again with all members and their history");

        // Everybody talks while some elsewhere do not read; this also proves the rooms that were started.
        self.rounds += 1;
        self.children.tell(self.flood, &Message::new("flood"))?;
        let flooded = self.phase("talk", false)?;
        self.compare_received(&flooded, 1, false)?;
        let answer = self.answer(self.flood, "flooded")?;
        let mut flood = Flood {
            received: answer.get("messages")?,
            most: answer.get("most")?,
            latencies: latencies(),
        };
        add(&mut flood.latencies, answer.text("histogram")?)?;
        let after = self.wait_for(|totals| totals.live_sessions, people)?;
        compare("slow sessions", after.slow, u64::from(flood::SLOW))?;
        println!(
            "{} clients that did not read lost their connections, and nobody waited",
            after.slow
        );

        let (parting, phases) = self.part()?;
        Ok(Results {
            options: self.options.clone(),
            rooms,
            before,
            idle,
            after,
            coming,
            talk,
            talk_cpu_us,
            crash,
            again,
            breaking,
            flooded,
            flood,
            parting,
            phases,
        })
    }

    /// Has all load processes do one phase. `is_crash` is for one in which some crash, and are gone then.
    fn phase(&mut self, word: &str, is_crash: bool) -> Outcome<Phase> {
        let talk = if is_crash { 1 } else { self.talk_rounds() };
        let command = Message::new(word)
            .with("talk", talk)
            .with("rounds", self.rounds)
            .with("crash_rounds", self.crash_rounds)
            .with("are_gone", is_crash)
            .with("have_crashed", self.crash_rounds > 0)
            .with("have_restarted", self.have_restarted);
        let start = Instant::now();
        self.tell_loads(&command)?;
        self.gather_loads(start)
    }

    /// How many rounds of talk the next phase has.
    fn talk_rounds(&self) -> u32 {
        // The first talk has all of them, later ones have one.
        if self.crash_rounds == 0 {
            self.options.rounds
        } else {
            1
        }
    }

    fn tell_loads(&mut self, command: &Message) -> Outcome<()> {
        for &load in &self.loads {
            self.children.tell(load, command)?;
        }
        Ok(())
    }

    fn gather_loads(&mut self, start: Instant) -> Outcome<Phase> {
        let early = &mut self.early;
        let keep = |_, message: &Message| {
            if message.word != "progress" {
                early.push(message.clone());
            }
        };
        let answers = self.children.gather(&self.loads, "done", keep)?;
        let mut phase = Phase {
            seconds: start.elapsed().as_secs_f64(),
            received: 0,
            presence: 0,
            ended: 0,
            latencies: latencies(),
        };
        for answer in &answers {
            phase.received += answer.get::<u64>("received")?;
            phase.presence += answer.get::<u64>("presence")?;
            phase.ended += answer.get::<u64>("ended")?;
            add(&mut phase.latencies, answer.text("histogram")?)?;
        }
        Ok(phase)
    }

    /// Waits for the answer of one other than a load process, unless it was early.
    fn answer(&mut self, from: usize, word: &str) -> Outcome<Message> {
        if let Some(at) = self.early.iter().position(|message| message.word == word) {
            return Ok(self.early.remove(at));
        }
        let mut answers = self.children.gather(&[from], word, |_, _| {})?;
        answers.pop().ok_or_else(|| format!("no {word}"))
    }

    /// Compares how many messages were received with how many there were for somebody.
    fn compare_received(&self, phase: &Phase, rounds: u32, is_crash: bool) -> Outcome<()> {
        let town = &self.town;
        let of_rooms: u64 = town
            .places()
            .map(|place| {
                let crashes = if is_crash {
                    town.crashes_in(Some(place))
                } else {
                    0
                };
                u64::from(town.population(place) - crashes).pow(2)
            })
            .sum();
        let is_left_out = |person: &u32| {
            is_crash && (Town::crashes(*person) || Town::crashes(town.before(*person)))
        };
        let alone = (0..town.people())
            .filter(|person| !is_left_out(person))
            .count() as u64;
        let expected = (of_rooms + alone) * u64::from(rounds);
        compare("messages received", phase.received, expected)?;
        compare("latencies", phase.latencies.len(), expected)
    }

    /// Shuts the server down, while all clients wait for its goodbye.
    fn part(&mut self) -> Outcome<(Phase, String)> {
        let start = Instant::now();
        self.tell_loads(&Message::new("part"))?;
        self.children.tell(self.server, &Message::new("shutdown"))?;
        let phase = self.gather_loads(start)?;
        let down = self.answer(self.server, "down")?;
        let phases = down.text("text")?.to_owned();
        if !down.get::<bool>("clean")? {
            return Err(format!("the shutdown was not clean: {phases}"));
        }
        compare("goodbyes", phase.ended, u64::from(self.options.load))?;
        compare("readers that are left", down.get("readers")?, 0)?;
        compare("odd ends", down.get("odd")?, 0)?;
        println!("the server said goodbye to {} clients", phase.ended);
        Ok((phase, phases))
    }

    /// Asks the server.
    fn totals(&mut self) -> Outcome<Totals> {
        let reports = self.children.ask(&[self.server], "report", "report")?;
        let report = &reports[0];
        let totals = Totals {
            sessions: report.get("sessions")?,
            live_sessions: report.get("live_sessions")?,
            live_rooms: report.get("live_rooms")?,
            crashed: report.get("crashed")?,
            slow: report.get("slow")?,
            odd: report.get("odd")?,
            rooms: report.get("rooms")?,
            rooms_crashed: report.get("rooms_crashed")?,
            readers: report.get("readers")?,
            written: report.get("written")?,
            rss_kib: report.get("rss_kib")?,
            tables_kib: report.get("tables_kib")?,
            cpu_us: report.get("cpu_us")?,
        };
        compare("odd ends", totals.odd, 0)?;
        Ok(totals)
    }

    /// Asks the server until a count is `wanted` and there are as many readers as sessions, or for too long.
    fn wait_for(&mut self, count: impl Fn(&Totals) -> u64, wanted: u64) -> Outcome<Totals> {
        let start = Instant::now();
        loop {
            let totals = self.totals()?;
            let is_so = count(&totals) == wanted && totals.readers == totals.live_sessions;
            if is_so || start.elapsed() > SETTLING {
                compare("count of the server", count(&totals), wanted)?;
                compare("readers", totals.readers, totals.live_sessions)?;
                return Ok(totals);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn compare(what: &str, is: u64, should: u64) -> Outcome<()> {
    if is == should {
        return Ok(());
    }
    Err(format!("{what}: {is}, not {should}"))
}
