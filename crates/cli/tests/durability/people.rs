//! Owners with devices that save for as long as they are let.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use secret::{RecoveryPassword, SecretString};
use tempfile::TempDir;
use testkit::Authenticator;
use vault_client::{
    Client, Error, KeyToSave, Meta, NewAccount, NewTotp, Outcome, OwnerApproval, Presence, RecordId, State,
};

use crate::nodes::{Nodes, Way};

const PASSWORD: &str = "seven slow otters crossed the road";

/// Somebody who is signed in on a computer that is enrolled, and whose other computers are, too.
pub(crate) struct Owner {
    pub(crate) name: String,
    pub(crate) devices: Vec<Device>,
}

/// A computer.
pub(crate) struct Device {
    pub(crate) client: Client<Way>,
    _folder: TempDir,
}

/// The records that a device made. Which of them were confirmed, its program knows: it keeps the receipts.
pub(crate) type Made = Vec<RecordId>;

impl Device {
    fn new(nodes: &Nodes) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let client = Client::new(nodes.transport(), State::new(folder.path().join("state")));
        Self { client, _folder: folder }
    }
}

impl Owner {
    /// Signs up, with a second factor, and enrols `count` computers.
    pub(crate) fn join(nodes: &Nodes, name: &str, count: usize) -> Self {
        let first = Device::new(nodes);
        let new = NewAccount {
            email: format!("{name}@example.org"),
            password: SecretString::from(PASSWORD),
            invite: Some(nodes.invite()),
        };
        first.client.sign_up(new, &mut || None, &mut |_| true).unwrap();
        let mut phone = None;
        let mut codes = |totp: &NewTotp, wrong: Option<&Error>| {
            assert!(wrong.is_none(), "{wrong:?}");
            let mut scanned = Authenticator::scan(&format!("?secret={}", totp.secret.expose())).unwrap();
            let codes = scanned.two_codes();
            phone = Some(scanned);
            Some(codes)
        };
        first.client.add_totp("phone", None, &mut codes).unwrap();
        let mut backup_codes = Vec::new();
        let presence = presence(&phone.unwrap().fresh_code());
        let mut keep = |new: &vault_client::NewBackupCodes| {
            backup_codes = new.codes.iter().map(|code| code.expose().to_owned()).collect();
            true
        };
        first.client.make_backup_codes(&presence, &mut keep).unwrap();
        let mut fresh = backup_codes.iter().map(|code| self::presence(code));
        first.client.enrol_this_computer("first", &fresh.next().unwrap()).unwrap();
        let mut devices = vec![first];
        for n in 1..count {
            let device = Device::new(nodes);
            let enrolment = device.client.request_enrolment(&format!("number {n}")).unwrap();
            let approval = OwnerApproval {
                user_code: enrolment.user_code().to_owned(),
                check_code: enrolment.check_code().unwrap().expose().to_owned(),
                presence: fresh.next().unwrap(),
            };
            devices[0].client.approve_device(&approval).unwrap();
            device.client.poll_enrolment(&enrolment).unwrap().unwrap();
            devices.push(device);
        }
        Self { name: name.to_owned(), devices }
    }
}

fn presence(code: &str) -> Presence {
    Presence { password: SecretString::from(PASSWORD), code: SecretString::from(code) }
}

/// What the devices did.
pub(crate) struct Load {
    /// What each device of each owner made.
    pub(crate) made: Vec<Vec<Made>>,
    /// Requests that got no answer.
    pub(crate) cut_off: usize,
}

impl Load {
    /// This one, and what came after it.
    pub(crate) fn and(mut self, later: Self) -> Self {
        for (made, later) in self.made.iter_mut().flatten().zip(later.made.into_iter().flatten()) {
            made.extend(later);
        }
        Self { made: self.made, cut_off: self.cut_off + later.cut_off }
    }
}

