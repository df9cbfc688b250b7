//! Maps, sets and arrays against their sequential models, operation by operation, with transactions that are
//! rolled back in between.

#![cfg(not(weftwork_loom))]

mod sequential;

use proptest::prelude::*;
use sequential::{compare, transactions};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hasher, RandomState};
use std::time::Duration;
use weftwork_stm::{Stm, TArray, TMap, TSet, Tx, atomically, snapshot};
use weftwork_testkit::watchdog;

const LIMIT: Duration = Duration::from_secs(120);

#[derive(Debug, Clone)]
enum Op {
    Insert(u16, u8),
    InsertMany(u16),
    Remove(u16),
    RemoveMany(u16),
    Get(u16),
    Wait(u16),
    Contains(u16),
    Alter(u16, u8),
    Clear,
    Len,
    All,
}

fn op() -> impl Strategy<Value = Op> {
    let key = || 0..300_u16;
    prop_oneof![
        8 => (key(), any::<u8>()).prop_map(|(key, value)| Op::Insert(key, value)),
        3 => key().prop_map(Op::InsertMany),
        3 => key().prop_map(Op::Remove),
        1 => key().prop_map(Op::RemoveMany),
        2 => key().prop_map(Op::Get),
        1 => key().prop_map(Op::Wait),
        1 => key().prop_map(Op::Contains),
        2 => (key(), any::<u8>()).prop_map(|(key, value)| Op::Alter(key, value)),
        1 => Just(Op::Clear),
        2 => Just(Op::Len),
        2 => Just(Op::All),
    ]
}

#[derive(Debug, PartialEq)]
enum Given {
    Value(Option<u8>),
    Is(bool),
    Len(usize, bool),
    All(Vec<(u16, u8)>),
}
use Given::{All, Is, Len, Value};

/// A burst of neighbours, so that the map grows also within one transaction.
const BURST: u16 = 40;

fn next(value: Option<&u8>, more: u8) -> Option<u8> {
    match value {
        // One in some becomes none.
        Some(old) if old % 5 == 0 => None,
        Some(old) => Some(old.wrapping_add(more)),
        None => Some(more),
    }
}

fn apply<S>(map: &TMap<u16, u8, S>, tx: &Tx, op: &Op) -> Stm<Given>
where
    S: BuildHasher + Send + Sync + 'static,
{
    match *op {
        Op::Insert(key, value) => map.insert(tx, key, value).map(Value),
        Op::InsertMany(first) => {
            for key in first..first + BURST {
                map.insert(tx, key, key as u8)?;
            }
            Ok(Is(true))
        }
        Op::Remove(key) => map.remove(tx, &key).map(Value),
        Op::RemoveMany(first) => {
            for key in first..first + BURST {
                map.remove(tx, &key)?;
            }
            Ok(Is(true))
        }
        Op::Get(key) => Ok(Value(map.get(tx, &key)?.copied())),
        Op::Wait(key) => Ok(Value(tx.optionally(|tx| map.wait(tx, &key).copied())?)),
        Op::Contains(key) => map.contains_key(tx, &key).map(Is),
        Op::Alter(key, more) => {
            map.alter(tx, key, |value| next(value, more))?;
            Ok(Is(true))
        }
        Op::Clear => map.clear(tx).map(|()| Is(true)),
        Op::Len => Ok(Len(map.len(tx)?, map.is_empty(tx)?)),
        Op::All => {
            let entries = map
                .iter(tx)
                .map(|entry| entry.map(|(key, value)| (*key, *value)));
            let mut all = entries.collect::<Stm<Vec<_>>>()?;
            all.sort_unstable();
            Ok(All(all))
        }
    }
}

fn expect(map: &mut BTreeMap<u16, u8>, op: &Op) -> Given {
    match *op {
        Op::Insert(key, value) => Value(map.insert(key, value)),
        Op::InsertMany(first) => {
            map.extend((first..first + BURST).map(|key| (key, key as u8)));
            Is(true)
        }
        Op::Remove(key) => Value(map.remove(&key)),
        Op::RemoveMany(first) => {
            map.retain(|key, _| !(first..first + BURST).contains(key));
            Is(true)
        }
        Op::Get(key) | Op::Wait(key) => Value(map.get(&key).copied()),
        Op::Contains(key) => Is(map.contains_key(&key)),
        Op::Alter(key, more) => {
            match next(map.get(&key), more) {
                Some(value) => map.insert(key, value),
                None => map.remove(&key),
            };
            Is(true)
        }
        Op::Clear => {
            map.clear();
            Is(true)
        }
        Op::Len => Len(map.len(), map.is_empty()),
        Op::All => All(map.iter().map(|(key, value)| (*key, *value)).collect()),
    }
}

