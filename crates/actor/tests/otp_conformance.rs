//! Plays the same scenarios with a supervisor of Erlang/OTP and with ours, and compares what happens.
//!
//! Not among the ordinary tests, for it needs `erl` and `erlc`: `bash ci/otp.sh` runs it. The OTP side is
//! `otp/conformance.erl`. A scenario is made from its number alone; `WEFTWORK_ITERS` makes it more of them.
//!
//! What is compared: each start and end of a child with its reason, in order; the outcome of each call; the
//! lists and counts; the end of the supervisor. Where OTP says that an order is not specified (the stop of
//! dynamic children) the lines are sorted. Restarts are counted in an hour, so that the two clocks do not
//! matter.

#![allow(clippy::disallowed_types, reason = "tests may use std's locks")]

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use weftwork_actor::supervisor::{
    AddChildErrorKind, AdminError, AutoShutdown, ChildSpec, ChildState, Kind, Restart, Rules,
    Shutdown, SpecError, StartContext, Strategy, SupervisorRef, SupervisorSpec,
};
use weftwork_actor::{
    Actor, Addr, Context, Exit, Handler, InitError, Options, Pid, Reason, StartError, start,
};
use weftwork_sched::Runtime;
use weftwork_testkit::{iters, watchdog};

/// Random numbers: splitmix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % n
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

/// What a child does about exits.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Temper {
    /// It traps them, and ends.
    Trap,
    /// It does not trap them.
    Meek,
    /// It traps them, and goes on.
    Stubborn,
}

#[derive(Debug, Clone)]
struct Child {
    label: &'static str,
    restart: Restart,
    shutdown: Shutdown,
    significant: bool,
    kind: Kind,
    temper: Temper,
}

impl Child {
    fn random(random: &mut Random, label: &'static str) -> Child {
        let temper = random.pick(&[Temper::Trap, Temper::Trap, Temper::Meek, Temper::Stubborn]);
        let second = Shutdown::Timeout(Duration::from_secs(5));
        let shutdown = match temper {
            Temper::Stubborn => Shutdown::Timeout(Duration::from_millis(5)),
            _ => random.pick(&[Shutdown::BrutalKill, second, second, Shutdown::Infinity]),
        };
        let kinds = [
            Restart::Permanent,
            Restart::Permanent,
            Restart::Transient,
            Restart::Temporary,
        ];
        Child {
            label,
            restart: random.pick(&kinds),
            shutdown,
            significant: random.below(6) == 0,
            kind: random.pick(&[Kind::Worker, Kind::Worker, Kind::Supervisor]),
            temper,
        }
    }

    fn rules(&self) -> Rules {
        let rules = Rules::new()
            .restart(self.restart)
            .shutdown(self.shutdown)
            .kind(self.kind);
        if self.significant {
            rules.significant()
        } else {
            rules
        }
    }
}

/// As an Erlang term.
impl fmt::Display for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shutdown = match self.shutdown {
            Shutdown::BrutalKill => "brutal_kill".into(),
            Shutdown::Infinity => "infinity".into(),
            Shutdown::Timeout(time) => time.as_millis().to_string(),
        };
        let (label, significant) = (self.label, self.significant);
        let (restart, kind) = (lower(self.restart), lower(self.kind));
        let temper = lower(self.temper);
        write!(
            f,
            "{{{label},{restart},{shutdown},{significant},{kind},{temper}}}"
        )
    }
}

fn lower(word: impl fmt::Debug) -> String {
    format!("{word:?}").to_lowercase()
}

#[derive(Debug, Clone)]
enum Op {
    Exit(&'static str, &'static str),
    Start(Child),
    Terminate(&'static str),
    Restart(&'static str),
    Delete(&'static str),
    Which,
    Count,
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Op::Exit(label, reason) => write!(f, "{{exit,{label},{reason}}}"),
            Op::Start(child) => write!(f, "{{start,{child}}}"),
            Op::Terminate(label) => write!(f, "{{terminate,{label}}}"),
            Op::Restart(label) => write!(f, "{{restart,{label}}}"),
            Op::Delete(label) => write!(f, "{{delete,{label}}}"),
            Op::Which => f.write_str("which"),
            Op::Count => f.write_str("count"),
        }
    }
}

/// How a start goes.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Ok,
    Ignore,
    Error,
}

