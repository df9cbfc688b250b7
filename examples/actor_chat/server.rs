//! The process that serves: real clients until a signal comes, or the load until the coordinator says so.

use std::io::{self, BufRead};
use std::net::SocketAddr;
use std::thread::available_parallelism;

use weftwork::Runtime;
use weftwork_examples::processes::lifetime::die_with_parent;
use weftwork_examples::processes::measure::Usage;
use weftwork_examples::processes::protocol::Message;

use crate::Outcome;
use crate::app::{self, App};
use crate::door::listen;
use crate::options::Options;
use crate::signals::Requests;

/// A runtime, and the chat on it.
struct Server {
    runtime: Runtime,
    address: SocketAddr,
    app: App,
}

impl Server {
    fn start(options: &Options, address: SocketAddr) -> Outcome<Server> {
        app::quiet_on_purpose();
        let listener = listen(address).map_err(|e| format!("{address}: {e}"))?;
        let address = listener.local_addr().map_err(|e| e.to_string())?;
        let processors = available_parallelism().map_or(1, |n| n.get());
        let runtime = Runtime::builder()
            .workers(options.workers.map_or(processors, |n| n as usize))
            .build()
            .map_err(|e| format!("runtime: {e}"))?;
        let app = App::start(runtime.handle(), listener, options.history as usize)
            .map_err(|e| e.to_string())?;
        Ok(Server {
            runtime,
            address,
            app,
        })
    }

    /// Everything that is counted and measured.
    fn report(&self, word: &str) -> Outcome<Message> {
        let usage = Usage::now()?;
        let counts = self.app.hub().counts();
        Ok(Message::new(word)
            .with("sessions", &counts.sessions)
            .with("crashed", &counts.crashed)
            .with("slow", &counts.slow)
            .with("odd", &counts.odd)
            .with("rooms", &counts.rooms)
            .with("rooms_crashed", &counts.rooms_crashed)
            .with("readers", &counts.readers)
            .with("written", &counts.written)
            .with("rss_kib", usage.rss_kib)
            .with("tables_kib", usage.tables_kib)
            .with("cpu_us", usage.cpu_us))
    }

    /// The same with what the supervisors count now.
    fn full_report(&self) -> Outcome<Message> {
        let (sessions, rooms) = self.app.children()?;
        Ok(self
            .report("report")?
            .with("live_sessions", sessions.active)
            .with("live_rooms", rooms.active))
    }
}

/// Serves real clients.
pub(crate) fn serve(options: &Options, address: SocketAddr) -> Outcome<()> {
    // Before there are other threads.
    let requests = Requests::hold().map_err(|e| format!("signals: {e}"))?;
    let server = Server::start(options, address)?;
    println!("chat at ws://{}/?name=ann, until Ctrl-C", server.address);
    requests.wait().map_err(|e| format!("signals: {e}"))?;
    let (sessions, rooms) = server.app.children()?;
    println!("{} sessions, {} rooms", sessions.active, rooms.active);
    let report = server.app.shut_down(server.runtime.handle())?;
    println!("{report}");
    Ok(())
}

/// Serves until the coordinator says to quit.
pub(crate) fn obey(options: &Options) -> Outcome<()> {
    die_with_parent().map_err(|e| e.to_string())?;
    let server = Server::start(options, options.address)?;
    Message::new("ready").with("address", server.address).say();
    for line in io::stdin().lock().lines() {
        match line.map_err(|e| e.to_string())?.trim() {
            "report" => server.full_report()?.say(),
            "shutdown" => {
                let report = server.app.shut_down(server.runtime.handle())?;
                let text = report.to_string().replace('\n', "; ");
                let is_clean = report.is_clean();
                let last = server.report("down")?;
                last.with("clean", is_clean).with("text", text).say();
            }
            "quit" => break,
            other => return Err(format!("unknown command: {other}")),
        }
    }
    Ok(())
}
