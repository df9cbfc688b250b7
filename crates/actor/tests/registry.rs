//! Names: there before `init`, gone with the actor, never of the dead.

#![allow(clippy::disallowed_types, reason = "tests may use std's locks")]

mod support;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::{Puppet, Stage, everywhere, on_scheduler};
use weftwork_actor::registry::{DuplicateRegistry, RegisterError, Registry, Via};
use weftwork_actor::{Actor, Context, InitError, Options, Pid, Reason, StartError, System, start};
use weftwork_testkit::iters;

/// Hands its `init` to the test.
struct Scripted;

type Script = Box<dyn FnOnce(&mut Context<Scripted>) -> Result<(), InitError> + Send>;

impl Actor for Scripted {
    type Args = Script;
    fn init(script: Script, ctx: &mut Context<Self>) -> Result<Self, InitError> {
        script(ctx).map(|()| Scripted)
    }
}

fn named(system: &System, names: &Registry, name: &str) -> Stage {
    Stage::with(system, Options::new().register(names.clone(), name))
}

#[test]
fn a_name_is_registered_before_init_runs() {
    everywhere(|system| {
        let names = Registry::new();
        let seen = Arc::new(AtomicBool::new(false));
        let script: Script = {
            let (names, seen) = (names.clone(), Arc::clone(&seen));
            Box::new(move |ctx| {
                seen.store(names.whereis("me") == Some(ctx.pid()), Ordering::SeqCst);
                Ok(())
            })
        };
        let options = Options::new().register(names.clone(), "me");
        let actor = start::<Scripted>(system, script, options).unwrap();
        assert!(seen.load(Ordering::SeqCst));
        assert_eq!(names.lookup::<Scripted>("me"), Some(actor.clone()));
        assert!(names.lookup::<Puppet>("me").is_none());
        assert_eq!(actor.pid().name(), Some("me"));
        actor.kill();
    });
}

#[test]
fn a_taken_name_fails_with_its_holder_and_init_does_not_run() {
    everywhere(|system| {
        let names = Registry::new();
        let holder = named(system, &names, "one");
        let ran = Arc::new(AtomicBool::new(false));
        let script: Script = {
            let ran = Arc::clone(&ran);
            Box::new(move |_| {
                ran.store(true, Ordering::SeqCst);
                Ok(())
            })
        };
        // The second name is taken: the first must be free again.
        let options = Options::new()
            .register(names.clone(), "two")
            .register(names.clone(), "one");
        let failed = start::<Scripted>(system, script, options).unwrap_err();
        assert_eq!(failed, StartError::AlreadyStarted(holder.pid()));
        assert!(!ran.load(Ordering::SeqCst));
        assert_eq!(Arc::strong_count(&ran), 1, "the arguments are dropped");
        assert_eq!(names.whereis("two"), None);
        assert_eq!(names.whereis("one"), Some(holder.pid()));
        holder.stop(Reason::Normal);
    });
}

#[test]
fn a_child_that_does_not_get_its_name_leaves_no_link_behind() {
    everywhere(|system| {
        let names = Registry::new();
        let holder = named(system, &names, "one");
        let parent = Stage::new(system);
        let options = Options::new().register(names.clone(), "one");
        let (sender, events) = channel();
        let links = parent.get(move |ctx| {
            let failed = ctx.spawn_link::<Puppet>(sender, options);
            assert!(matches!(failed, Err(StartError::AlreadyStarted(_))));
            ctx.links().len()
        });
        assert_eq!(links, 0);
        assert!(events.try_recv().is_err());
        assert!(parent.addr.is_alive());
        parent.stop(Reason::Normal);
        holder.stop(Reason::Normal);
    });
}

#[test]
fn a_name_is_free_for_whoever_has_seen_the_end_of_its_holder() {
    everywhere(|system| {
        let names = Registry::new();
        for round in 0..iters(200, 50, 5) {
            let holder = named(system, &names, "again");
            assert_eq!(names.whereis("again"), Some(holder.pid()));
            let end = holder.pid().watch();
            match round % 3 {
                0 => holder.pid().kill(),
                1 => holder.pid().exit(Reason::other("enough")),
                _ => holder.pid().stop(Reason::Normal),
            }
            end.wait_down();
            assert_eq!(names.whereis("again"), None);
            assert!(names.registered().is_empty());
        }
    });
}

#[test]
fn an_init_that_fails_or_panics_releases_the_name() {
    everywhere(|system| {
        let names = Registry::new();
        let scripts: [fn() -> Script; 3] = [
            || Box::new(|_| Err(InitError::Ignore)),
            || Box::new(|_| Err(InitError::failed("no"))),
            || Box::new(|_| panic!("init panics, as the test wants")),
        ];
        for script in scripts {
            let options = Options::new().register(names.clone(), "one");
            start::<Scripted>(system, script(), options).unwrap_err();
            assert_eq!(names.whereis("one"), None);
        }
    });
}