struct Scenario {
    number: u64,
    strategy: Strategy,
    intensity: u32,
    auto: AutoShutdown,
    children: Vec<Child>,
    fates: Vec<Fate>,
    ops: Vec<Op>,
}

const LABELS: [&str; 5] = ["a", "b", "c", "d", "e"];
const REASONS: [&str; 6] = ["normal", "shutdown", "{shutdown,x}", "boom", "boom", "kill"];

impl Scenario {
    fn new(number: u64) -> Scenario {
        let random = &mut Random(number);
        let strategy = random.pick(&[
            Strategy::OneForOne,
            Strategy::OneForAll,
            Strategy::RestForOne,
            Strategy::RestForOne,
            Strategy::Dynamic,
        ]);
        let is_dynamic = strategy == Strategy::Dynamic;
        let any = [
            AutoShutdown::Never,
            AutoShutdown::AnySignificant,
            AutoShutdown::AllSignificant,
        ];
        let auto = if is_dynamic {
            AutoShutdown::Never
        } else {
            random.pick(&any)
        };
        let count = if is_dynamic {
            1
        } else {
            1 + random.below(4) as usize
        };
        let child = |random: &mut Random, label| {
            let mut child = Child::random(random, label);
            // Now and then one is impossible; mostly it is not.
            let is_possible = auto != AutoShutdown::Never && child.restart != Restart::Permanent;
            child.significant &= !is_dynamic && (is_possible || random.below(8) == 0);
            if is_dynamic && child.temper == Temper::Stubborn {
                // All have the rules of the first, which may give all the time that it takes.
                child.temper = Temper::Meek;
            }
            child
        };
        let children: Vec<_> = LABELS[..count]
            .iter()
            .map(|label| child(random, label))
            .collect();
        let fates = (0..3 + random.below(12))
            .map(|_| match random.below(15) {
                // OTP 25 keeps a place for a dynamic child whose restart is ignored, and fails to stop it:
                // `terminate_dynamic_children` ends with a function clause. Ours forgets the child.
                0 if !is_dynamic => Fate::Ignore,
                0..=2 => Fate::Error,
                _ => Fate::Ok,
            })
            .chain([Fate::Ok])
            .collect();
        let ops = (0..random.below(16))
            .map(|_| match random.below(14) {
                0..=5 => Op::Exit(random.pick(&LABELS), random.pick(&REASONS)),
                6 | 7 => {
                    let label = random.pick(&LABELS);
                    Op::Start(child(random, label))
                }
                8 | 9 => Op::Terminate(random.pick(&LABELS)),
                10 => Op::Restart(random.pick(&LABELS)),
                11 => Op::Delete(random.pick(&LABELS)),
                12 => Op::Which,
                _ => Op::Count,
            })
            .collect();
        Scenario {
            number,
            strategy,
            intensity: random.pick(&[0, 1, 3, 8]),
            auto,
            children,
            fates,
            ops,
        }
    }
}

fn list(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(",")
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let strategy = match self.strategy {
            Strategy::OneForAll => "one_for_all",
            Strategy::RestForOne => "rest_for_one",
            Strategy::Dynamic => "simple_one_for_one",
            _ => "one_for_one",
        };
        let auto = match self.auto {
            AutoShutdown::Never => "never",
            AutoShutdown::AnySignificant => "any_significant",
            AutoShutdown::AllSignificant => "all_significant",
        };
        write!(
            f,
            "{{scenario,{},{{{strategy},{},{auto}}},[{}],[{}],[{}]}}.",
            self.number,
            self.intensity,
            list(self.children.iter().map(Child::to_string)),
            list(self.fates.iter().map(|fate| lower(*fate))),
            list(self.ops.iter().map(Op::to_string)),
        )
    }
}

