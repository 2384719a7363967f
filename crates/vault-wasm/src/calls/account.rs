//! Way in, factors, kit, password, delays.

use secret::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};
use vault_client::{NewAccount, SignedIn};
use vault_protocol::messages::{WaitBegun, rp_id};
use vault_protocol::statement::{fingerprint, statement_hash};
use vault_protocol::{FactorId, Millis, RecordId, WaitId};

use super::{Confirming, SecretText};
use crate::engine::{Called, Engine, failed, read};
use crate::failure;
use crate::host::Host;
use crate::strength;

#[derive(Deserialize)]
struct SignUp {
    email: String,
    password: SecretText,
    #[serde(default)]
    invite: Option<String>,
}

impl<H: Host> Engine<H> {
    pub(super) fn service(&self) -> Called {
        let server = self.client.server().map_err(failed)?;
        Ok(json!({ "origin": server.origin, "passkeys": rp_id(&self.origin).is_some() }))
    }

    pub(super) fn known(&self) -> Called {
        let known = self.client.known_account().map_err(failed)?;
        let known = known.filter(|(origin, ..)| *origin == self.origin);
        Ok(known.map_or(Value::Null, |(_, email, fingerprint)| json!({ "email": email, "fingerprint": fingerprint })))
    }

    pub(super) fn strength(&self, arguments: &str) -> Called {
        let (password, email): (SecretText, String) = read(arguments)?;
        Ok(json!({ "score": strength::score(password.0.expose(), &email) }))
    }

    pub(super) fn sign_up(&self, arguments: &str) -> Called {
        let (new,): (SignUp,) = read(arguments)?;
        let new = NewAccount { email: new.email, password: new.password.0, invite: new.invite };
        let mut mailed = || self.asks.mailed_code();
        self.client.sign_up(new, &mut mailed, &mut |kit| self.asks.keep_kit(kit)).map_err(failed)?;
        Ok(Value::Null)
    }

    pub(super) fn sign_in(&self, arguments: &str) -> Called {
        let (email, password): (String, SecretText) = read(arguments)?;
        let mut factor = |kinds: &[String]| self.asks.factor(kinds, &self.asks);
        let signed_in = self.client.sign_in_by_any(&email, password.0, &mut factor).map_err(failed)?;
        self.signed_in(Some(email), &signed_in)
    }

    pub(super) fn sign_in_with_passkey(&self) -> Called {
        let mut password = |email: &str| self.asks.password(email);
        let signed_in = self.client.sign_in_with_passkey(&self.asks, &mut password).map_err(failed)?;
        self.signed_in(None, &signed_in)
    }

    /// What the pages know of a session. The address that was typed stands in where the account is not open yet.
    fn signed_in(&self, typed: Option<String>, signed_in: &SignedIn) -> Called {
        let known = self.client.known_account().map_err(failed)?;
        let (email, fingerprint) = known.map_or_else(Default::default, |(_, email, fingerprint)| (email, fingerprint));
        Ok(match signed_in {
            SignedIn::Fully { fingerprint, known_before, must_add_factor } => json!({
                "email": email, "fingerprint": fingerprint, "knownBefore": known_before, "mustAddFactor": must_add_factor,
            }),
            SignedIn::MustEnrolFactor => json!({
                "email": typed.unwrap_or(email), "fingerprint": fingerprint, "knownBefore": true, "mustAddFactor": true,
            }),
        })
    }

    pub(super) fn sign_out(&mut self) -> Called {
        self.found.clear();
        self.client.sign_out().map_err(failed)?;
        Ok(Value::Null)
    }

    pub(super) fn account(&self) -> Called {
        let account = self.client.account().map_err(failed)?;
        Ok(json!({
            "email": account.email, "fingerprint": fingerprint(&statement_hash(&account.key_statement)),
            "twoFactor": account.two_factor, "offAt": account.off_at, "createdAt": account.created_at,
        }))
    }

    pub(super) fn factor_list(&self) -> Called {
        let list = self.client.factor_list().map_err(failed)?;
        let opens = |id: FactorId| list.passkeys.iter().find(|one| one.factor_id == id).map(|one| one.opens_vault);
        let factors: Vec<Value> = list
            .factors
            .iter()
            .map(|factor| {
                json!({
                    "factorId": factor.factor_id, "kind": factor.kind, "label": factor.label,
                    "createdAt": factor.created_at, "usedAt": factor.used_at, "opensVault": opens(factor.factor_id),
                })
            })
            .collect();
        Ok(json!({
            "factors": factors, "backupCodesLeft": list.backup_codes_left, "addNeedsStepUp": list.add_needs_step_up,
        }))
    }

