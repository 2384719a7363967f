//! Passkeys: add one, sign in with one, let one open the vault.
//!
//! The vault opens by the output of the `prf` extension, which stays here: it is evaluated on the input that belongs to the service's
//! origin, whatever the service says, and goes into the derivation of the slot's keys. A passkey that cannot do that still signs in.

use secret::{SecretString, random_bytes};
use vault_crypto::CatalogueRoot;
use vault_crypto::password::Proof;
use vault_crypto::slot::{self, Binding};
use vault_protocol::messages::{
    FactorsChanged, LoggedIn, LoginStartRequest, LoginStarted, PASSKEY, PasskeyAssertion, PasskeyCreation,
    PasskeyFinishRequest, PasskeyLoggedIn, PasskeyLoginFinishRequest, PasskeyLoginStartRequest, PasskeyLoginStarted,
    PasskeyRequest, PasskeySlotRequest, PasskeyStartRequest, PasskeyStarted, Purpose, REQUIRED, local_request,
    prf_input, rp_id,
};
use vault_protocol::statement::statement_hash;
use vault_protocol::{AccountId, Bytes, FactorId, FixedBytes, routes, verify};

use crate::sign_in::Opened;
use crate::{Authenticator, Client, Confirm, Error, PrfOutput, SignedIn, Transport};

/// Shortest challenge that is answered (WebAuthn 13.4.3).
const CHALLENGE_BYTES: usize = 16;

/// A passkey that was added.
pub struct NewPasskey {
    /// Which factor it is.
    pub factor_id: FactorId,
    /// Its credential.
    pub credential_id: Bytes,
    /// What it derived when it was made, where it did.
    prf: Option<PrfOutput>,
}

impl<T: Transport> Client<T> {
    /// Adds a passkey as a second factor, and as a way in of its own. The first factor turns two-factor on; adding another needs
    /// `confirm`, except after a sign-in with a backup code. It does not open the vault yet:
    /// [`let_passkey_open_vault`](Self::let_passkey_open_vault).
    ///
    /// # Errors
    /// `factor.passkey_unavailable`; [`Error::Authenticator`]; [`Error`].
    pub fn add_passkey(
        &self,
        label: &str,
        confirm: Option<Confirm<'_>>,
        authenticator: &dyn Authenticator,
    ) -> Result<NewPasskey, Error> {
        let grant = match confirm {
            Some(confirm) => Some(self.step_up(Purpose::Factors, PASSKEY, confirm)?.grant),
            None => None,
        };
        let session = self.any_session()?;
        let body = PasskeyStartRequest { label: label.to_owned(), grant };
        let started: PasskeyStarted = self.post(routes::PASSKEY_START, Some(&session.token), &body)?;
        self.check_creation(&started.options)?;
        let (credential, prf) = authenticator.create(&started.options, &self.prf_input())?;
        let credential_id = credential.id.clone();
        let body = PasskeyFinishRequest { ceremony_id: started.ceremony_id, credential };
        let changed: FactorsChanged = self.post(routes::PASSKEY_FINISH, Some(&session.token), &body)?;
        let factor_id = changed.factor_id.ok_or(Error::Answer("the new factor is missing"))?;
        self.go_on_under(changed)?;
        Ok(NewPasskey { factor_id, credential_id, prf })
    }

    /// Lets a passkey that was just added open the vault, without the password from then on.
    ///
    /// # Errors
    /// As [`let_passkey_open_vault`](Self::let_passkey_open_vault).
    pub fn let_new_passkey_open_vault(
        &self,
        passkey: &NewPasskey,
        password: &SecretString,
        authenticator: &dyn Authenticator,
    ) -> Result<(), Error> {
        self.add_slot(passkey.factor_id, &passkey.credential_id, passkey.prf.as_ref(), password, authenticator)
    }

