//! How many processes it takes: the limit on descriptors, and what it allows.

use weftwork_examples::processes::limit::{raise_limit, shares};

use crate::Outcome;
use crate::options::Options;

/// Descriptors that a process needs besides its connections: standard streams, epoll sets, a listener, and
/// what libraries open for a moment.
const RESERVE: u64 = 100;

/// Who does what.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) servers: u32,
    pub(crate) workers: u32,
    /// The connections of each load process.
    pub(crate) loads: Vec<u32>,
    /// Why, in a sentence.
    pub(crate) reason: String,
}

impl Plan {
    pub(crate) fn new(options: &Options) -> Outcome<Plan> {
        let connections = u64::from(options.connections);
        let limit = raise_limit(connections + RESERVE).map_err(|e| format!("file limit: {e}"))?;
        let room = limit.saturating_sub(RESERVE);
        if room == 0 {
            return Err(format!(
                "{limit} descriptors per process leave none to connections"
            ));
        }
        let servers = match options.servers {
            Some(servers) => servers,
            None => fewest_servers(connections, room)?,
        };
        let fewest_loads = u32::try_from(connections.div_ceil(room)).map_err(|e| e.to_string())?;
        let loads = options
            .loads
            .unwrap_or(fewest_loads)
            .min(options.connections);
        if loads < fewest_loads || servers == 0 || expected_most(connections, servers) > room {
            return Err(format!(
                "{servers} server and {loads} load processes cannot hold {connections} connections with \
                 {limit} descriptors each"
            ));
        }
        let processors = std::thread::available_parallelism().map_or(1, |n| n.get() as u32);
        let reason = if servers == 1 && loads == 1 {
            format!("one server and one load process: the limit is {limit} descriptors per process")
        } else {
            format!(
                "{servers} server processes on one port (SO_REUSEPORT) and {loads} load processes: the limit is \
                 {limit} descriptors per process"
            )
        };
        Ok(Plan {
            servers,
            workers: options.workers.unwrap_or((processors / servers).max(1)),
            loads: shares(options.connections, loads),
            reason,
        })
    }
}

/// The least number of servers of which, very probably, none gets more connections than it has room for.
fn fewest_servers(connections: u64, room: u64) -> Outcome<u32> {
    (1..=256)
        .find(|&servers| expected_most(connections, servers) <= room)
        .ok_or_else(|| format!("{connections} connections do not fit into 256 servers of {room}"))
}

/// How many connections the fullest server may get. The kernel deals them out by a hash, so that shares are
/// binomial: six standard deviations above the mean happen to one run in a thousand million.
fn expected_most(connections: u64, servers: u32) -> u64 {
    if servers <= 1 {
        return connections;
    }
    let share = 1.0 / f64::from(servers);
    let mean = connections as f64 * share;
    (mean + 6.0 * (mean * (1.0 - share)).sqrt())
        .ceil()
        .min(connections as f64) as u64
}
