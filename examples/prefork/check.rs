//! The test: a server under load loses workers, and is stopped while requests are under way.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use comfy_table::Table;
use weftwork::task::JoinHandle;
use weftwork::time::sleep;
use weftwork::{Runtime, spawn};

use crate::Outcome;
use crate::client::{Answer, Client};
use crate::load::{Load, Tally};
use crate::server::{Server, exists, send_signal};

/// How large it is.
struct Size {
    workers: usize,
    customers: usize,
    /// How many workers are killed, one after the other.
    kills: usize,
    /// How long there is load between two kills.
    between: Duration,
    /// How long requests may go on after the stop.
    grace: Duration,
}

const SMALL: Size = Size {
    workers: 2,
    customers: 16,
    kills: 3,
    between: Duration::from_millis(200),
    grace: Duration::from_millis(1_000),
};

const LARGE: Size = Size {
    workers: 4,
    customers: 64,
    kills: 10,
    between: Duration::from_millis(500),
    grace: Duration::from_millis(2_000),
};

/// Requests that are under way when the server is stopped, and how long they take.
const SLOW: usize = 20;
const SLOW_TIME: Duration = Duration::from_millis(300);

pub(crate) fn run() -> Outcome<()> {
    let size = match std::env::var_os("WEFTWORK_SMALL") {
        Some(_) => SMALL,
        None => LARGE,
    };
    let runtime = Runtime::new().map_err(|e| format!("runtime: {e}"))?;
    runtime.run(move || {
        let mut server = Server::start(size.workers, size.grace)?;
        kill_under_load(&mut server, &size)?;
        stop_in_the_middle(server, &size)
    })
}

/// Kills workers, by a signal and by a request in turn. Nobody else may notice.
fn kill_under_load(server: &mut Server, size: &Size) -> Outcome<()> {
    let load = Arc::new(Load::new(server.address));
    let begin = Instant::now();
    let customer = |number| {
        let load = Arc::clone(&load);
        spawn(move || load.customer(number))
    };
    let customers: Vec<_> = (0..size.customers).map(customer).collect();

    let mut living: BTreeSet<u32> = server.workers.iter().copied().collect();
    let mut restarts = Vec::new();
    for kill in 0..size.kills {
        load_for(&load, size.between)?;
        let victim = if kill % 2 == 0 {
            let victim = *living.first().ok_or("no worker is left")?;
            load.will_kill(victim);
            send_signal(victim, libc::SIGKILL)?;
            victim
        } else {
            crash(&load)?
        };
        restarts.push(server.wait_for_another()?);
        // It was reaped before the other one was started.
        if exists(victim) {
            return Err(format!("worker {victim} was replaced and is still there"));
        }
        load.has_killed(victim);
        if !living.remove(&victim) {
            return Err(format!("worker {victim} was killed twice"));
        }
        living.extend(server.workers.last());
    }
    load_for(&load, size.between)?;
    load.end();
    let mut tally = Tally::default();
    for customer in customers {
        tally.add(customer.join().map_err(|e| format!("a customer: {e}"))?);
    }
    report(&tally, &mut restarts, begin.elapsed(), size);
    if let Some(first) = tally.failed.first() {
        let count = tally.failed.len();
        return Err(format!(
            "{count} requests failed on workers that lived; the first: {first}"
        ));
    }
    Ok(())
}

/// Lets the load go on for some time, and until something was answered.
fn load_for(load: &Load, time: Duration) -> Outcome<()> {
    let before = load.answered();
    sleep(time);
    for _ in 0..10_000 {
        if load.answered() > before {
            return Ok(());
        }
        sleep(Duration::from_millis(1));
    }
    Err("nothing is answered any more".into())
}

