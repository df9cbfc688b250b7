//! The plan against a naive model: OTP's rules written down once more, with plain lists.

use super::admin::{AdminError, ChildInfo, ChildState, Counts, Refusal};
use super::id::ChildId;
use super::plan::{Again, Hands, NotBegun, Plan, Verdict};
use super::report::Report;
use super::rules::{AutoShutdown, Flags, Kind, Restart, Rules, Shutdown, Strategy};
use super::table::Child;
use crate::reason::Reason;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What is done to the world.
#[derive(Debug, Clone, PartialEq)]
enum Step {
    Start(u32, Result<Option<u32>, Reason>),
    Stop(u32, Shutdown),
    StopTogether(Vec<(u32, Shutdown)>),
    Later,
    Report(Report<u32>),
}

/// A world that behaves the same whoever asks: the n-th start ends so, the n-th stop so.
struct World {
    now: Instant,
    fates: Vec<u8>,
    starts: u32,
    stops: u32,
    later: VecDeque<Again>,
    trace: Vec<Step>,
}

impl World {
    fn new(now: Instant, fates: Vec<u8>) -> Self {
        World {
            now,
            fates,
            starts: 0,
            stops: 0,
            later: VecDeque::new(),
            trace: Vec::new(),
        }
    }

    fn start_child(&mut self, tag: u32) -> Result<Option<u32>, Reason> {
        self.starts += 1;
        let fate = self.fates[self.starts as usize % self.fates.len()];
        let made = match fate % 8 {
            0 | 1 => Err(Reason::other("no")),
            2 => Ok(None),
            _ => Ok(Some(self.starts)),
        };
        self.trace.push(Step::Start(tag, made.clone()));
        made
    }

    fn end_of_stop(&mut self) -> Reason {
        self.stops += 1;
        match self.fates[self.stops as usize % self.fates.len()] / 8 % 4 {
            0 => Reason::Killed,
            1 => Reason::Normal,
            _ => Reason::Shutdown,
        }
    }
}

impl Hands<u32, u32> for World {
    fn now(&mut self) -> Instant {
        self.now
    }
    fn random(&mut self) -> f64 {
        0.0
    }
    fn start(
        &mut self,
        _: Option<&ChildId>,
        _: &Rules,
        tag: &mut u32,
    ) -> Result<Option<u32>, Reason> {
        self.start_child(*tag)
    }
    fn stop(&mut self, _: Option<&ChildId>, pid: &u32, how: Shutdown) -> Reason {
        self.trace.push(Step::Stop(*pid, how));
        self.end_of_stop()
    }
    fn stop_together(&mut self, children: Vec<(u32, Shutdown)>) -> Vec<Reason> {
        let ends = children.iter().map(|_| self.end_of_stop()).collect();
        self.trace.push(Step::StopTogether(children));
        ends
    }
    fn later(&mut self, again: Again, wait: Duration) {
        assert!(wait.is_zero());
        self.trace.push(Step::Later);
        self.later.push_back(again);
    }
    fn report(&mut self, report: Report<u32>) {
        self.trace.push(Step::Report(report));
    }
}

#[derive(Debug, Clone, PartialEq)]
enum At {
    Undefined,
    Restarting(u32),
    Pid(u32),
}

#[derive(Debug, Clone)]
struct Kid {
    id: Option<ChildId>,
    rules: Rules,
    tag: u32,
    at: At,
}

/// The model: a list of children in the order of their start, a list of restarts.
struct Naive {
    flags: Flags,
    kids: Vec<Kid>,
    restarts: Vec<Instant>,
    tries: u32,
    later: VecDeque<(u32, u32)>,
    world: World,
}

type Stopped = bool;

impl Naive {
    fn report(&mut self, report: Report<u32>) {
        self.world.trace.push(Step::Report(report));
    }

    fn index(&self, tag: u32) -> Option<usize> {
        self.kids.iter().position(|kid| kid.tag == tag)
    }

    fn is_forgotten(&self, kid: &Kid) -> bool {
        kid.rules.restart == Restart::Temporary || self.flags.strategy == Strategy::Dynamic
    }

