//! What several threads did to a registry while actors ended has a sequential explanation: a map from names
//! to living actors, from which an end takes all names of an actor at once.

mod support;

use support::on_scheduler;
use weftwork_actor::registry::{RegisterError, Registry};
use weftwork_actor::{Actor, Context, InitError, Options, Pid, System, start};
use weftwork_testkit::{History, Log, Model, Recorder, check, iters};

const NAMES: [&str; 2] = ["a", "b"];
const ACTORS: usize = 4;

#[derive(Debug, Clone, Copy)]
enum Op {
    Register(usize, usize),
    Unregister(usize),
    Whereis(usize),
    /// The actor is killed, and its end is told.
    End(usize),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Ret {
    Done,
    Taken(usize),
    Found(Option<usize>),
}

#[derive(Debug)]
struct Names;

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct State {
    holders: [Option<usize>; NAMES.len()],
    is_dead: [bool; ACTORS],
}

impl Model for Names {
    type State = State;
    type Op = Op;
    type Ret = Ret;

    fn initial(&self) -> State {
        State::default()
    }

    fn step(&self, state: &State, op: &Op, ret: Option<&Ret>) -> Option<State> {
        let mut after = state.clone();
        match *op {
            Op::Register(name, who) => match (state.holders[name], ret) {
                (Some(holder), Some(Ret::Taken(told))) if holder == *told => {}
                // Without an answer: the actor ended meanwhile, and had the name before or not.
                (None, Some(Ret::Done) | None) if !state.is_dead[who] => {
                    after.holders[name] = Some(who);
                }
                _ => return None,
            },
            Op::Unregister(name) => {
                if ret != Some(&Ret::Found(state.holders[name])) {
                    return None;
                }
                after.holders[name] = None;
            }
            Op::Whereis(name) => {
                if ret != Some(&Ret::Found(state.holders[name])) {
                    return None;
                }
            }
            Op::End(who) => {
                after.is_dead[who] = true;
                for holder in &mut after.holders {
                    holder.take_if(|holder| *holder == who);
                }
            }
        }
        Some(after)
    }
}

struct Bearer;

impl Actor for Bearer {
    type Args = ();
    fn init((): (), _: &mut Context<Self>) -> Result<Self, InitError> {
        Ok(Bearer)
    }
}

/// A sequence of numbers that is the same for the same seed.
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, n: usize) -> usize {
        // The constants of Knuth's MMIX generator.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }
}

fn operate(names: &Registry, actors: &[Pid], log: &mut Log<Op, Ret>, dice: &mut Seeded) {
    let (name, who) = (dice.below(NAMES.len()), dice.below(ACTORS));
    let number = |pid: Pid| actors.iter().position(|actor| *actor == pid).unwrap();
    match dice.below(8) {
        0..=2 => {
            log.begin(Op::Register(name, who));
            match names.register(NAMES[name], &actors[who]) {
                Ok(()) => log.end(Ret::Done),
                Err(RegisterError::Taken(holder)) => log.end(Ret::Taken(number(holder))),
                Err(RegisterError::Dead) => assert!(!actors[who].is_alive()),
                Err(error) => panic!("{error}"),
            }
        }
        3 => {
            log.begin(Op::Unregister(name));
            log.end(Ret::Found(names.unregister(NAMES[name]).map(number)));
        }
        4..=6 => {
            log.begin(Op::Whereis(name));
            log.end(Ret::Found(names.whereis(NAMES[name]).map(number)));
        }
        _ => {
            log.begin(Op::End(who));
            let watch = actors[who].watch();
            actors[who].kill();
            watch.wait_down();
            log.end(Ret::Done);
        }
    }
}

fn random_history(system: &System, seed: u64) -> History<Op, Ret> {
    let names = Registry::new();
    let born = || start::<Bearer>(system, (), Options::new()).unwrap().pid();
    let actors: [Pid; ACTORS] = std::array::from_fn(|_| born());
    let recorder = Recorder::new();
    std::thread::scope(|threads| {
        for party in 0..3 {
            let mut log = recorder.log();
            let mut dice = Seeded(seed * 3 + party);
            let (names, actors) = (&names, &actors);
            threads.spawn(move || {
                for _ in 0..8 {
                    operate(names, actors, &mut log, &mut dice);
                    std::thread::yield_now();
                }
            });
        }
    });
    actors.iter().for_each(Pid::kill);
    recorder.finish()
}

#[test]
fn registrations_lookups_and_ends_have_one_sequential_explanation() {
    on_scheduler(2, |system| {
        for seed in 0..iters(2_000, 800, 10) as u64 {
            let history = random_history(system, seed);
            if let Err(error) = check(&Names, &history) {
                panic!("seed {seed}: {error}");
            }
        }
    });
}

#[test]
fn the_model_refuses_what_no_registry_may_do() {
    // One after the other, each on the same thread.
    let in_turn = |steps: &[(Op, Ret)]| -> History<Op, Ret> {
        let recorder = Recorder::new();
        let mut log = recorder.log();
        for (op, ret) in steps {
            log.record(*op, || *ret);
        }
        drop(log);
        recorder.finish()
    };
    let is_fine = |steps: &[(Op, Ret)]| check(&Names, &in_turn(steps)).is_ok();
    let given = (Op::Register(0, 1), Ret::Done);
    let ended = (Op::End(1), Ret::Done);
    let found = |who| (Op::Whereis(0), Ret::Found(who));
    assert!(is_fine(&[given, found(Some(1)), ended, found(None)]));
    // The dead, found.
    assert!(!is_fine(&[given, ended, found(Some(1))]));
    // A name that is not free although its holder has ended.
    assert!(!is_fine(&[
        given,
        ended,
        (Op::Register(0, 2), Ret::Taken(1))
    ]));
    // One name, two holders.
    assert!(!is_fine(&[given, (Op::Register(0, 2), Ret::Done)]));
    // A name that is gone without a cause.
    assert!(!is_fine(&[given, found(None)]));
}
