//! A job queue with back-pressure, priorities, retries, time limits and dead letters, which accounts for every
//! job.
//!
//! ```sh
//! cargo run --release --example job_queue                      # three seconds; ctrl-c ends it earlier
//! cargo run --release --example job_queue -- --seconds 30 --workers 16
//! ```
//!
//! - *Back-pressure.* The queue is the bounded mailbox of one actor, the desk (`job_queue/desk.rs`). It hands a
//!   job out when a worker is idle, and waits for one in plain blocking style; meanwhile the mailbox fills, and
//!   whoever submits waits for room.
//! - *Priorities* are those of the messages: express jobs overtake the others in the mailbox.
//! - *Workers* (`job_queue/worker.rs`) are the children of a dynamic supervisor. A job that panics takes its
//!   worker down; another one takes the place. A job that takes too long is ended with its worker.
//! - *Retries.* What fails is tried again, later each time; after three tries it is a dead letter, kept
//!   with the reason of its last failure (`job_queue/ledger.rs`).
//! - *Shutdown* in phases (below): no more jobs come in, those that are there are done, the books are closed,
//!   the actors are stopped. Each phase has a deadline.
//!
//! At the end every job that was submitted must be done or a dead letter, once; otherwise the program fails.
//! Built with panic=abort nothing is caught: then poison ends the worker by an exit signal instead.

#[path = "job_queue/desk.rs"]
mod desk;
#[path = "job_queue/job.rs"]
mod job;
#[path = "job_queue/ledger.rs"]
mod ledger;
#[path = "job_queue/producer.rs"]
mod producer;
#[path = "job_queue/worker.rs"]
mod worker;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::Parser;
use signal_hook::consts::{SIGINT, SIGTERM};
use weftwork::actor::dead_letters;
use weftwork::actor::shutdown::Shutdown;
use weftwork::actor::supervisor::{
    ChildRef, ChildSpec, Report, Rules, Strategy, SupervisorRef, SupervisorSpec,
};
use weftwork::actor::{Mailbox, Options as ActorOptions};
use weftwork::csp::{Receiver, Sender, bounded, unbounded};
use weftwork::prelude::*;

use desk::{Desk, DeskArgs, Drain};
use ledger::{Account, Close, Ledger, LedgerArgs};
use producer::Producers;
use worker::Worker;

/// Runs a job queue for a while, and accounts for its jobs.
#[derive(Parser, Debug)]
#[command(about, long_about = None)]
struct Options {
    /// How long jobs are submitted.
    #[arg(long)]
    seconds: Option<f64>,

    /// How many workers there are.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    workers: u16,

    /// How many jobs the queue holds.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    room: u16,
}

/// What makes up the queue.
struct Shop {
    root: SupervisorRef,
    desk: Addr<Desk>,
    ledger: Addr<Ledger>,
    /// Workers that were replaced.
    replaced: Arc<AtomicU64>,
}

/// Workers that have nothing to do: each puts its address in here.
type Idle = (Sender<Addr<Worker>>, Receiver<Addr<Worker>>);

/// Describes the supervisor of the workers.
fn crew(size: u16, idle: &Sender<Addr<Worker>>, replaced: &Arc<AtomicU64>) -> ChildSpec {
    let (idle, replaced) = (idle.clone(), Arc::clone(replaced));
    ChildSpec::new("workers", move |ctx| {
        let replaced = Arc::clone(&replaced);
        // Poison is expected here: many restarts are no reason to give up.
        let crew = SupervisorSpec::dynamic(Rules::new())
            .intensity(10_000, Duration::from_secs(1))
            .on_report(move |_, report| {
                if let Report::Ended { .. } = report {
                    replaced.fetch_add(1, Ordering::Relaxed);
                }
            });
        let crew = ctx.supervise(crew)?;
        for _ in 0..size {
            let idle = idle.clone();
            let worker = ChildSpec::dynamic(move |ctx| {
                ctx.start::<Worker>(idle.clone(), ActorOptions::new())
            });
            if let Err(error) = crew.start_child(worker) {
                return Err(weftwork::actor::StartError::Failed(Reason::other(
                    error.to_string(),
                )));
            }
        }
        Ok(crew)
    })
}

