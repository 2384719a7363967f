//! The client: a transport, a state folder, a clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use secret::{SecretBytes, SecretString, SecretVec};
use serde::Serialize;
use serde::de::DeserializeOwned;
use vault_crypto::CatalogueRoot;
use vault_protocol::messages::{AccountView, ServerIdentity};
use vault_protocol::problem::Problem;
use vault_protocol::statement::{KeyStatement, fingerprint, statement_hash};
use vault_protocol::{Bytes, Millis, Signed, routes, verify};
use zeroize::Zeroizing;

use crate::key_store::{FileKeyStore, KeyStore};
use crate::state::{Profile, SessionFile};
use crate::{Error, Method, Request, State, Transport};

/// See [`Client::with_patience`].
const PATIENCE: Duration = Duration::from_secs(10);

/// A client of one service, with the state it keeps.
pub struct Client<T> {
    pub(crate) transport: T,
    pub(crate) state: State,
    pub(crate) key_store: Box<dyn KeyStore>,
    clock: fn() -> Millis,
    pause: fn(Duration),
    backup_code_used: fn(u32),
    log_fault_found: fn(&Error),
    /// How long a new entry may take into the log while somebody waits.
    pub(crate) patience: Duration,
    accepts_new_keys: Box<AcceptNewKeys>,
    mailed_code: Box<AskForMailedCode>,
}

/// Whether the keys with this fingerprint are the account's, at a sign-in that finds others than were known.
type AcceptNewKeys = dyn Fn(&str) -> bool + Send + Sync;

/// Asks for the code of a mail that was just sent. `None` gives up.
pub(crate) type AskForMailedCode = dyn Fn() -> Option<SecretString> + Send + Sync;

/// A signed-in owner.
pub(crate) struct Owner {
    pub(crate) profile: Profile,
    pub(crate) statement: KeyStatement,
    pub(crate) catalogue: CatalogueRoot,
    session: SessionFile,
}

impl<T: Transport> Client<T> {
    /// A client with the system's clock.
    pub fn new(transport: T, state: State) -> Self {
        let key_store = Box::new(FileKeyStore::new(state.folder().join("device.key")));
        let (backup_code_used, log_fault_found) = (|_| {}, |_: &Error| {});
        let (clock, mailed_code) = (system_clock, Box::new(|| None));
        let pause = std::thread::sleep;
        Self {
            transport,
            state,
            key_store,
            clock,
            pause,
            backup_code_used,
            log_fault_found,
            patience: PATIENCE,
            accepts_new_keys: Box::new(|_| false),
            mailed_code,
        }
    }

    /// The same client with the device key elsewhere than in a file of the state folder.
    #[must_use]
    pub fn with_key_store(self, key_store: Box<dyn KeyStore>) -> Self {
        Self { key_store, ..self }
    }

    /// The same client with another clock: that of a browser, or of a test.
    #[must_use]
    pub fn with_clock(self, clock: fn() -> Millis) -> Self {
        Self { clock, ..self }
    }

    /// The same client that waits by `pause`, where threads cannot sleep.
    #[must_use]
    pub fn with_pause(self, pause: fn(Duration)) -> Self {
        Self { pause, ..self }
    }

    /// The same client that calls `told` with the number of backup codes that are left whenever one was used.
    #[must_use]
    pub fn telling_backup_codes(self, told: fn(u32)) -> Self {
        Self { backup_code_used: told, ..self }
    }

    /// The same client that calls `told` when a save or a sign-in found out that the service's log contradicts what was seen, is
    /// kept back, or could not be checked for days: they go on, but for a sign-in to a service that contradicts itself.
    #[must_use]
    pub fn telling_log_faults(self, told: fn(&Error)) -> Self {
        Self { log_fault_found: told, ..self }
    }

    /// The same client that waits so long for new entries to come into the log.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The same client that calls `accepts` with a fingerprint where a sign-in finds that the account began again with new keys:
    /// whether they are the ones on the new kit.
    #[must_use]
    pub fn accepting_new_keys(self, accepts: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self { accepts_new_keys: Box::new(accepts), ..self }
    }

