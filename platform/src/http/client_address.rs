//! Where a request comes from: the other end of the socket, unless that is a proxy the operator listed.
//!
//! Behind listed proxies the address is the rightmost one in the header that those proxies write, `X-Forwarded-For` or
//! `Forwarded` (RFC 7239), that is not a listed proxy itself; whatever stands left of it was written by somebody unknown.
//! The other header may have been passed through from anybody and is not looked at. What can't be read counts as not
//! said, and is never an error: then it is the proxy's own address. Left out: every other forwarded header. Hosts,
//! schemes and names come from the settings.

use std::net::{IpAddr, Ipv6Addr};

use actix_web::http::header::{HeaderMap, HeaderName};
use actix_web::{HttpRequest, web};
use serde::Deserialize;

/// More proxies in a row than anybody has.
const MOST_HOPS: usize = 32;

/// A `Forwarded` header is read as a whole; a longer one isn't.
const MOST_BYTES: usize = 8 * 1024;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED: HeaderName = HeaderName::from_static("forwarded");

/// The networks of the proxies whose word counts, and where they write it. Give it to the application as `web::Data`;
/// without it no header counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    networks: Vec<Network>,
    header: ForwardedHeader,
}

/// The header in which proxies tell from whom a request came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    prefix: u32,
}

impl Proxies {
    /// Reads networks such as `10.0.0.0/8`, `fd00::/8` or `192.0.2.1`, of proxies that write this header.
    ///
    /// # Errors
    /// The first text that is no network, or one that holds everybody.
    pub fn parse<'a>(
        networks: impl IntoIterator<Item = &'a str>,
        header: ForwardedHeader,
    ) -> Result<Self, String> {
        let networks = networks.into_iter().map(|text| Network::parse(text).ok_or_else(|| text.to_owned()));
        Ok(Self { networks: networks.collect::<Result<_, _>>()?, header })
    }

    fn holds(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.holds(address))
    }

    /// The client, told by the peer and by the headers it sent.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if !self.holds(peer) {
            return peer;
        }
        let told = match self.header {
            ForwardedHeader::XForwardedFor => self.in_list(headers),
            ForwardedHeader::Forwarded => self.in_forwarded(headers),
        };
        told.unwrap_or(peer)
    }

    /// What `X-Forwarded-For` says.
    fn in_list(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let lines: Vec<&[u8]> = headers.get_all(X_FORWARDED_FOR).map(|line| line.as_bytes()).collect();
        let entries = lines.into_iter().rev().flat_map(|line| line.rsplit(|byte| *byte == b','));
        self.first_unknown(entries.map(|entry| std::str::from_utf8(entry).ok().and_then(node)))
    }

    /// What `Forwarded` says.
    fn in_forwarded(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let lines: Option<Vec<&str>> = headers.get_all(FORWARDED).map(|line| line.to_str().ok()).collect();
        let text = lines?.join(",");
        let elements = (text.len() <= MOST_BYTES).then(|| outside_quotes(&text, ',')).flatten()?;
        self.first_unknown(elements.into_iter().rev().map(forwarded_for))
    }

    /// The first address, from the right, that is not a listed proxy; the last one when all are.
    fn first_unknown(&self, hops: impl Iterator<Item = Option<IpAddr>>) -> Option<IpAddr> {
        let mut last = None;
        for (number, hop) in hops.enumerate() {
            let address = hop.filter(|_| number < MOST_HOPS)?;
            last = Some(address);
            if !self.holds(address) {
                break;
            }
        }
        last
    }
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) => prefix.parse().ok().filter(|prefix| (1..=bits).contains(prefix))?,
            None => bits,
        };
        Some(Self { address, prefix })
    }

    fn holds(self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                (network.to_bits() ^ address.to_bits()).leading_zeros() >= self.prefix
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                (network.to_bits() ^ address.to_bits()).leading_zeros() >= self.prefix
            }
            _ => false,
        }
    }
}

/// The address of the client. An IPv4 address that came in through IPv6 is written as IPv4.
pub(super) fn client_address(request: &HttpRequest) -> Option<IpAddr> {
    let peer = request.peer_addr()?.ip().to_canonical();
    let proxies = request.app_data::<web::Data<Proxies>>();
    Some(proxies.map_or(peer, |proxies| proxies.client(peer, request.headers())))
}

