//! Addresses and ports that no other test uses.
//!
//! Tests run side by side, each in a process of its own. A port that was free a moment ago may be taken before the
//! daemon binds it, when all tests draw from one address. So each process has an address of its own in 127.0.0.0/8,
//! all of which is loopback on Linux, and draws its ports there.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

/// Process ids fit in 22 bits on Linux (`/proc/sys/kernel/pid_max` is at most 4,194,304).
const PID_BITS: u32 = 22;

/// The loopback address that belongs to this process alone: the process id in the lower 24 bits of 127.0.0.0/8, kept
/// clear of 127.0.0.0/10, where people and daemons put what they run by hand.
pub fn own_address() -> Ipv4Addr {
    own_address_number(0)
}

/// One of two more addresses of this process (`number` 1 or 2; 0 is [`own_address`]), for BMCs with an address each.
///
/// # Panics
/// When `number` is past 2: 127.0.0.0/8 has no more room for every process.
pub fn own_address_number(number: u32) -> Ipv4Addr {
    assert!(number <= 2, "a process has the loopback addresses 0, 1 and 2, not {number}");
    address_for(std::process::id(), number)
}

/// 127 in the first octet, then two bits for the address's number plus one, then the process id.
fn address_for(pid: u32, number: u32) -> Ipv4Addr {
    let pid = pid & ((1 << PID_BITS) - 1);
    Ipv4Addr::from(127 << 24 | (number + 1) << PID_BITS | pid)
}

/// A UDP port of [`own_address`] that nobody has bound.
///
/// # Panics
/// When the address cannot be bound at all.
pub fn free_udp() -> SocketAddr {
    let socket = UdpSocket::bind((own_address(), 0)).expect("loopback can be bound");
    socket.local_addr().expect("a bound socket has an address")
}

/// A TCP port of [`own_address`] that nobody has bound.
///
/// # Panics
/// When the address cannot be bound at all.
pub fn free_tcp() -> SocketAddr {
    let listener = TcpListener::bind((own_address(), 0)).expect("loopback can be bound");
    listener.local_addr().expect("a bound socket has an address")
}

/// The first of `count` consecutive ports of [`own_address`] that nobody has bound, neither for UDP nor for TCP.
///
/// # Panics
/// When there is no such run of ports.
pub fn free_run(count: u16) -> u16 {
    const LOWEST: u16 = 10_000;
    const HIGHEST: u16 = 30_000;
    let is_free = |port: u16| {
        UdpSocket::bind((own_address(), port)).is_ok() && TcpListener::bind((own_address(), port)).is_ok()
    };
    (LOWEST..HIGHEST)
        .step_by(usize::from(count.max(1)))
        .find(|first| (*first..first + count).all(is_free))
        .expect("an address of one process has free ports")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_loopback_and_differ_by_process_and_number() {
        let all = [(1, 0), (2, 0), (4_194_303, 0), (1, 1), (4_194_303, 2)]
            .map(|(pid, number)| address_for(pid, number));
        for (index, address) in all.iter().enumerate() {
            assert!(address.is_loopback() && !address.octets().starts_with(&[127, 0]), "{address}");
            assert!(!all[..index].contains(address), "{address} twice");
        }
    }

    #[test]
    fn free_ports_can_be_bound() {
        UdpSocket::bind(free_udp()).unwrap();
        TcpListener::bind(free_tcp()).unwrap();
        let first = free_run(5);
        let bound: Vec<UdpSocket> =
            (first..first + 5).map(|port| UdpSocket::bind((own_address(), port)).unwrap()).collect();
        assert!(!bound.is_empty());
    }

    #[test]
    fn a_taken_port_is_not_free() {
        let first = free_run(1);
        let _taken = UdpSocket::bind((own_address(), first)).unwrap();
        assert_ne!(free_run(1), first);
    }
}
