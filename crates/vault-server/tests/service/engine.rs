//! The client as browsers run it (`vault-wasm`), against the service: calls with JSON, and questions that are answered meanwhile.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use data_encoding::{BASE64, BASE64URL_NOPAD};
use secret::{SecretVec, random_bytes};
use serde_json::{Value, json};
use vault_client::{Authenticator, AuthenticatorError, Client, Memory, Method, Request, State, Transport};
use vault_server::Clock;
use vault_wasm::{Answer, Engine, Host};
use zeroize::Zeroizing;

use crate::authenticator::SoftAuthenticator;
use crate::harness::{PASSWORD, STEP_MS, Service, code_at, key_to_save, presence, sign_in};

const NEW: &str = "nine tall herons by the water";
const EMAIL: &str = "ada@example.org";

/// A page with a person before it. What it is asked goes to `person`; passkeys go to an authenticator.
struct Page {
    transport: Box<dyn Transport + Send + Sync>,
    person: Mutex<Person>,
    authenticator: Arc<SoftAuthenticator>,
    /// The bodies of all requests, as text.
    sent: Arc<Mutex<String>>,
}

type Person = Box<dyn FnMut(&str, &Value) -> Value + Send>;

impl Host for Page {
    fn http(&self, method: &str, path: &str, bearer: Option<&str>, body: &[u8]) -> Result<Answer, String> {
        let method = match method {
            "GET" => Method::Get,
            "POST" => Method::Post,
            "PUT" => Method::Put,
            other => panic!("{other}"),
        };
        self.sent.lock().unwrap().push_str(&String::from_utf8_lossy(body));
        let request = Request { method, path, bearer, body: SecretVec::new(body.to_vec()) };
        let response = self.transport.send(request).map_err(|error| error.to_string())?;
        Ok(Answer { status: response.status, body: response.body })
    }

    fn ask(&self, question: &str, about: &str) -> Zeroizing<String> {
        let about: Value = serde_json::from_str(about).unwrap();
        let answer = match question {
            "createPasskey" => self.ceremony(&about, |options, prf| {
                let (made, prf) = self.authenticator.create(&from(options), prf)?;
                Ok((json!(made), made.id.0, prf.is_some()))
            }),
            "getPasskey" => self.ceremony(&about, |options, prf| {
                let (proof, prf) = self.authenticator.get(&from(options), prf)?;
                Ok((json!(proof), proof.id.0, prf.is_some()))
            }),
            _ => (self.person.lock().unwrap())(question, &about),
        };
        Zeroizing::new(answer.to_string())
    }
}

fn from<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap()
}

impl Page {
    /// As the page's script does it: the output of `prf` apart from what is sent.
    fn ceremony(
        &self,
        about: &Value,
        act: impl FnOnce(&Value, &[u8; 32]) -> Result<(Value, Vec<u8>, bool), AuthenticatorError>,
    ) -> Value {
        let input: [u8; 32] = BASE64.decode(about["prf"].as_str().unwrap().as_bytes()).unwrap().try_into().unwrap();
        match act(&about["options"], &input) {
            Ok((credential, id, evaluates)) => {
                let prf = evaluates.then(|| BASE64.encode(&self.authenticator.prf(&id, &input)));
                json!({ "credential": credential, "prf": prf })
            }
            Err(AuthenticatorError::HasOne) => json!({ "error": "has-one" }),
            Err(AuthenticatorError::HasNone) => json!({ "error": "has-none" }),
            Err(_) => json!({ "error": "not-confirmed" }),
        }
    }
}

/// A browser that shows the service's page.
struct Browser {
    engine: Engine<Page>,
    sent: Arc<Mutex<String>>,
    authenticator: Arc<SoftAuthenticator>,
    /// What outlives a page.
    kept: BTreeMap<String, String>,
    /// Everything that a page was told to keep, ever.
    told: String,
}

fn now() -> vault_client::Millis {
    vault_server::SystemClock.now_ms()
}

