//! One body of tests, compiled against `std::net` and against this crate; what it observes must be the
//! same. Where the two differ on purpose, the scenario says so and names what std says.

use std::time::Duration;

use weftwork_sched::Runtime;
use weftwork_testkit::with_watchdog;

/// The body against std.
mod on_std {
    use std::net::{TcpListener, TcpStream};
    use std::thread::{spawn, yield_now};
    const TIMED_OUT: std::io::ErrorKind = std::io::ErrorKind::WouldBlock;
    include!("conformance/body.rs");
}

/// The body against this crate, on OS threads.
mod on_threads {
    use std::thread::{spawn, yield_now};
    use weftwork_net::{TcpListener, TcpStream};
    const TIMED_OUT: std::io::ErrorKind = std::io::ErrorKind::TimedOut;
    include!("conformance/body.rs");
}

/// The body against this crate, on green threads.
mod on_green_threads {
    use weftwork_net::{TcpListener, TcpStream};
    use weftwork_sched::{spawn, yield_now};
    const TIMED_OUT: std::io::ErrorKind = std::io::ErrorKind::TimedOut;
    include!("conformance/body.rs");
}

/// Runs a scenario as a green thread of a runtime with so many workers.
fn hosted<T: Send>(workers: usize, scenario: impl FnOnce() -> T + Send) -> T {
    let runtime = Runtime::builder().workers(workers).build();
    runtime.expect("a runtime").run(scenario)
}

/// Runs one scenario everywhere and compares.
macro_rules! same_everywhere {
    ($($scenario:ident)*) => {$(
        #[test]
        fn $scenario() {
            with_watchdog(Duration::from_secs(120), || {
                let expected = on_std::$scenario();
                assert!(!expected.is_empty(), "the scenario observes something");
                assert_eq!(on_threads::$scenario(), expected, "on OS threads");
                for workers in [1, 2] {
                    let seen = hosted(workers, on_green_threads::$scenario);
                    assert_eq!(seen, expected, "on green threads of {workers} workers");
                }
            });
        }
    )*};
}

same_everywhere! {
    echo_returns_every_byte
    half_close_lets_the_other_direction_go_on
    a_reset_is_reported_to_reads
    a_write_after_the_peer_left_fails_without_a_signal
    connecting_to_a_closed_port_is_refused
    connect_tries_all_addresses
    connect_without_addresses_is_invalid
    text_that_is_no_address_is_invalid
    connect_timeout_connects_refuses_and_rejects_zero
    a_read_timeout_expires_and_loses_nothing
    a_write_timeout_expires_when_nobody_reads
    a_timeout_of_zero_is_invalid
    timeouts_are_reported_as_set
    peek_leaves_the_bytes
    vectored_transfers_keep_the_order
    zero_length_transfers_return_at_once
    shutdown_of_each_direction
    shutdown_wakes_a_parked_reader
    a_clone_shares_the_connection
    reads_and_writes_at_the_same_time
    incoming_yields_connections_in_order
    nonblocking_calls_return_would_block
    addresses_agree_from_both_ends
    options_are_reported_as_set
    a_large_transfer_survives_back_pressure
    end_of_stream_repeats
    binding_a_taken_address_fails
    a_stream_moves_between_threads
    conversions_keep_the_connection
    urgent_data_does_not_hide_what_follows
    std_helpers_work_on_streams
    ipv6_works_as_ipv4
    debug_shows_the_addresses
}
