//! An address that asks for help, what its emergency kit opens, and the new password and kit that come after: the same
//! where the password is lost (`recover`) and where every factor is lost as well (`reset`).

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use vault_protocol::messages::{RecoverFinishRequest, RecoverProven, SlotUpload};
use vault_protocol::problem::Code;
use vault_protocol::{Bytes, CeremonyId, FixedBytes, audit, sha256};
use vault_store::{Account, AccountId, NewPassword, Refusal, Slot, Wait};

use super::sign_in::{check_epoch, current_statement, salt};
use super::sign_up::{ceremony_of, check_profile, normalise_email, slot_row};
use super::{instead, try_ceremony};
use crate::app::{App, Inner, KDF_PROFILES};
use crate::audit::Act;
use crate::clock::{HOUR, MINUTE};
use crate::failure::{Failure, Fault};
use crate::http::Caller;
use crate::notices::Event;
use crate::tokens;

/// How long a mailed code is good.
pub(super) const START_LIFETIME: i64 = 10 * MINUTE;
/// Proofs of one visit; the mailed code has six digits.
pub(super) const TRIES: i64 = 5;
/// Time for a new kit to be printed.
const PROVEN_LIFETIME: i64 = HOUR;
/// Retries of the last call after lost answers.
const FINISH_TRIES: i64 = 10;

/// An address, and the account that it has, or its stand-in.
pub(super) struct Asked {
    pub(super) mail_name: String,
    pub(super) account: Option<Account>,
    pub(super) account_id: AccountId,
}

impl Asked {
    /// Takes a place among the password runs and among the mails to this address; both ways take the same time.
    pub(super) async fn of(app: &App, caller: &Caller, email: &str) -> Result<Self, Failure> {
        let email_norm = normalise_email(email).ok_or(Code::AuthInvalid)?;
        let mail_name = app.mail_name(&email_norm);
        app.begin_password_run(&mail_name, &caller.limit_net).await?;
        let places = app.limits().mailed_codes;
        app.take(format!("help/mail/{mail_name}"), HOUR, places, Code::LimitRate).await?;
        let account = app.store.account_by_email(&email_norm).await?;
        let stand_in = app.stand_in(&email_norm);
        let account_id = account.as_ref().map_or(stand_in, |account| account.id);
        Ok(Self { mail_name, account, account_id })
    }

    /// The account's when this began.
    pub(super) fn epoch(&self) -> i64 {
        self.account.as_ref().map_or(0, |account| account.epoch)
    }
}

/// The kit among the slots of an account.
pub(super) fn kit_of(slots: &[Slot]) -> Option<&Slot> {
    slots.iter().find(|slot| slot.kind == "kit")
}

/// Whether this is the proof that a kit gives.
pub(super) fn proves(kit: Option<&Slot>, proof: &[u8]) -> bool {
    let proof_hash = kit.and_then(|kit| kit.proof_hash.as_deref()).unwrap_or_default();
    bool::from(sha256(&[proof])[..].ct_eq(proof_hash))
}

/// What a mailed code must be.
pub(super) fn code_hash(code: &str) -> FixedBytes<32> {
    FixedBytes(sha256(&[code.trim().as_bytes()]))
}

/// Refuses another code than the one that was mailed.
pub(super) fn check_mailed(mailed: &FixedBytes<32>, typed: &str) -> Result<(), Failure> {
    let fits = bool::from(code_hash(typed).0.ct_eq(&mailed.0));
    if fits { Ok(()) } else { Err(Code::AuthEmailCodeInvalid.into()) }
}

/// Everything was proven; the new password is missing.
#[derive(Serialize, Deserialize)]
pub(super) struct Proven {
    pub(super) account_id: AccountId,
    pub(super) epoch: i64,
    pub(super) mail_name: String,
}