impl Browser {
    fn open(service: &Service, kept: &BTreeMap<String, String>, person: Person) -> Self {
        Self::over(service, Box::new(service.transport()), kept, person)
    }

    fn over(
        service: &Service,
        transport: Box<dyn Transport + Send + Sync>,
        kept: &BTreeMap<String, String>,
        person: Person,
    ) -> Self {
        let sent = Arc::new(Mutex::new(String::new()));
        let authenticator = Arc::new(SoftAuthenticator::new(&service.origin()));
        let page = Page {
            transport,
            person: Mutex::new(person),
            authenticator: Arc::clone(&authenticator),
            sent: Arc::clone(&sent),
        };
        let engine = Engine::new(page, &service.origin(), &json!(kept).to_string(), now, std::thread::sleep);
        Self { engine, sent, authenticator, kept: kept.clone(), told: String::new() }
    }

    /// One call; what it changed is kept before it is over, as the Worker does it.
    fn try_call(&mut self, name: &str, arguments: &Value) -> Result<Value, Value> {
        let outcome = self.engine.call(name, &arguments.to_string());
        let changes = self.engine.changes();
        self.told.push_str(&changes);
        let changes: BTreeMap<String, Option<String>> = serde_json::from_str(&changes).unwrap();
        for (name, content) in changes {
            match content {
                Some(content) => self.kept.insert(name, content),
                None => self.kept.remove(&name),
            };
        }
        let parsed = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        outcome.map(|text| parsed(&text)).map_err(|text| parsed(&text))
    }

    fn call(&mut self, name: &str, arguments: Value) -> Value {
        self.try_call(name, &arguments).unwrap_or_else(|failure| panic!("{name}: {failure}"))
    }

    /// The code of a refusal.
    fn refused(&mut self, name: &str, arguments: Value) -> String {
        let failure = self.try_call(name, &arguments).map(|_| ()).expect_err(name);
        assert!(failure["title"].as_str().is_some_and(|title| !title.is_empty()), "{failure}");
        failure["code"].as_str().unwrap().to_owned()
    }
}

/// What a person remembers: the kit, and the authenticator's secret.
#[derive(Default)]
struct Notes {
    kit: String,
    totp: Vec<u8>,
    asked: Vec<String>,
}

/// Somebody who keeps what is shown and answers rightly.
struct Ada {
    notes: Arc<Mutex<Notes>>,
    clock: Arc<vault_server::ManualClock>,
}

impl Ada {
    fn new(service: &Service) -> Self {
        Self { notes: Arc::default(), clock: Arc::clone(&service.clock) }
    }

    fn person(&self) -> Person {
        let (notes, clock) = (Arc::clone(&self.notes), Arc::clone(&self.clock));
        Box::new(move |question, about| {
            let mut notes = notes.lock().unwrap();
            notes.asked.push(question.to_owned());
            match question {
                "keepKit" => {
                    about["code"].as_str().unwrap().clone_into(&mut notes.kit);
                    assert_eq!(about["email"], EMAIL);
                    json!(true)
                }
                "codes" => {
                    let secret = about[0]["secret"].as_str().unwrap();
                    assert!(about[0]["uri"].as_str().unwrap().starts_with("otpauth://totp/"), "{about}");
                    notes.totp = data_encoding::BASE32_NOPAD.decode(secret.as_bytes()).unwrap();
                    // The first try is mistyped: one is asked again, with what was wrong.
                    if about[1].is_null() {
                        return json!(["000000", "000000"]);
                    }
                    assert_eq!(about[1]["code"], "factor.code_wrong");
                    let secret = SecretVec::new(notes.totp.clone());
                    json!([code_at(&secret, clock.now_ms() - STEP_MS), code_at(&secret, clock.now_ms())])
                }
                "factor" => {
                    clock.advance_ms(STEP_MS);
                    let code = code_at(&SecretVec::new(notes.totp.clone()), clock.now_ms());
                    // In a sign-in the kinds that will do are named; in a recovery, what was wrong before.
                    if about.is_array() { json!({ "by": "code", "code": code }) } else { json!(code) }
                }
                "password" => json!(PASSWORD),
                other => panic!("{other}: {about}"),
            }
        })
    }

