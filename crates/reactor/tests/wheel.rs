//! The timer wheel against a model that is obviously right: an ordered map.

use std::collections::BTreeMap;

use proptest::prelude::*;
use weftwork_reactor::{Clock, TimerKey, Wheel};

/// One step of a script. Times are relative to the current one.
#[derive(Clone, Debug)]
enum Step {
    Insert(u64),
    InsertLate(u64),
    InsertAt(u64),
    InsertSame,
    Cancel(usize),
    Reset(usize, u64),
    Advance(u64),
    AdvanceToNext,
}

/// Distances of every magnitude, from within a tick to the far end of the range.
fn distance() -> impl Strategy<Value = u64> {
    prop_oneof![
        0_u64..200,
        0_u64..1 << 17,
        0_u64..1 << 25,
        0_u64..1 << 33,
        (0_u32..64, any::<u64>()).prop_map(|(bits, n)| n >> bits),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => distance().prop_map(Step::Insert),
        1 => distance().prop_map(Step::InsertLate),
        1 => prop_oneof![Just(u64::MAX), Just(u64::MAX - 1), Just(0)].prop_map(Step::InsertAt),
        3 => Just(Step::InsertSame),
        3 => any::<usize>().prop_map(Step::Cancel),
        2 => (any::<usize>(), distance()).prop_map(|(n, d)| Step::Reset(n, d)),
        3 => distance().prop_map(Step::Advance),
        3 => Just(Step::AdvanceToNext),
    ]
}

/// The wheel, the model, and every key ever given out.
struct Pair {
    now: u64,
    wheel: Wheel<u64>,
    /// By deadline, then by time of insertion; the value is the payload.
    model: BTreeMap<(u64, u64), u64>,
    /// Key, payload, and the model's key while armed.
    keys: Vec<(TimerKey, Option<(u64, u64)>)>,
    order: u64,
    last: u64,
    /// Changes that may leave a bound behind, and advances that found nothing.
    moved: u64,
    idle: u64,
}

impl Pair {
    fn new(now: u64) -> Self {
        Pair {
            now,
            wheel: Wheel::new(now),
            model: BTreeMap::new(),
            keys: Vec::new(),
            order: 0,
            last: now,
            moved: 0,
            idle: 0,
        }
    }

    fn insert(&mut self, deadline: u64) {
        let payload = self.keys.len() as u64;
        let at = (deadline, self.order);
        self.order += 1;
        self.last = deadline;
        self.model.insert(at, payload);
        self.keys
            .push((self.wheel.insert(deadline, payload), Some(at)));
    }

    fn cancel(&mut self, n: usize) {
        let (key, at) = &mut self.keys[n];
        let expected = at.take().map(|at| self.model.remove(&at).expect("armed"));
        assert_eq!(self.wheel.is_armed(*key), expected.is_some());
        assert_eq!(self.wheel.cancel(*key), expected);
        self.moved += u64::from(expected.is_some());
    }

    fn reset(&mut self, n: usize, deadline: u64) {
        let (key, at) = &mut self.keys[n];
        let armed = at.is_some();
        if let Some(at) = at {
            let payload = self.model.remove(at).expect("armed");
            *at = (deadline, self.order);
            self.order += 1;
            self.model.insert(*at, payload);
        }
        assert_eq!(self.wheel.reset(*key, deadline), armed);
        assert_eq!(self.wheel.deadline(*key), armed.then_some(deadline));
        self.moved += u64::from(armed);
    }

    fn advance(&mut self, now: u64) {
        self.now = now;
        let mut expected = Vec::new();
        while let Some(entry) = self.model.first_entry() {
            if entry.key().0 > now {
                break;
            }
            expected.push(entry.remove());
        }
        let mut due = Vec::new();
        assert_eq!(self.wheel.advance(now, &mut due), expected.len());
        assert_eq!(due, expected);
        for payload in due {
            self.keys[payload as usize].1 = None;
        }
        self.check_bound();
    }

    fn check_bound(&self) {
        assert_eq!(self.wheel.len(), self.model.len());
        let next = self
            .model
            .first_key_value()
            .map(|(&(deadline, _), _)| deadline);
        match (self.wheel.next_deadline(), next) {
            (None, None) => {}
            (Some(bound), Some(next)) => {
                assert!(bound <= next, "bound {bound} is later than {next}");
                assert!(self.moved > 0 || bound == next, "bound {bound} for {next}");
            }
            other => panic!("wheel and model disagree: {other:?}"),
        }
    }

