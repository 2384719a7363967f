//! A service and the people who use it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use secret::{RecoveryPassword, SecretString, SecretVec};
use serde_json::Value;
use tempfile::TempDir;
use totp_rs::Builder;
use vault_client::problem::{Code, Problem};
use vault_client::{
    Client, Error, HttpTransport, KeyToSave, Meta, Method, NewAccount, Presence, RecordSummary, Request, SignInFactor,
    SignedIn, State, Transport,
};
use vault_server::{Clock, Config, Limits, ManualClock, Server, Smtp, create_invite};

/// A password that tests use.
pub(crate) const PASSWORD: &str = "correct horse battery staple";
/// One step of one-time codes.
pub(crate) const STEP_MS: i64 = 30_000;

/// What a test changes of the settings.
pub(crate) type Change = Arc<dyn Fn(&mut Config) + Send + Sync>;

/// A running service.
pub(crate) struct Service {
    pub(crate) folder: TempDir,
    pub(crate) clock: Arc<ManualClock>,
    notices: bool,
    smtp: Option<Smtp>,
    change: Change,
    address: SocketAddr,
    pub(crate) metrics: Option<SocketAddr>,
    running: Option<(tokio::sync::oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Service {
    pub(crate) fn start() -> Self {
        Self::with_limits(Limits::default())
    }

    pub(crate) fn with_limits(limits: Limits) -> Self {
        Self::configured(move |config| config.limits = limits)
    }

    /// A service with other settings.
    pub(crate) fn configured(change: impl Fn(&mut Config) + Send + Sync + 'static) -> Self {
        Self::configured_at("127.0.0.1:0".parse().unwrap(), change)
    }

    /// The same, listening somewhere else.
    pub(crate) fn configured_at(address: SocketAddr, change: impl Fn(&mut Config) + Send + Sync + 'static) -> Self {
        let now = vault_server::SystemClock.now_ms();
        let mut service = Self {
            folder: tempfile::tempdir().unwrap(),
            clock: Arc::new(ManualClock::new(now)),
            notices: false,
            smtp: None,
            change: crate::postgres::with_engine(Arc::new(change)),
            metrics: None,
            address,
            running: None,
        };
        service.run();
        service
    }

    /// A service that goes by a name, as passkeys need it, and hands notices to a folder.
    pub(crate) fn with_a_name() -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let origin = format!("http://localhost:{}", free.port());
        let mut service = Self::configured_at(free, move |config| config.origin = Some(origin.clone()));
        service.stop();
        service.telling()
    }

    /// A service that hands notices to a folder.
    pub(crate) fn with_notices() -> Self {
        let mut service = Self::start();
        service.stop();
        service.notices = true;
        service.run();
        service
    }

    /// This one, stopped before, with notices in a folder.
    pub(crate) fn telling(mut self) -> Self {
        self.notices = true;
        self.run();
        self
    }

    /// A service that hands notices to a mail server.
    pub(crate) fn with_smtp(smtp: Smtp) -> Self {
        let mut service = Self::start();
        service.stop();
        service.smtp = Some(smtp);
        service.run();
        service
    }

    /// Another mail server from the next start on.
    pub(crate) fn smtp(&mut self, smtp: Smtp) {
        self.smtp = Some(smtp);
    }

    /// Asks for codes of mails that are made from now on: each once, waiting until it is there.
    pub(crate) fn mailed_codes(&self) -> impl Fn() -> Option<SecretString> + Send + Sync + 'static {
        let folder = self.notices_folder();
        let seen = std::sync::Mutex::new(std::collections::BTreeSet::new());
        // What was made before may still be on its way.
        self.clock.advance_ms(1);
        let since = self.clock.now_ms();
        move || {
            let mut seen = seen.lock().unwrap();
            for _ in 0..300 {
                for file in files_of(&folder) {
                    let name = file.file_stem().unwrap().to_str().unwrap();
                    let made: i64 = name.split('-').next().unwrap().parse().unwrap();
                    if made < since || !seen.insert(file.clone()) {
                        continue;
                    }
                    let text = std::fs::read_to_string(&file).unwrap();
                    if text.contains("\nSubject: Your Keyhaven code\n") {
                        let code = text.lines().map(str::trim).find(|line| line.len() == 6).unwrap();
                        return Some(SecretString::from(code));
                    }
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            panic!("no code was mailed")
        }
    }

    pub(crate) fn notices_folder(&self) -> std::path::PathBuf {
        self.folder.path().join("notices")
    }

    /// Notices with this subject; waits until there are so many, since they are sent beside the answer.
    pub(crate) fn notices(&self, subject: &str, at_least: usize) -> Vec<String> {
        let line = format!("\nSubject: {subject}\n");
        for _ in 0..200 {
            let found = self.all_notices().into_iter().filter(|text| text.contains(&line)).collect::<Vec<_>>();
            if found.len() >= at_least {
                return found;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("not {at_least} notices {subject:?}")
    }

    pub(crate) fn all_notices(&self) -> Vec<String> {
        let mut files: Vec<_> =
            std::fs::read_dir(self.notices_folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|file| file.extension().is_some_and(|extension| extension == "txt"));
        files.sort();
        files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect()
    }

    /// Starts it where it was before.
    pub(crate) fn run(&mut self) {
        let (tell_address, address) = std::sync::mpsc::channel();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let (config, clock, listen) = (self.config(), self.clock.clone(), self.address);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(async {
                let server = Server::open_with_clock(config, listen, clock).await.unwrap();
                tell_address.send((server.local_addr(), server.metrics_addr())).unwrap();
                let shutdown = async { drop(stopped.await) };
                server.serve(shutdown).await.unwrap();
            });
        });
        (self.address, self.metrics) = address.recv().unwrap();
        self.running = Some((stop, thread));
    }

    pub(crate) fn stop(&mut self) {
        if let Some((stop, thread)) = self.running.take() {
            let _ = stop.send(());
            thread.join().unwrap();
        }
    }

    pub(crate) fn config(&self) -> Config {
        let notices = self.notices.then(|| self.notices_folder());
        let smtp = self.smtp.clone();
        let mut config = Config { notices, smtp, ..Config::in_folder(self.folder.path()) };
        (self.change)(&mut config);
        config
    }

    /// Other settings from the next start on.
    pub(crate) fn reconfigure(&mut self, change: impl Fn(&mut Config) + Send + Sync + 'static) {
        self.change = Arc::new(change);
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Another process of the same service: the same database, keys and settings, another address and folder.
    pub(crate) fn beside(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::copy(self.config().key_file(), folder.path().join("server.keys")).unwrap();
        let mut service = Self {
            folder,
            clock: self.clock.clone(),
            notices: self.notices,
            smtp: self.smtp.clone(),
            change: self.change.clone(),
            metrics: None,
            address: "127.0.0.1:0".parse().unwrap(),
            running: None,
        };
        service.run();
        service
    }

    pub(crate) fn origin(&self) -> String {
        self.config().origin.unwrap_or_else(|| format!("http://{}", self.address))
    }

    pub(crate) fn transport(&self) -> HttpTransport {
        HttpTransport::new(&self.origin()).unwrap()
    }

    pub(crate) fn invite(&self) -> String {
        self.invite_for(Duration::from_secs(3600))
    }

    pub(crate) fn invite_for(&self, long: Duration) -> String {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(create_invite(&self.config(), long)).unwrap()
    }

    /// A program on another computer.
    pub(crate) fn computer(&self) -> Computer<HttpTransport> {
        Computer::with(self.transport())
    }

    /// An account with two-factor on; the session stays.
    pub(crate) fn account(&self, email: &str) -> Owner {
        self.account_on(self.computer(), email)
    }

    /// The same, on this computer.
    pub(crate) fn account_on<T: Transport>(&self, computer: Computer<T>, email: &str) -> Owner<T> {
        let kit = sign_up_with_kit(&computer.client, email, Some(self.invite())).unwrap();
        let secret = SecretVec::new(Vec::new());
        let mut owner = Owner { computer, email: email.to_owned(), kit, clock: self.clock.clone(), secret };
        owner.add_first_factor();
        owner
    }

    /// An account whose computer is enrolled.
    pub(crate) fn enrolled(&self, email: &str) -> Owner {
        let owner = self.account(email);
        owner.client().enrol_this_computer("workshop PC", &owner.presence()).unwrap();
        owner
    }

    pub(crate) fn raw(&self, method: Method, path: &str, bearer: Option<&str>, body: &Value) -> Raw {
        let body = SecretVec::new(serde_json::to_vec(body).unwrap());
        let response = self.transport().send(Request { method, path, bearer, body }).unwrap();
        Raw { status: response.status, body: serde_json::from_slice(&response.body).unwrap_or(Value::Null) }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.running.take() {
            let _ = stop.send(());
            let _ = thread.join();
        }
    }
}

fn files_of(folder: &Path) -> std::collections::BTreeSet<std::path::PathBuf> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|file| file.extension().is_some_and(|extension| extension == "txt")).collect()
}

/// The code of a notice that cancels a delay.
pub(crate) fn cancel_code(notice: &str) -> String {
    let is_code = |line: &&str| line.len() == 26 + 6 && line.split('-').all(|group| group.len() <= 4);
    notice.lines().map(str::trim).find(is_code).unwrap_or_else(|| panic!("no code: {notice}")).to_owned()
}

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Raw {
    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or("")
    }
}