    fn code(&self) -> String {
        self.clock.advance_ms(STEP_MS);
        code_at(&SecretVec::new(self.notes.lock().unwrap().totp.clone()), self.clock.now_ms())
    }

    /// Password and a fresh code, as the page gives them.
    fn confirm(&self) -> Value {
        json!({ "by": "code", "password": PASSWORD, "code": self.code() })
    }

    fn signed_up(&self, service: &Service) -> Browser {
        let mut browser = Browser::open(service, &BTreeMap::new(), self.person());
        let account = json!([{ "email": EMAIL, "password": PASSWORD, "invite": service.invite() }]);
        browser.call("signUp", account);
        browser
    }

    fn with_totp(&self, service: &Service) -> Browser {
        let mut browser = self.signed_up(service);
        browser.call("addTotp", json!(["phone", null]));
        browser
    }
}

/// The text file that Windows saved, and what stands in it.
fn windows_file() -> (Value, &'static str, &'static str) {
    let bytes = include_bytes!("../../../../fixtures/imports/recovery-file-de.txt");
    let name = "BitLocker-Wiederherstellungsschlüssel 7272E6CF-FFFA-4933-B3A9-9FE7CA8F386C.TXT";
    (
        json!([BASE64.encode(bytes), name]),
        "7272E6CF-FFFA-4933-B3A9-9FE7CA8F386C",
        "270699-210914-553663-144980-716430-650650-533148-332035",
    )
}

fn save(browser: &mut Browser) -> String {
    let found = browser.call("readKeys", windows_file().0);
    let saved = browser.call("saveKeys", json!([found["handle"], [0], "WORKSHOP"]));
    assert_eq!(saved[0]["saved"], true, "{saved}");
    saved[0]["receipt"]["recordId"].as_str().unwrap().to_owned()
}

#[test]
fn a_key_from_a_windows_file_is_saved_and_shown_with_two_factor_on() {
    let service = Service::start();
    let ada = Ada::new(&service);
    let mut browser = ada.with_totp(&service);
    assert_eq!(browser.call("service", json!([]))["origin"], service.origin());
    assert_eq!(browser.call("account", json!([]))["twoFactor"], true);

    let (file, key_id, digits) = windows_file();
    let found = browser.call("readKeys", file.clone());
    assert_eq!((&found["format"], &found["rows"][0]["fate"]), (&json!("recovery-file"), &json!("save")), "{found}");
    assert_eq!(found["rows"][0]["keyId"], key_id);
    assert!(!found.to_string().contains(&digits[..6]), "the key stays in the Worker");
    let asked = ada.notes.lock().unwrap().asked.len();
    let saved = browser.call("saveKeys", json!([found["handle"], [0], "WORKSHOP"]));
    assert_eq!(saved[0]["saved"], true, "{saved}");
    assert_eq!(ada.notes.lock().unwrap().asked.len(), asked, "saving asks nobody anything");

    // A reading is good once; the same file read again holds nothing new.
    assert_eq!(browser.refused("saveKeys", json!([found["handle"], [0], null])), "page.no_keys");
    assert_eq!(browser.call("readKeys", file)["rows"][0]["fate"], "known");

    let records = browser.call("records", json!([]));
    let record = &records[0];
    assert_eq!((&record["meta"]["keyId"], &record["meta"]["computer"]), (&json!(key_id), &json!("WORKSHOP")));
    assert_eq!(
        (&record["verified"], &record["author"], &record["state"]),
        (&json!(true), &json!("owner"), &json!("live"))
    );
    let reveal = json!([record["recordId"], "password_forgotten", ada.confirm(), "leave"]);
    assert_eq!(browser.call("reveal", reveal)["digits"], digits);

    let report = browser.call("auditVerify", json!([]));
    assert_eq!(report["problems"], json!([]), "{report}");
    assert_eq!((&report["receipts"], &report["reveals"], &report["remembered"]), (&json!(1), &json!(1), &json!(1)));
    let trail = browser.call("auditTrail", json!([]));
    assert_eq!((&trail[0]["action"], &trail[0]["reason"]), (&json!("reveal"), &json!("password_forgotten")));

    // Neither the wire nor what outlives the page has the key, the password or the session.
    let (sent, told) = (browser.sent.lock().unwrap().clone(), browser.told.clone());
    for secret in [&digits[..20], PASSWORD, ada.notes.lock().unwrap().kit.as_str()] {
        for (place, text) in [("request", &sent), ("storage", &told)] {
            assert!(!text.contains(secret), "a secret in a {place}");
        }
    }
    let names: Vec<&str> = browser.kept.keys().map(String::as_str).collect();
    assert!(names.contains(&"profile.json") && names.iter().any(|name| name.starts_with("receipts/")), "{names:?}");
    assert!(names.iter().all(|name| !name.contains("session") && !name.starts_with("device")), "{names:?}");
}