fn check<S>(map: &TMap<u16, u8, S>, transactions: &[sequential::Transaction<Op>])
where
    S: BuildHasher + Send + Sync + 'static,
{
    let _dog = watchdog(LIMIT);
    let mut expected = BTreeMap::new();
    compare(
        &mut expected,
        transactions,
        |tx, op| apply(map, tx, op),
        expect,
    );
    snapshot(|s| {
        let view = map.view(s);
        let mut all: Vec<_> = view.iter().map(|(key, value)| (*key, *value)).collect();
        all.sort_unstable();
        assert!(all.iter().map(|(k, v)| (k, v)).eq(&expected));
        assert_eq!(view.len(), expected.len());
        assert_eq!(view.is_empty(), expected.is_empty());
        for key in 0..350 {
            assert_eq!(view.get(&key), expected.get(&key));
            assert_eq!(view.contains_key(&key), expected.contains_key(&key));
        }
    });
}

/// Says of all keys that they hash alike, or nearly.
#[derive(Default)]
struct Poor<const HASHES: u64>(u64);

impl<const HASHES: u64> Hasher for Poor<HASHES> {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes
            .iter()
            .fold(self.0, |sum, byte| sum + u64::from(*byte));
    }

    fn finish(&self) -> u64 {
        self.0 % HASHES
    }
}

