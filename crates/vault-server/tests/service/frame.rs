//! What goes around every answer.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};
use vault_client::Method::{Get, Post};
use vault_protocol::routes;

use crate::harness::Service;

/// Sends bytes as they are, said to be JSON, and gives head and body of the answer.
pub(crate) fn exchange(service: &Service, request: &str, body: &[u8]) -> (String, Vec<u8>) {
    exchange_of(service, request, "application/json", body)
}

fn exchange_of(service: &Service, request: &str, media_type: &str, body: &[u8]) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(service.origin().trim_start_matches("http://")).unwrap();
    let length = body.len();
    let head = format!("{request}\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n");
    let head = format!("{head}content-type: {media_type}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    // The service may answer, and hang up, before it has read a body that it refuses.
    let _ = stream.write_all(body);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("an answer");
    (String::from_utf8(answer[..end].to_vec()).unwrap().to_lowercase(), answer[end + 4..].to_vec())
}

pub(crate) fn header<'a>(head: &'a str, name: &str) -> &'a str {
    let line = head.lines().find(|line| line.starts_with(&format!("{name}:")));
    line.unwrap_or_else(|| panic!("no {name} in {head}"))[name.len() + 1..].trim()
}

#[test]
fn a_problem_names_its_request_and_nothing_is_kept_on_the_way() {
    let service = Service::start();
    let (head, body) = exchange(&service, "GET /v1/account HTTP/1.1\r\nauthorization: Bearer SECRETTOKEN", b"");
    let problem: Value = serde_json::from_slice(&body).unwrap();
    assert!(head.starts_with("http/1.1 401"));
    assert_eq!(header(&head, "content-type"), "application/problem+json");
    assert_eq!(header(&head, "cache-control"), "no-store");
    assert_eq!(header(&head, "x-content-type-options"), "nosniff");
    assert_eq!(header(&head, "www-authenticate"), "bearer");
    assert_eq!(problem["request_id"], header(&head, "x-request-id"));
    assert_eq!(problem["request_id"].as_str().unwrap().len(), 32);
    assert!(!String::from_utf8_lossy(&body).contains("SECRETTOKEN"));
    let (head, body) = exchange(&service, "GET /health HTTP/1.1", b"");
    assert!(head.starts_with("http/1.1 200"));
    assert_eq!(header(&head, "cache-control"), "no-store");
    assert_eq!(body, b"ok\n");
}

