//! A new password for the account of the signed-in owner.

use secret::SecretString;
use vault_crypto::password::Registration;
use vault_crypto::slot::{self, Binding};
use vault_protocol::messages::{
    PASSWORD_TARGET, PasswordChanged, PasswordFinishRequest, PasswordStartRequest, PasswordStarted, Purpose,
};
use vault_protocol::opaque::kdf_profile;
use vault_protocol::routes;
use vault_protocol::statement::statement_hash;

use crate::{Client, Confirm, Error, Transport};

impl<T: Transport> Client<T> {
    /// Changes the password. `presence` proves the one before. Other sessions end; devices keep saving, and the
    /// emergency kit stays good.
    ///
    /// # Errors
    /// [`Error`]; then the password before is still the right one, unless the answer to the last call was lost.
    pub fn change_password<'a>(&self, presence: impl Into<Confirm<'a>>, new: SecretString) -> Result<(), Error> {
        let confirmed = self.step_up(Purpose::Password, PASSWORD_TARGET, presence)?;
        let owner = self.owner()?;
        let (registration, registration_request) = Registration::start(new)?;
        let body = PasswordStartRequest { grant: confirmed.grant.clone(), registration_request };
        let started: PasswordStarted = self.post(routes::PASSWORD_START, Some(owner.token()), &body)?;
        let profile = acceptable(&started.kdf_profiles)?;
        let origin = self.transport.origin();
        let account_id = owner.profile.account_id;
        let registered = registration.finish(&started.registration_response, &account_id, origin, profile)?;
        let binding = Binding {
            account_id,
            generation: owner.statement.generation,
            statement_hash: statement_hash(owner.key_statement()),
        };
        let body = PasswordFinishRequest {
            ceremony_id: started.ceremony_id,
            registration_record: registered.record,
            kdf_profile: profile,
            slot: slot::make(slot::PASSWORD, &registered.export_key, &owner.catalogue, confirmed.vault()?, &binding),
        };
        let changed: PasswordChanged = self.post(routes::PASSWORD_FINISH, Some(owner.token()), &body)?;
        self.go_on(changed.session)
    }
}

/// The first stretching profile that this client accepts.
pub(crate) fn acceptable(profiles: &[u32]) -> Result<u32, Error> {
    let known = profiles.iter().copied().find(|number| kdf_profile(*number).is_some());
    Ok(known.ok_or(vault_crypto::Error::KdfRefused(profiles.first().copied().unwrap_or(0)))?)
}