fn open(options: &Options) -> Result<Shop, Box<dyn Error>> {
    let runtime = weftwork::Handle::current().ok_or("no runtime")?;
    let idle: Idle = unbounded();
    let replaced = Arc::new(AtomicU64::new(0));
    let (desk, ledger) = (ChildRef::<Desk>::new(), ChildRef::<Ledger>::new());

    let books = LedgerArgs {
        desk: desk.clone(),
        idle: idle.1.clone(),
        workers: usize::from(options.workers),
    };
    let start_ledger =
        ledger.filled_by(move |ctx| ctx.start::<Ledger>(books.clone(), ActorOptions::new()));
    let (room, its_ledger, its_idle) = (usize::from(options.room), ledger.clone(), idle.clone());
    let start_desk = desk.filled_by(move |ctx| {
        let args = DeskArgs {
            ledger: its_ledger.wait(),
            idle: its_idle.clone(),
        };
        let mailbox = Mailbox::bounded(room);
        ctx.start::<Desk>(args, ActorOptions::new().mailbox(mailbox))
    });
    let root = SupervisorSpec::new()
        .strategy(Strategy::RestForOne)
        .child(ChildSpec::new("ledger", start_ledger))
        .child(crew(options.workers, &idle.0, &replaced))
        .child(ChildSpec::new("desk", start_desk))
        .start(&runtime)?;
    Ok(Shop {
        root,
        desk: desk.wait(),
        ledger: ledger.wait(),
        replaced,
    })
}

/// Ends everything in order, and returns the account.
fn close(shop: &Shop, producers: Producers) -> Result<(Account, u64), Box<dyn Error>> {
    let (submitted, count) = bounded(1);
    let (closed, account) = bounded(1);
    let limit = Duration::from_secs(30);
    let shutdown = Shutdown::new(
        [
            "close the doors",
            "finish what is there",
            "close the books",
            "stop the actors",
        ]
        .map(|phase| (phase, limit)),
    );
    shutdown.add("close the doors", "producers", move || {
        // Who waits for room gets it: the workers go on.
        let _ = submitted.send(producers.stop());
    })?;
    let desk = shop.desk.clone();
    shutdown.add("finish what is there", "desk", move || {
        desk.ask_timeout(Drain, limit).expect("the desk answers");
    })?;
    let ledger = shop.ledger.clone();
    shutdown.add("close the books", "ledger", move || {
        let _ = closed.send(ledger.ask(Close).expect("the ledger answers"));
    })?;
    shutdown.stop("stop the actors", &shop.root.pid())?;

    let runtime = weftwork::Handle::current().ok_or("no runtime")?;
    let report = shutdown
        .run(&runtime)
        .ok_or("somebody else has shut down")?;
    println!("{report}");
    if !report.is_clean() {
        return Err("the shutdown was not clean".into());
    }
    Ok((account.recv()?, count.recv()?))
}

/// Waits for a signal, for so long at most.
fn wait_for_signal(time: Duration) -> Result<(), Box<dyn Error>> {
    let (sender, signal) = bounded(1);
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])?;
    std::thread::spawn(move || {
        for one in signals.forever() {
            let _ = sender.try_send(one);
        }
    });
    let _ = signal.recv_timeout(time);
    Ok(())
}

fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let by_default = match std::env::var_os("WEFTWORK_SMALL") {
        Some(_) => 1.0,
        None => 3.0,
    };
    let time = Duration::try_from_secs_f64(options.seconds.unwrap_or(by_default))?;
    let shop = open(options)?;
    let producers = Producers::start(&shop.desk);
    wait_for_signal(time)?;
    let (account, submitted) = close(&shop, producers)?;
    println!("{account}");
    println!(
        "workers replaced: {}",
        shop.replaced.load(Ordering::Relaxed)
    );
    account.check(submitted)?;
    // No message was lost on its way, either.
    match dead_letters::counts() {
        counts if counts.ended + counts.full + counts.forward == 0 => Ok(()),
        counts => Err(format!("messages that nobody handled: {counts:?}").into()),
    }
}

#[weftwork::main]
fn main() -> ExitCode {
    worker::expect_poison();
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("job_queue: {error}");
            ExitCode::FAILURE
        }
    }
}