/// What happens, in our world.
struct World {
    fates: Vec<Fate>,
    starts: usize,
    lines: String,
    /// The lines that are sorted before they are added.
    held: Option<Vec<String>>,
    found: HashMap<&'static str, Addr<Puppet>>,
}

type Shared = Arc<Mutex<World>>;

fn say(world: &Shared, line: String) {
    let mut world = world.lock().unwrap();
    match &mut world.held {
        Some(held) => held.push(line),
        None => writeln!(world.lines, "{line}").unwrap(),
    }
}

fn hold(world: &Shared) {
    world.lock().unwrap().held = Some(Vec::new());
}

fn release(world: &Shared) {
    let mut world = world.lock().unwrap();
    let mut held = world.held.take().unwrap_or_default();
    held.sort();
    for line in held {
        writeln!(world.lines, "{line}").unwrap();
    }
}

struct Puppet {
    label: &'static str,
    temper: Temper,
    world: Shared,
}

struct Die(Reason);

impl Actor for Puppet {
    type Args = (&'static str, Temper, Shared);

    fn init(
        (label, temper, world): Self::Args,
        ctx: &mut Context<Self>,
    ) -> Result<Self, InitError> {
        ctx.trap_exit(temper != Temper::Meek);
        say(&world, format!("up {label}"));
        world.lock().unwrap().found.insert(label, ctx.addr());
        Ok(Puppet {
            label,
            temper,
            world,
        })
    }

    fn on_exit(&mut self, exit: Exit, ctx: &mut Context<Self>) {
        if self.temper != Temper::Stubborn {
            ctx.stop(exit.reason);
        }
    }

    fn terminate(&mut self, reason: &Reason, _: &mut Context<Self>) {
        say(&self.world, format!("down {}: {reason}", self.label));
    }
}

impl Handler<Die> for Puppet {
    type Reply = ();
    fn handle(&mut self, Die(reason): Die, ctx: &mut Context<Self>) {
        ctx.stop(reason);
    }
}

fn start_puppet(
    ctx: &mut StartContext<'_>,
    child: &Child,
    world: &Shared,
) -> Result<Addr<Puppet>, StartError> {
    let (label, fate) = {
        let mut world = world.lock().unwrap();
        world.starts += 1;
        (
            child.label,
            world.fates[(world.starts - 1) % world.fates.len()],
        )
    };
    let args = (label, child.temper, Arc::clone(world));
    match fate {
        // One that is not the supervisor's child need not obey it.
        Fate::Ok if child.temper == Temper::Stubborn => {
            start::<Puppet>(&ctx.system(), args, Options::new())
        }
        Fate::Ok => ctx.start::<Puppet>(args, Options::new()),
        Fate::Ignore => {
            say(world, format!("ignores {label}"));
            Err(StartError::Ignored)
        }
        Fate::Error => {
            say(world, format!("fails {label}"));
            Err(StartError::Failed(Reason::other("no")))
        }
    }
}

fn spec(child: &Child, world: &Shared, is_dynamic: bool) -> ChildSpec {
    let (owned, world) = (child.clone(), Arc::clone(world));
    let start = move |ctx: &mut StartContext<'_>| start_puppet(ctx, &owned, &world);
    if is_dynamic {
        ChildSpec::dynamic(start)
    } else {
        ChildSpec::new(child.label, start).rules(child.rules())
    }
}

/// Plays a scenario with our supervisor, and returns what happened.
fn play(rt: &Runtime, scenario: &Scenario) -> String {
    let world = Arc::new(Mutex::new(World {
        fates: scenario.fates.clone(),
        starts: 0,
        lines: String::new(),
        held: None,
        found: HashMap::new(),
    }));
    play_in(rt, scenario, &world);
    let mut world = world.lock().unwrap();
    // The actors that it has found refer back to it.
    world.found.clear();
    std::mem::take(&mut world.lines)
}

fn play_in(rt: &Runtime, scenario: &Scenario, world: &Shared) {
    let is_dynamic = scenario.strategy == Strategy::Dynamic;
    let mut supervisor = if is_dynamic {
        SupervisorSpec::dynamic(scenario.children[0].rules())
    } else {
        SupervisorSpec::new().strategy(scenario.strategy)
    };
    supervisor = supervisor
        .intensity(scenario.intensity, Duration::from_secs(3600))
        .auto_shutdown(scenario.auto);
    if !is_dynamic {
        for child in &scenario.children {
            supervisor = supervisor.child(spec(child, world, false));
        }
    }
    let supervisor = match supervisor.start(rt.handle()) {
        Ok(supervisor) => supervisor,
        Err(StartError::Failed(Reason::ShutdownWith(text))) => {
            let (id, reason) = text
                .split_once(" did not start: ")
                .expect("it names the child");
            let id = id.trim_start_matches("child ");
            return say(world, format!("start failed {id}: {reason}"));
        }
        Err(StartError::Failed(Reason::Error(error))) if error.is::<SpecError>() => {
            return say(world, "impossible".into());
        }
        Err(error) => return say(world, format!("start {error}")),
    };
    for op in &scenario.ops {
        say(world, format!("> {op}"));
        if is_dynamic {
            hold(world);
        }
        let result = perform(&supervisor, op, world, is_dynamic);
        let is_alive = settle(&supervisor);
        if !is_alive {
            supervisor.pid().watch().wait_down();
        }
        release(world);
        say(world, format!("= {result}"));
        if !is_alive {
            let reason = supervisor.pid().exit_reason().expect("it has ended");
            return say(world, format!("down {reason}"));
        }
    }
    say(world, "> stop".into());
    if is_dynamic {
        hold(world);
    }
    let reason = supervisor.shutdown();
    release(world);
    say(world, format!("down {reason}"));
}

/// Waits until no child is being restarted, or is dead without the supervisor knowing.
fn settle(supervisor: &SupervisorRef) -> bool {
    loop {
        let Ok(list) = supervisor.which_children() else {
            return false;
        };
        let is_settled = list.iter().all(|child| match &child.state {
            ChildState::Running(pid) => pid.is_alive(),
            ChildState::Restarting => false,
            ChildState::Ended => true,
        });
        if is_settled {
            return true;
        }
    }
}

fn find(world: &Shared, label: &str) -> Option<Addr<Puppet>> {
    let found = world.lock().unwrap().found.get(label).cloned();
    found.filter(Addr::is_alive)
}

fn perform(supervisor: &SupervisorRef, op: &Op, world: &Shared, is_dynamic: bool) -> String {
    match op {
        Op::Exit(label, reason) => {
            let Some(child) = find(world, label) else {
                return "nobody".into();
            };
            let end = child.pid().watch();
            match *reason {
                "kill" => child.kill(),
                reason => drop(child.tell(Die(match reason {
                    "normal" => Reason::Normal,
                    "shutdown" => Reason::Shutdown,
                    "{shutdown,x}" => Reason::shutdown_with("x"),
                    other => Reason::other(other),
                }))),
            }
            end.wait_down();
            settle(supervisor);
            "ok".into()
        }
        Op::Start(child) => match supervisor.start_child(spec(child, world, is_dynamic)) {
            Ok(made) => started(made),
            Err(error) => match error.kind() {
                AddChildErrorKind::AlreadyStarted(_) => "already started".into(),
                AddChildErrorKind::AlreadyPresent => "already present".into(),
                AddChildErrorKind::Failed(_) => "failed".into(),
                AddChildErrorKind::Impossible(_) => "impossible".into(),
                AddChildErrorKind::Down(_) => "down".into(),
                other => format!("{other:?}"),
            },
        },
        Op::Terminate(label) if is_dynamic => match find(world, label) {
            None => "nobody".into(),
            Some(child) => plain(supervisor.terminate_pid(&child.pid()).map(|()| "ok".into())),
        },
        Op::Terminate(label) => plain(supervisor.terminate_child(*label).map(|()| "ok".into())),
        Op::Restart(label) => plain(supervisor.restart_child(*label).map(started)),
        Op::Delete(label) => plain(supervisor.delete_child(*label).map(|()| "ok".into())),
        Op::Which => {
            let list = supervisor.which_children().unwrap_or_default();
            if is_dynamic {
                return list.len().to_string();
            }
            let mut text = String::new();
            for child in list {
                let state = match child.state {
                    ChildState::Running(_) => "runs",
                    ChildState::Restarting => "restarting",
                    ChildState::Ended => "ended",
                };
                let id = child.id.expect("it has an id");
                write!(text, "{id} {state} {};", lower(child.kind)).unwrap();
            }
            text
        }
        Op::Count => {
            let counts = supervisor.count_children().unwrap_or_default();
            let (specs, active) = (counts.specs, counts.active);
            format!("{specs} {active} {} {}", counts.supervisors, counts.workers)
        }
    }
}

fn started(made: Option<Pid>) -> String {
    if made.is_some() {
        "ok".into()
    } else {
        "ignored".into()
    }
}

/// The outcome of a call, in OTP's words.
fn plain(outcome: Result<String, AdminError>) -> String {
    match outcome {
        Ok(text) => text,
        Err(AdminError::NotFound) => "not_found".into(),
        Err(AdminError::Running) => "running".into(),
        Err(AdminError::Restarting) => "restarting".into(),
        Err(AdminError::Dynamic) => "simple_one_for_one".into(),
        Err(AdminError::Failed(_)) => "failed".into(),
        Err(AdminError::Down(_)) => "down".into(),
        Err(other) => format!("{other:?}"),
    }
}

/// Plays scenarios with OTP's supervisor, and returns what happened in each.
fn play_otp(folder: &Path, scenarios: &[Scenario]) -> Vec<String> {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/otp/conformance.erl");
    let compiled = Command::new("erlc")
        .arg("-o")
        .arg(folder)
        .arg(source)
        .status();
    assert!(compiled.expect("erlc runs").success(), "{source} compiles");
    let file = folder.join("scenarios.txt");
    let text: Vec<_> = scenarios.iter().map(Scenario::to_string).collect();
    std::fs::write(&file, text.join("\n")).unwrap();
    let output = Command::new("erl")
        .env("ERL_CRASH_DUMP_BYTES", "0")
        .args(["-noshell", "-pa"])
        .arg(folder)
        .args(["-run", "conformance", "main"])
        .arg(&file)
        .output()
        .expect("erl runs");
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "erl fails after:\n{text}\n{errors}"
    );
    (text.split("# ").skip(1))
        .map(|one| one.split_once('\n').expect("a number").1.to_owned())
        .collect()
}

/// A folder that is removed in the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let name = format!("weftwork-otp-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_same_scenarios_end_the_same_under_otps_supervisor_and_ours() {
    let _dog = watchdog(Duration::from_secs(600));
    let folder = Folder::new();
    let count = iters(2_000, 2_000, 50) as u64;
    let scenarios: Vec<_> = (0..count).map(Scenario::new).collect();
    let wanted = play_otp(&folder.0, &scenarios);
    assert_eq!(wanted.len(), scenarios.len(), "OTP has played them all");
    let rt = Runtime::builder().workers(1).build().unwrap();
    let (mut lines, mut different) = (0, 0);
    for (scenario, wanted) in scenarios.iter().zip(&wanted) {
        let got = play(&rt, scenario);
        lines += got.lines().count();
        if got != *wanted {
            different += 1;
            if different <= 3 {
                eprintln!("{scenario}\n--- OTP\n{wanted}--- ours\n{got}");
            }
        }
    }
    assert_eq!(different, 0, "of {count} scenarios, {lines} lines");
    // Scenarios that say nothing compare nothing.
    assert!(lines as u64 > 10 * count, "{lines} lines");
    println!("{count} scenarios, {lines} lines, none differs");
}
