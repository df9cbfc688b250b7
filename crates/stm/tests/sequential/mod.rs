//! Runs a collection and its sequential model side by side.

#![allow(dead_code, reason = "each test file uses what it needs")]

use proptest::collection::vec;
use proptest::prelude::*;
use std::fmt::Debug;
use weftwork_stm::{Stm, Tx, abort, try_atomically};

/// What one transaction does, and whether it is kept in the end.
pub(crate) type Transaction<Op> = (Vec<Op>, bool);

/// Many transactions of a few operations; one in four is aborted.
pub(crate) fn transactions<Op: Debug + Clone>(
    op: impl Strategy<Value = Op>,
) -> impl Strategy<Value = Vec<Transaction<Op>>> {
    vec(
        (
            vec(op, 1..6),
            prop_oneof![3 => Just(true), 1 => Just(false)],
        ),
        1..60,
    )
}

/// Applies `transactions` to both. Each operation must have the same result, and an aborted transaction must
/// leave the collection as it was: what follows shows it.
pub(crate) fn compare<M: Clone, Op, R: PartialEq + Debug>(
    model: &mut M,
    transactions: &[Transaction<Op>],
    apply: impl Fn(&Tx, &Op) -> Stm<R>,
    expect: impl Fn(&mut M, &Op) -> R,
) {
    for (ops, is_kept) in transactions {
        let mut results = Vec::new();
        let ended = try_atomically(|tx| {
            results.clear();
            for op in ops {
                results.push(apply(tx, op)?);
            }
            if *is_kept { Ok(()) } else { abort("not kept") }
        });
        assert_eq!(ended.is_ok(), *is_kept);
        let before = model.clone();
        let expected: Vec<R> = ops.iter().map(|op| expect(model, op)).collect();
        assert_eq!(results, expected);
        if !is_kept {
            *model = before;
        }
    }
}
