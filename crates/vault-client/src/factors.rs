//! Second factors: list, add, remove.

use secret::SecretString;
use vault_protocol::messages::{
    FactorList, FactorRemoveRequest, FactorView, FactorsChanged, Purpose, SessionGranted, TotpFinishRequest,
    TotpStartRequest, TotpStarted,
};
use vault_protocol::{FactorId, routes};

use crate::state::SessionFile;
use crate::{Client, Confirm, Error, Presence, Transport};

/// A TOTP factor to be put into an authenticator.
pub struct NewTotp {
    /// The secret in base32.
    pub secret: SecretString,
    /// The same as an `otpauth://` link.
    pub uri: SecretString,
}

/// Shows a new authenticator's secret and asks for two consecutive codes; gets what was wrong with the codes before.
/// `None` gives up.
pub type AskForCodes<'a> = dyn FnMut(&NewTotp, Option<&Error>) -> Option<[String; 2]> + 'a;

impl<T: Transport> Client<T> {
    /// The account's second factors.
    ///
    /// # Errors
    /// [`Error`].
    pub fn factors(&self) -> Result<Vec<FactorView>, Error> {
        Ok(self.factor_list()?.factors)
    }

    /// The account's second factors, how many backup codes are left, and whether adding a factor needs a step-up.
    ///
    /// # Errors
    /// [`Error`].
    pub fn factor_list(&self) -> Result<FactorList, Error> {
        let session = self.any_session()?;
        self.get(routes::FACTORS, Some(&session.token))
    }

    /// Adds an authenticator. `codes` shows the secret and asks for two consecutive codes; it is asked again with what
    /// was wrong until it gives up. The first factor turns two-factor on; adding another needs `presence`,
    /// except after a sign-in with a backup code.
    ///
    /// # Errors
    /// [`Error`].
    pub fn add_totp(&self, label: &str, presence: Option<&Presence>, codes: &mut AskForCodes<'_>) -> Result<(), Error> {
        self.add_totp_confirmed(label, presence.map(Confirm::Code), codes)
    }

    /// As [`add_totp`](Self::add_totp), confirmed in any way.
    ///
    /// # Errors
    /// [`Error`].
    pub fn add_totp_confirmed(
        &self,
        label: &str,
        confirm: Option<Confirm<'_>>,
        codes: &mut AskForCodes<'_>,
    ) -> Result<(), Error> {
        let grant = match confirm {
            Some(confirm) => Some(self.step_up(Purpose::Factors, "totp", confirm)?.grant),
            None => None,
        };
        let session = self.any_session()?;
        let body = TotpStartRequest { label: label.to_owned(), grant };
        let started: TotpStarted = self.post(routes::TOTP_START, Some(&session.token), &body)?;
        let totp = NewTotp { secret: SecretString::new(started.secret), uri: SecretString::new(started.uri) };
        let mut wrong = None;
        loop {
            let codes = codes(&totp, wrong.as_ref()).ok_or(Error::Cancelled)?;
            let body = TotpFinishRequest { ceremony_id: started.ceremony_id, codes };
            match self.post::<_, FactorsChanged>(routes::TOTP_FINISH, Some(&session.token), &body) {
                Ok(changed) => {
                    self.go_on_under(changed)?;
                    return self.confirm_by_factor();
                }
                Err(error) if error.is(vault_protocol::problem::Code::FactorCodeWrong) => wrong = Some(error),
                Err(error) => return Err(error),
            }
        }
    }

    /// Removes a factor; the last one cannot be removed.
    ///
    /// # Errors
    /// `factor.last_one`; [`Error`].
    pub fn remove_factor<'a>(&self, factor: FactorId, presence: impl Into<Confirm<'a>>) -> Result<(), Error> {
        let grant = self.step_up(Purpose::Factors, &factor.to_string(), presence)?.grant;
        let owner = self.owner()?;
        let path = routes::with_id(routes::FACTOR_REMOVE, &factor.to_string());
        let changed = self.post(&path, Some(owner.token()), &FactorRemoveRequest { grant })?;
        self.go_on_under(changed)
    }

    /// From now on the account asks for a second factor.
    fn confirm_by_factor(&self) -> Result<(), Error> {
        let _lock = self.state.lock()?;
        let mut session = self.any_session()?;
        session.confirms_by_mail = false;
        self.state.write("session.json", &session)
    }

    /// Whether acts are confirmed with mailed codes, since the account asks for no second factor.
    ///
    /// # Errors
    /// [`Error::NotSignedIn`]; [`Error::State`].
    pub fn confirms_by_mail(&self) -> Result<bool, Error> {
        Ok(self.any_session()?.confirms_by_mail)
    }

    /// A session of any level: enrolling the first factor needs no more.
    pub(crate) fn any_session(&self) -> Result<SessionFile, Error> {
        self.state.read("session.json")?.ok_or(Error::NotSignedIn)
    }

    /// Every change of factors ends all sessions and gives this one a new token.
    pub(crate) fn go_on_under(&self, changed: FactorsChanged) -> Result<(), Error> {
        self.go_on(changed.session)
    }

    /// The session's new token.
    pub(crate) fn go_on(&self, granted: SessionGranted) -> Result<(), Error> {
        let _lock = self.state.lock()?;
        let mut session = self.any_session()?;
        session.token = granted.token;
        session.expires_at = granted.expires_at;
        self.state.write("session.json", &session)
    }
}
