//! What the plan does beyond OTP's rules, and at what cost.

use super::backoff::Backoff;
use super::id::ChildId;
use super::plan::{Again, Hands, Plan, Verdict};
use super::report::Report;
use super::rules::{Flags, Limit, Restart, Rules, Shutdown, Strategy};
use super::table::{Child, State};
use crate::reason::Reason;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

const MS: Duration = Duration::from_millis(1);

/// A world in which all goes well, but for the starts that are to fail.
struct World {
    now: Instant,
    started: Vec<u32>,
    stopped: Vec<u32>,
    failing: u32,
    pids: u32,
    later: VecDeque<(Again, Duration)>,
    reports: Vec<Report<u32>>,
}

impl World {
    fn new() -> Self {
        World {
            now: Instant::now(),
            started: Vec::new(),
            stopped: Vec::new(),
            failing: 0,
            pids: 0,
            later: VecDeque::new(),
            reports: Vec::new(),
        }
    }
}

impl Hands<u32, u32> for World {
    fn now(&mut self) -> Instant {
        self.now
    }
    fn random(&mut self) -> f64 {
        0.5
    }
    fn start(
        &mut self,
        _: Option<&ChildId>,
        _: &Rules,
        tag: &mut u32,
    ) -> Result<Option<u32>, Reason> {
        self.started.push(*tag);
        if self.failing > 0 {
            self.failing -= 1;
            return Err(Reason::other("not now"));
        }
        self.pids += 1;
        Ok(Some(self.pids))
    }
    fn stop(&mut self, _: Option<&ChildId>, pid: &u32, _: Shutdown) -> Reason {
        self.stopped.push(*pid);
        Reason::Shutdown
    }
    fn stop_together(&mut self, children: Vec<(u32, Shutdown)>) -> Vec<Reason> {
        children.iter().map(|_| Reason::Shutdown).collect()
    }
    fn later(&mut self, again: Again, wait: Duration) {
        self.later.push_back((again, wait));
    }
    fn report(&mut self, report: Report<u32>) {
        self.reports.push(report);
    }
}

fn plan(strategy: Strategy, intensity: u32, children: &[(&str, Rules)]) -> (Plan<u32, u32>, World) {
    let mut plan = Plan::new(Flags {
        strategy,
        intensity,
        ..Flags::default()
    });
    for (tag, (id, rules)) in children.iter().enumerate() {
        plan.add_idle(Child::new(Some((*id).into()), rules.clone(), tag as u32));
    }
    let mut world = World::new();
    assert_eq!(plan.begin(&mut world), Ok(()));
    world.started.clear();
    (plan, world)
}

fn boom() -> Reason {
    Reason::other("boom")
}

/// The next restart that was put off, its time come.
fn wait(plan: &mut Plan<u32, u32>, world: &mut World) -> (Duration, Verdict) {
    let (again, wait) = world.later.pop_front().expect("a restart is put off");
    world.now += wait;
    (wait, plan.try_again(world, again))
}

#[test]
fn waits_grow_from_crash_to_crash_and_begin_anew_after_a_stable_run() {
    let rules = Rules::new().backoff(Backoff::new(10 * MS, 40 * MS).jitter(0.0));
    let (mut plan, mut world) = plan(Strategy::OneForOne, 100, &[("a", rules)]);
    let mut waits = Vec::new();
    for _ in 0..4 {
        let pid = world.pids;
        assert_eq!(plan.ended(&mut world, &pid, &boom()), Verdict::GoOn);
        assert_eq!(world.pids, pid, "the restart waits");
        waits.push(wait(&mut plan, &mut world).0);
    }
    assert_eq!(waits, [10 * MS, 20 * MS, 40 * MS, 40 * MS]);
    world.now += 25 * MS;
    let pid = world.pids;
    assert_eq!(plan.ended(&mut world, &pid, &boom()), Verdict::GoOn);
    assert_eq!(wait(&mut plan, &mut world), (10 * MS, Verdict::GoOn));
}

#[test]
fn jitter_is_added_and_failed_restarts_wait_longer_and_count_one_each() {
    let rules = Rules::new().backoff(Backoff::new(10 * MS, 400 * MS).jitter(1.0));
    let (mut plan, mut world) = plan(Strategy::OneForOne, 3, &[("a", rules)]);
    assert_eq!(plan.ended(&mut world, &1, &boom()), Verdict::GoOn);
    world.failing = 9;
    assert_eq!(wait(&mut plan, &mut world), (15 * MS, Verdict::GoOn));
    assert_eq!(wait(&mut plan, &mut world), (30 * MS, Verdict::GoOn));
    assert_eq!(wait(&mut plan, &mut world), (60 * MS, Verdict::GoOn));
    // Three were allowed: the crash and two tries.
    assert_eq!(wait(&mut plan, &mut world), (120 * MS, Verdict::Stop));
    assert_eq!(world.started.len(), 3);
}

