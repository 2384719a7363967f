//! Sign-in: password by OPAQUE, then the second factor bound to that run, then the catalogue root.

use secret::{SecretString, SecretVec};
use vault_crypto::CatalogueRoot;
use vault_crypto::password::Proof;
use vault_crypto::slot::{self, Binding};
use vault_protocol::messages::{
    AuditHead, LoggedIn, LoginFactorRequest, LoginFinishRequest, LoginPasswordProven, LoginStartRequest, LoginStarted,
    PASSKEY, ServerIdentity,
};
use vault_protocol::statement::{fingerprint, statement_hash};
use vault_protocol::{AccountId, FixedBytes, Signed, backup_code, routes, verify};

use crate::state::{Profile, SessionFile};
use crate::{Authenticator, Client, Error, Transport};

/// A second factor as it was given: a kind the account has, and its code.
pub struct SignInFactor {
    /// `totp` or `backup-code`.
    pub kind: String,
    /// Six digits, or a backup code.
    pub code: SecretString,
}

impl SignInFactor {
    /// A code whose kind shows in its form.
    #[must_use]
    pub fn of(code: SecretString) -> Self {
        Self { kind: factor_kind(code.expose()).to_owned(), code }
    }
}

/// A second factor of any kind, as it was chosen in the middle of a sign-in.
pub enum AnyFactor<'a> {
    /// A code that was typed.
    Code(SignInFactor),
    /// A passkey.
    Passkey(&'a dyn Authenticator),
}

/// Which kind a typed code is: backup codes have twelve letters.
pub(crate) fn factor_kind(code: &str) -> &'static str {
    if backup_code::letters(code).is_some() { backup_code::KIND } else { "totp" }
}

/// Whether one of these kinds is proven by something that can be typed.
pub(crate) fn check_takes_codes(kinds: &[String]) -> Result<(), Error> {
    let only_passkeys = !kinds.is_empty() && kinds.iter().all(|kind| kind == PASSKEY);
    if only_passkeys { Err(Error::OnlyPasskeys) } else { Ok(()) }
}

/// A finished sign-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignedIn {
    /// The session is open.
    Fully {
        /// Fingerprint of the account's keys, to compare with the kit.
        fingerprint: String,
        /// Whether this computer knew the account before.
        known_before: bool,
        /// Whether a backup code was used: then the session may add a factor, and nothing else.
        must_add_factor: bool,
    },
    /// The account has no second factor yet; the session may enrol one, and nothing else.
    MustEnrolFactor,
}

impl<T: Transport> Client<T> {
    /// Signs in. `factor` is asked once the password was right, with the kinds that will do.
    ///
    /// # Errors
    /// `auth.invalid` when mail, password or factor do not match; [`Error::Inconsistent`] when the service shows other
    /// keys or less history than before; [`Error`].
    pub fn sign_in(
        &self,
        email: &str,
        password: SecretString,
        factor: &mut dyn FnMut(&[String]) -> Result<SignInFactor, Error>,
    ) -> Result<SignedIn, Error> {
        self.sign_in_by(email, password, &mut |login, body| {
            check_takes_codes(&login.second_factor)?;
            let given = factor(&login.second_factor)?;
            body.kind = given.kind;
            given.code.expose().clone_into(&mut body.code);
            Ok(())
        })
    }

