//! The ledger: what became of each job, the dead letters, and the figures while it runs.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use weftwork::actor::Context;
use weftwork::actor::supervisor::ChildRef;
use weftwork::csp::Receiver;
use weftwork::prelude::*;

use crate::desk::Desk;
use crate::job::{Job, RANKS, TRIES, Work};
use crate::worker::Worker;

pub(crate) struct Ledger {
    args: LedgerArgs,
    begin: Instant,
    account: Account,
    /// What was done when the figures were last told.
    told: (Instant, u64),
}

#[derive(Clone)]
pub(crate) struct LedgerArgs {
    pub(crate) desk: ChildRef<Desk>,
    pub(crate) idle: Receiver<Addr<Worker>>,
    pub(crate) workers: usize,
}

/// A job that is done.
pub(crate) struct Done(pub(crate) Job);

/// A job has failed, and is tried again.
pub(crate) struct Failed;

/// A job that is not tried any more, and why the last try failed.
#[derive(Debug, Clone)]
pub(crate) struct Buried {
    pub(crate) job: Job,
    pub(crate) reason: Reason,
}

/// Answers with the account.
pub(crate) struct Close;

/// It is time to tell the figures.
#[derive(Clone)]
struct Figures;

/// What became of the jobs.
#[derive(Clone)]
pub(crate) struct Account {
    /// All that are over.
    over: HashSet<u64>,
    /// Those that were over once more.
    again: Vec<u64>,
    done: u64,
    retries: u64,
    dead: Vec<Buried>,
    /// In microseconds, by rank.
    waited: [Histogram<u64>; RANKS.len()],
}

impl Actor for Ledger {
    type Args = LedgerArgs;

    fn init(args: LedgerArgs, ctx: &mut Context<Self>) -> Result<Self, InitError> {
        ctx.send_every(Duration::from_millis(500), Figures);
        let begin = Instant::now();
        // A minute is as good as any longer time.
        let histogram = Histogram::new_with_max(60_000_000, 3).map_err(InitError::failed)?;
        Ok(Ledger {
            args,
            begin,
            account: Account {
                over: HashSet::new(),
                again: Vec::new(),
                done: 0,
                retries: 0,
                dead: Vec::new(),
                waited: std::array::from_fn(|_| histogram.clone()),
            },
            told: (begin, 0),
        })
    }
}

impl Account {
    fn note(&mut self, job: &Job) {
        if !self.over.insert(job.id) {
            self.again.push(job.id);
        }
        let waited = job.waited.unwrap_or_default();
        self.waited[job.rank].saturating_record(waited.as_micros() as u64);
    }

    /// Whether all is as it must be.
    pub(crate) fn check(&self, submitted: u64) -> Result<(), String> {
        let dead = self.dead.len() as u64;
        if self.done + dead != submitted || !self.again.is_empty() {
            let Account { done, again, .. } = self;
            return Err(format!(
                "{submitted} submitted, {done} done, {dead} dead; over twice: {again:?}"
            ));
        }
        let is_hopeless = |id: &u64| Work::of(*id).is_hopeless();
        let buried: HashSet<_> = self.dead.iter().map(|one| one.job.id).collect();
        if let Some(id) = (0..submitted)
            .filter(is_hopeless)
            .find(|id| !buried.contains(id))
        {
            return Err(format!("job {id} cannot be done, and is no dead letter"));
        }
        let is_right = |Buried { job, reason }: &Buried| {
            let text = reason.to_string();
            // On a machine that has other things to do any try may take too long.
            let is_expected = text.starts_with("took longer")
                || match job.work() {
                    Work::Poison => text.contains("poison"),
                    Work::Flaky(times) => times >= TRIES && text == "the other side says no",
                    Work::Stuck | Work::Compute | Work::Wait => false,
                };
            job.failed == TRIES && is_expected
        };
        if let Some(wrong) = self.dead.iter().find(|one| !is_right(one)) {
            return Err(format!(
                "a dead letter that should be none, or another: {wrong:?}"
            ));
        }
        let [express, .., bulk] = &self.waited;
        if bulk.len() > 100 && express.value_at_quantile(0.5) > bulk.value_at_quantile(0.5) {
            return Err("express jobs waited longer than bulk".into());
        }
        Ok(())
    }
}

impl Handler<Done> for Ledger {
    type Reply = ();
    fn handle(&mut self, Done(job): Done, _: &mut Context<Self>) {
        self.account.note(&job);
        self.account.done += 1;
    }
}

impl Handler<Failed> for Ledger {
    type Reply = ();
    fn handle(&mut self, _: Failed, _: &mut Context<Self>) {
        self.account.retries += 1;
    }
}

impl Handler<Buried> for Ledger {
    type Reply = ();
    fn handle(&mut self, buried: Buried, _: &mut Context<Self>) {
        self.account.note(&buried.job);
        self.account.dead.push(buried);
    }
}

impl Handler<Figures> for Ledger {
    type Reply = ();
    fn handle(&mut self, _: Figures, _: &mut Context<Self>) {
        let (now, done) = (Instant::now(), self.account.done);
        let (since, before) = std::mem::replace(&mut self.told, (now, done));
        let rate = (done - before) as f64 / (now - since).as_secs_f64();
        let queued = self
            .args
            .desk
            .get()
            .map_or(0, |desk| desk.pid().mailbox_len());
        println!(
            "{:>5.1} s: {rate:>6.0} /s, {done} done, {} retries, {} dead, {queued} in the mailbox, {} of {} idle",
            (now - self.begin).as_secs_f64(),
            self.account.retries,
            self.account.dead.len(),
            self.args.idle.len(),
            self.args.workers,
        );
    }
}

impl Handler<Close> for Ledger {
    type Reply = Account;
    fn handle(&mut self, _: Close, _: &mut Context<Self>) -> Account {
        self.account.clone()
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "done: {}, retries: {}", self.done, self.retries)?;
        // Where a panic happened is the same for all of them.
        let mut reasons = BTreeMap::<_, Vec<u64>>::new();
        for one in &self.dead {
            reasons
                .entry(one.reason.to_string())
                .or_default()
                .push(one.job.id);
        }
        writeln!(f, "dead letters: {}", self.dead.len())?;
        for (reason, mut ids) in reasons {
            ids.sort_unstable();
            let first = &ids[..ids.len().min(5)];
            writeln!(
                f,
                "  {} after {TRIES} tries: {reason}; first {first:?}",
                ids.len()
            )?;
        }
        f.write_str("waited until the first try:")?;
        for ((rank, _), waited) in RANKS.iter().zip(&self.waited) {
            let quantile = |q| Duration::from_micros(waited.value_at_quantile(q));
            let (count, half, most) = (waited.len(), quantile(0.5), quantile(0.99));
            write!(
                f,
                "\n  {rank}: {count} jobs, p50 {half:.1?}, p99 {most:.1?}"
            )?;
        }
        Ok(())
    }
}
