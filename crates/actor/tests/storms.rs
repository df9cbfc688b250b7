//! A hundred thousand actors under random kills for some seconds, between OS threads, green threads and tasks
//! of tokio: each message is handled, handed back or a dead letter, each question is answered or fails, and
//! no name or group ever points to one whose end was told.
//!
//! Dead letters are counted by the process, so this file has this one test. `WEFTWORK_ITERS` scales it.

mod storm;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use storm::account::{Account, Letter};
use storm::{Crowd, Dice, crash, end};
use weftwork_actor::groups::{Change, Scope};
use weftwork_actor::registry::Registry;
use weftwork_actor::{
    Actor, Addr, AskError, Context, Handler, InitError, Options, System, start, start_async,
};
use weftwork_core::sync::Mutex;
use weftwork_sched::Runtime;
use weftwork_testkit::{iters, watchdog};

/// How long the storm lasts at most.
const LIMIT: Duration = Duration::from_secs(4);
const GROUPS: usize = 512;

/// The actors, by their places, and what they are found by.
struct Town {
    places: Vec<Mutex<Option<Addr<Citizen>>>>,
    names: Registry,
    scope: Scope,
    account: Account,
}

impl Town {
    fn name(place: usize) -> String {
        format!("citizen {place}")
    }

    fn group(place: usize) -> String {
        format!("group {}", place % GROUPS)
    }

    fn someone(&self, dice: &mut Dice) -> Addr<Citizen> {
        let place = self.places[dice.below(self.places.len())].lock();
        place.clone().expect("all places are taken")
    }
}

/// Passes letters on.
struct Citizen {
    town: Arc<Town>,
    dice: Dice,
}

impl Actor for Citizen {
    type Args = (Arc<Town>, usize);

    fn init((town, place): Self::Args, ctx: &mut Context<Self>) -> Result<Self, InitError> {
        town.scope
            .join(Town::group(place), &ctx.pid())
            .expect("it is alive");
        Ok(Citizen {
            town,
            dice: Dice::new(place as u64),
        })
    }
}

/// A letter that is passed on so often.
struct Hop(Letter, usize);

/// A question.
struct Question(Letter);

/// A letter that is too much.
struct Bomb(Letter);

impl Handler<Hop> for Citizen {
    type Reply = ();
    fn handle(&mut self, Hop(letter, hops): Hop, _: &mut Context<Self>) {
        let number = letter.handled();
        if hops > 0 {
            let next = self.town.account.write(number);
            let to = self.town.someone(&mut self.dice);
            if let Err(unsent) = to.try_tell(Hop(next, hops - 1)) {
                unsent.into_inner().0.returned();
            }
        }
    }
}

impl Handler<Question> for Citizen {
    type Reply = u64;
    fn handle(&mut self, Question(letter): Question, _: &mut Context<Self>) -> u64 {
        letter.handled()
    }
}

impl Handler<Bomb> for Citizen {
    type Reply = ();
    fn handle(&mut self, Bomb(letter): Bomb, _: &mut Context<Self>) {
        letter.handled();
        crash();
    }
}

fn options(town: &Town, place: usize) -> Options {
    Options::new().register(town.names.clone(), Town::name(place))
}

/// Sends a letter to somebody, and waits for the answer if it is a question.
fn send(town: &Town, number: u64, dice: &mut Dice) {
    let (to, letter) = (town.someone(dice), town.account.write(number));
    match dice.below(4) {
        0 => {
            if let Err(unsent) = to.tell(Hop(letter, dice.below(4))) {
                unsent.into_inner().0.returned();
            }
        }
        1 => {
            if let Err(unsent) = to.try_tell(Hop(letter, dice.below(4))) {
                unsent.into_inner().0.returned();
            }
        }
        _ => {
            let answer = to.ask_timeout(Question(letter), Duration::MAX);
            settle_question(&to, number, answer);
        }
    }
}

fn settle_question(to: &Addr<Citizen>, number: u64, answer: Result<u64, AskError<Question>>) {
    match answer {
        Ok(answer) => assert_eq!(answer, number),
        Err(AskError::Died(_)) => assert!(!to.is_alive()),
        Err(error) => {
            let Question(letter) = error.into_message().expect("the message comes back");
            letter.returned();
        }
    }
}

/// Ends whoever is in a place, and puts another one there once the end is told. Nobody else does at that
/// place: the places are dealt out among those who do.
fn replace(town: &Arc<Town>, system: &System, place: usize, way: usize) {
    let old = town.places[place].lock().clone().expect("it is taken");
    let watch = old.pid().watch();
    if way % 5 == 4 {
        if let Err(unsent) = old.try_tell(Bomb(town.account.write(0))) {
            unsent.into_inner().0.returned();
            old.kill();
        }
    } else {
        drop(end(&old.pid(), way));
    }
    watch.wait_down();
    assert_eq!(town.names.whereis(&Town::name(place)), None);
    let members = town.scope.members(&Town::group(place));
    assert!(!members.contains(&old.pid()));
    let args = (Arc::clone(town), place);
    let new = start::<Citizen>(system, args, options(town, place)).expect("the name is free");
    *town.places[place].lock() = Some(new);
}