#[test]
fn browser_and_program_read_each_others_records_and_receipts() {
    let service = Service::start();
    let ada = Ada::new(&service);
    let mut browser = ada.with_totp(&service);
    save(&mut browser);

    // The program signs in to the account that a browser made, and saves as a device that the browser approves.
    let computer = service.computer();
    sign_in(&computer.client, EMAIL, PASSWORD, &ada.code()).unwrap();
    let records = computer.client.records().unwrap();
    assert!(records[0].verified);
    let code = presence(PASSWORD, &ada.code());
    let revealed = computer.client.reveal(records[0].record_id, "drill", &code).unwrap();
    assert_eq!(revealed.password.to_text().expose(), windows_file().2);
    let enrolment = computer.client.request_enrolment("workshop PC").unwrap();
    let codes = (enrolment.user_code(), enrolment.check_code().unwrap());
    let wrong = json!([codes.0, "BBBB-BBBB", ada.confirm()]);
    assert_eq!(browser.refused("approveDevice", wrong), "device.check_failed");
    let approve = json!([codes.0, codes.1.expose(), ada.confirm()]);
    assert_eq!(browser.call("approveDevice", approve), "workshop PC");
    computer.client.poll_enrolment(&enrolment).unwrap().unwrap();
    let key = key_to_save();
    computer.client.save(&key).unwrap();

    let records = browser.call("records", json!([]));
    let record = records.as_array().unwrap().iter().find(|record| record["meta"]["keyId"] == key.meta.key_id).unwrap();
    assert_eq!((&record["author"], &record["verified"]), (&json!("workshop PC"), &json!(true)));
    let reveal = json!([record["recordId"], "drill", ada.confirm(), "rotate"]);
    let shown = browser.call("reveal", reveal);
    assert_eq!(shown["digits"], key.password.to_text().expose());
    assert_eq!(shown["ordered"]["yes"], true, "{shown}");

    // What the browser exports as proof, the program checks without the service.
    let bundle = BASE64.decode(browser.call("auditExport", json!([])).as_str().unwrap().as_bytes()).unwrap();
    let bundle = vault_client::AuditBundle::parse(&bundle).unwrap();
    let report = computer.client.audit_verify_bundle(&bundle, &vault_client::BundleTrust::State, &[]).unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    // The receipt in the bundle, and the one that this computer has itself.
    assert_eq!((report.records, report.receipts), (2, 2));
    let devices = browser.call("devices", json!([]));
    assert_eq!((&devices[0]["gaps"], &devices[0]["openOrders"]), (&json!([]), &json!(1)), "{devices}");
    let (id, confirm) = (devices[0]["deviceId"].clone(), ada.confirm());
    browser.call("renameDevice", json!([id, "bench"]));
    browser.call("revokeDevice", json!([id, confirm]));
    let devices = browser.call("devices", json!([]));
    assert_eq!((&devices[0]["name"], &devices[0]["state"]), (&json!("bench"), &json!("revoked")));
}

