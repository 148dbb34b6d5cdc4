//! Which endpoint belongs to whom, and the next free one for who has none.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::config::{Places, Pool};

/// The two kinds of ports; the same number may be used once as each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// UDP.
    Ipmi,
    /// TCP.
    Redfish,
}

impl Kind {
    /// The name in the configuration and on the command line.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Ipmi => "ipmi",
            Self::Redfish => "redfish",
        }
    }

    fn first_port(self, places: &Places) -> u16 {
        match self {
            Self::Ipmi => places.ipmi_port,
            Self::Redfish => places.redfish_port,
        }
    }
}

/// Endpoints in use or spoken for.
#[derive(Debug, Default)]
pub(super) struct Ports {
    owners: HashMap<(Kind, SocketAddr), Arc<str>>,
    /// Where the search for the next free port goes on, so that ten thousand BMCs are not a square of that.
    next_port: HashMap<(Kind, IpAddr, u16), u16>,
    next_host: HashMap<Pool, usize>,
}

impl Ports {
    /// Speaks for an endpoint.
    ///
    /// # Errors
    /// Whose it is already.
    pub(super) fn take(&mut self, kind: Kind, address: SocketAddr, owner: &str) -> Result<(), Arc<str>> {
        match self.owners.get(&(kind, address)) {
            Some(other) if **other != *owner => Err(Arc::clone(other)),
            Some(_) => Ok(()),
            None => {
                self.owners.insert((kind, address), owner.into());
                Ok(())
            }
        }
    }

    /// Gives an endpoint back, if it is this owner's.
    pub(super) fn release(&mut self, kind: Kind, address: SocketAddr, owner: &str) {
        if self.owners.get(&(kind, address)).is_some_and(|of| **of == *owner) {
            self.owners.remove(&(kind, address));
            self.next_port.clear();
            self.next_host.clear();
        }
    }

    /// Speaks for the next free endpoint. With a pool, an address at which the other kind is free too or belongs to the same owner.
    pub(super) fn next(
        &mut self,
        kind: Kind,
        places: &Places,
        beside: Option<IpAddr>,
        owner: &str,
    ) -> Option<SocketAddr> {
        let first = kind.first_port(places);
        let found = match (&places.pool, beside) {
            // One BMC, one address: its second endpoint joins the first.
            (Some(_), Some(beside)) => {
                let address = SocketAddr::new(beside, first);
                (!self.owners.contains_key(&(kind, address))).then_some(address)
            }
            (Some(pool), None) => self.next_of_pool(kind, pool.value, places),
            (None, _) => self.next_of_address(kind, places.address.value, first),
        };
        if let Some(address) = found {
            self.owners.insert((kind, address), owner.into());
        }
        found
    }

    fn next_of_address(&mut self, kind: Kind, address: IpAddr, first: u16) -> Option<SocketAddr> {
        let start = self.next_port.get(&(kind, address, first)).copied().unwrap_or(first);
        let mut free = (start..=u16::MAX).map(|port| SocketAddr::new(address, port));
        let found = free.find(|endpoint| !self.owners.contains_key(&(kind, *endpoint)))?;
        self.next_port.insert((kind, address, first), found.port());
        Some(found)
    }

    fn next_of_pool(&mut self, kind: Kind, pool: Pool, places: &Places) -> Option<SocketAddr> {
        let start = self.next_host.get(&pool).copied().unwrap_or(0);
        let free = |host: IpAddr, kind: Kind| {
            !self.owners.contains_key(&(kind, SocketAddr::new(host, kind.first_port(places))))
        };
        let mut hosts = pool.hosts().map(IpAddr::V4).enumerate().skip(start);
        let (nth, host) = hosts.find(|(_, host)| free(*host, Kind::Ipmi) && free(*host, Kind::Redfish))?;
        self.next_host.insert(pool, nth);
        Some(SocketAddr::new(host, kind.first_port(places)))
    }

    /// Whether an endpoint that was once allocated is one that would be allocated today.
    pub(super) fn fits(kind: Kind, address: SocketAddr, places: &Places) -> bool {
        match &places.pool {
            Some(pool) => {
                let in_pool = matches!(address.ip(), IpAddr::V4(ip) if pool.value.contains(ip));
                in_pool && address.port() == kind.first_port(places)
            }
            None => address.ip() == places.address.value && address.port() >= kind.first_port(places),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Located;

    fn pooled(text: &str) -> Places {
        let pool = Pool::parse(text).unwrap();
        Places {
            pool: Some(Located { value: pool, line: 1 }),
            ipmi_port: 623,
            redfish_port: 443,
            ..Places::default()
        }
    }

    #[test]
    fn the_next_free_one_skips_what_is_spoken_for_and_comes_back_when_released() {
        let mut ports = Ports::default();
        let places = Places::default();
        let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        assert_eq!(ports.take(Kind::Ipmi, at(6231), "b"), Ok(()));
        assert_eq!(ports.next(Kind::Ipmi, &places, None, "a"), Some(at(6230)));
        assert_eq!(ports.next(Kind::Ipmi, &places, None, "c"), Some(at(6232)));
        assert_eq!(ports.next(Kind::Redfish, &places, None, "c"), Some(at(8100)));
        assert_eq!(ports.take(Kind::Ipmi, at(6231), "a").unwrap_err().as_ref(), "b");
        ports.release(Kind::Ipmi, at(6230), "c");
        assert_eq!(
            ports.take(Kind::Ipmi, at(6230), "c").unwrap_err().as_ref(),
            "a",
            "only its owner gives it back"
        );
        ports.release(Kind::Ipmi, at(6230), "a");
        assert_eq!(ports.next(Kind::Ipmi, &places, None, "d"), Some(at(6230)));
    }

    #[test]
    fn a_pool_gives_each_bmc_one_address() {
        let mut ports = Ports::default();
        let places = pooled("127.1.0.0/30");
        let at = |last: u8, port: u16| SocketAddr::from(([127, 1, 0, last], port));
        ports.take(Kind::Redfish, at(1, 443), "other").unwrap();
        let ipmi = ports.next(Kind::Ipmi, &places, None, "a").unwrap();
        assert_eq!(ipmi, at(2, 623), "an address of which a port is somebody else's is passed over");
        assert_eq!(ports.next(Kind::Redfish, &places, Some(ipmi.ip()), "a"), Some(at(2, 443)));
        assert_eq!(ports.next(Kind::Ipmi, &places, None, "b"), None, "the pool is used up");
    }

    #[test]
    fn ports_end() {
        let mut ports = Ports::default();
        let places = Places { ipmi_port: u16::MAX, ..Places::default() };
        assert!(ports.next(Kind::Ipmi, &places, None, "a").is_some());
        assert_eq!(ports.next(Kind::Ipmi, &places, None, "b"), None);
    }

    #[test]
    fn an_endpoint_of_old_fits_or_does_not() {
        let places = Places::default();
        assert!(Ports::fits(Kind::Ipmi, "127.0.0.1:7000".parse().unwrap(), &places));
        assert!(!Ports::fits(Kind::Ipmi, "127.0.0.2:7000".parse().unwrap(), &places));
        assert!(!Ports::fits(Kind::Redfish, "127.0.0.1:7000".parse().unwrap(), &places));
        assert!(Ports::fits(Kind::Redfish, "127.1.0.9:443".parse().unwrap(), &pooled("127.1.0.0/16")));
        assert!(!Ports::fits(Kind::Redfish, "127.2.0.9:443".parse().unwrap(), &pooled("127.1.0.0/16")));
    }
}
