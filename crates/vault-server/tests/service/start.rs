//! Starting: what would lock people out, or would not be protected, is refused.

use std::net::SocketAddr;

use vault_server::{Config, KeyFileError, Network, Server, StartError};

use crate::harness::Service;

fn open(config: Config, listen: &str) -> Result<(), StartError> {
    let listen: SocketAddr = listen.parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(Server::open(config, listen)).map(drop)
}

#[test]
pub(crate) fn another_origin_is_refused_once_there_is_one() {
    let mut service = Service::start();
    service.account("ada@example.org");
    service.stop();
    let config = Config { origin: Some("https://keys.example.org".to_owned()), ..service.config() };
    let refused = open(config, "127.0.0.1:0");
    assert!(matches!(refused, Err(StartError::OriginChanged { .. })), "{refused:?}");
    // The same one, written another way, is the same one.
    let config = Config { origin: Some(format!("{}/", service.origin().to_uppercase())), ..service.config() };
    open(config, "127.0.0.1:0").unwrap();
}

#[test]
fn an_open_address_needs_https() {
    let folder = tempfile::tempdir().unwrap();
    let plain = open(Config::in_folder(folder.path()), "0.0.0.0:0");
    assert!(matches!(plain, Err(StartError::Unprotected { .. })), "{plain:?}");
    let folder = tempfile::tempdir().unwrap();
    let origin = Some("https://keys.example.org".to_owned());
    let config = Config { origin, ..Config::in_folder(folder.path()) };
    let unproxied = open(config.clone(), "0.0.0.0:0");
    assert!(matches!(unproxied, Err(StartError::Unprotected { .. })), "{unproxied:?}");
    let network = Network { trusted_proxies: vec!["10.0.0.1".parse().unwrap()], ..Network::default() };
    open(Config { network, ..config }, "0.0.0.0:0").unwrap();
}

#[test]
pub(crate) fn a_database_without_its_keys_is_not_touched() {
    let mut service = Service::start();
    service.account("ada@example.org");
    service.stop();
    std::fs::remove_file(service.config().key_file()).unwrap();
    let refused = open(service.config(), "127.0.0.1:0");
    assert!(matches!(&refused, Err(StartError::Keys { source: KeyFileError::Missing, .. })), "{refused:?}");
    assert!(!service.config().key_file().exists());
}

#[test]
fn a_taken_address_and_a_bad_folder_are_told() {
    let service = Service::start();
    let folder = tempfile::tempdir().unwrap();
    let taken = open(Config::in_folder(folder.path()), service.origin().trim_start_matches("http://"));
    assert!(matches!(taken, Err(StartError::Listen { .. })), "{taken:?}");
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let refused = open(Config::in_folder(file.join("data")), "127.0.0.1:0");
    assert!(matches!(refused, Err(StartError::Folder { .. })), "{refused:?}");
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(service.config().key_file(), folder.path().join("server.keys")).unwrap();
    std::fs::write(folder.path().join("vault.sqlite"), vec![7; 8192]).unwrap();
    let refused = open(Config::in_folder(folder.path()), "127.0.0.1:0");
    assert!(matches!(refused, Err(StartError::Database { .. })), "{refused:?}");
}

#[cfg(unix)]
#[test]
fn what_the_service_keeps_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let service = Service::start();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("made/here");
    open(Config::in_folder(&data), "127.0.0.1:0").unwrap();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    assert_eq!(mode(&service.config().key_file()), 0o600);
}
