//! People with accounts: they join, sign in, list and reveal, each with the real client.
//!
//! The client's password stretching is made cheap (`danger-fast-kdf`): it is not what is measured.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use secret::{RecoveryPassword, SecretString};
use serde_json::{Value, json};
use testkit::Authenticator;
use vault_client::{Client, KeyToSave, NewAccount, Outcome, Presence, SignInFactor, SignedIn, State};

use crate::prepare::meta;
use crate::times::Times;
use crate::wire::{Timed, Wire, request};

const PASSWORD: &str = "seven slow otters crossed the road";
/// People who act at once.
const AT_ONCE: usize = 4;
/// Listings by each person.
const LISTINGS: usize = 40;

/// Times of each kind of call.
type Calls = BTreeMap<String, Times>;

/// Somebody, and the folder of what they remember.
struct Person {
    wire: &'static Timed,
    client: Client<&'static Timed>,
    folder: PathBuf,
    email: String,
}

impl Person {
    fn at(origin: &str, folder: &Path, n: usize) -> Self {
        let folder = folder.join(format!("person-{n}"));
        // Far from the networks of the devices that save. Kept to the end of the process, which is near.
        let wire: &Timed = Box::leak(Box::new(Timed::connect(origin, 30_000 + n)));
        let client = Client::new(wire, State::new(folder.join("state")));
        Self { wire, client, folder, email: format!("person-{n}@example.org") }
    }

    fn authenticator(&self) -> Authenticator {
        Authenticator::scan(&fs::read_to_string(self.folder.join("link")).unwrap()).unwrap()
    }

    fn presence(code: SecretString) -> Presence {
        Presence { password: SecretString::from(PASSWORD), code }
    }

    /// Sign-up, second factor, backup codes, device, one key.
    fn join(&self, invite: &str) {
        fs::create_dir_all(&self.folder).unwrap();
        let new = NewAccount {
            email: self.email.clone(),
            password: SecretString::from(PASSWORD),
            invite: Some(invite.to_owned()),
        };
        self.client.sign_up(new, &mut || None, &mut |_| true).unwrap();
        let mut authenticator = None;
        let mut codes = |totp: &vault_client::NewTotp, wrong: Option<&vault_client::Error>| {
            assert!(wrong.is_none(), "{wrong:?}");
            let link = format!("otpauth://totp/x?secret={}", totp.secret.expose());
            fs::write(self.folder.join("link"), &link).unwrap();
            let mut scanned = Authenticator::scan(&link).unwrap();
            let codes = scanned.two_codes();
            authenticator = Some(scanned);
            Some(codes)
        };
        self.client.add_totp("phone", None, &mut codes).unwrap();
        let mut phone = authenticator.unwrap();
        let mut kept = String::new();
        let presence = Self::presence(SecretString::new(phone.fresh_code()));
        self.client
            .make_backup_codes(&presence, &mut |new| {
                kept = new.codes.iter().map(|code| format!("{}\n", code.expose())).collect();
                true
            })
            .unwrap();
        fs::write(self.folder.join("codes"), kept).unwrap();
        let presence = Self::presence(SecretString::new(phone.fresh_code()));
        self.client.enrol_this_computer("workshop PC", &presence).unwrap();
        let saved = self.client.save(&KeyToSave { password: RecoveryPassword::random(), meta: meta() }).unwrap();
        assert!(matches!(saved, Outcome::Saved { .. }), "{saved:?}");
    }

    fn sign_in(&self, code: String) {
        let mut code = Some(code);
        let signed_in = self
            .client
            .sign_in(&self.email, SecretString::from(PASSWORD), &mut |_| {
                Ok(SignInFactor { kind: "totp".to_owned(), code: SecretString::new(code.take().unwrap()) })
            })
            .unwrap();
        assert!(matches!(signed_in, SignedIn::Fully { .. }));
    }

