//! Actors that start, link, monitor, set timers and end, all at once: each end is told once to each who is
//! to hear of it, to nobody else, and nothing outlives its actor.

mod storm;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use storm::{Crowd, Dice, breathe, crash, end, on_both};
use weftwork_actor::{
    Actor, Addr, Context, Down, Exit, Handler, InitError, MonitorRef, Options, Pid, Reason,
    StartError, System, TimerRef, start, start_async,
};
use weftwork_core::sync::Mutex;
use weftwork_sched::Runtime;
use weftwork_testkit::{Counted, DropCounter, iters, watchdog};

/// Does nothing but live.
struct Mortal {
    _state: Counted<Box<u64>>,
}

/// How the `init` of a mortal goes.
#[derive(Clone, Copy)]
enum Birth {
    Lives,
    Ignores,
    Fails,
    Crashes,
}

const BIRTHS: [Birth; 6] = [
    Birth::Lives,
    Birth::Lives,
    Birth::Lives,
    Birth::Ignores,
    Birth::Fails,
    Birth::Crashes,
];

impl Actor for Mortal {
    type Args = (Birth, Counted<Box<u64>>);
    fn init((birth, state): Self::Args, _: &mut Context<Self>) -> Result<Self, InitError> {
        match birth {
            Birth::Lives => Ok(Mortal { _state: state }),
            Birth::Ignores => Err(InitError::Ignore),
            Birth::Fails => Err(Reason::other("failed").into()),
            Birth::Crashes => crash(),
        }
    }
}

/// A message to crash.
struct Crash;

impl Handler<Crash> for Mortal {
    type Reply = ();
    fn handle(&mut self, _: Crash, _: &mut Context<Self>) {
        crash();
    }
}

/// Asserts that a start came to what its `init` made of it.
fn born(started: Result<Addr<Mortal>, StartError>, birth: Birth) -> Option<Addr<Mortal>> {
    match (birth, started) {
        (Birth::Lives, Ok(mortal)) => Some(mortal),
        (Birth::Ignores, Err(StartError::Ignored)) => None,
        (Birth::Fails, Err(StartError::Failed(reason))) => {
            assert_eq!(reason, Reason::other("failed"));
            None
        }
        (Birth::Crashes, Err(StartError::Failed(reason))) => {
            assert!(reason.is_panic());
            None
        }
        (_, started) => panic!("a start came to {started:?}"),
    }
}

/// Ends a mortal in one way or another; asserts that it ends as it is told to.
fn told_end(mortal: &Addr<Mortal>, way: usize) -> impl Fn(&Reason) -> bool + use<> {
    let told = match way % 6 {
        way @ 0..4 => Some(end(&mortal.pid(), way)),
        4 => {
            mortal.tell(Crash).unwrap();
            None
        }
        _ => {
            // Behind the first, so it comes too late.
            let first = end(&mortal.pid(), 3);
            mortal.stop(Reason::Normal);
            Some(first)
        }
    };
    move |reason| match &told {
        Some(told) => reason == told,
        None => reason.is_panic(),
    }
}

fn each_start_comes_to_its_end_whoever_starts_and_stops(runtime: &Runtime, system: &System) {
    let each = iters(4_000, 1_000, 20);
    let drops = DropCounter::new();
    let mut crowd = Crowd::new(runtime);
    for party in 0..2 {
        let work = |system: System, drops: DropCounter| {
            move || {
                for n in 0..each {
                    let birth = BIRTHS[n % BIRTHS.len()];
                    let state = drops.track(Box::new(n as u64));
                    let started = start::<Mortal>(&system, (birth, state), Options::new());
                    let Some(mortal) = born(started, birth) else {
                        continue;
                    };
                    let watch = mortal.pid().watch();
                    let is_told = told_end(&mortal, n / 3 + party);
                    let reason = watch.wait_down();
                    assert!(is_told(&reason), "it ended with {reason}");
                    assert!(!mortal.is_alive());
                    assert!(mortal.try_tell(Crash).unwrap_err().is_dead());
                    assert_eq!(mortal.pid().watch().wait_down(), Reason::NoProc);
                }
            }
        };
        crowd.thread(work(system.clone(), drops.clone()));
        crowd.green(work(system.clone(), drops.clone()));
        let (system, drops) = (system.clone(), drops.clone());
        crowd.future(async move || {
            for n in 0..each {
                let birth = BIRTHS[n % BIRTHS.len()];
                let state = drops.track(Box::new(n as u64));
                let starting = start_async::<Mortal>(&system, (birth, state), Options::new());
                let Some(mortal) = born(starting.await, birth) else {
                    continue;
                };
                let watch = mortal.pid().watch();
                let is_told = told_end(&mortal, n / 3 + party);
                let reason = watch.await;
                assert!(is_told(&reason), "it ended with {reason}");
            }
        });
    }
    crowd.join();
    // A state goes before its end is told.
    drops.assert_none_live();
}

