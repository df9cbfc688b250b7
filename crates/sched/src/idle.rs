//! Who sleeps, who searches, and whom to wake when there is work: the idle protocol.
//!
//! The policy is that of Go's `proc.go`: a worker that makes work available wakes one sleeper, if
//! there is one and nobody is searching already; a searcher that finds work and was the last one
//! wakes the next; the last searcher that finds nothing looks once more before it sleeps. At most
//! half of the awake workers search. The full argument is in `docs/design/idle.md`.
//!
//! Invariants
//! 1. The word counts sleepers and searchers. A worker is counted as one of them, or as neither.
//! 2. A sleeper has its bit set. It sets the bit, then counts itself; whoever clears the bit (a waker
//!    or the sleeper itself) also uncounts it, so every set of a bit is uncounted once.
//! 3. A waker first makes itself the only one by counting a searcher up from zero; with the bit it
//!    clears, that count passes to the worker it wakes. If it finds no bit it takes the count back, and
//!    begins anew if there is a sleeper: others may have deferred to a searcher that was none.
//! 4. Work is published before `wake_one` looks; a sleeper is counted before it looks for the last
//!    time. A fence stands between the two steps on both sides.

#[cfg(weftwork_canary)]
use weftwork_core::canary::{self, Step};
use weftwork_core::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};

/// One searcher: awake, without work, looking into the queues of others.
const SEARCHER: usize = 1;
const SEARCHER_MASK: usize = 0xffff;
/// One sleeper.
const SLEEPER: usize = 1 << 16;

/// How a sleeper came to be awake again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Woken {
    /// By itself or its poller. It is not counted as anything now.
    Itself,
    /// By a waker, for work: it is counted as a searcher.
    ForWork,
}

/// See the module's page.
#[derive(Debug)]
pub struct Idle {
    word: AtomicUsize,
    asleep: Box<[AtomicU64]>,
    workers: usize,
}

impl Idle {
    /// For `workers` workers, all awake and busy.
    pub fn new(workers: usize) -> Self {
        assert!(
            workers <= SEARCHER_MASK,
            "more workers than the idle word can count"
        );
        Idle {
            word: AtomicUsize::new(0),
            asleep: (0..workers.div_ceil(64))
                .map(|_| AtomicU64::new(0))
                .collect(),
            workers,
        }
    }

    /// Says that work was published; picks the worker to wake for it, if one should be.
    #[inline]
    #[must_use]
    pub fn wake_one(&self) -> Option<usize> {
        // SeqCst: pairs with the fence in `sleep`. One of the two sides sees the other (invariant 4).
        // Canary: without it, both may look before the other's step is visible.
        #[cfg(weftwork_canary)]
        let fence = |ordering| {
            if !canary::is(Step::Of("idle: fence of the publisher")) {
                fence(ordering);
            }
        };
        fence(Ordering::SeqCst);
        // Relaxed: ordered by the fence.
        let word = self.word.load(Ordering::Relaxed);
        if word < SLEEPER || word & SEARCHER_MASK != 0 {
            return None;
        }
        self.claim_sleeper(word)
    }

    #[cold]
    fn claim_sleeper(&self, mut word: usize) -> Option<usize> {
        loop {
            // Become the only searcher (invariant 3).
            loop {
                if word < SLEEPER || word & SEARCHER_MASK != 0 {
                    return None;
                }
                // SeqCst: in the one order with the sleepers' counting.
                match self.word.compare_exchange_weak(
                    word,
                    word + SEARCHER,
                    Ordering::SeqCst,
                    Ordering::Relaxed,
                ) {
                    Ok(_) => break,
                    Err(seen) => word = seen,
                }
            }
            if let Some(index) = self.take_sleeper() {
                return Some(index);
            }
            // They all woke by themselves meanwhile. But others may have deferred to this count,
            // which does not search, and somebody may have gone to sleep since. Whoever sets a bit
            // after the look below counts itself after this, and sees the work of those others.
            word = self.word.fetch_sub(SEARCHER, Ordering::SeqCst) - SEARCHER;
            // Canary: whoever deferred waits for nobody.
            #[cfg(weftwork_canary)]
            if canary::is(Step::Of("idle: give up")) {
                return None;
            }
            // SeqCst: in the one order with the sleepers' counting.
            let set = |bits: &AtomicU64| bits.load(Ordering::SeqCst) != 0;
            if !self.asleep.iter().any(set) {
                return None;
            }
        }
    }

