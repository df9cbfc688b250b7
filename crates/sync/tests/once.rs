//! Once, the cell and the lazy value: one runs, the others wait, and what failures leave behind.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use support::{all_kinds, runtime};
use weftwork_sync::{LazyLock, Notify, Once, OnceCell, OnceLock};
use weftwork_testkit::{DropCounter, watchdog};

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn parties_of_every_kind_see_one_initialization() {
    let _dog = watchdog(LIMIT);
    let state = Arc::new((OnceLock::new(), AtomicUsize::new(0)));
    let init = |state: &(OnceLock<Vec<u32>>, AtomicUsize)| {
        let value = state.0.get_or_init(|| {
            state.1.fetch_add(1, Ordering::SeqCst);
            vec![1, 2, 3]
        });
        assert_eq!(value, &[1, 2, 3]);
    };
    let (blocking, asynchronous) = (Arc::clone(&state), Arc::clone(&state));
    all_kinds(
        move || init(&blocking),
        || {
            let state = Arc::clone(&asynchronous);
            async move { init(&state) }
        },
    );
    assert_eq!(state.1.load(Ordering::SeqCst), 1);
}

#[test]
fn a_waiting_green_thread_lets_its_worker_run_the_initialization() {
    let _dog = watchdog(LIMIT);
    let runtime = weftwork_sched::Runtime::builder()
        .workers(1)
        .build()
        .unwrap();
    runtime.run(|| {
        let state = Arc::new((OnceLock::new(), Notify::new()));
        let parties = [(); 2].map(|()| {
            let state = Arc::clone(&state);
            weftwork_sched::spawn(move || {
                *state.0.get_or_init(|| {
                    state.1.wait();
                    7
                })
            })
        });
        weftwork_sched::yield_now();
        state.1.notify_one();
        for party in parties {
            assert_eq!(party.join().unwrap(), 7);
        }
    });
}

#[test]
fn a_panicking_call_poisons_a_once_until_it_is_forced() {
    let once = Once::new();
    let fails = || once.call_once(|| std::panic::resume_unwind(Box::new(())));
    assert!(catch_unwind(AssertUnwindSafe(fails)).is_err());
    assert!(once.is_poisoned() && !once.is_completed());
    assert!(catch_unwind(AssertUnwindSafe(|| once.call_once(|| ()))).is_err());
    once.call_once_force(|state| assert!(state.is_poisoned()));
    once.call_once(|| unreachable!());
    assert!(once.is_completed() && !once.is_poisoned());
}

#[test]
fn a_failing_initialization_leaves_a_cell_empty_and_is_tried_again() {
    let cell = OnceCell::new();
    let fails = || *cell.get_or_init(|| std::panic::resume_unwind(Box::new(())));
    assert!(catch_unwind(AssertUnwindSafe(fails)).is_err());
    assert_eq!(cell.get_or_try_init(|| Err("no")), Err("no"));
    assert_eq!(cell.get(), None);
    assert_eq!(cell.get_or_try_init(|| Ok::<_, ()>(7)), Ok(&7));
}

#[test]
fn a_cancelled_initialization_is_taken_over_by_one_that_waits() {
    let _dog = watchdog(LIMIT);
    runtime().run(|| {
        let state = Arc::new((OnceLock::new(), AtomicUsize::new(0)));
        let first = weftwork_sched::spawn({
            let state = Arc::clone(&state);
            move || {
                state.0.get_or_init(|| {
                    state.1.store(1, Ordering::SeqCst);
                    weftwork_sched::park();
                    unreachable!("only a cancellation ends this")
                });
            }
        });
        while state.1.load(Ordering::SeqCst) == 0 {
            weftwork_sched::yield_now();
        }
        let second = weftwork_sched::spawn({
            let state = Arc::clone(&state);
            move || *state.0.get_or_init(|| 7)
        });
        first.task_ref().cancel();
        assert!(first.join().unwrap_err().is_cancelled());
        assert_eq!(second.join().unwrap(), 7);
    });
}

#[test]
fn an_initialization_that_wants_its_own_result_panics_and_does_not_hang() {
    let _dog = watchdog(LIMIT);
    let cell: OnceLock<u32> = OnceLock::new();
    let wants_itself = || *cell.get_or_init(|| *cell.get_or_init(|| 1));
    let message = catch_unwind(AssertUnwindSafe(wants_itself)).unwrap_err();
    let message = message.downcast_ref::<&str>().unwrap();
    assert!(message.contains("its own result"), "{message}");
    assert_eq!(cell.get(), None);
    // Of two green threads of one worker only the one that is to blame is blamed.
    let runtime = weftwork_sched::Runtime::builder()
        .workers(1)
        .build()
        .unwrap();
    runtime.run(|| {
        static ONCE: Once = Once::new();
        let party = || weftwork_sched::spawn(|| ONCE.call_once(weftwork_sched::yield_now));
        let parties = [party(), party()];
        for party in parties {
            party.join().unwrap();
        }
    });
}

#[test]
fn a_lazy_value_is_made_once_and_a_panic_in_its_making_is_for_good() {
    let made = AtomicUsize::new(0);
    let lazy = LazyLock::new(|| made.fetch_add(1, Ordering::SeqCst));
    assert!(LazyLock::get(&lazy).is_none());
    assert_eq!((*lazy, *lazy), (0, 0));
    assert_eq!(made.load(Ordering::SeqCst), 1);
    let bad: LazyLock<u32, _> = LazyLock::new(|| std::panic::resume_unwind(Box::new(())));
    for _ in 0..2 {
        assert!(catch_unwind(AssertUnwindSafe(|| *bad)).is_err());
    }
}

#[test]
fn values_are_dropped_once_and_can_be_taken() {
    let drops = DropCounter::new();
    let mut cell = OnceLock::new();
    assert!(cell.set(drops.track(1)).is_ok());
    let refused = cell.set(drops.track(2));
    assert!(refused.is_err());
    drop(refused);
    assert_eq!(drops.live(), 1);
    drop(cell.take());
    drops.assert_none_live();
    assert!(cell.get().is_none() && cell.set(drops.track(3)).is_ok());
    drop(cell.into_inner());
    drops.assert_none_live();
}