    /// Signs in. `factor` is asked once the password was right, with the kinds that will do.
    ///
    /// # Errors
    /// As [`sign_in`](Self::sign_in); [`Error::NoSuchPasskey`] when the account has none and one was chosen.
    pub fn sign_in_by_any<'a>(
        &self,
        email: &str,
        password: SecretString,
        factor: &mut dyn FnMut(&[String]) -> Result<AnyFactor<'a>, Error>,
    ) -> Result<SignedIn, Error> {
        self.sign_in_by(email, password, &mut |login, body| match factor(&login.second_factor)? {
            AnyFactor::Code(given) => {
                body.kind = given.kind;
                given.code.expose().clone_into(&mut body.code);
                Ok(())
            }
            AnyFactor::Passkey(authenticator) => self.prove_passkey(authenticator, login, body),
        })
    }

    /// Signs in with the password and, as the second factor, a passkey.
    ///
    /// # Errors
    /// As [`sign_in`](Self::sign_in); [`Error::NoSuchPasskey`] when the account has none.
    pub fn sign_in_confirmed_by_passkey(
        &self,
        email: &str,
        password: SecretString,
        authenticator: &dyn Authenticator,
    ) -> Result<SignedIn, Error> {
        self.sign_in_by(email, password, &mut |login, body| self.prove_passkey(authenticator, login, body))
    }

    fn prove_passkey(
        &self,
        authenticator: &dyn Authenticator,
        login: &LoginPasswordProven,
        body: &mut LoginFactorRequest,
    ) -> Result<(), Error> {
        let request = login.passkey.as_ref().ok_or(Error::NoSuchPasskey)?;
        PASSKEY.clone_into(&mut body.kind);
        // What it derives is not needed: the password opens the account.
        body.assertion = Some(self.ask(authenticator, request)?.0);
        Ok(())
    }

    fn sign_in_by(
        &self,
        email: &str,
        password: SecretString,
        factor: &mut dyn FnMut(&LoginPasswordProven, &mut LoginFactorRequest) -> Result<(), Error>,
    ) -> Result<SignedIn, Error> {
        let (proof, credential_request) = Proof::start(password)?;
        let body = LoginStartRequest { email: email.to_owned(), credential_request };
        let started: LoginStarted = self.post(routes::LOGIN_START, None, &body)?;
        self.check_origin(&started.server)?;
        let origin = self.transport.origin();
        let proven = proof.finish(&started.credential_response, &started.account_id, origin, started.kdf_profile)?;
        let body =
            LoginFinishRequest { login_id: started.login_id, credential_finalization: proven.finalization.clone() };
        let login: LoginPasswordProven = self.post(routes::LOGIN_FINISH, None, &body)?;
        if let Some(logged_in) = login.logged_in {
            return self.keep_session(email, &started, &proven.export_key, logged_in, true);
        }
        if let Some(session) = login.session {
            let _lock = self.state.lock()?;
            let session = SessionFile {
                token: session.token,
                expires_at: session.expires_at,
                catalogue: None,
                confirms_by_mail: false,
            };
            self.state.write("session.json", &session)?;
            return Ok(SignedIn::MustEnrolFactor);
        }
        let mut body = LoginFactorRequest {
            login_id: login.login_id,
            kind: String::new(),
            code: String::new(),
            assertion: None,
            binding: proven.binding(&login),
        };
        factor(&login, &mut body)?;
        let logged_in: LoggedIn = self.post(routes::LOGIN_FACTOR, None, &body)?;
        self.keep_session(email, &started, &proven.export_key, logged_in, false)
    }

    /// Opens the catalogue root by the password; compares with the pins; stores the session.
    pub(crate) fn keep_session(
        &self,
        email: &str,
        started: &LoginStarted,
        export_key: &SecretVec,
        logged_in: LoggedIn,
        confirms_by_mail: bool,
    ) -> Result<SignedIn, Error> {
        let opened = open_by_password(started, export_key, &logged_in)?;
        self.keep_opened(email, opened, logged_in, confirms_by_mail)
    }

    /// Compares with the pins; stores the session.
    pub(crate) fn keep_opened(
        &self,
        email: &str,
        opened: Opened,
        logged_in: LoggedIn,
        confirms_by_mail: bool,
    ) -> Result<SignedIn, Error> {
        let Opened { account_id, server, statement_hash, catalogue } = opened;
        let _lock = self.state.lock()?;
        let known = self.state.profile()?.filter(|known| known.account_id == account_id);
        if let Some(known) = &known {
            check_pins(known, &server, &logged_in, &|fingerprint| self.accepts_new_keys(fingerprint))?;
        }
        self.check_log_if_reachable(&server.log_pk)?;
        // What the service says of its trail here is signed by nobody and leads nowhere: only a trail that was replayed moves
        // the pin.
        let nothing_seen = AuditHead { seq: 0, hash: FixedBytes([0; 32]) };
        let audit_head = known.as_ref().map_or(nothing_seen, |known| known.audit_head);
        self.state.write(
            "profile.json",
            &Profile {
                origin: self.transport.origin().to_owned(),
                email: email.to_owned(),
                account_id,
                key_statement: logged_in.key_statement,
                receipt_pk: server.receipt_pk,
                log_pk: server.log_pk,
                audit_head,
            },
        )?;
        let session = SessionFile {
            token: logged_in.session.token,
            expires_at: logged_in.session.expires_at,
            catalogue: Some(catalogue_bytes(&catalogue)),
            confirms_by_mail,
        };
        self.state.write("session.json", &session)?;
        self.tell_backup_codes(logged_in.backup_codes_left);
        Ok(SignedIn::Fully {
            fingerprint: fingerprint(&statement_hash),
            known_before: known.is_some(),
            must_add_factor: logged_in.backup_codes_left.is_some(),
        })
    }
}