/// A client and the folder of its state.
pub(crate) struct Computer<T> {
    pub(crate) client: Client<T>,
    pub(crate) folder: TempDir,
}

impl<T: Transport> Computer<T> {
    pub(crate) fn with(transport: T) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let client = Client::new(transport, State::new(folder.path().join("state")));
        Self { client, folder }
    }
}

/// The session token that a computer keeps.
pub(crate) fn token(state: &Path) -> String {
    let text = std::fs::read_to_string(state.join("state/session.json")).unwrap();
    let session: Value = serde_json::from_str(&text).unwrap();
    session["token"].as_str().unwrap().to_owned()
}

pub(crate) fn sign_up<T: Transport>(client: &Client<T>, email: &str, invite: Option<String>) -> Result<(), Error> {
    sign_up_with_kit(client, email, invite).map(|_| ())
}

/// The same, with the code of the kit.
pub(crate) fn sign_up_with_kit<T: Transport>(
    client: &Client<T>,
    email: &str,
    invite: Option<String>,
) -> Result<SecretString, Error> {
    let new = NewAccount { email: email.to_owned(), password: SecretString::from(PASSWORD), invite };
    let mut kept = SecretString::from("");
    client.sign_up(new, &mut || None, &mut |kit| {
        kept = kit.code();
        let letters = kit.code().expose().replace('-', "");
        kit.ends_with(&letters[letters.len() - 6..])
    })?;
    Ok(kept)
}

