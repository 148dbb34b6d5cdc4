//! A range of addresses of which each BMC gets one, written as `127.1.0.0/16`.

use std::net::Ipv4Addr;

/// An IPv4 network in CIDR notation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Pool {
    network: u32,
    prefix: u8,
}

impl Pool {
    /// Reads `ADDRESS/PREFIX`. The address must be the network's own, and the network must have at least two hosts.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/')?;
        let network = u32::from(address.parse::<Ipv4Addr>().ok()?);
        let prefix: u8 = prefix.parse().ok().filter(|prefix| (8..=30).contains(prefix))?;
        (network & (u32::MAX >> prefix) == 0).then_some(Self { network, prefix })
    }

    /// Its addresses in order, without the network's and the broadcast address.
    pub(crate) fn hosts(self) -> impl Iterator<Item = Ipv4Addr> {
        let last = self.network | (u32::MAX >> self.prefix);
        (self.network + 1..last).map(Ipv4Addr::from)
    }

    /// Whether an address is one of [`hosts`](Self::hosts).
    pub(crate) fn contains(self, address: Ipv4Addr) -> bool {
        let host = u32::from(address) & (u32::MAX >> self.prefix);
        u32::from(address) - host == self.network && host != 0 && host != (u32::MAX >> self.prefix)
    }

    /// Whether nobody outside this host can reach any of its addresses.
    pub(crate) fn is_loopback(self) -> bool {
        Ipv4Addr::from(self.network).is_loopback()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_networks_and_nothing_else() {
        let pool = Pool::parse("127.1.0.0/16").unwrap();
        assert!(pool.is_loopback());
        assert_eq!(pool.hosts().next(), Some(Ipv4Addr::new(127, 1, 0, 1)));
        assert_eq!(pool.hosts().count(), 65_534);
        assert!(pool.hosts().all(|host| pool.contains(host)));
        for outside in [[127, 1, 0, 0], [127, 1, 255, 255], [127, 2, 0, 1], [10, 1, 0, 1]] {
            assert!(!pool.contains(outside.into()), "{outside:?}");
        }
        assert!(!Pool::parse("10.0.0.0/8").unwrap().is_loopback());
        assert_eq!(Pool::parse("10.0.0.4/30").unwrap().hosts().count(), 2);
        for wrong in
            ["127.1.0.0", "127.1.0.1/16", "127.1.0.0/33", "127.1.0.0/31", "0.0.0.0/0", "::1/64", "x/16", ""]
        {
            assert_eq!(Pool::parse(wrong), None, "{wrong}");
        }
    }
}
