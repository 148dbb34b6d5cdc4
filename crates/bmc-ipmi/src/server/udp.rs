//! A UDP socket that tells to which local address a datagram came, and answers from that address.
//!
//! Without it a socket on all addresses answers from the address of the interface that leads back, and a console which asked
//! another address of this host (a second address, another of `127.0.0.0/8`) drops the answer. tokio has no such call; the
//! `*_PKTINFO` options of the system have (RFC 3542 §6.2, ip(7)).

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;

use nix::libc;
use nix::sys::socket::sockopt::{Ipv4PacketInfo, Ipv6RecvPacketInfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg, setsockopt,
};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// A datagram that came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received {
    /// Its length, at most that of the buffer.
    pub(crate) length: usize,
    /// Who sent it.
    pub(crate) peer: SocketAddr,
    /// To which address of this host; `None` when the system does not tell.
    pub(crate) local: Option<IpAddr>,
}

/// The socket.
#[derive(Debug)]
pub(crate) struct Socket(UdpSocket);

impl Socket {
    /// Opens the socket.
    pub(crate) async fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind(address).await?;
        match address {
            SocketAddr::V4(_) => setsockopt(&socket, Ipv4PacketInfo, &true)?,
            SocketAddr::V6(_) => setsockopt(&socket, Ipv6RecvPacketInfo, &true)?,
        }
        Ok(Self(socket))
    }

    /// The address it is bound to.
    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// Waits for a datagram. Can be dropped while it waits without losing one.
    pub(crate) async fn receive(&self, buffer: &mut [u8]) -> io::Result<Received> {
        self.0.async_io(Interest::READABLE, || receive_now(&self.0, buffer)).await
    }

    /// Sends a datagram, from `from` if that is known.
    pub(crate) async fn send(&self, bytes: &[u8], to: SocketAddr, from: Option<IpAddr>) -> io::Result<()> {
        self.0.async_io(Interest::WRITABLE, || send_now(&self.0, bytes, to, from)).await
    }
}

fn receive_now(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<Received> {
    // Room for either kind.
    let mut control = nix::cmsg_space!(libc::in_pktinfo, libc::in6_pktinfo);
    let mut parts = [IoSliceMut::new(buffer)];
    let message =
        recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::empty())?;
    let peer = message.address.as_ref().and_then(socket_addr);
    let peer =
        peer.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a datagram without a sender"))?;
    let local = message.cmsgs()?.find_map(|control| match control {
        // The address that answers have, which for a broadcast is not the one that was asked.
        ControlMessageOwned::Ipv4PacketInfo(info) => {
            Some(Ipv4Addr::from(u32::from_be(info.ipi_spec_dst.s_addr)).into())
        }
        ControlMessageOwned::Ipv6PacketInfo(info) => {
            let asked = Ipv6Addr::from(info.ipi6_addr.s6_addr);
            (!asked.is_multicast()).then_some(asked.into())
        }
        _ => None,
    });
    Ok(Received { length: message.bytes, peer, local })
}

fn send_now(socket: &UdpSocket, bytes: &[u8], to: SocketAddr, from: Option<IpAddr>) -> io::Result<()> {
    let info4;
    let info6;
    let control = match from {
        Some(IpAddr::V4(from)) => {
            let ipi_spec_dst = libc::in_addr { s_addr: u32::from(from).to_be() };
            info4 = libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst, ipi_addr: libc::in_addr { s_addr: 0 } };
            Some(ControlMessage::Ipv4PacketInfo(&info4))
        }
        Some(IpAddr::V6(from)) => {
            let ipi6_addr = libc::in6_addr { s6_addr: from.octets() };
            info6 = libc::in6_pktinfo { ipi6_ifindex: 0, ipi6_addr };
            Some(ControlMessage::Ipv6PacketInfo(&info6))
        }
        None => None,
    };
    let parts = [IoSlice::new(bytes)];
    let to = match (socket.local_addr()?, to) {
        // Alerts go to IPv4 addresses alone.
        (SocketAddr::V6(_), SocketAddr::V4(to)) => SocketAddr::from((to.ip().to_ipv6_mapped(), to.port())),
        _ => to,
    };
    let to = SockaddrStorage::from(to);
    sendmsg(socket.as_raw_fd(), &parts, control.as_slice(), MsgFlags::empty(), Some(&to))?;
    Ok(())
}

fn socket_addr(address: &SockaddrStorage) -> Option<SocketAddr> {
    match (address.as_sockaddr_in(), address.as_sockaddr_in6()) {
        (Some(v4), _) => Some(SocketAddr::from((v4.ip(), v4.port()))),
        (_, Some(v6)) => Some(SocketAddr::V6((*v6).into())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn answers_leave_from_the_address_that_was_asked() {
        for (bound, asked) in [
            ("0.0.0.0:0", "127.0.0.1"),
            ("0.0.0.0:0", "127.77.0.7"),
            ("127.77.0.8:0", "127.77.0.8"),
            ("[::]:0", "::1"),
            ("[::]:0", "127.77.0.9"),
        ] {
            let server = Socket::bind(bound.parse().unwrap()).await.unwrap();
            let asked: IpAddr = asked.parse().unwrap();
            let to = SocketAddr::new(asked, server.local_addr().unwrap().port());
            let here = if asked.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
            let client = UdpSocket::bind(here).await.unwrap();
            // From now on the client hears nobody else.
            client.connect(to).await.unwrap();
            client.send(b"who?").await.unwrap();
            let mut buffer = [0; 16];
            let received = server.receive(&mut buffer).await.unwrap();
            assert_eq!(received.local.map(|local| local.to_canonical()), Some(asked), "{bound}");
            assert_eq!(&buffer[..received.length], b"who?");
            server.send(b"me", received.peer, received.local).await.unwrap();
            let answer = tokio::time::timeout(std::time::Duration::from_secs(10), client.recv(&mut buffer));
            assert_eq!(answer.await.unwrap().unwrap(), 2, "{bound} asked at {asked}");
        }
    }
}
