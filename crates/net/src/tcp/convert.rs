//! Conversions from and to descriptors and std's types.
//!
//! Into ours: what the descriptor says about blocking and timeouts is taken over. Out of ours: the registration
//! ends first, then the descriptor leaves, set as its user asked for.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use crate::sys;
use crate::tcp::listener::TcpListener;
use crate::tcp::stream::TcpStream;

/// What a duplicate is needed for, should none be had.
const NO_DUPLICATE: &str =
    "a socket that has clones is converted by duplicating its descriptor, and none was left";

impl From<std::net::TcpStream> for TcpStream {
    /// Takes a std stream over. Its timeouts stay, and if it is non-blocking, it stays so.
    fn from(io: std::net::TcpStream) -> Self {
        let nonblocking = sys::is_nonblocking(io.as_fd()).unwrap_or(false);
        let stream = TcpStream::wrap(io, nonblocking);
        // A descriptor that is no socket has no timeouts; using it will say so.
        let _ = stream.adopt_timeouts();
        stream
    }
}

impl From<TcpStream> for std::net::TcpStream {
    /// Gives the connection to std, with the settings it has. If the stream has clones, a duplicate of the
    /// descriptor is given.
    ///
    /// # Panics
    ///
    /// If a duplicate is needed and the process has no descriptor left for it.
    fn from(stream: TcpStream) -> Self {
        match Arc::try_unwrap(stream.into_inner()) {
            Ok(inner) => inner.source.into_io(),
            Err(shared) => shared.source.io().try_clone().expect(NO_DUPLICATE),
        }
    }
}

impl From<std::net::TcpListener> for TcpListener {
    /// Takes a std listener over. If it is non-blocking, it stays so; otherwise its descriptor is set
    /// `O_NONBLOCK` while it is ours, which duplicates of it see.
    fn from(io: std::net::TcpListener) -> Self {
        let nonblocking = sys::is_nonblocking(io.as_fd()).unwrap_or(false);
        if !nonblocking {
            // A descriptor that cannot be set is no socket; using it will say so.
            let _ = io.set_nonblocking(true);
        }
        TcpListener::wrap(io, nonblocking)
    }
}

impl From<TcpListener> for std::net::TcpListener {
    /// Gives the listener to std, blocking unless [`TcpListener::set_nonblocking`] said otherwise. If it has clones,
    /// a duplicate of the descriptor is given, which stays `O_NONBLOCK` with theirs.
    ///
    /// # Panics
    ///
    /// If a duplicate is needed and the process has no descriptor left for it.
    fn from(listener: TcpListener) -> Self {
        match Arc::try_unwrap(listener.into_inner()) {
            Ok(inner) => {
                let nonblocking = inner.source.is_nonblocking();
                let io = inner.source.into_io();
                let _ = io.set_nonblocking(nonblocking); // As in the other direction.
                io
            }
            Err(shared) => shared.source.io().try_clone().expect(NO_DUPLICATE),
        }
    }
}

/// The conversions that follow from those with std's type.
macro_rules! by_way_of_std {
    ($kind:ident) => {
        impl AsFd for $kind {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.std().as_fd()
            }
        }

        impl AsRawFd for $kind {
            fn as_raw_fd(&self) -> RawFd {
                self.std().as_raw_fd()
            }
        }

        impl From<$kind> for OwnedFd {
            /// As the conversion to std's type.
            ///
            /// # Panics
            ///
            /// As that.
            fn from(socket: $kind) -> OwnedFd {
                std::net::$kind::from(socket).into()
            }
        }

        impl From<OwnedFd> for $kind {
            /// As the conversion from std's type.
            fn from(fd: OwnedFd) -> Self {
                std::net::$kind::from(fd).into()
            }
        }

        impl IntoRawFd for $kind {
            /// As the conversion to std's type.
            ///
            /// # Panics
            ///
            /// As that.
            fn into_raw_fd(self) -> RawFd {
                OwnedFd::from(self).into_raw_fd()
            }
        }

        impl FromRawFd for $kind {
            /// As the conversion from std's type.
            ///
            /// # Safety
            ///
            /// As for [`OwnedFd::from_raw_fd`]: the descriptor is open, and nobody else's.
            unsafe fn from_raw_fd(fd: RawFd) -> Self {
                // SAFETY: the caller's promise is the same.
                unsafe { OwnedFd::from_raw_fd(fd) }.into()
            }
        }
    };
}

by_way_of_std!(TcpStream);
by_way_of_std!(TcpListener);