/// Whom an address stands for when it is counted: the owner of an IPv6 address has 2^64 of them.
pub(super) fn counted(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        address @ IpAddr::V4(_) => address,
    }
}

/// An address with or without a port; names and obfuscated nodes (RFC 7239 section 6.3) are no addresses.
fn node(text: &str) -> Option<IpAddr> {
    let text = text.trim_matches([' ', '\t']);
    let is_port =
        |port: &str| (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit());
    let address: IpAddr = if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        let good = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        IpAddr::V6(address.parse().ok().filter(|_| good)?)
    } else if let Ok(address) = text.parse() {
        address
    } else {
        let (address, port) = text.split_once(':')?;
        IpAddr::V4(address.parse().ok().filter(|_| is_port(port))?)
    };
    Some(address.to_canonical())
}

/// The `for` of one element (RFC 7239 section 4).
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let pairs = outside_quotes(element, ';')?;
    let mut named = pairs
        .into_iter()
        .filter_map(|pair| pair.split_once('='))
        .filter(|(name, _)| name.trim_matches([' ', '\t']).eq_ignore_ascii_case("for"))
        .map(|(_, value)| value.trim_matches([' ', '\t']));
    let (value, second) = (named.next()?, named.next());
    let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    node(quoted.unwrap_or(value)).filter(|_| second.is_none())
}

