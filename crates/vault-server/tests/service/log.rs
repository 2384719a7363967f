//! The global log: public, complete, and a service that rewrites it is found out.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ed25519_dalek::{Signer, SigningKey};
use secret::SecretVec;
use serde_json::{Value, json};
use vault_client::Method::{self, Get, Post};
use vault_client::problem::Code;
use vault_client::{
    AuditBundle, AuditReport, BundleTrust, Client, Error, HttpTransport, Outcome, Request, Response, State, Transport,
    TransportError,
};
use vault_protocol::log::{Checkpoint, Edge, Hash, Note, Tile, TileId, log_name, signature_line};
use vault_protocol::messages::ServerIdentity;
use vault_protocol::routes;

use crate::harness::{Owner, PASSWORD, Service, code_of, key_to_save, sign_in, token};
use crate::hostile::{Tampering, flip, lied_to};

/// Fetches what anybody may fetch.
fn fetch(service: &Service, path: &str) -> Response {
    let body = SecretVec::new(Vec::new());
    service.transport().send(Request { method: Get, path, bearer: None, body }).unwrap()
}

fn log_pk(service: &Service) -> vault_protocol::PublicKey {
    let answer = fetch(service, routes::SERVER);
    serde_json::from_slice::<ServerIdentity>(&answer.body).unwrap().log_pk
}

/// The checkpoint that the service shows, checked.
fn checkpoint(service: &Service) -> Checkpoint {
    let answer = fetch(service, routes::LOG_CHECKPOINT);
    assert_eq!(answer.status, 200);
    let note = Note::parse(std::str::from_utf8(&answer.body).unwrap()).unwrap();
    note.checkpoint(&log_name(&service.origin()), &log_pk(service)).unwrap()
}

/// All leaves of the log, once it stands still.
fn leaves(service: &Service) -> Vec<Hash> {
    let mut size = 0;
    loop {
        let now = checkpoint(service).size;
        if now == size {
            break;
        }
        size = now;
        std::thread::sleep(Duration::from_millis(1200));
    }
    let first = TileId { level: 0, index: 0 };
    assert!(size < 256, "a small test");
    let tile = fetch(service, &routes::log_tile(first, size));
    Tile::parse(&tile.body).unwrap().hashes().to_vec()
}

/// A log of whatever leaves, signed with the service's own key.
#[derive(Clone)]
struct OtherLog {
    leaves: Vec<Hash>,
    name: String,
    key: SigningKey,
}

impl OtherLog {
    fn new(service: &Service, leaves: Vec<Hash>) -> Self {
        let keys = std::fs::read_to_string(service.folder.path().join("server.keys")).unwrap();
        let seed = keys.lines().find_map(|line| line.strip_prefix("log ")).unwrap();
        let seed = data_encoding::BASE64URL_NOPAD.decode(seed.as_bytes()).unwrap();
        Self { leaves, name: log_name(&service.origin()), key: SigningKey::from_bytes(&seed.try_into().unwrap()) }
    }

    fn edge(&self) -> Edge {
        let mut edge = Edge::new(0, |_| None).unwrap();
        for leaf in &self.leaves {
            edge.push(*leaf);
        }
        edge
    }

    fn note(&self) -> String {
        let edge = self.edge();
        let text = Checkpoint { origin: self.name.clone(), size: edge.size(), root: edge.root() }.to_text();
        let signature = self.key.sign(text.as_bytes()).to_bytes();
        format!("{text}\n{}", signature_line(&self.name, self.key.verifying_key().as_bytes(), &signature))
    }

    fn answer(&self, path: &str) -> Option<Vec<u8>> {
        if path == routes::LOG_CHECKPOINT {
            return Some(self.note().into_bytes());
        }
        let (id, width) = TileId::parse(path.strip_prefix("/log/tile/")?)?;
        let tile = self.edge().into_changed().remove(&id)?;
        let hashes = tile.hashes().get(..usize::try_from(width).unwrap())?;
        Some(hashes.concat())
    }
}

/// The owner's computer, with the log replaced on the way.
fn shown(service: &Service, owner: &Owner, log: OtherLog) -> Client<impl Transport> {
    let answers = Tampering::new(service.transport(), move |_, path, response| {
        if let Some(body) = log.answer(path) {
            *response = Response { status: 200, body };
        }
    });
    Client::new(answers, owners_state(owner))
}

fn owners_state(owner: &Owner) -> State {
    State::new(owner.computer.folder.path().join("state"))
}

fn evidence(owner: &Owner) -> Vec<PathBuf> {
    let folder = owner.computer.folder.path().join("state/evidence");
    std::fs::read_dir(folder).map(|files| files.map(|file| file.unwrap().path()).collect()).unwrap_or_default()
}

fn sound(report: &AuditReport) {
    assert_eq!(report.problems, Vec::<String>::new());
    assert_eq!((report.logged, report.pending), (report.entries, 0));
}

