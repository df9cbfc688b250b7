//! Looking into actors, suspending them, tracing, trees and alarms.

mod support;

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;
use support::{Event, Note, Puppet, Stage, everywhere, on_scheduler};
use weftwork_actor::introspect::{
    self, Alarm, AlarmKind, Alarms, InspectError, Limits, Probe, Trace,
};
use weftwork_actor::{
    Actor, AsyncHandler, Context, Handler, InitError, Options, Pid, Reason, System, start,
};

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(5);

/// Lets a puppet wait in a handler until the sender is dropped.
fn block(stage: &Stage) -> Sender<()> {
    let (open, gate) = channel();
    let (inside, entered) = channel();
    stage.tell(move |_, _| {
        inside.send(()).unwrap();
        let _ = Receiver::<()>::recv(&gate);
    });
    entered.recv().unwrap();
    open
}

fn inside(pid: &Pid) -> introspect::Inside {
    introspect::info(pid, LONG).inside.unwrap()
}

#[test]
fn info_tells_links_monitors_parents_and_counts() {
    everywhere(|system| {
        let (a, b) = (Stage::trapping(system), Stage::new(system));
        a.link(&b);
        let pid = b.pid();
        a.run(move |_, ctx| {
            ctx.monitor(&pid);
        });
        let (sender, _events) = channel();
        let child = a.get(|ctx| ctx.spawn::<Puppet>(sender, Options::new()).unwrap());
        let of_a = inside(&a.pid());
        assert_eq!((of_a.links, of_a.monitors), (vec![b.pid()], vec![b.pid()]));
        assert!(of_a.traps_exit && !of_a.is_suspended && !of_a.is_awaiting);
        // Trapping, linking, monitoring, spawning.
        assert_eq!(of_a.handled, 4);
        let of_b = inside(&b.pid());
        assert_eq!(
            (of_b.links, of_b.monitored_by),
            (vec![a.pid()], vec![a.pid()])
        );
        assert_eq!((of_b.parent, of_b.handled), (None, 0));
        assert_eq!(inside(&child.pid()).parent, Some(a.pid()));
        for stage in [&a, &b] {
            stage.stop(Reason::Normal);
            let info = introspect::info(&stage.pid(), LONG);
            assert!(!info.is_alive && info.inside.is_none());
        }
        child.kill();
    });
}

#[test]
fn a_busy_actor_does_not_answer_in_time_and_does_later() {
    on_scheduler(2, |system| {
        let stage = Stage::new(system);
        let open = block(&stage);
        let info = introspect::info(&stage.pid(), SHORT);
        assert!(info.is_alive && info.inside.is_none());
        let state = introspect::get_state(&stage.addr, SHORT, |_| ());
        assert_eq!(state, Err(InspectError::Timeout));
        drop(open);
        assert_eq!(inside(&stage.pid()).handled, 1);
        // From its own handler it is asked in vain, and at once.
        let own = stage.get(|ctx| introspect::info(&ctx.pid(), LONG));
        assert!(own.is_alive && own.inside.is_none());
        stage.stop(Reason::Normal);
        let state = introspect::get_state(&stage.addr, LONG, |_| ());
        assert_eq!(state, Err(InspectError::Dead));
        assert_eq!(
            introspect::suspend(&stage.pid(), LONG),
            Err(InspectError::Dead)
        );
    });
}

/// A number.
struct Number(u64);

impl Actor for Number {
    type Args = u64;
    fn init(n: u64, _: &mut Context<Self>) -> Result<Self, InitError> {
        Ok(Number(n))
    }
}

impl Handler<u64> for Number {
    type Reply = u64;
    fn handle(&mut self, n: u64, _: &mut Context<Self>) -> u64 {
        self.0 += n;
        self.0
    }
}

#[test]
fn the_state_is_seen_and_changed_between_messages_and_a_panic_harms_nobody() {
    everywhere(|system| {
        let number = start::<Number>(system, 1, Options::new()).unwrap();
        number.tell(1).unwrap();
        number.ask(1).unwrap();
        assert_eq!(
            introspect::get_state(&number, LONG, |number| number.0),
            Ok(3)
        );
        let before = introspect::replace_state(&number, LONG, |number| {
            std::mem::replace(number, Number(40)).0
        });
        assert_eq!(before, Ok(3));
        let failed = introspect::get_state(&number, LONG, |_| panic!("as the test wants"));
        let Err::<(), _>(InspectError::Panicked(reason)) = failed else {
            panic!("it panicked")
        };
        assert!(reason.is_panic());
        assert_eq!(number.ask(2).unwrap(), 42);
        // Visits are no messages.
        assert_eq!(inside(&number.pid()).handled, 3);
        number.kill();
    });
}