/// The parts between separators that don't stand in a quoted string; none when a quote is left open.
fn outside_quotes(text: &str, separator: char) -> Option<Vec<&str>> {
    let (mut quoted, mut escaped) = (false, false);
    let parts = text.split(|character: char| {
        let was_escaped = escaped;
        escaped = quoted && !was_escaped && character == '\\';
        quoted ^= character == '"' && !was_escaped;
        character == separator && !quoted
    });
    let parts = parts.collect();
    (!quoted).then_some(parts)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;
    use proptest::prelude::*;

    /// Whose request it is, to proxies that write the first of these headers.
    fn client(peer: &str, headers: &[(HeaderName, &str)]) -> String {
        let header = match headers.first() {
            Some((name, _)) if *name == FORWARDED => ForwardedHeader::Forwarded,
            _ => ForwardedHeader::XForwardedFor,
        };
        let proxies = Proxies::parse(["10.0.0.0/8", "fd00::/8", "192.0.2.1"], header).unwrap();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.clone(), HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        proxies.client(peer.parse::<IpAddr>().unwrap().to_canonical(), &map).to_string()
    }

    #[test]
    fn the_rightmost_that_is_no_proxy_is_the_client() {
        for (list, expected) in [
            ("203.0.113.7", "203.0.113.7"),
            ("6.6.6.6, 203.0.113.7", "203.0.113.7"),
            ("6.6.6.6,203.0.113.7 , 10.2.3.4,192.0.2.1", "203.0.113.7"),
            ("garbage, 203.0.113.7", "203.0.113.7"),
            ("203.0.113.7:4711", "203.0.113.7"),
            ("2001:DB8:0:0::7", "2001:db8::7"),
            ("[2001:db8::7]:4711", "2001:db8::7"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("10.9.9.9, 10.8.8.8", "10.9.9.9"),
        ] {
            assert_eq!(client("10.0.0.1", &[(X_FORWARDED_FOR, list)]), expected, "{list}");
        }
        let lines = [(X_FORWARDED_FOR, "203.0.113.7"), (X_FORWARDED_FOR, "10.1.1.1")];
        assert_eq!(client("::ffff:10.0.0.1", &lines), "203.0.113.7");
    }

    #[test]
    fn what_cannot_be_read_counts_as_not_said() {
        let long = format!("6.6.6.6, {}", "x".repeat(10_000));
        let hops = vec!["10.0.0.2"; 100].join(",");
        let bad = [
            "",
            ",",
            "garbage",
            "1.2.3.4, x",
            "1.2.3.4,",
            "1.2.3.4.5",
            "unknown",
            "1.2.3.4:",
            "[1.2.3.4]",
            &long,
            &hops,
        ];
        for list in bad {
            assert_eq!(client("10.0.0.1", &[(X_FORWARDED_FOR, list)]), "10.0.0.1", "{list}");
        }
        let long = format!("for=6.6.6.6;host={}", "x".repeat(10_000));
        for header in [
            "",
            "for",
            "for=",
            "for=_hidden",
            "for=unknown",
            "by=203.0.113.7",
            "for=\"203.0.113.7",
            "for=1.1.1.1;for=2.2.2.2",
            "for=\"a, for=203.0.113.7",
            &long,
        ] {
            assert_eq!(client("10.0.0.1", &[(FORWARDED, header)]), "10.0.0.1", "{header}");
        }
    }

    #[test]
    fn forwarded_says_the_same_in_its_own_words() {
        for header in [
            "for=203.0.113.7",
            "For=6.6.6.6;proto=http, FOR=\"203.0.113.7:4711\";by=10.0.0.9;host=\"a,b;c\\\"d\"",
            "for=203.0.113.7, for=\"[fd00::1]:80\"",
        ] {
            assert_eq!(client("fd00::5", &[(FORWARDED, header)]), "203.0.113.7", "{header}");
        }
        assert_eq!(client("10.0.0.1", &[(FORWARDED, "for=\"[2001:db8::7]\"")]), "2001:db8::7");
    }

    #[test]
    fn only_a_listed_peer_is_believed_and_only_in_the_header_that_proxies_write() {
        assert_eq!(client("198.51.100.1", &[(X_FORWARDED_FOR, "203.0.113.7")]), "198.51.100.1");
        for other in ["for=6.6.6.6", "for=x", ""] {
            let both = [(X_FORWARDED_FOR, "203.0.113.7"), (FORWARDED, other)];
            assert_eq!(client("10.0.0.1", &both), "203.0.113.7", "{other}");
        }
        let both = [(FORWARDED, "for=203.0.113.7"), (X_FORWARDED_FOR, "6.6.6.6")];
        assert_eq!(client("10.0.0.1", &both), "203.0.113.7");
    }

    #[test]
    fn what_is_no_network_or_everybody_is_no_list_of_proxies() {
        for bad in ["", "proxy", "10.0.0.0/33", "10.0.0.0/0", "::/0", "10.0.0.0/", "10.0.0/8", "::1/129"] {
            assert_eq!(Proxies::parse([bad], ForwardedHeader::default()), Err(bad.to_owned()));
        }
    }

    #[test]
    fn all_addresses_of_one_line_are_counted_as_one() {
        let counted = |text: &str| counted(text.parse().unwrap()).to_string();
        assert_eq!(counted("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(counted("2001:db8:1:2:ffff::"), "2001:db8:1:2::");
        assert_eq!(counted("192.0.2.1"), "192.0.2.1");
    }

    proptest! {
        #[test]
        fn nothing_left_of_the_client_counts(left in "[ -~]{0,60}", hops in 0..3_usize, other in proptest::collection::vec(any::<u8>(), 0..60)) {
            let proxies = ", 10.0.0.9".repeat(hops);
            let list = format!("{left}, 203.0.113.7{proxies}");
            prop_assert_eq!(client("10.0.0.1", &[(X_FORWARDED_FOR, &list)]), "203.0.113.7");
            let quoted = left.replace(['"', '\\'], "");
            let forwarded = format!("for={quoted}, for=203.0.113.7{}", proxies.replace(", ", ", for="));
            prop_assert_eq!(client("10.0.0.1", &[(FORWARDED, &forwarded)]), "203.0.113.7");
            prop_assert_eq!(client("203.0.113.9", &[(X_FORWARDED_FOR, &list), (FORWARDED, &forwarded)]), "203.0.113.9");
            let Ok(value) = HeaderValue::from_bytes(&other) else { return Ok(()) };
            for (name, header) in [
                (X_FORWARDED_FOR, ForwardedHeader::XForwardedFor),
                (FORWARDED, ForwardedHeader::Forwarded),
            ] {
                let mut map = HeaderMap::new();
                map.append(name, value.clone());
                let proxies = Proxies::parse(["10.0.0.0/8"], header).unwrap();
                let told = proxies.client("10.0.0.1".parse().unwrap(), &map);
                prop_assert!(told.to_canonical() == told);
            }
        }
    }
}