/// Traps exits; links itself to mortals and monitors them, and keeps a book of what it must hear.
#[derive(Default)]
struct Watchful {
    /// How many exits are to come from whom: a link to the dead is one more.
    links: HashMap<Pid, usize>,
    monitors: HashMap<MonitorRef, Pid>,
}

impl Actor for Watchful {
    type Args = ();
    fn init((): (), ctx: &mut Context<Self>) -> Result<Self, InitError> {
        ctx.trap_exit(true);
        Ok(Watchful::default())
    }

    fn on_exit(&mut self, exit: Exit, _: &mut Context<Self>) {
        assert!(!exit.from.is_alive());
        let left = self.links.get_mut(&exit.from);
        let left = left.expect("an exit without a link");
        *left -= 1;
        if *left == 0 {
            self.links.remove(&exit.from);
        }
    }

    fn on_down(&mut self, down: Down, _: &mut Context<Self>) {
        let pid = self.monitors.remove(&down.monitor);
        assert_eq!(pid.as_ref(), Some(&down.pid), "a down without a monitor");
        assert!(!down.pid.is_alive());
    }
}

/// What a watchful one is to do with a mortal.
#[derive(Clone)]
enum Order {
    Link(Pid),
    Unlink(Pid),
    Monitor(Pid),
    /// One of its monitors, of whomever.
    Demonitor,
}

impl Handler<Order> for Watchful {
    type Reply = ();
    fn handle(&mut self, order: Order, ctx: &mut Context<Self>) {
        match order {
            Order::Link(pid) => {
                let is_new = !ctx.links().contains(&pid);
                ctx.link(&pid).expect("it traps exits");
                if is_new {
                    *self.links.entry(pid).or_default() += 1;
                }
            }
            Order::Unlink(pid) => {
                ctx.unlink(&pid);
                self.links.remove(&pid);
            }
            Order::Monitor(pid) => {
                let monitor = ctx.monitor(&pid);
                self.monitors.insert(monitor, pid);
            }
            Order::Demonitor => {
                if let Some(monitor) = self.monitors.keys().next().copied() {
                    assert!(ctx.demonitor(monitor), "it was not answered");
                    assert!(!ctx.demonitor(monitor), "it is gone");
                    self.monitors.remove(&monitor);
                }
            }
        }
    }
}

/// Of how many ends it is still to hear.
struct Owed;

impl Handler<Owed> for Watchful {
    type Reply = usize;
    fn handle(&mut self, _: Owed, _: &mut Context<Self>) -> usize {
        self.links.len() + self.monitors.len()
    }
}

fn mortal(system: &System, drops: &DropCounter) -> Addr<Mortal> {
    let state = drops.track(Box::new(7));
    start::<Mortal>(system, (Birth::Lives, state), Options::new()).unwrap()
}