    fn token(&self) -> String {
        let text = fs::read_to_string(self.folder.join("state/session.json")).unwrap();
        let session: Value = serde_json::from_str(&text).unwrap();
        session["token"].as_str().unwrap().to_owned()
    }
}

/// One person for each line of `invites`.
pub(crate) fn join(origin: &str, folder: &Path, invites: &Path) -> String {
    let invites = fs::read_to_string(invites).unwrap();
    let invites: Vec<&str> = invites.lines().collect();
    fs::write(folder.join("people"), invites.len().to_string()).unwrap();
    let times = side_by_side(invites.len(), |n| {
        let person = Person::at(origin, folder, n);
        person.join(invites[n]);
        person.wire.take_times()
    });
    told(times, invites.len())
}

/// Everybody signs in once.
pub(crate) fn sign_in(origin: &str, folder: &Path) -> String {
    let count = count(folder);
    // The codes of joining are used up a minute later.
    std::thread::sleep(Duration::from_secs(61));
    let times = side_by_side(count, |n| {
        let person = Person::at(origin, folder, n);
        let code = person.authenticator().fresh_code();
        person.sign_in(code);
        person.wire.take_times()
    });
    told(times, count)
}

/// Everybody lists their records again and again.
pub(crate) fn list(origin: &str, folder: &Path) -> String {
    let count = count(folder);
    let times = side_by_side(count, |n| {
        let bytes = request("GET", "/v1/records?limit=200", Some(&Person::at(origin, folder, n).token()), &[]);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut wire = Wire::connect(origin, n).await.unwrap();
            let mut times = Times::default();
            for _ in 0..LISTINGS {
                let begun = Instant::now();
                let (status, body) = wire.exchange(&bytes).await.unwrap();
                times.push(begun.elapsed());
                assert!(status == 200 && body.len() > 1000, "{}", String::from_utf8_lossy(body));
            }
            BTreeMap::from([("/v1/records".to_owned(), times)])
        })
    });
    told(times, count * LISTINGS)
}

/// Everybody reveals their key with each of their backup codes.
pub(crate) fn reveal(origin: &str, folder: &Path) -> String {
    let people = count(folder);
    let revealed = AtomicUsize::new(0);
    let times = side_by_side(people, |n| {
        let person = Person::at(origin, folder, n);
        let records = person.client.records().unwrap();
        let record = records.iter().find(|record| record.verified).unwrap().record_id;
        let codes = fs::read_to_string(person.folder.join("codes")).unwrap();
        let mut calls = Calls::new();
        for code in codes.lines() {
            person.wire.take_times();
            let presence = Person::presence(SecretString::from(code));
            person.client.reveal(record, "drill", &presence).unwrap();
            revealed.fetch_add(1, Ordering::Relaxed);
            let times = person.wire.take_times();
            let whole = times.values().map(Times::sum).sum();
            calls.entry("whole".to_owned()).or_default().push(whole);
            add(&mut calls, times);
        }
        calls
    });
    told(times, revealed.into_inner())
}

fn count(folder: &Path) -> usize {
    fs::read_to_string(folder.join("people")).unwrap().parse().unwrap()
}

/// Does something for each of `count` people, a few at once.
fn side_by_side(count: usize, act: impl Fn(usize) -> Calls + Sync) -> Calls {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut calls = Calls::new();
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= count {
                return calls;
            }
            add(&mut calls, act(n));
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        let mut calls = Calls::new();
        for thread in threads {
            add(&mut calls, thread.join().unwrap());
        }
        calls
    })
}

fn add(calls: &mut Calls, more: Calls) {
    for (call, times) in more {
        calls.entry(call).or_default().extend(times);
    }
}

fn told(calls: Calls, count: usize) -> String {
    let calls: BTreeMap<String, Value> = calls.into_iter().map(|(call, times)| (call, times.quantiles())).collect();
    json!({ "n": count, "calls": calls }).to_string()
}
