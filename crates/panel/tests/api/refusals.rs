//! What the panel refuses.

use panel::link_of_running;
use serde_json::json;

use crate::browser::Running;

#[test]
fn a_link_works_once_and_nothing_works_without_a_session() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path());
    assert_eq!(running.get("/api/drives").code(), "panel.session");
    for wrong in ["", "AAAA", "../../etc"] {
        assert_eq!(running.post("/api/enter", &json!({ "token": wrong })).code(), "panel.link");
    }
    let token = running.token();
    let session = running.post("/api/enter", &json!({ "token": token })).good()["session"].as_str().unwrap().to_owned();
    assert_eq!(running.post("/api/enter", &json!({ "token": token })).code(), "panel.link", "used");
    let mut inside = running;
    inside.session = token;
    assert_eq!(inside.get("/api/drives").code(), "panel.session", "a link is no session");
    inside.session = session;
    inside.get("/api/drives").good();
    assert_eq!(inside.post("/api/leave", &json!({})).status, 204);
    assert_eq!(inside.get("/api/drives").code(), "panel.session", "left");
    // The program gives another link, and only to whoever can read the private file.
    let again = link_of_running(folder.path()).unwrap();
    let token = again.expose().split("#enter/").nth(1).unwrap().to_owned();
    inside.session.clear();
    inside.post("/api/enter", &json!({ "token": token })).good();
    assert_eq!(inside.post("/api/link", &json!({ "key": "AAAA" })).code(), "panel.foreign", "a page may not ask");
    let host = inside.address.clone();
    let headers = [("Host", host.as_str()), ("Content-Type", "application/json")];
    assert_eq!(inside.send("POST", "/api/link", &headers, br#"{"key":"AAAA"}"#).code(), "panel.session");
    inside.end();
    assert!(link_of_running(folder.path()).is_none());
}

#[test]
fn other_names_and_other_pages_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::entered(folder.path());
    let (host, origin) = (running.address.clone(), format!("http://{}", running.address));
    let bearer = format!("Bearer {}", running.session);
    let port = host.split(':').nth(1).unwrap();
    let by_name = format!("localhost:{port}");
    let ask = |host: &str, more: &[(&str, &str)], method: &str| {
        let mut headers =
            vec![("Host", host), ("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
        headers.extend(more);
        running.send(method, if method == "GET" { "/api/drives" } else { "/api/folder" }, &headers, b"{}")
    };
    assert_eq!(ask(&host, &[], "GET").status, 200);
    assert_eq!(ask(&host, &[("Origin", &origin)], "POST").status, 200);
    for name in ["evil.example", "127.0.0.1", "127.0.0.1:1", by_name.as_str(), "[::1]"] {
        assert_eq!(ask(name, &[], "GET").code(), "panel.foreign", "{name}");
        assert_eq!(running.send("GET", "/", &[("Host", name)], b"").status, 403, "the page, too: {name}");
    }
    let https = format!("https://{host}");
    for other in ["null", "http://evil.example", "http://127.0.0.1:1", https.as_str()] {
        assert_eq!(ask(&host, &[("Origin", other)], "GET").code(), "panel.foreign", "{other}");
        assert_eq!(ask(&host, &[("Origin", other)], "POST").code(), "panel.foreign", "{other}");
    }
    assert_eq!(ask(&host, &[], "POST").code(), "panel.foreign", "a change without an origin");
    assert_eq!(ask(&host, &[("Host", "evil.example")], "GET").code(), "panel.foreign", "two names");
    for site in ["cross-site", "same-site"] {
        assert_eq!(ask(&host, &[("Sec-Fetch-Site", site)], "GET").code(), "panel.foreign", "{site}");
    }
    let page = running.get("/");
    assert!(page.header("content-security-policy").unwrap().contains("default-src 'none'"));
    assert!(page.header("access-control-allow-origin").is_none() && page.header("set-cookie").is_none());
    assert_eq!(running.get("/api/drives").header("cache-control"), Some("no-store"));
    let form =
        [("Host", host.as_str()), ("Origin", &origin), ("Authorization", &bearer), ("Content-Type", "text/plain")];
    assert_eq!(running.send("POST", "/api/folder", &form, b"{}").code(), "panel.media_type");
    let large = vec![b' '; 1 << 20];
    assert_eq!(
        running.post("/api/folder", &json!({ "path": String::from_utf8(large).unwrap() })).code(),
        "panel.too_large"
    );
    running.end();
}

#[test]
fn paths_lead_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::entered(folder.path());
    for path in ["relative.img", "", "../x"] {
        assert_eq!(running.post("/api/images", &json!({ "path": path })).code(), "panel.invalid", "{path}");
    }
    assert_eq!(running.post("/api/images", &json!({ "path": "/nowhere.img" })).code(), "drive.not_found");
    assert_eq!(running.post("/api/drives/0000000000000000/files", &json!({ "path": "" })).code(), "panel.locked");
    assert_eq!(running.post("/api/drives/0/unlock", &json!({ "secret": { "kind": "none" } })).code(), "panel.no_drive");
    for path in ["/download/AAAA", "/assets/..%2f..%2fetc%2fpasswd", "/assets/../../etc/passwd", "/api/none"] {
        assert!(matches!(running.get(path).status, 400 | 404), "{path}");
    }
    running.end();
}
