//! Running the service: what would lock people out, or would not be protected, is refused.

use std::process::{Command, Stdio};

use crate::harness::{Ran, Service, keyhaven};

fn serve(arguments: &[&str], service: &Service) -> Ran {
    let mut command = keyhaven();
    command.args(["serve", "--json"]).args(arguments).arg("--data").arg(service.data());
    Ran::new(&command.output().unwrap())
}

#[test]
fn it_says_why_it_does_not_start() {
    let mut service = Service::start();
    let taken = service.origin.trim_start_matches("http://").to_owned();
    let failure = serve(&["--listen", &taken], &service).failure(2);
    assert!(failure["hint"].as_str().unwrap().contains("--listen"), "{failure}");
    service.owner();
    service.kill();
    let failure = serve(&["--listen", "127.0.0.1:0", "--origin", "https://keys.example.org"], &service).failure(2);
    assert!(failure["hint"].as_str().unwrap().contains(&service.origin), "{failure}");
    let failure = serve(&["--listen", "0.0.0.0:0"], &service).failure(2);
    assert!(failure["hint"].as_str().unwrap().contains("HTTPS"), "{failure}");
    std::fs::remove_file(service.data().join("server.keys")).unwrap();
    let failure = serve(&["--listen", "127.0.0.1:0"], &service).failure(2);
    assert!(failure["hint"].as_str().unwrap().contains("backup"), "{failure}");
}

#[test]
fn it_stops_in_order_when_asked_to() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = keyhaven()
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut first = [0; 10];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut first).unwrap();
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    assert!(child.wait().unwrap().success());
    assert!(!folder.path().join("vault.sqlite-wal").exists(), "the log was folded into the database");
}

#[test]
fn an_invite_goes_to_a_private_file_on_request() {
    let service = Service::start();
    let out = service.folder.path().join("invite");
    let arguments = ["invite", "--hours", "1", "--out", out.to_str().unwrap()];
    let report = serve(&arguments, &service).report();
    assert!(report["invite"].is_null());
    let invite = std::fs::read_to_string(&out).unwrap();
    assert!(invite.trim().len() >= 20);
    let failure = serve(&["invite", "--hours", "0"], &service);
    assert_eq!(failure.status, 2, "{failure:?}");
}