fn each_end_is_told_once_for_each_link_and_monitor(runtime: &Runtime, system: &System) {
    const MORTALS: usize = 12;
    let each = iters(6_000, 1_500, 30);
    let drops = DropCounter::new();
    let watchful: Arc<[_; 4]> = Arc::new(std::array::from_fn(|_| {
        start::<Watchful>(system, (), Options::new()).unwrap()
    }));
    let mortals: Vec<_> = (0..MORTALS).map(|_| mortal(system, &drops)).collect();
    let mortals = Arc::new(Mutex::new(mortals));
    let mut crowd = Crowd::new(runtime);
    let order = |dice: &mut Dice, pid: Pid| match dice.below(8) {
        0..=2 => Order::Link(pid),
        3 => Order::Unlink(pid),
        4..=6 => Order::Monitor(pid),
        _ => Order::Demonitor,
    };
    for party in 0..2_u64 {
        let work = |seed: u64| {
            let mut dice = Dice::new(seed);
            let (watchful, mortals) = (Arc::clone(&watchful), Arc::clone(&mortals));
            move || {
                for _ in 0..each {
                    let pid = mortals.lock()[dice.below(MORTALS)].pid();
                    let order = order(&mut dice, pid);
                    watchful[dice.below(4)].tell(order).unwrap();
                }
            }
        };
        crowd.thread(work(party));
        crowd.green(work(party + 2));
        // One who ends mortals, and puts others in their places.
        let mut dice = Dice::new(party + 4);
        let (system, drops, mortals) = (system.clone(), drops.clone(), Arc::clone(&mortals));
        crowd.future(async move || {
            for n in 0..each / 8 {
                let new = mortal(&system, &drops);
                let at = dice.below(MORTALS);
                let old = std::mem::replace(&mut mortals.lock()[at], new);
                drop(told_end(&old, n));
            }
        });
    }
    crowd.join();
    for mortal in mortals.lock().drain(..) {
        mortal.kill();
    }
    for one in watchful.iter() {
        while one.ask(Owed).unwrap() > 0 {
            breathe();
        }
        let watch = one.pid().watch();
        one.stop(Reason::Normal);
        assert_eq!(watch.wait_down(), Reason::Normal);
    }
    while drops.live() > 0 {
        breathe();
    }
}

/// Links itself to others and lets go of them.
struct Chained;

enum Chain {
    To(Pid),
    Off(Pid),
}

/// Who it is linked to.
struct Links;

impl Actor for Chained {
    type Args = ();
    fn init((): (), _: &mut Context<Self>) -> Result<Self, InitError> {
        Ok(Chained)
    }
}

impl Handler<Chain> for Chained {
    type Reply = ();
    fn handle(&mut self, chain: Chain, ctx: &mut Context<Self>) {
        match chain {
            Chain::To(pid) => ctx.link(&pid).expect("all are alive"),
            Chain::Off(pid) => ctx.unlink(&pid),
        }
    }
}

impl Handler<Links> for Chained {
    type Reply = Vec<Pid>;
    fn handle(&mut self, _: Links, ctx: &mut Context<Self>) -> Vec<Pid> {
        ctx.links()
    }
}

fn links_have_two_ends_and_those_who_hang_together_end_together(
    runtime: &Runtime,
    system: &System,
) {
    const MANY: usize = 6;
    for round in 0..iters(150, 40, 2) as u64 {
        let chained: Arc<[_; MANY]> = Arc::new(std::array::from_fn(|_| {
            start::<Chained>(system, (), Options::new()).unwrap()
        }));
        let mut crowd = Crowd::new(runtime);
        for party in 0..4 {
            let mut dice = Dice::new(round * 4 + party);
            let chained = Arc::clone(&chained);
            let work = move || {
                for _ in 0..30 {
                    let (a, b) = (dice.below(MANY), dice.below(MANY));
                    let other = chained[b].pid();
                    let order = match dice.below(5) {
                        0..=1 => Chain::To(other),
                        _ => Chain::Off(other),
                    };
                    chained[a].tell(order).unwrap();
                }
            };
            match party % 2 {
                0 => crowd.thread(work),
                _ => crowd.green(work),
            }
        }
        crowd.join();
        // An order, its signal, and the answer to that: after three rounds of answers all is quiet.
        let mut links: Vec<HashSet<Pid>> = Vec::new();
        for _ in 0..4 {
            let ask = |one: &Addr<Chained>| one.ask(Links).unwrap().into_iter().collect();
            links = chained.iter().map(ask).collect();
        }
        let pids: Vec<_> = chained.iter().map(Addr::pid).collect();
        for (a, of_a) in links.iter().enumerate() {
            for (b, of_b) in links.iter().enumerate() {
                let (there, back) = (of_a.contains(&pids[b]), of_b.contains(&pids[a]));
                assert_eq!(there, back, "a link with one end");
            }
        }
        // Who hangs together with the first.
        let mut together = vec![0];
        let mut seen = 0;
        while let Some(&at) = together.get(seen) {
            seen += 1;
            for (b, pid) in pids.iter().enumerate() {
                if links[at].contains(pid) && !together.contains(&b) {
                    together.push(b);
                }
            }
        }
        let watches: Vec<_> = pids.iter().map(Pid::watch).collect();
        pids[0].exit(Reason::other("storm"));
        for (at, watch) in watches.into_iter().enumerate() {
            if together.contains(&at) {
                assert_eq!(watch.wait_down(), Reason::other("storm"));
            } else {
                assert!(chained[at].ask(Links).is_ok(), "not linked, and not ended");
            }
        }
        pids.iter().for_each(Pid::kill);
    }
}

