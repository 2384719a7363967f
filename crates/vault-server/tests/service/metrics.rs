//! Metrics and readiness: what they tell, to whom, and what they never tell.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};

use serde_json::Value;
use vault_client::Method::Get;
use vault_protocol::routes;

use crate::harness::{PASSWORD, Service};

pub(crate) fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap_or_default().parse().unwrap_or(0);
    (status, answer.split_once("\r\n\r\n").map_or_else(String::new, |(_, body)| body.to_owned()))
}

fn with_metrics() -> Service {
    Service::configured(|config| config.network.metrics = Some("127.0.0.1:0".parse().unwrap()))
}

/// The value of a line.
fn value(text: &str, line: &str) -> f64 {
    let found = text.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(' '));
    found.unwrap_or_else(|| panic!("no {line} in\n{text}")).parse().unwrap()
}

#[test]
fn what_happened_is_counted_and_names_nobody() {
    let service = with_metrics();
    let owner = service.enrolled("ada@example.org");
    let (_, record) = owner.save_one();
    service.raw(Get, routes::ACCOUNT, Some("AAAA"), &Value::Null);
    service.raw(Get, "/v1/made-up-by-a-client", None, &Value::Null);
    let (status, text) = get(service.metrics.unwrap(), "/metrics");
    assert_eq!(status, 200);
    assert_eq!(value(&text, "keyhaven_saves_total{outcome=\"stored\"}"), 1.0);
    assert_eq!(value(&text, "keyhaven_requests_total{method=\"PUT\",route=\"/v1/records/{id}\",status=\"201\"}"), 1.0);
    assert_eq!(value(&text, "keyhaven_refusals_total{code=\"auth.session_expired\"}"), 1.0);
    assert_eq!(value(&text, "keyhaven_requests_total{method=\"GET\",route=\"-\",status=\"404\"}"), 1.0);
    assert_eq!(value(&text, "keyhaven_ready"), 1.0);
    assert!(value(&text, "keyhaven_database_write_seconds_count") > 10.0);
    assert!(value(&text, "keyhaven_connections_total") >= 2.0);
    #[cfg(target_os = "linux")]
    assert!(value(&text, "process_resident_memory_bytes") > 1e6);
    let account = owner.client().account().unwrap().account_id.to_string();
    let record_id = record.record_id.to_string();
    let key_id = record.meta.as_ref().unwrap().key_id.clone();
    for word in ["ada", "example.org", "made-up", PASSWORD, &account, &record_id, &key_id, "127.0.0", &owner.token()] {
        assert!(!text.contains(word), "{word} is in\n{text}");
    }
}

#[test]
fn prometheus_takes_the_text() {
    let service = with_metrics();
    service.enrolled("ada@example.org").save_one();
    let (_, text) = get(service.metrics.unwrap(), "/metrics");
    let spawned = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut judge) = spawned else { return testkit::skip("promtool is not installed") };
    judge.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let judged = judge.wait_with_output().unwrap();
    assert!(judged.status.success(), "{}\n{text}", String::from_utf8_lossy(&judged.stderr));
}

#[test]
fn the_public_address_tells_no_metrics() {
    let service = with_metrics();
    assert_eq!(get(service.address(), "/metrics").0, 404);
    assert_eq!(get(service.metrics.unwrap(), "/v1/server").0, 404, "and the other one tells nothing else");
    for address in [service.address(), service.metrics.unwrap()] {
        assert_eq!(get(address, "/health"), (200, "ok\n".to_owned()));
        assert_eq!(get(address, "/ready").0, 200);
    }
    assert!(Service::start().metrics.is_none(), "unless it is asked for");
}

#[test]
fn a_service_whose_keys_are_gone_is_not_ready() {
    let service = with_metrics();
    let file = service.config().key_file();
    let kept = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let (status, body) = get(service.address(), "/ready");
    let report: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, report["ready"].as_bool(), report["keys"].as_str()), (503, Some(false), Some("unusable")));
    assert_eq!(get(service.address(), "/health").0, 200, "it lives all the same");
    assert_eq!(value(&get(service.metrics.unwrap(), "/metrics").1, "keyhaven_ready"), 0.0);
    // Back, but for everybody to read.
    std::fs::write(&file, kept).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::thread::sleep(std::time::Duration::from_millis(1100));
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(get(service.address(), "/ready").0, 503);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert_eq!(get(service.address(), "/ready").0, 200);
}