/// An account whose catalogue root was opened, which authenticates its key statement.
pub(crate) struct Opened {
    pub(crate) account_id: AccountId,
    pub(crate) server: ServerIdentity,
    pub(crate) statement_hash: [u8; 32],
    pub(crate) catalogue: CatalogueRoot,
}

/// Opens the catalogue root, which authenticates the key statement.
fn open_by_password(started: &LoginStarted, export_key: &SecretVec, logged_in: &LoggedIn) -> Result<Opened, Error> {
    let account_id = started.account_id;
    let statement =
        verify::key_statement(&logged_in.key_statement, account_id).map_err(Error::unverified("the key statement"))?;
    let statement_hash = statement_hash(&logged_in.key_statement);
    let binding = Binding { account_id, generation: statement.generation, statement_hash };
    let slot = logged_in
        .slots
        .iter()
        .find(|slot| slot.kind == slot::PASSWORD)
        .ok_or(Error::Answer("the password slot is missing"))?;
    let catalogue = slot::open_catalogue(slot, export_key, &binding).map_err(|_| Error::AccountKeyMismatch)?;
    Ok(Opened { account_id, server: started.server.clone(), statement_hash, catalogue })
}

/// Whether a key statement is the one that is known.
///
/// # Errors
/// [`Error::NewKeys`] for one of a later generation, [`Error::Inconsistent`] for any other.
pub(crate) fn new_keys(known: &Profile, shown: &Signed) -> Result<(), Error> {
    if known.key_statement == *shown {
        return Ok(());
    }
    let generation = |signed| verify::key_statement(signed, known.account_id).map(|statement| statement.generation);
    match (generation(&known.key_statement), generation(shown)) {
        (Ok(before), Ok(now)) if now > before => {
            Err(Error::NewKeys { fingerprint: fingerprint(&statement_hash(shown)) })
        }
        _ => Err(Error::Inconsistent("key statement")),
    }
}

/// A service must not show other keys or an older history than before. Keys of a later generation are another account's for all
/// that can be told here: the person has to say that they are theirs.
fn check_pins(
    known: &Profile,
    server: &ServerIdentity,
    logged_in: &LoggedIn,
    accepts: &dyn Fn(&str) -> bool,
) -> Result<(), Error> {
    match new_keys(known, &logged_in.key_statement) {
        Ok(()) => {}
        Err(Error::NewKeys { fingerprint }) if accepts(&fingerprint) => {}
        Err(error) => return Err(error),
    }
    if known.receipt_pk != server.receipt_pk || known.log_pk != server.log_pk {
        return Err(Error::Inconsistent("own keys"));
    }
    let (before, now) = (known.audit_head, logged_in.audit_head);
    if now.seq < before.seq || (now.seq == before.seq && now.hash != before.hash) {
        return Err(Error::Inconsistent("audit trail"));
    }
    Ok(())
}

fn catalogue_bytes(catalogue: &CatalogueRoot) -> FixedBytes<32> {
    FixedBytes(*catalogue.secret().expose())
}
