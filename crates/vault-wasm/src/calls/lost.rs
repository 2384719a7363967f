//! What to do when password or factors are lost.

use serde::Deserialize;
use serde_json::{Value, json};
use vault_client::{Error, LostFactors, NewStart, Outcome, Recovery, SignInFactor, SignedIn};
use vault_protocol::problem::Code;

use super::{Confirming, SecretText};
use crate::engine::{Called, Engine, failed, read};
use crate::host::Host;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Lost {
    email: String,
    kit_code: SecretText,
    password: SecretText,
}

#[derive(Deserialize)]
struct AllLost {
    email: String,
    password: SecretText,
    #[serde(default)]
    factor: Option<SecretText>,
}

/// What is left.
#[derive(Deserialize)]
#[serde(tag = "with", rename_all = "lowercase")]
enum Left {
    Password {
        password: SecretText,
    },
    #[serde(rename_all = "camelCase")]
    Kit {
        kit_code: SecretText,
        password: SecretText,
    },
}

impl<H: Host> Engine<H> {
    pub(super) fn recover_password(&self, arguments: &str) -> Called {
        let (lost,): (Lost,) = read(arguments)?;
        let recovery = Recovery { email: lost.email, kit_code: lost.kit_code.0, password: lost.password.0 };
        let mut mailed = || self.asks.mailed_code();
        let mut factor = |wrong: Option<&Error>| self.asks.factor_again(wrong);
        let mut keep = |kit: &_| self.asks.keep_kit(kit);
        self.client.recover_password(&recovery, &mut mailed, &mut factor, &mut keep).map_err(failed)?;
        Ok(Value::Null)
    }

    pub(super) fn reset_factors(&self, arguments: &str) -> Called {
        let (email, left, begin): (String, Left, bool) = read(arguments)?;
        let left = match left {
            Left::Password { password } => LostFactors::Password(password.0),
            Left::Kit { kit_code, password } => LostFactors::Kit { code: kit_code.0, new_password: password.0 },
        };
        let mut mailed = || self.asks.mailed_code();
        let mut keep = |kit: &_| self.asks.keep_kit(kit);
        match self.client.reset_factors(&email, &left, begin, &mut mailed, &mut keep) {
            Ok(()) => Ok(Value::Null),
            // That the delay runs is what was wanted.
            Err(Error::Problem(problem)) if problem.code == Code::RecoverWaiting.code() && problem.at.is_some() => {
                Ok(json!(problem.at))
            }
            Err(error) => Err(failed(error)),
        }
    }

    pub(super) fn start_over(&self, arguments: &str) -> Called {
        let (lost, begin): (AllLost, bool) = read(arguments)?;
        let second_factor = lost.factor.is_some();
        let factor = lost.factor.map(|code| SignInFactor::of(code.0));
        let new = NewStart { email: lost.email, password: lost.password.0, factor };
        let mut mailed = || self.asks.mailed_code();
        // Who begins has thought of no password yet.
        let mut keep = |kit: &_| !begin && self.asks.keep_kit(kit);
        match self.client.start_over(new, begin, &mut mailed, &mut keep) {
            Ok(SignedIn::Fully { fingerprint, must_add_factor, .. }) => {
                Ok(json!({ "kind": "done", "fingerprint": fingerprint, "mustAddFactor": must_add_factor }))
            }
            Ok(SignedIn::MustEnrolFactor) => Ok(json!({ "kind": "done", "fingerprint": "", "mustAddFactor": true })),
            Err(Error::KitNotConfirmed) if begin => Ok(json!({ "kind": "due" })),
            // That the delay runs is what was wanted.
            Err(Error::Problem(problem)) if problem.code == Code::RecoverWaiting.code() && problem.at.is_some() => {
                Ok(json!({ "kind": "waiting", "dueAt": problem.at, "secondFactor": second_factor }))
            }
            Err(error) => Err(failed(error)),
        }
    }

    pub(super) fn bring_over(&self, arguments: &str) -> Called {
        let (kit_code, confirm): (SecretText, Confirming) = read(arguments)?;
        let given = confirm.given();
        let brought = self.client.bring_over(&kit_code.0, given.confirm(&self.asks)).map_err(failed)?;
        let is_saved = |outcome: &&Outcome| matches!(outcome, Outcome::Saved { .. });
        let saved = brought.outcomes.iter().filter(is_saved).count();
        Ok(json!({
            "saved": saved, "waiting": brought.outcomes.len() - saved, "known": brought.known,
            "unreadable": brought.unreadable.len(), "left": brought.left,
        }))
    }
}
