//! New backup codes: shown first, and good only once they are known to be kept.

use secret::SecretString;
use vault_protocol::messages::{
    BackupCodesFinishRequest, BackupCodesStartRequest, BackupCodesStarted, FactorsChanged, Purpose,
};
use vault_protocol::{backup_code, routes};

use crate::{Client, Confirm, Error, Transport};

/// A new set of one-time backup codes.
pub struct NewBackupCodes {
    /// Each stands in for a second factor, once.
    pub codes: Vec<SecretString>,
}

impl NewBackupCodes {
    /// Whether this is the last of them: the proof that they were kept.
    #[must_use]
    pub fn is_last(&self, typed: &SecretString) -> bool {
        let typed = backup_code::letters(typed.expose());
        typed.is_some() && self.codes.last().is_some_and(|last| backup_code::letters(last.expose()) == typed)
    }
}

impl<T: Transport> Client<T> {
    /// Makes new backup codes, which void all earlier ones. `keep` shows the codes and tells whether they were kept;
    /// until then the earlier ones stay good.
    ///
    /// # Errors
    /// [`Error::Cancelled`] when they were not kept, then nothing was changed; [`Error`].
    pub fn make_backup_codes<'a>(
        &self,
        presence: impl Into<Confirm<'a>>,
        keep: &mut dyn FnMut(&NewBackupCodes) -> bool,
    ) -> Result<(), Error> {
        let grant = self.step_up(Purpose::Factors, backup_code::TARGET, presence)?.grant;
        let session = self.any_session()?;
        let started: BackupCodesStarted =
            self.post(routes::BACKUP_CODES_START, Some(&session.token), &BackupCodesStartRequest { grant })?;
        let codes: Vec<_> = started.codes.into_iter().map(SecretString::new).collect();
        if codes.is_empty() || codes.iter().any(|code| backup_code::letters(code.expose()).is_none()) {
            return Err(Error::Answer("a backup code of another form"));
        }
        if !keep(&NewBackupCodes { codes }) {
            return Err(Error::Cancelled);
        }
        let body = BackupCodesFinishRequest { ceremony_id: started.ceremony_id };
        let changed: FactorsChanged = self.post(routes::BACKUP_CODES_FINISH, Some(&session.token), &body)?;
        self.go_on_under(changed)
    }
}
