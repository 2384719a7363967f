//! The delays before weighty changes: begin the end of two-factor or a deletion, see what runs, cancel.

use vault_protocol::messages::{
    ACCOUNT_TARGET, AccountDeleteRequest, FactorsOffRequest, OFF_TARGET, Purpose, RecordDeleteRequest, WaitBegun,
    WaitCancelRequest, WaitList, WaitView,
};
use vault_protocol::{RecordId, WaitId, routes};

use crate::{Client, Confirm, Error, Transport};

impl<T: Transport> Client<T> {
    /// Begins the delay after which the account asks for no second factor; gives when that is. It is announced to the owner,
    /// can be cancelled until then, and changes nothing about saving.
    ///
    /// # Errors
    /// `factor.no_mail` where nothing could stand in for a factor; [`Error`].
    pub fn begin_two_factor_off<'a>(&self, presence: impl Into<Confirm<'a>>) -> Result<WaitBegun, Error> {
        let grant = self.step_up(Purpose::Factors, OFF_TARGET, presence)?.grant;
        let owner = self.owner()?;
        self.post(routes::FACTORS_OFF, Some(owner.token()), &FactorsOffRequest { grant })
    }

    /// Begins the delay after which a record is deleted for good; gives when that is. Until then it stays as it is, can be released,
    /// and the deletion can be cancelled.
    ///
    /// # Errors
    /// `record.not_found`, `wait.no_mail`; [`Error`].
    pub fn begin_delete_record<'a>(
        &self,
        record: RecordId,
        presence: impl Into<Confirm<'a>>,
    ) -> Result<WaitBegun, Error> {
        let grant = self.step_up(Purpose::Delete, &record.to_string(), presence)?.grant;
        let owner = self.owner()?;
        let path = routes::with_id(routes::RECORD_DELETE, &record.to_string());
        self.post(&path, Some(owner.token()), &RecordDeleteRequest { grant })
    }

    /// Begins the delay after which the account is deleted with every record; gives when that is. Until then everything goes on, and
    /// the deletion can be cancelled.
    ///
    /// # Errors
    /// `wait.no_mail`; [`Error`].
    pub fn begin_delete_account<'a>(&self, presence: impl Into<Confirm<'a>>) -> Result<WaitBegun, Error> {
        let grant = self.step_up(Purpose::Delete, ACCOUNT_TARGET, presence)?.grant;
        let owner = self.owner()?;
        self.post(routes::ACCOUNT_DELETE, Some(owner.token()), &AccountDeleteRequest { grant })
    }

    /// The delays that run.
    ///
    /// # Errors
    /// [`Error`].
    pub fn waits(&self) -> Result<Vec<WaitView>, Error> {
        let owner = self.owner()?;
        let list: WaitList = self.get(routes::WAITS, Some(owner.token()))?;
        Ok(list.waits)
    }

    /// Cancels a delay of the signed-in owner.
    ///
    /// # Errors
    /// `wait.over`; [`Error`].
    pub fn cancel_wait(&self, wait: WaitId) -> Result<(), Error> {
        let owner = self.owner()?;
        let body = WaitCancelRequest { wait_id: Some(wait), code: None };
        self.post(routes::WAIT_CANCEL, Some(owner.token()), &body)
    }

    /// Cancels a delay with the code of the mail that told of it. Nobody has to be signed in.
    ///
    /// # Errors
    /// `wait.over`; [`Error`].
    pub fn cancel_wait_with_code(&self, code: &str) -> Result<(), Error> {
        let body = WaitCancelRequest { wait_id: None, code: Some(code.trim().to_owned()) };
        self.post(routes::WAIT_CANCEL, None, &body)
    }
}
