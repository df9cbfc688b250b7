//! The first process: starts the others, has them do their work, and compares what they say.

use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressStyle};
use weftwork::net::TcpSocket;

use crate::Outcome;
use crate::load::latencies;
use crate::options::Options;
use crate::plan::Plan;
use crate::report::{self, Results};
use weftwork_examples::processes::children::Children;
use weftwork_examples::processes::limit::shares;
use weftwork_examples::processes::measure::Kernel;
use weftwork_examples::processes::protocol::Message;

/// Connections open in the first part of a comparison.
const FEW: u32 = 1_000;

/// How long servers may take to see connections end.
const CLOSING: Duration = Duration::from_secs(30);

/// The whole undertaking.
struct Run {
    options: Options,
    plan: Plan,
    children: Children,
    servers: Vec<usize>,
    loads: Vec<usize>,
    /// Bytes that were sent and came back, on connections that are closed.
    bytes: u64,
}

/// What the servers say, added up.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ServerTotals {
    pub(crate) accepted: u64,
    pub(crate) ended: u64,
    pub(crate) echoed: u64,
    pub(crate) failed: u64,
    pub(crate) rss_kib: u64,
    pub(crate) tables_kib: u64,
    pub(crate) cpu_us: u64,
    pub(crate) voluntary: u64,
    pub(crate) involuntary: u64,
    /// The most connections that one server accepted.
    pub(crate) fullest: u64,
}

/// One period of traffic.
#[derive(Debug, Clone)]
pub(crate) struct Traffic {
    pub(crate) open: u32,
    pub(crate) active: u64,
    pub(crate) messages: u64,
    pub(crate) seconds: f64,
    /// Messages of the connection that had the fewest, and the most.
    pub(crate) least: u32,
    pub(crate) most: u32,
    pub(crate) latencies: Histogram<u64>,
    /// Processor time of the servers meanwhile.
    pub(crate) cpu_us: u64,
    /// Their context switches.
    pub(crate) voluntary: u64,
    pub(crate) involuntary: u64,
}

impl Traffic {
    pub(crate) fn rate(&self) -> f64 {
        self.messages as f64 / self.seconds
    }

    /// Microseconds of the servers' processor time.
    pub(crate) fn cpu_per_message(&self) -> f64 {
        self.cpu_us as f64 / self.messages as f64
    }
}

/// Runs everything and prints the results.
pub(crate) fn run(options: &Options) -> Outcome<()> {
    let mut options = options.effective();
    let plan = Plan::new(&options)?;
    // Holding the port without listening keeps it free for the servers.
    let port = TcpSocket::new_v4()
        .and_then(|socket| {
            socket.set_reuseaddr(true)?;
            socket.set_reuseport(true)?;
            socket.bind(options.address)?;
            options.address = socket.local_addr()?;
            Ok(socket)
        })
        .map_err(|e| format!("{}: {e}", options.address))?;
    let kind = if options.use_async {
        "futures"
    } else {
        "green threads"
    };
    println!(
        "{} connections on {kind} at {}, {} bytes per message",
        options.connections, options.address, options.size
    );
    println!("{}", plan.reason);

    let deadline = Instant::now() + Duration::from_secs(options.limit);
    let mut run = Run {
        children: Children::new(deadline),
        servers: Vec::new(),
        loads: Vec::new(),
        bytes: 0,
        options,
        plan,
    };
    let results = run.measure()?;
    drop(port);
    run.children.quit()?;
    report::print(&results);
    Ok(())
}