fn one_problem(report: &AuditReport, what: &str) {
    assert_eq!(report.problems.len(), 1, "{:?}", report.problems);
    assert!(report.problems[0].contains(what), "{:?}", report.problems);
}

/// An owner with a saved key whose computer knows the log.
fn settled(service: &Service, email: &str) -> Owner {
    let owner = service.enrolled(email);
    owner.save_one();
    sound(&owner.client().audit_verify().unwrap());
    owner
}

#[test]
fn every_entry_comes_into_the_log_and_everybody_can_read_it() {
    let service = Service::start();
    assert_eq!(checkpoint(&service).size, 0);
    let (ada, eve) = (settled(&service, "ada@example.org"), settled(&service, "eve@example.org"));
    let entries = [&ada, &eve].map(|owner| owner.client().audit_trail().unwrap().entries.len());
    let leaves = leaves(&service);
    assert_eq!(leaves.len(), entries[0] + entries[1]);
    let report = ada.client().audit_verify().unwrap();
    sound(&report);
    assert_eq!(report.log_size, leaves.len() as u64);

    // A tile is served in each width it ever had, and in no other.
    let first = TileId { level: 0, index: 0 };
    for width in 1..=leaves.len() {
        let tile = fetch(&service, &routes::log_tile(first, width as u64));
        assert_eq!((tile.status, tile.body), (200, leaves[..width].concat()), "{width}");
    }
    let beyond = leaves.len() as u64 + 1;
    for path in [
        routes::log_tile(first, beyond),
        routes::log_tile(first, 256),
        routes::log_tile(TileId { level: 1, index: 0 }, 1),
        routes::log_tile(TileId { level: 0, index: 1 }, 1),
        "/log/tile/entries/000".to_owned(),
        "/log/tile/0/000.p/0".to_owned(),
        "/log/tile/0/00".to_owned(),
        "/log/tile/0/%30%30%30/".to_owned(),
        "/log/tile/".to_owned(),
        "/log".to_owned(),
    ] {
        assert_eq!(fetch(&service, &path).status, 404, "{path}");
    }
    // Nothing of it tells what an entry says: the leaves are salted hashes.
    assert!(leaves.iter().all(|leaf| *leaf != [0; 32]));
}

#[test]
fn the_log_goes_on_after_a_restart() {
    let mut service = Service::start();
    let owner = settled(&service, "ada@example.org");
    let before = checkpoint(&service);
    service.stop();
    service.run();
    owner.save_one();
    sound(&owner.client().audit_verify().unwrap());
    assert!(checkpoint(&service).size > before.size);
}

#[test]
fn a_log_that_was_cut_or_rewritten_is_found_out() {
    let service = Service::start();
    let owner = settled(&service, "ada@example.org");
    type Change = fn(&mut Vec<Hash>);
    let cases: [(Change, &str); 6] = [
        (|leaves| leaves.truncate(leaves.len() - 1), "is shorter"),
        (Vec::clear, "is shorter"),
        (|leaves| leaves[2] = [0xBD; 32], "does not continue"),
        (|leaves| leaves.swap(0, 1), "does not continue"),
        (
            |leaves| {
                leaves[2] = [0xBD; 32];
                leaves.extend([[1; 32]; 9]);
            },
            "does not continue",
        ),
        (|leaves| leaves.insert(0, [7; 32]), "does not continue"),
    ];
    for (number, (change, what)) in cases.into_iter().enumerate() {
        // The sign-in at the end of each case is an entry: what is changed is the log as it was seen last.
        let mut changed = loop {
            let honest = leaves(&service);
            sound(&owner.client().audit_verify().unwrap());
            if checkpoint(&service).size == honest.len() as u64 {
                break honest;
            }
        };
        let seen = OtherLog::new(&service, changed.clone()).note();
        change(&mut changed);
        let log = OtherLog::new(&service, changed);
        let client = shown(&service, &owner, log.clone());
        let report = client.audit_verify().unwrap();
        one_problem(&report, what);
        let kept = PathBuf::from(report.evidence.clone().unwrap());
        let kept: Value = serde_json::from_slice(&std::fs::read(kept).unwrap()).unwrap();
        assert_eq!((kept["seen"].as_str(), kept["shown"].as_str()), (Some(seen.as_str()), Some(log.note().as_str())));
        // Shown again, it is the same evidence.
        client.audit_verify().unwrap();
        assert_eq!(evidence(&owner).len(), number + 1);
        // Nobody signs in to a service that contradicts itself.
        let signed_in = sign_in(&client, &owner.email, PASSWORD, &owner.fresh_code());
        assert_eq!(code_of(signed_in), Code::LogInconsistent, "{what}");
        sound(&OtherLog::report(&owner));
    }
}

impl OtherLog {
    /// What the honest service shows is accepted on, so the pin was not moved.
    fn report(owner: &Owner) -> AuditReport {
        owner.client().audit_verify().unwrap()
    }
}

