//! Where a request comes from, as coarsely as guessing has to be counted: who holds one IPv6 address holds a /64 of
//! them, and a /24 of IPv4 is usually one owner.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// The network of a client. Different spellings of one address are one network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Network {
    /// The first 24 bits of an IPv4 address.
    V4([u8; 3]),
    /// The first 64 bits of an IPv6 address.
    V6([u16; 4]),
    /// Nobody knows: all such requests are counted together.
    Unknown,
}

impl Network {
    /// The network an address is in.
    pub(crate) fn of(address: Option<IpAddr>) -> Self {
        match address.map(|address| address.to_canonical()) {
            Some(IpAddr::V4(v4)) => {
                let [a, b, c, _] = v4.octets();
                Self::V4([a, b, c])
            }
            Some(IpAddr::V6(v6)) => {
                let [a, b, c, d, ..] = v6.segments();
                Self::V6([a, b, c, d])
            }
            None => Self::Unknown,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4([a, b, c]) => write!(f, "{a}.{b}.{c}.0/24"),
            Self::V6([a, b, c, d]) => write!(f, "{}/64", Ipv6Addr::new(*a, *b, *c, *d, 0, 0, 0, 0)),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> String {
        Network::of(Some(text.parse().unwrap())).to_string()
    }

    #[test]
    fn spellings_and_neighbours_are_one_network() {
        assert_eq!(network("1.2.3.4"), "1.2.3.0/24");
        assert_eq!(network("::ffff:1.2.3.250"), "1.2.3.0/24");
        assert_eq!(network("2001:DB8:0:1::1"), network("2001:db8:0:1:ffff:ffff:ffff:ffff"));
        assert_ne!(network("2001:db8:0:1::1"), network("2001:db8:0:2::1"));
        assert_eq!(Network::of(None).to_string(), "unknown");
    }
}
