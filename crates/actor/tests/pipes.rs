//! Work outside of an actor, whose outcome is a message of its own and dies with it.

mod support;

use std::time::Duration;
use support::{Do, Event, Note, Puppet, Stage, everywhere, on_scheduler};
use weftwork_actor::{Context, Mailbox, Options, PipeRef, Reason};
use weftwork_csp::{Receiver, Sender, bounded};
use weftwork_testkit::DropCounter;

type Outcome = Result<u64, Reason>;

/// What becomes of an outcome: a note of its value, or of nothing.
fn noted(outcome: Outcome) -> Note {
    Note(outcome.unwrap_or(0))
}

/// What becomes of an outcome: a stop with its reason.
fn stops(outcome: Outcome) -> Do {
    Do(Box::new(move |_, ctx: &mut Context<Puppet>| {
        ctx.stop(outcome.expect_err("there is a reason"));
    }))
}

/// Work that waits at a gate, as a future or in a closure.
fn at_gate(ctx: &mut Context<Puppet>, gate: Receiver<u64>, awaits: bool) -> PipeRef {
    if awaits {
        ctx.pipe(async move { gate.recv_async().await.unwrap_or(99) }, noted)
    } else {
        ctx.pipe_blocking(move || gate.recv().unwrap_or(99), noted)
    }
}

fn gate() -> (Sender<u64>, Receiver<u64>) {
    bounded(1)
}

#[test]
fn an_outcome_is_a_message_and_the_actor_goes_on_meanwhile() {
    everywhere(|system| {
        for awaits in [true, false] {
            let stage = Stage::new(system);
            let (open, at) = gate();
            stage.run(move |_, ctx| {
                at_gate(ctx, at, awaits);
            });
            stage.addr.tell(Note(1)).unwrap();
            assert_eq!(stage.next(), Event::Note(1));
            open.send(2).unwrap();
            assert_eq!(stage.next(), Event::Note(2));
            assert_eq!(stage.so_far(), []);
            stage.stop(Reason::Normal);
        }
    });
}

#[test]
fn it_gets_into_a_full_mailbox() {
    everywhere(|system| {
        let stage = Stage::with(system, Options::new().mailbox(Mailbox::bounded(1)));
        let (open, at) = bounded::<()>(1);
        let (done, is_done) = bounded(1);
        stage.tell(move |_, ctx| {
            let work = async move { done.send_async(()).await.map_or(0, |()| 7) };
            ctx.pipe(work, noted);
            let _ = at.recv();
        });
        while stage.addr.try_tell(Note(1)).is_ok() {}
        is_done.recv().unwrap();
        drop(open);
        while stage.next() != Event::Note(7) {}
        stage.stop(Reason::Normal);
    });
}

#[test]
fn a_panic_outside_is_an_outcome_and_harms_nobody() {
    everywhere(|system| {
        let begins: [fn(&mut Context<Puppet>) -> PipeRef; 2] = [
            |ctx| ctx.pipe(async { panic!("outside") }, stops),
            |ctx| ctx.pipe_blocking(|| panic!("outside"), stops),
        ];
        for begin in begins {
            let stage = Stage::new(system);
            let end = stage.pid().watch();
            stage.tell(move |_, ctx| {
                begin(ctx);
            });
            let Reason::Panic(panic) = end.wait_down() else {
                panic!("the outcome says why")
            };
            assert_eq!(panic.message(), "outside");
            assert!(panic.location().unwrap().0.ends_with("pipes.rs"));
        }
    });
}

#[test]
fn a_panic_of_what_makes_the_message_is_the_actors_own() {
    everywhere(|system| {
        let stage = Stage::new(system);
        let end = stage.pid().watch();
        stage.tell(|_, ctx| {
            let into = |_: Outcome| -> Note { panic!("no message") };
            ctx.pipe(async { 1 }, into);
        });
        assert!(end.wait_down().is_panic());
    });
}