/// Somebody with an account and an authenticator.
pub(crate) struct Owner<T = HttpTransport> {
    pub(crate) computer: Computer<T>,
    pub(crate) email: String,
    /// Code of the emergency kit.
    pub(crate) kit: SecretString,
    clock: Arc<ManualClock>,
    secret: SecretVec,
}

impl<T: Transport> Owner<T> {
    pub(crate) fn client(&self) -> &Client<T> {
        &self.computer.client
    }

    pub(crate) fn token(&self) -> String {
        token(self.computer.folder.path())
    }

    fn add_first_factor(&mut self) {
        let clock = self.clock.clone();
        let mut secret = None;
        let mut codes = |totp: &vault_client::NewTotp, wrong: Option<&Error>| {
            assert!(wrong.is_none());
            let bytes = data_encoding::BASE32_NOPAD.decode(totp.secret.expose().as_bytes()).unwrap();
            let bytes = SecretVec::new(bytes);
            let now = clock.now_ms();
            let codes = [code_at(&bytes, now - STEP_MS), code_at(&bytes, now)];
            secret = Some(bytes);
            Some(codes)
        };
        self.computer.client.add_totp("phone", None, &mut codes).unwrap();
        self.secret = secret.unwrap();
    }

    /// The code at the present time; may have been used.
    pub(crate) fn code_now(&self) -> String {
        code_at(&self.secret, self.clock.now_ms())
    }