#[test]
fn what_another_key_signed_or_another_log_is_refused() {
    let service = Service::start();
    let owner = settled(&service, "ada@example.org");
    let honest = OtherLog::new(&service, leaves(&service));
    let other_key = OtherLog { key: SigningKey::from_bytes(&[3; 32]), ..honest.clone() };
    let other_name = OtherLog { name: "elsewhere.example.org/log".to_owned(), ..honest.clone() };
    for (log, what) in [(other_key, "pinned key"), (other_name, "another log")] {
        let client = shown(&service, &owner, log);
        let report = client.audit_verify().unwrap();
        assert_eq!(report.problems.len(), 1, "{:?}", report.problems);
        assert!(report.evidence.is_some());
        let signed_in = sign_in(&client, &owner.email, PASSWORD, &owner.fresh_code()).unwrap_err();
        assert!(matches!(&signed_in, Error::Log { what: said, .. } if said.contains(what)), "{signed_in}");
    }
    sound(&shown(&service, &owner, OtherLog::new(&service, leaves(&service))).audit_verify().unwrap());
}

#[test]
fn two_owners_who_are_shown_two_logs_find_out_when_one_sees_the_others() {
    let service = Service::start();
    let (ada, eve) = (settled(&service, "ada@example.org"), settled(&service, "eve@example.org"));
    let honest = leaves(&service);
    // Eve's computer is new and trusts what it is shown first: a log without Ada's newest entries, and others for them.
    let mut forked = honest.clone();
    forked.truncate(3);
    forked.extend([[0xEE; 32]; 40]);
    let fork = OtherLog::new(&service, forked);
    std::fs::remove_file(eve.computer.folder.path().join("state/log.json")).unwrap();
    let eves = shown(&service, &eve, fork.clone());
    sign_in(&eves, &eve.email, PASSWORD, &eve.fresh_code()).unwrap();
    // Neither is ever taken over to the other's.
    one_problem(&shown(&service, &ada, fork).audit_verify().unwrap(), "does not continue");
    let signed_in = sign_in(eve.client(), &eve.email, PASSWORD, &eve.fresh_code());
    assert_eq!(code_of(signed_in), Code::LogInconsistent);
}

#[test]
fn tiles_that_do_not_belong_to_the_checkpoint_are_found_out() {
    let service = Service::start();
    let owner = settled(&service, "ada@example.org");
    owner.save_one();
    leaves(&service);
    let client = |change: fn(&mut Response)| {
        let answers = Tampering::new(service.transport(), move |_, path, response| {
            if path.starts_with("/log/tile/") {
                change(response);
            }
        });
        Client::new(answers, owners_state(&owner))
    };
    let report = client(|tile| tile.body[5] ^= 1).audit_verify().unwrap();
    one_problem(&report, "does not continue");
    assert!(report.evidence.is_some());
    // A tile that is none says nothing about the log.
    let broken: [fn(&mut Response); 5] = [
        |tile| tile.body.truncate(tile.body.len() - 1),
        |tile| tile.body.clear(),
        |tile| tile.body.extend([0; 32]),
        |tile| tile.body = b"<html>please log in to the hotel</html>".to_vec(),
        |tile| tile.status = 502,
    ];
    for change in broken {
        let error = client(change).audit_verify().unwrap_err();
        assert_ne!(error.code(), Some(Code::LogInconsistent), "{error}");
        sign_in(&client(change), &owner.email, PASSWORD, &owner.fresh_code()).unwrap();
    }
    // A tile that was damaged once on the way is asked for again.
    let damaged = AtomicUsize::new(0);
    let answers = Tampering::new(service.transport(), move |_, path, response| {
        if path.starts_with("/log/tile/") && damaged.fetch_add(1, Ordering::SeqCst) == 0 {
            response.body[5] ^= 1;
        }
    });
    sound(&Client::new(answers, owners_state(&owner)).audit_verify().unwrap());
}

#[test]
fn a_log_that_cannot_be_read_is_no_contradiction() {
    let service = Service::start();
    let owner = settled(&service, "ada@example.org");
    let broken: [fn(&mut Response); 4] = [
        |answer| answer.status = 503,
        |answer| answer.body = b"<html>please log in to the hotel</html>".to_vec(),
        |answer| answer.body.clear(),
        |answer| answer.body = vec![0xFF; 100],
    ];
    for change in broken {
        let answers = Tampering::new(service.transport(), move |_, path, response| {
            if path == routes::LOG_CHECKPOINT {
                change(response);
            }
        });
        let client = Client::new(answers, owners_state(&owner));
        sign_in(&client, &owner.email, PASSWORD, &owner.fresh_code()).unwrap();
        let error = client.audit_verify().unwrap_err();
        assert_ne!(error.code(), Some(Code::LogInconsistent), "{error}");
        assert!(matches!(client.save(&key_to_save()).unwrap(), Outcome::Saved { .. }));
    }
    assert_eq!(evidence(&owner), Vec::<PathBuf>::new());
    sound(&owner.client().audit_verify().unwrap());
}