#[test]
fn malformed_requests_are_refused_with_a_code() {
    let service = Service::start();
    for (request, body, code, status) in [
        ("POST /v1/login/start HTTP/1.1", "{", "request.invalid", "400"),
        ("POST /v1/login/start HTTP/1.1", "", "request.invalid", "400"),
        ("POST /v1/login/start HTTP/1.1", "[]", "request.invalid", "400"),
        ("POST /v1/login/start HTTP/1.1", r#"{"email":7}"#, "request.invalid", "400"),
        ("GET /v1/nothing HTTP/1.1", "", "request.not_found", "404"),
        ("GET /nothing HTTP/1.1", "", "request.not_found", "404"),
        ("POST / HTTP/1.1", "{}", "request.method", "405"),
        ("DELETE /v1/account HTTP/1.1", "", "request.method", "405"),
        (
            "POST /v1/login/finish HTTP/1.1",
            r#"["00000000-0000-4000-8000-000000000000","AA"]"#,
            "request.invalid",
            "400",
        ),
        ("PUT /v1/records/nonsense HTTP/1.1", "{}", "record.invalid", "422"),
        ("PUT /v1/device/code/!!/hello HTTP/1.1", "{}", "request.invalid", "400"),
        ("PUT /v1/device/code/%FF/hello HTTP/1.1", "{}", "request.not_found", "404"),
        ("GET /v1/audit?limit=x HTTP/1.1", "", "auth.session_expired", "401"),
    ] {
        let (head, answer) = exchange(&service, request, body.as_bytes());
        let problem: Value = serde_json::from_slice(&answer).unwrap_or_else(|_| panic!("{request}: {head}"));
        assert_eq!(problem["code"], code, "{request} {body}");
        assert!(head.starts_with(&format!("http/1.1 {status}")), "{request}: {head}");
        assert!(!problem["next"].as_str().unwrap().is_empty());
    }
    let deep = "[".repeat(20_000);
    let (_, answer) = exchange(&service, "POST /v1/login/start HTTP/1.1", deep.as_bytes());
    assert_eq!(serde_json::from_slice::<Value>(&answer).unwrap()["code"], "request.invalid");
}

#[test]
fn what_does_not_say_that_it_is_json_is_refused() {
    let service = Service::start();
    let request = "POST /v1/login/start HTTP/1.1";
    for media_type in
        ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonp"]
    {
        let (head, answer) = exchange_of(&service, request, media_type, b"{}");
        assert!(head.starts_with("http/1.1 415"), "{media_type}: {head}");
        assert_eq!(serde_json::from_slice::<Value>(&answer).unwrap()["code"], "request.media_type");
    }
    for media_type in ["application/json", "Application/JSON; charset=utf-8"] {
        let (head, _) = exchange_of(&service, request, media_type, b"{}");
        assert!(head.starts_with("http/1.1 400"), "{media_type}: {head}");
    }
}

#[test]
fn what_an_address_takes_is_told_with_the_refusal() {
    let service = Service::start();
    let allow = |request: &str| header(&exchange(&service, request, b"").0, "allow").to_owned();
    assert_eq!(allow("DELETE /v1/devices HTTP/1.1"), "get,head,post");
    assert_eq!(allow("GET /v1/login/start HTTP/1.1"), "post");
    assert_eq!(allow("TRACE /v1/account HTTP/1.1"), "get,head");
}

#[test]
fn large_bodies_are_refused_before_they_are_read() {
    let service = Service::start();
    let large = vec![b' '; vault_protocol::limits::MAX_BODY_BYTES + 1];
    let (head, body) = exchange(&service, "POST /v1/login/start HTTP/1.1", &large);
    assert!(head.starts_with("http/1.1 413"), "{head}");
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["code"], "request.too_large");
    // It goes on answering.
    assert_eq!(service.raw(Get, routes::SERVER, None, &Value::Null).status, 200);
}

#[test]
fn pages_are_bounded() {
    let service = Service::start();
    let owner = service.enrolled("ada@example.org");
    let token = owner.token();
    for query in ["?limit=0", "?limit=4000000000", "?after=99999999", "?limit=1"] {
        let answer = service.raw(Get, &format!("{}{query}", routes::AUDIT), Some(&token), &Value::Null);
        assert_eq!(answer.status, 200, "{query}");
    }
    for query in ["?limit=-1", "?limit=x", "?after=x"] {
        let answer = service.raw(Get, &format!("{}{query}", routes::AUDIT), Some(&token), &Value::Null);
        assert_eq!(answer.status, 400, "{query}");
    }
    let one = service.raw(Get, &format!("{}?limit=1", routes::AUDIT), Some(&token), &Value::Null);
    assert_eq!(one.body["entries"].as_array().unwrap().len(), 1);
    let answer = service.raw(Post, routes::DEVICES, Some(&token), &json!({ "grant": 5 }));
    assert_eq!(answer.code(), "request.invalid");
}

#[test]
fn what_never_changes_may_be_kept_on_the_way_and_nothing_else() {
    let service = Service::start();
    service.account("ada@example.org");
    let begun = std::time::Instant::now();
    let (head, tile) = loop {
        let (head, body) = exchange(&service, "GET /log/tile/0/000.p/1 HTTP/1.1", b"");
        if head.starts_with("http/1.1 200") {
            break (head, body);
        }
        assert_eq!(header(&head, "cache-control"), "no-store", "a tile that may come");
        assert!(begun.elapsed() < std::time::Duration::from_secs(20), "no tile came");
        std::thread::sleep(std::time::Duration::from_millis(50));
    };
    assert_eq!(tile.len(), 32);
    assert_eq!(header(&head, "content-type"), "application/octet-stream");
    assert_eq!(header(&head, "cache-control"), "public, max-age=31536000, immutable");
    let (head, note) = exchange(&service, "GET /log/checkpoint HTTP/1.1", b"");
    assert_eq!(header(&head, "cache-control"), "no-store");
    assert_eq!(header(&head, "content-type"), "text/plain; charset=utf-8");
    assert!(std::str::from_utf8(&note).unwrap().contains("/log\n"));
}
