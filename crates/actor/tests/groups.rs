//! Groups behave as OTP's `pg`: repeated joining, leaving, ends, and monitors without a gap.

mod support;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use support::{Stage, everywhere, on_scheduler};
use weftwork_actor::groups::{Change, Event, GroupMonitor, Scope};
use weftwork_actor::{Actor, Context, Handler, InitError, Options, Pid, Reason, start};
use weftwork_testkit::iters;

fn events(monitor: &GroupMonitor) -> Vec<Event> {
    std::iter::from_fn(|| monitor.try_recv().ok()).collect()
}

#[test]
fn a_member_that_joined_twice_is_listed_twice_and_must_leave_twice() {
    everywhere(|system| {
        let scope = Scope::new();
        let stage = Stage::new(system);
        let pid = stage.pid();
        scope.join("g", &pid).unwrap();
        scope.join("g", &pid).unwrap();
        assert_eq!(scope.members("g"), [pid.clone(), pid.clone()]);
        scope.leave("g", &pid).unwrap();
        assert_eq!(scope.members("g"), std::slice::from_ref(&pid));
        scope.leave("g", &pid).unwrap();
        assert!(scope.leave("g", &pid).is_err());
        assert!(scope.groups().is_empty());
        stage.stop(Reason::Normal);
    });
}

#[test]
fn the_end_of_a_member_leaves_as_often_as_it_had_joined() {
    everywhere(|system| {
        let scope = Scope::new();
        let stage = Stage::new(system);
        let pid = stage.pid();
        let (monitor, members) = scope.monitor("g");
        assert!(members.is_empty());
        for _ in 0..2 {
            scope.join("g", &pid).unwrap();
        }
        scope.join("other", &pid).unwrap();
        stage.stop(Reason::other("enough"));
        assert!(scope.members("g").is_empty());
        let (joined, left) = (Event::joined("g", &pid), Event::left("g", &pid));
        assert_eq!(
            events(&monitor),
            [joined.clone(), joined, left.clone(), left]
        );
        assert!(scope.groups().is_empty());
        assert!(scope.join("g", &pid).is_err());
        assert!(scope.leave("g", &pid).is_err());
        assert!(events(&monitor).is_empty());
    });
}

#[test]
fn scopes_are_apart() {
    everywhere(|system| {
        let (one, two) = (Scope::new(), Scope::new());
        let stage = Stage::new(system);
        let (monitor, _) = two.monitor_all();
        one.join("g", &stage.pid()).unwrap();
        assert!(two.members("g").is_empty());
        assert!(events(&monitor).is_empty());
        drop(two);
        assert!(monitor.recv().is_err());
        stage.stop(Reason::Normal);
    });
}

#[test]
fn a_monitor_of_all_groups_lists_them_and_hears_of_each() {
    everywhere(|system| {
        let scope = Scope::new();
        let (a, b) = (Stage::new(system), Stage::new(system));
        scope.join("x", &a.pid()).unwrap();
        scope.join("y", &b.pid()).unwrap();
        b.stop(Reason::Normal);
        let (monitor, groups) = scope.monitor_all();
        assert_eq!(groups, HashMap::from([(Arc::from("x"), vec![a.pid()])]));
        scope.leave("x", &a.pid()).unwrap();
        scope.join("z", &a.pid()).unwrap();
        a.stop(Reason::Normal);
        let (x, z) = (Event::left("x", &a.pid()), Event::joined("z", &a.pid()));
        assert_eq!(events(&monitor), [x, z, Event::left("z", &a.pid())]);
    });
}

/// Passes on what it is told of a group.
struct Listener(Sender<Event>);

impl Actor for Listener {
    type Args = (Scope, Sender<Event>);
    fn init((scope, events): Self::Args, ctx: &mut Context<Self>) -> Result<Self, InitError> {
        let members = scope.monitor_by("g", &ctx.addr().recipient());
        for pid in members {
            events.send(Event::joined("g", &pid)).unwrap();
        }
        Ok(Listener(events))
    }
}

