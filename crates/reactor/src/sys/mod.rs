//! The back end: one operating system's way to wait for many file descriptors.
//!
//! Everything above this module is portable. A back end provides, under these names:
//!
//! - `Selector`, `Send + Sync`, every method on `&self` and callable from any thread at any time:
//!   - `new(Timeouts) -> io::Result<Selector>`: the kernel's set and its wake descriptor, both
//!     close-on-exec, the latter registered as [`Token::RESERVED`](crate::Token::RESERVED);
//!   - `add(fd, token, interest, mode)`: `AlreadyExists` if `fd` is in the set, even where the
//!     kernel would accept it in silence; an error leaves the set as it was;
//!   - `modify(fd, token, interest, mode)`: `NotFound` if it is not; re-reports a condition that
//!     already holds, in every mode, which makes it usable as a kick;
//!   - `delete(fd)`: `NotFound` if it is not. When it returns, no wait that starts later reports
//!     the registration (one under way may);
//!   - `select(&mut Buffer, Option<Duration>)`: fills the buffer with what is ready. `Some(ZERO)`
//!     never blocks, `None` has no limit, anything between is rounded up to what the kernel can
//!     count and may be cut short to what it can represent: the caller compares with its clock. A
//!     signal ends it with `Interrupted`. Concurrent calls are allowed; an edge goes to one of
//!     them;
//!   - `wake()`: makes one `select` that blocks now, or the next one, report `RESERVED` once. It
//!     gives no memory ordering: that is the wake word's;
//!   - `rebuild(members, mode)`: replaces the kernel's set, under the same descriptor number, by
//!     one of the given members and the wake descriptor. Needed where a descriptor can outlive its
//!     number in the set (epoll); elsewhere it has nothing to do;
//!   - `as_fd()`: a descriptor that is readable when the set has events, if the kernel has one;
//!   - `is_nanosecond()`: whether timeouts between milliseconds are honoured.
//! - `Buffer`: `with_capacity` (at least one), `capacity`, `len`, `clear`, `get(i) ->
//!   Option<Event>`, and `take_wake() -> bool`, which removes the wake event and keeps the order of
//!   the rest. Where the kernel reports directions apart, several events of one token are fine. The
//!   meaning of each flag is that of [`Event`](crate::Event); a hang-up or an error makes both
//!   directions ready.
//! - `ForkStamp`: tells that this process is a child of the one that made the reactor.
//! - `Timeouts`: which of the kernel's ways to count time to use.
//!
//! `docs/design/reactor.md` has the table of what each kernel state must be reported as; the tests
//! in `tests/` run against whichever back end is compiled in.

mod epoll;
mod fork;

pub(crate) use epoll::{Buffer, Selector, Timeouts};
pub(crate) use fork::ForkStamp;
