//! A lost password: the emergency kit opens the roots, a second factor lets it, and both get successors.

use secret::{SecretString, SecretVec};
use vault_crypto::kit::KitCode;
use vault_crypto::password::Registration;
use vault_crypto::slot::{self, Binding};
use vault_protocol::messages::{
    CatalogueSlot, RecoverFinishRequest, RecoverProveRequest, RecoverProven, RecoverStartRequest, RecoverStarted,
    SlotUpload, VaultSlot,
};
use vault_protocol::problem::Code;
use vault_protocol::statement::{fingerprint, statement_hash};
use vault_protocol::{AccountId, Bytes, FixedBytes, routes, verify};

use crate::password::acceptable;
use crate::sign_in::new_keys;
use crate::{Client, Error, Kit, SignInFactor, Transport};

/// Somebody who lost the password.
pub struct Recovery {
    /// Mail address of the account.
    pub email: String,
    /// The kit's code, as it was typed.
    pub kit_code: SecretString,
    /// The new password.
    pub password: SecretString,
}

/// An account that is to get a new password.
pub(crate) struct Lost<'a> {
    pub(crate) email: &'a str,
    pub(crate) account_id: AccountId,
}

impl<T: Transport> Client<T> {
    /// Sets a new password with the help of the kit. `mailed_code` is asked where the service mailed one; `factor` gives
    /// a code, and is asked again with what was wrong until it gives up; `keep_kit` shows the new kit and tells whether it
    /// was kept. The kit that was used is void afterwards, every session has ended, and nobody is signed in.
    ///
    /// # Errors
    /// [`Error::KitNotConfirmed`], then nothing was changed; [`Error::Crypto`] for a kit code that was mistyped; [`Error`].
    pub fn recover_password(
        &self,
        recovery: &Recovery,
        mailed_code: &mut dyn FnMut() -> Option<String>,
        factor: &mut dyn FnMut(Option<&Error>) -> Option<SignInFactor>,
        keep_kit: &mut dyn FnMut(&Kit) -> bool,
    ) -> Result<(), Error> {
        // Before anything is asked of the service: a mistyped code shows in its check letters.
        let kit = KitCode::parse(recovery.kit_code.expose())?;
        let started: RecoverStarted =
            self.post(routes::RECOVER_START, None, &RecoverStartRequest { email: recovery.email.clone() })?;
        self.check_origin(&started.server)?;
        let mailed = if started.code_mailed { Some(mailed_code().ok_or(Error::Cancelled)?) } else { None };
        let (registration, registration_request) = Registration::start(recovery.password.clone())?;
        let proven = self.prove_kit(&started, &kit, mailed, registration_request, factor)?;
        self.tell_backup_codes(proven.backup_codes_left);

        let account = Lost { email: &recovery.email, account_id: started.account_id };
        let (body, _) = self.successors(&account, &kit, &proven, registration, keep_kit)?;
        self.post(routes::RECOVER_FINISH, None, &body)
    }

    /// What sets the new password and the new kit, and the key that the new password gives.
    pub(crate) fn successors(
        &self,
        lost: &Lost<'_>,
        kit: &KitCode,
        proven: &RecoverProven,
        registration: Registration,
        keep_kit: &mut dyn FnMut(&Kit) -> bool,
    ) -> Result<(RecoverFinishRequest, SecretVec), Error> {
        let account_id = lost.account_id;
        let statement =
            verify::key_statement(&proven.key_statement, account_id).map_err(Error::unverified("the key statement"))?;
        let known = self.state.profile()?.filter(|known| known.account_id == account_id);
        known.map_or(Ok(()), |known| new_keys(&known, &proven.key_statement))?;
        let statement_hash = statement_hash(&proven.key_statement);
        let binding = Binding { account_id, generation: statement.generation, statement_hash };
        let (catalogue_slot, vault_slot) = halves(&proven.slot);
        let material = kit.key_material();
        // Opening it authenticates the statement: only who knows the kit can have made the wraps.
        let catalogue =
            slot::open_catalogue(&catalogue_slot, &material, &binding).map_err(|_| Error::AccountKeyMismatch)?;
        let vault = slot::open_vault(&vault_slot, &material, &binding).map_err(|_| Error::AccountKeyMismatch)?;

        let origin = self.transport.origin();
        let profile = acceptable(&proven.kdf_profiles)?;
        let registered = registration.finish(&proven.registration_response, &account_id, origin, profile)?;
        let new_kit = Kit {
            email: lost.email.to_owned(),
            server: origin.to_owned(),
            fingerprint: fingerprint(&statement_hash),
            code: KitCode::random(),
        };
        if !keep_kit(&new_kit) {
            return Err(Error::KitNotConfirmed);
        }
        let body = RecoverFinishRequest {
            recovery_token: proven.recovery_token.clone(),
            registration_record: registered.record,
            kdf_profile: profile,
            slots: vec![
                slot::make(slot::PASSWORD, &registered.export_key, &catalogue, &vault, &binding),
                slot::make(slot::KIT, &new_kit.code.key_material(), &catalogue, &vault, &binding),
            ],
            kit_proof_hash: new_kit.code.proof_hash(),
        };
        Ok((body, registered.export_key))
    }

    fn prove_kit(
        &self,
        started: &RecoverStarted,
        kit: &KitCode,
        mailed_code: Option<String>,
        registration_request: Bytes,
        factor: &mut dyn FnMut(Option<&Error>) -> Option<SignInFactor>,
    ) -> Result<RecoverProven, Error> {
        let mut wrong = None;
        loop {
            let given = factor(wrong.as_ref()).ok_or_else(|| wrong.take().unwrap_or(Error::Cancelled))?;
            let body = RecoverProveRequest {
                recovery_id: started.recovery_id,
                mailed_code: mailed_code.clone(),
                kit_proof: FixedBytes(*kit.proof().expose()),
                kind: given.kind,
                code: given.code.expose().to_owned(),
                registration_request: registration_request.clone(),
            };
            match self.post(routes::RECOVER_PROVE, None, &body) {
                Err(error) if error.is(Code::FactorCodeWrong) || error.is(Code::FactorCodeUsed) => wrong = Some(error),
                other => return other,
            }
        }
    }
}

/// The slot as the two readers of its halves take it.
pub(crate) fn halves(slot: &SlotUpload) -> (CatalogueSlot, VaultSlot) {
    let SlotUpload { slot_id, kind, salt, wrap_c, wrap_v, credential_id } = slot.clone();
    let catalogue = CatalogueSlot { slot_id, kind: kind.clone(), salt, wrap_c, credential_id: credential_id.clone() };
    (catalogue, VaultSlot { slot_id, kind, salt, wrap_v, credential_id })
}
