//! A worker: does one job at a time, and says when it is idle.

use std::hint::black_box;
use std::panic;
use std::time::Duration;

use weftwork::actor::Context;
use weftwork::csp::Sender;
use weftwork::prelude::*;
use weftwork::time::sleep_async;

use crate::job::{Job, Work};

pub(crate) struct Worker;

/// Try this job.
pub(crate) struct Try(pub(crate) Job);

impl Actor for Worker {
    type Args = Sender<Addr<Worker>>;

    fn init(idle: Self::Args, ctx: &mut Context<Self>) -> Result<Self, InitError> {
        idle.send(ctx.addr()).map_err(InitError::failed)?;
        Ok(Worker)
    }
}

/// A future, so that it can be ended where it waits even if nothing unwinds.
impl AsyncHandler<Try> for Worker {
    type Reply = Result<(), Reason>;

    async fn handle(&mut self, Try(job): Try, ctx: &mut Context<Self>) -> Self::Reply {
        match job.work() {
            Work::Compute => {
                black_box((0..50_000_u64).fold(job.id, |a, b| a.rotate_left(5) ^ b));
            }
            Work::Wait => sleep_async(Duration::from_millis(1)).await,
            Work::Flaky(times) if job.failed < times => {
                return Err(Reason::other("the other side says no"));
            }
            Work::Flaky(_) => {}
            Work::Stuck => std::future::pending().await,
            Work::Poison if cfg!(panic = "unwind") => panic!("poison"),
            Work::Poison => {
                ctx.exit(&ctx.pid(), Reason::other("poison"));
                std::future::pending().await
            }
        }
        Ok(())
    }
}

/// Keeps panics that are meant to be out of the output. To be called before any actor starts.
pub(crate) fn expect_poison() {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if info.payload_as_str() != Some("poison") {
            hook(info);
        }
    }));
}
