//! Every second factor is lost: begin the delayed reset, and finish it when its time has come. Two-factor stays on.

use secret::{SecretString, SecretVec};
use vault_crypto::kit::KitCode;
use vault_crypto::password::{Proof, Registration};
use vault_protocol::messages::{
    LoggedIn, LoginStarted, ResetProveRequest, ResetProven, ResetStartRequest, ResetStarted,
};
use vault_protocol::{FixedBytes, routes};

use crate::recover::Lost;
use crate::{Client, Error, Kit, Transport};

/// What is left when the factors are lost.
pub enum LostFactors {
    /// The password.
    Password(SecretString),
    /// The emergency kit; the password is lost, too.
    Kit {
        /// Its code, as it was typed.
        code: SecretString,
        /// The new password.
        new_password: SecretString,
    },
}

const INCOMPLETE: Error = Error::Answer("the answer to a reset is incomplete");

impl<T: Transport> Client<T> {
    /// Begins the reset (`begin`), or comes back to finish it. While its delay runs the result is the error
    /// `recover.waiting`, whose problem says until when. Once the delay is over the session that was opened may add a factor
    /// ([`Client::add_totp`]), and nothing else; with that factor the lost ones go. With the kit, a new password and a new
    /// kit are set before: `keep_kit` shows the kit and tells whether it was kept.
    ///
    /// # Errors
    /// `recover.waiting`, `recover.cancelled`; [`Error::KitNotConfirmed`], then nothing was changed; [`Error`].
    pub fn reset_factors(
        &self,
        email: &str,
        left: &LostFactors,
        begin: bool,
        mailed_code: &mut dyn FnMut() -> Option<String>,
        keep_kit: &mut dyn FnMut(&Kit) -> bool,
    ) -> Result<(), Error> {
        match left {
            LostFactors::Password(password) => self.reset_by_password(email, password, begin, mailed_code),
            LostFactors::Kit { code, new_password } => {
                // Before anything is asked of the service: a mistyped code shows in its check letters.
                let kit = KitCode::parse(code.expose())?;
                self.reset_by_kit(email, &kit, new_password, begin, mailed_code, keep_kit)
            }
        }
    }

    fn reset_by_password(
        &self,
        email: &str,
        password: &SecretString,
        begin: bool,
        mailed_code: &mut dyn FnMut() -> Option<String>,
    ) -> Result<(), Error> {
        let (proof, credential_request) = Proof::start(password.clone())?;
        let body = ResetStartRequest { email: email.to_owned(), credential_request: Some(credential_request) };
        let started: ResetStarted = self.post(routes::RESET_START, None, &body)?;
        self.check_origin(&started.server)?;
        let response = started.credential_response.as_ref().ok_or(INCOMPLETE)?;
        let origin = self.transport.origin();
        let proven = proof.finish(response, &started.account_id, origin, started.kdf_profile)?;
        let body = ResetProveRequest {
            reset_id: started.reset_id,
            begin,
            mailed_code: mailed_code().ok_or(Error::Cancelled)?,
            credential_finalization: Some(proven.finalization.clone()),
            kit_proof: None,
            registration_request: None,
        };
        let answer: ResetProven = self.post(routes::RESET_PROVE, None, &body)?;
        self.enter(email, started, &proven.export_key, answer.login.ok_or(INCOMPLETE)?)
    }

    fn reset_by_kit(
        &self,
        email: &str,
        kit: &KitCode,
        new_password: &SecretString,
        begin: bool,
        mailed_code: &mut dyn FnMut() -> Option<String>,
        keep_kit: &mut dyn FnMut(&Kit) -> bool,
    ) -> Result<(), Error> {
        let body = ResetStartRequest { email: email.to_owned(), credential_request: None };
        let started: ResetStarted = self.post(routes::RESET_START, None, &body)?;
        self.check_origin(&started.server)?;
        let (registration, registration_request) = Registration::start(new_password.clone())?;
        let body = ResetProveRequest {
            reset_id: started.reset_id,
            begin,
            mailed_code: mailed_code().ok_or(Error::Cancelled)?,
            credential_finalization: None,
            kit_proof: Some(FixedBytes(*kit.proof().expose())),
            registration_request: Some(registration_request),
        };
        let answer: ResetProven = self.post(routes::RESET_PROVE, None, &body)?;
        let recovery = answer.recovery.ok_or(INCOMPLETE)?;
        let lost = Lost { email, account_id: started.account_id };
        let (body, export_key) = self.successors(&lost, kit, &recovery, registration, keep_kit)?;
        let answer: ResetProven = self.post(routes::RESET_PASSWORD, None, &body)?;
        self.enter(email, started, &export_key, answer.login.ok_or(INCOMPLETE)?)
    }

    /// Checks what came with the session as a sign-in does, and keeps it.
    fn enter(
        &self,
        email: &str,
        started: ResetStarted,
        export_key: &SecretVec,
        logged_in: LoggedIn,
    ) -> Result<(), Error> {
        let started = LoginStarted {
            login_id: started.reset_id,
            account_id: started.account_id,
            kdf_profile: started.kdf_profile,
            credential_response: started.credential_response.unwrap_or_default(),
            server: started.server,
        };
        self.keep_session(email, &started, export_key, logged_in, false).map(|_| ())
    }
}