    fn undefine(&mut self, tag: u32) {
        let Some(at) = self.index(tag) else { return };
        if self.is_forgotten(&self.kids[at]) {
            self.kids.remove(at);
        } else {
            self.kids[at].at = At::Undefined;
        }
    }

    fn start(&mut self, tag: u32) -> Result<Option<u32>, Reason> {
        let at = self.index(tag).unwrap();
        let id = self.kids[at].id.clone();
        let made = self.world.start_child(tag);
        match &made {
            Ok(Some(pid)) => {
                self.kids[at].at = At::Pid(*pid);
                self.report(Report::Started { id, pid: *pid });
            }
            Ok(None) => self.undefine(tag),
            Err(reason) => self.report(Report::StartFailed {
                id,
                reason: reason.clone(),
            }),
        }
        made
    }

    fn start_all(&mut self, tags: Vec<u32>) -> Result<(), (u32, Reason)> {
        for tag in tags {
            if !matches!(self.kids[self.index(tag).unwrap()].at, At::Pid(_)) {
                self.start(tag).map_err(|reason| (tag, reason))?;
            }
        }
        Ok(())
    }

    fn report_end(&mut self, kid: &Kid, pid: u32, reason: Reason) {
        let permanent = kid.rules.restart == Restart::Permanent;
        let expected = match kid.rules.how() {
            Shutdown::BrutalKill => reason == Reason::Killed,
            _ => reason == Reason::Shutdown,
        };
        if !(expected || (!permanent && reason.is_normal())) {
            let id = kid.id.clone();
            self.report(Report::StopFailed { id, pid, reason });
        }
    }

    fn stop(&mut self, tag: u32) {
        let kid = self.kids[self.index(tag).unwrap()].clone();
        if let At::Pid(pid) = kid.at {
            self.world.trace.push(Step::Stop(pid, kid.rules.how()));
            let reason = self.world.end_of_stop();
            self.report_end(&kid, pid, reason);
        }
        self.undefine(tag);
    }

    fn tags(&self) -> Vec<u32> {
        self.kids.iter().map(|kid| kid.tag).collect()
    }

    fn stop_all(&mut self) {
        if self.flags.strategy == Strategy::Dynamic {
            let mut running = Vec::new();
            for kid in self.kids.iter().rev() {
                if let At::Pid(pid) = kid.at {
                    running.push((kid.clone(), pid));
                }
            }
            if !running.is_empty() {
                let list: Vec<_> = running.iter().map(|(k, p)| (*p, k.rules.how())).collect();
                let ends: Vec<_> = list.iter().map(|_| self.world.end_of_stop()).collect();
                self.world.trace.push(Step::StopTogether(list));
                for ((kid, pid), reason) in running.into_iter().zip(ends) {
                    self.report_end(&kid, pid, reason);
                }
            }
            self.kids.clear();
            return;
        }
        for tag in self.tags().into_iter().rev() {
            self.stop(tag);
        }
    }

    fn begin(&mut self) -> Result<(), NotBegun> {
        self.start_all(self.tags()).map_err(|(tag, reason)| {
            let id = self.kids[self.index(tag).unwrap()].id.clone();
            self.stop_all();
            NotBegun { id, reason }
        })
    }

    fn exit(&mut self, pid: u32, reason: Reason) -> Stopped {
        let Some(kid) = (self.kids.iter().find(|kid| kid.at == At::Pid(pid))).cloned() else {
            return false;
        };
        let clean = matches!(
            reason,
            Reason::Normal | Reason::Shutdown | Reason::ShutdownWith(_)
        );
        let id = kid.id.clone();
        if kid.rules.restart == Restart::Permanent || !clean {
            self.report(Report::Ended { id, pid, reason });
        }
        let again = match kid.rules.restart {
            Restart::Permanent => true,
            Restart::Transient => !clean,
            Restart::Temporary => false,
        };
        if again {
            return self.restart(kid.tag);
        }
        self.undefine(kid.tag);
        if !kid.rules.significant {
            return false;
        }
        match self.flags.auto_shutdown {
            AutoShutdown::Never => false,
            AutoShutdown::AnySignificant => true,
            AutoShutdown::AllSignificant => {
                !(self.kids.iter()).any(|kid| kid.rules.significant && kid.at != At::Undefined)
            }
        }
    }

