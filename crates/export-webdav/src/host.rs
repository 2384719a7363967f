//! Which host a request is meant for.
//!
//! A web page can make its own name point to 127.0.0.1 and so become, for a browser, the same site as this server. Its
//! requests still carry its name.

use std::net::SocketAddr;

/// Whether a `Host` header names the server that listens on `address`.
pub(crate) fn is_ours(host: &str, address: SocketAddr) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        // The colon is one of an IPv6 address.
        Some((name, _)) if name.starts_with('[') && !name.ends_with(']') => (host, None),
        Some((name, port)) => (name, Some(port)),
        None => (host, None),
    };
    let port_fits = match port {
        Some(port) => port.parse() == Ok(address.port()),
        None => address.port() == 80,
    };
    let literal = if address.is_ipv4() { address.ip().to_string() } else { format!("[{}]", address.ip()) };
    port_fits && (name.eq_ignore_ascii_case("localhost") || name.eq_ignore_ascii_case(&literal))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_by_its_own_name() {
        let (four, six) = ("127.0.0.1:8080".parse().unwrap(), "[::1]:8080".parse().unwrap());
        for host in ["127.0.0.1:8080", "localhost:8080", "LocalHost:8080"] {
            assert!(is_ours(host, four), "{host}");
        }
        assert!(is_ours("[::1]:8080", six) && is_ours("localhost", "127.0.0.1:80".parse().unwrap()));
        for host in [
            "",
            "127.0.0.1",
            "localhost",
            "localhost:80",
            "evil.example:8080",
            "127.0.0.1.evil.example:8080",
            "127.0.0.2:8080",
            "localhost:8080:8080",
            "localhost:",
            ":8080",
            "[::1]:8080",
            "[::1]",
            "127.0.0.1:8080@evil.example",
        ] {
            assert!(!is_ours(host, four), "{host}");
        }
        assert!(!is_ours("[::1]", six) && !is_ours("::1:8080", six));
    }
}