#[test]
fn false_and_missing_proofs_are_found_out() {
    let service = Service::start();
    let owner = settled(&service, "ada@example.org");
    let changes: [fn(&mut Value); 4] = [
        |page| page["proofs"][1]["index"] = json!(page["proofs"][1]["index"].as_u64().unwrap() + 1),
        |page| page["proofs"][1]["index"] = json!(u64::MAX),
        |page| flip(&mut page["proofs"][1]["path"][0]),
        |page| drop(page["proofs"][1]["path"].as_array_mut().unwrap().pop()),
    ];
    for change in changes {
        let report = lied_to(&service, &owner, routes::AUDIT_PROOFS, change).audit_verify().unwrap();
        one_problem(&report, "entry 2: it is not where");
        assert_eq!(report.first_bad_entry, Some(2));
    }
    let swapped = lied_to(&service, &owner, routes::AUDIT_PROOFS, |page| {
        let proofs = page["proofs"].as_array_mut().unwrap();
        (proofs[1]["seq"], proofs[2]["seq"]) = (json!(3), json!(2));
    });
    assert_eq!(swapped.audit_verify().unwrap().problems.len(), 2);

    // An entry that the log leaves out: young ones may wait, old ones may not.
    let left_out = || {
        lied_to(&service, &owner, routes::AUDIT_PROOFS, |page| drop(page["proofs"].as_array_mut().unwrap().pop()))
            .with_patience(Duration::from_millis(300))
    };
    owner.save_one();
    let report = left_out().audit_verify().unwrap();
    assert_eq!((report.problems.len(), report.pending), (0, 1));
    // One that calls itself of tomorrow is not young for ever.
    let dated =
        lied_to(&service, &owner, routes::AUDIT_PROOFS, |page| drop(page["proofs"].as_array_mut().unwrap().pop()))
            .with_patience(Duration::from_millis(300))
            .with_clock(ten_minutes_ago);
    let report = dated.audit_verify().unwrap();
    one_problem(&report, "it is not in the service's log");
    assert_eq!((report.first_bad_entry, report.pending), (Some(report.entries as u64), 0));
    service.clock.advance_ms(61_000);
    sign_in(&service.computer().client, &owner.email, PASSWORD, &owner.fresh_code()).unwrap();
    let hides_all = lied_to(&service, &owner, routes::AUDIT_PROOFS, |page| page["proofs"] = json!([]));
    let report = hides_all.with_patience(Duration::ZERO).audit_verify().unwrap();
    assert!(report.problems.len() > 5 && report.first_bad_entry == Some(1), "{:?}", report.problems);
    assert!(report.problems[0].contains("entry 1: it is not in the service's log"));
    // A client that is told of no entries at all ends.
    let stuck = lied_to(&service, &owner, routes::AUDIT_PROOFS, |page| {
        page["proofs"] = json!([]);
        page["last"] = json!(0);
    });
    assert!(!stuck.with_patience(Duration::ZERO).audit_verify().unwrap().problems.is_empty());
    sound(&owner.client().audit_verify().unwrap());
}

#[test]
fn proofs_are_for_the_owner_and_for_logs_that_are_there() {
    let service = Service::start();
    let owner = settled(&service, "ada@example.org");
    let token = owner.token();
    let ask = |query: &str| service.raw(Get, &format!("{}?{query}", routes::AUDIT_PROOFS), Some(&token), &json!({}));
    let all = ask("").body;
    let size = all["size"].as_u64().unwrap();
    assert_eq!(ask("limit=2").body["last"], 2);
    assert_eq!(ask("limit=1000000").status, 200);
    assert_eq!(ask("size=0").body["proofs"], json!([]));
    assert_eq!(ask("after=1000000").body["last"], 1_000_000);
    for query in [format!("size={}", size + 10_000), "size=-1".into(), "after=-1".into(), format!("after={}", u64::MAX)]
    {
        assert_eq!(ask(&query).status, 400, "{query}");
    }
    // A proof for an older size is good for that size.
    let older = ask("size=3").body;
    assert!(older["proofs"].as_array().unwrap().iter().all(|proof| proof["index"].as_u64().unwrap() < 3));
}

