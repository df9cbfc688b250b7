//! Internet addresses in the form that system calls take and give.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// Room for an address of any family, and how much of it is in use.
pub(crate) struct Address {
    storage: libc::sockaddr_storage,
    length: libc::socklen_t,
}

impl Address {
    /// Room to be filled by a system call.
    pub(crate) fn empty() -> Self {
        Address {
            // SAFETY: `sockaddr_storage` is a struct of integers, for which zero is a value.
            storage: unsafe { std::mem::zeroed() },
            length: size_of::<libc::sockaddr_storage>() as libc::socklen_t,
        }
    }

    pub(crate) fn as_raw(&self) -> (*const libc::sockaddr, libc::socklen_t) {
        ((&raw const self.storage).cast(), self.length)
    }

    pub(crate) fn as_raw_mut(&mut self) -> (*mut libc::sockaddr, &mut libc::socklen_t) {
        ((&raw mut self.storage).cast(), &mut self.length)
    }

    /// Reads what a system call wrote.
    pub(crate) fn to_socket_addr(&self) -> io::Result<SocketAddr> {
        match libc::c_int::from(self.storage.ss_family) {
            libc::AF_INET => {
                // SAFETY: the storage is large enough for any address and aligned for it, all bytes
                // are initialised, and the family says that it is this kind of address.
                let v4 = unsafe { &*(&raw const self.storage).cast::<libc::sockaddr_in>() };
                Ok(SocketAddr::V4(SocketAddrV4::new(
                    Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr)),
                    u16::from_be(v4.sin_port),
                )))
            }
            libc::AF_INET6 => {
                // SAFETY: as above.
                let v6 = unsafe { &*(&raw const self.storage).cast::<libc::sockaddr_in6>() };
                Ok(SocketAddr::V6(SocketAddrV6::new(
                    Ipv6Addr::from(v6.sin6_addr.s6_addr),
                    u16::from_be(v6.sin6_port),
                    v6.sin6_flowinfo,
                    v6.sin6_scope_id,
                )))
            }
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the socket is not of an internet family",
            )),
        }
    }
}

impl From<&SocketAddr> for Address {
    fn from(address: &SocketAddr) -> Self {
        let mut raw = Address::empty();
        match address {
            SocketAddr::V4(v4) => {
                // SAFETY: the storage is large enough for any address and aligned for it, and no other
                // reference to it exists.
                let out = unsafe { &mut *(&raw mut raw.storage).cast::<libc::sockaddr_in>() };
                out.sin_family = libc::AF_INET as libc::sa_family_t;
                out.sin_port = v4.port().to_be();
                out.sin_addr.s_addr = u32::from(*v4.ip()).to_be();
                raw.length = size_of::<libc::sockaddr_in>() as libc::socklen_t;
            }
            SocketAddr::V6(v6) => {
                // SAFETY: as above.
                let out = unsafe { &mut *(&raw mut raw.storage).cast::<libc::sockaddr_in6>() };
                out.sin6_family = libc::AF_INET6 as libc::sa_family_t;
                out.sin6_port = v6.port().to_be();
                out.sin6_flowinfo = v6.flowinfo();
                out.sin6_addr.s6_addr = v6.ip().octets();
                out.sin6_scope_id = v6.scope_id();
                raw.length = size_of::<libc::sockaddr_in6>() as libc::socklen_t;
            }
        }
        raw
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_the_way_to_the_kernel_form_and_back() {
        for text in [
            "127.0.0.1:80",
            "255.1.2.3:65535",
            "[::1]:1",
            "[fe80::1%7]:443",
        ] {
            let address: SocketAddr = text.parse().expect("a valid address");
            let back = Address::from(&address).to_socket_addr();
            assert_eq!(back.expect("an internet address"), address);
        }
        let flow = SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::LOCALHOST, 9, 0x12345, 3));
        let back = Address::from(&flow).to_socket_addr();
        assert_eq!(back.expect("an internet address"), flow);
    }

    #[test]
    fn an_address_of_another_family_is_refused() {
        let error = Address::empty().to_socket_addr().expect_err("no family");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}
