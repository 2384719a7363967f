//! Connections that are slow, large or many: the service goes on answering.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::harness::Service;

/// What tests take for the times of a connection.
const SECOND: Duration = Duration::from_secs(1);

fn impatient(connections: usize) -> Service {
    Service::configured(move |config| {
        config.network.connections = connections;
        config.network.head_time = SECOND;
        config.network.body_time = SECOND;
    })
}

fn connect(service: &Service) -> TcpStream {
    let stream = TcpStream::connect(service.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// Everything until the other side hangs up.
fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("{error}"),
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A whole request on a connection of its own; gives the status line and how long it took.
fn ask(service: &Service) -> (String, Duration) {
    let begun = Instant::now();
    let mut stream = connect(service);
    stream.write_all(b"GET /v1/server HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let answer = rest(&mut stream);
    (answer.lines().next().unwrap_or_default().to_owned(), begun.elapsed())
}

/// Sends a byte now and then until the other side hangs up; gives how long that took.
fn drip(mut stream: TcpStream, most: Duration) -> (Duration, String) {
    let begun = Instant::now();
    while begun.elapsed() < most && stream.write_all(b"x").is_ok() {
        std::thread::sleep(Duration::from_millis(50));
    }
    (begun.elapsed(), rest(&mut stream))
}

#[test]
fn slow_heads_end_and_others_are_answered_meanwhile() {
    let service = impatient(1000);
    let slow: Vec<_> = (0..100)
        .map(|_| {
            let mut stream = connect(&service);
            stream.write_all(b"GET /v1/server HTTP/1.1\r\nx: ").unwrap();
            std::thread::spawn(move || drip(stream, Duration::from_secs(15)))
        })
        .collect();
    for _ in 0..5 {
        let (status, took) = ask(&service);
        assert_eq!(status, "HTTP/1.1 200 OK");
        assert!(took < SECOND * 5, "{took:?} while others are slow");
    }
    for slow in slow {
        let (took, _) = slow.join().unwrap();
        assert!(took < SECOND * 10, "a slow head was let go on for {took:?}");
    }
}

#[test]
fn slow_bodies_are_told_and_ended() {
    let service = impatient(1000);
    let mut stream = connect(&service);
    let head = b"POST /v1/login/start HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 60000\r\n\r\n{\"email\":\"";
    stream.write_all(head).unwrap();
    let (took, answer) = drip(stream, Duration::from_secs(15));
    assert!(took < SECOND * 10, "{took:?}");
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("request.timeout"), "{answer}");
    assert_eq!(ask(&service).0, "HTTP/1.1 200 OK");
}

#[test]
fn idle_connections_end() {
    let service = impatient(1000);
    let mut silent = connect(&service);
    let begun = Instant::now();
    assert_eq!(rest(&mut silent), "");
    assert!(begun.elapsed() < SECOND * 10);
    // One that was used, and is kept for the next request, is no better.
    let mut used = connect(&service);
    used.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let begun = Instant::now();
    assert!(rest(&mut used).ends_with("ok\n"));
    assert!(begun.elapsed() >= SECOND / 2 && begun.elapsed() < SECOND * 10, "{:?}", begun.elapsed());
}

#[test]
fn more_connections_than_there_is_room_for_wait_their_turn() {
    let service = impatient(3);
    let held: Vec<_> = (0..3).map(|_| connect(&service)).collect();
    std::thread::sleep(Duration::from_millis(200));
    let (status, took) = ask(&service);
    assert_eq!(status, "HTTP/1.1 200 OK");
    assert!(took >= SECOND / 2, "it was answered after {took:?}, although there was no room");
    drop(held);
}

#[test]
fn large_heads_are_refused() {
    let service = impatient(1000);
    let many: String = (0..200).map(|number| format!("x-{number}: y\r\n")).collect();
    let long = format!("x: {}\r\n", "y".repeat(100_000));
    let path = format!("/{}", "a".repeat(100_000));
    for head in [
        format!("GET /health HTTP/1.1\r\nhost: x\r\n{many}\r\n"),
        format!("GET /health HTTP/1.1\r\nhost: x\r\n{long}\r\n"),
        format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n"),
    ] {
        let mut stream = connect(&service);
        // The service may hang up before it has read it all.
        let _ = stream.write_all(head.as_bytes());
        let answer = rest(&mut stream);
        let refused = answer.is_empty() || ["400", "414", "431"].iter().any(|status| answer.contains(status));
        assert!(refused && !answer.contains("200 OK"), "{answer}");
    }
    assert_eq!(ask(&service).0, "HTTP/1.1 200 OK");
}

#[test]
fn what_is_no_http_is_not_answered_for_long() {
    let service = impatient(1000);
    for bytes in [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], b"\0\0\0\0\r\n\r\n", b"SSH-2.0-client\r\n\r\n"]
    {
        let mut stream = connect(&service);
        let _ = stream.write_all(bytes);
        let answer = rest(&mut stream);
        assert!(!answer.contains("200 OK"), "{answer}");
    }
    // Two requests that disagree on where one ends.
    let mut stream = connect(&service);
    let smuggled = b"POST /v1/login/start HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ncontent-length: 40\r\n\r\n{}  GET /health HTTP/1.1\r\nhost: x\r\n\r\n";
    let _ = stream.write_all(smuggled);
    assert!(!rest(&mut stream).contains("ok\n"));
    assert_eq!(ask(&service).0, "HTTP/1.1 200 OK");
}
