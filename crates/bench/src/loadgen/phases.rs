//! What the load generator does with its connections: open, drive, hold, or open and close them.

use std::io;
use std::time::Duration;

use super::connection::{Generator, Happened};
use super::{Mode, Outcome};
use crate::process::{Footprint, cpu_time_of};

/// How long to wait for events before the clock is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How long opening all connections may take; the run goes on with those that are open then.
const CONNECT_LIMIT: u64 = 60_000_000_000;
const SECOND: u64 = 1_000_000_000;

impl Generator {
    /// Runs the mode asked for.
    pub(super) fn run(&mut self) -> io::Result<Outcome> {
        let before = self.server_footprint();
        if self.options.mode == Mode::Churn {
            return self.churn();
        }
        let start = self.now();
        self.open_all()?;
        let connecting = Duration::from_nanos(self.now() - start);
        let mut outcome = match self.options.mode {
            Mode::Idle => self.hold()?,
            _ => self.echo()?,
        };
        outcome.connecting = connecting;
        outcome.server = outcome.server.zip(before).map(|(held, before)| Footprint {
            rss_kib: held.rss_kib - before.rss_kib,
            pte_kib: held.pte_kib - before.pte_kib,
        });
        Ok(outcome)
    }

    fn server_footprint(&self) -> Option<Footprint> {
        self.options
            .server_pid
            .map(|pid| Footprint::of(&pid.to_string()))
    }

    fn server_cpu(&self) -> Option<Duration> {
        self.options.server_pid.and_then(cpu_time_of)
    }

    /// Opens every connection and has one message echoed on each.
    ///
    /// Waiting for the reply keeps the accept queue of the server from overflowing, which would
    /// cost a retransmission and be measured as the latency of something else.
    fn open_all(&mut self) -> io::Result<()> {
        let total = self.connections.len();
        let limit = self.now() + CONNECT_LIMIT;
        let (mut started, mut settled) = (0, 0);
        let mut events = Generator::events();
        while settled < total && self.now() < limit {
            while started < total && started - settled < self.options.inflight {
                settled += usize::from(!self.connect(started));
                started += 1;
            }
            self.wait(&mut events, LOOK_AGAIN)?;
            for event in &events {
                let index = event.token().0;
                match self.on_event(event) {
                    Happened::Connected => settled += usize::from(!self.send(index, 1)),
                    Happened::Replies(0) | Happened::Nothing => {}
                    Happened::Replies(_) => {
                        self.record_connected(index);
                        settled += 1;
                    }
                    Happened::Refused | Happened::Lost => settled += 1,
                }
            }
        }
        Ok(())
    }

    fn open_indices(&self) -> Vec<usize> {
        (0..self.connections.len())
            .filter(|&index| self.is_open(index))
            .collect()
    }

    /// Keeps `depth` messages in flight on every open connection.
    fn echo(&mut self) -> io::Result<Outcome> {
        let begin = self.now();
        self.measure_from = begin + self.options.warmup * SECOND;
        let mut end = self.measure_from + self.options.secs * SECOND;
        let open = self.open_indices();
        let mut standing = open.len();
        for index in open {
            standing -= usize::from(!self.send(index, self.options.depth));
        }
        let mut finished = 0;
        let mut cpu = None;
        let mut events = Generator::events();
        while self.now() < end {
            if standing == 0 {
                end = self.now();
                break;
            }
            self.wait(&mut events, LOOK_AGAIN)?;
            let measuring = self.now() >= self.measure_from;
            if measuring && cpu.is_none() {
                cpu = self.server_cpu();
            }
            for event in &events {
                match self.on_event(event) {
                    Happened::Replies(replies) if replies > 0 => {
                        finished += if measuring { replies as u64 } else { 0 };
                        standing -= usize::from(!self.send(event.token().0, replies));
                    }
                    Happened::Lost => standing -= 1,
                    _ => {}
                }
            }
        }
        let measured = end.max(self.measure_from + 1) - self.measure_from;
        let mut outcome = self.outcome(standing, finished, measured);
        outcome.server_cpu = self
            .server_cpu()
            .zip(cpu)
            .map(|(end, begin)| end.saturating_sub(begin));
        Ok(outcome)
    }

    /// Sends one message on every connection at once, then holds them.
    ///
    /// The memory of the server is read half-way through the time, or when all have answered,
    /// whichever is later; at the end at the latest.
    fn hold(&mut self) -> io::Result<Outcome> {
        let begin = self.now();
        self.measure_from = begin;
        let length = self.options.secs * SECOND;
        let open = self.open_indices();
        let mut standing = open.len();
        for &index in &open {
            standing -= usize::from(!self.send(index, 1));
        }
        let mut answered = 0;
        let mut server = None;
        let mut events = Generator::events();
        while self.now() < begin + length {
            if server.is_none() && answered >= standing && self.now() > begin + length / 2 {
                server = self.server_footprint();
            }
            self.wait(&mut events, LOOK_AGAIN)?;
            for event in &events {
                match self.on_event(event) {
                    Happened::Replies(replies) => answered += replies,
                    Happened::Lost => standing -= 1,
                    _ => {}
                }
            }
        }
        let mut outcome = self.outcome(standing, answered as u64, self.now() - begin);
        outcome.server = server.or_else(|| self.server_footprint());
        Ok(outcome)
    }

    /// Opens connections, has one message echoed, resets them, and opens them again.
    fn churn(&mut self) -> io::Result<Outcome> {
        let begin = self.now();
        self.measure_from = begin + self.options.warmup * SECOND;
        let end = self.measure_from + self.options.secs * SECOND;
        let mut finished = 0;
        let mut closed: Vec<usize> = (0..self.connections.len()).collect();
        let mut events = Generator::events();
        while self.now() < end {
            // A connect that cannot even start is tried again after the next wait.
            closed.retain(|&index| !self.connect(index));
            self.wait(&mut events, LOOK_AGAIN)?;
            for event in &events {
                let index = event.token().0;
                match self.on_event(event) {
                    Happened::Connected => {
                        self.record_connected(index);
                        if !self.send(index, 1) {
                            closed.push(index);
                        }
                    }
                    Happened::Replies(replies) if replies > 0 => {
                        finished += u64::from(self.now() >= self.measure_from);
                        self.reset(index);
                        closed.push(index);
                    }
                    Happened::Refused | Happened::Lost => closed.push(index),
                    _ => {}
                }
            }
        }
        Ok(self.outcome(self.connections.len(), finished, end - self.measure_from))
    }

    fn outcome(&self, open: usize, finished: u64, measured: u64) -> Outcome {
        Outcome {
            open,
            connecting: Duration::ZERO,
            finished,
            measured: Duration::from_nanos(measured),
            server: None,
            server_cpu: None,
        }
    }
}