    /// Clears a sleeper's bit, and uncounts it.
    fn take_sleeper(&self) -> Option<usize> {
        for (group, bits) in self.asleep.iter().enumerate() {
            // SeqCst: in the one order with the sleepers' counting.
            let mut set = bits.load(Ordering::SeqCst);
            while set != 0 {
                let bit = set & set.wrapping_neg();
                if bits.fetch_and(!bit, Ordering::SeqCst) & bit != 0 {
                    self.word.fetch_sub(SLEEPER, Ordering::SeqCst);
                    return Some(group * 64 + bit.trailing_zeros() as usize);
                }
                set = bits.load(Ordering::SeqCst);
            }
        }
        None
    }

    /// Asks to search. False: enough others do.
    #[must_use]
    pub fn start_search(&self) -> bool {
        // Relaxed: only the starting guess for the exchange below.
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let awake = self.workers - (word / SLEEPER).min(self.workers);
            if 2 * (word & SEARCHER_MASK) >= awake {
                return false;
            }
            // SeqCst: in the one order with `wake_one`, which defers to a counted searcher.
            match self.word.compare_exchange_weak(
                word,
                word + SEARCHER,
                Ordering::SeqCst,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(seen) => word = seen,
            }
        }
    }

    /// The search found work. True: the caller was the last searcher, and calls
    /// [`wake_one`](Self::wake_one), because pushes deferred to it meanwhile.
    #[must_use]
    pub fn found(&self) -> bool {
        let before = self.word.fetch_sub(SEARCHER, Ordering::SeqCst);
        // Canary: the last searcher keeps to itself that there may be more.
        #[cfg(weftwork_canary)]
        if canary::is(Step::Of("idle: found")) {
            return false;
        }
        before & SEARCHER_MASK == SEARCHER
    }

    /// Counts worker `index` as asleep. It then looks into all queues once more, and sleeps or calls
    /// [`wake_up`](Self::wake_up).
    pub fn sleep(&self, index: usize, searching: bool) {
        self.asleep[index / 64].fetch_or(1 << (index % 64), Ordering::SeqCst);
        let searcher = if searching { SEARCHER } else { 0 };
        self.word.fetch_add(SLEEPER - searcher, Ordering::SeqCst);
        // SeqCst: pairs with the fence in `wake_one`.
        #[cfg(weftwork_canary)]
        let fence = |ordering| {
            if !canary::is(Step::Of("idle: fence of the sleeper")) {
                fence(ordering);
            }
        };
        fence(Ordering::SeqCst);
    }

    /// Worker `index` is awake again.
    pub fn wake_up(&self, index: usize) -> Woken {
        let bit = 1 << (index % 64);
        // Canary: a sleeper that wakes by itself and does not see that it was also woken.
        #[cfg(weftwork_canary)]
        if canary::is(Step::Of("idle: wake_up")) {
            let set = self.asleep[index / 64].load(Ordering::SeqCst);
            self.asleep[index / 64].store(set & !bit, Ordering::SeqCst);
            if set & bit == 0 {
                return Woken::ForWork;
            }
            self.word.fetch_sub(SLEEPER, Ordering::SeqCst);
            return Woken::Itself;
        }
        if self.asleep[index / 64].fetch_and(!bit, Ordering::SeqCst) & bit == 0 {
            return Woken::ForWork;
        }
        self.word.fetch_sub(SLEEPER, Ordering::SeqCst);
        Woken::Itself
    }

    /// How many workers search. A report.
    pub fn searchers(&self) -> usize {
        // Relaxed: a report.
        self.word.load(Ordering::Relaxed) & SEARCHER_MASK
    }

    /// How many workers sleep. A report.
    pub fn sleepers(&self) -> usize {
        // Relaxed: a report.
        self.word.load(Ordering::Relaxed) / SLEEPER
    }
}
