//! What holds where nobody says otherwise: OTP's defaults, and ours.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};
use support::{Do, Puppet, Stage, on_scheduler};
use weftwork_actor::supervisor::{ChildSpec, Kind, Restart, Shutdown, SupervisorSpec};
use weftwork_actor::{
    Actor, Addr, AskError, Context, DeferredHandler, InitError, Mailbox, OnFull, Options, Reason,
    ReplyTo, StartError, start,
};

#[test]
fn a_mailbox_holds_1024_messages_and_its_senders_wait() {
    assert_eq!(Mailbox::default(), Mailbox::bounded(1024));
    assert_eq!(Mailbox::bounded(1), Mailbox::with(1, OnFull::Wait));
}

/// Answers nothing, and keeps the way back.
struct Mute(Vec<ReplyTo<()>>);

impl Actor for Mute {
    type Args = ();
    fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> {
        Ok(Mute(Vec::new()))
    }
}

impl DeferredHandler<()> for Mute {
    type Reply = ();
    fn handle(&mut self, _: (), reply: ReplyTo<()>, _: &mut Context<Self>) {
        self.0.push(reply);
    }
}

#[test]
fn an_ask_waits_for_five_seconds() {
    on_scheduler(2, |system| {
        let mute = start::<Mute>(system, (), Options::new()).unwrap();
        let awaited = std::thread::spawn({
            let mute = mute.clone();
            move || weftwork_core::block_on(mute.ask_async(()))
        });
        let since = Instant::now();
        assert_eq!(mute.ask(()), Err(AskError::Timeout));
        assert!(since.elapsed() >= Duration::from_secs(5));
        assert_eq!(awaited.join().unwrap(), Err(AskError::Timeout));
        mute.kill();
    });
}

#[test]
fn a_supervisor_allows_one_restart_in_five_seconds_and_restarts_the_child_alone() {
    on_scheduler(2, |system| {
        let past = Arc::new(AtomicU64::new(0));
        let (begin, clock) = (Instant::now(), Arc::clone(&past));
        let (who, started) = channel();
        let child = |id: &str| {
            let (who, (events, _)) = (who.clone(), channel());
            ChildSpec::new(id, move |ctx| {
                let addr = ctx.start::<Puppet>(events.clone(), Options::new())?;
                who.send((addr.clone(), ctx.shutdown())).unwrap();
                Ok::<_, StartError>(addr)
            })
        };
        let app = SupervisorSpec::new()
            .clock(move || begin + Duration::from_nanos(clock.load(Ordering::SeqCst)))
            .on_report(|_, _| {})
            .child(child("a"))
            .child(child("b"))
            .start(system)
            .unwrap();
        let crash = |addr: &Addr<Puppet>| addr.tell(Do(Box::new(|_, _| panic!("boom")))).unwrap();
        let (a, how) = started.recv().unwrap();
        assert_eq!(how, Shutdown::Timeout(Duration::from_secs(5)));
        let (b, _) = started.recv().unwrap();
        let children = app.which_children().unwrap();
        assert!(
            children
                .iter()
                .all(|child| { (child.restart, child.kind) == (Restart::Permanent, Kind::Worker) })
        );
        crash(&a);
        let (a, _) = started.recv().unwrap();
        // Beyond the period the first one counts no more.
        past.store(5_000_000_001, Ordering::SeqCst);
        crash(&a);
        let (a, _) = started.recv().unwrap();
        assert!(b.is_alive(), "a sibling is left alone");
        let end = app.pid().watch();
        past.store(10_000_000_000, Ordering::SeqCst);
        crash(&a);
        assert_eq!(end.wait_down(), Reason::Shutdown);
    });
}

#[test]
fn a_supervisor_as_a_child_has_all_the_time_that_it_takes_to_stop() {
    on_scheduler(1, |system| {
        let (told, how) = channel();
        let child = ChildSpec::new("inner", move |ctx| {
            told.send(ctx.shutdown()).unwrap();
            ctx.supervise(SupervisorSpec::new())
        });
        let app = SupervisorSpec::new()
            .child(child.kind(Kind::Supervisor))
            .start(system)
            .unwrap();
        assert_eq!(how.recv().unwrap(), Shutdown::Infinity);
        app.shutdown();
    });
}

#[test]
fn an_actor_does_not_trap_exits_and_has_no_links() {
    on_scheduler(1, |system| {
        let stage = Stage::new(system);
        let links = stage.get(|ctx| (ctx.links(), ctx.trap_exit(false), ctx.parent()));
        assert_eq!(links, (vec![], false, None));
        stage.stop(Reason::Normal);
    });
}
