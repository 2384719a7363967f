//! Step-up: fresh proof of presence for one act, and the vault root where the act needs it.

use secret::SecretString;
use vault_crypto::VaultRoot;
use vault_crypto::password::Proof;
use vault_crypto::slot::{self, Binding};
use vault_protocol::messages::{
    MAILED_CODE, Purpose, StepUpFinishRequest, StepUpStartRequest, StepUpStarted, SteppedUp,
};
use vault_protocol::statement::statement_hash;
use vault_protocol::{Bytes, routes};

use crate::sign_in::factor_kind;
use crate::{Client, Error, Transport};

/// What the owner gives to confirm an act: the password, which opens the vault, and a fresh code.
pub struct Presence {
    /// The account's password.
    pub password: SecretString,
    /// Six digits or a backup code; never used before.
    pub code: SecretString,
}

/// A confirmed act.
pub(crate) struct Confirmed {
    pub(crate) grant: Bytes,
    /// Opened where the purpose needs it.
    pub(crate) vault: Option<VaultRoot>,
}

impl Confirmed {
    pub(crate) fn vault(&self) -> Result<&VaultRoot, Error> {
        self.vault.as_ref().ok_or(Error::Answer("the vault slot is missing"))
    }
}

impl<T: Transport> Client<T> {
    pub(crate) fn step_up(&self, purpose: Purpose, target: &str, presence: &Presence) -> Result<Confirmed, Error> {
        let owner = self.owner()?;
        let session = Some(owner.token());
        let proof = if purpose.opens_vault() { Some(Proof::start(presence.password.clone())?) } else { None };
        let body = StepUpStartRequest {
            purpose,
            target: target.to_owned(),
            credential_request: proof.as_ref().map(|(_, request)| request.clone()),
        };
        let started: StepUpStarted = self.post(routes::STEP_UP_START, session, &body)?;
        let proven = match proof {
            None => None,
            Some((proof, _)) => {
                let response =
                    started.credential_response.as_ref().ok_or(Error::Answer("the credential response is missing"))?;
                let origin = self.transport.origin();
                Some(proof.finish(response, &owner.profile.account_id, origin, started.kdf_profile)?)
            }
        };
        // Asked for only now: it was not mailed before.
        let (kind, code) = if started.kinds == [MAILED_CODE] {
            (MAILED_CODE, self.mailed_code().ok_or(Error::Cancelled)?)
        } else {
            (factor_kind(presence.code.expose()), presence.code.clone())
        };
        let body = StepUpFinishRequest {
            step_id: started.step_id,
            kind: kind.to_owned(),
            code: code.expose().to_owned(),
            credential_finalization: proven.as_ref().map(|proven| proven.finalization.clone()),
        };
        let stepped: SteppedUp = self.post(routes::STEP_UP_FINISH, session, &body)?;
        self.tell_backup_codes(stepped.backup_codes_left);
        let vault = match proven {
            None => None,
            Some(proven) => {
                let slot = stepped
                    .slots
                    .iter()
                    .find(|slot| slot.kind == slot::PASSWORD)
                    .ok_or(Error::Answer("the vault slot is missing"))?;
                let binding = Binding {
                    account_id: owner.profile.account_id,
                    generation: owner.statement.generation,
                    statement_hash: statement_hash(owner.key_statement()),
                };
                Some(slot::open_vault(slot, &proven.export_key, &binding)?)
            }
        };
        Ok(Confirmed { grant: stepped.grant, vault })
    }
}