#[test]
fn work_that_is_called_off_is_dropped_and_its_outcome_not_handled() {
    everywhere(|system| {
        let stage = Stage::new(system);
        let drops = DropCounter::new();
        let kept = drops.track(());
        let (open, at) = gate();
        let pipe = stage.get(move |ctx| {
            let work = async move {
                let _kept = kept;
                at.recv_async().await.unwrap_or(0)
            };
            ctx.pipe(work, noted)
        });
        assert!(stage.get(move |ctx| ctx.cancel_pipe(pipe)));
        assert!(!stage.get(move |ctx| ctx.cancel_pipe(pipe)));
        while drops.live() > 0 {
            std::thread::yield_now();
        }
        assert!(open.send(1).is_err());
        assert_eq!(stage.so_far(), []);
        // An outcome that lies in the mailbox is not handled, either.
        let (done, is_done) = bounded(1);
        stage.run(move |_, ctx| {
            struct Done(Sender<()>);
            impl Drop for Done {
                fn drop(&mut self) {
                    let _ = self.0.send(());
                }
            }
            let done = Done(done);
            // What makes the message is dropped where the outcome is.
            let pipe = ctx.pipe(async { 5 }, move |outcome| {
                let _ = &done;
                noted(outcome)
            });
            ctx.send_self(Do(Box::new(move |_, ctx| {
                ctx.cancel_pipe(pipe);
            })));
        });
        is_done.recv().unwrap();
        let told = stage.so_far();
        assert!(told.is_empty() || told == [Event::Note(5)], "{told:?}");
        stage.stop(Reason::Normal);
    });
}

#[test]
fn work_ends_with_the_actor_and_reaches_no_other_incarnation() {
    everywhere(|system| {
        for end in [Reason::Normal, Reason::Kill] {
            let stage = Stage::new(system);
            let drops = DropCounter::new();
            let (open, at) = gate();
            // Dropped in this order.
            let kept = (at, drops.track(()));
            stage.run(move |_, ctx| {
                let work = async move {
                    let kept = kept;
                    kept.0.recv_async().await.unwrap_or(0)
                };
                ctx.pipe(work, noted);
            });
            let watch = stage.pid().watch();
            match end {
                Reason::Kill => stage.pid().kill(),
                reason => stage.pid().stop(reason),
            }
            watch.wait_down();
            while drops.live() > 0 {
                std::thread::yield_now();
            }
            assert!(open.send(1).is_err());
            assert!(
                !stage
                    .events
                    .iter()
                    .any(|event| matches!(event, Event::Note(_)))
            );
        }
    });
}

#[test]
fn a_closure_that_waits_under_a_scheduler_unwinds_from_there_when_the_actor_ends() {
    on_scheduler(2, |system| {
        let stage = Stage::new(system);
        let drops = DropCounter::new();
        let kept = drops.track(());
        let (_open, at) = gate();
        let (inside, is_inside) = bounded(1);
        stage.run(move |_, ctx| {
            ctx.pipe_blocking(
                move || {
                    let _kept = kept;
                    inside.send(()).unwrap();
                    at.recv().unwrap_or(0)
                },
                noted,
            );
        });
        is_inside.recv().unwrap();
        stage.stop(Reason::Normal);
        while drops.live() > 0 {
            std::thread::yield_now();
        }
    });
}

#[test]
fn work_that_the_executor_does_not_take_has_an_outcome_too() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use weftwork_core::{Refused, Spawn, Task};

    /// Takes tasks that are new until it is told not to; those that are woken, always.
    #[derive(Clone)]
    struct Closing(Arc<AtomicBool>);
    impl Spawn for Closing {
        fn spawn_task(&self, task: Task) -> Result<(), Refused> {
            if self.0.load(Ordering::SeqCst) {
                return Err(Refused(task));
            }
            std::thread::spawn(move || task.run());
            Ok(())
        }
    }
    let _dog = weftwork_testkit::watchdog(Duration::from_secs(60));
    let is_closed = Arc::new(AtomicBool::new(false));
    let system = weftwork_actor::System::new(&Closing(Arc::clone(&is_closed)));
    let stage = Stage::new(&system);
    let end = stage.pid().watch();
    stage.tell(move |_, ctx| {
        is_closed.store(true, Ordering::SeqCst);
        ctx.pipe(async { 1 }, stops);
        is_closed.store(false, Ordering::SeqCst);
    });
    assert_eq!(end.wait_down(), Reason::Killed);
}