fn begin(
    system: &System,
    runtime: &Runtime,
    tokio: &tokio::runtime::Runtime,
    many: usize,
) -> Arc<Town> {
    let town = Arc::new(Town {
        places: (0..many).map(|_| Mutex::new(None)).collect(),
        names: Registry::new(),
        scope: Scope::new(),
        account: Account::new(),
    });
    let next = Arc::new(AtomicUsize::new(0));
    let mut crowd = Crowd::new(runtime);
    let work = || {
        let (town, system, next) = (Arc::clone(&town), system.clone(), Arc::clone(&next));
        move || loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            if place >= town.places.len() {
                return;
            }
            let args = (Arc::clone(&town), place);
            let one = start::<Citizen>(&system, args, options(&town, place)).unwrap();
            *town.places[place].lock() = Some(one);
        }
    };
    crowd.thread(work());
    crowd.green(work());
    let started = {
        let (town, system, next) = (Arc::clone(&town), system.clone(), Arc::clone(&next));
        tokio.spawn(async move {
            loop {
                let place = next.fetch_add(1, Ordering::Relaxed);
                if place >= town.places.len() {
                    return;
                }
                let args = (Arc::clone(&town), place);
                let one = start_async::<Citizen>(&system, args, options(&town, place));
                let one = one.await.unwrap();
                *town.places[place].lock() = Some(one);
            }
        })
    };
    crowd.join();
    tokio.block_on(started).unwrap();
    town
}

#[test]
fn a_hundred_thousand_actors_under_random_kills_lose_no_message_silently() {
    let _dog = watchdog(Duration::from_secs(240));
    let many = iters(100_000, 20_000, 500).max(2);
    let runtime = Runtime::builder().workers(2).build().unwrap();
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    let system = System::new(runtime.handle());
    let begun = Instant::now();
    let town = begin(&system, &runtime, &tokio, many);
    println!("{many} actors started: {:.1?}", begun.elapsed());
    assert_eq!(town.names.registered().len(), many);

    let (monitor, members) = town.scope.monitor("group 0");
    let mut present = members.len();
    let is_over = Arc::new(AtomicBool::new(false));
    let begun = Instant::now();
    let is_calm = move || begun.elapsed() >= LIMIT;
    let mut crowd = Crowd::new(&runtime);
    for party in 0..2 {
        let killer = {
            let (town, system) = (Arc::clone(&town), system.clone());
            let mut dice = Dice::new(party as u64 + 1);
            move || {
                for n in 0..many / 8 {
                    let place = dice.below(many / 2) * 2 + party;
                    replace(&town, &system, place, n);
                    if is_calm() {
                        return;
                    }
                }
            }
        };
        let sender = {
            let town = Arc::clone(&town);
            let mut dice = Dice::new(party as u64 + 3);
            move || {
                for n in 0..many {
                    send(&town, n as u64, &mut dice);
                    if is_calm() {
                        return;
                    }
                }
            }
        };
        if party == 0 {
            crowd.thread(killer);
            crowd.green(sender);
        } else {
            crowd.green(killer);
            crowd.thread(sender);
        }
    }
    let asking = {
        let town = Arc::clone(&town);
        let mut dice = Dice::new(5);
        tokio.spawn(async move {
            for n in 0..many as u64 {
                let (to, letter) = (town.someone(&mut dice), town.account.write(n));
                if n % 2 == 0 {
                    let asked = to.ask_async_timeout(Question(letter), Duration::MAX);
                    let answer = asked.await;
                    settle_question(&to, n, answer);
                } else if let Err(unsent) = to.tell_async(Hop(letter, 1)).await {
                    unsent.into_inner().0.returned();
                }
                if is_calm() {
                    return;
                }
            }
        })
    };
    let finding = {
        // Whoever is found by its name is in its place, or was: it is another citizen of that name.
        let (town, is_over) = (Arc::clone(&town), Arc::clone(&is_over));
        let mut dice = Dice::new(6);
        std::thread::spawn(move || {
            let mut found = 0_u64;
            while !is_over.load(Ordering::Acquire) {
                let name = Town::name(dice.below(many));
                if let Some(citizen) = town.names.lookup::<Citizen>(&name) {
                    assert_eq!(citizen.pid().name(), Some(name.as_str()));
                    found += 1;
                }
            }
            found
        })
    };
    crowd.join();
    tokio.block_on(asking).unwrap();
    is_over.store(true, Ordering::Release);
    assert!(finding.join().unwrap() > 0);
    println!("the storm: {:.1?}", begun.elapsed());

    let begun = Instant::now();
    let watches: Vec<_> = (town.places.iter())
        .map(|place| place.lock().as_ref().expect("it is taken").pid().watch())
        .collect();
    for watch in watches {
        watch.pid().kill();
        watch.wait_down();
    }
    assert!(town.names.registered().is_empty());
    assert!(town.scope.groups().is_empty());
    while let Ok(event) = monitor.try_recv() {
        match event.change {
            Change::Join => present += 1,
            Change::Leave => present -= 1,
        }
    }
    assert_eq!(present, 0, "a gap");
    println!("all ended: {:.1?}", begun.elapsed());
    town.account.settle();
    println!("{} letters were handled", town.account.handled());
    tokio.shutdown_background();
}
