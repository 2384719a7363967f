//! Behind a proxy: who is believed about whom.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};

use vault_server::{Limits, Net};

use crate::harness::Service;

fn begin_sign_up(service: &Service, forwarded: &str) -> String {
    let mut stream = TcpStream::connect(service.address()).unwrap();
    let body = r#"{"email":"ada@example.org"}"#;
    let head = format!(
        "POST /v1/signup/start HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{forwarded}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap_or_default().to_owned()
}

fn service(proxies: &'static [&'static str]) -> Service {
    Service::configured(move |config| {
        config.limits = Limits { sign_up_per_net: 1, ..Limits::default() };
        config.network.trusted_proxies = proxies.iter().map(|net| net.parse::<Net>().unwrap()).collect();
    })
}

#[test]
fn a_listed_proxy_says_whose_limits_count() {
    let service = service(&["127.0.0.0/8"]);
    assert_eq!(begin_sign_up(&service, "x-forwarded-for: 203.0.113.5"), "200");
    assert_eq!(begin_sign_up(&service, "x-forwarded-for: 203.0.113.9"), "429", "the same network");
    assert_eq!(
        begin_sign_up(&service, "x-forwarded-for: 198.51.100.7, 203.0.113.5"),
        "429",
        "what a client adds is to the left"
    );
    assert_eq!(begin_sign_up(&service, "x-forwarded-for: 198.51.100.7"), "200", "another network");
    assert_eq!(begin_sign_up(&service, "forwarded: for=\"[2001:db8::1]:99\";proto=https"), "200");
    assert_eq!(begin_sign_up(&service, "forwarded: for=\"[2001:db8::2]\""), "429", "the same /56");
}

#[test]
fn nobody_else_is_believed() {
    let service = service(&["192.0.2.1"]);
    assert_eq!(begin_sign_up(&service, "x-forwarded-for: 203.0.113.5"), "200");
    assert_eq!(begin_sign_up(&service, "x-forwarded-for: 198.51.100.7"), "429");
    assert_eq!(begin_sign_up(&service, "forwarded: for=198.51.100.8"), "429");
}

/// An address of this computer that is not loopback. No packet is sent.
fn outer_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    socket.local_addr().ok().map(|address| address.ip()).filter(|address| !address.is_loopback())
}

#[test]
fn without_tls_only_this_computer_and_the_proxy_are_answered() {
    let Some(outer) = outer_address() else {
        return testkit::skip("this computer has no address but loopback");
    };
    let ask = |address: SocketAddr| {
        let mut stream = TcpStream::connect(address).unwrap();
        let _ = stream.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    };
    let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    for (proxy, answered) in [("192.0.2.1".to_owned(), false), (outer.to_string(), true)] {
        let service = Service::configured_at(any, move |config| {
            config.origin = Some("https://keys.example.org".to_owned());
            config.network.trusted_proxies = vec![proxy.parse().unwrap()];
        });
        let port = service.address().port();
        assert!(ask(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)).contains("200 OK"));
        let answer = ask(SocketAddr::new(outer, port));
        assert_eq!(answer.contains("200 OK"), answered, "{answer:?}");
        assert!(answered || answer.is_empty());
    }
}
