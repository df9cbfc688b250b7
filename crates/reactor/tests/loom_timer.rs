//! Cancelling a timer against firing it, the wheel being used as a scheduler uses it: behind a
//! lock, the payloads run after it is released.
#![cfg(weftwork_loom)]

use weftwork_core::sync::{Arc, Mutex, thread};
use weftwork_reactor::Wheel;
use weftwork_testkit::model;

struct Timers {
    wheel: Wheel<u32>,
    fired: Vec<u32>,
}

#[test]
#[cfg_attr(
    weftwork_canary,
    should_panic(expected = "cancelled by the key of the first")
)]
fn canary_a_timer_fires_or_is_cancelled_and_its_key_reaches_no_other() {
    model("cancel against fire against arm", 20, || {
        let mut wheel = Wheel::new(0);
        let first = wheel.insert(10, 1);
        let fired = Vec::new();
        let timers = Arc::new(Mutex::new(Timers { wheel, fired }));

        let firing = {
            let timers = timers.clone();
            thread::spawn(move || {
                let mut due = Vec::new();
                timers.lock().wheel.advance(10, &mut due);
                // The wakers run here, without the lock.
                timers.lock().fired.append(&mut due);
            })
        };
        // Arms a timer that may take the place of the first one.
        let arming = {
            let timers = timers.clone();
            thread::spawn(move || timers.lock().wheel.insert(20, 2))
        };
        let cancelled = timers.lock().wheel.cancel(first);
        firing.join().unwrap();
        let second = arming.join().unwrap();

        let mut timers = timers.lock();
        assert_ne!(cancelled, Some(2), "cancelled by the key of the first");
        assert_eq!(timers.fired.contains(&1), cancelled.is_none());
        assert_eq!(timers.wheel.cancel(second), Some(2));
    });
}
