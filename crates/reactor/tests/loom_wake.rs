//! The wake word in every interleaving: a wake is neither lost nor stolen.
//!
//! The kernel is played by a flag under a lock: `write` is the eventfd, `block` an `epoll_wait`.
#![cfg(weftwork_loom)]

use weftwork_core::sync::atomic::{AtomicU32, Ordering};
use weftwork_core::sync::{Arc, Condvar, Mutex, thread};
use weftwork_reactor::protocol::WakeWord;
use weftwork_testkit::model;

struct Kernel {
    /// Whether there is an edge to collect, and how many threads may still make one.
    state: Mutex<(bool, usize)>,
    changed: Condvar,
}

impl Kernel {
    fn write(&self) {
        self.state.lock().0 = true;
        self.changed.notify_all();
    }

    fn block(&self) {
        let mut state = self.state.lock();
        while !state.0 {
            assert!(state.1 > 0, "asleep for good");
            self.changed.wait(&mut state);
        }
        state.0 = false;
    }

    /// A wait that does not block.
    fn look(&self) -> bool {
        std::mem::take(&mut self.state.lock().0)
    }

    /// The calling thread will not write any more.
    fn end(&self) {
        self.state.lock().1 -= 1;
        self.changed.notify_all();
    }
}

struct World {
    word: WakeWord,
    kernel: Kernel,
    work: AtomicU32,
}

impl World {
    fn new(writers: usize) -> Arc<Self> {
        let kernel = Kernel {
            state: Mutex::new((false, writers)),
            changed: Condvar::new(),
        };
        let (word, work) = (WakeWord::new(), AtomicU32::new(0));
        Arc::new(World { word, kernel, work })
    }

    fn produce(&self) {
        // Relaxed: the wake word alone must make it visible.
        self.work.fetch_add(1, Ordering::Relaxed);
        if self.word.notify() {
            self.kernel.write();
        }
        self.kernel.end();
    }

    fn consume(&self, items: u32) {
        // Relaxed: as above.
        while self.work.load(Ordering::Relaxed) < items {
            if self.word.enter_sleep() {
                self.kernel.block();
                self.word.leave_sleep();
            }
        }
    }
}

fn run(world: &Arc<World>, body: impl FnOnce(&World) + 'static) -> thread::JoinHandle<()> {
    let world = Arc::clone(world);
    thread::spawn(move || body(&world))
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "asleep for good"))]
fn canary_a_wake_reaches_a_thread_on_its_way_to_sleep() {
    model("wake against sleep", 20, || {
        let world = World::new(1);
        let producer = run(&world, World::produce);
        world.consume(1);
        producer.join().unwrap();
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "asleep for good"))]
fn canary_two_wakes_that_merge_still_show_the_work_of_both() {
    model("two wakes against sleep", 500, || {
        let world = World::new(2);
        let producers = [(); 2].map(|()| run(&world, World::produce));
        world.consume(2);
        for producer in producers {
            producer.join().unwrap();
        }
    });
}

#[test]
#[cfg_attr(weftwork_canary, should_panic(expected = "asleep for good"))]
fn canary_a_wait_that_does_not_block_hands_the_sleepers_wake_on() {
    model("wake against a thief", 100, || {
        let world = World::new(2);
        // Asleep before the others start, so that only the thief can spoil it.
        assert!(world.word.enter_sleep());
        let producer = run(&world, World::produce);
        let thief = run(&world, |world| {
            if world.kernel.look() && world.word.must_forward() {
                world.kernel.write();
            }
            world.kernel.end();
        });
        world.kernel.block();
        world.word.leave_sleep();
        assert_eq!(world.work.load(Ordering::Relaxed), 1); // Relaxed: the word made it visible.
        producer.join().unwrap();
        thief.join().unwrap();
    });
}