impl Proven {
    /// Hands out what the kit opens, and a token for what comes next under the name `kind`.
    pub(super) async fn hand_out(
        &self,
        app: &App,
        account: &Account,
        kind: &'static str,
        kit: Option<&Slot>,
        registration_response: Bytes,
    ) -> Result<RecoverProven, Failure> {
        let (recovery_token, _) = tokens::new_token();
        let id = ceremony_of(&recovery_token);
        let kit = kit.ok_or(Fault::Stored("slot"))?;
        let ceremony = app.ceremony(id, kind, Some(account.id), self, PROVEN_LIFETIME)?;
        // Another kit may have taken its place since it was read: what this one opens is not given out any more.
        let begun = app.store.add_ceremony_by_slot(&ceremony, kit.id).await;
        begun.map_err(|error| instead(error, Refusal::NotFound, Code::AuthInvalid))?;
        Ok(RecoverProven {
            recovery_token,
            key_statement: current_statement(app, account).await?,
            slot: whole_slot(kit)?,
            registration_response,
            kdf_profiles: KDF_PROFILES.to_vec(),
            backup_codes_left: None,
        })
    }
}

/// Somebody who comes with the token of [`Proven::hand_out`].
pub(super) struct Successor {
    pub(super) account: Account,
    proven: Proven,
    ceremony: CeremonyId,
    kind: &'static str,
}

impl Successor {
    pub(super) async fn of(app: &App, token: &Bytes, kind: &'static str) -> Result<Self, Failure> {
        let id = ceremony_of(token);
        let ceremony = try_ceremony(app, id, kind, FINISH_TRIES, Code::AuthSessionExpired).await?;
        let proven: Proven = app.ceremony_state(&ceremony)?;
        let account = app.store.account(proven.account_id).await?.ok_or(Code::AuthInvalid)?;
        check_epoch(&account, proven.epoch)?;
        Ok(Self { account, proven, ceremony: id, kind })
    }

    /// The new password and the new kit; every session ends. As a part of `reset`, that must be due.
    pub(super) async fn replace(
        self,
        app: &App,
        caller: &Caller,
        request: &RecoverFinishRequest,
        reset: Option<&Wait>,
    ) -> Result<AccountId, Failure> {
        let Self { account, proven, ceremony, kind } = self;
        let now = app.now();
        let new = NewPassword {
            account_id: account.id,
            epoch: proven.epoch,
            opaque_record: Inner::registration_record(&request.registration_record)?,
            kdf_profile: check_profile(request.kdf_profile)?,
            slots: new_slots(account.id, account.generation, &request.slots, request.kit_proof_hash, now)
                .ok_or(Code::RequestInvalid)?,
            ceremony,
            ceremony_kind: kind.to_owned(),
            session: None,
            reset: reset.cloned(),
            now,
        };
        let act = Act::by_owner(account.id, caller, now, audit::action::RECOVER_PASSWORD)
            .telling(app.notice(&account, &Event::PasswordRecovered)?);
        let replaced = app.store.replace_password(&new, &|head| act.link(head)).await;
        replaced.map_err(|error| instead(error, Refusal::Wait, Code::RecoverCancelled))?;
        app.end_password_run(&proven.mail_name).await?;
        Ok(account.id)
    }
}

/// A slot with what it holds.
pub(super) fn whole_slot(slot: &Slot) -> Result<SlotUpload, Fault> {
    Ok(SlotUpload {
        slot_id: slot.id,
        kind: slot.kind.clone(),
        salt: salt(slot)?,
        wrap_c: slot.wrap_c.clone().into(),
        wrap_v: slot.wrap_v.clone().into(),
        credential_id: None,
    })
}

/// Exactly a password slot and a kit slot: what opened the account before is spent.
pub(super) fn new_slots(
    account: AccountId,
    generation: i64,
    slots: &[SlotUpload],
    kit_proof_hash: FixedBytes<32>,
    now: i64,
) -> Option<Vec<Slot>> {
    let kinds: Vec<&str> = slots.iter().map(|slot| slot.kind.as_str()).collect();
    if !matches!(kinds[..], ["password", "kit"] | ["kit", "password"]) {
        return None;
    }
    let row = |slot: &SlotUpload| {
        let proof_hash = (slot.kind == "kit").then_some(kit_proof_hash);
        slot_row(account, slot, generation, proof_hash, now)
    };
    slots.iter().map(row).collect()
}