impl Run {
    fn measure(&mut self) -> Outcome<Results> {
        self.start()?;
        let kernel_before = Kernel::now()?;
        let before = self.totals()?;

        let mut comparison = Vec::new();
        let connections = self.options.connections;
        let active = if self.options.compare {
            (connections / 100).max(1)
        } else {
            let share = f64::from(connections) * self.options.active_percent / 100.0;
            (share as u32).clamp(1, connections)
        };
        let mut opening = 0.0;
        if self.options.compare && connections > FEW {
            opening += self.open(0, FEW)?;
            comparison.push(self.traffic(FEW, active.min(FEW))?);
            opening += self.open(FEW, connections)?;
        } else {
            opening += self.open(0, connections)?;
        }
        // Whatever the last connection set off is over.
        thread::sleep(Duration::from_millis(300));
        let idle = self.totals()?;
        let kernel_idle = Kernel::now()?;
        if idle.accepted != u64::from(connections) {
            return Err(format!(
                "{} of {connections} connections were accepted",
                idle.accepted
            ));
        }
        let traffic = self.traffic(connections, active)?;
        let after = self.totals()?;
        if !comparison.is_empty() {
            // Once more with few, so that a machine that grows slower or faster meanwhile shows.
            self.close(FEW)?;
            comparison.push(self.traffic(FEW, active.min(FEW))?);
        }
        self.close(0)?;
        println!(
            "all {connections} connections ended in order; {} bytes, each one verified",
            self.bytes
        );
        Ok(Results {
            options: self.options.clone(),
            plan: self.plan.clone(),
            before,
            idle,
            after,
            kernel_before,
            kernel_idle,
            opening,
            comparison,
            traffic,
        })
    }

    fn start(&mut self) -> Outcome<()> {
        for index in 0..self.plan.servers {
            let child = self.start_one("server", index, self.plan.workers)?;
            self.servers.push(child);
        }
        self.children.gather(&self.servers, "ready", |_, _| {})?;
        for index in 0..self.plan.loads.len() as u32 {
            let child = self.start_one("load", index, 1)?;
            self.loads.push(child);
        }
        self.children.gather(&self.loads, "ready", |_, _| {})?;
        Ok(())
    }

    fn start_one(&mut self, role: &str, index: u32, workers: u32) -> Outcome<usize> {
        let arguments = self.options.child_arguments(role, index, workers);
        self.children
            .start(format!("{role} process {index}"), arguments)
    }

    /// Opens connections until there are `to`. Returns the seconds it took.
    fn open(&mut self, from: u32, to: u32) -> Outcome<f64> {
        let shares = shares(to, self.plan.loads.len() as u32);
        let commands = shares
            .iter()
            .map(|share| Message::new("open").with("to", share));
        let bar = bar(u64::from(to), "connecting");
        let (_, seconds) = self.work(commands.collect(), "opened", &bar)?;
        bar.finish_and_clear();
        println!(
            "{to} connections open, {:.0} per second, each proven by a message",
            f64::from(to - from) / seconds
        );
        Ok(seconds)
    }

    /// Has `active` of the `open` connections exchange messages.
    fn traffic(&mut self, open: u32, active: u32) -> Outcome<Traffic> {
        let before = self.totals()?;
        let shares = shares(active, self.plan.loads.len() as u32);
        let commands = shares.iter().map(|share| {
            Message::new("traffic")
                .with("active", share)
                .with("in_flight", self.options.in_flight)
                .with("seconds", self.options.seconds)
        });
        let bar = ProgressBar::new_spinner().with_style(style(
            "{spinner} {elapsed_precise} {pos} messages, {per_sec} ({msg})",
        ));
        bar.set_message(format!("{active} of {open} connections active"));
        let (answers, _) = self.work(commands.collect(), "done", &bar)?;
        bar.finish_and_clear();
        let after = self.totals()?;

        let mut traffic = Traffic {
            open,
            active: 0,
            messages: 0,
            seconds: 0.0,
            least: u32::MAX,
            most: 0,
            latencies: latencies(),
            cpu_us: after.cpu_us - before.cpu_us,
            voluntary: after.voluntary - before.voluntary,
            involuntary: after.involuntary - before.involuntary,
        };
        for answer in &answers {
            traffic.active += answer.get::<u64>("active")?;
            traffic.messages += answer.get::<u64>("messages")?;
            traffic.seconds = traffic.seconds.max(answer.get("seconds")?);
            traffic.least = traffic.least.min(answer.get("least")?);
            traffic.most = traffic.most.max(answer.get("most")?);
            for bucket in answer
                .text("histogram")?
                .split(',')
                .filter(|b| !b.is_empty())
            {
                let (value, count) = bucket.split_once(':').ok_or("a broken histogram")?;
                let value = value.parse().map_err(|_| "a broken histogram")?;
                let count = count.parse().map_err(|_| "a broken histogram")?;
                traffic.latencies.saturating_record_n(value, count);
            }
        }
        if traffic.least == 0 || traffic.latencies.len() != traffic.messages {
            return Err("some connection exchanged no message".to_owned());
        }
        println!(
            "{} messages over {active} of {open} connections, {:.0} per second",
            traffic.messages,
            traffic.rate()
        );
        Ok(traffic)
    }

