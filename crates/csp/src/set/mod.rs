//! Receiving from thousands of channels of one message type.
//!
//! A select looks at each of its arms, and queues at each, every time. A [`ReceiverSet`] queues once:
//! each of its entries waits in its channel, with a waker of its own that puts the entry on a list of
//! those that may be ready, and only these are looked at. A message costs the same whether there are two
//! channels or two thousand.
//!
//! ```
//! use weftwork_csp::set::ReceiverSet;
//! use weftwork_csp::unbounded;
//!
//! let mut set = ReceiverSet::new();
//! let (s1, r1) = unbounded();
//! let (s2, r2) = unbounded();
//! let (one, two) = (set.insert(r1), set.insert(r2));
//!
//! s2.send("b").unwrap();
//! assert_eq!(set.recv(), Some((two, Ok("b"))));
//! s1.send("a").unwrap();
//! drop((s1, s2));
//! let mut rest: Vec<_> = std::iter::from_fn(|| set.recv()).collect();
//! rest.sort_by_key(|(key, received)| (*key, received.is_err()));
//! assert_eq!(rest.len(), 3);
//! assert_eq!(rest[0], (one, Ok("a")));
//! assert!(rest[1].1.is_err() && rest[2].1.is_err());
//! ```

mod ready;
mod receivers;

pub use receivers::{Key, NextFuture, Received, ReceiverSet};