    fn restart(&mut self, tag: u32) -> Stopped {
        let now = self.world.now;
        let period = self.flags.period;
        self.restarts.retain(|time| now - *time <= period);
        self.restarts.push(now);
        if self.restarts.len() > self.flags.intensity as usize {
            let id = self.kids[self.index(tag).unwrap()].id.clone();
            self.report(Report::GaveUp { id });
            self.undefine(tag);
            return true;
        }
        let at = self.index(tag).unwrap();
        let group: Vec<u32> = match self.flags.strategy {
            Strategy::OneForOne | Strategy::Dynamic => vec![],
            Strategy::RestForOne => self.tags()[at..].to_vec(),
            Strategy::OneForAll => self.tags(),
        };
        let failed = if group.is_empty() {
            self.start(tag).err().map(|_| tag)
        } else {
            self.kids[at].at = At::Undefined;
            for tag in group.iter().rev() {
                self.stop(*tag);
            }
            let left = (group.into_iter())
                .filter(|tag| self.index(*tag).is_some())
                .collect();
            self.start_all(left).err().map(|(tag, _)| tag)
        };
        if let Some(tag) = failed {
            self.tries += 1;
            let at = self.index(tag).unwrap();
            self.kids[at].at = At::Restarting(self.tries);
            self.later.push_back((tag, self.tries));
            self.world.trace.push(Step::Later);
        }
        false
    }

    fn try_again(&mut self) -> Stopped {
        let Some((tag, number)) = self.later.pop_front() else {
            return false;
        };
        match self.index(tag) {
            Some(at) if self.kids[at].at == At::Restarting(number) => self.restart(tag),
            _ => false,
        }
    }

    fn add(&mut self, kid: Kid) -> Result<Option<u32>, Refusal<u32>> {
        let same = self.kids.iter().find(|k| k.id.is_some() && k.id == kid.id);
        if let Some(same) = same {
            return Err(match same.at {
                At::Pid(pid) => Refusal::AlreadyStarted(pid),
                _ => Refusal::AlreadyPresent,
            });
        }
        if self.kids.len() >= self.flags.max_children {
            return Err(Refusal::TooMany);
        }
        let tag = kid.tag;
        self.kids.push(kid);
        self.start(tag).map_err(|reason| {
            self.kids.pop();
            Refusal::Failed(reason)
        })
    }

    fn find(&self, id: &ChildId) -> Result<Kid, AdminError> {
        if self.flags.strategy == Strategy::Dynamic {
            return Err(AdminError::Dynamic);
        }
        let kid = self.kids.iter().find(|kid| kid.id.as_ref() == Some(id));
        kid.cloned().ok_or(AdminError::NotFound)
    }

    fn find_undefined(&self, id: &ChildId) -> Result<Kid, AdminError> {
        let kid = self.find(id)?;
        match kid.at {
            At::Undefined => Ok(kid),
            At::Pid(_) => Err(AdminError::Running),
            At::Restarting(_) => Err(AdminError::Restarting),
        }
    }

    fn terminate(&mut self, id: &ChildId) -> Result<(), AdminError> {
        let kid = self.find(id)?;
        self.stop(kid.tag);
        Ok(())
    }

    fn start_again(&mut self, id: &ChildId) -> Result<Option<u32>, AdminError> {
        let kid = self.find_undefined(id)?;
        self.start(kid.tag).map_err(AdminError::Failed)
    }

    fn delete(&mut self, id: &ChildId) -> Result<(), AdminError> {
        let kid = self.find_undefined(id)?;
        let at = self.index(kid.tag).unwrap();
        self.kids.remove(at);
        Ok(())
    }

    fn list(&self) -> Vec<ChildInfo<u32>> {
        let info = |kid: &Kid| ChildInfo {
            id: kid.id.clone(),
            state: match kid.at {
                At::Pid(pid) => ChildState::Running(pid),
                At::Restarting(_) => ChildState::Restarting,
                At::Undefined => ChildState::Ended,
            },
            kind: kid.rules.kind,
            restart: kid.rules.restart,
        };
        self.kids.iter().rev().map(info).collect()
    }