#[test]
fn a_release_that_the_trail_hides_is_missed() {
    let service = Service::start();
    let owner = service.enrolled("ada@example.org");
    let (_, record) = owner.save_one();
    owner.client().reveal(record.record_id, "drill", &owner.presence()).unwrap();
    owner.client().export(&[record.record_id], &owner.presence()).unwrap();
    // The trail ends before the newest release, and its head says so.
    let client = lied_to(&service, &owner, "/v1/audit", |page| {
        let entries = page["entries"].as_array_mut().unwrap();
        if entries.len() > 1 {
            entries.pop();
            let bytes = data_encoding::BASE64URL_NOPAD.decode(entries.last().unwrap().as_str().unwrap().as_bytes());
            let hash = vault_protocol::audit::entry_hash(&bytes.unwrap());
            let hash = data_encoding::BASE64URL_NOPAD.encode(&hash);
            page["head"] = json!({ "seq": entries.len(), "hash": hash });
        }
    });
    let report = client.audit_verify().unwrap();
    one_problem(&report, "remembers has no entry");
    let report = owner.client().audit_verify().unwrap();
    sound(&report);
    assert_eq!((report.reveals, report.remembered), (2, 2));
}

#[test]
fn a_release_is_given_out_when_its_entry_cannot_be_looked_for() {
    let service = Service::start();
    let owner = service.enrolled("ada@example.org");
    let (_, record) = owner.save_one();
    let answers = Tampering::new(service.transport(), |_, path, response| {
        if path.starts_with("/v1/audit") {
            response.status = 502;
        }
    });
    let client = Client::new(answers, owners_state(&owner));
    client.reveal(record.record_id, "drill", &owner.presence()).unwrap();
    let report = owner.client().audit_verify().unwrap();
    sound(&report);
    assert_eq!(report.remembered, 1, "counted, though its number is not known");
}

static TOLD: AtomicUsize = AtomicUsize::new(0);

fn later_by(milliseconds: i64) -> i64 {
    use vault_server::Clock;
    vault_server::SystemClock.now_ms() + milliseconds
}

fn ten_minutes_ago() -> i64 {
    later_by(-600_000)
}

fn in_two_days() -> i64 {
    later_by(2 * 24 * 3600 * 1000)
}

fn in_six_days() -> i64 {
    later_by(6 * 24 * 3600 * 1000)
}

#[test]
fn a_fork_whose_tiles_are_kept_back_is_told_and_kept() {
    let service = Service::start();
    let owner = settled(&service, "ada@example.org");
    let mut forked = leaves(&service);
    sound(&owner.client().audit_verify().unwrap());
    forked[1] = [0xBD; 32];
    for more in [3, 9] {
        forked.extend(vec![[1; 32]; more]);
        let log = OtherLog::new(&service, forked.clone());
        let note = log.note();
        let answers = Tampering::new(service.transport(), move |_, path, response| {
            if path == routes::LOG_CHECKPOINT {
                *response = Response { status: 200, body: note.clone().into_bytes() };
            } else if path.starts_with("/log/tile/") {
                response.status = 503;
            }
        });
        let client = Client::new(answers, owners_state(&owner)).telling_log_faults(|error| {
            assert!(matches!(error, Error::Log { what, .. } if what.contains("connects")), "{error}");
            TOLD.fetch_add(1, Ordering::SeqCst);
        });
        let before = TOLD.load(Ordering::SeqCst);
        sign_in(&client, &owner.email, PASSWORD, &owner.fresh_code()).unwrap();
        let client = client.with_clock(in_two_days);
        assert!(matches!(client.save(&key_to_save()).unwrap(), Outcome::Saved { .. }));
        assert_eq!(TOLD.load(Ordering::SeqCst), before + 2);
        assert_ne!(client.audit_verify().unwrap_err().code(), Some(Code::LogInconsistent));
    }
    let [kept] = evidence(&owner).try_into().unwrap();
    let kept: Value = serde_json::from_slice(&std::fs::read(kept).unwrap()).unwrap();
    assert!(kept["seen"].is_string() && kept["shown"].as_str().unwrap().contains("/log\n"), "{kept}");
    sound(&owner.client().audit_verify().unwrap());
}

#[test]
fn a_log_that_could_not_be_checked_for_days_is_told() {
    let service = Service::start();
    let owner = settled(&service, "ada@example.org");
    let broken: [fn(&mut Response); 2] =
        [|answer| answer.status = 503, |answer| answer.body = b"<html>please log in to the hotel</html>".to_vec()];
    for change in broken {
        let client = |clock| {
            let answers = Tampering::new(service.transport(), move |_, path, response| {
                if path == routes::LOG_CHECKPOINT {
                    change(response);
                }
            });
            let told = |error: &Error| {
                assert!(matches!(error, Error::LogUnchecked { days: 6.. }), "{error}");
                TOLD.fetch_add(1, Ordering::SeqCst);
            };
            Client::new(answers, owners_state(&owner)).with_clock(clock).telling_log_faults(told)
        };
        let before = TOLD.load(Ordering::SeqCst);
        assert!(matches!(client(in_two_days).save(&key_to_save()).unwrap(), Outcome::Saved { .. }));
        assert_eq!(TOLD.load(Ordering::SeqCst), before);
        assert!(matches!(client(in_six_days).save(&key_to_save()).unwrap(), Outcome::Saved { .. }));
        assert_eq!(TOLD.load(Ordering::SeqCst), before + 1);
    }
    assert!(evidence(&owner).is_empty());
}