    /// The code some steps from now.
    pub(crate) fn code_in(&self, steps: i64) -> String {
        code_at(&self.secret, self.clock.now_ms() + steps * STEP_MS)
    }

    /// Waits for the next code, which was not used before.
    pub(crate) fn fresh_code(&self) -> String {
        self.clock.advance_ms(STEP_MS);
        self.code_now()
    }

    /// Password and a fresh code.
    pub(crate) fn presence(&self) -> Presence {
        presence(PASSWORD, &self.fresh_code())
    }

    pub(crate) fn sign_in<U: Transport>(&self, client: &Client<U>) -> Result<SignedIn, Error> {
        sign_in(client, &self.email, PASSWORD, &self.fresh_code())
    }

    /// Saves a new key and gives it with its record.
    pub(crate) fn save_one(&self) -> (RecoveryPassword, RecordSummary) {
        let key = key_to_save();
        let outcome = self.client().save(&key).unwrap();
        assert!(matches!(outcome, vault_client::Outcome::Saved { .. }), "{outcome:?}");
        let mut found = self.client().find_records(&key.meta.key_id).unwrap();
        (key.password, found.remove(0))
    }
}

pub(crate) fn presence(password: &str, code: &str) -> Presence {
    Presence { password: SecretString::from(password), code: SecretString::from(code) }
}

pub(crate) fn sign_in<T: Transport>(
    client: &Client<T>,
    email: &str,
    password: &str,
    code: &str,
) -> Result<SignedIn, Error> {
    client.sign_in(email, SecretString::from(password), &mut |kinds| {
        assert!(kinds.iter().any(|kind| kind == "totp"), "{kinds:?}");
        Ok(SignInFactor { kind: "totp".to_owned(), code: SecretString::from(code) })
    })
}

/// Two codes of a new authenticator, the newest ones.
pub(crate) fn two_codes(totp: &vault_client::NewTotp, service: &Service) -> [String; 2] {
    let secret = SecretVec::new(data_encoding::BASE32_NOPAD.decode(totp.secret.expose().as_bytes()).unwrap());
    let now = service.clock.now_ms();
    [code_at(&secret, now - STEP_MS), code_at(&secret, now)]
}

pub(crate) fn code_at(secret: &SecretVec, now_ms: i64) -> String {
    let totp = Builder::new().with_secret(secret.expose().to_vec()).build_noncompliant();
    totp.generate(u64::try_from(now_ms / 1000).unwrap()).to_string()
}

/// A recovery password of an imagined drive.
pub(crate) fn key_to_save() -> KeyToSave {
    let mut id = [0; 16];
    secret::random_bytes(&mut id);
    let id = data_encoding::HEXUPPER.encode(&id);
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

/// The code of the catalogue that an error stands for.
pub(crate) fn code_of<T: std::fmt::Debug>(result: Result<T, Error>) -> Code {
    let error = result.unwrap_err();
    error.code().unwrap_or_else(|| panic!("no code: {error}"))
}

/// The problem document behind an error.
pub(crate) fn problem_of<T: std::fmt::Debug>(result: Result<T, Error>) -> Problem {
    match result.unwrap_err() {
        Error::Problem(problem) => *problem,
        other => panic!("not a problem document: {other}"),
    }
}
