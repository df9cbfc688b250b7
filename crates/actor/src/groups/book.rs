//! Who is in which group how often: plain data, without a lock and without actors.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The groups of a part of a scope. `P` stands for a pid, named by a number.
pub(crate) struct Book<P> {
    groups: HashMap<Arc<str>, Group<P>>,
    /// In which groups each member is, and under which number its end is awaited.
    members: HashMap<u64, Member>,
}

struct Group<P> {
    /// In the order of joining.
    by_turn: BTreeMap<u64, P>,
    turns: HashMap<u64, Vec<u64>>,
    next: u64,
}

struct Member {
    groups: HashMap<Arc<str>, usize>,
    hook: u64,
}

/// What a member leaves that was in some group for the last time: the number of its hook.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Gone(pub(crate) u64);

impl<P: Clone> Book<P> {
    pub(crate) fn new() -> Self {
        Book {
            groups: HashMap::new(),
            members: HashMap::new(),
        }
    }

    /// Adds a member. True: its end must be awaited from now on, under the number `hook`.
    pub(crate) fn join(&mut self, name: &Arc<str>, number: u64, pid: P, hook: u64) -> bool {
        let group = self
            .groups
            .entry(Arc::clone(name))
            .or_insert_with(|| Group {
                by_turn: BTreeMap::new(),
                turns: HashMap::new(),
                next: 0,
            });
        group.by_turn.insert(group.next, pid);
        group.turns.entry(number).or_default().push(group.next);
        group.next += 1;
        let is_new = !self.members.contains_key(&number);
        let member = self.members.entry(number).or_insert_with(|| Member {
            groups: HashMap::new(),
            hook,
        });
        *member.groups.entry(Arc::clone(name)).or_default() += 1;
        is_new
    }

    /// Takes a member out once. None: it is not in there. The pid is handed out to be dropped elsewhere.
    pub(crate) fn leave(&mut self, name: &str, number: u64) -> Option<(P, Option<Gone>)> {
        let pid = self.take_turn(name, number)?;
        let member = self.members.get_mut(&number)?;
        let times = member.groups.get_mut(name)?;
        *times -= 1;
        if *times == 0 {
            member.groups.remove(name);
        }
        let mut gone = None;
        if member.groups.is_empty() {
            gone = Some(Gone(member.hook));
            self.members.remove(&number);
        }
        Some((pid, gone))
    }

    /// The last joining is undone first, as in `pg`.
    fn take_turn(&mut self, name: &str, number: u64) -> Option<P> {
        let group = self.groups.get_mut(name)?;
        let turns = group.turns.get_mut(&number)?;
        let pid = group.by_turn.remove(&turns.pop()?);
        if turns.is_empty() {
            group.turns.remove(&number);
        }
        if group.by_turn.is_empty() {
            self.groups.remove(name);
        }
        pid
    }

    /// Takes a member out of everything: once per joining, group by group.
    pub(crate) fn leave_all(&mut self, number: u64) -> Vec<(Arc<str>, P)> {
        let Some(member) = self.members.remove(&number) else {
            return Vec::new();
        };
        let mut left = Vec::new();
        for (name, times) in member.groups {
            for _ in 0..times {
                left.extend(
                    self.take_turn(&name, number)
                        .map(|pid| (Arc::clone(&name), pid)),
                );
            }
        }
        left
    }

    /// The members of a group, in the order of joining.
    pub(crate) fn members(&self, name: &str) -> Vec<P> {
        let group = self.groups.get(name);
        group.map_or_else(Vec::new, |group| group.by_turn.values().cloned().collect())
    }

    /// Whether a member is in any group.
    pub(crate) fn has(&self, number: u64) -> bool {
        self.members.contains_key(&number)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.groups.keys()
    }
}
