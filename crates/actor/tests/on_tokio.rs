//! Actors on tokio: what waits lets others run, who asks may be anybody, and a runtime takes its actors along.

#![allow(
    clippy::disallowed_types,
    reason = "tests may use std's locks and threads"
)]

mod support;

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;
use support::{Do, Event, Note, Puppet, Stage};
use tokio::runtime::{Builder, Runtime};
use weftwork_actor::supervisor::{ChildRef, ChildSpec, SupervisorSpec};
use weftwork_actor::tokio::Tokio;
use weftwork_actor::{
    Actor, Addr, AskError, AsyncHandler, Context, Handler, InitError, Options, Pid, Reason,
    StartError, System, start, start_async,
};
use weftwork_testkit::watchdog;

/// One that waits for others in blocking style, or awaits.
struct Waiter;

/// Ask a puppet.
struct AskIt(Addr<Puppet>, u64);

/// Await tokio's clock.
struct Sleep(Duration);

/// Await for ever, and say so first.
struct Hang(Sender<Pid>, Gone);

/// Tells when it is dropped.
struct Gone(Sender<&'static str>);

impl Drop for Gone {
    fn drop(&mut self) {
        let _ = self.0.send("dropped");
    }
}

impl Actor for Waiter {
    type Args = ();
    fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> {
        Ok(Waiter)
    }
}

impl Handler<AskIt> for Waiter {
    type Reply = Result<u64, AskError<Note>>;
    fn handle(&mut self, AskIt(puppet, n): AskIt, _: &mut Context<Self>) -> Self::Reply {
        puppet.ask(Note(n))
    }
}

impl AsyncHandler<Sleep> for Waiter {
    type Reply = ();
    async fn handle(&mut self, Sleep(time): Sleep, _: &mut Context<Self>) {
        tokio::time::sleep(time).await;
    }
}

impl AsyncHandler<Hang> for Waiter {
    type Reply = ();
    async fn handle(&mut self, Hang(hangs, gone): Hang, ctx: &mut Context<Self>) {
        let _gone = gone;
        hangs.send(ctx.pid()).unwrap();
        std::future::pending::<()>().await;
    }
}

/// Runs `test` on a runtime with one worker, with two, and with the caller's thread alone, which a thread of
/// its own drives.
fn on_each_flavor(test: impl Fn(&Tokio)) {
    let _dog = watchdog(Duration::from_secs(120));
    for workers in [1, 2] {
        let rt = multi(workers);
        test(&Tokio::new(rt.handle().clone()));
        rt.shutdown_background();
    }
    let rt = Builder::new_current_thread().enable_all().build().unwrap();
    let handle = rt.handle().clone();
    let (end, ends) = weftwork_csp::bounded::<()>(0);
    let driver = std::thread::spawn(move || {
        let _ = rt.block_on(ends.recv_async());
        rt.shutdown_background();
    });
    test(&Tokio::new(handle));
    drop(end);
    driver.join().unwrap();
}

fn multi(workers: usize) -> Runtime {
    (Builder::new_multi_thread().worker_threads(workers))
        .enable_all()
        .build()
        .unwrap()
}

fn hang(system: &System) -> (Addr<Waiter>, Receiver<&'static str>) {
    let (says, said) = channel();
    let (gone, is_gone) = channel();
    let waiter = start::<Waiter>(system, (), Options::new()).unwrap();
    waiter.tell(Hang(says, Gone(gone))).unwrap();
    assert_eq!(said.recv().unwrap(), waiter.pid());
    (waiter, is_gone)
}

#[test]
fn tells_and_asks_of_an_os_thread_arrive_in_order() {
    on_each_flavor(|tokio| {
        let stage = Stage::new(&System::new(tokio));
        for n in 0..200 {
            stage.addr.tell(Note(n)).unwrap();
        }
        assert_eq!(stage.addr.ask(Note(200)), Ok(200));
        for n in 0..=200 {
            assert_eq!(stage.events.recv().unwrap(), Event::Note(n));
        }
        stage.addr.stop(Reason::Normal);
        assert_eq!(
            stage.events.recv().unwrap(),
            Event::Terminate(Reason::Normal)
        );
    });
}

#[test]
fn a_handler_that_waits_for_another_actor_lets_the_only_worker_run_it() {
    on_each_flavor(|tokio| {
        let system = System::new(tokio);
        let stage = Stage::new(&system);
        // Each waits for the one behind it, and all at once for the last.
        let waiters: Vec<_> = (0..20)
            .map(|_| start::<Waiter>(&system, (), Options::new()).unwrap())
            .collect();
        let asks = waiters.iter().map(|waiter| {
            let (waiter, puppet) = (waiter.clone(), stage.addr.clone());
            std::thread::spawn(move || waiter.ask(AskIt(puppet, 7)).unwrap())
        });
        for ask in asks.collect::<Vec<_>>() {
            assert_eq!(ask.join().unwrap(), Ok(7));
        }
    });
}

#[test]
fn a_task_of_tokio_asks_by_awaiting_and_an_actor_awaits_a_task_of_tokio() {
    on_each_flavor(|tokio| {
        let (result, got) = channel();
        let executor = tokio.clone();
        let (handles, handle) = channel();
        let system = System::new(tokio);
        let stage = Stage::new(&system);
        // A task of tokio's own, spawned from inside of the runtime.
        stage.run(move |_, _| handles.send(tokio::runtime::Handle::current()).unwrap());
        let task = handle.recv().unwrap().spawn(async move {
            let waiter = start_async::<Waiter>(&executor, (), Options::new())
                .await
                .unwrap();
            waiter
                .ask_async(Sleep(Duration::from_millis(1)))
                .await
                .unwrap();
            waiter.tell_async(Sleep(Duration::ZERO)).await.unwrap();
            waiter.stop(Reason::Shutdown);
            result.send(waiter.pid().watch().await).unwrap();
        });
        let end = got.recv().unwrap();
        assert!(matches!(end, Reason::Shutdown | Reason::NoProc), "{end}");
        drop(task);
    });
}

#[test]
fn a_green_thread_and_an_actor_on_tokio_serve_each_other() {
    let rt = weftwork_sched::Runtime::builder()
        .workers(1)
        .build()
        .unwrap();
    on_each_flavor(|tokio| {
        let there = Stage::new(&System::new(tokio));
        let here = Stage::new(&System::new(rt.handle()));
        let (near, far) = (here.addr.clone(), there.addr.clone());
        // From a handler in a green thread over there, and back.
        let asked = far.clone();
        here.run(move |_, _| assert_eq!(asked.ask(Note(1)), Ok(1)));
        let asked = near.clone();
        there.run(move |_, _| assert_eq!(asked.ask(Note(2)), Ok(2)));
        let green = rt.handle().spawn(move || far.ask(Note(3)));
        assert_eq!(green.join().unwrap(), Ok(3));
    });
}

#[test]
fn timers_fire_and_are_cancelled() {
    on_each_flavor(|tokio| {
        let stage = Stage::new(&System::new(tokio));
        stage.run(|_, ctx| {
            let never = ctx.send_after(Duration::from_millis(1), Note(0));
            assert!(ctx.cancel(never));
            ctx.send_after(Duration::from_millis(2), Note(1));
        });
        assert_eq!(stage.events.recv().unwrap(), Event::Note(1));
    });
}

#[test]
fn a_supervisor_restarts_a_child_that_panics_and_stops_in_order() {
    on_each_flavor(|tokio| {
        let (events, told) = channel();
        let puppet = ChildRef::<Puppet>::new();
        let start =
            puppet.filled_by(move |ctx| ctx.start::<Puppet>(events.clone(), Options::new()));
        let app = SupervisorSpec::new()
            .intensity(3, Duration::from_secs(60))
            .child(ChildSpec::new("puppet", start))
            .start(tokio)
            .unwrap();
        let first = puppet.wait();
        first
            .tell(Do(Box::new(|_, _| panic!("on purpose"))))
            .unwrap();
        let second = puppet.wait_other_than(&first.pid());
        assert_eq!(second.ask(Note(2)), Ok(2));
        assert_eq!(app.shutdown(), Reason::Shutdown);
        assert!(!second.is_alive());
        drop(told);
    });
}

#[test]
fn a_kill_ends_a_handler_where_it_awaits() {
    on_each_flavor(|tokio| {
        let (waiter, is_gone) = hang(&System::new(tokio));
        let end = waiter.pid().watch();
        waiter.kill();
        assert_eq!(end.wait_down(), Reason::Killed);
        assert_eq!(is_gone.recv(), Ok("dropped"));
    });
}

#[test]
fn an_actor_that_waits_keeps_its_runtime_until_its_wait_ends() {
    let _dog = watchdog(Duration::from_secs(60));
    let rt = multi(1);
    let stage = Stage::new(&System::new(&Tokio::new(rt.handle().clone())));
    let (open, gate) = weftwork_csp::bounded::<()>(0);
    let (waits, is_waiting) = channel();
    let end = stage.addr.pid().watch();
    let work = move |_: &mut Puppet, _: &mut Context<Puppet>| {
        waits.send(()).unwrap();
        let _ = gate.recv();
    };
    stage.addr.tell(Do(Box::new(work))).unwrap();
    is_waiting.recv().unwrap();
    rt.shutdown_background();
    assert!(stage.addr.is_alive(), "nobody can take it out of its wait");
    drop(open);
    assert_eq!(end.wait_down(), Reason::Killed);
}

#[test]
fn a_runtime_that_is_dropped_takes_its_actors_along_idle_ones_too() {
    let _dog = watchdog(Duration::from_secs(60));
    // Nobody drives the last one: its actors run on the pool.
    let single = Builder::new_current_thread().enable_all().build().unwrap();
    for rt in [multi(1), multi(2), single] {
        let tokio = Tokio::new(rt.handle().clone());
        let system = System::new(&tokio);
        let idle = Stage::new(&system);
        let (awaiting, is_gone) = hang(&system);
        assert_eq!(idle.addr.ask(Note(1)), Ok(1));
        let ends = [idle.addr.pid().watch(), awaiting.pid().watch()];
        drop(rt);
        for end in ends {
            assert_eq!(end.wait_down(), Reason::Killed);
        }
        assert_eq!(is_gone.recv(), Ok("dropped"));
        assert_eq!(idle.events.recv(), Ok(Event::Note(1)));
        assert!(idle.events.recv().is_err(), "its state is dropped");
        assert!(matches!(
            idle.addr.ask(Note(2)),
            Err(AskError::Dead(Note(2)))
        ));
        let refused = start::<Waiter>(&tokio, (), Options::new()).unwrap_err();
        assert_eq!(refused, StartError::Refused);
    }
}
