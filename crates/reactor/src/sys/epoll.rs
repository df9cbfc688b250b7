//! The epoll back end.
//!
//! Invariants:
//! 1. The set's descriptor and the eventfd live as long as the `Selector` and are close-on-exec.
//! 2. The eventfd is registered edge-triggered and never read: each write is an edge of its own, so
//!    a wake is one `write` and the wake-up costs no `read`. Only a counter about to overflow is
//!    read.
//! 3. `epoll_pwait2` is asked for once per process; where it is missing or forbidden, timeouts are
//!    counted in milliseconds, rounded up.
//!
//! # From masks to events
//!
//! A kernel mask says more than one bit at a time, and not always the bit one expects: a pipe whose
//! writer left reports `HUP` alone, one whose reader left `ERR` alone, an ICMP error on a UDP
//! socket `OUT | ERR`. So `HUP` and `ERR` make both directions ready. `HUP` means that both
//! directions are closed, with one exception: a TCP socket that was never connected says `OUT |
//! HUP` without `IN`, and must not be taken for dead.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::OnceLock;
use std::time::Duration;

use libc::{EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLPRI, EPOLLRDHUP};
use weftwork_core::sync::atomic::{AtomicBool, Ordering};

use crate::event::Event;
use crate::interest::{Interest, Mode};
use crate::token::Token;

/// How timeouts are counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Timeouts {
    /// In nanoseconds where the kernel can.
    Best,
    /// In milliseconds, as on a kernel without `epoll_pwait2`.
    Milliseconds,
}

/// The largest number of events one `epoll_wait` accepts.
const MAX_EVENTS: usize = i32::MAX as usize / size_of::<libc::epoll_event>();

/// How the eventfd is registered: each write is an edge.
const WAKE_MASK: u32 = (EPOLLIN | libc::EPOLLET) as u32;

/// One epoll set and the eventfd that wakes it.
#[derive(Debug)]
pub(crate) struct Selector {
    epoll: OwnedFd,
    wake: File,
    /// Set at creation, cleared for good if the kernel starts to refuse `epoll_pwait2`.
    nanosecond: AtomicBool,
}

impl Selector {
    pub(crate) fn new(timeouts: Timeouts) -> io::Result<Selector> {
        let epoll = epoll_create()?;
        let wake = File::from(eventfd()?);
        let nanosecond = timeouts == Timeouts::Best
            && !cfg!(weftwork_force_epoll_ms)
            && has_epoll_pwait2(epoll.as_raw_fd());
        let selector = Selector {
            epoll,
            wake,
            nanosecond: AtomicBool::new(nanosecond),
        };
        let wake = selector.wake.as_raw_fd();
        selector.control(libc::EPOLL_CTL_ADD, wake, WAKE_MASK, Token::RESERVED)?;
        Ok(selector)
    }

    pub(crate) fn add(
        &self,
        fd: RawFd,
        token: Token,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, mask(interest, mode), token)
    }

    pub(crate) fn modify(
        &self,
        fd: RawFd,
        token: Token,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd, mask(interest, mode), token)
    }

    pub(crate) fn delete(&self, fd: RawFd) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_DEL, fd, 0, Token(0))
    }

    fn control(&self, operation: i32, fd: RawFd, events: u32, token: Token) -> io::Result<()> {
        epoll_ctl(self.epoll.as_fd(), operation, fd, events, token)
    }

    pub(crate) fn rebuild(
        &self,
        members: impl Iterator<Item = (RawFd, Token, Interest)>,
        mode: Mode,
    ) -> io::Result<()> {
        let fresh = epoll_create()?;
        let wake = self.wake.as_raw_fd();
        epoll_ctl(
            fresh.as_fd(),
            libc::EPOLL_CTL_ADD,
            wake,
            WAKE_MASK,
            Token::RESERVED,
        )?;
        for (fd, token, interest) in members {
            match epoll_ctl(
                fresh.as_fd(),
                libc::EPOLL_CTL_ADD,
                fd,
                mask(interest, mode),
                token,
            ) {
                // Another descriptor closed too early: nothing comes from it any more.
                Err(e) if matches!(e.raw_os_error(), Some(libc::EBADF | libc::EPERM)) => {}
                result => result?,
            }
        }
        // SAFETY: dup3 takes no pointers. Both numbers are open, and the second one is ours: what
        // it named is closed, what it names now is an epoll set like before.
        check(unsafe { libc::dup3(fresh.as_raw_fd(), self.epoll.as_raw_fd(), libc::O_CLOEXEC) })
            .map(drop)
    }

    pub(crate) fn select(
        &self,
        buffer: &mut Buffer,
        timeout: Option<Duration>,
    ) -> io::Result<usize> {
        buffer.len = 0;
        let nanosecond = self.nanosecond.load(Ordering::Relaxed); // Relaxed: either answer works.
        let found = match timeout {
            Some(limit) if !limit.is_zero() && nanosecond => {
                match epoll_pwait2(self.epoll.as_raw_fd(), &mut buffer.events, limit) {
                    Err(e) if is_refusal(&e) => {
                        self.nanosecond.store(false, Ordering::Relaxed); // Relaxed: as above.
                        epoll_wait(
                            self.epoll.as_raw_fd(),
                            &mut buffer.events,
                            milliseconds(timeout),
                        )
                    }
                    result => result,
                }
            }
            _ => epoll_wait(
                self.epoll.as_raw_fd(),
                &mut buffer.events,
                milliseconds(timeout),
            ),
        }?;
        buffer.len = found;
        Ok(found)
    }

    pub(crate) fn wake(&self) -> io::Result<()> {
        let one = 1_u64.to_ne_bytes();
        loop {
            match (&self.wake).write(&one) {
                Ok(_) => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                // The counter is full after 2^64 - 2 wakes: read it back to zero and write again.
                // Somebody else may do the same at once, so the read may find nothing.
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    match (&self.wake).read(&mut [0; 8]) {
                        Err(e) if e.kind() != io::ErrorKind::WouldBlock => return Err(e),
                        _ => {}
                    }
                }
                Err(e) => return Err(e),
            }
        }
    }

    pub(crate) fn is_nanosecond(&self) -> bool {
        self.nanosecond.load(Ordering::Relaxed) // Relaxed: a report, nothing depends on it.
    }
}

