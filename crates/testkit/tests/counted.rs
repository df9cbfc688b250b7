//! The contract of drop counters.

use std::panic::catch_unwind;

use weftwork_testkit::DropCounter;

#[test]
fn each_way_out_of_a_wrapper_counts_once() {
    let drops = DropCounter::new();
    drop(drops.track(1));
    assert_eq!(drops.track(2).into_inner(), 2);
    let boxed: Box<dyn std::any::Any> = Box::new(drops.track(3));
    drop(boxed);
    assert_eq!((drops.created(), drops.dropped(), drops.live()), (3, 3, 0));
}

#[test]
fn a_clone_of_a_value_is_a_further_value_and_a_clone_of_the_counter_is_the_same_counter() {
    let drops = DropCounter::new();
    let one = drops.track(String::from("x"));
    let two = one.clone();
    assert_eq!(one, two);
    drops.clone().assert_live(2);
    drop((one, two));
    drops.assert_none_live();
}

#[test]
fn the_value_is_gone_before_its_end_is_counted() {
    struct Witness(DropCounter);
    impl Drop for Witness {
        fn drop(&mut self) {
            self.0.assert_live(1);
        }
    }

    let drops = DropCounter::new();
    drop(drops.track(Witness(drops.clone())));
    drops.assert_none_live();
}

#[test]
fn a_value_lost_by_unwinding_is_counted() {
    let drops = DropCounter::new();
    let inside = drops.clone();
    let caught = catch_unwind(move || {
        let _held = inside.track(());
        panic!("unwinds");
    });
    assert!(caught.is_err());
    drops.assert_none_live();
}

#[test]
fn a_leak_fails_the_assertion() {
    let drops = DropCounter::new();
    let kept = drops.track(());
    let inside = drops.clone();
    assert!(catch_unwind(move || inside.assert_none_live()).is_err());
    drop(kept);
    drops.assert_none_live();
}

#[test]
fn a_counter_that_tracked_nothing_proves_nothing() {
    assert!(catch_unwind(|| DropCounter::new().assert_none_live()).is_err());
}

#[test]
fn counts_are_exact_over_threads() {
    let drops = DropCounter::new();
    std::thread::scope(|s| {
        for _ in 0..4 {
            s.spawn(|| {
                for n in 0..1_000 {
                    drop(drops.track(n));
                }
            });
        }
    });
    assert_eq!((drops.created(), drops.dropped()), (4_000, 4_000));
}