    /// Lets one of the account's passkeys open the vault, without the password from then on. What it derives is asked for twice and
    /// compared.
    ///
    /// # Errors
    /// [`Error::PrfUnavailable`] when it derives nothing, or not the same twice: it is kept for signing in; `request.not_found` when
    /// the factor is no passkey of the account; [`Error`].
    pub fn let_passkey_open_vault(
        &self,
        factor: FactorId,
        password: &SecretString,
        authenticator: &dyn Authenticator,
    ) -> Result<(), Error> {
        let passkeys = self.factor_list()?.passkeys;
        let passkey = passkeys.iter().find(|passkey| passkey.factor_id == factor).ok_or(Error::NoSuchPasskey)?;
        self.add_slot(factor, &passkey.credential_id, None, password, authenticator)
    }

    fn add_slot(
        &self,
        factor: FactorId,
        credential: &Bytes,
        earlier: Option<&PrfOutput>,
        password: &SecretString,
        authenticator: &dyn Authenticator,
    ) -> Result<(), Error> {
        let confirm = Confirm::Passkey { authenticator, password: Some(password) };
        let confirmed = self.step_up_by(Purpose::PasskeySlot, &factor.to_string(), confirm, Some(credential))?;
        let prf = confirmed.prf.as_ref().ok_or(Error::PrfUnavailable)?;
        let again;
        let earlier = match earlier {
            Some(earlier) => earlier,
            None => {
                again = self.derive_again(credential, authenticator)?;
                &again
            }
        };
        if earlier != prf {
            return Err(Error::PrfUnavailable);
        }
        let owner = self.owner()?;
        let binding = Binding {
            account_id: owner.profile.account_id,
            generation: owner.statement.generation,
            statement_hash: statement_hash(owner.key_statement()),
        };
        let slot = slot::make_for_passkey(&prf.0, credential.clone(), &owner.catalogue, confirmed.vault()?, &binding);
        let path = routes::with_id(routes::PASSKEY_SLOT, &factor.to_string());
        self.post(&path, Some(owner.token()), &PasskeySlotRequest { grant: confirmed.grant.clone(), slot })
    }

    /// Evaluates `prf` once more. The proof that comes with it is for nobody.
    fn derive_again(&self, credential: &Bytes, authenticator: &dyn Authenticator) -> Result<PrfOutput, Error> {
        let mut challenge = [0; 32];
        random_bytes(&mut challenge);
        let request = local_request(self.rp_id()?, FixedBytes(challenge), credential);
        let (assertion, prf) = authenticator.get(&request, &self.prf_input())?;
        if assertion.id != *credential {
            return Err(Error::Answer("another passkey than asked for"));
        }
        prf.ok_or(Error::PrfUnavailable)
    }

    /// Signs in with a passkey alone. Where it opens no slot of the account, `password` is asked for, to open the titles with.
    ///
    /// # Errors
    /// `auth.invalid` when the passkey is not one of an account; [`Error::PrfUnavailable`] when the password is needed and not given;
    /// [`Error::Inconsistent`] when the service shows other keys or less history than before; [`Error`].
    pub fn sign_in_with_passkey(
        &self,
        authenticator: &dyn Authenticator,
        password: &mut dyn FnMut(&str) -> Option<SecretString>,
    ) -> Result<SignedIn, Error> {
        let started: PasskeyLoginStarted =
            self.post(routes::LOGIN_PASSKEY_START, None, &PasskeyLoginStartRequest::default())?;
        self.check_origin(&started.server)?;
        let (assertion, prf) = self.ask(authenticator, &started.options)?;
        let body = PasskeyLoginFinishRequest { login_id: started.login_id, assertion: assertion.clone() };
        let answer: PasskeyLoggedIn = self.post(routes::LOGIN_PASSKEY_FINISH, None, &body)?;
        let PasskeyLoggedIn { account_id, email, login } = answer;
        // The authenticator knows whose passkey it is; the service must not say otherwise.
        if assertion.user_handle.as_ref().map(|handle| &handle.0[..]) != Some(&account_id.as_bytes()[..]) {
            return Err(Error::AccountKeyMismatch);
        }
        let token = login.session.token.clone();
        let opened = self.open_titles(account_id, &email, &login, &assertion, prf.as_ref(), password);
        let kept = opened.and_then(|(statement_hash, catalogue)| {
            let opened = Opened { account_id, server: started.server, statement_hash, catalogue };
            self.keep_opened(&email, opened, login, false)
        });
        if kept.is_err() {
            // What went wrong is the better answer than whether this went well.
            let _: Result<(), Error> = self.post(routes::LOGOUT, Some(&token), &());
        }
        kept
    }