    fn count(&self) -> Counts {
        let is = |kind| {
            self.kids
                .iter()
                .filter(|kid| kid.rules.kind == kind)
                .count()
        };
        Counts {
            specs: match self.flags.strategy {
                Strategy::Dynamic => 1,
                _ => self.kids.len(),
            },
            active: (self.kids.iter())
                .filter(|kid| matches!(kid.at, At::Pid(_)))
                .count(),
            supervisors: is(Kind::Supervisor),
            workers: is(Kind::Worker),
        }
    }
}

#[derive(Debug, Clone)]
enum Op {
    /// The child at this place of the list ends, so.
    Exit(prop::sample::Index, Reason),
    Stranger,
    TryAgain,
    Add(u8, Rules),
    Terminate(u8),
    TerminatePid(prop::sample::Index),
    Restart(u8),
    Delete(u8),
    Advance(u16),
}

fn reason() -> impl Strategy2<Reason> {
    prop_oneof![
        2 => Just(Reason::Normal),
        1 => Just(Reason::Shutdown),
        1 => Just(Reason::shutdown_with("done")),
        1 => Just(Reason::Killed),
        5 => Just(Reason::other("boom")),
    ]
}

use proptest::strategy::Strategy as Strategy2Trait;
trait Strategy2<T>: Strategy2Trait<Value = T> {}
impl<T, S: Strategy2Trait<Value = T>> Strategy2<T> for S {}

fn rules(auto: AutoShutdown) -> impl Strategy2<Rules> {
    let restart = prop_oneof![
        3 => Just(Restart::Permanent),
        2 => Just(Restart::Transient),
        1 => Just(Restart::Temporary),
    ];
    let how = prop_oneof![
        Just(None),
        Just(Some(Shutdown::BrutalKill)),
        Just(Some(Shutdown::Infinity)),
    ];
    (restart, how, any::<bool>(), any::<bool>()).prop_map(
        move |(restart, shutdown, is_supervisor, significant)| Rules {
            restart,
            shutdown,
            kind: if is_supervisor {
                Kind::Supervisor
            } else {
                Kind::Worker
            },
            significant: significant
                && restart != Restart::Permanent
                && auto != AutoShutdown::Never,
            ..Rules::new()
        },
    )
}

fn op(auto: AutoShutdown) -> impl Strategy2<Op> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        8 => (index(), reason()).prop_map(|(at, reason)| Op::Exit(at, reason)),
        1 => Just(Op::Stranger),
        5 => Just(Op::TryAgain),
        2 => (0_u8..8, rules(auto)).prop_map(|(id, rules)| Op::Add(id, rules)),
        2 => (0_u8..8).prop_map(Op::Terminate),
        1 => index().prop_map(Op::TerminatePid),
        2 => (0_u8..8).prop_map(Op::Restart),
        2 => (0_u8..8).prop_map(Op::Delete),
        4 => (0_u16..1500).prop_map(Op::Advance),
    ]
}

fn flags() -> impl Strategy2<Flags> {
    let strategy = prop_oneof![
        Just(Strategy::OneForOne),
        Just(Strategy::OneForAll),
        Just(Strategy::RestForOne),
        Just(Strategy::Dynamic),
    ];
    let auto = prop_oneof![
        2 => Just(AutoShutdown::Never),
        1 => Just(AutoShutdown::AnySignificant),
        1 => Just(AutoShutdown::AllSignificant),
    ];
    (strategy, auto, 0_u32..6, 1_u64..3000, 3_usize..10).prop_map(
        |(strategy, auto, intensity, period, max_children)| Flags {
            strategy,
            intensity,
            period: Duration::from_millis(period),
            auto_shutdown: match strategy {
                Strategy::Dynamic => AutoShutdown::Never,
                _ => auto,
            },
            max_children,
        },
    )
}

fn scenario() -> impl Strategy2<(Flags, Vec<Rules>, Vec<Op>, Vec<u8>)> {
    flags().prop_flat_map(|flags| {
        let auto = flags.auto_shutdown;
        let first = match flags.strategy {
            Strategy::Dynamic => 0..1,
            _ => 0..4_usize,
        };
        let fates = prop::collection::vec(any::<u8>(), 1..40);
        let children = prop::collection::vec(rules(auto), first);
        let ops = prop::collection::vec(op(auto), 0..60);
        (Just(flags), children, ops, fates)
    })
}