/// Asks for the page that kills the worker which answers.
fn crash(load: &Load) -> Outcome<u32> {
    let failed = |error: io::Error| format!("crash: {error}");
    let mut client = Client::connect(load.address).map_err(failed)?;
    client.get("/").map_err(failed)?;
    let worker = client.worker.ok_or("no worker in the answer")?;
    load.will_kill(worker);
    match client.get("/crash") {
        Err(_) => Ok(worker),
        Ok(answer) => Err(format!("there was an answer to a crash: {answer:?}")),
    }
}

fn report(tally: &Tally, restarts: &mut [Duration], took: Duration, size: &Size) {
    restarts.sort_unstable();
    let answered: u64 = tally.answered.values().sum();
    let rate = answered as f64 / took.as_secs_f64();
    let mut table = Table::new();
    table.add_row([
        "requests answered".to_owned(),
        format!("{answered} ({rate:.0} /s, {} connections)", size.customers),
    ]);
    table.add_row([
        "workers that answered".to_owned(),
        format!("{} ({} at a time)", tally.answered.len(), size.workers),
    ]);
    table.add_row(["workers killed".to_owned(), size.kills.to_string()]);
    table.add_row([
        "from the kill until the next one serves".to_owned(),
        format!(
            "median {:.1?}, longest {:.1?}",
            restarts[restarts.len() / 2],
            restarts[restarts.len() - 1]
        ),
    ]);
    table.add_row([
        "requests that died with their worker".to_owned(),
        format!(
            "{}, and {} before they knew it",
            tally.lost, tally.lost_early
        ),
    ]);
    table.add_row([
        "requests failed elsewhere".to_owned(),
        tally.failed.len().to_string(),
    ]);
    println!("{table}");
}

/// Opens a connection, sees that it is accepted, and sends a request that takes so long.
fn slow(address: SocketAddr, time: Duration) -> Outcome<JoinHandle<io::Result<Answer>>> {
    let failed = |error: io::Error| format!("before the stop: {error}");
    let mut client = Client::connect(address).map_err(failed)?;
    client.get("/").map_err(failed)?;
    client
        .send(&format!("/slow/{}", time.as_millis()))
        .map_err(failed)?;
    Ok(spawn(move || client.receive()))
}

/// Stops the server while requests are under way: they are answered, but for one that takes too long.
fn stop_in_the_middle(mut server: Server, size: &Size) -> Outcome<()> {
    let address = server.address;
    let requests: Vec<_> = (0..SLOW)
        .map(|_| slow(address, SLOW_TIME))
        .collect::<Outcome<_>>()?;
    let endless = slow(address, Duration::from_secs(3_600))?;
    let idle = Client::connect(address).and_then(|mut client| client.get("/").map(|_| client));
    let mut idle = idle.map_err(|e| format!("an idle client: {e}"))?;

    let begin = Instant::now();
    server.stop()?;
    for request in requests {
        let answer = request.join().map_err(|e| format!("a client: {e}"))?;
        let answer = answer.map_err(|e| format!("a request under way was cut off: {e}"))?;
        if answer.status != 200 || answer.goes_on {
            return Err(format!("after the stop: {answer:?}"));
        }
    }
    let answered = begin.elapsed();
    if idle.receive().is_ok() {
        return Err("there was an answer that nobody asked for".into());
    }
    let status = server.wait()?;
    let took = begin.elapsed();
    println!(
        "stopped: {SLOW} requests of {SLOW_TIME:?} were answered after {answered:.1?}, \
         all processes had ended after {took:.1?}"
    );
    if !status.success() {
        return Err(format!("the master ended with {status}"));
    }
    if took < size.grace {
        return Err("the request that takes too long was not given its time".into());
    }
    match endless.join().map_err(|e| format!("a client: {e}"))? {
        Ok(answer) => return Err(format!("an hour is over: {answer:?}")),
        Err(error) => println!("the one that takes an hour was cut off: {error}"),
    }
    match Client::connect(address) {
        Ok(_) => Err("somebody still listens".into()),
        Err(_) => Ok(()),
    }
}