type PoorMap<const HASHES: u64> = TMap<u16, u8, BuildHasherDefault<Poor<HASHES>>>;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_map_behaves_as_one_of_std(transactions in transactions(op())) {
        check(&TMap::<_, _, RandomState>::new(), &transactions);
    }

    #[test]
    fn a_map_whose_hasher_knows_one_hash_is_right_all_the_same(transactions in transactions(op())) {
        check(&PoorMap::<1>::default(), &transactions);
    }

    #[test]
    fn a_map_whose_hasher_knows_three_hashes_is_right_all_the_same(
        transactions in transactions(op()),
    ) {
        check(&PoorMap::<3>::default(), &transactions);
    }

    #[test]
    fn a_set_behaves_as_one_of_std(transactions in transactions(op())) {
        let _dog = watchdog(LIMIT);
        let set = TSet::<u16, BuildHasherDefault<DefaultHasher>>::default();
        let mut expected = BTreeSet::new();
        compare(
            &mut expected,
            &transactions,
            |tx, op| match *op {
                Op::Insert(element, _) | Op::Alter(element, _) => set.insert(tx, element).map(Is),
                Op::InsertMany(first) => {
                    (first..first + BURST).try_for_each(|e| set.insert(tx, e).map(drop))?;
                    Ok(Is(true))
                }
                Op::Remove(element) => set.remove(tx, &element).map(Is),
                Op::RemoveMany(first) => {
                    (first..first + BURST).try_for_each(|e| set.remove(tx, &e).map(drop))?;
                    Ok(Is(true))
                }
                Op::Get(element) | Op::Contains(element) => set.contains(tx, &element).map(Is),
                Op::Wait(element) => {
                    Ok(Is(tx.optionally(|tx| set.wait(tx, &element))?.is_some()))
                }
                Op::Clear => set.clear(tx).map(|()| Is(true)),
                Op::Len => Ok(Len(set.len(tx)?, set.is_empty(tx)?)),
                Op::All => {
                    let elements = set.iter(tx).map(|element| Ok((*element?, 0)));
                    let mut all = elements.collect::<Stm<Vec<_>>>()?;
                    all.sort_unstable();
                    Ok(All(all))
                }
            },
            |set: &mut BTreeSet<u16>, op| match *op {
                Op::Insert(element, _) | Op::Alter(element, _) => Is(set.insert(element)),
                Op::InsertMany(first) => {
                    set.extend(first..first + BURST);
                    Is(true)
                }
                Op::Remove(element) => Is(set.remove(&element)),
                Op::RemoveMany(first) => {
                    set.retain(|element| !(first..first + BURST).contains(element));
                    Is(true)
                }
                Op::Get(element) | Op::Contains(element) | Op::Wait(element) => {
                    Is(set.contains(&element))
                }
                Op::Clear => {
                    set.clear();
                    Is(true)
                }
                Op::Len => Len(set.len(), set.is_empty()),
                Op::All => All(set.iter().map(|element| (*element, 0)).collect()),
            },
        );
        let seen: BTreeSet<u16> = snapshot(|s| set.view(s).iter().copied().collect());
        prop_assert_eq!(snapshot(|s| set.view(s).len()), expected.len());
        prop_assert_eq!(seen, expected);
    }

    #[test]
    fn an_array_behaves_as_a_slice(
        transactions in transactions((0..8_usize, 0..8_usize, any::<u8>())),
    ) {
        let _dog = watchdog(LIMIT);
        let (array, mut expected) = (TArray::from_fn(8, |n| n as u8), Vec::from_iter(0..8_u8));
        compare(
            &mut expected,
            &transactions,
            |tx, &(at, other, value)| {
                match value % 3 {
                    0 => array.set(tx, at, value)?,
                    1 => array.swap(tx, at, other)?,
                    _ => array.update(tx, at, |old| old.wrapping_mul(value))?,
                }
                array.iter(tx).map(|value| value.copied()).collect::<Stm<Vec<u8>>>()
            },
            |array: &mut Vec<u8>, &(at, other, value)| {
                match value % 3 {
                    0 => array[at] = value,
                    1 => array.swap(at, other),
                    _ => array[at] = array[at].wrapping_mul(value),
                }
                array.clone()
            },
        );
        prop_assert_eq!(snapshot(|s| array.view(s).copied().collect::<Vec<_>>()), expected.clone());
        prop_assert_eq!((0..8).map(|n| array.load(n)).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn a_transaction_that_inserts_very_many_keys_ends_soon() {
    let _dog = watchdog(LIMIT);
    let map = TMap::new();
    let keys = if cfg!(debug_assertions) {
        5_000
    } else {
        50_000
    };
    atomically(|tx| (0..keys).try_for_each(|key| map.insert(tx, key, key).map(drop)));
    assert_eq!(atomically(|tx| map.len(tx)), keys);
    for key in 0..keys {
        assert_eq!(atomically(|tx| Ok(map.get(tx, &key)?.copied())), Some(key));
    }
}

#[test]
fn every_key_is_found_while_and_after_a_map_grows() {
    let _dog = watchdog(LIMIT);
    let map = TMap::new();
    for key in 0..20_000_u32 {
        assert_eq!(atomically(|tx| map.insert(tx, key, key)), None);
        let earlier = key.wrapping_mul(0x9e37_79b1) % (key + 1);
        assert_eq!(
            atomically(|tx| Ok(map.get(tx, &earlier)?.copied())),
            Some(earlier)
        );
    }
    let mut keys: Vec<u32> = snapshot(|s| map.view(s).iter().map(|(key, _)| *key).collect());
    keys.sort_unstable();
    assert!(keys.into_iter().eq(0..20_000));
}

#[test]
fn capacity_is_asked_for_and_not_needed() {
    let _dog = watchdog(LIMIT);
    for capacity in [0, 1, 7, 8, 9, 1000, 1025] {
        let map = TMap::with_capacity(capacity);
        for key in 0..100 {
            atomically(|tx| map.insert(tx, key, key));
        }
        assert_eq!(atomically(|tx| map.len(tx)), 100);
    }
}

#[test]
fn a_map_made_of_entries_has_the_last_of_those_with_one_key() {
    let _dog = watchdog(LIMIT);
    let entries = (0..1000_u32).map(|n| (n % 300, n));
    let expected: BTreeMap<u32, u32> = entries.clone().collect();
    // Also inside a transaction, where no other one may run.
    let map = atomically(|_| Ok(entries.clone().collect::<TMap<_, _>>()));
    snapshot(|s| {
        let view = map.view(s);
        assert_eq!(view.len(), 300);
        let all: BTreeMap<u32, u32> = view.iter().map(|(key, value)| (*key, *value)).collect();
        assert_eq!(all, expected);
    });
}