#[test]
fn a_suspended_actor_takes_no_messages_and_loses_none() {
    everywhere(|system| {
        let stage = Stage::new(system);
        introspect::suspend(&stage.pid(), LONG).unwrap();
        introspect::suspend(&stage.pid(), LONG).unwrap();
        for n in 0..3 {
            stage.addr.tell(Note(n)).unwrap();
        }
        let info = introspect::info(&stage.pid(), LONG);
        assert_eq!(info.queue_len, 3);
        let inside = info.inside.unwrap();
        assert!(inside.is_suspended);
        assert_eq!(inside.handled, 0);
        assert!(stage.events.try_recv().is_err());
        assert!(introspect::get_state(&stage.addr, LONG, |_| ()).is_ok());
        introspect::resume(&stage.pid(), LONG).unwrap();
        assert_eq!(
            [stage.next(), stage.next(), stage.next()],
            [0, 1, 2].map(Event::Note)
        );
        stage.stop(Reason::Normal);
    });
}

#[test]
fn a_suspended_actor_hears_exits_downs_and_stops() {
    everywhere(|system| {
        let other = Stage::new(system);
        let stage = Stage::trapping(system);
        let pid = other.pid();
        stage.run(move |_, ctx| {
            ctx.monitor(&pid);
        });
        introspect::suspend(&stage.pid(), LONG).unwrap();
        stage.addr.tell(Note(1)).unwrap();
        other.stop(Reason::Shutdown);
        assert_eq!(stage.next(), Event::Down(other.pid(), Reason::Shutdown));
        stage.pid().exit(Reason::other("x"));
        assert!(matches!(stage.next(), Event::Exit(_, _)));
        stage.stop(Reason::Normal);
        assert_eq!(stage.next(), Event::Terminate(Reason::Normal));
        let killed = Stage::new(system);
        introspect::suspend(&killed.pid(), LONG).unwrap();
        let end = killed.pid().watch();
        killed.pid().kill();
        assert_eq!(end.wait_down(), Reason::Killed);
    });
}

/// Passes traces and alarms on.
struct Listener<E>(Sender<E>);

impl<E: Send + 'static> Actor for Listener<E> {
    type Args = Sender<E>;
    fn init(to: Sender<E>, _: &mut Context<Self>) -> Result<Self, InitError> {
        Ok(Listener(to))
    }
}

impl<E: Send + 'static> Handler<E> for Listener<E> {
    type Reply = ();
    fn handle(&mut self, event: E, _: &mut Context<Self>) {
        // The test may be over.
        let _ = self.0.send(event);
    }
}

fn listener<E: Send + 'static>(
    system: &System,
) -> (weftwork_actor::Addr<Listener<E>>, Receiver<E>) {
    let (sender, events) = channel();
    (
        start::<Listener<E>>(system, sender, Options::new()).unwrap(),
        events,
    )
}

#[test]
fn a_probe_sees_which_handler_runs_and_traces_each() {
    on_scheduler(2, |system| {
        let (tracer, traces) = listener::<Trace>(system);
        let stage = Stage::new(system);
        let probe = Probe::tracing(&stage.pid(), tracer.recipient()).unwrap();
        stage.addr.ask(Note(1)).unwrap();
        let name = |trace: Trace| match trace {
            Trace::Begin { pid, message } => (pid, message, true),
            Trace::End { pid, message, .. } => (pid, message, false),
            other => panic!("{other:?}"),
        };
        let (pid, message, begins) = name(traces.recv().unwrap());
        assert!(pid == stage.pid() && message.ends_with("Note") && begins);
        let (_, message, begins) = name(traces.recv().unwrap());
        assert!(message.ends_with("Note") && !begins);
        let open = block(&stage);
        let (message, _) = probe.running().unwrap();
        assert!(message.ends_with("Do"));
        drop(open);
        stage.run(|_, _| {});
        drop(probe);
        stage.run(|_, _| {});
        assert_eq!(inside(&stage.pid()).probes, 0);
        tracer.kill();
        stage.stop(Reason::Normal);
        assert!(Probe::new(&stage.pid()).is_none());
    });
}

struct Slow;

impl Actor for Slow {
    type Args = ();
    fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> {
        Ok(Slow)
    }
}

impl AsyncHandler<weftwork_csp::Receiver<()>> for Slow {
    type Reply = ();
    async fn handle(&mut self, gate: weftwork_csp::Receiver<()>, _: &mut Context<Self>) {
        let _ = gate.recv_async().await;
    }
}

