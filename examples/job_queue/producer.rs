//! Those who submit jobs: as fast as they are let.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use weftwork::prelude::*;

use crate::desk::{Desk, Submit};
use crate::job::{Job, RANKS};

/// How many there are for each rank: bulk jobs are many.
const HOW_MANY: [usize; RANKS.len()] = [1, 2, 4];

pub(crate) struct Producers {
    shared: Arc<Shared>,
    handles: Vec<JoinHandle<()>>,
}

struct Shared {
    desk: Addr<Desk>,
    next: AtomicU64,
    submitted: AtomicU64,
    /// Jobs that had to wait for room.
    waited: AtomicU64,
    is_over: AtomicBool,
}

impl Producers {
    pub(crate) fn start(desk: &Addr<Desk>) -> Self {
        let shared = Arc::new(Shared {
            desk: desk.clone(),
            next: AtomicU64::new(0),
            submitted: AtomicU64::new(0),
            waited: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        });
        let ranks = (0..RANKS.len()).flat_map(|rank| vec![rank; HOW_MANY[rank]]);
        let produce = |rank| {
            let shared = Arc::clone(&shared);
            spawn(move || match rank {
                0 => shared.produce::<0>(),
                1 => shared.produce::<1>(),
                _ => shared.produce::<2>(),
            })
        };
        Producers {
            handles: ranks.map(produce).collect(),
            shared,
        }
    }

    /// Ends them, and tells how many jobs they have submitted.
    pub(crate) fn stop(self) -> u64 {
        self.shared.is_over.store(true, Ordering::Relaxed);
        for handle in self.handles {
            handle.join().expect("a producer does not fail");
        }
        let submitted = self.shared.submitted.load(Ordering::Relaxed);
        let waited = self.shared.waited.load(Ordering::Relaxed);
        println!("submitted: {submitted}, of which {waited} waited for room");
        submitted
    }
}

impl Shared {
    fn produce<const RANK: usize>(&self) {
        while !self.is_over.load(Ordering::Relaxed) {
            let job = Job::new(self.next.fetch_add(1, Ordering::Relaxed), RANK);
            let submit = match self.desk.try_tell(Submit::<RANK>(job)) {
                Ok(()) => None,
                Err(error) => Some(error.into_inner()),
            };
            if let Some(submit) = submit {
                self.waited.fetch_add(1, Ordering::Relaxed);
                if self.desk.tell(submit).is_err() {
                    // There is no desk any more. The job comes back: it was not submitted.
                    return;
                }
            }
            self.submitted.fetch_add(1, Ordering::Relaxed);
        }
    }
}