#[test]
fn a_name_cannot_be_given_to_the_dead_nor_twice() {
    everywhere(|system| {
        let names = Registry::new();
        let (a, b) = (Stage::new(system), Stage::new(system));
        names.register("x", &a.pid()).unwrap();
        let taken = Err(RegisterError::Taken(a.pid()));
        assert_eq!(names.register("x", &b.pid()), taken);
        assert_eq!(names.register("x", &a.pid()), taken);
        assert_eq!(names.unregister("x"), Some(a.pid()));
        assert_eq!(names.unregister("x"), None);
        names.register("x", &b.pid()).unwrap();
        a.stop(Reason::Normal);
        // The end of who had it once does not take it from who has it now.
        assert_eq!(names.whereis("x"), Some(b.pid()));
        assert_eq!(names.register("y", &a.pid()), Err(RegisterError::Dead));
        assert_eq!(
            names.register("y", &Pid::outside()),
            Err(RegisterError::Dead)
        );
        assert_eq!(names.registered(), [("x".into(), b.pid())]);
        b.stop(Reason::Normal);
    });
}

/// Notes what it is asked, and panics if it is to.
#[derive(Default)]
struct Diary {
    lines: Mutex<Vec<String>>,
    panics: AtomicBool,
}

impl Via for Diary {
    fn register(&self, name: &Arc<str>, pid: &Pid) -> Result<(), RegisterError> {
        assert!(pid.is_alive());
        if name.starts_with("no") {
            return Err(RegisterError::Refused(Reason::other("no such names")));
        }
        self.lines.lock().unwrap().push(format!("+{name}"));
        Ok(())
    }
    fn unregister(&self, name: &str, pid: &Pid) {
        assert!(!pid.is_alive());
        self.lines.lock().unwrap().push(format!("-{name}"));
        assert!(!self.panics.load(Ordering::SeqCst), "as the test wants");
    }
    fn whereis(&self, _: &str) -> Option<Pid> {
        None
    }
}

#[test]
fn a_registry_of_the_users_is_told_of_the_start_and_of_the_end() {
    everywhere(|system| {
        let diary = Arc::new(Diary::default());
        let options = || Options::new().register(Arc::clone(&diary), "a");
        let stage = Stage::with(system, options());
        stage.stop(Reason::Normal);
        let (sender, _) = channel();
        let refused = start::<Puppet>(system, sender, options().register(diary.clone(), "nobody"));
        let reason = Reason::other("no such names");
        assert_eq!(refused.unwrap_err(), StartError::Failed(reason));
        // One that panics harms nobody: the watcher hears of the end.
        diary.panics.store(true, Ordering::SeqCst);
        Stage::with(system, options()).stop(Reason::Normal);
        let lines = diary.lines.lock().unwrap().join("");
        assert_eq!(lines, "+a-a+a-a+a-a");
    });
}

#[test]
fn a_duplicate_name_is_held_by_many_and_as_often_as_it_was_taken() {
    everywhere(|system| {
        let names = DuplicateRegistry::new();
        let options = Options::new().register(names.clone(), "all");
        let stages: Vec<_> = (0..3)
            .map(|_| Stage::with(system, options.clone()))
            .collect();
        let mut expected: Vec<_> = stages.iter().map(Stage::pid).collect();
        names.register("all", &stages[0].pid()).unwrap();
        expected.push(stages[0].pid());
        expected.sort();
        let mut found = names.whereare("all");
        found.sort();
        assert_eq!(found, expected);
        assert_eq!(names.lookup::<Puppet>("all").len(), 4);
        assert!(names.unregister("all", &stages[0].pid()));
        assert!(!names.unregister("all", &stages[0].pid()));
        assert_eq!(names.whereare("all").len(), 2);
        for stage in &stages {
            stage.stop(Reason::Normal);
            assert!(!names.whereare("all").contains(&stage.pid()));
        }
        assert!(names.names().is_empty());
        assert_eq!(
            names.register("all", &stages[0].pid()),
            Err(RegisterError::Dead)
        );
        assert!(names.names().is_empty());
    });
}

