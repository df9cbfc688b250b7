//! Reclamation, in every interleaving: nothing is reclaimed that a pinned reader may hold.
//!
//! The module is internal, so its files are a part of this test. Each model has a domain of its own.
//! A model whose name starts with `canary_` is run a second time under `--cfg weftwork_canary`, with
//! the step it is about weakened, and must then fail with the message it is given here.
//!
//! What readers look at, a `Word`, stays where it is to the end of an interleaving; what is retired is
//! a ticket for it, whose `reclaim` writes to the word. So a model that fails does not read freed
//! memory, and loom, which sees words only, says so if the write is not after every read.

#![cfg(weftwork_loom)]

#[allow(
    dead_code,
    missing_debug_implementations,
    unreachable_pub,
    unused_imports,
    reason = "files of the library"
)]
#[path = "../src/reclaim/mod.rs"]
mod reclaim;

use reclaim::{Domain, Local, Pin};
use std::alloc::Layout;
use std::ptr::NonNull;
use weftwork_core::sync::atomic::{AtomicUsize, Ordering};
use weftwork_core::sync::cell::UnsafeCell;
use weftwork_core::sync::{Arc, thread};
use weftwork_testkit::model;

/// Weakens one step for the rest of the test, in the canary build.
macro_rules! weaken {
    ($step:literal) => {
        #[cfg(weftwork_canary)]
        let _weak = weftwork_core::canary::weaken(weftwork_core::canary::Step::Of($step));
    };
}

const ALIVE: usize = 7;

/// A value that readers find by its index.
struct Word(UnsafeCell<usize>);

// SAFETY: the cell takes it away; that its accesses are ordered is what the models show.
unsafe impl Sync for Word {}

/// A variable with a current value, and one to replace it by; and the domain that they are of.
struct Variable {
    current: AtomicUsize,
    words: [Word; 2],
    domain: Arc<Domain>,
}

impl Variable {
    fn new() -> Arc<Self> {
        Arc::new(Variable {
            current: AtomicUsize::new(0),
            words: [(), ()].map(|()| Word(UnsafeCell::new(ALIVE))),
            domain: Arc::new(Domain::new()),
        })
    }

    fn join(&self) -> Local {
        Local::of(Arc::clone(&self.domain))
    }

    /// Finds the current value and reads it. The caller is pinned.
    fn read(&self) {
        // Acquire: pairs with the AcqRel in `replace`.
        let at = self.current.load(Ordering::Acquire);
        // SAFETY: if it is written to now, loom says so.
        let seen = self.words[at].0.with(|word| unsafe { *word });
        assert_eq!(seen, ALIVE, "found a value that is reclaimed");
    }

    /// Puts the other value in and retires the first.
    fn replace(&self, pin: &Pin, retire: impl FnOnce(&Pin, NonNull<u8>)) {
        // AcqRel: pairs with the Acquire in `read`.
        let old = self.current.swap(1, Ordering::AcqRel);
        let ticket = Box::new(Ticket(&raw const self.words[old]));
        retire(pin, NonNull::from(Box::leak(ticket)).cast());
    }

    /// Replaces the first value in a pin of its own.
    fn replace_alone(&self, local: &Local) {
        let pin = local.pin();
        self.replace(&pin, retire);
    }
}

struct Ticket(*const Word);

fn retire(pin: &Pin, ticket: NonNull<u8>) {
    // SAFETY: the word is in its variable no more, and the ticket is a box.
    unsafe { pin.retire(ticket, reclaim_word) };
}

unsafe fn reclaim_word(ticket: NonNull<u8>) -> Layout {
    // SAFETY: it is a ticket, and the variable outlives all participants of its domain.
    let word = unsafe { &*ticket.cast::<Ticket>().as_ref().0 };
    // SAFETY: if it is read or written to now, loom says so.
    word.0.with_mut(|word| unsafe { *word = 0 });
    Layout::new::<Ticket>()
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "Causality violation"))]
fn canary_a_pin_is_seen_or_sees_the_replacement() {
    weaken!("reclaim: fence of the pin");
    a_reader_and_a_writer("pin against reclamation");
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "Causality violation"))]
fn canary_what_was_read_under_a_pin_is_read_before_the_reclamation() {
    weaken!("reclaim: unpin");
    a_reader_and_a_writer("unpin against reclamation");
}