    fn run(&mut self, step: Step) {
        let now = self.now;
        match step {
            Step::Insert(after) => self.insert(now.saturating_add(after)),
            Step::InsertLate(before) => self.insert(now.saturating_sub(before)),
            Step::InsertAt(deadline) => self.insert(deadline),
            Step::InsertSame => self.insert(self.last),
            Step::Cancel(n) if !self.keys.is_empty() => self.cancel(n % self.keys.len()),
            Step::Reset(n, after) if !self.keys.is_empty() => {
                self.reset(n % self.keys.len(), now.saturating_add(after));
            }
            Step::Advance(by) => self.advance(now.saturating_add(by)),
            Step::AdvanceToNext => {
                if let Some(next) = self.wheel.next_deadline() {
                    let before = self.model.len();
                    self.advance(next.max(now));
                    self.idle += u64::from(self.model.len() == before);
                }
            }
            _ => {}
        }
        self.check_bound();
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_wheel_agrees_with_an_ordered_map(
        start in prop_oneof![Just(0), any::<u64>(), 0_u64..1 << 30],
        steps in prop::collection::vec(step(), 0..200),
    ) {
        let mut pair = Pair::new(start);
        for step in steps {
            pair.run(step);
        }
        // A sleeper that follows the bound gets everything, with at most one wake-up for nothing
        // for each timer that was cancelled or moved.
        while !pair.wheel.is_empty() {
            pair.run(Step::AdvanceToNext);
        }
        prop_assert!(pair.idle <= pair.moved, "{} idle, {} moved", pair.idle, pair.moved);
    }
}

#[test]
fn a_timer_is_never_handed_out_early_and_always_at_its_deadline() {
    for shift in 0..64 {
        for deadline in [
            (1_u64 << shift) - 1,
            1 << shift,
            (1 << shift) + 1,
            u64::MAX >> shift,
        ] {
            let mut wheel = Wheel::new(0);
            wheel.insert(deadline, ());
            let mut due = Vec::new();
            if deadline > 0 {
                assert_eq!(
                    wheel.advance(deadline - 1, &mut due),
                    0,
                    "{deadline} is not due yet"
                );
            }
            assert_eq!(wheel.next_deadline(), Some(deadline));
            assert_eq!(wheel.advance(deadline, &mut due), 1, "{deadline} is due");
        }
    }
}

#[test]
fn equal_deadlines_fire_in_the_order_of_insertion_from_whatever_distance() {
    let mut wheel = Wheel::new(0);
    let deadline = 300_000_000_000;
    let mut due = Vec::new();
    let mut now = 0;
    let mut number = 0;
    // Each insertion is closer, so that they start on different levels.
    while now < deadline {
        wheel.insert(deadline, number);
        number += 1;
        now += (deadline - now).div_ceil(3);
        wheel.advance(now.min(deadline - 1), &mut due);
    }
    assert!(due.is_empty() && number > 20);
    wheel.advance(deadline, &mut due);
    assert_eq!(due, (0..number).collect::<Vec<_>>());
}

#[test]
fn a_deadline_at_the_end_of_time_is_kept_and_never_due() {
    let mut wheel = Wheel::new(u64::MAX - 10);
    let key = wheel.insert(Clock::NEVER, "never");
    let mut due = Vec::new();
    assert_eq!(wheel.advance(u64::MAX - 1, &mut due), 0);
    assert_eq!(wheel.next_deadline(), Some(Clock::NEVER));
    assert_eq!(wheel.cancel(key), Some("never"));
    assert_eq!(wheel.next_deadline(), None);
}

#[test]
fn the_key_of_a_fired_timer_does_not_reach_the_next_tenant_of_its_place() {
    let mut wheel = Wheel::new(0);
    let first = wheel.insert(10, 1);
    let mut due = Vec::new();
    wheel.advance(10, &mut due);
    let second = wheel.insert(20, 2);
    assert_eq!(wheel.cancel(first), None);
    assert!(!wheel.reset(first, 30));
    assert_eq!(wheel.cancel(second), Some(2));
    assert_eq!(wheel.cancel(second), None);
}

#[test]
fn time_that_runs_backwards_fires_nothing_early_and_loses_nothing() {
    let mut wheel = Wheel::new(0);
    let mut due = Vec::new();
    wheel.advance(10_000_000, &mut due);
    wheel.insert(5_000_000, "late");
    wheel.insert(12_000_000, "soon");
    assert_eq!(wheel.advance(4_000_000, &mut due), 0);
    assert_eq!(wheel.advance(6_000_000, &mut due), 1);
    assert_eq!(wheel.advance(11_999_999, &mut due), 0);
    assert_eq!(wheel.advance(12_000_000, &mut due), 1);
    assert_eq!(due, ["late", "soon"]);
}

#[test]
fn a_timer_armed_while_the_expired_run_waits_for_the_next_advance() {
    let mut wheel = Wheel::new(0);
    wheel.insert(100, 1);
    let mut due = Vec::new();
    wheel.advance(100, &mut due);
    for number in due.drain(..) {
        wheel.insert(100, number + 1);
    }
    assert_eq!(wheel.next_deadline(), Some(100));
    assert_eq!(wheel.advance(100, &mut due), 1);
    assert_eq!(due, [2]);
}

#[test]
fn payloads_of_cancelled_and_abandoned_timers_are_dropped_once() {
    let payload = std::rc::Rc::new(());
    let mut wheel = Wheel::new(0);
    let keys: Vec<_> = (0..100)
        .map(|n| wheel.insert(n << 12, payload.clone()))
        .collect();
    for key in &keys[..50] {
        drop(wheel.cancel(*key));
    }
    assert_eq!(std::rc::Rc::strong_count(&payload), 51);
    drop(wheel);
    assert_eq!(std::rc::Rc::strong_count(&payload), 1);
}
