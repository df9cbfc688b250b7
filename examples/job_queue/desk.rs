//! The desk: its mailbox is the queue, and it hands out what comes to workers that are idle.

use weftwork::actor::{AskError, Context, DeferredHandler, Priority, ReplyTo};
use weftwork::prelude::*;

use crate::Idle;
use crate::job::{Job, LIMIT, RANKS, TRIES};
use crate::ledger::{Buried, Done, Failed, Ledger};
use crate::worker::{Try, Worker};

pub(crate) struct Desk {
    args: DeskArgs,
    /// Jobs that a worker has.
    under_way: usize,
    /// Jobs that wait until it is time to try them again.
    put_off: usize,
    /// Who waits until there is nothing left.
    drain: Option<ReplyTo<()>>,
}

#[derive(Clone)]
pub(crate) struct DeskArgs {
    pub(crate) ledger: Addr<Ledger>,
    pub(crate) idle: Idle,
}

/// Do this job. There is one type of message for each rank, because priorities belong to types.
pub(crate) struct Submit<const RANK: usize>(pub(crate) Job);

/// A try is over.
struct Over {
    job: Job,
    result: Result<(), Reason>,
}

/// Answers when all jobs are done or dead. Nobody must submit any more.
pub(crate) struct Drain;

impl Actor for Desk {
    type Args = DeskArgs;

    fn init(args: DeskArgs, _: &mut Context<Self>) -> Result<Self, InitError> {
        Ok(Desk {
            args,
            under_way: 0,
            put_off: 0,
            drain: None,
        })
    }
}

impl<const RANK: usize> Handler<Submit<RANK>> for Desk {
    type Reply = ();
    const PRIORITY: Priority = RANKS[RANK].1;

    fn handle(&mut self, Submit(mut job): Submit<RANK>, ctx: &mut Context<Self>) {
        // While all are busy nothing is taken out of the mailbox, which fills.
        let worker = self
            .args
            .idle
            .1
            .recv()
            .expect("the desk itself has a sender");
        job.waited.get_or_insert_with(|| job.submitted.elapsed());
        if job.failed > 0 {
            self.put_off -= 1;
        }
        self.under_way += 1;
        let (idle, desk) = (self.args.idle.clone(), ctx.addr());
        drop(spawn(move || {
            let result = attempt(&job, worker, &idle);
            // The desk does not end before it is told.
            let _ = desk.tell(Over { job, result });
        }));
    }
}

/// Has a worker try a job: waits for its answer, its end, or the end of the time.
fn attempt(job: &Job, mut worker: Addr<Worker>, (idle, others): &Idle) -> Result<(), Reason> {
    loop {
        match worker.ask_timeout(Try(job.clone()), LIMIT) {
            Ok(result) => {
                let _ = idle.send(worker);
                return result;
            }
            // Its supervisor starts another one, which says itself that it is idle.
            Err(AskError::Died(reason)) => return Err(reason),
            Err(AskError::Timeout) => {
                worker.kill();
                return Err(Reason::other(format!("took longer than {LIMIT:?}")));
            }
            // It ended while it was idle. The job is as it was.
            Err(AskError::Dead(_)) => worker = others.recv().expect("we have a sender"),
            Err(error) => return Err(Reason::other(error.to_string())),
        }
    }
}

impl Handler<Over> for Desk {
    type Reply = ();
    const PRIORITY: Priority = Priority::Urgent;

    fn handle(&mut self, Over { mut job, result }: Over, ctx: &mut Context<Self>) {
        self.under_way -= 1;
        let ledger = &self.args.ledger;
        let told = match result {
            Ok(()) => ledger.tell(Done(job)).is_ok(),
            Err(reason) => {
                job.failed += 1;
                if job.failed >= TRIES {
                    ledger.tell(Buried { job, reason }).is_ok()
                } else {
                    self.put_off += 1;
                    let pause = job.pause();
                    match job.rank {
                        0 => ctx.send_after(pause, Submit::<0>(job)),
                        1 => ctx.send_after(pause, Submit::<1>(job)),
                        _ => ctx.send_after(pause, Submit::<2>(job)),
                    };
                    ledger.tell(Failed).is_ok()
                }
            }
        };
        if !told {
            ctx.stop(Reason::other("there is no ledger"));
        }
        if self.under_way + self.put_off == 0
            && let Some(drain) = self.drain.take()
        {
            drain.send(());
        }
    }
}

impl DeferredHandler<Drain> for Desk {
    type Reply = ();
    /// Behind all jobs.
    const PRIORITY: Priority = Priority::Low;

    fn handle(&mut self, _: Drain, reply: ReplyTo<()>, _: &mut Context<Self>) {
        if self.under_way + self.put_off == 0 {
            reply.send(());
        } else {
            self.drain = Some(reply);
        }
    }
}
