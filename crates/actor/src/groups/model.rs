//! The book against a naive model: a list of joinings.

use super::book::{Book, Gone};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::Arc;

#[derive(Debug, Clone)]
enum Step {
    Join(u8, u64),
    Leave(u8, u64),
    End(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let (group, member) = (0..4_u8, 1..5_u64);
    prop_oneof![
        4 => (group.clone(), member.clone()).prop_map(|(g, m)| Step::Join(g, m)),
        3 => (group, member.clone()).prop_map(|(g, m)| Step::Leave(g, m)),
        1 => member.prop_map(Step::End),
    ]
}

fn name(group: u8) -> Arc<str> {
    format!("g{group}").into()
}

proptest! {
    #[test]
    fn a_book_agrees_with_a_list_of_joinings(steps in prop::collection::vec(step(), 0..60)) {
        let mut book = Book::new();
        // Group and member, in the order of joining.
        let mut model: Vec<(u8, u64)> = Vec::new();
        for (at, step) in steps.into_iter().enumerate() {
            match step {
                Step::Join(group, member) => {
                    let is_new = !model.iter().any(|(_, m)| *m == member);
                    let hook = at as u64;
                    prop_assert_eq!(book.join(&name(group), member, member, hook), is_new);
                    model.push((group, member));
                }
                Step::Leave(group, member) => {
                    let found = model.iter().rposition(|one| *one == (group, member));
                    let left = book.leave(&name(group), member);
                    prop_assert_eq!(left.is_some(), found.is_some());
                    if let (Some(found), Some((pid, gone))) = (found, left) {
                        model.remove(found);
                        prop_assert_eq!(pid, member);
                        let is_last = !model.iter().any(|(_, m)| *m == member);
                        prop_assert_eq!(matches!(gone, Some(Gone(_))), is_last);
                    }
                }
                Step::End(member) => {
                    let mut left: Vec<_> = book.leave_all(member);
                    left.sort();
                    let mut expected: Vec<_> = model
                        .extract_if(.., |(_, m)| *m == member)
                        .map(|(group, member)| (name(group), member))
                        .collect();
                    expected.sort();
                    prop_assert_eq!(left, expected);
                }
            }
            for group in 0..4 {
                let members = model.iter().filter(|(g, _)| *g == group).map(|(_, m)| *m);
                prop_assert_eq!(book.members(&name(group)), members.collect::<Vec<_>>());
            }
            let names: BTreeSet<_> = book.names().cloned().collect();
            let expected: BTreeSet<_> = model.iter().map(|(group, _)| name(*group)).collect();
            prop_assert_eq!(names, expected);
            for member in 1..5 {
                prop_assert_eq!(book.has(member), model.iter().any(|(_, m)| *m == member));
            }
        }
    }
}