fn id(flags: &Flags, n: u8) -> Option<ChildId> {
    (flags.strategy != Strategy::Dynamic).then(|| format!("c{n}").into())
}

proptest! {
    #[test]
    fn a_plan_does_what_otps_rules_say((flags, children, ops, fates) in scenario()) {
        let now = Instant::now();
        let mut world = World::new(now, fates.clone());
        let mut plan: Plan<u32, u32> = Plan::new(flags.clone());
        let mut naive = Naive {
            flags: flags.clone(),
            kids: Vec::new(),
            restarts: Vec::new(),
            tries: 0,
            later: VecDeque::new(),
            world: World::new(now, fates),
        };
        let mut tags = 0;
        let mut kid = |n, rules: Rules| {
            tags += 1;
            let id = id(&flags, n);
            let child = Child::new(id.clone(), rules.clone(), tags);
            (child, Kid { id, rules, tag: tags, at: At::Undefined })
        };
        for (n, rules) in children.into_iter().enumerate() {
            let (child, kid) = kid(n as u8, rules);
            plan.add_idle(child);
            naive.kids.push(kid);
        }
        let begun = plan.begin(&mut world);
        prop_assert_eq!(&begun, &naive.begin());
        prop_assert_eq!(&world.trace, &naive.world.trace);
        if begun.is_err() {
            return Ok(());
        }
        for op in ops {
            let (mut got, mut want) = (Verdict::GoOn, false);
            let at_of = |index: prop::sample::Index, naive: &Naive| {
                let running: Vec<_> = (naive.kids.iter())
                    .filter_map(|kid| match kid.at { At::Pid(pid) => Some(pid), _ => None })
                    .collect();
                (!running.is_empty()).then(|| *index.get(&running))
            };
            match op {
                Op::Exit(index, reason) => {
                    let Some(pid) = at_of(index, &naive) else { continue };
                    got = plan.ended(&mut world, &pid, &reason);
                    want = naive.exit(pid, reason);
                }
                Op::Stranger => got = plan.ended(&mut world, &9999, &Reason::other("who")),
                Op::TryAgain => {
                    if let Some(again) = world.later.pop_front() {
                        got = plan.try_again(&mut world, again);
                    }
                    want = naive.try_again();
                }
                Op::Add(n, rules) => {
                    let (child, kid) = kid(n, rules);
                    let got = plan.add(&mut world, child).map_err(|not| not.refusal);
                    if flags.strategy == Strategy::Dynamic && kid.rules.significant {
                        continue;
                    }
                    prop_assert_eq!(got, naive.add(kid));
                }
                Op::Terminate(n) => {
                    let id = ChildId::from(format!("c{n}"));
                    prop_assert_eq!(plan.terminate(&mut world, &id), naive.terminate(&id));
                }
                Op::TerminatePid(index) => {
                    let Some(pid) = at_of(index, &naive) else { continue };
                    let tag = naive.kids.iter().find(|kid| kid.at == At::Pid(pid)).unwrap().tag;
                    naive.stop(tag);
                    prop_assert_eq!(plan.terminate_pid(&mut world, &pid), Ok(()));
                }
                Op::Restart(n) => {
                    let id = ChildId::from(format!("c{n}"));
                    prop_assert_eq!(plan.start_again(&mut world, &id), naive.start_again(&id));
                }
                Op::Delete(n) => {
                    let id = ChildId::from(format!("c{n}"));
                    prop_assert_eq!(plan.delete(&id), naive.delete(&id));
                }
                Op::Advance(ms) => {
                    world.now += Duration::from_millis(ms.into());
                    naive.world.now = world.now;
                }
            }
            prop_assert_eq!(got == Verdict::Stop, want);
            prop_assert_eq!(&world.trace, &naive.world.trace);
            prop_assert_eq!(plan.list(), naive.list());
            prop_assert_eq!(plan.count_children(), naive.count());
            if want {
                break;
            }
        }
        plan.stop_all(&mut world);
        naive.stop_all();
        prop_assert_eq!(&world.trace, &naive.world.trace);
        prop_assert_eq!(plan.count_children().active, 0);
    }
}