/// A sequence of numbers that is the same for the same seed.
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, n: u64) -> u64 {
        // The constants of Knuth's MMIX generator.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

#[test]
fn random_histories_agree_with_a_model() {
    on_scheduler(1, |system| {
        for seed in 0..iters(40, 20, 2) as u64 {
            let mut dice = Seeded(seed);
            let names = Registry::new();
            let mut model: HashMap<String, usize> = HashMap::new();
            let mut stages: Vec<Option<Stage>> = (0..6).map(|_| Some(Stage::new(system))).collect();
            for _ in 0..120 {
                let (who, name) = (dice.below(6) as usize, format!("n{}", dice.below(5)));
                let pid = stages[who].as_ref().map(Stage::pid);
                match (dice.below(4), pid) {
                    (0 | 1, Some(pid)) => {
                        let expected = match model.get(&name) {
                            None => Ok(()),
                            Some(&holder) => {
                                let holder = stages[holder].as_ref().unwrap().pid();
                                Err(RegisterError::Taken(holder))
                            }
                        };
                        assert_eq!(names.register(name.as_str(), &pid), expected, "seed {seed}");
                        model.entry(name).or_insert(who);
                    }
                    (2, _) => {
                        let held = names.unregister(&name);
                        let expected = model.remove(&name);
                        let expected = expected.map(|who| stages[who].as_ref().unwrap().pid());
                        assert_eq!(held, expected, "seed {seed}");
                    }
                    (3, Some(_)) if dice.below(3) == 0 => {
                        stages[who].take().unwrap().stop(Reason::Normal);
                        model.retain(|_, holder| *holder != who);
                    }
                    (_, None) => stages[who] = Some(Stage::new(system)),
                    _ => {}
                }
                for n in 0..5 {
                    let name = format!("n{n}");
                    let expected = model
                        .get(&name)
                        .map(|&who| stages[who].as_ref().unwrap().pid());
                    assert_eq!(names.whereis(&name), expected, "seed {seed}");
                }
                assert_eq!(names.registered().len(), model.len(), "seed {seed}");
            }
            for stage in stages.iter().flatten() {
                stage.stop(Reason::Normal);
            }
        }
    });
}

#[test]
fn names_never_point_to_the_dead_while_many_actors_are_killed() {
    on_scheduler(2, |system| {
        let actors = iters(100_000, 20_000, 500);
        let names = Registry::new();
        let crowd = DuplicateRegistry::new();
        let is_over = AtomicBool::new(false);
        std::thread::scope(|threads| {
            threads.spawn(|| {
                // Looks up while names come and go: what is found was alive.
                let mut dice = Seeded(1);
                while !is_over.load(Ordering::SeqCst) {
                    if let Some(pid) = names.whereis(&format!("n{}", dice.below(64))) {
                        pid.kill();
                    }
                }
            });
            let mut dice = Seeded(2);
            let mut live = Vec::new();
            for _ in 0..actors {
                let name = format!("n{}", dice.below(64));
                let options = Options::new().register(names.clone(), name.as_str());
                let script: Script = Box::new(|_| Ok(()));
                match start::<Scripted>(system, script, options) {
                    Ok(actor) => {
                        // It may be dead already: then it does not get this one.
                        let _ = crowd.register("all", &actor.pid());
                        live.push((name, actor));
                    }
                    Err(StartError::AlreadyStarted(holder)) => holder.kill(),
                    Err(StartError::Failed(Reason::Killed)) => {}
                    Err(error) => panic!("{error}"),
                }
                if live.len() > 32 {
                    let at = dice.below(live.len() as u64) as usize;
                    let (name, actor) = live.swap_remove(at);
                    let end = actor.pid().watch();
                    actor.kill();
                    end.wait_down();
                    assert_ne!(names.whereis(&name), Some(actor.pid()));
                    assert!(!crowd.whereare("all").contains(&actor.pid()));
                }
            }
            for (_, actor) in live {
                let end = actor.pid().watch();
                actor.kill();
                end.wait_down();
            }
            is_over.store(true, Ordering::SeqCst);
        });
        assert!(names.registered().is_empty());
        assert!(crowd.names().is_empty());
    });
}

/// Can be crashed.
struct Fragile;

impl Actor for Fragile {
    type Args = ();
    fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> {
        Ok(Fragile)
    }
}

#[test]
fn a_supervised_child_has_its_name_again_after_each_restart() {
    use weftwork_actor::introspect;
    use weftwork_actor::supervisor::{ChildSpec, SupervisorSpec};
    everywhere(|system| {
        let names = Registry::new();
        let restarts = iters(50, 20, 5);
        let child = {
            let options = Options::new().register(names.clone(), "child");
            ChildSpec::new("child", move |ctx| {
                ctx.start::<Fragile>((), options.clone())
            })
        };
        let app = SupervisorSpec::new()
            .intensity(restarts as u32, Duration::from_secs(600))
            .child(child)
            .start(system)
            .unwrap();
        for _ in 0..restarts {
            let before = names.lookup::<Fragile>("child").unwrap();
            before.kill();
            let after = loop {
                match names.lookup::<Fragile>("child") {
                    Some(after) if after != before => break after,
                    _ => std::thread::yield_now(),
                }
            };
            assert_ne!(after.pid(), before.pid());
        }
        let tree = introspect::tree(&app.pid(), Duration::from_secs(60));
        let named = tree
            .nodes()
            .iter()
            .filter(|node| node.pid.name() == Some("child"));
        assert_eq!(named.count(), 1, "{tree}");
        app.shutdown();
        assert_eq!(names.whereis("child"), None);
    });
}