/// A pin that another process made while a log was looked at is not written over.
#[test]
fn a_log_that_was_pinned_meanwhile_is_compared_the_next_time() {
    let service = Service::start();
    let owner = settled(&service, "ada@example.org");
    let honest = leaves(&service);
    for shorter in [1, 0] {
        std::fs::remove_file(owner.computer.folder.path().join("state/log.json")).unwrap();
        let mut forked = honest.clone();
        forked[0] = [7; 32];
        forked.truncate(honest.len() - shorter);
        let other = OtherLog::new(&service, forked.clone());
        let (same, done) = (OtherLog::new(&service, honest.clone()), AtomicUsize::new(0));
        let owner_ref = &owner;
        let service_ref = &service;
        let answers = Tampering::new(service.transport(), move |_, path, response| {
            if path == routes::LOG_CHECKPOINT {
                *response = Response { status: 200, body: same.note().into_bytes() };
            } else if path.starts_with(routes::AUDIT_PROOFS) && done.fetch_add(1, Ordering::SeqCst) == 0 {
                let other = shown(service_ref, owner_ref, other.clone());
                sign_in(&other, &owner_ref.email, PASSWORD, &owner_ref.fresh_code()).unwrap();
            }
        });
        let client = Client::new(answers, owners_state(&owner)).with_patience(Duration::ZERO);
        let before = evidence(&owner).len();
        let report = client.audit_verify().unwrap();
        assert_eq!(report.evidence.is_some(), shorter == 0, "{shorter}: {:?}", report.problems);
        // The other's pin stands, so the next look finds it out.
        one_problem(&owner.client().audit_verify().unwrap(), "does not continue");
        assert!(evidence(&owner).len() > before);
    }
}

#[test]
fn a_device_looks_at_the_log_once_a_day_and_saves_in_any_case() {
    let service = Service::start();
    let owner = settled(&service, "ada@example.org");
    let mut other = leaves(&service);
    other[0] = [9; 32];
    let log = OtherLog::new(&service, other);
    // Today's look was had: the log is not asked for.
    let client = shown(&service, &owner, log.clone()).telling_log_faults(|_| panic!("it was not asked for"));
    assert!(matches!(client.save(&key_to_save()).unwrap(), Outcome::Saved { .. }));
    let client = shown(&service, &owner, log).with_clock(in_two_days).telling_log_faults(|error| {
        assert_eq!(error.code(), Some(Code::LogInconsistent));
        TOLD.fetch_add(1, Ordering::SeqCst);
    });
    assert!(matches!(client.save(&key_to_save()).unwrap(), Outcome::Saved { .. }));
    assert_eq!(TOLD.load(Ordering::SeqCst), 1);
    assert_eq!(evidence(&owner).len(), 1);
    // The honest one is taken, and a clock that was set back changes nothing.
    let client = Client::new(service.transport(), owners_state(&owner)).with_clock(in_two_days);
    client.save(&key_to_save()).unwrap();
    owner.client().save(&key_to_save()).unwrap();
    sound(&owner.client().audit_verify().unwrap());
}

#[test]
fn a_device_proves_its_own_saves_without_a_session() {
    let service = Service::start();
    let owner = settled(&service, "ada@example.org");
    owner.save_one();
    owner.client().sign_out().unwrap();
    leaves(&service);
    let report = owner.client().verify_receipts().unwrap();
    assert_eq!((report.logged, report.pending, report.others, report.problems.len()), (2, 0, 0, 0));
    let proof = |change: fn(&mut Value)| lied_to(&service, &owner, "/proof", change);
    let report = proof(|answer| answer["proof"] = json!(null)).verify_receipts().unwrap();
    assert_eq!((report.logged, report.pending), (0, 2));
    // A place that is owed for two days, and a save that the service forgot.
    let late = proof(|answer| answer["proof"] = json!(null)).with_clock(in_two_days).verify_receipts().unwrap();
    assert_eq!((late.pending, late.problems.len()), (0, 2), "{:?}", late.problems);
    let future = proof(|answer| answer["proof"] = json!(null)).with_clock(|| 0).verify_receipts().unwrap();
    assert_eq!((future.pending, future.problems.len()), (0, 2), "{:?}", future.problems);
    let forgets = Tampering::new(service.transport(), |_, path, response| {
        if path.ends_with("/proof") {
            response.status = 404;
            response.body = serde_json::to_vec(&Code::RecordNotFound.problem()).unwrap();
        }
    });
    let report = Client::new(forgets, owners_state(&owner)).verify_receipts().unwrap();
    assert_eq!((report.others, report.problems.len()), (0, 2), "{:?}", report.problems);
    let moved = proof(|answer| {
        let text = answer["proof"].as_str().unwrap().to_owned();
        let line = text.lines().find(|line| line.starts_with("index ")).unwrap().to_owned();
        answer["proof"] = json!(text.replace(&line, "index 0"));
    });
    assert_eq!(moved.verify_receipts().unwrap().problems.len(), 2);
    for answer in ["", "c2sp.org/tlog-proof@v1\nindex 0\n\nno checkpoint\n"] {
        let client = Tampering::new(service.transport(), move |_, path, response| {
            if path.ends_with("/proof") {
                response.body = serde_json::to_vec(&json!({ "proof": answer })).unwrap();
            }
        });
        Client::new(client, owners_state(&owner)).verify_receipts().unwrap_err();
    }
    // The proof's own checkpoint is judged as any other.
    let fork = OtherLog::new(&service, vec![[1; 32]; 50]);
    let note = fork.note();
    let forked = Tampering::new(service.transport(), move |_, path, response| {
        if path.ends_with("/proof") {
            let proof = format!("c2sp.org/tlog-proof@v1\nindex 0\n\n{note}");
            response.body = serde_json::to_vec(&json!({ "proof": proof })).unwrap();
        } else if let Some(body) = fork.answer(path).filter(|_| path.starts_with("/log/tile")) {
            *response = Response { status: 200, body };
        }
    });
    let found = Client::new(forked, owners_state(&owner)).verify_receipts();
    assert_eq!(code_of(found), Code::LogInconsistent);
}