    fn open_titles(
        &self,
        account_id: AccountId,
        email: &str,
        login: &LoggedIn,
        assertion: &PasskeyAssertion,
        prf: Option<&PrfOutput>,
        password: &mut dyn FnMut(&str) -> Option<SecretString>,
    ) -> Result<([u8; 32], CatalogueRoot), Error> {
        let statement =
            verify::key_statement(&login.key_statement, account_id).map_err(Error::unverified("the key statement"))?;
        let statement_hash = statement_hash(&login.key_statement);
        let binding = Binding { account_id, generation: statement.generation, statement_hash };
        let passkey_slot = login.slots.iter().find(|slot| slot.credential_id.as_ref() == Some(&assertion.id));
        if let (Some(prf), Some(slot)) = (prf, passkey_slot) {
            let material = secret::SecretVec::new(prf.0.expose().to_vec());
            let catalogue = slot::open_catalogue(slot, &material, &binding).map_err(|_| Error::AccountKeyMismatch)?;
            return Ok((statement_hash, catalogue));
        }
        let (proof, credential_request) = Proof::start(password(email).ok_or(Error::PrfUnavailable)?)?;
        let body = LoginStartRequest { email: email.to_owned(), credential_request };
        let started: LoginStarted = self.post(routes::LOGIN_START, None, &body)?;
        let origin = self.transport.origin();
        // The key is made here; that the password was right is nothing the service needs to hear a second time.
        let proven = proof.finish(&started.credential_response, &account_id, origin, started.kdf_profile)?;
        let slot = login.slots.iter().find(|slot| slot.kind == slot::PASSWORD);
        let slot = slot.ok_or(Error::Answer("the password slot is missing"))?;
        let catalogue =
            slot::open_catalogue(slot, &proven.export_key, &binding).map_err(|_| Error::AccountKeyMismatch)?;
        Ok((statement_hash, catalogue))
    }

    /// Asks for a passkey after the request was found to be one that this service may make.
    pub(crate) fn ask(
        &self,
        authenticator: &dyn Authenticator,
        request: &PasskeyRequest,
    ) -> Result<(PasskeyAssertion, Option<PrfOutput>), Error> {
        let fits = request.rp_id == self.rp_id()?
            && request.user_verification == REQUIRED
            && request.challenge.len() >= CHALLENGE_BYTES;
        if !fits {
            return Err(Error::Answer("a passkey request that weakens it"));
        }
        let (assertion, prf) = authenticator.get(request, &self.prf_input())?;
        if !request.allow.is_empty() && request.allow.iter().all(|allowed| allowed.id != assertion.id) {
            return Err(Error::Answer("another passkey than asked for"));
        }
        Ok((assertion, prf))
    }

    fn check_creation(&self, options: &PasskeyCreation) -> Result<(), Error> {
        let known = self.state.profile()?.map(|profile| Bytes(profile.account_id.as_bytes().to_vec()));
        let fits = options.rp.id == self.rp_id()?
            && options.selection.resident_key == REQUIRED
            && options.selection.require_resident_key
            && options.selection.user_verification == REQUIRED
            && options.attestation == "none"
            && options.challenge.len() >= CHALLENGE_BYTES
            && known.is_none_or(|known| known == options.user.id);
        if fits { Ok(()) } else { Err(Error::Answer("a passkey request that weakens it")) }
    }

    fn prf_input(&self) -> [u8; 32] {
        prf_input(self.transport.origin())
    }

    fn rp_id(&self) -> Result<&str, Error> {
        rp_id(self.transport.origin()).ok_or(Error::Answer("passkeys for an address that is no domain name"))
    }
}