/// Sets timers and cancels them, and hears of none that it has cancelled.
struct Clocked {
    drops: DropCounter,
    live: HashMap<u64, TimerRef>,
    series: HashMap<u64, TimerRef>,
    set: u64,
    dice: Dice,
}

#[derive(Clone)]
struct Tick {
    number: u64,
    _state: Arc<Counted<u64>>,
}

impl Actor for Clocked {
    type Args = (DropCounter, u64);
    fn init((drops, seed): Self::Args, ctx: &mut Context<Self>) -> Result<Self, InitError> {
        let mut clocked = Clocked {
            drops,
            live: HashMap::new(),
            series: HashMap::new(),
            set: 0,
            dice: Dice::new(seed),
        };
        for _ in 0..8 {
            clocked.set_one(ctx);
        }
        Ok(clocked)
    }
}

impl Clocked {
    fn set_one(&mut self, ctx: &mut Context<Self>) {
        self.set += 1;
        let number = self.set;
        let tick = Tick {
            number,
            _state: Arc::new(self.drops.track(number)),
        };
        let soon = Duration::from_micros(self.dice.below(300) as u64 + 1);
        match self.dice.below(4) {
            0 => {
                let timer = ctx.send_every(soon, tick);
                self.series.insert(number, timer);
            }
            // Keyed ones have odd numbers; one takes the place of another one.
            1 if number % 2 == 1 => {
                let key = number % 3;
                self.live
                    .retain(|number, _| number % 3 != key || number.is_multiple_of(2));
                let timer = ctx.send_after_keyed(key, soon, tick);
                self.live.insert(number, timer);
            }
            _ if number.is_multiple_of(2) => {
                let timer = ctx.send_after(soon, tick);
                self.live.insert(number, timer);
            }
            _ => {}
        }
    }
}

impl Handler<Tick> for Clocked {
    type Reply = ();
    fn handle(&mut self, tick: Tick, ctx: &mut Context<Self>) {
        let is_awaited =
            self.live.remove(&tick.number).is_some() || self.series.contains_key(&tick.number);
        assert!(is_awaited, "a tick of a timer that is gone");
        self.set_one(ctx);
        if self.series.len() > 4 {
            let number = *self.series.keys().next().expect("there are five");
            let timer = self.series.remove(&number).expect("it is there");
            assert!(ctx.cancel(timer));
            assert!(!ctx.cancel(timer));
        }
        if self.dice.below(3) == 0
            && let Some(number) = self.live.keys().next().copied()
        {
            let timer = self.live.remove(&number).expect("it is there");
            assert!(ctx.cancel(timer), "it has not been handled");
        }
        self.set_one(ctx);
    }
}

fn timers_end_with_their_actor_and_not_after_a_cancel(runtime: &Runtime, system: &System) {
    let rounds = iters(400, 100, 4);
    let drops = DropCounter::new();
    let mut crowd = Crowd::new(runtime);
    for party in 0..3 {
        let (system, drops) = (system.clone(), drops.clone());
        let work = move || {
            for round in 0..rounds {
                let seed = (round * 3 + party) as u64;
                let args = (drops.clone(), seed);
                let clocked = start::<Clocked>(&system, args, Options::new()).unwrap();
                let mut watch = clocked.pid().watch();
                // It may be in the middle of anything; a failed assertion is its end, too.
                let soon = Duration::from_micros((round % 50) as u64 * 40);
                assert!(watch.wait_timeout(soon).is_err());
                let told = end(&clocked.pid(), round);
                assert_eq!(watch.wait_down(), told);
            }
        };
        match party {
            0 => crowd.thread(work),
            _ => crowd.green(work),
        }
    }
    crowd.join();
    while drops.live() > 0 {
        breathe();
    }
}

fn main() {
    // They crash on purpose.
    weftwork_actor::reports::silence();
    let _dog = watchdog(Duration::from_secs(180));
    on_both(
        "starts and ends",
        each_start_comes_to_its_end_whoever_starts_and_stops,
    );
    on_both(
        "links and monitors",
        each_end_is_told_once_for_each_link_and_monitor,
    );
    on_both(
        "links in circles",
        links_have_two_ends_and_those_who_hang_together_end_together,
    );
    on_both("timers", timers_end_with_their_actor_and_not_after_a_cancel);
}
