//! Coordinated shutdown: in order, in time, and it tells who was late.

mod support;

use std::sync::mpsc::channel;
use std::time::Duration;
use support::{Event, Note, Puppet, Stage, everywhere, on_scheduler};
use weftwork_actor::shutdown::{AddError, Shutdown};
use weftwork_actor::supervisor::{ChildRef, ChildSpec, SupervisorSpec};
use weftwork_actor::{Options, Reason};

const LONG: Duration = Duration::from_secs(60);

#[test]
fn phases_run_in_order_and_a_phase_at_the_same_time() {
    everywhere(|system| {
        let shutdown = Shutdown::new([("one", LONG), ("two", LONG), ("three", LONG)]);
        let (sender, done) = channel();
        for phase in ["three", "one", "two"] {
            // Two works that meet: neither could be done before the other has begun.
            let (to, from) = weftwork_csp::bounded::<()>(0);
            let sender = sender.clone();
            shutdown
                .add(phase, "a", move || to.send(()).unwrap())
                .unwrap();
            let work = move || {
                from.recv().unwrap();
                sender.send(phase).unwrap();
            };
            shutdown.add(phase, "b", work).unwrap();
        }
        let report = shutdown.run(system).unwrap();
        assert!(report.is_clean(), "{report}");
        assert_eq!(done.try_iter().collect::<Vec<_>>(), ["one", "two", "three"]);
        assert_eq!(report.phases().len(), 3);
    });
}

#[test]
fn actors_are_asked_to_end_and_do_so_in_their_phase() {
    everywhere(|system| {
        let shutdown = Shutdown::new([("first", LONG), ("second", LONG)]);
        let (a, b) = (Stage::new(system), Stage::new(system));
        shutdown.stop("second", &a.pid()).unwrap();
        shutdown.stop("first", &b.pid()).unwrap();
        let (sender, seen) = channel();
        // It runs beside the end of `a`, so it is told by the order of the phases only that `b` has ended.
        let dead = b.pid();
        shutdown
            .add("second", "look", move || {
                sender.send(dead.is_alive()).unwrap()
            })
            .unwrap();
        let report = shutdown.run(system).unwrap();
        assert!(report.is_clean(), "{report}");
        assert!(!seen.recv().unwrap());
        assert_eq!(a.pid().exit_reason(), Some(Reason::Shutdown));
    });
}

#[test]
fn what_is_late_is_killed_and_blamed_and_the_rest_goes_on() {
    on_scheduler(2, |system| {
        let shutdown = Shutdown::new([("short", Duration::from_millis(5)), ("last", LONG)]);
        let deaf = Stage::new(system);
        let (_open, gate) = weftwork_csp::bounded::<()>(1);
        let never = gate.clone();
        deaf.tell(move |_, _| {
            let _ = never.recv();
        });
        shutdown.stop("short", &deaf.pid()).unwrap();
        shutdown
            .add("short", "stuck", move || {
                let _ = gate.recv();
            })
            .unwrap();
        shutdown
            .add("last", "broken", || panic!("as the test wants"))
            .unwrap();
        let (sender, done) = channel();
        shutdown
            .add("last", "end", move || sender.send(()).unwrap())
            .unwrap();
        let end = deaf.pid().watch();
        let report = shutdown.run(system).unwrap();
        done.recv().unwrap();
        assert!(!report.is_clean());
        let short = &report.phases()[0];
        assert_eq!(short.late.len(), 2, "{report}");
        assert!(short.late.iter().any(|name| &**name == "stuck"));
        assert!(short.late.iter().any(|name| name.contains("Puppet")));
        let last = &report.phases()[1];
        assert_eq!(&*last.failed[0].0, "broken");
        assert!(last.failed[0].1.is_panic());
        let text = report.to_string();
        assert!(
            text.contains("stuck was late") && text.contains("broken failed"),
            "{text}"
        );
        assert_eq!(end.wait_down(), Reason::Killed);
    });
}

#[test]
fn an_actor_that_traps_exits_stops_behind_what_it_has_to_do() {
    everywhere(|system| {
        let shutdown = Shutdown::new([("only", LONG)]);
        let stage = Stage::trapping(system);
        shutdown.stop("only", &stage.pid()).unwrap();
        stage.addr.tell(Note(1)).unwrap();
        let report = shutdown.run(system).unwrap();
        assert!(report.is_clean(), "{report}");
        let lived: Vec<_> = stage.events.iter().collect();
        assert_eq!(lived, [Event::Note(1), Event::Terminate(Reason::Shutdown)]);
    });
}

#[test]
fn the_root_of_a_tree_stops_the_tree() {
    everywhere(|system| {
        let shutdown = Shutdown::new([("only", LONG)]);
        let leaf = ChildRef::<Puppet>::new();
        let (sender, _events) = channel();
        let filled = leaf.clone();
        let branch = move || {
            let sender = sender.clone();
            let start = filled.filled_by(move |ctx| ctx.start(sender.clone(), Options::new()));
            SupervisorSpec::new().child(ChildSpec::new("leaf", start))
        };
        let root = SupervisorSpec::new()
            .child(ChildSpec::supervisor("branch", branch))
            .start(system)
            .unwrap();
        let leaf = leaf.wait().pid();
        shutdown.stop("only", &root.pid()).unwrap();
        let report = shutdown.run(system).unwrap();
        assert!(report.is_clean(), "{report}");
        assert!(!leaf.is_alive());
        assert_eq!(leaf.exit_reason(), Some(Reason::Shutdown));
        assert_eq!(root.pid().exit_reason(), Some(Reason::Shutdown));
    });
}

#[test]
fn a_shutdown_runs_once_and_takes_nothing_more() {
    everywhere(|system| {
        let shutdown = Shutdown::new([("only", LONG)]);
        assert_eq!(shutdown.add("other", "x", || {}), Err(AddError::NoPhase));
        let again = shutdown.clone();
        assert!(shutdown.run(system).unwrap().is_clean());
        assert!(again.run(system).is_none());
        assert_eq!(again.add("only", "x", || {}), Err(AddError::Begun));
    });
}
