//! Step-up: fresh proof of presence for one act, and the vault root where the act needs it.

use secret::{SecretString, SecretVec};
use vault_crypto::VaultRoot;
use vault_crypto::password::{Proof, Proven};
use vault_crypto::slot::{self, Binding};
use vault_protocol::messages::{
    MAILED_CODE, PASSKEY, Purpose, StepUpFinishRequest, StepUpStartRequest, StepUpStarted, SteppedUp, VaultSlot,
};
use vault_protocol::statement::statement_hash;
use vault_protocol::{Bytes, routes};

use crate::client::Owner;
use crate::sign_in::{check_takes_codes, factor_kind};
use crate::{Authenticator, Client, Error, PrfOutput, Transport};

/// What the owner gives to confirm an act: the password, which opens the vault, and a fresh code.
pub struct Presence {
    /// The account's password.
    pub password: SecretString,
    /// Six digits or a backup code; never used before.
    pub code: SecretString,
}

/// How an act is confirmed.
#[derive(Clone, Copy)]
pub enum Confirm<'a> {
    /// Password and a fresh code.
    Code(&'a Presence),
    /// A passkey. It opens the vault, too, unless the password is given for that.
    Passkey {
        /// What keeps it.
        authenticator: &'a dyn Authenticator,
        /// For a passkey that opens no vault.
        password: Option<&'a SecretString>,
    },
}

impl<'a> From<&'a Presence> for Confirm<'a> {
    fn from(presence: &'a Presence) -> Self {
        Self::Code(presence)
    }
}

/// A confirmed act.
pub(crate) struct Confirmed {
    pub(crate) grant: Bytes,
    /// Opened where the purpose needs it.
    pub(crate) vault: Option<VaultRoot>,
    /// What the passkey derived in this ceremony, where one confirmed it and could.
    pub(crate) prf: Option<PrfOutput>,
}

impl Confirmed {
    pub(crate) fn vault(&self) -> Result<&VaultRoot, Error> {
        self.vault.as_ref().ok_or(Error::Answer("the vault slot is missing"))
    }
}

impl<T: Transport> Client<T> {
    pub(crate) fn step_up<'a>(
        &self,
        purpose: Purpose,
        target: &str,
        confirm: impl Into<Confirm<'a>>,
    ) -> Result<Confirmed, Error> {
        self.step_up_by(purpose, target, confirm.into(), None)
    }

    /// As [`Self::step_up`]; a passkey that confirms has to be `only` this one.
    pub(crate) fn step_up_by(
        &self,
        purpose: Purpose,
        target: &str,
        confirm: Confirm<'_>,
        only: Option<&Bytes>,
    ) -> Result<Confirmed, Error> {
        let owner = self.owner()?;
        let session = Some(owner.token());
        let password = match confirm {
            Confirm::Code(presence) => Some(&presence.password),
            Confirm::Passkey { password, .. } => password,
        };
        let proof = match password {
            Some(password) if purpose.opens_vault() => Some(Proof::start(password.clone())?),
            _ => None,
        };
        let body = StepUpStartRequest {
            purpose,
            target: target.to_owned(),
            credential_request: proof.as_ref().map(|(_, request)| request.clone()),
        };
        let started: StepUpStarted = self.post(routes::STEP_UP_START, session, &body)?;
        let proven = proof.map(|(proof, _)| self.prove_password(&owner, proof, &started)).transpose()?;
        let mut body = StepUpFinishRequest {
            step_id: started.step_id,
            kind: PASSKEY.to_owned(),
            code: String::new(),
            assertion: None,
            credential_finalization: proven.as_ref().map(|proven| proven.finalization.clone()),
        };
        let prf = match confirm {
            Confirm::Code(presence) => {
                check_takes_codes(&started.kinds)?;
                // Asked for only now: it was not mailed before.
                let (kind, code) = if started.kinds == [MAILED_CODE] {
                    (MAILED_CODE, self.mailed_code().ok_or(Error::Cancelled)?)
                } else {
                    (factor_kind(presence.code.expose()), presence.code.clone())
                };
                kind.clone_into(&mut body.kind);
                code.expose().clone_into(&mut body.code);
                None
            }
            Confirm::Passkey { authenticator, .. } => {
                let mut request = started.passkey.ok_or(Error::NoSuchPasskey)?;
                request.allow.retain(|allowed| only.is_none_or(|only| allowed.id == *only));
                if request.allow.is_empty() {
                    return Err(Error::NoSuchPasskey);
                }
                let (assertion, prf) = self.ask(authenticator, &request)?;
                body.assertion = Some(assertion);
                prf
            }
        };
        if purpose.opens_vault() && proven.is_none() && prf.is_none() {
            return Err(Error::PrfUnavailable);
        }
        let stepped: SteppedUp = self.post(routes::STEP_UP_FINISH, session, &body)?;
        self.tell_backup_codes(stepped.backup_codes_left);
        let credential = body.assertion.as_ref().map(|assertion| &assertion.id);
        let vault = match (&proven, &prf) {
            _ if !purpose.opens_vault() => None,
            (Some(proven), _) => {
                Some(open_vault(&owner, &stepped.slots, |slot| slot.kind == slot::PASSWORD, &proven.export_key)?)
            }
            (None, Some(prf)) => {
                let material = SecretVec::new(prf.0.expose().to_vec());
                let is_its_own = |slot: &VaultSlot| slot.credential_id.as_ref() == credential;
                Some(open_vault(&owner, &stepped.slots, is_its_own, &material)?)
            }
            (None, None) => None,
        };
        Ok(Confirmed { grant: stepped.grant, vault, prf })
    }

    fn prove_password(&self, owner: &Owner, proof: Proof, started: &StepUpStarted) -> Result<Proven, Error> {
        let response =
            started.credential_response.as_ref().ok_or(Error::Answer("the credential response is missing"))?;
        let origin = self.transport.origin();
        Ok(proof.finish(response, &owner.profile.account_id, origin, started.kdf_profile)?)
    }
}

/// The vault root of the slot that is meant.
fn open_vault(
    owner: &Owner,
    slots: &[VaultSlot],
    is_meant: impl Fn(&VaultSlot) -> bool,
    material: &SecretVec,
) -> Result<VaultRoot, Error> {
    let slot = slots.iter().find(|slot| is_meant(slot)).ok_or(Error::Answer("the vault slot is missing"))?;
    let binding = Binding {
        account_id: owner.profile.account_id,
        generation: owner.statement.generation,
        statement_hash: statement_hash(owner.key_statement()),
    };
    Ok(slot::open_vault(slot, material, &binding)?)
}
