//! A rate limiter: a channel of tokens, which a ticker fills and whoever wants to go on takes from.
//!
//! The capacity of the channel is the burst it allows: tokens that nobody needs fill it, and what
//! does not fit is thrown away. To take one is an ordinary receive, so it can have a limit, be an arm
//! of a `select!`, or be awaited.
//!
//! `cargo run --release --example rate_limiter`

use std::time::{Duration, Instant};

use weftwork::csp::RecvTimeoutError;
use weftwork::prelude::*;

/// Lets a burst through at once, and after it one for each period.
struct RateLimiter {
    tokens: Receiver<()>,
}

impl RateLimiter {
    fn new(period: Duration, burst: usize) -> RateLimiter {
        let (full, tokens) = bounded(burst);
        for _ in 0..burst {
            full.try_send(()).expect("there is room for the burst");
        }
        let refill = move || {
            for _ in tick(period) {
                // Full is fine; disconnected means that the limiter is gone.
                if full.try_send(()).is_err_and(|e| e.is_disconnected()) {
                    return;
                }
            }
        };
        drop(spawn(refill));
        RateLimiter { tokens }
    }

    /// Waits for a token.
    fn wait(&self) {
        self.tokens.recv().expect("the refill outlives the limiter");
    }

    /// Waits for a token for so long at most.
    fn wait_timeout(&self, limit: Duration) -> Result<(), RecvTimeoutError> {
        self.tokens.recv_timeout(limit)
    }

    /// Takes a token if there is one.
    fn try_pass(&self) -> bool {
        self.tokens.try_recv().is_ok()
    }
}

#[weftwork::main]
fn main() {
    let (period, requests) = match std::env::var_os("WEFTWORK_SMALL") {
        Some(_) => (Duration::from_millis(5), 40),
        None => (Duration::from_millis(20), 100),
    };
    const BURST: usize = 10;
    const CLIENTS: usize = 4;

    let start = Instant::now();
    let limiter = RateLimiter::new(period, BURST);

    // The burst passes at once, without a wait.
    let at_once = (0..BURST).filter(|_| limiter.try_pass()).count();
    assert_eq!(at_once, BURST);

    // Then some clients together get no more than one token for each period.
    let (passed, passes) = unbounded();
    scope(|s| {
        for client in 0..CLIENTS {
            let (limiter, passed) = (&limiter, passed.clone());
            s.spawn(move || {
                for _ in 0..requests / CLIENTS {
                    limiter.wait();
                    passed
                        .send((client, start.elapsed()))
                        .expect("main receives them");
                }
            });
        }
    });
    drop(passed);

    let mut times = Vec::new();
    let mut of_client = [0; CLIENTS];
    for (client, at) in passes {
        of_client[client] += 1;
        times.push(at);
    }
    times.sort_unstable();
    let last = *times.last().expect("there were requests");
    println!("{BURST} requests at once, then {requests} in {last:.1?}, one for each {period:?}");
    println!("requests of each client: {of_client:?}");

    assert_eq!(times.len(), requests);
    assert_eq!(of_client, [requests / CLIENTS; CLIENTS]);
    for (n, at) in (1..).zip(&times) {
        assert!(*at >= period * n, "request {n} passed early, after {at:?}");
    }
    // A client that can wait for a while only is told when that was not enough.
    let refusal = loop {
        if let Err(refusal) = limiter.wait_timeout(period / 20) {
            break refusal;
        }
    };
    assert_eq!(refusal, RecvTimeoutError::Timeout);
    limiter.wait();
}