#[test]
fn all_keys_leave_in_a_file_that_a_passphrase_opens() {
    use std::io::Read as _;
    let service = Service::start();
    let ada = Ada::new(&service);
    let mut browser = ada.with_totp(&service);
    let passphrase = "six green kettles walk to Vienna";
    assert_eq!(browser.refused("exportKeys", json!(["kettle", ada.confirm()])), "page.weak_passphrase");
    assert_eq!(browser.refused("exportKeys", json!([passphrase, ada.confirm()])), "page.no_keys");
    let record = save(&mut browser);
    let wrong = json!({ "by": "code", "password": NEW, "code": ada.code() });
    assert_eq!(browser.refused("exportKeys", json!([passphrase, wrong])), "auth.invalid");
    let made = browser.call("exportKeys", json!([passphrase, ada.confirm()]));
    assert_eq!((&made["keys"], &made["name"]), (&json!(1), &json!("keyhaven-keys.age")));
    let sealed = BASE64.decode(made["bytes"].as_str().unwrap().as_bytes()).unwrap();
    let identity = age::scrypt::Identity::new(age::secrecy::SecretString::from(passphrase.to_owned()));
    let decryptor = age::Decryptor::new(&sealed[..]).unwrap();
    let mut text = String::new();
    let mut reader = decryptor.decrypt(std::iter::once(&identity as &dyn age::Identity)).unwrap();
    reader.read_to_string(&mut text).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&document["format"], &document["keys"][0]["record"]), (&json!("keyhaven-keys/1"), &json!(record)));
    assert_eq!(document["keys"][0]["recovery_key"], windows_file().2);
    let trail = browser.call("auditTrail", json!([]));
    assert_eq!(trail[0]["action"], "export");
}

#[test]
fn a_passkey_is_the_way_in_and_what_it_derives_is_never_sent() {
    let service = Service::with_a_name();
    let ada = Ada::new(&service);
    let mut browser = ada.signed_up(&service);
    let added = browser.call("addPasskey", json!(["laptop", null]));
    browser.call("letPasskeyOpenVault", json!([added["factorId"], PASSWORD]));
    let factors = browser.call("factorList", json!([]));
    assert_eq!(
        (&factors["factors"][0]["kind"], &factors["factors"][0]["opensVault"]),
        (&json!("passkey"), &json!(true))
    );
    let record = save(&mut browser);

    // The same browser later: pins are there, the session is not.
    browser.call("signOut", json!([]));
    assert_eq!(browser.call("known", json!([]))["email"], EMAIL);
    assert_eq!(browser.refused("records", json!([])), "auth.session_expired");
    let signed_in = browser.call("signInWithPasskey", json!([]));
    assert_eq!((&signed_in["email"], &signed_in["knownBefore"]), (&json!(EMAIL), &json!(true)));
    let reveal = json!([record, "drill", { "by": "passkey" }, "leave"]);
    assert_eq!(browser.call("reveal", reveal)["digits"], windows_file().2);

    let asked = ada.notes.lock().unwrap().asked.clone();
    assert!(!asked.contains(&"password".to_owned()), "it opens the vault alone: {asked:?}");
    let input = vault_protocol::messages::prf_input(&service.origin());
    let id = browser.authenticator.ids().remove(0);
    let output = browser.authenticator.prf(&id, &input);
    for form in [BASE64.encode(&output), BASE64URL_NOPAD.encode(&output), data_encoding::HEXLOWER.encode(&output)] {
        assert!(!browser.sent.lock().unwrap().contains(&form), "the output of prf was sent");
        assert!(!browser.told.contains(&form), "the output of prf was kept");
    }
}