    /// Gives each load process its command, and shows the progress until all have answered.
    fn work(
        &mut self,
        commands: Vec<Message>,
        answer: &str,
        bar: &ProgressBar,
    ) -> Outcome<(Vec<Message>, f64)> {
        let start = Instant::now();
        for (&load, command) in self.loads.iter().zip(&commands) {
            self.children.tell(load, command)?;
        }
        let first = self.loads[0];
        let mut done = vec![0; self.loads.len()];
        let answers = self
            .children
            .gather(&self.loads, answer, |child, message| {
                if let Ok(count) = message.get::<u64>("done") {
                    done[child - first] = count;
                    bar.set_position(done.iter().sum());
                }
            })?;
        Ok((answers, start.elapsed().as_secs_f64()))
    }

    /// Closes all connections but `keep` and compares what both sides counted.
    fn close(&mut self, keep: u32) -> Outcome<()> {
        let shares = shares(keep, self.plan.loads.len() as u32);
        for (&load, share) in self.loads.iter().zip(shares) {
            self.children
                .tell(load, &Message::new("close").with("keep", share))?;
        }
        for answer in self.children.gather(&self.loads, "closed", |_, _| {})? {
            self.bytes += answer.get::<u64>("bytes")?;
        }
        let ended = u64::from(self.options.connections - keep);
        let start = Instant::now();
        let totals = loop {
            let totals = self.totals()?;
            if totals.ended >= ended || start.elapsed() > CLOSING {
                break totals;
            }
            thread::sleep(Duration::from_millis(20));
        };
        if totals.ended != ended {
            return Err(format!(
                "{ended} connections were closed, but the servers saw {} end",
                totals.ended
            ));
        }
        if totals.echoed != self.bytes {
            return Err(format!(
                "{} bytes were sent and came back, but the servers echoed {}",
                self.bytes, totals.echoed
            ));
        }
        Ok(())
    }

    /// Asks the servers. A connection that failed there is the end of the run.
    fn totals(&mut self) -> Outcome<ServerTotals> {
        let mut totals = ServerTotals::default();
        for report in self.children.ask(&self.servers, "report", "report")? {
            let accepted = report.get("accepted")?;
            totals.accepted += accepted;
            totals.fullest = totals.fullest.max(accepted);
            totals.ended += report.get::<u64>("ended")?;
            totals.echoed += report.get::<u64>("echoed")?;
            totals.failed += report.get::<u64>("failed")?;
            totals.rss_kib += report.get::<u64>("rss_kib")?;
            totals.tables_kib += report.get::<u64>("tables_kib")?;
            totals.cpu_us += report.get::<u64>("cpu_us")?;
            totals.voluntary += report.get::<u64>("voluntary")?;
            totals.involuntary += report.get::<u64>("involuntary")?;
            if totals.failed > 0 {
                let first = report.text("text")?;
                return Err(format!(
                    "{} connections failed in a server: {first}",
                    totals.failed
                ));
            }
        }
        Ok(totals)
    }
}

fn bar(length: u64, what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(length)
        .with_style(style("{msg} {wide_bar} {pos}/{len}, {per_sec}, {eta} left"));
    bar.set_message(what);
    bar
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is valid")
}
