//! What each state of a descriptor is reported as. One test per state change, edge-triggered with
//! every interest unless it says otherwise.

mod support;

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use support::{Watch, closed_port, connect, drain, fill, linger_zero, pipe, tcp_pair, tcp_socket};
use weftwork_reactor::{Interest, Mode};
use weftwork_testkit::with_watchdog;

fn watched(test: impl FnOnce() + Send) {
    with_watchdog(Duration::from_secs(60), test);
}

fn kind<T: std::fmt::Debug>(result: io::Result<T>) -> io::ErrorKind {
    result.unwrap_err().kind()
}

#[test]
fn a_tcp_socket_registered_before_connect_is_not_reported_closed() {
    watched(|| {
        let socket = tcp_socket();
        let mut watch = Watch::on(&socket);
        let fresh = watch.now();
        assert!(!fresh.contains("rc") && !fresh.contains("wc"), "{fresh}");
    });
}

#[test]
fn a_connect_that_succeeds_is_writable_exactly_once() {
    watched(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = tcp_socket();
        let _ = connect(socket.as_fd(), listener.local_addr().unwrap());
        let mut watch = Watch::on(&socket);
        assert_eq!(watch.next(), "W");
        assert_eq!(watch.now(), "");
        assert!(TcpStream::from(socket).take_error().unwrap().is_none());
    });
}