    pub(crate) fn accepts_new_keys(&self, fingerprint: &str) -> bool {
        (self.accepts_new_keys)(fingerprint)
    }

    pub(crate) fn tell_log_fault(&self, error: &Error) {
        (self.log_fault_found)(error);
    }

    /// The same client that calls `ask` for the code of a mail, where one stands in for a second factor.
    #[must_use]
    pub fn asking_for_mailed_codes(self, ask: impl Fn() -> Option<SecretString> + Send + Sync + 'static) -> Self {
        Self { mailed_code: Box::new(ask), ..self }
    }

    pub(crate) fn mailed_code(&self) -> Option<SecretString> {
        (self.mailed_code)()
    }

    pub(crate) fn tell_backup_codes(&self, left: Option<u32>) {
        if let Some(left) = left {
            (self.backup_code_used)(left);
        }
    }

    /// The state.
    pub fn state(&self) -> &State {
        &self.state
    }

    pub(crate) fn now(&self) -> Millis {
        (self.clock)()
    }

    pub(crate) fn pause(&self, time: Duration) {
        (self.pause)(time);
    }

    /// Who the service is; checks that it calls itself by the address it was reached under.
    ///
    /// # Errors
    /// [`Error`].
    pub fn server(&self) -> Result<ServerIdentity, Error> {
        let server: ServerIdentity = self.get(routes::SERVER, None)?;
        self.check_origin(&server)?;
        Ok(server)
    }

    pub(crate) fn check_origin(&self, server: &ServerIdentity) -> Result<(), Error> {
        let expected = self.transport.origin();
        if server.origin == expected {
            return Ok(());
        }
        Err(Error::WrongOrigin { expected: expected.to_owned(), found: server.origin.clone() })
    }

    pub(crate) fn get<A: DeserializeOwned>(&self, path: &str, session: Option<&Bytes>) -> Result<A, Error> {
        self.exchange(Method::Get, path, session, SecretVec::new(Vec::new()))
    }

    /// An answer that is not JSON.
    pub(crate) fn get_bytes(&self, path: &str) -> Result<Vec<u8>, Error> {
        Ok(std::mem::take(&mut *self.fetched(Method::Get, path, None, SecretVec::new(Vec::new()))?))
    }

    pub(crate) fn post<B: Serialize, A: DeserializeOwned>(
        &self,
        path: &str,
        session: Option<&Bytes>,
        body: &B,
    ) -> Result<A, Error> {
        self.exchange(Method::Post, path, session, encode(body)?)
    }

    pub(crate) fn put<B: Serialize, A: DeserializeOwned>(&self, path: &str, body: &B) -> Result<A, Error> {
        self.exchange(Method::Put, path, None, encode(body)?)
    }

