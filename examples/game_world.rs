//! A game world: ten thousand creatures, each an actor that ticks thirty times a second, in zones that are
//! actors, too.
//!
//! ```sh
//! cargo run --release --example game_world                       # ten thousand for five seconds
//! cargo run --release --example game_world -- --creatures 20000 --seconds 10
//! ```
//!
//! - *Creatures* have timers of their own. Sheep wander (`game_world/sheep.rs`); wolves are state machines that
//!   idle, chase and flee (`game_world/wolf.rs`); players walk through the world, look around three times a
//!   second, and are told what is near (`game_world/player.rs`).
//! - *Zones* (`game_world/zone.rs`) know who is where. Being in a zone is being a member of its process group;
//!   the zone follows the group, so whoever leaves, or dies, is off its map without a word of his own.
//! - *Supervisors* keep all of it (`game_world/tree.rs`): creatures are the children of nurseries, of dynamic
//!   supervisors. Several times a second some creatures are made to crash, and now and then a zone; only they
//!   are restarted, and the others tick on.
//! - The *chronicle* (`game_world/chronicle.rs`) is told how late each tick was. It keeps those that
//!   come soon after a crash apart from the others: there should be no difference.
//!
//! What is checked does not depend on how fast the machine is: no tick is early, each crash is one restart and
//! nobody else is restarted, nobody is in two zones, and at the end the zones are empty. Built with
//! panic=abort a creature does not panic, but stops with an error.

#[path = "game_world/body.rs"]
mod body;
#[path = "game_world/chronicle.rs"]
mod chronicle;
#[path = "game_world/fate.rs"]
mod fate;
#[path = "game_world/map.rs"]
mod map;
#[path = "game_world/player.rs"]
mod player;
#[path = "game_world/pulse.rs"]
mod pulse;
#[path = "game_world/sheep.rs"]
mod sheep;
#[path = "game_world/tree.rs"]
mod tree;
#[path = "game_world/wolf.rs"]
mod wolf;
#[path = "game_world/zone.rs"]
mod zone;

use std::collections::HashSet;
use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use weftwork::actor::Pid;
use weftwork::time::sleep;

use fate::Fate;
use player::{Player, WhatNews};
use tree::World;
use zone::Count;

/// Lets a world live for a while.
#[derive(Parser, Debug)]
#[command(about, long_about = None)]
struct Options {
    /// How many creatures live in it.
    #[arg(long, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    creatures: Option<u32>,

    /// For how long.
    #[arg(long)]
    seconds: Option<f64>,
}

/// Whether nobody is in two zones. Returns how many are in one; those who are on the way to another are in
/// none.
fn count_once(world: &World) -> Result<usize, String> {
    let (_monitor, zones) = world.groups.monitor_all();
    let mut seen = HashSet::new();
    for pid in zones.values().flatten() {
        if !seen.insert(pid.clone()) {
            return Err(format!("{pid:?} is in two zones"));
        }
    }
    Ok(seen.len())
}

/// Lets some players tell what they see.
fn ask_players(world: &World) -> Result<(), Box<dyn Error>> {
    let (mut told, mut sightings) = (0, 0);
    let members = world
        .names
        .iter()
        .flat_map(|zone| world.groups.members(zone));
    for player in members.filter_map(|pid: Pid| pid.downcast::<Player>()) {
        let news = player.ask(WhatNews)?;
        sightings += news.sightings;
        if told < 3 {
            println!("{news}");
            told += 1;
        }
    }
    match sightings {
        0 => Err("no player has seen anybody".into()),
        _ => Ok(()),
    }
}

/// Whether all zones have noticed that everybody is gone. Their mail may be on the way.
fn are_empty(world: &World) -> Result<(), Box<dyn Error>> {
    let deadline = Instant::now() + Duration::from_secs(30);
    for zone in &world.zones {
        let zone = zone.wait();
        loop {
            match zone.ask(Count)? {
                0 => break,
                left if Instant::now() > deadline => return Err(format!("{left} are left").into()),
                _ => sleep(Duration::from_millis(1)),
            }
        }
    }
    Ok(())
}

fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let (creatures, seconds) = match std::env::var_os("WEFTWORK_SMALL") {
        Some(_) => (1_000, 1.5),
        None => (10_000, 5.0),
    };
    let creatures = options.creatures.unwrap_or(creatures);
    let time = Duration::try_from_secs_f64(options.seconds.unwrap_or(seconds))?;

    let begin = Instant::now();
    let (world, root) = tree::start(creatures)?;
    println!(
        "{creatures} creatures in {} zones, started in {:.1?}",
        world.zones.len(),
        begin.elapsed()
    );
    let fate = Fate::new(&world).act_for(time)?;
    ask_players(&world)?;
    let there = count_once(&world)?;
    println!("{there} are in one zone, nobody in two");

    root.terminate_child("life")?;
    if !world.groups.groups().is_empty() {
        return Err("the dead are in groups".into());
    }
    are_empty(&world)?;
    let report = world.chronicle.wait().ask(chronicle::Close)?;
    println!("{report}\n{fate}");
    root.shutdown();
    report.check()?;
    // All reports of the nurseries are in: they have ended.
    let restarts = world.restarts();
    if restarts != fate.creatures {
        return Err(format!("{} crashed, {restarts} were restarted", fate.creatures).into());
    }
    Ok(())
}

#[weftwork::main]
fn main() -> ExitCode {
    fate::expect_doom();
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("game_world: {error}");
            ExitCode::FAILURE
        }
    }
}
