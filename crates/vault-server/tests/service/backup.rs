//! A backup made while people save, and the service that is restored from it.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use vault_client::{Outcome, RecordId};
use vault_server::{BackupError, Config, Holdings, Limits, back_up, restore};

use crate::harness::{PASSWORD, Service, code_of, key_to_save, presence};

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn back_up_to(config: &Config, to: &Path) -> Result<Holdings, BackupError> {
    run(back_up(config, to))
}

fn generous() -> Limits {
    Limits { saves_per_device: 100_000, new_keys_per_device: 100_000, ..Limits::default() }
}

#[test]
fn a_backup_under_load_holds_everything_that_was_acknowledged_before() {
    let mut service = Service::with_limits(generous());
    let owners = ["ada@example.org", "bob@example.org"].map(|mail| service.enrolled(mail));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("vault.backup");
    let (stop, config) = (AtomicBool::new(false), service.config());
    let acknowledged: Vec<Vec<RecordId>> = std::thread::scope(|scope| {
        let savers: Vec<_> = owners
            .iter()
            .map(|owner| {
                let stop = &stop;
                let (tell, told) = std::sync::mpsc::channel();
                let handle = scope.spawn(move || {
                    while !stop.load(Ordering::SeqCst) {
                        let outcome = owner.client().save(&key_to_save()).unwrap();
                        let Outcome::Saved { record_id, .. } = outcome else { panic!("{outcome:?}") };
                        tell.send(record_id).unwrap();
                    }
                });
                (handle, told)
            })
            .collect();
        std::thread::sleep(Duration::from_secs(2));
        let before = savers.iter().map(|(_, told)| told.try_iter().collect()).collect();
        let holdings = back_up_to(&config, &file).unwrap();
        assert_eq!(holdings.accounts, 2);
        let during: usize = savers.iter().map(|(_, told)| told.try_iter().count()).sum();
        std::thread::sleep(Duration::from_millis(500));
        let after: usize = savers.iter().map(|(_, told)| told.try_iter().count()).sum();
        assert!(during + after > 0, "saving went on");
        stop.store(true, Ordering::SeqCst);
        for (saver, _) in savers {
            saver.join().unwrap();
        }
        before
    });
    service.stop();
    assert!(acknowledged.iter().all(|ids| ids.len() > 3), "{acknowledged:?}");

    // Another folder, the same keys, the same address.
    let data = folder.path().join("restored");
    let restored = Config::in_folder(&data);
    let holdings = run(restore(&restored, &file)).unwrap();
    std::fs::copy(config.key_file(), restored.key_file()).unwrap();
    service.reconfigure(move |config| {
        config.data_dir.clone_from(&data);
        config.limits = generous();
    });
    service.run();
    let mut found = 0;
    for (owner, acknowledged) in owners.iter().zip(&acknowledged) {
        assert!(owner.client().account().is_err(), "sessions of the backup are over");
        owner.sign_in(owner.client()).unwrap();
        let records = owner.client().records().unwrap();
        found += records.len();
        for id in acknowledged {
            assert!(records.iter().any(|record| record.record_id == *id), "an acknowledged save is missing");
        }
        let report = owner.client().audit_verify().unwrap();
        assert!(report.receipts >= acknowledged.len(), "{report:?}");
        // And it is a service as before: it saves and reveals.
        let (key, record) = owner.save_one();
        let revealed = owner.client().reveal(record.record_id, "drill", &presence(PASSWORD, &owner.fresh_code()));
        assert_eq!(revealed.unwrap().password.to_text().expose(), key.to_text().expose());
    }
    assert_eq!(i64::try_from(found).unwrap(), holdings.records);
}

#[test]
fn nothing_is_overwritten() {
    let mut service = Service::start();
    service.enrolled("ada@example.org").save_one();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("vault.backup");
    back_up_to(&service.config(), &file).unwrap();
    let first = std::fs::read(&file).unwrap();
    let again = back_up_to(&service.config(), &file);
    assert!(matches!(again, Err(BackupError::Exists(_))), "{again:?}");
    assert_eq!(std::fs::read(&file).unwrap(), first);
    service.stop();
    let database = std::fs::read(service.config().database_file()).unwrap();
    let over = run(restore(&service.config(), &file));
    assert!(matches!(over, Err(BackupError::Exists(_))), "{over:?}");
    assert_eq!(std::fs::read(service.config().database_file()).unwrap(), database);
    // A database that went away without its log is not whole: the log stands in the way, too.
    std::fs::remove_file(service.config().database_file()).unwrap();
    std::fs::write(service.config().data_dir.join("vault.sqlite-wal"), "left behind").unwrap();
    let over = run(restore(&service.config(), &file));
    assert!(matches!(over, Err(BackupError::Exists(_))), "{over:?}");
    let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(files, ["vault.backup"], "nothing half-made is left");
}

#[cfg(unix)]
#[test]
fn backups_are_for_their_owner_only_and_keys_are_not_in_them() {
    use std::os::unix::fs::PermissionsExt;
    let service = Service::start();
    service.enrolled("ada@example.org").save_one();
    let file = service.folder.path().join("vault.backup");
    back_up_to(&service.config(), &file).unwrap();
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let bytes = std::fs::read(&file).unwrap();
    let keys = std::fs::read_to_string(service.config().key_file()).unwrap();
    for line in keys.lines().skip(1) {
        let secret = data_encoding::BASE64URL_NOPAD.decode(line.split_once(' ').unwrap().1.as_bytes()).unwrap();
        assert!(!bytes.windows(16).any(|window| window == &secret[..16]), "a secret is in the backup");
    }
}

#[test]
fn a_database_is_not_opened_with_the_keys_of_another() {
    let mut service = Service::start();
    service.account("ada@example.org");
    let other = Service::start();
    service.stop();
    let own = std::fs::read(service.config().key_file()).unwrap();
    std::fs::copy(other.config().key_file(), service.config().key_file()).unwrap();
    let opened = run(vault_server::Server::open(service.config(), "127.0.0.1:0".parse().unwrap()));
    let error = opened.map(drop).unwrap_err();
    let of_another =
        matches!(&error, vault_server::StartError::Keys { source: vault_server::KeyFileError::OfAnother, .. });
    assert!(of_another, "{error}");
    std::fs::write(service.config().key_file(), own).unwrap();
    service.run();
    let computer = service.computer();
    let refused = crate::harness::sign_in(&computer.client, "ada@example.org", "wrong horse battery", "000000");
    assert_eq!(code_of(refused), vault_client::problem::Code::AuthInvalid);
}

#[test]
fn keys_may_come_from_a_command() {
    let mut service = Service::start();
    let owner = service.enrolled("ada@example.org");
    service.stop();
    let kept = service.folder.path().join("elsewhere");
    std::fs::rename(service.config().key_file(), &kept).unwrap();
    let command = format!("cat '{}'", kept.display());
    service.reconfigure(move |config| config.key_command = Some(vault_server::KeyCommand::new(command.clone())));
    service.run();
    owner.save_one();
    assert!(!service.config().key_file().exists());
    let (status, _) = crate::metrics::get(service.address(), "/ready");
    assert_eq!(status, 200);
}