#[test]
fn a_proof_is_asked_for_by_the_device_that_saved() {
    let service = Service::start();
    let (ada, eve) = (settled(&service, "ada@example.org"), settled(&service, "eve@example.org"));
    let record = ada.client().records().unwrap()[0].record_id.to_string();
    let path = routes::with_id(routes::RECORD_PROOF, &record);
    for (body, code) in [
        (json!({}), "request.invalid"),
        (json!({ "t": "proof", "p": "e30", "k": "AAAAAAAAAAA", "s": "" }), "request.invalid"),
    ] {
        assert_eq!(service.raw(Post, &path, Some(&ada.token()), &body).code(), code);
    }
    // Eve's device asks with its own signature for Ada's record, and with Ada's name.
    let seen = std::sync::Mutex::new(None);
    let watching = Watching { inner: service.transport(), seen: &seen };
    Client::new(watching, owners_state(&eve)).verify_receipts().unwrap();
    let question: Value = seen.into_inner().unwrap().unwrap();
    assert_eq!(service.raw(Post, &path, None, &question).code(), "request.invalid", "another record");
    let mut other = question.clone();
    let payload = data_encoding::BASE64URL_NOPAD.decode(question["p"].as_str().unwrap().as_bytes()).unwrap();
    let mut payload: Value = serde_json::from_slice(&payload).unwrap();
    payload["record_id"] = json!(record);
    other["p"] = json!(data_encoding::BASE64URL_NOPAD.encode(&serde_json::to_vec(&payload).unwrap()));
    assert_eq!(service.raw(Post, &path, None, &other).code(), "record.signature");
    let account = ada.client().account().unwrap().account_id;
    payload["account_id"] = json!(account);
    other["p"] = json!(data_encoding::BASE64URL_NOPAD.encode(&serde_json::to_vec(&payload).unwrap()));
    assert_eq!(service.raw(Post, &path, None, &other).code(), "device.revoked");
    let held = routes::with_id(routes::HELD, &record);
    assert_ne!(service.raw(Post, &held, None, &question).status, 200, "one question does not stand for another");
}

/// Keeps the body of the last question for a proof.
struct Watching<'a> {
    inner: HttpTransport,
    seen: &'a std::sync::Mutex<Option<Value>>,
}

impl Transport for Watching<'_> {
    fn send(&self, request: Request<'_>) -> Result<Response, TransportError> {
        if request.method == Method::Post && request.path.ends_with("/proof") {
            *self.seen.lock().unwrap() = serde_json::from_slice(request.body.expose()).ok();
        }
        self.inner.send(request)
    }
    fn origin(&self) -> &str {
        self.inner.origin()
    }
}

