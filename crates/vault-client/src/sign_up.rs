//! Sign-up: password by OPAQUE, emergency kit, first session.

use secret::SecretString;
use vault_crypto::kit::KitCode;
use vault_crypto::password::Registration;
use vault_crypto::slot::{self, Binding};
use vault_crypto::{CatalogueRoot, VaultRoot, key_statement};
use vault_protocol::messages::{
    AuditHead, SignupFinishRequest, SignupFinished, SignupOpaqueAnswer, SignupOpaqueRequest, SignupStartRequest,
    SignupStarted, SignupVerified, SignupVerifyRequest,
};
use vault_protocol::statement::{fingerprint, statement_hash};
use vault_protocol::{FixedBytes, routes};

use crate::password::acceptable;
use crate::state::{Profile, SessionFile};
use crate::{Client, Error, Transport};

/// A new account.
pub struct NewAccount {
    /// Mail address.
    pub email: String,
    /// Password.
    pub password: SecretString,
    /// Invite, where the service asks for one.
    pub invite: Option<String>,
}

/// The emergency kit, to be printed or saved before the account is made.
pub struct Kit {
    /// Mail address of the account.
    pub email: String,
    /// Address of the service.
    pub server: String,
    /// Fingerprint of the account's keys.
    pub fingerprint: String,
    pub(crate) code: KitCode,
}

impl Kit {
    /// The printed code.
    #[must_use]
    pub fn code(&self) -> SecretString {
        self.code.to_text()
    }

    /// Whether these are its last six characters: the proof that it was kept.
    #[must_use]
    pub fn ends_with(&self, typed: &str) -> bool {
        self.code.ends_with(typed)
    }
}

impl<T: Transport> Client<T> {
    /// Makes an account. `keep_kit` shows the kit and tells whether it was kept; `mailed_code` is asked where the service
    /// mailed one. Afterwards the session may enrol a second factor, and nothing else.
    ///
    /// # Errors
    /// [`Error::KitNotConfirmed`], then nothing was made; [`Error`].
    pub fn sign_up(
        &self,
        new: NewAccount,
        mailed_code: &mut dyn FnMut() -> Option<String>,
        keep_kit: &mut dyn FnMut(&Kit) -> bool,
    ) -> Result<(), Error> {
        let verified = self.verify_sign_up(&new, mailed_code)?;
        self.check_origin(&verified.server)?;
        let profile = acceptable(&verified.kdf_profiles)?;

        let (registration, registration_request) = Registration::start(new.password)?;
        let body = SignupOpaqueRequest { signup_token: verified.signup_token.clone(), registration_request };
        let answer: SignupOpaqueAnswer = self.post(routes::SIGNUP_OPAQUE, None, &body)?;
        let origin = self.transport.origin();
        let registered = registration.finish(&answer.registration_response, &verified.account_id, origin, profile)?;

        let (catalogue, vault) = (CatalogueRoot::random(), VaultRoot::random());
        let statement = key_statement(verified.account_id, (1, None), &catalogue, &vault, self.now())?;
        let statement_hash = statement_hash(&statement);
        let kit = Kit {
            email: new.email.clone(),
            server: origin.to_owned(),
            fingerprint: fingerprint(&statement_hash),
            code: KitCode::random(),
        };
        if !keep_kit(&kit) {
            return Err(Error::KitNotConfirmed);
        }
        let binding = Binding { account_id: verified.account_id, generation: 1, statement_hash };
        let body = SignupFinishRequest {
            signup_token: verified.signup_token.clone(),
            registration_record: registered.record,
            kdf_profile: profile,
            key_statement: statement.clone(),
            slots: vec![
                slot::make(slot::PASSWORD, &registered.export_key, &catalogue, &vault, &binding),
                slot::make(slot::KIT, &kit.code.key_material(), &catalogue, &vault, &binding),
            ],
            kit_proof_hash: kit.code.proof_hash(),
        };
        let finished: SignupFinished = self.post(routes::SIGNUP_FINISH, None, &body)?;

        let _lock = self.state.lock()?;
        self.state.write(
            "profile.json",
            &Profile {
                origin: origin.to_owned(),
                email: new.email,
                account_id: verified.account_id,
                key_statement: statement,
                receipt_pk: verified.server.receipt_pk,
                log_pk: verified.server.log_pk,
                audit_head: AuditHead { seq: 0, hash: FixedBytes([0; 32]) },
            },
        )?;
        let session = SessionFile {
            token: finished.session.token,
            expires_at: finished.session.expires_at,
            catalogue: Some(FixedBytes(*catalogue.secret().expose())),
            confirms_by_mail: false,
        };
        self.state.write("session.json", &session)
    }

    fn verify_sign_up(
        &self,
        new: &NewAccount,
        mailed_code: &mut dyn FnMut() -> Option<String>,
    ) -> Result<SignupVerified, Error> {
        let body = SignupStartRequest { email: new.email.clone(), invite: new.invite.clone() };
        let started: SignupStarted = self.post(routes::SIGNUP_START, None, &body)?;
        let code = if started.code_mailed { Some(mailed_code().ok_or(Error::Cancelled)?) } else { None };
        self.post(routes::SIGNUP_VERIFY, None, &SignupVerifyRequest { signup_id: started.signup_id, code })
    }
}
