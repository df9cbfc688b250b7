//! Panics of user code, wherever it is called: they end the actor they belong to, and nobody else.

mod support;

use std::panic;
use support::{Event, Note, Stage, everywhere};
use weftwork_actor::{
    Actor, AsyncHandler, Context, Handler, InitError, Options, Reason, StartError, start,
};

/// What panics.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Where {
    Nowhere,
    Init,
    Handler,
    AsyncHandler,
    Down,
    Terminate,
    Drop,
}

struct Bomb(Where);

struct Tick;
struct AsyncTick;
struct Watch(weftwork_actor::Pid);

fn go_off(place: Where, here: Where) {
    if place == here {
        panic!("{here:?}");
    }
}

impl Actor for Bomb {
    type Args = Where;
    fn init(place: Where, _: &mut Context<Self>) -> Result<Self, InitError> {
        go_off(place, Where::Init);
        Ok(Bomb(place))
    }
    fn on_down(&mut self, _: weftwork_actor::Down, _: &mut Context<Self>) {
        go_off(self.0, Where::Down);
    }
    fn terminate(&mut self, _: &Reason, _: &mut Context<Self>) {
        go_off(self.0, Where::Terminate);
    }
}

impl Drop for Bomb {
    fn drop(&mut self) {
        go_off(self.0, Where::Drop);
    }
}

impl Handler<Tick> for Bomb {
    type Reply = ();
    fn handle(&mut self, _: Tick, _: &mut Context<Self>) {
        go_off(self.0, Where::Handler);
    }
}

impl Handler<Watch> for Bomb {
    type Reply = ();
    fn handle(&mut self, Watch(pid): Watch, ctx: &mut Context<Self>) {
        ctx.monitor(&pid);
    }
}

impl AsyncHandler<AsyncTick> for Bomb {
    type Reply = ();
    async fn handle(&mut self, _: AsyncTick, _: &mut Context<Self>) {
        go_off(self.0, Where::AsyncHandler);
    }
}

fn message_of(reason: Reason) -> String {
    match reason {
        Reason::Panic(panic) => panic.message().to_owned(),
        other => panic!("no panic: {other:?}"),
    }
}

#[test]
fn a_panic_anywhere_is_the_reason_and_harms_nobody_else() {
    everywhere(|system| {
        let other = Stage::new(system);
        for place in [
            Where::Handler,
            Where::AsyncHandler,
            Where::Down,
            Where::Terminate,
            Where::Drop,
        ] {
            let bomb = start::<Bomb>(system, place, Options::new()).unwrap();
            let end = bomb.pid().watch();
            match place {
                Where::Handler => bomb.tell(Tick).unwrap(),
                Where::AsyncHandler => bomb.tell(AsyncTick).unwrap(),
                Where::Down => bomb.tell(Watch(weftwork_actor::Pid::outside())).unwrap(),
                _ => bomb.stop(Reason::Normal),
            }
            assert_eq!(message_of(end.wait_down()), format!("{place:?}"));
            assert_eq!(other.so_far(), []);
        }
        let bomb = start::<Bomb>(system, Where::Nowhere, Options::new()).unwrap();
        let end = bomb.pid().watch();
        bomb.stop(Reason::Normal);
        assert_eq!(end.wait_down(), Reason::Normal);
    });
}

#[test]
fn a_panic_in_init_is_an_error_of_the_start() {
    everywhere(
        |system| match start::<Bomb>(system, Where::Init, Options::new()) {
            Err(StartError::Failed(reason)) => assert_eq!(message_of(reason), "Init"),
            other => panic!("{other:?}"),
        },
    );
}

#[test]
fn a_panic_while_it_stops_is_the_reason_instead() {
    everywhere(|system| {
        let bomb = start::<Bomb>(system, Where::Terminate, Options::new()).unwrap();
        let linked = Stage::trapping(system);
        let pid = bomb.pid();
        linked.get(move |ctx| ctx.link(&pid)).unwrap();
        bomb.stop(Reason::Shutdown);
        let Event::Exit(from, reason) = linked.next() else {
            panic!()
        };
        assert_eq!(from, bomb.pid());
        assert_eq!(message_of(reason), "Terminate");
    });
}

#[test]
fn the_first_panic_is_the_reason_if_the_drop_panics_too() {
    struct Twice;
    impl Actor for Twice {
        type Args = ();
        fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> {
            Ok(Twice)
        }
    }
    impl Handler<Tick> for Twice {
        type Reply = ();
        fn handle(&mut self, _: Tick, _: &mut Context<Self>) {
            panic!("first");
        }
    }
    impl Drop for Twice {
        fn drop(&mut self) {
            panic!("second");
        }
    }
    everywhere(|system| {
        let twice = start::<Twice>(system, (), Options::new()).unwrap();
        let end = twice.pid().watch();
        twice.tell(Tick).unwrap();
        assert_eq!(message_of(end.wait_down()), "first");
    });
}

/// Panics when it is dropped.
struct Shell;

impl Drop for Shell {
    fn drop(&mut self) {
        panic!("in the drop of a message");
    }
}

impl Handler<Shell> for support::Puppet {
    type Reply = ();
    fn handle(&mut self, shell: Shell, _: &mut Context<Self>) {
        std::mem::forget(shell);
    }
}

#[test]
fn messages_whose_drop_panics_do_not_keep_an_end_from_being_told() {
    everywhere(|system| {
        let (stage, linked) = (Stage::new(system), Stage::trapping(system));
        linked.link(&stage);
        let me = stage.addr.clone();
        let end = stage.pid().watch();
        stage.tell(move |_, ctx| {
            ctx.stash(Shell);
            ctx.send_after(std::time::Duration::from_secs(3600), Shell);
            for _ in 0..3 {
                me.tell(Shell).unwrap();
            }
            ctx.exit(&ctx.pid(), Reason::Shutdown);
        });
        assert_eq!(end.wait_down(), Reason::Shutdown);
        assert_eq!(linked.next(), Event::Exit(stage.pid(), Reason::Shutdown));
    });
}

#[test]
fn a_payload_that_is_no_text_is_a_panic_too() {
    everywhere(|system| {
        let stage = Stage::new(system);
        let end = stage.pid().watch();
        stage.tell(|_, _| panic::panic_any(7_u8));
        assert_eq!(message_of(end.wait_down()), "a payload without text");
    });
}

#[test]
fn a_storm_of_crashes_leaves_the_others_alone() {
    everywhere(|system| {
        let other = Stage::new(system);
        let bombs: Vec<_> = (0..100)
            .map(|_| start::<Bomb>(system, Where::Handler, Options::new()).unwrap())
            .collect();
        let ends: Vec<_> = bombs.iter().map(|bomb| bomb.pid().watch()).collect();
        for (n, bomb) in (0..).zip(&bombs) {
            bomb.tell(Tick).unwrap();
            assert_eq!(other.addr.ask(Note(n)), Ok(n));
        }
        for end in ends {
            assert_eq!(message_of(end.wait_down()), "Handler");
        }
    });
}
