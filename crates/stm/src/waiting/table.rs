//! The table of sleepers, keyed by the address of the variable.

use super::Waiter;
use crate::canary::{is_gone, is_weak};
use crate::node::NodeRef;
use crate::var::inner::VarRef;
use crossbeam_utils::CachePadded;
use std::sync::Arc;
use std::task::{Context, Poll};
use weftwork_core::sync::{Mutex, sized};

const BUCKETS: usize = sized(256, 1);

#[derive(Debug)]
pub(crate) struct Table {
    buckets: [CachePadded<Mutex<Vec<Entry>>>; BUCKETS],
}

#[derive(Debug)]
struct Entry {
    address: usize,
    waiter: Arc<Waiter>,
}

impl Table {
    #[cfg(not(weftwork_loom))]
    pub(crate) const fn new() -> Table {
        Table {
            buckets: [const { CachePadded::new(Mutex::new(Vec::new())) }; BUCKETS],
        }
    }

    #[cfg(weftwork_loom)]
    pub(crate) fn new() -> Table {
        Table {
            buckets: std::array::from_fn(|_| CachePadded::new(Mutex::new(Vec::new()))),
        }
    }

    #[cfg_attr(
        weftwork_loom,
        allow(clippy::modulo_one, reason = "models have one bucket")
    )]
    fn bucket(&self, address: usize) -> &Mutex<Vec<Entry>> {
        let hash = (address >> 4).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        &self.buckets[(hash >> 32) % BUCKETS]
    }

    /// Wakes all who wait for the variable at `address`, whose word said that there are some; how many.
    pub(crate) fn wake(&self, address: usize) -> usize {
        // Most often there is one: then nothing is allocated.
        let mut first = None;
        let mut others = Vec::new();
        {
            let mut bucket = self.bucket(address).lock();
            let mut n = 0;
            while n < bucket.len() {
                if bucket[n].address != address {
                    n += 1;
                    continue;
                }
                let waiter = bucket.swap_remove(n).waiter;
                if first.is_none() {
                    first = Some(waiter);
                } else {
                    others.push(waiter);
                }
            }
        }
        let all = first.into_iter().chain(others);
        all.filter(|waiter| waiter.notify()).count()
    }
}

/// The entries of one sleeper. They are taken out when it is dropped.
#[derive(Debug)]
pub(crate) struct Registration {
    table: &'static Table,
    waiter: Arc<Waiter>,
    /// Whoever notified it has taken out the entry that this was for.
    is_notified: bool,
    first: Option<usize>,
    others: Vec<usize>,
}

impl Registration {
    pub(crate) fn new(table: &'static Table) -> Registration {
        Registration {
            table,
            waiter: Arc::new(Waiter::new()),
            is_notified: false,
            first: None,
            others: Vec::new(),
        }
    }

    /// Enters the sleeper for a change of `var`, of which it has read `node`. False if it has changed.
    pub(crate) fn add(&mut self, var: VarRef, node: NodeRef) -> bool {
        let address = var.address();
        let waiter = Arc::clone(&self.waiter);
        if self.first.is_none() {
            self.first = Some(address);
        } else {
            self.others.push(address);
        }
        if is_weak("stm: entry before mark") && !var.announce(node) {
            return false;
        }
        self.table
            .bucket(address)
            .lock()
            .push(Entry { address, waiter });
        is_weak("stm: entry before mark") || var.announce(node)
    }

    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let polled = self.waiter.poll(context);
        self.is_notified |= polled.is_ready();
        polled
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        if is_gone() {
            return;
        }
        if self.is_notified && self.others.is_empty() {
            // The only entry is out.
            return;
        }
        for &address in self.first.iter().chain(&self.others) {
            let mut bucket = self.table.bucket(address).lock();
            let mine = |entry: &Entry| Arc::ptr_eq(&entry.waiter, &self.waiter);
            let mut entry = None;
            if let Some(n) = bucket.iter().position(mine) {
                entry = Some(bucket.swap_remove(n));
            }
            drop(bucket);
            // It may hold the last waker.
            drop(entry);
        }
    }
}
