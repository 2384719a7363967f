//! The control panel with the account service beside it, in one process on one computer.

#![cfg(unix)]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Computer, EMAIL, Ran, keyhaven};

/// A panel with its service, and what it told.
struct Panel {
    child: Child,
    told: Value,
}

impl Panel {
    fn start(computer: &Computer, port: u16) -> Self {
        let mut command = keyhaven();
        command.args(["up", "--no-open", "--json", "--with-service", "--service-port", &port.to_string()]);
        command.arg("--service-data").arg(computer.path("service")).env("KEYHAVEN_STATE", computer.path("state"));
        let child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let mut panel = Self { child, told: Value::Null };
        let mut report = String::new();
        for line in BufReader::new(panel.child.stdout.take().unwrap()).lines() {
            report.push_str(&line.unwrap());
            if let Ok(told) = serde_json::from_str(&report) {
                panel.told = told;
                break;
            }
        }
        assert!(!panel.told.is_null(), "nothing was told: {report}");
        panel
    }

    fn end(mut self) {
        assert!(Command::new("kill").arg(self.child.id().to_string()).status().unwrap().success());
        let limit = Instant::now() + Duration::from_secs(20);
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < limit, "it goes on");
            std::thread::sleep(Duration::from_millis(20));
        };
        assert!(status.success(), "{status}");
    }
}

impl Drop for Panel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_service_beside_the_panel_keeps_the_keys_of_one_computer() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let computer = Computer::of(&format!("http://localhost:{port}"));
    let panel = Panel::start(&computer, port);
    assert!(panel.told["link"].as_str().unwrap().starts_with("http://127.0.0.1:"), "{}", panel.told);
    let service = &panel.told["service"];
    assert_eq!(service["origin"], format!("http://localhost:{port}"));
    let invite = service["invite"].as_str().expect("the first account has an invite").to_owned();
    let mut phone = computer.sign_up(EMAIL, &invite);
    let code = phone.fresh_code();
    computer.with_code(&code, &["device", "enrol", "--name", "this PC"]).report();
    let drive = computer.drive("stick.img");
    assert_eq!(computer.backup(&drive).report()["saved"].as_array().unwrap().len(), 1);
    panel.end();
    // What was saved is there the next time, and nobody is invited unasked.
    let panel = Panel::start(&computer, port);
    assert!(panel.told["service"]["invite"].is_null());
    assert_eq!(computer.run(&["keys", "list"]).report()["keys"].as_array().unwrap().len(), 1);
    panel.end();
    // A port that is taken is told, and nothing runs.
    let _taken = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    let mut command = keyhaven();
    command.args([
        "up",
        "--no-open",
        "--json",
        "--with-service",
        "--service-port",
        &port.to_string(),
        "--service-data",
    ]);
    command.arg(computer.path("service")).env("KEYHAVEN_STATE", computer.path("state"));
    Ran::new(&command.output().unwrap()).failure(2);
}