#[test]
fn a_lost_password_comes_back_by_kit_and_code() {
    let service = Service::start();
    let ada = Ada::new(&service);
    let mut browser = ada.with_totp(&service);
    let record = save(&mut browser);
    let kit = ada.notes.lock().unwrap().kit.clone();

    let mut elsewhere = Browser::open(&service, &BTreeMap::new(), ada.person());
    let lost = |kit: &str| json!([{ "email": EMAIL, "kitCode": kit, "password": NEW }]);
    let mistyped = if kit.starts_with('B') { kit.replacen('B', "C", 1) } else { format!("B{}", &kit[1..]) };
    assert_eq!(elsewhere.refused("recoverPassword", lost(&mistyped)), "page.kit_code");
    elsewhere.call("recoverPassword", lost(&kit));
    assert_ne!(ada.notes.lock().unwrap().kit, kit, "there is a new kit");
    assert_eq!(browser.refused("account", json!([])), "auth.session_expired", "every session has ended");
    assert_eq!(elsewhere.refused("signIn", json!([EMAIL, PASSWORD])), "auth.invalid");
    let signed_in = elsewhere.call("signIn", json!([EMAIL, NEW]));
    assert_eq!(signed_in["mustAddFactor"], false);
    assert_eq!(elsewhere.call("account", json!([]))["twoFactor"], true);
    let confirm = json!({ "by": "code", "password": NEW, "code": ada.code() });
    let revealed = elsewhere.call("reveal", json!([record, "drill", confirm, "leave"]));
    assert_eq!(revealed["digits"], windows_file().2);
}

#[test]
fn who_breaks_off_changes_nothing() {
    let service = Service::start();
    // Somebody who closes every dialog.
    let mut browser = Browser::open(&service, &BTreeMap::new(), Box::new(|_, _| Value::Null));
    let account = json!([{ "email": EMAIL, "password": PASSWORD, "invite": service.invite() }]);
    assert_eq!(browser.refused("signUp", account), "page.not_kept");
    assert_eq!(browser.call("known", json!([])), Value::Null);
    assert!(browser.kept.is_empty(), "{:?}", browser.kept);

    let ada = Ada::new(&service);
    let known = ada.with_totp(&service).kept;
    let mut browser = Browser::open(&service, &known, Box::new(|_, _| Value::Null));
    assert_eq!(browser.refused("signIn", json!([EMAIL, PASSWORD])), "page.cancelled");
    assert_eq!(browser.refused("records", json!([])), "auth.session_expired");
    assert_eq!(browser.kept, known);
    // An answer of another form is no answer.
    for answer in [json!(true), json!([1]), json!({ "by": "sms", "code": "123456" }), json!({ "code": "123456" })] {
        let mut browser = Browser::open(&service, &known, Box::new(move |_, _| answer.clone()));
        assert_eq!(browser.refused("signIn", json!([EMAIL, PASSWORD])), "page.cancelled");
    }
}

#[test]
fn calls_of_another_form_are_refused() {
    let service = Service::start();
    let ada = Ada::new(&service);
    let mut browser = ada.with_totp(&service);
    let record = save(&mut browser);
    for (name, arguments) in [
        ("noSuchCall", json!([])),
        ("signIn", json!([])),
        ("signIn", json!({ "email": EMAIL })),
        ("signIn", json!([EMAIL, 7])),
        ("reveal", json!([record, "drill", { "by": "nothing" }, "leave"])),
        ("reveal", json!(["../records", "drill", { "by": "passkey" }, "leave"])),
        ("saveKeys", json!(["1", "all", null])),
        ("qr", json!(["x".repeat(4000)])),
    ] {
        assert_eq!(browser.refused(name, arguments), "page.fault", "{name}");
    }
    assert_eq!(browser.refused("readKeys", json!(["not base64!", null])), "page.too_large");
    let nothing = json!([BASE64.encode(b"a text without any key"), null]);
    assert_eq!(browser.refused("readKeys", nothing), "page.no_keys");
    let wrong = json!([record, "drill", { "by": "code", "password": PASSWORD, "code": "000000" }, "leave"]);
    assert_eq!(browser.refused("reveal", wrong), "factor.code_wrong");
    let wrong = json!([record, "drill", { "by": "code", "password": NEW, "code": ada.code() }, "leave"]);
    assert_eq!(browser.refused("reveal", wrong), "auth.invalid");
    let wrong = json!([record, "because", ada.confirm(), "leave"]);
    assert_eq!(browser.refused("reveal", wrong), "reveal.reason");
    // A group that fails its check digit is named, and no other digit of it.
    let typed = windows_file().2.replacen("210914", "210915", 1);
    let text = format!("Identifier: {}\n{typed}\n", windows_file().1);
    let found = browser.call("readKeys", json!([BASE64.encode(text.as_bytes()), null]));
    assert_eq!((&found["rows"][0]["fate"], &found["rows"][0]["wrongGroup"]), (&json!("refused"), &json!(2)), "{found}");
    assert!(!found.to_string().contains("270699"), "{found}");
}

