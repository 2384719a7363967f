//! Whom a proxy speaks for: `Forwarded` (RFC 7239) and `X-Forwarded-For`, believed from listed addresses only.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use axum::http::{HeaderMap, header};

/// Proxies in a row that are looked through, at most.
const MAX_HOPS: usize = 32;

/// An address, or a network such as `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Net {
    address: IpAddr,
    bits: u32,
}

/// The text is no address and no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not an address and not a network such as 10.0.0.0/8")]
pub struct NetError;

impl Net {
    /// Whether an address lies in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - self.bits).unwrap_or(0);
                net.to_bits() & mask == address.to_bits() & mask
            }
            (IpAddr::V6(net), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - self.bits).unwrap_or(0);
                net.to_bits() & mask == address.to_bits() & mask
            }
            _ => false,
        }
    }
}

impl FromStr for Net {
    type Err = NetError;

    fn from_str(text: &str) -> Result<Self, NetError> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NetError)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), |bits| bits.parse().map_err(|_| NetError))?;
        if bits > most { Err(NetError) } else { Ok(Self { address, bits }) }
    }
}

impl fmt::Display for Net {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.address, self.bits)
    }
}

/// Whether `address` is one of the listed proxies.
pub(crate) fn is_trusted(trusted: &[Net], address: IpAddr) -> bool {
    trusted.iter().any(|net| net.contains(address))
}

/// Who really asks: going back from the peer, the first address that is no trusted proxy. What cannot be read ends the way
/// back, so a forged entry is never taken for a later one.
pub(crate) fn real_address(trusted: &[Net], peer: SocketAddr, headers: &HeaderMap) -> IpAddr {
    let mut last = peer.ip().to_canonical();
    if !is_trusted(trusted, last) {
        return last;
    }
    // The standard's header is asked when it is there; mixing both would let a client add to the one its proxy does not write.
    let hops = if headers.contains_key(header::FORWARDED) { forwarded(headers) } else { x_forwarded_for(headers) };
    for hop in hops.into_iter().rev().take(MAX_HOPS) {
        let Some(address) = hop else { return last };
        last = address;
        if !is_trusted(trusted, address) {
            return address;
        }
    }
    last
}

fn x_forwarded_for(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let values = headers.get_all("x-forwarded-for").into_iter();
    values.flat_map(|value| value.to_str().unwrap_or("?").split(',').map(address).collect::<Vec<_>>()).collect()
}

fn forwarded(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let values = headers.get_all(header::FORWARDED).into_iter();
    values
        .flat_map(|value| {
            let elements = value.to_str().unwrap_or("?").split(',');
            elements.map(|element| element.split(';').find_map(for_parameter)?).collect::<Vec<_>>()
        })
        .collect()
}

/// The value of a `for` parameter; `None` when it is another one, `Some(None)` when its value is no address.
fn for_parameter(parameter: &str) -> Option<Option<IpAddr>> {
    let (name, value) = parameter.split_once('=')?;
    name.trim().eq_ignore_ascii_case("for").then(|| address(value))
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80`, each perhaps in quotes.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"');
    let plain = text.parse::<IpAddr>().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    plain.or_else(with_port).or_else(bracketed).map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn real(peer: &str, lines: &[(&'static str, &'static str)]) -> String {
        let trusted = ["127.0.0.1", "10.0.0.0/8", "2001:db8:1::/48"].map(|net| net.parse().unwrap());
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        real_address(&trusted, peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn only_listed_proxies_are_believed() {
        const XFF: &str = "x-forwarded-for";
        for (peer, lines, expected) in [
            ("192.0.2.9:1", &[(XFF, "203.0.113.5")][..], "192.0.2.9"),
            ("192.0.2.9:1", &[("forwarded", "for=203.0.113.5")], "192.0.2.9"),
            ("127.0.0.1:1", &[], "127.0.0.1"),
            ("127.0.0.1:1", &[(XFF, "203.0.113.5")], "203.0.113.5"),
            ("[::ffff:127.0.0.1]:1", &[(XFF, "203.0.113.5")], "203.0.113.5"),
            // What the client wrote itself stands to the left.
            ("127.0.0.1:1", &[(XFF, "198.51.100.1, 203.0.113.5")], "203.0.113.5"),
            ("127.0.0.1:1", &[(XFF, "198.51.100.1"), (XFF, "203.0.113.5")], "203.0.113.5"),
            ("127.0.0.1:1", &[(XFF, "203.0.113.5, 10.1.2.3")], "203.0.113.5"),
            ("127.0.0.1:1", &[(XFF, "198.51.100.1, rubbish, 10.1.2.3")], "10.1.2.3"),
            ("127.0.0.1:1", &[(XFF, "rubbish")], "127.0.0.1"),
            ("127.0.0.1:1", &[(XFF, "")], "127.0.0.1"),
            ("127.0.0.1:1", &[(XFF, "10.1.2.3")], "10.1.2.3"),
            ("[2001:db8:1:2::3]:9", &[(XFF, "2001:db8:9::1")], "2001:db8:9::1"),
            ("[2001:db8:2::3]:9", &[(XFF, "2001:db8:9::1")], "2001:db8:2::3"),
            ("127.0.0.1:1", &[("forwarded", "for=203.0.113.5;proto=https")], "203.0.113.5"),
            ("127.0.0.1:1", &[("forwarded", "proto=https;For=\"[2001:db8:9::1]:4711\"")], "2001:db8:9::1"),
            ("127.0.0.1:1", &[("forwarded", "for=198.51.100.1, for=\"203.0.113.5:80\"")], "203.0.113.5"),
            ("127.0.0.1:1", &[("forwarded", "for=unknown")], "127.0.0.1"),
            ("127.0.0.1:1", &[("forwarded", "proto=https")], "127.0.0.1"),
            // A client behind a proxy that writes the standard's header cannot use the other one.
            ("127.0.0.1:1", &[(XFF, "198.51.100.1"), ("forwarded", "for=203.0.113.5")], "203.0.113.5"),
        ] {
            assert_eq!(real(peer, lines), expected, "{peer} {lines:?}");
        }
    }

    #[test]
    fn networks_are_read() {
        for bad in ["", "x", "10.0.0.0/33", "10.0.0.0/", "::/129", "10.0.0/8", "10.0.0.0/-1"] {
            assert_eq!(bad.parse::<Net>(), Err(NetError), "{bad}");
        }
        let all: Net = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains("203.0.113.5".parse().unwrap()) && !all.contains("::1".parse().unwrap()));
        let one: Net = "10.0.0.1".parse().unwrap();
        assert!(one.contains("::ffff:10.0.0.1".parse().unwrap()) && !one.contains("10.0.0.2".parse().unwrap()));
        assert_eq!(one.to_string(), "10.0.0.1/32");
    }
}
