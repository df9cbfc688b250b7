//! A lookup against a restart, in every interleaving.
//!
//! A model whose name starts with `canary_` is run a second time under `--cfg weftwork_canary` with
//! the step it is about weakened, and must then fail with the message it is given here.

#![cfg(weftwork_loom)]

mod modelled;

use modelled::Held;
use std::time::Duration;
use weftwork_actor::supervisor::{ChildRef, ChildSpec, SupervisorRef, SupervisorSpec};
use weftwork_actor::{Actor, Context, InitError, Options, Pid};
use weftwork_core::sync::thread;
use weftwork_core::{Refused, Spawn, Task};
use weftwork_testkit::model;

/// Runs a task where it is woken, to its next wait. So a kill runs the whole restart.
#[derive(Clone)]
struct Here;

impl Spawn for Here {
    fn spawn_task(&self, task: Task) -> Result<(), Refused> {
        task.run();
        Ok(())
    }
}

struct Idle;

impl Actor for Idle {
    type Args = ();
    fn init((): (), _: &mut Context<Self>) -> Result<Self, InitError> {
        Ok(Idle)
    }
}

/// A supervisor of one child, which the reference resolves to.
fn supervised() -> (Held<SupervisorRef>, Held<ChildRef<Idle>>) {
    let child = Held::new(ChildRef::<Idle>::new());
    let start = child.filled_by(|ctx| ctx.start::<Idle>((), Options::new()));
    let spec = SupervisorSpec::new().intensity(9, Duration::from_secs(1));
    let supervisor = spec.child(ChildSpec::new("c", start)).start(&Here);
    (Held::new(supervisor.expect("it starts")), child)
}

/// Kills an incarnation on a thread of its own, which runs the restart, too.
fn kill(pid: &Pid) -> thread::JoinHandle<()> {
    let pid = Held::new(pid.clone());
    thread::spawn(move || pid.release().kill())
}

#[test]
fn a_lookup_during_a_restart_finds_the_old_one_or_the_new_one_or_none() {
    model("supervisor_lookup", 40, || {
        let (supervisor, child) = supervised();
        let first = Held::new(child.get().expect("it was started").pid());
        let killer = kill(&first);
        let found = Held::new(child.get());
        killer.join().unwrap();
        let second = Held::new(child.get().expect("it was restarted"));
        assert!(second.pid() != *first, "the old one is found no more");
        if let Some(found) = found.release() {
            let pid = found.pid();
            assert!(pid == *first || pid == second.pid(), "there is no third");
        }
        drop((first.release(), second.release()));
        supervisor.release().pid().kill();
        drop(child.release());
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "deadlock"))]
fn canary_who_waits_for_the_next_incarnation_is_woken_by_the_restart() {
    #[cfg(weftwork_canary)]
    let _weak = weftwork_core::canary::weaken(weftwork_core::canary::Step::Of("child_ref_wait"));
    model("supervisor_wait", 150, || {
        let (supervisor, child) = supervised();
        let first = Held::new(child.get().expect("it was started").pid());
        let killer = kill(&first);
        let second = Held::new(child.wait_other_than(&first));
        assert!(second.pid() != *first);
        killer.join().unwrap();
        drop((first.release(), second.release()));
        supervisor.release().pid().kill();
        drop(child.release());
    });
}