    fn exchange<A: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        session: Option<&Bytes>,
        body: SecretVec,
    ) -> Result<A, Error> {
        let answer = self.fetched(method, path, session, body)?;
        let bytes: &[u8] = if answer.is_empty() { b"null" } else { &answer };
        serde_json::from_slice(bytes).map_err(|_| Error::Answer("unexpected content"))
    }

    /// The body of an answer that is no error.
    fn fetched(
        &self,
        method: Method,
        path: &str,
        session: Option<&Bytes>,
        body: SecretVec,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        let token = session.map(token_text).transpose()?;
        let bearer = token.as_ref().map(|token| token.as_str());
        let response = self.transport.send(Request { method, path, bearer, body })?;
        let answer = Zeroizing::new(response.body);
        // A delay that runs is told with a status of success: nothing is wrong, and nothing was done so far.
        if response.status == 202
            && let Ok(problem) = serde_json::from_slice::<Problem>(&answer)
        {
            return Err(Error::Problem(Box::new(problem)));
        }
        if (200..300).contains(&response.status) {
            return Ok(answer);
        }
        match serde_json::from_slice::<Problem>(&answer) {
            Ok(problem) => {
                // A lying service must not lead people elsewhere: its own page, whatever it said.
                let kind = help_page(self.transport.origin(), &problem.code);
                Err(Error::Problem(Box::new(Problem { kind, ..problem })))
            }
            Err(_) => Err(Error::Answer("an error without a problem document")),
        }
    }

    /// The owner who is signed in on this computer.
    pub(crate) fn owner(&self) -> Result<Owner, Error> {
        let profile = self.state.profile()?.ok_or(Error::NotSignedIn)?;
        let session: SessionFile = self.state.read("session.json")?.ok_or(Error::NotSignedIn)?;
        if profile.origin != self.transport.origin() || session.expires_at <= self.now() {
            return Err(Error::NotSignedIn);
        }
        let catalogue = session.catalogue.as_ref().ok_or(Error::NotSignedIn)?;
        let catalogue = CatalogueRoot::from_secret(SecretBytes::from_fn(|out| out.copy_from_slice(&catalogue.0)));
        let statement = verify::key_statement(&profile.key_statement, profile.account_id)
            .map_err(Error::unverified("the key statement"))?;
        Ok(Owner { profile, statement, catalogue, session })
    }

    /// The account as the service shows it, checked against what is pinned.
    ///
    /// # Errors
    /// [`Error::NotSignedIn`], [`Error::Inconsistent`], [`Error::Problem`].
    pub fn account(&self) -> Result<AccountView, Error> {
        let owner = self.owner()?;
        let account: AccountView = self.get(routes::ACCOUNT, Some(owner.token()))?;
        if account.account_id != owner.profile.account_id || account.key_statement != owner.profile.key_statement {
            return Err(Error::Inconsistent("key statement"));
        }
        Ok(account)
    }

    /// Ends the session here and at the service. Pins, device key, outbox and receipts stay.
    ///
    /// # Errors
    /// [`Error`]; the session's file is removed in any case.
    pub fn sign_out(&self) -> Result<(), Error> {
        let session: Option<SessionFile> = self.state.read("session.json")?;
        self.state.remove("session.json")?;
        match session {
            Some(session) => self.post(routes::LOGOUT, Some(&session.token), &()),
            None => Ok(()),
        }
    }

    /// Address of the service, mail address and fingerprint of the account this computer knows, signed in or not.
    ///
    /// # Errors
    /// [`Error::State`], [`Error::DamagedState`].
    pub fn known_account(&self) -> Result<Option<(String, String, String)>, Error> {
        Ok(self.state.profile()?.map(|profile| {
            let fingerprint = fingerprint(&statement_hash(&profile.key_statement));
            (profile.origin, profile.email, fingerprint)
        }))
    }
}

impl Owner {
    pub(crate) fn token(&self) -> &Bytes {
        &self.session.token
    }

    pub(crate) fn key_statement(&self) -> &Signed {
        &self.profile.key_statement
    }
}

/// JSON in a buffer that is wiped.
fn encode<B: Serialize>(body: &B) -> Result<SecretVec, Error> {
    let mut bytes = Vec::with_capacity(64 * 1024);
    serde_json::to_writer(&mut bytes, body).map_err(|_| Error::Answer("a request that cannot be written"))?;
    Ok(SecretVec::new(bytes))
}

/// The token as it travels: base64url, as in every message.
pub(crate) fn token_text(token: &Bytes) -> Result<Zeroizing<String>, Error> {
    let json = serde_json::to_string(token).map(Zeroizing::new).map_err(|_| Error::Answer("a session token"))?;
    Ok(Zeroizing::new(json.trim_matches('"').to_owned()))
}

/// Where the service explains a code; empty for what is none.
fn help_page(origin: &str, code: &str) -> String {
    const MOST: usize = 64;
    let is_code = (1..=MOST).contains(&code.len())
        && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._".contains(&byte))
        && !code.starts_with('.');
    if is_code { format!("{origin}{}", routes::with_id(routes::HELP_PAGE, code)) } else { String::new() }
}

fn system_clock() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
}

#[cfg(test)]
mod tests {
    use super::help_page;

    #[test]
    fn people_are_led_to_the_service_they_use_and_nowhere_else() {
        let origin = "https://keys.example.org";
        assert_eq!(help_page(origin, "auth.locked"), "https://keys.example.org/help/auth.locked");
        for bad in ["", "../x", "a/b", "a?b", "a b", "A", "@evil.example", &"a".repeat(65)] {
            assert_eq!(help_page(origin, bad), "", "{bad}");
        }
    }
}