/// Lets all devices of all owners save while `meanwhile` runs.
pub(crate) fn save_while(owners: &[Owner], meanwhile: impl FnOnce(&Progress)) -> Load {
    let progress = Progress::default();
    let mut made = Vec::new();
    std::thread::scope(|scope| {
        let progress = &progress;
        let threads: Vec<Vec<_>> = owners
            .iter()
            .map(|owner| owner.devices.iter().map(|device| scope.spawn(|| save_on(device, progress))).collect())
            .collect();
        // Should this panic, the devices must stop all the same.
        let stop = StopAtEnd(progress);
        meanwhile(progress);
        drop(stop);
        made =
            threads.into_iter().map(|owner| owner.into_iter().map(|thread| thread.join().unwrap()).collect()).collect();
    });
    Load { made, cut_off: progress.cut_off.into_inner() }
}

/// How far the devices are.
#[derive(Default)]
pub(crate) struct Progress {
    stop: AtomicBool,
    saved: AtomicUsize,
    cut_off: AtomicUsize,
}

impl Progress {
    /// Saves that were confirmed.
    pub(crate) fn saved(&self) -> usize {
        self.saved.load(Ordering::Relaxed)
    }

    /// Waits until so many more saves were confirmed, or the time is up.
    pub(crate) fn wait_for(&self, more: usize, longest: Duration) {
        let (begun, before) = (Instant::now(), self.saved());
        while self.saved() < before + more && begun.elapsed() < longest {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

struct StopAtEnd<'a>(&'a Progress);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Relaxed);
    }
}

/// Saves new keys, and delivers what had to wait, until it is told to stop.
fn save_on(device: &Device, progress: &Progress) -> Made {
    let mut made = Made::new();
    while !progress.stop.load(Ordering::Relaxed) {
        if device.client.state().waiting().unwrap() < 4 {
            match device.client.save(&key_to_save()).unwrap() {
                Outcome::Saved { record_id, .. } => {
                    made.push(record_id);
                    progress.saved.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
                Outcome::Waiting { record_id, why } => {
                    made.push(record_id);
                    note(&why, progress);
                }
            }
        }
        deliver(device, progress);
    }
    made
}

fn deliver(device: &Device, progress: &Progress) {
    let delivery = device.client.deliver_outbox().unwrap();
    progress.saved.fetch_add(delivery.saved.len(), Ordering::Relaxed);
    for (_, why) in &delivery.waiting {
        note(why, progress);
    }
    if !delivery.waiting.is_empty() {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Everything but an answer that did not come, or "not now", is a defect.
fn note(why: &Error, progress: &Progress) {
    let passes = matches!(why, Error::Transport(_)) || why.code().is_some_and(|code| code.status() == 503);
    assert!(passes, "{why:?}");
    progress.cut_off.fetch_add(1, Ordering::Relaxed);
}

/// Delivers everything that still waits.
pub(crate) fn deliver_the_rest(owners: &[Owner]) {
    let progress = Progress::default();
    for device in owners.iter().flat_map(|owner| &owner.devices) {
        for _ in 0..50 {
            if device.client.state().waiting().unwrap() > 0 {
                deliver(device, &progress);
            }
        }
        assert_eq!(device.client.state().waiting().unwrap(), 0, "everything is delivered in the end");
    }
}

fn key_to_save() -> KeyToSave {
    let mut id = [0; 16];
    secret::random_bytes(&mut id);
    let id: String = id.iter().map(|byte| format!("{byte:02X}")).collect();
    let key_id = format!("{}-{}-{}-{}-{}", &id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]);
    KeyToSave {
        password: RecoveryPassword::random(),
        meta: Meta {
            key_id,
            volume_type: "removable".to_owned(),
            mount: "stick.img".to_owned(),
            label: "HOLIDAY".to_owned(),
            computer: "WORKSHOP".to_owned(),
            os: "linux".to_owned(),
            method: "XTS-AES-128".to_owned(),
            protector_created: None,
            source: "drive".to_owned(),
            client: "test/1".to_owned(),
        },
    }
}