#[test]
fn a_bundle_is_checked_anywhere_and_every_change_of_it_is_found() {
    let service = Service::start();
    let owner = settled(&service, "ada@example.org");
    // What is as old as this must be in the log by the time of what follows.
    service.clock.advance_ms(600_000);
    let (_, record) = owner.save_one();
    owner.client().reveal(record.record_id, "drill", &owner.presence()).unwrap();
    leaves(&service);
    let bytes = owner.client().audit_export().unwrap().to_bytes().unwrap();
    let (_, _, account) = owner.client().known_account().unwrap().unwrap();
    let told = owner.client().service_fingerprint().unwrap();
    drop(service);

    // The service is gone.
    let nowhere = tempfile::tempdir().unwrap();
    let transport = HttpTransport::new(&AuditBundle::parse(&bytes).unwrap().origin).unwrap();
    let elsewhere = Client::new(transport, State::new(nowhere.path().join("state")));
    let check = |bytes: &[u8], account: &str, service: &str| {
        let trust = BundleTrust::Fingerprints { account: account.to_owned(), service: service.to_owned() };
        elsewhere.audit_verify_bundle(&AuditBundle::parse(bytes)?, &trust, &[])
    };
    sound(&check(&bytes, &account, &told).unwrap());
    sound(&check(&bytes, &account.to_lowercase().replace('-', " "), &told).unwrap());
    let known = owner.client().audit_verify_bundle(&AuditBundle::parse(&bytes).unwrap(), &BundleTrust::State, &[]);
    sound(&known.unwrap());
    assert_eq!(code_of(check(&bytes, &told, &told)), Code::LogInconsistent, "another account");
    assert_eq!(code_of(check(&bytes, &account, &account)), Code::LogInconsistent, "another service");
    let bundle = AuditBundle::parse(&bytes).unwrap();
    let unknown = elsewhere.audit_verify_bundle(&bundle, &BundleTrust::State, &[]).unwrap_err();
    assert!(matches!(unknown, Error::NotSignedIn), "{unknown}");

    let changed = |change: &dyn Fn(&mut Value)| {
        let mut bundle: Value = serde_json::from_slice(&bytes).unwrap();
        change(&mut bundle);
        serde_json::to_vec(&bundle).unwrap()
    };
    let first_bad = |change: &dyn Fn(&mut Value)| {
        let report = check(&changed(change), &account, &told).unwrap();
        assert!(!report.problems.is_empty());
        report.first_bad_entry
    };
    assert_eq!(first_bad(&|bundle| flip(&mut bundle["entries"][3])), Some(4));
    assert_eq!(first_bad(&|bundle| drop(bundle["entries"].as_array_mut().unwrap().remove(2))), Some(3));
    assert_eq!(first_bad(&|bundle| bundle["entries"].as_array_mut().unwrap().swap(4, 5)), Some(5));
    assert_eq!(first_bad(&|bundle| flip(&mut bundle["proofs"][2]["path"][0])), Some(3));
    assert_eq!(first_bad(&|bundle| drop(bundle["proofs"].as_array_mut().unwrap().remove(0))), Some(1));
    assert_eq!(first_bad(&|bundle| flip(&mut bundle["records"][0]["save"]["s"])), None);
    assert_eq!(first_bad(&|bundle| flip(&mut bundle["receipts"][0]["p"])), None);
    assert_eq!(first_bad(&|bundle| bundle["seen"] = bundle["checkpoint"].clone()), None);
    assert_eq!(first_bad(&|bundle| bundle["consistency"] = json!([])), None);
    assert_eq!(first_bad(&|bundle| bundle["checkpoint"] = json!("nothing")), None);
    let saved = first_bad(&|bundle| drop(bundle["records"].as_array_mut().unwrap().remove(0)));
    assert!(saved.is_some_and(|seq| seq > 1), "{saved:?}");
    // Entries cut off at the end leave a release and a receipt without theirs.
    let cut = first_bad(&|bundle| {
        let entries = bundle["entries"].as_array_mut().unwrap();
        entries.truncate(4);
    });
    assert!(cut.is_some_and(|seq| seq > 4), "{cut:?}");
    for key in ["receipt_pk", "log_pk"] {
        let swapped = changed(&|bundle| flip(&mut bundle[key]["pk"]));
        assert_eq!(code_of(check(&swapped, &account, &told)), Code::LogInconsistent, "{key}");
    }
    let stranger = changed(&|bundle| flip(&mut bundle["key_statement"]["p"]));
    assert_eq!(code_of(check(&stranger, &account, &told)), Code::LogInconsistent);
    for bad in [&b"{}"[..], b"", b"[1]", &changed(&|bundle| bundle["v"] = json!(2))] {
        AuditBundle::parse(bad).unwrap_err();
    }
}

#[test]
fn a_service_goes_on_while_its_log_cannot_grow() {
    let service = Service::start();
    let owner = settled(&service, "ada@example.org");
    leaves(&service);
    // Somebody changed a tile: nothing is signed on top of it, and saving and revealing go on.
    let database = service.folder.path().join("vault.sqlite");
    let sql = "DROP TRIGGER log_tiles_grow; UPDATE log_tiles SET hashes = zeroblob(length(hashes));";
    let done = std::process::Command::new("sqlite3").arg(&database).arg(sql).output();
    let Ok(done) = done else { return testkit::skip("sqlite3 is not installed") };
    assert!(done.status.success(), "{done:?}");
    let size = checkpoint(&service).size;
    let (_, record) = owner.save_one();
    owner.client().reveal(record.record_id, "drill", &owner.presence()).unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(checkpoint(&service).size, size);
    assert!(!token(owner.computer.folder.path()).is_empty());
}