impl AsFd for Selector {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

/// The array that the kernel fills.
pub(crate) struct Buffer {
    events: Box<[libc::epoll_event]>,
    len: usize,
}

impl Buffer {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        let empty = libc::epoll_event { events: 0, u64: 0 };
        Buffer {
            events: vec![empty; capacity.clamp(1, MAX_EVENTS)].into_boxed_slice(),
            len: 0,
        }
    }

    pub(crate) fn capacity(&self) -> usize {
        self.events.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn clear(&mut self) {
        self.len = 0;
    }

    pub(crate) fn get(&self, index: usize) -> Option<Event> {
        let raw = self.events[..self.len].get(index)?;
        Some(event(raw.events as i32, Token(raw.u64)))
    }

    pub(crate) fn take_wake(&mut self) -> bool {
        let filled = &mut self.events[..self.len];
        match filled.iter().position(|e| e.u64 == Token::RESERVED.0) {
            Some(at) => {
                filled.copy_within(at + 1.., at);
                self.len -= 1;
                true
            }
            None => false,
        }
    }
}

/// The epoll mask that asks for `interest` in `mode`.
fn mask(interest: Interest, mode: Mode) -> u32 {
    let conditions = [
        (Interest::READABLE, EPOLLIN),
        (Interest::WRITABLE, EPOLLOUT),
        (Interest::PRIORITY, EPOLLPRI),
        (Interest::READ_CLOSED, EPOLLRDHUP),
    ];
    let mut bits = match mode {
        Mode::Edge => libc::EPOLLET,
        Mode::Level => 0,
        Mode::Oneshot => libc::EPOLLONESHOT,
        Mode::EdgeOneshot => libc::EPOLLET | libc::EPOLLONESHOT,
    };
    for (condition, bit) in conditions {
        if interest.contains(condition) {
            bits |= bit;
        }
    }
    bits as u32
}

/// What a mask means; the module page has the reasons.
fn event(mask: i32, token: Token) -> Event {
    let has = |bit| mask & bit != 0;
    let broken = has(EPOLLHUP) || has(EPOLLERR);
    let never_connected = has(EPOLLOUT) && !has(EPOLLIN) && !has(EPOLLRDHUP);
    let hung_up = has(EPOLLHUP) && !never_connected;
    Event {
        token,
        readable: has(EPOLLIN) || has(EPOLLRDHUP) || broken,
        writable: has(EPOLLOUT) || broken,
        read_closed: has(EPOLLRDHUP) || hung_up,
        write_closed: hung_up,
        error: has(EPOLLERR),
        priority: has(EPOLLPRI),
    }
}

/// A timeout in the form of `epoll_wait`: rounded up to whole milliseconds, at most `i32::MAX`.
fn milliseconds(timeout: Option<Duration>) -> i32 {
    match timeout {
        None => -1,
        Some(limit) => i32::try_from(limit.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX),
    }
}

/// Whether the error says that `epoll_pwait2` is not to be had: an old kernel or a filter.
fn is_refusal(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM))
}

/// Asks the kernel once per process.
fn has_epoll_pwait2(epoll: RawFd) -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| {
        let mut one = [libc::epoll_event { events: 0, u64: 0 }];
        !matches!(epoll_pwait2(epoll, &mut one, Duration::ZERO), Err(e) if is_refusal(&e))
    })
}

/// The kernel's `struct __kernel_timespec`: 64 bits each on every architecture.
#[repr(C)]
struct KernelTimespec {
    seconds: i64,
    nanoseconds: i64,
}