impl Handler<Event> for Listener {
    type Reply = ();
    fn handle(&mut self, event: Event, _: &mut Context<Self>) {
        self.0.send(event).unwrap();
    }
}

#[test]
fn an_actor_hears_of_a_group_in_messages_until_it_ends() {
    everywhere(|system| {
        let scope = Scope::new();
        let (a, b) = (Stage::new(system), Stage::new(system));
        scope.join("g", &a.pid()).unwrap();
        let (sender, heard) = channel();
        let args = (scope.clone(), sender);
        let listener = start::<Listener>(system, args, Options::new()).unwrap();
        scope.join("g", &b.pid()).unwrap();
        a.stop(Reason::Normal);
        let (first, second) = (Event::joined("g", &a.pid()), Event::joined("g", &b.pid()));
        assert_eq!(heard.recv().unwrap(), first);
        assert_eq!(heard.recv().unwrap(), second);
        assert_eq!(heard.recv().unwrap(), Event::left("g", &a.pid()));
        let end = listener.pid().watch();
        listener.stop(Reason::Normal);
        end.wait_down();
        scope.leave("g", &b.pid()).unwrap();
        assert!(heard.recv().is_err());
        b.stop(Reason::Normal);
    });
}

/// Lives until it is killed.
struct Guest;

impl Actor for Guest {
    type Args = ();
    fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> {
        Ok(Guest)
    }
}

/// Counts joinings from a list of members and what came after.
fn tally(members: Vec<Pid>, monitor: &GroupMonitor, counts: &mut HashMap<Pid, i64>) {
    for pid in members {
        *counts.entry(pid).or_default() += 1;
    }
    apply(monitor, counts);
}

fn apply(monitor: &GroupMonitor, counts: &mut HashMap<Pid, i64>) {
    while let Ok(event) = monitor.try_recv() {
        let count = counts.entry(event.pid).or_default();
        *count += match event.change {
            Change::Join => 1,
            Change::Leave => -1,
        };
        assert!(*count >= 0, "a leaving without a joining");
    }
}

#[test]
fn members_and_events_agree_while_many_actors_join_leave_and_are_killed() {
    on_scheduler(2, |system| {
        let actors = iters(30_000, 5_000, 500);
        let scope = Scope::new();
        let is_over = AtomicBool::new(false);
        let (first, members) = scope.monitor("g");
        assert!(members.is_empty());
        std::thread::scope(|threads| {
            let follower = threads.spawn(|| {
                // Monitors come and go; what they list and hear must add up.
                let mut rounds = 0;
                while !is_over.load(Ordering::SeqCst) {
                    let (monitor, members) = scope.monitor("g");
                    let mut counts = HashMap::new();
                    tally(members, &monitor, &mut counts);
                    for pid in scope.members("g") {
                        let _ = scope.leave("g", &pid);
                        pid.kill();
                    }
                    apply(&monitor, &mut counts);
                    rounds += 1;
                }
                rounds
            });
            let mut live = Vec::new();
            for n in 0..actors {
                let guest = start::<Guest>(system, (), Options::new()).unwrap().pid();
                for _ in 0..=n % 3 {
                    // It may have been killed.
                    let _ = scope.join("g", &guest);
                }
                live.push(guest);
                if live.len() > 16 {
                    let guest = live.swap_remove(n % 16);
                    let end = guest.watch();
                    guest.kill();
                    end.wait_down();
                    assert!(!scope.members("g").contains(&guest));
                }
            }
            for guest in live {
                let end = guest.watch();
                guest.kill();
                end.wait_down();
            }
            is_over.store(true, Ordering::SeqCst);
            assert!(follower.join().unwrap() > 0);
        });
        assert!(scope.groups().is_empty());
        let mut counts = HashMap::new();
        apply(&first, &mut counts);
        assert!(counts.values().all(|count| *count == 0));
    });
}
