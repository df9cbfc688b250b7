//! Load, and what it finds out: which requests failed, and whether they may have.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use weftwork::sync::Mutex;

use crate::client::{Answer, Client};

/// After so many requests a customer takes another connection, so that workers which came later get some.
const REQUESTS_PER_CONNECTION: u64 = 200;

/// What all customers share.
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    is_over: AtomicBool,
    /// The workers that were killed: noted before, and when they were seen to be gone.
    killed: Mutex<BTreeMap<u32, Option<Instant>>>,
    answered: AtomicU64,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// How many requests each worker answered.
    pub(crate) answered: BTreeMap<u32, u64>,
    /// Requests that ended with a worker that was killed.
    pub(crate) lost: u64,
    /// Connections that ended with one, before it was known with which.
    pub(crate) lost_early: u64,
    /// What else went wrong.
    pub(crate) failed: Vec<String>,
}

impl Load {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Load {
            address,
            is_over: AtomicBool::new(false),
            killed: Mutex::new(BTreeMap::new()),
            answered: AtomicU64::new(0),
        }
    }

    /// Says that a worker is about to be killed.
    pub(crate) fn will_kill(&self, worker: u32) {
        self.killed.lock().insert(worker, None);
    }

    /// Says that it is gone.
    pub(crate) fn has_killed(&self, worker: u32) {
        self.killed.lock().insert(worker, Some(Instant::now()));
    }

    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// How many requests were answered so far.
    pub(crate) fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Sends requests, one after the other, until the load is over.
    pub(crate) fn customer(&self, number: usize) -> Tally {
        let mut tally = Tally::default();
        let (mut client, mut sent) = (None, 0_u64);
        while !self.is_over.load(Ordering::Relaxed) {
            let mut current = match client
                .take()
                .map_or_else(|| Client::connect(self.address), Ok)
            {
                Ok(current) => current,
                Err(error) => {
                    // The socket is the master's: it is open whoever dies.
                    tally.failed.push(format!("cannot connect: {error}"));
                    weftwork::time::sleep(Duration::from_millis(10));
                    continue;
                }
            };
            sent += 1;
            let text = format!("customer-{number}-request-{sent}");
            let answer = current.get(&format!("/echo/{text}"));
            if self.note(&mut tally, &current, &text, answer)
                && !sent.is_multiple_of(REQUESTS_PER_CONNECTION)
            {
                client = Some(current);
            }
        }
        tally
    }

    /// Notes what came back. Returns whether the connection goes on.
    fn note(
        &self,
        tally: &mut Tally,
        client: &Client,
        text: &str,
        answer: io::Result<Answer>,
    ) -> bool {
        match (answer, client.worker) {
            (Ok(answer), Some(worker)) => {
                if (answer.status, answer.text.trim_end()) == (200, text) {
                    *tally.answered.entry(worker).or_default() += 1;
                    self.answered.fetch_add(1, Ordering::Relaxed);
                } else {
                    tally.failed.push(format!("asked for {text}: {answer:?}"));
                }
                return answer.goes_on;
            }
            (Err(_), Some(worker)) if self.killed.lock().contains_key(&worker) => tally.lost += 1,
            (Err(_), None) if self.killed_since(client.since) => tally.lost_early += 1,
            (answer, worker) => {
                let error = format!("{text} at worker {worker:?}: {answer:?}");
                tally.failed.push(error);
            }
        }
        false
    }

    /// Whether a worker may have died while a connection was there.
    fn killed_since(&self, since: Instant) -> bool {
        let killed = self.killed.lock();
        (killed.values()).any(|gone| gone.is_none_or(|gone| gone >= since))
    }
}

impl Tally {
    pub(crate) fn add(&mut self, other: Tally) {
        for (worker, count) in other.answered {
            *self.answered.entry(worker).or_default() += count;
        }
        self.lost += other.lost;
        self.lost_early += other.lost_early;
        self.failed.extend(other.failed);
    }
}
