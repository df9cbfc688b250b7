//! The rules against a naive model: one list in which what is postponed is marked.

use super::rules::{Rules, Slot};
use proptest::prelude::*;

/// What the handling of the next event does.
#[derive(Debug, Clone)]
struct Handling {
    postpones: bool,
    changes: bool,
    inserts: usize,
    /// Which time-outs of no time it sets, in order.
    sets: Vec<Slot>,
    /// How many events come in from outside first, if there is nothing to do.
    arrive: usize,
}

fn handling() -> impl Strategy<Value = Handling> {
    let slot = prop_oneof![Just(Slot::State), Just(Slot::Event), Just(Slot::Named("n"))];
    let sets = prop::collection::vec(slot, 0..3);
    (
        any::<bool>(),
        prop::bool::weighted(0.3),
        0..3_usize,
        sets,
        1..3_usize,
    )
        .prop_map(|(postpones, changes, inserts, sets, arrive)| Handling {
            postpones,
            changes,
            inserts,
            sets,
            arrive,
        })
}

#[derive(Default)]
struct Model {
    /// Events, and whether each is postponed; those stand before the others as far as they were handled.
    list: Vec<(u32, bool)>,
    zero: Vec<(Slot, u32)>,
}

impl Model {
    fn is_empty(&self) -> bool {
        self.zero.is_empty() && self.list.iter().all(|(_, is_postponed)| *is_postponed)
    }

    fn next(&mut self) -> Option<u32> {
        let fresh = self.list.iter().position(|(_, is_postponed)| !is_postponed);
        let event = match fresh {
            Some(at) => Some(self.list.remove(at).0),
            None if self.zero.is_empty() => None,
            None => Some(self.zero.remove(0).1),
        };
        if event.is_some() {
            self.zero.retain(|(slot, _)| *slot != Slot::Event);
        }
        event
    }

    fn settle(&mut self, event: u32, does: &Handling, inserted: &[u32]) {
        if does.postpones {
            let behind = self
                .list
                .iter()
                .rposition(|(_, is_postponed)| *is_postponed);
            self.list
                .insert(behind.map_or(0, |at| at + 1), (event, true));
        }
        if does.changes {
            self.zero.retain(|(slot, _)| *slot != Slot::State);
            // The postponed ones first, whatever has been inserted before them since.
            self.list.sort_by_key(|(_, is_postponed)| !is_postponed);
            self.list
                .iter_mut()
                .for_each(|(_, is_postponed)| *is_postponed = false);
        }
        self.list
            .splice(0..0, inserted.iter().map(|event| (*event, false)));
    }
}

proptest! {
    #[test]
    fn events_are_handled_in_the_order_of_the_model(
        script in prop::collection::vec(handling(), 1..60),
    ) {
        let mut rules = Rules::new();
        let mut model = Model::default();
        let mut numbers = 0..;
        for does in script {
            prop_assert_eq!(rules.is_empty(), model.is_empty());
            if model.is_empty() {
                for event in numbers.by_ref().take(does.arrive) {
                    rules.queue(event);
                    model.list.push((event, false));
                }
            }
            let event = rules.next();
            prop_assert_eq!(event, model.next());
            let Some(event) = event else { continue };
            let inserted: Vec<u32> = numbers.by_ref().take(does.inserts).collect();
            model.settle(event, &does, &inserted);
            rules.settle(does.postpones.then_some(event), does.changes, inserted);
            for (slot, number) in does.sets.iter().zip(numbers.by_ref()) {
                rules.cancel(*slot);
                rules.at_once(*slot, number);
                model.zero.retain(|(one, _)| one != slot);
                if *slot != Slot::Event || model.is_empty() {
                    model.zero.push((*slot, number));
                }
            }
        }
    }
}
