//! Accounts with devices, and saves of those devices, sealed and signed as a device does it.
//!
//! `people.tsv` has a line for each device: account, device, public key, certificate, in hexadecimal. `saves.bin` has whole HTTP
//! requests, each after its length as four bytes: first one of every device, then the second of every device.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use data_encoding::{HEXLOWER, HEXUPPER};
use secret::{RecoveryPassword, random_bytes};
use serde_json::json;
use vault_crypto::device::{DeviceKeys, NewDevice, certify};
use vault_crypto::record::{Draft, Meta, seal};
use vault_crypto::{CatalogueRoot, IndexKey, SigningKey, VaultRoot, key_statement};
use vault_protocol::device::Certificate;
use vault_protocol::record::AuthorKind;
use vault_protocol::statement::KeyStatement;
use vault_protocol::{AccountId, DeviceId, RecordId, Signed};

use crate::wire::request;

struct Device {
    id: DeviceId,
    key: SigningKey,
    certificate: Signed,
}

struct Account {
    statement: KeyStatement,
    index_key: IndexKey,
    devices: Vec<Device>,
}

pub(crate) fn run(folder: &Path, accounts: usize, devices: usize, saves: usize) -> String {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let accounts: Vec<Account> = (0..accounts).map(|_| account(devices)).collect();
    fs::write(folder.join("people.tsv"), people(&accounts)).unwrap();
    let mut out = BufWriter::new(fs::File::create(folder.join("saves.bin")).unwrap());
    let (mut count, mut bytes) = (0, 0);
    for seq in 1..=saves {
        let parts = accounts.chunks(accounts.len().div_ceil(threads).max(1));
        let sealed: Vec<Vec<Vec<u8>>> = std::thread::scope(|scope| {
            let work: Vec<_> = parts.map(|part| scope.spawn(move || requests(part, seq))).collect();
            work.into_iter().map(|part| part.join().unwrap()).collect()
        });
        for request in sealed.into_iter().flatten() {
            out.write_all(&u32::try_from(request.len()).unwrap().to_le_bytes()).unwrap();
            out.write_all(&request).unwrap();
            count += 1;
            bytes += request.len();
        }
    }
    out.flush().unwrap();
    json!({ "saves": count, "request_bytes": bytes / count.max(1) }).to_string()
}

fn account(devices: usize) -> Account {
    let (catalogue, vault) = (CatalogueRoot::random(), VaultRoot::random());
    let account_id = AccountId::new();
    let signed = key_statement(account_id, (1, None), &catalogue, &vault, NOW).unwrap();
    let statement: KeyStatement = serde_json::from_slice(&signed.payload).unwrap();
    let (identity, index_key) = (vault.identity_key(), catalogue.index_key());
    let devices = (0..devices).map(|n| device(account_id, n, &identity, &index_key)).collect();
    Account { statement, index_key, devices }
}

fn device(account_id: AccountId, n: usize, identity: &SigningKey, index_key: &IndexKey) -> Device {
    let keys = DeviceKeys::random();
    let (key, box_key) = (keys.signing_key(), keys.box_key());
    let name = format!("computer {n}");
    let new = NewDevice { account_id, name: &name, device_pk: key.public(), box_pk: box_key.public(), issued_at: NOW };
    let certificate = certify(&new, identity, index_key).unwrap();
    let parsed: Certificate = serde_json::from_slice(&certificate.payload).unwrap();
    Device { id: parsed.device_id, key, certificate }
}

/// The time of everything that is prepared; the service does not judge by it.
const NOW: i64 = 1_790_000_000_000;

fn people(accounts: &[Account]) -> String {
    let mut text = String::new();
    for account in accounts {
        for device in &account.devices {
            let certificate = HEXLOWER.encode(&serde_json::to_vec(&device.certificate).unwrap());
            let (account, id) = (account.statement.account_id, device.id);
            let (account, id) = (HEXLOWER.encode(account.as_bytes()), HEXLOWER.encode(id.as_bytes()));
            let _ = writeln!(text, "{account}\t{id}\t{}\t{certificate}", HEXLOWER.encode(device.key.public().bytes()));
        }
    }
    text
}

/// The save with this number of every device.
fn requests(accounts: &[Account], seq: usize) -> Vec<Vec<u8>> {
    let mut requests = Vec::new();
    for account in accounts {
        for device in &account.devices {
            let meta = meta();
            let draft = Draft {
                statement: &account.statement,
                author_id: device.id.into(),
                author_kind: AuthorKind::Device,
                author_key: &device.key,
                seq: u64::try_from(seq).unwrap(),
                created_at: NOW,
                supersedes: None,
                meta: &meta,
                index: account.index_key.entry(&meta.key_id),
            };
            let sealed = seal(&draft, &RecoveryPassword::random()).unwrap();
            let header: vault_protocol::record::Header = serde_json::from_slice(&sealed.header).unwrap();
            let id: RecordId = header.record_id;
            requests.push(request("PUT", &format!("/v1/records/{id}"), None, &serde_json::to_vec(&sealed).unwrap()));
        }
    }
    requests
}

/// Titles of an imagined drive.
pub(crate) fn meta() -> Meta {
    let mut id = [0; 16];
    random_bytes(&mut id);
    let id = HEXUPPER.encode(&id);
    Meta {
        key_id: format!("{}-{}-{}-{}-{}", &id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]),
        volume_type: "os".to_owned(),
        mount: "C:".to_owned(),
        label: "Windows".to_owned(),
        computer: "WORKSHOP-PC".to_owned(),
        os: "windows".to_owned(),
        method: "XTS-AES-128".to_owned(),
        protector_created: None,
        source: "drive".to_owned(),
        client: "keyhaven/bench".to_owned(),
    }
}