/// The longest timeout handed to the kernel, in seconds: 68 years, far from any overflow in it.
const MAX_SECONDS: u64 = i32::MAX as u64;

fn epoll_pwait2(
    epoll: RawFd,
    events: &mut [libc::epoll_event],
    timeout: Duration,
) -> io::Result<usize> {
    let limit = KernelTimespec {
        seconds: timeout.as_secs().min(MAX_SECONDS) as i64,
        nanoseconds: i64::from(timeout.subsec_nanos()),
    };
    let no_mask = std::ptr::null::<libc::c_void>();
    // SAFETY: epoll_pwait2(epfd, events, maxevents, timeout, sigmask, sigsetsize): `events` points
    // to `events.len()` writable events (`Buffer` and the probe keep that within 1..=MAX_EVENTS)
    // and `limit` to a timespec of the kernel's layout; both outlive the call. The signal mask is
    // null, so none is read.
    let found = unsafe {
        libc::syscall(
            libc::SYS_epoll_pwait2,
            epoll,
            events.as_mut_ptr(),
            events.len() as libc::c_int,
            &raw const limit,
            no_mask,
            0_usize,
        )
    };
    if found < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(found as usize)
    }
}

fn epoll_wait(epoll: RawFd, events: &mut [libc::epoll_event], timeout: i32) -> io::Result<usize> {
    // SAFETY: `events` points to `events.len()` writable events, within 1..=MAX_EVENTS, that
    // outlive the call.
    let found = check(unsafe {
        libc::epoll_wait(
            epoll,
            events.as_mut_ptr(),
            events.len() as libc::c_int,
            timeout,
        )
    })?;
    Ok(found as usize)
}

fn epoll_ctl(
    epoll: BorrowedFd<'_>,
    operation: i32,
    fd: RawFd,
    events: u32,
    token: Token,
) -> io::Result<()> {
    let mut event = libc::epoll_event {
        events,
        u64: token.0,
    };
    // SAFETY: epoll_ctl takes descriptor numbers, which it checks itself, and a pointer to one
    // event that it only reads during the call; `event` lives across it.
    check(unsafe { libc::epoll_ctl(epoll.as_raw_fd(), operation, fd, &raw mut event) }).map(drop)
}

fn epoll_create() -> io::Result<OwnedFd> {
    // SAFETY: epoll_create1 takes no pointers.
    let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
    // SAFETY: the descriptor is open, new, and owned by nobody else; closing it is all it needs.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn eventfd() -> io::Result<OwnedFd> {
    // SAFETY: eventfd takes no pointers.
    let fd = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
    // SAFETY: the descriptor is open, new, and owned by nobody else; closing it is all it needs.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_round_up_and_saturate() {
        assert_eq!(milliseconds(None), -1);
        for (ns, ms) in [(0, 0), (1, 1), (999_999, 1), (1_000_000, 1), (1_000_001, 2)] {
            assert_eq!(milliseconds(Some(Duration::from_nanos(ns))), ms);
        }
        let top = Duration::from_millis(i32::MAX as u64);
        let nano = Duration::from_nanos(1);
        assert_eq!(milliseconds(Some(top - nano)), i32::MAX);
        assert_eq!(milliseconds(Some(top)), i32::MAX);
        assert_eq!(milliseconds(Some(top + nano)), i32::MAX);
        assert_eq!(milliseconds(Some(Duration::MAX)), i32::MAX);
    }

    #[test]
    fn adding_or_dropping_one_interest_keeps_the_trigger_bits() {
        for mode in [Mode::Edge, Mode::EdgeOneshot] {
            for interest in [Interest::READABLE, Interest::WRITABLE, Interest::DUPLEX] {
                assert_ne!(mask(interest, mode) & libc::EPOLLET as u32, 0);
            }
        }
        assert_eq!(mask(Interest::READABLE, Mode::Level), EPOLLIN as u32);
    }

    #[test]
    fn a_socket_never_connected_is_not_reported_closed() {
        let fresh = event(EPOLLOUT | EPOLLHUP, Token(1));
        assert!(!fresh.read_closed && !fresh.write_closed && fresh.writable);
        let dead = event(EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP, Token(1));
        assert!(dead.read_closed && dead.write_closed);
    }

    #[test]
    fn a_full_wake_counter_is_emptied_and_written_again() {
        let selector = Selector::new(Timeouts::Best).expect("selector");
        (&selector.wake)
            .write_all(&(u64::MAX - 1).to_ne_bytes())
            .expect("fill the counter");
        let mut buffer = Buffer::with_capacity(4);
        selector
            .select(&mut buffer, Some(Duration::ZERO))
            .expect("consume that edge");
        assert!(buffer.take_wake());
        selector.wake().expect("a full counter is no error");
        selector
            .select(&mut buffer, Some(Duration::ZERO))
            .expect("select");
        assert!(buffer.take_wake());
    }
}
