//! Names and groups in every interleaving: a name taken over, and a joining, against the end of an actor.
//!
//! A model whose name starts with `canary_` is run a second time under `--cfg weftwork_canary` with
//! the step it is about weakened, and must then fail with the message it is given here.

#![cfg(weftwork_loom)]

mod modelled;

use modelled::{Held, Queue};
use weftwork_actor::groups::{Change, Scope};
use weftwork_actor::registry::{RegisterError, Registry};
use weftwork_actor::{Actor, Addr, Context, InitError, Options};
use weftwork_core::sync::thread;
use weftwork_testkit::model;

/// Weakens one step for the rest of the test, in the canary build.
macro_rules! weaken {
    ($step:literal) => {
        #[cfg(weftwork_canary)]
        let _weak = weftwork_core::canary::weaken(weftwork_core::canary::Step::Of($step));
    };
}

struct Guest;

impl Actor for Guest {
    type Args = ();
    fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> {
        Ok(Guest)
    }
}

fn guest(queue: &Queue) -> Held<Addr<Guest>> {
    queue.start::<Guest>((), Options::new())
}

/// Lets an actor end in a thread of its own.
fn ending(queue: &Queue, guest: &Addr<Guest>) -> thread::JoinHandle<()> {
    let (queue, pid) = (queue.clone(), guest.pid());
    thread::spawn(move || {
        pid.kill();
        queue.run_until(|| !pid.is_alive());
    })
}

#[test]
#[cfg_attr(
    weftwork_canary,
    should_panic(expected = "a name stays with who has taken it over")
)]
fn canary_the_end_of_a_holder_takes_the_name_from_nobody_else() {
    model("names: taken over while the holder ends", 9, || {
        weaken!("actor_name");
        let queue = Queue::default();
        let names = Held::new(Registry::new());
        let (old, new) = (guest(&queue), guest(&queue));
        names.register("n", &old.pid()).unwrap();
        let ends = ending(&queue, &old);
        let got = names.register("n", &new.pid());
        ends.join().unwrap();
        match got {
            Ok(()) => {
                let holder = names.whereis("n");
                assert!(
                    holder == Some(new.pid()),
                    "a name stays with who has taken it over"
                );
            }
            Err(RegisterError::Taken(holder)) => {
                assert!(holder == old.pid());
                assert!(names.whereis("n").is_none(), "a name is not of the dead");
            }
            Err(error) => panic!("{error}"),
        }
    });
}

#[test]
#[cfg_attr(
    weftwork_canary,
    should_panic(expected = "who has joined leaves when it ends")
)]
fn canary_who_joins_while_it_ends_leaves_or_has_not_joined() {
    model("groups: joining against the end", 400, || {
        weaken!("actor_join");
        let queue = Queue::default();
        let scope = Held::new(Scope::new());
        let (monitor, _) = scope.monitor("g");
        let monitor = Held::new(monitor);
        let guest = guest(&queue);
        let ends = ending(&queue, &guest);
        let joined = scope.join("g", &guest.pid()).is_ok();
        ends.join().unwrap();
        let changes = std::iter::from_fn(|| monitor.try_recv().ok()).map(|event| event.change);
        let changes: Vec<_> = changes.collect();
        let expected: &[_] = if joined {
            &[Change::Join, Change::Leave]
        } else {
            &[]
        };
        assert!(changes == expected, "who has joined leaves when it ends");
    });
}