#[test]
fn the_second_account_on_one_service_is_not_the_first_ones() {
    let service = Service::start();
    let ada = Ada::new(&service);
    let record = save(&mut ada.with_totp(&service));
    // Somebody else with a session of their own.
    let other = service.account("ben@example.org");
    let memory = Memory::default();
    let client = Client::new(service.transport(), State::in_memory(memory.clone()));
    sign_in(&client, &other.email, PASSWORD, &other.fresh_code()).unwrap();
    let refused = client.reveal(record.parse().unwrap(), "drill", &other.presence());
    assert_eq!(crate::harness::code_of(refused.map(|_| ())), vault_client::problem::Code::RecordNotFound);
    assert!(memory.changes().keys().all(|name| name != "session.json"));
}

/// A service that shows another account's keys to a browser that knows the account.
struct Swapped {
    honest: vault_client::HttpTransport,
    from: Value,
    to: Value,
}

impl Transport for Swapped {
    fn send(&self, request: Request<'_>) -> Result<vault_client::Response, vault_client::TransportError> {
        let mut response = self.honest.send(request)?;
        let text = String::from_utf8_lossy(&response.body).into_owned();
        let statement = |value: &Value| value["p"].as_str().unwrap().to_owned();
        response.body = text.replace(&statement(&self.from), &statement(&self.to)).into_bytes();
        Ok(response)
    }
    fn origin(&self) -> &str {
        self.honest.origin()
    }
}

#[test]
fn another_key_of_the_account_is_refused_and_the_pins_stay() {
    let service = Service::start();
    let ada = Ada::new(&service);
    let mut browser = ada.with_totp(&service);
    save(&mut browser);
    let statement = |kept: &BTreeMap<String, String>| -> Value {
        let profile = BASE64.decode(kept["profile.json"].as_bytes()).unwrap();
        serde_json::from_slice::<Value>(&profile).unwrap()["key_statement"].clone()
    };
    let from = statement(&browser.kept);
    let mut noise = [0; 16];
    random_bytes(&mut noise);
    let mut to = from.clone();
    let payload = BASE64URL_NOPAD.decode(from["p"].as_str().unwrap().as_bytes()).unwrap();
    let mut other: Value = serde_json::from_slice(&payload).unwrap();
    other["vault_pk"] = json!(BASE64URL_NOPAD.encode(&noise));
    to["p"] = json!(BASE64URL_NOPAD.encode(&serde_json::to_vec(&other).unwrap()));
    let swapped = Swapped { honest: service.transport(), from, to };
    let before = browser.kept.clone();
    let mut again = Browser::over(&service, Box::new(swapped), &before, ada.person());
    let code = again.refused("signIn", json!([EMAIL, PASSWORD]));
    assert_eq!(code, "record.unverified");
    assert_eq!(again.kept, before);
    assert_eq!(again.refused("records", json!([])), "auth.session_expired");
}