fn a_reader_and_a_writer(name: &str) {
    model(name, 300, || {
        let variable = Variable::new();
        let reader = thread::spawn({
            let variable = Arc::clone(&variable);
            move || {
                let local = variable.join();
                let _pin = local.pin();
                variable.read();
            }
        });
        let local = variable.join();
        variable.replace_alone(&local);
        local.flush();
        reader.join().unwrap();
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "Causality violation"))]
fn canary_a_pin_has_the_epoch_of_its_announcement() {
    weaken!("reclaim: second look of the pin");
    a_writer_that_is_overtaken("a late announcement against advances");
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "Causality violation"))]
fn canary_a_reader_one_epoch_ahead_of_the_writer_is_waited_for() {
    weaken!("reclaim: grace");
    a_writer_that_is_overtaken("a reader of the next epoch");
}

fn a_writer_that_is_overtaken(name: &str) {
    model(name, 1400, || {
        let variable = Variable::new();
        let writer = thread::spawn({
            let variable = Arc::clone(&variable);
            move || {
                let local = variable.join();
                variable.replace_alone(&local);
                local.flush();
            }
        });
        let local = variable.join();
        local.flush();
        let pin = local.pin();
        variable.read();
        drop(pin);
        writer.join().unwrap();
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "Causality violation"))]
fn canary_what_was_read_before_a_repin_is_read_before_the_reclamation() {
    weaken!("reclaim: order of the pin");
    model("repin against reclamation", 25, || {
        let variable = Variable::new();
        let local = variable.join();
        // The writer is in the first epoch, the reader will be in the next one.
        let pin = local.pin();
        variable.join().flush();
        let reader = thread::spawn({
            let variable = Arc::clone(&variable);
            move || {
                let local = variable.join();
                let mut pin = local.pin();
                variable.read();
                // A switch here costs no preemption.
                thread::yield_now();
                pin.repin();
                variable.read();
            }
        });
        thread::yield_now();
        variable.replace(&pin, retire);
        drop(pin);
        // No more than needed: a third look at the reader would have another fence, and loom takes
        // fences to order what only the pin's store must order.
        local.flush_within(2);
        reader.join().unwrap();
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "Causality violation"))]
fn canary_what_a_dying_thread_leaves_is_not_reclaimed_before_its_time() {
    weaken!("reclaim: orphans");
    model("orphans against a reader", 600, || {
        let variable = Variable::new();
        let reader = thread::spawn({
            let variable = Arc::clone(&variable);
            move || {
                let local = variable.join();
                let _pin = local.pin();
                variable.read();
            }
        });
        // It dies, and the next one has its record.
        variable.replace_alone(&variable.join());
        variable.join().flush();
        reader.join().unwrap();
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "Causality violation"))]
fn canary_two_that_join_do_not_share_a_record() {
    weaken!("reclaim: join");
    model("join against join, for a record that is free", 95, || {
        let variable = Variable::new();
        drop(variable.join());
        let reader = thread::spawn({
            let variable = Arc::clone(&variable);
            move || {
                let local = variable.join();
                let _pin = local.pin();
                variable.read();
            }
        });
        let local = variable.join();
        variable.replace_alone(&local);
        local.flush();
        reader.join().unwrap();
    });
}

#[test]
fn two_that_flush_reclaim_each_others_orphans_once() {
    model("flush against flush", 160, || {
        let variable = Variable::new();
        variable.replace_alone(&variable.join());
        let other = thread::spawn({
            let variable = Arc::clone(&variable);
            move || variable.join().flush()
        });
        variable.join().flush();
        other.join().unwrap();
        variable.join().flush();
        assert_eq!(variable.domain.backlog().nodes, 0);
    });
}

#[test]
fn threads_of_a_program_find_their_participants_and_leave_nothing() {
    // What these retire is a plain box; that none is lost, loom's own count of the domain shows.
    unsafe fn forget(_: NonNull<u8>) -> Layout {
        Layout::new::<u64>()
    }
    fn replace() {
        let pin = reclaim::pin();
        let node = reclaim::allocate(Layout::new::<u64>());
        // SAFETY: nobody has seen it, and it is retired once.
        unsafe { reclaim::retire(&pin, node, forget) };
    }
    model("the thread-local and its end", 3500, || {
        let other = thread::spawn(replace);
        replace();
        reclaim::flush();
        other.join().unwrap();
        reclaim::flush();
        assert!(reclaim::backlog().nodes <= 1);
    });
}
