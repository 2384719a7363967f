//! Running the service: what would lock people out, or would not be protected, is refused.

use std::process::{Command, Stdio};

use crate::harness::{EMAIL, Ran, Service, keyhaven};

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

#[test]
fn a_backup_is_made_beside_the_service_and_restored() {
    let mut service = Service::start();
    let mut owner = service.enrolled();
    let drive = owner.computer.drive("stick.img");
    owner.computer.backup(&drive).report();
    let file = service.folder.path().join("vault.backup");
    let to = file.to_str().unwrap();
    let made = serve(&["backup", "--to", to], &service).report();
    assert_eq!((made["accounts"].as_i64(), made["records"].as_i64()), (Some(1), Some(1)), "{made}");
    assert_eq!(serve(&["backup", "--to", to], &service).status, 1, "nothing is overwritten");
    assert_eq!(serve(&["restore", "--from", to], &service).status, 1, "nothing is overwritten");
    service.kill();
    let keys = std::fs::read(service.data().join("server.keys")).unwrap();
    std::fs::remove_dir_all(service.data()).unwrap();
    let restored = serve(&["restore", "--from", to], &service).report();
    assert_eq!(restored["records"], 1);
    let failure = serve(&["--listen", "127.0.0.1:0"], &service).failure(2);
    assert!(failure["hint"].as_str().unwrap().contains("key file"), "{failure}");
    let put_back = service.data().join("server.keys");
    std::fs::write(&put_back, keys).unwrap();
    assert!(Command::new("chmod").arg("600").arg(&put_back).status().unwrap().success());
    service.run();
    let image = drive.image.to_str().unwrap();
    let code = owner.phone.fresh_code();
    owner.computer.with_code(&code, &["account", "sign-in", "--email", EMAIL]).report();
    let code = owner.phone.fresh_code();
    owner.computer.with_code(&code, &["verify", image, "--from-account"]).report();
}

#[test]
fn a_damaged_backup_is_not_restored() {
    let mut service = Service::start();
    service.owner();
    let file = service.folder.path().join("vault.backup");
    serve(&["backup", "--to", file.to_str().unwrap()], &service).report();
    service.kill();
    std::fs::remove_file(service.data().join("vault.sqlite")).unwrap();
    for left in ["vault.sqlite-wal", "vault.sqlite-shm"] {
        let _ = std::fs::remove_file(service.data().join(left));
    }
    let whole = std::fs::read(&file).unwrap();
    let zeroed = [&whole[..8192], &vec![0; 8192], &whole[16_384..]].concat();
    for bytes in [&b""[..], b"no database", &whole[..whole.len() / 2], &zeroed] {
        std::fs::write(&file, bytes).unwrap();
        let ran = serve(&["restore", "--from", file.to_str().unwrap()], &service);
        assert!(ran.status != 0, "{} bytes: {ran:?}", bytes.len());
        assert!(
            !service.data().join("vault.sqlite").exists() && !service.data().join("vault.sqlite.restoring").exists()
        );
    }
}
