//! Trees of supervisors: a storm of crashes in one branch leaves the branch beside it alone, and a supervisor
//! that is called by many at once while its children crash keeps its book in order.

mod storm;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use storm::{Crowd, Dice, breathe, crash, end, on_both};
use weftwork_actor::registry::Registry;
use weftwork_actor::supervisor::{
    AddChildErrorKind, AdminError, ChildSpec, ChildState, Restart, Rules, Strategy, SupervisorRef,
    SupervisorSpec,
};
use weftwork_actor::{
    Actor, Addr, AskError, Context, Handler, InitError, Options, Pid, Reason, System,
};
use weftwork_core::sync::Mutex;
use weftwork_sched::Runtime;
use weftwork_testkit::{Counted, DropCounter, iters, watchdog};

const ALWAYS: Duration = Duration::from_secs(3600);

/// Counts what it is asked, and crashes when it is told to.
struct Worker {
    asked: u64,
    _state: Counted<Box<u64>>,
}

impl Actor for Worker {
    type Args = Counted<Box<u64>>;
    fn init(state: Self::Args, _: &mut Context<Self>) -> Result<Self, InitError> {
        Ok(Worker {
            asked: 0,
            _state: state,
        })
    }
}

struct Count;

impl Handler<Count> for Worker {
    type Reply = u64;
    fn handle(&mut self, _: Count, _: &mut Context<Self>) -> u64 {
        self.asked += 1;
        self.asked
    }
}

struct Crash;

impl Handler<Crash> for Worker {
    type Reply = ();
    fn handle(&mut self, _: Crash, _: &mut Context<Self>) {
        crash();
    }
}

/// A worker under a name.
fn worker(name: &str, names: &Registry, drops: &DropCounter) -> ChildSpec {
    let (options, drops) = (Options::new().register(names.clone(), name), drops.clone());
    ChildSpec::new(name, move |ctx| {
        ctx.start::<Worker>(drops.track(Box::new(0)), options.clone())
    })
}

const LEAVES: usize = 4;

fn branch(
    prefix: &'static str,
    strategy: Strategy,
    intensity: u32,
    names: &Registry,
    drops: &DropCounter,
) -> ChildSpec {
    let (names, drops) = (names.clone(), drops.clone());
    ChildSpec::supervisor(prefix, move || {
        let spec = SupervisorSpec::new()
            .strategy(strategy)
            .intensity(intensity, ALWAYS);
        (0..LEAVES).fold(spec, |spec, n| {
            spec.child(worker(&format!("{prefix}{n}"), &names, &drops))
        })
    })
}