#[test]
fn a_group_is_stopped_at_the_crash_and_started_after_the_wait() {
    let rules = Rules::new().backoff(Backoff::new(10 * MS, 10 * MS));
    let children = [("a", Rules::new()), ("b", rules), ("c", Rules::new())];
    let (mut plan, mut world) = plan(Strategy::RestForOne, 1, &children);
    assert_eq!(plan.ended(&mut world, &2, &boom()), Verdict::GoOn);
    assert_eq!(
        (&world.stopped[..], &world.started[..]),
        (&[3][..], &[][..])
    );
    assert_eq!(wait(&mut plan, &mut world).1, Verdict::GoOn);
    assert_eq!(
        (&world.stopped[..], &world.started[..]),
        (&[3][..], &[1, 2][..])
    );
}

#[test]
fn a_child_beyond_its_own_limit_is_left_and_the_others_go_on() {
    let rules = Rules::new().limit(Limit::new(1, Duration::from_secs(1)).or_leave());
    let children = [("a", rules), ("b", Rules::new())];
    let (mut plan, mut world) = plan(Strategy::OneForOne, 2, &children);
    assert_eq!(plan.ended(&mut world, &1, &boom()), Verdict::GoOn);
    assert_eq!(plan.ended(&mut world, &3, &boom()), Verdict::GoOn);
    let reached = Report::LimitReached {
        id: Some("a".into()),
    };
    assert_eq!(world.reports.last(), Some(&reached));
    assert_eq!(plan.count_children().active, 1);
    // What was not restarted is not counted against the supervisor's limit of two.
    assert_eq!(plan.ended(&mut world, &2, &boom()), Verdict::GoOn);
    assert_eq!(world.started, [0, 1]);
}

#[test]
fn a_child_beyond_its_own_limit_makes_the_supervisor_give_up_by_default() {
    let rules = Rules::new().limit(Limit::new(1, Duration::from_secs(1)));
    let (mut plan, mut world) = plan(Strategy::OneForOne, 9, &[("a", rules)]);
    assert_eq!(plan.ended(&mut world, &1, &boom()), Verdict::GoOn);
    assert_eq!(plan.ended(&mut world, &2, &boom()), Verdict::Stop);
}

#[test]
fn a_restart_that_was_put_off_is_void_once_the_child_was_stopped_or_started() {
    let (mut plan, mut world) = plan(Strategy::OneForOne, 9, &[("a", Rules::new())]);
    world.failing = 1;
    assert_eq!(plan.ended(&mut world, &1, &boom()), Verdict::GoOn);
    assert_eq!(plan.terminate(&mut world, &"a".into()), Ok(()));
    assert_eq!(plan.start_again(&mut world, &"a".into()), Ok(Some(2)));
    world.failing = 1;
    assert_eq!(plan.ended(&mut world, &2, &boom()), Verdict::GoOn);
    let started = world.started.len();
    assert_eq!(wait(&mut plan, &mut world).1, Verdict::GoOn);
    assert_eq!(world.started.len(), started, "the first one is void");
    assert_eq!(wait(&mut plan, &mut world).1, Verdict::GoOn);
    assert_eq!(world.started.len(), started + 1);
}

#[test]
fn a_dynamic_child_whose_restart_waits_is_stopped_by_the_pid_it_had() {
    let (mut plan, mut world) = plan(Strategy::Dynamic, 9, &[]);
    let rules = Rules::new();
    assert!(plan.add(&mut world, Child::new(None, rules, 0)).is_ok());
    world.failing = 1;
    assert_eq!(plan.ended(&mut world, &1, &boom()), Verdict::GoOn);
    assert_eq!(plan.count_children().active, 0);
    assert_eq!(plan.terminate_pid(&mut world, &1), Ok(()));
    assert_eq!(plan.children.len(), 0);
}

#[test]
fn a_hundred_thousand_children_cost_the_same_each() {
    let many: u32 = weftwork_testkit::iters(100_000, 100_000, 1_000) as u32;
    let mut plan = Plan::new(Flags {
        strategy: Strategy::Dynamic,
        intensity: u32::MAX,
        ..Flags::default()
    });
    let mut world = World::new();
    for tag in 0..many {
        let rules = Rules::new().restart(Restart::Transient);
        assert!(plan.add(&mut world, Child::new(None, rules, tag)).is_ok());
    }
    // Every one crashes, then every second one ends, then all are stopped. What was quadratic would
    // take minutes here, and the watchdog's time.
    let _dog = weftwork_testkit::watchdog(Duration::from_secs(60));
    for pid in 1..=many {
        assert_eq!(plan.ended(&mut world, &pid, &boom()), Verdict::GoOn);
    }
    for pid in (many + 1..=2 * many).step_by(2) {
        assert_eq!(plan.ended(&mut world, &pid, &Reason::Normal), Verdict::GoOn);
    }
    assert_eq!(plan.children.len(), many as usize / 2);
    let key = plan.children.by_pid(&(many + 2)).expect("it was restarted");
    let child = plan.children.get(key).map(Child::state);
    assert_eq!(child, Some(&State::Running(many + 2)));
    plan.stop_all(&mut world);
    assert_eq!(plan.children.len(), 0);
}