    pub(super) fn add_totp(&self, arguments: &str) -> Called {
        let (label, confirm): (String, Option<Confirming>) = read(arguments)?;
        let given = confirm.map(Confirming::given);
        let confirm = given.as_ref().map(|given| given.confirm(&self.asks));
        let mut codes = |totp: &_, wrong: Option<&_>| self.asks.totp_codes(totp, wrong);
        self.client.add_totp_confirmed(&label, confirm, &mut codes).map_err(failed)?;
        Ok(Value::Null)
    }

    pub(super) fn add_passkey(&self, arguments: &str) -> Called {
        let (label, confirm): (String, Option<Confirming>) = read(arguments)?;
        let given = confirm.map(Confirming::given);
        let confirm = given.as_ref().map(|given| given.confirm(&self.asks));
        let passkey = self.client.add_passkey(&label, confirm, &self.asks).map_err(failed)?;
        Ok(json!({ "factorId": passkey.factor_id }))
    }

    pub(super) fn let_passkey_open_vault(&self, arguments: &str) -> Called {
        let (factor, password): (FactorId, SecretText) = read(arguments)?;
        self.client.let_passkey_open_vault(factor, &password.0, &self.asks).map_err(failed)?;
        Ok(Value::Null)
    }

    pub(super) fn remove_factor(&self, arguments: &str) -> Called {
        let (factor, confirm): (FactorId, Confirming) = read(arguments)?;
        self.client.remove_factor(factor, confirm.given().confirm(&self.asks)).map_err(failed)?;
        Ok(Value::Null)
    }

    pub(super) fn make_backup_codes(&self, arguments: &str) -> Called {
        let (confirm,): (Confirming,) = read(arguments)?;
        let mut keep = |codes: &_| self.asks.keep_codes(codes);
        self.client.make_backup_codes(confirm.given().confirm(&self.asks), &mut keep).map_err(failed)?;
        Ok(Value::Null)
    }

    pub(super) fn replace_kit(&self, arguments: &str) -> Called {
        let (confirm,): (Confirming,) = read(arguments)?;
        let mut keep = |kit: &_| self.asks.keep_kit(kit);
        self.client.replace_kit(confirm.given().confirm(&self.asks), &mut keep).map_err(failed)?;
        Ok(Value::Null)
    }

    pub(super) fn change_password(&self, arguments: &str) -> Called {
        let (confirm, password): (Confirming, SecretText) = read(arguments)?;
        self.client.change_password(confirm.given().confirm(&self.asks), password.0).map_err(failed)?;
        Ok(Value::Null)
    }

    pub(super) fn begin_two_factor_off(&self, arguments: &str) -> Called {
        let (confirm,): (Confirming,) = read(arguments)?;
        let begun = self.client.begin_two_factor_off(confirm.given().confirm(&self.asks)).map_err(failed)?;
        self.begun(begun)
    }

    pub(super) fn delete_record(&self, arguments: &str) -> Called {
        let (record, confirm): (RecordId, Confirming) = read(arguments)?;
        let begun = self.client.begin_delete_record(record, confirm.given().confirm(&self.asks)).map_err(failed)?;
        self.begun(begun)
    }

    pub(super) fn delete_account(&self, arguments: &str) -> Called {
        let (confirm,): (Confirming,) = read(arguments)?;
        let begun = self.client.begin_delete_account(confirm.given().confirm(&self.asks)).map_err(failed)?;
        self.begun(begun)
    }

    /// A delay that has begun, as the list shows it.
    fn begun(&self, begun: WaitBegun) -> Called {
        let waits = self.client.waits().map_err(failed)?;
        let wait = waits.iter().find(|wait| wait.wait_id == begun.wait_id);
        wait.map(wait_document).ok_or_else(|| failure::of_page("page.fault", "the delay that began is not listed"))
    }

    pub(super) fn waits(&self) -> Called {
        let waits = self.client.waits().map_err(failed)?;
        Ok(waits.iter().map(wait_document).collect())
    }

    pub(super) fn cancel_wait(&self, arguments: &str) -> Called {
        let (wait,): (WaitId,) = read(arguments)?;
        self.client.cancel_wait(wait).map_err(failed)?;
        Ok(Value::Null)
    }

    pub(super) fn cancel_wait_with_code(&self, arguments: &str) -> Called {
        let (code,): (SecretText,) = read(arguments)?;
        self.client.cancel_wait_with_code(SecretString::expose(&code.0)).map_err(failed)?;
        Ok(Value::Null)
    }
}

fn wait_document(wait: &vault_protocol::messages::WaitView) -> Value {
    let target = Some(&wait.target).filter(|target| !target.is_empty());
    let (begun_at, due_at): (Millis, Millis) = (wait.begun_at, wait.due_at);
    json!({
        "waitId": wait.wait_id, "kind": wait.kind, "target": target, "begunAt": begun_at, "begunBy": wait.begun_by,
        "dueAt": due_at,
    })
}