#[test]
fn an_asynchronous_handler_runs_until_it_is_through() {
    everywhere(|system| {
        let slow = start::<Slow>(system, (), Options::new()).unwrap();
        let probe = Probe::new(&slow.pid()).unwrap();
        let (open, gate) = weftwork_csp::bounded::<()>(1);
        slow.tell(gate.clone()).unwrap();
        // A question is answered before a message that waits.
        while !inside(&slow.pid()).is_awaiting {
            std::thread::yield_now();
        }
        assert!(probe.running().unwrap().0.contains("Receiver"));
        open.send(()).unwrap();
        drop(open);
        slow.ask(gate).unwrap();
        assert!(!inside(&slow.pid()).is_awaiting);
        assert_eq!(probe.running(), None);
        slow.kill();
    });
}

#[test]
fn a_tree_lists_who_was_started_with_a_link_oldest_first() {
    everywhere(|system| {
        let root = Stage::with(system, Options::new().name("the \"root\""));
        let friend = Stage::new(system);
        root.link(&friend);
        let (a, b) = root.get(|ctx| {
            let mut child = || {
                ctx.spawn_link::<Puppet>(channel().0, Options::new())
                    .unwrap()
            };
            (child(), child())
        });
        let grandchild = {
            let (sender, answer) = channel();
            let spawn = move |_: &mut Puppet, ctx: &mut Context<Puppet>| {
                let child = ctx
                    .spawn_link::<Puppet>(channel().0, Options::new())
                    .unwrap();
                sender.send(child.pid()).unwrap();
            };
            a.ask(support::Do(Box::new(spawn))).unwrap();
            answer.recv().unwrap()
        };
        let tree = introspect::tree(&root.pid(), LONG);
        let nodes: Vec<_> = tree
            .nodes()
            .iter()
            .map(|node| (&node.pid, node.depth))
            .collect();
        let (root_pid, a_pid, b_pid) = (root.pid(), a.pid(), b.pid());
        let mut expected = vec![(&root_pid, 0), (&a_pid, 1), (&grandchild, 2), (&b_pid, 1)];
        if b_pid < a_pid {
            expected = vec![(&root_pid, 0), (&b_pid, 1), (&a_pid, 1), (&grandchild, 2)];
        }
        assert_eq!(nodes, expected);
        let text = tree.to_string();
        assert_eq!(text.lines().count(), 4);
        assert!(
            text.lines().any(|line| line.starts_with("    <0.")),
            "{text}"
        );
        let json = tree.to_json();
        assert!(
            json.starts_with(&format!("{{\"pid\":\"{root_pid}\",\"type\":\"")),
            "{json}"
        );
        assert!(json.contains("\"name\":\"the \\\"root\\\"\""), "{json}");
        for (open, close) in [('{', '}'), ('[', ']')] {
            assert_eq!(json.matches(open).count(), 4);
            assert_eq!(json.matches(close).count(), 4);
        }
        assert!(json.ends_with("\"children\":[]}]}"), "{json}");
        root.stop(Reason::other("enough"));
    });
}

#[test]
fn alarms_are_raised_once_and_cleared_once() {
    on_scheduler(2, |system| {
        let (pager, alarms_heard) = listener::<Alarm>(system);
        let limits = Limits {
            queue_len: 3,
            handler: SHORT,
            period: Duration::from_millis(1),
        };
        let alarms = Alarms::start(system, limits, pager.recipient()).unwrap();
        let stage = Stage::new(system);
        alarms.watch(&stage.pid());
        while inside(&stage.pid()).probes == 0 {
            std::thread::yield_now();
        }
        let open = block(&stage);
        for n in 0..5 {
            stage.addr.tell(Note(n)).unwrap();
        }
        let mut raised = [alarms_heard.recv().unwrap(), alarms_heard.recv().unwrap()];
        raised.sort_by_key(|alarm| matches!(alarm.kind, AlarmKind::LongHandler(..)));
        assert!(
            raised
                .iter()
                .all(|alarm| alarm.is_raised && alarm.pid == stage.pid())
        );
        let AlarmKind::LongQueue(len) = raised[0].kind else {
            panic!("{raised:?}")
        };
        assert!(len >= 3);
        let AlarmKind::LongHandler(message, time) = raised[1].kind else {
            panic!("{raised:?}")
        };
        assert!(message.ends_with("Do") && time >= SHORT);
        drop(open);
        let cleared = [alarms_heard.recv().unwrap(), alarms_heard.recv().unwrap()];
        assert!(cleared.iter().all(|alarm| !alarm.is_raised), "{cleared:?}");
        alarms.stop();
        stage.stop(Reason::Normal);
        pager.kill();
    });
}
