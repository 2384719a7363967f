//! A new emergency kit in place of one that is lost, or may have been seen.

use vault_crypto::kit::KitCode;
use vault_crypto::slot::{self, Binding};
use vault_protocol::messages::{KIT_TARGET, KitFinishRequest, KitStartRequest, KitStarted, PasswordChanged, Purpose};
use vault_protocol::routes;
use vault_protocol::statement::{fingerprint, statement_hash};

use crate::{Client, Confirm, Error, Kit, Transport};

impl<T: Transport> Client<T> {
    /// Makes a new kit. `keep_kit` shows it and tells whether it was kept; until then the one before stays good, and
    /// afterwards it is void. Other sessions end.
    ///
    /// # Errors
    /// [`Error::KitNotConfirmed`], then nothing was changed; [`Error`].
    pub fn replace_kit<'a>(
        &self,
        presence: impl Into<Confirm<'a>>,
        keep_kit: &mut dyn FnMut(&Kit) -> bool,
    ) -> Result<(), Error> {
        let confirmed = self.step_up(Purpose::Password, KIT_TARGET, presence)?;
        let owner = self.owner()?;
        let started: KitStarted =
            self.post(routes::KIT_START, Some(owner.token()), &KitStartRequest { grant: confirmed.grant.clone() })?;
        let statement_hash = statement_hash(owner.key_statement());
        let kit = Kit {
            email: owner.profile.email.clone(),
            server: self.transport.origin().to_owned(),
            fingerprint: fingerprint(&statement_hash),
            code: KitCode::random(),
        };
        if !keep_kit(&kit) {
            return Err(Error::KitNotConfirmed);
        }
        let binding =
            Binding { account_id: owner.profile.account_id, generation: owner.statement.generation, statement_hash };
        let material = kit.code.key_material();
        let body = KitFinishRequest {
            ceremony_id: started.ceremony_id,
            slot: slot::make(slot::KIT, &material, &owner.catalogue, confirmed.vault()?, &binding),
            kit_proof_hash: kit.code.proof_hash(),
        };
        let changed: PasswordChanged = self.post(routes::KIT_FINISH, Some(owner.token()), &body)?;
        self.go_on(changed.session)
    }
}
