//! What a page of somebody else's can make a browser do: nothing. Sessions are in no cookie, and no other origin is let in.

use serde_json::json;
use vault_client::Method::{Get, Post};
use vault_protocol::routes;

use crate::frame::exchange;
use crate::harness::Service;

/// The text of a token, as it travels.
fn bearer(service: &Service) -> String {
    bearer_of(&service.account("ada@example.org"))
}

#[test]
fn a_cookie_is_no_session() {
    let service = Service::start();
    let token = bearer(&service);
    for name in ["session", "__Host-session", "token", "authorization"] {
        let (head, _) = exchange(&service, &format!("GET /v1/account HTTP/1.1\r\ncookie: {name}={token}"), b"");
        assert!(head.starts_with("http/1.1 401"), "{name}: {head}");
    }
    // Nor is the address a place for one: it would be in logs and histories.
    for query in ["token", "access_token", "session"] {
        let (head, _) = exchange(&service, &format!("GET /v1/account?{query}={token} HTTP/1.1"), b"");
        assert!(head.starts_with("http/1.1 401"), "{query}: {head}");
    }
    let (head, _) = exchange(&service, &format!("GET /v1/account HTTP/1.1\r\nauthorization: Bearer {token}"), b"");
    assert!(head.starts_with("http/1.1 200"), "the token itself is good: {head}");
}

#[test]
fn no_answer_sets_a_cookie_or_lets_another_origin_in() {
    let service = Service::start();
    let token = bearer(&service);
    let origin = "origin: https://elsewhere.example.org";
    let asks = [
        format!("GET /health HTTP/1.1\r\n{origin}"),
        format!("GET /v1/server HTTP/1.1\r\n{origin}"),
        format!("GET /help HTTP/1.1\r\n{origin}"),
        format!("GET /v1/account HTTP/1.1\r\nauthorization: Bearer {token}\r\n{origin}"),
        format!("POST /v1/login/start HTTP/1.1\r\n{origin}"),
        format!("OPTIONS /v1/account HTTP/1.1\r\naccess-control-request-method: GET\r\n{origin}"),
        format!("OPTIONS /v1/records/x HTTP/1.1\r\naccess-control-request-method: PUT\r\n{origin}"),
    ];
    for ask in asks {
        let (head, _) = exchange(&service, &ask, b"");
        for header in ["set-cookie:", "access-control-allow-origin:", "access-control-allow-credentials:"] {
            assert!(!head.contains(header), "{ask}: {head}");
        }
    }
}

/// A sign-in makes a token of its own; what the caller brought along plays no part, and ends nowhere.
#[test]
fn a_session_cannot_be_fixed_beforehand() {
    let service = Service::start();
    let chosen = "A".repeat(43);
    let owner = service.account("ada@example.org");
    let before = service.raw(Get, routes::ACCOUNT, Some(&chosen), &json!(null));
    assert_eq!(before.status, 401);
    let first = bearer_of(&owner);
    owner.client().sign_out().unwrap();
    crate::harness::sign_in(owner.client(), &owner.email, crate::harness::PASSWORD, &owner.fresh_code()).unwrap();
    let second = bearer_of(&owner);
    assert!(first != second && second != chosen, "each sign-in has a token of its own");
    for old in [&first, &chosen] {
        assert_eq!(service.raw(Get, routes::ACCOUNT, Some(old), &json!(null)).status, 401);
        assert_eq!(service.raw(Post, routes::LOGOUT, Some(old), &json!(null)).status, 401);
    }
    assert_eq!(service.raw(Get, routes::ACCOUNT, Some(&second), &json!(null)).status, 200);
}

fn bearer_of(owner: &crate::harness::Owner) -> String {
    let session = std::fs::read(owner.computer.folder.path().join("state/session.json")).unwrap();
    let session: serde_json::Value = serde_json::from_slice(&session).unwrap();
    session["token"].as_str().unwrap().to_owned()
}