#[test]
fn a_connect_that_is_refused_wakes_both_directions() {
    watched(|| {
        let socket = tcp_socket();
        let result = connect(socket.as_fd(), closed_port());
        let mut watch = Watch::on(&socket);
        let event = watch.next();
        assert!(event.starts_with("R W rc wc"), "{event}");
        // The error is reported once: by connect itself, or by the socket afterwards.
        let error = match result {
            Err(e) if e.raw_os_error() != Some(libc::EINPROGRESS) => e,
            _ => {
                assert!(event.ends_with('E'), "{event}");
                TcpStream::from(socket).take_error().unwrap().unwrap()
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    });
}

#[test]
fn a_half_close_by_the_peer_closes_reading_and_not_writing() {
    watched(|| {
        let (mut near, far) = tcp_pair();
        let mut watch = Watch::on(&near);
        assert_eq!(watch.next(), "W");
        far.shutdown(Shutdown::Write).unwrap();
        assert_eq!(watch.next(), "R W rc");
        assert_eq!(near.read(&mut [0; 8]).unwrap(), 0);
        near.write_all(b"still open").unwrap();
        // The full close brings no second edge: a reader must have seen the end before.
        drain(&far);
        drop(far);
        assert_eq!(watch.now(), "");
    });
}

#[test]
fn writing_to_a_closed_peer_brings_a_reset_that_wakes_both_directions() {
    watched(|| {
        let (mut near, far) = tcp_pair();
        let mut watch = Watch::on(&near);
        drop(far);
        watch.until("rc");
        near.write_all(b"x").unwrap();
        assert_eq!(watch.until("wc"), "R W rc wc E");
    });
}

#[test]
fn a_reset_by_the_peer_wakes_both_directions() {
    watched(|| {
        let (mut near, far) = tcp_pair();
        let mut watch = Watch::on(&near);
        assert_eq!(watch.next(), "W");
        linger_zero(&far);
        drop(far);
        assert_eq!(watch.next(), "R W rc wc E");
        assert_eq!(kind(near.read(&mut [0; 8])), io::ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_local_half_close_sets_no_closed_flag_and_the_second_half_sets_both() {
    watched(|| {
        let (near, _far) = tcp_pair();
        let mut watch = Watch::on(&near);
        assert_eq!(watch.next(), "W");
        near.shutdown(Shutdown::Write).unwrap();
        assert_eq!(watch.next(), "W");
        near.shutdown(Shutdown::Read).unwrap();
        assert_eq!(watch.next(), "R W rc wc");
    });
}

#[test]
fn an_out_of_band_byte_is_priority_and_not_readable() {
    watched(|| {
        let (near, far) = tcp_pair();
        let mut watch = Watch::on(&near);
        assert_eq!(watch.next(), "W");
        let byte = [1_u8];
        // SAFETY: the buffer holds the one byte that is sent and outlives the call.
        let sent = unsafe { libc::send(far.as_raw_fd(), byte.as_ptr().cast(), 1, libc::MSG_OOB) };
        assert_eq!(sent, 1);
        assert_eq!(watch.next(), "W P");
        assert_eq!(watch.now(), "");
    });
}

#[test]
fn a_pipe_reports_each_write_even_if_nothing_was_read() {
    watched(|| {
        let (reader, mut writer) = pipe();
        let mut watch = Watch::on(&reader);
        for _ in 0..3 {
            writer.write_all(b"x").unwrap();
            assert_eq!(watch.next(), "R");
            assert_eq!(watch.now(), "");
        }
    });
}

#[test]
fn a_pipe_whose_writer_left_is_readable_with_data_and_without() {
    watched(|| {
        for data in [&b"left over"[..], b""] {
            let (mut reader, mut writer) = pipe();
            let mut watch = Watch::on(&reader);
            writer.write_all(data).unwrap();
            drop(writer);
            let event = watch.next();
            assert!(event.starts_with("R ") && event.contains("rc"), "{event}");
            let mut read = Vec::new();
            reader.read_to_end(&mut read).unwrap();
            assert_eq!(read, data);
        }
    });
}

#[test]
fn a_pipe_whose_reader_left_is_writable_with_space_and_without() {
    watched(|| {
        for full in [false, true] {
            let (reader, mut writer) = pipe();
            let mut watch = Watch::on(&writer);
            assert_eq!(watch.next(), "W");
            if full {
                fill(&writer);
            }
            drop(reader);
            let event = watch.next();
            assert!(event.contains('W') && event.contains('E'), "{event}");
            assert_eq!(kind(writer.write(b"x")), io::ErrorKind::BrokenPipe);
        }
    });
}

#[test]
fn a_unix_stream_reports_half_close_and_close_apart() {
    watched(|| {
        let (near, far) = UnixStream::pair().unwrap();
        let mut watch = Watch::on(&near);
        assert_eq!(watch.next(), "W");
        far.shutdown(Shutdown::Write).unwrap();
        assert_eq!(watch.next(), "R W rc");
        drop(far);
        assert_eq!(watch.next(), "R W rc wc");
    });
}

#[test]
fn an_icmp_error_on_a_udp_socket_wakes_the_reader_and_is_over_when_read() {
    watched(|| {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let nobody = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(nobody.local_addr().unwrap()).unwrap();
        socket.set_nonblocking(true).unwrap();
        drop(nobody);
        let mut watch = Watch::on(&socket);
        assert_eq!(watch.next(), "W");
        socket.send(b"anybody?").unwrap();
        assert_eq!(watch.until("E"), "R W E");
        let refused = kind(socket.recv(&mut [0; 8]));
        assert_eq!(refused, io::ErrorKind::ConnectionRefused);
        assert_eq!(kind(socket.recv(&mut [0; 8])), io::ErrorKind::WouldBlock);
        assert_eq!(watch.now(), "");
    });
}

#[test]
fn an_eventfd_that_nobody_reads_reports_each_write_once() {
    watched(|| {
        // SAFETY: eventfd takes no pointers.
        let fd = support::own(unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) });
        let mut eventfd = File::from(fd);
        let mut watch = Watch::with(&eventfd, Interest::READABLE, Mode::Edge);
        for _ in 0..3 {
            eventfd.write_all(&1_u64.to_ne_bytes()).unwrap();
            assert_eq!(watch.next(), "R");
            assert_eq!(watch.now(), "");
        }
    });
}

#[test]
fn a_pidfd_reports_the_exit_and_tolerates_being_reaped() {
    watched(|| {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        // SAFETY: pidfd_open takes no pointers.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, child.id(), 0) };
        let pidfd = support::own(fd as libc::c_int);
        let mut watch = Watch::on(&pidfd);
        assert_eq!(watch.now(), "", "the child lives");
        drop(child.stdin.take());
        assert!(watch.next().contains('R'));
        assert!(child.wait().unwrap().success());
        // Newer kernels add a hang-up when the child is reaped: still readable, nothing else.
        let after = watch.now();
        assert!(after.is_empty() || after.contains('R'), "{after}");
        assert_eq!(watch.now(), "");
    });
}

#[test]
fn a_pidfd_does_not_take_a_stopped_child_for_a_dead_one() {
    watched(|| {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let id = child.id() as libc::pid_t;
        // SAFETY: pidfd_open takes no pointers.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, id, 0) };
        let pidfd = support::own(fd as libc::c_int);
        let mut watch = Watch::on(&pidfd);
        for (signal, option) in [
            (libc::SIGSTOP, libc::WSTOPPED),
            (libc::SIGCONT, libc::WCONTINUED),
        ] {
            // SAFETY: the child has not been reaped, so the number is its own; the information
            // struct is valid as zeroes and outlives the call, which leaves the child to be waited
            // for again.
            unsafe {
                assert_eq!(libc::kill(id, signal), 0);
                let mut info: libc::siginfo_t = std::mem::zeroed();
                let which = libc::P_PID;
                let waited = libc::waitid(which, id as libc::id_t, &raw mut info, option);
                assert_eq!(waited, 0);
            }
            assert_eq!(watch.now(), "");
        }
        drop(child.stdin.take());
        assert!(watch.next().contains('R'));
        assert!(child.wait().unwrap().success());
    });
}

#[test]
fn oneshot_reports_once_and_modify_reports_what_still_holds() {
    watched(|| {
        for mode in [Mode::Oneshot, Mode::EdgeOneshot] {
            let (reader, mut writer) = pipe();
            let mut watch = Watch::with(&reader, Interest::READABLE, mode);
            writer.write_all(b"x").unwrap();
            assert_eq!(watch.next(), "R");
            writer.write_all(b"y").unwrap();
            assert_eq!(watch.now(), "", "{mode:?} is spent");
            let fd = reader.as_raw_fd();
            watch
                .poller
                .modify(fd, support::T, Interest::READABLE, mode)
                .unwrap();
            assert_eq!(watch.next(), "R");
            assert_eq!(watch.now(), "");
        }
    });
}

#[test]
fn modifying_an_edge_registration_to_what_it_is_reports_what_holds() {
    watched(|| {
        let (reader, mut writer) = pipe();
        let mut watch = Watch::with(&reader, Interest::READABLE, Mode::Edge);
        writer.write_all(b"x").unwrap();
        assert_eq!(watch.next(), "R");
        assert_eq!(watch.now(), "");
        let fd = reader.as_raw_fd();
        watch
            .poller
            .modify(fd, support::T, Interest::READABLE, Mode::Edge)
            .unwrap();
        assert_eq!(watch.next(), "R");
        drain(&reader);
        watch
            .poller
            .modify(fd, support::T, Interest::READABLE, Mode::Edge)
            .unwrap();
        assert_eq!(watch.now(), "");
    });
}

#[test]
fn level_reports_for_as_long_as_the_condition_holds() {
    watched(|| {
        let (reader, mut writer) = pipe();
        let mut watch = Watch::with(&reader, Interest::READABLE, Mode::Level);
        writer.write_all(b"x").unwrap();
        for _ in 0..3 {
            assert_eq!(watch.next(), "R");
        }
        drain(&reader);
        assert_eq!(watch.now(), "");
    });
}

#[test]
fn changing_one_of_two_interests_stays_edge_triggered() {
    watched(|| {
        let (near, mut far) = UnixStream::pair().unwrap();
        let mut watch = Watch::with(&near, Interest::DUPLEX, Mode::Edge);
        assert_eq!(watch.next(), "W");
        let fd = near.as_raw_fd();
        for interest in [Interest::READABLE, Interest::DUPLEX] {
            watch
                .poller
                .modify(fd, support::T, interest, Mode::Edge)
                .unwrap();
            far.write_all(b"x").unwrap();
            watch.until("R");
            assert_eq!(
                watch.now(),
                "",
                "level-triggered after a change to {interest:?}"
            );
        }
    });
}

#[test]
fn a_terminal_whose_other_side_left_gives_all_its_output_and_then_the_end() {
    watched(|| {
        let (mut main, mut other) = (-1, -1);
        let null = std::ptr::null_mut();
        // SAFETY: the first two arguments point to integers that outlive the call; the others may
        // be null.
        let made = unsafe { libc::openpty(&mut main, &mut other, null, null.cast(), null.cast()) };
        support::check(made).unwrap();
        // SAFETY: both descriptors were made just now and nobody else owns them.
        let (main, other) = unsafe { (OwnedFd::from_raw_fd(main), OwnedFd::from_raw_fd(other)) };
        support::set_nonblocking(&main);
        let mut watch = Watch::on(&main);
        let mut other = File::from(other);
        other.write_all(&[b'x'; 3000]).unwrap();
        drop(other);
        let mut main = File::from(main);
        let mut read = 0;
        loop {
            match main.read(&mut [0; 1024]) {
                Ok(0) => break,
                Ok(n) => read += n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    watch.until("R");
                }
                Err(e) => {
                    assert_eq!(e.raw_os_error(), Some(libc::EIO));
                    break;
                }
            }
        }
        assert_eq!(read, 3000);
    });
}