fn a_storm_in_one_branch_does_not_reach_the_branch_beside_it(runtime: &Runtime, system: &System) {
    let strategies = [
        Strategy::OneForOne,
        Strategy::OneForAll,
        Strategy::RestForOne,
    ];
    for strategy in strategies {
        let crashes = iters(1_500, 400, 10);
        let (names, drops) = (Registry::new(), DropCounter::new());
        // The stormy branch gives up again and again, and its own supervisor puts up with it.
        let app = SupervisorSpec::new()
            .intensity(u32::MAX, ALWAYS)
            .child(branch("calm", strategy, 0, &names, &drops))
            .child(branch("storm", strategy, 3, &names, &drops))
            .start(system)
            .unwrap();
        let find = |names: &Registry, n| names.lookup::<Worker>(&format!("calm{n}")).unwrap();
        let calm: Arc<[_; LEAVES]> = Arc::new(std::array::from_fn(|n| find(&names, n)));
        let done = Arc::new(AtomicUsize::new(0));
        let asked = Arc::new(AtomicU64::new(0));
        let mut crowd = Crowd::new(runtime);
        for party in 0..2 {
            let (names, hits) = (names.clone(), Arc::clone(&done));
            let mut dice = Dice::new(party + 1);
            let work = move || {
                while hits.load(Ordering::Relaxed) < crashes {
                    let name = format!("storm{}", dice.below(LEAVES));
                    let Some(leaf) = names.lookup::<Worker>(&name) else {
                        breathe();
                        continue;
                    };
                    let is_hit = match dice.below(3) {
                        0 => leaf.try_tell(Crash).is_ok(),
                        way => {
                            drop(end(&leaf.pid(), way - 1));
                            true
                        }
                    };
                    while is_hit && leaf.is_alive() {
                        breathe();
                    }
                    hits.fetch_add(usize::from(is_hit), Ordering::Relaxed);
                }
            };
            match party {
                0 => crowd.thread(work),
                _ => crowd.green(work),
            }
            let (calm, done) = (Arc::clone(&calm), Arc::clone(&done));
            let asked = Arc::clone(&asked);
            crowd.future(async move || {
                while done.load(Ordering::Relaxed) < crashes {
                    for leaf in calm.iter() {
                        let answer = leaf.ask_async_timeout(Count, Duration::MAX).await;
                        answer.expect("it is calm there");
                        asked.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        crowd.join();
        // The same ones, with all that they have counted.
        let mut counted = 0;
        for (n, leaf) in calm.iter().enumerate() {
            assert_eq!(find(&names, n), *leaf);
            counted += leaf.ask(Count).unwrap() - 1;
        }
        assert_eq!(counted, asked.load(Ordering::Relaxed));
        assert_eq!(app.shutdown(), Reason::Shutdown);
        assert!(names.registered().is_empty());
        drops.assert_none_live();
    }
}

/// Calls a supervisor in one way or another. All that it answers is fine, as long as it answers.
fn call(app: &SupervisorRef, names: &Registry, drops: &DropCounter, dice: &mut Dice) {
    let id = format!("w{}", dice.below(8));
    match dice.below(9) {
        0 | 1 => {
            if let Err(error) = app.start_child(worker(&id, names, drops)) {
                assert!(matches!(
                    error.kind(),
                    AddChildErrorKind::AlreadyStarted(_) | AddChildErrorKind::AlreadyPresent
                ));
                assert!(error.into_spec().is_some(), "the child is handed back");
            }
        }
        2 => match app.terminate_child(id) {
            Ok(()) | Err(AdminError::NotFound) => {}
            Err(error) => panic!("{error}"),
        },
        3 => match app.restart_child(id) {
            Ok(child) => assert!(child.is_some()),
            Err(AdminError::NotFound | AdminError::Running | AdminError::Restarting) => {}
            Err(error) => panic!("{error}"),
        },
        4 => match app.delete_child(id) {
            Ok(()) => {}
            Err(AdminError::NotFound | AdminError::Running | AdminError::Restarting) => {}
            Err(error) => panic!("{error}"),
        },
        5 => {
            let list = app.which_children().unwrap();
            assert!(list.len() <= 8);
        }
        6 => {
            let counts = app.count_children().unwrap();
            assert!(counts.active <= counts.specs && counts.specs == counts.workers);
        }
        way => {
            // One that is found may end at any time.
            if let Ok(Some(pid)) = app.find_child(id.as_str()) {
                drop(end(&pid, way));
            } else if let Some(worker) = names.lookup::<Worker>(&id) {
                match worker.ask_timeout(Crash, Duration::MAX) {
                    Err(AskError::Died(_) | AskError::Dead(_)) => {}
                    answer => panic!("{answer:?}"),
                }
            }
        }
    }
}

fn a_supervisor_that_many_call_keeps_its_book(runtime: &Runtime, system: &System) {
    let each = iters(1_500, 400, 10);
    let (names, drops) = (Registry::new(), DropCounter::new());
    let app = SupervisorSpec::new()
        .intensity(u32::MAX, ALWAYS)
        .start(system)
        .unwrap();
    let mut crowd = Crowd::new(runtime);
    for party in 0..4 {
        let (app, names, drops) = (app.clone(), names.clone(), drops.clone());
        let mut dice = Dice::new(party + 1);
        let work = move || {
            for _ in 0..each {
                call(&app, &names, &drops, &mut dice);
            }
        };
        match party % 2 {
            0 => crowd.thread(work),
            _ => crowd.green(work),
        }
    }
    crowd.join();
    // What it says is so, once the last crash was heard of: who runs there has the name and answers.
    loop {
        let list = app.which_children().unwrap();
        let counts = app.count_children().unwrap();
        let living = |info: &weftwork_actor::supervisor::ChildInfo| match &info.state {
            ChildState::Running(pid) => {
                let worker: Option<Addr<Worker>> = names.lookup(info.id.as_ref().unwrap().as_str());
                worker.is_some_and(|worker| worker.pid() == *pid && worker.ask(Count).is_ok())
            }
            ChildState::Restarting => false,
            ChildState::Ended => names.whereis(info.id.as_ref().unwrap().as_str()).is_none(),
        };
        let running = |info: &&weftwork_actor::supervisor::ChildInfo| {
            matches!(info.state, ChildState::Running(_))
        };
        if list.iter().all(living) {
            assert_eq!(counts.specs, list.len());
            assert_eq!(counts.active, list.iter().filter(running).count());
            assert_eq!(counts.active, names.registered().len());
            break;
        }
        breathe();
    }
    assert_eq!(app.shutdown(), Reason::Shutdown);
    assert!(names.registered().is_empty());
    drops.assert_none_live();
}

fn children_that_come_and_go_at_once_are_all_stopped_at_the_end(
    runtime: &Runtime,
    system: &System,
) {
    let each = iters(3_000, 800, 10);
    let drops = DropCounter::new();
    let rules = Rules::new().restart(Restart::Transient);
    let app = SupervisorSpec::dynamic(rules)
        .intensity(u32::MAX, ALWAYS)
        .start(system)
        .unwrap();
    let known: Arc<Mutex<Vec<Pid>>> = Arc::default();
    let mut crowd = Crowd::new(runtime);
    for party in 0..4 {
        let (app, drops, known) = (app.clone(), drops.clone(), Arc::clone(&known));
        let mut dice = Dice::new(party + 1);
        let work = move || {
            for n in 0..each {
                let drops = drops.clone();
                let child = ChildSpec::dynamic(move |ctx| {
                    ctx.start::<Worker>(drops.track(Box::new(0)), Options::new())
                });
                let pid = app.start_child(child).unwrap().expect("it starts");
                known.lock().push(pid);
                let one = {
                    let mut known = known.lock();
                    let at = dice.below(known.len());
                    (known.len() > 64).then(|| known.swap_remove(at))
                };
                let Some(one) = one else { continue };
                match n % 3 {
                    // An incarnation that has ended: its child is another one by now.
                    0 => match app.terminate_pid(&one) {
                        Ok(()) => assert!(!one.is_alive()),
                        Err(error) => panic!("{error}"),
                    },
                    way => drop(end(&one, way)),
                }
            }
        };
        match party % 2 {
            0 => crowd.thread(work),
            _ => crowd.green(work),
        }
    }
    crowd.join();
    assert!(app.count_children().unwrap().active > 0);
    assert_eq!(app.shutdown(), Reason::Shutdown);
    drops.assert_none_live();
}

fn main() {
    let _dog = watchdog(Duration::from_secs(180));
    on_both(
        "a storm in a branch",
        a_storm_in_one_branch_does_not_reach_the_branch_beside_it,
    );
    on_both(
        "calls to a supervisor",
        a_supervisor_that_many_call_keeps_its_book,
    );
    on_both(
        "dynamic children",
        children_that_come_and_go_at_once_are_all_stopped_at_the_end,
    );
}
