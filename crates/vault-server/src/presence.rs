//! Second factors as proofs of presence: which code fits, and that it is used once.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use vault_protocol::problem::Code;
use vault_protocol::{audit, backup_code};
use vault_store::{AccountId, BackupCodeUse, Factor, FactorId};

use crate::app::{App, Inner};
use crate::audit::Act;
use crate::clock::SECOND;
use crate::failure::Failure;
use crate::http::Caller;
use crate::notices::Event;
use crate::secret_field::SecretField;
use crate::{totp, waits};

/// Kind of a factor with time-based codes.
pub(crate) const TOTP: &str = "totp";

/// What is sealed in a `totp` factor's row.
#[derive(Serialize, Deserialize)]
pub(crate) struct TotpData {
    pub(crate) secret: SecretField,
}

impl Inner {
    /// Seals a factor's secret to its row.
    pub(crate) fn seal_factor(&self, id: FactorId, data: &impl Serialize) -> Result<Vec<u8>, Failure> {
        let plain = serde_json::to_vec(data).map_err(|_| crate::failure::Fault::Made("a factor"))?;
        Ok(self.keys.factor_seal.seal(&factor_context(id), &zeroize::Zeroizing::new(plain))?)
    }

    /// Opens a factor's secret.
    pub(crate) fn open_factor<T: DeserializeOwned>(&self, factor: &Factor) -> Result<T, Failure> {
        let plain = self.keys.factor_seal.open(&factor_context(factor.id), &factor.data_sealed)?;
        Ok(serde_json::from_slice(plain.expose()).map_err(|_| crate::failure::Fault::Stored("factor"))?)
    }
}

fn factor_context(id: FactorId) -> Vec<u8> {
    format!("factors/{id}").into_bytes()
}

/// Kinds of proofs that will do for the account, each once.
pub(crate) async fn kinds(app: &App, account: AccountId) -> Result<Vec<String>, Failure> {
    kinds_with(app, account, &app.store.factors(account).await?).await
}

/// As [`kinds`], of an account whose factors are at hand.
pub(crate) async fn kinds_with(app: &App, account: AccountId, factors: &[Factor]) -> Result<Vec<String>, Failure> {
    let mut kinds: BTreeSet<&str> = factors.iter().map(|factor| factor.kind.as_str()).collect();
    if app.store.backup_codes_left(account).await? > 0 {
        kinds.insert(backup_code::KIND);
    }
    Ok(kinds.into_iter().map(str::to_owned).collect())
}

/// A code or a passkey that was accepted.
#[derive(Debug)]
pub(crate) struct Used {
    /// The factor; none for a backup code.
    pub(crate) by: Option<FactorId>,
    /// For a backup code: how many are left.
    pub(crate) backup_codes_left: Option<u32>,
}

/// Accepts a code of one of the account's factors, or a backup code, once.
///
/// A wrong code costs one of the account's tries; a right one costs none, and is never accepted again.
pub(crate) async fn use_code(
    app: &App,
    account: AccountId,
    caller: &Caller,
    kind: &str,
    code: &str,
) -> Result<Used, Failure> {
    let taken = match kind {
        TOTP | backup_code::KIND => app.take_totp_try(account).await?,
        _ => return Err(Code::RequestInvalid.into()),
    };
    let used = if kind == TOTP {
        use_totp(app, account, code).await?
    } else {
        use_backup_code(app, account, caller, code).await?
    };
    app.give_back(&taken).await?;
    waits::factor_was_used(app, account, caller).await?;
    Ok(used)
}

async fn use_totp(app: &App, account: AccountId, code: &str) -> Result<Used, Failure> {
    for (factor, step) in steps_of(app, account, code).await? {
        // Two authenticators may show the same digits: the other one's may be unused.
        if app.store.use_totp_step(account, factor, step, app.clock_ms()).await? {
            return Ok(Used { by: Some(factor), backup_codes_left: None });
        }
    }
    Err(Code::FactorCodeUsed.into())
}

/// Whose code this is now, each with its time step; there is one at least.
pub(crate) async fn steps_of(app: &App, account: AccountId, code: &str) -> Result<Vec<(FactorId, i64)>, Failure> {
    // The clock of the phone follows the world, not what this service saw before.
    let now = app.clock_ms();
    let (mut steps, mut late) = (Vec::new(), None);
    for factor in app.store.factors(account).await?.iter().filter(|factor| factor.kind == TOTP) {
        let data: TotpData = app.open_factor(factor)?;
        let Some(step) = totp::matching_step(&data.secret.0, code, now) else {
            late = late.or_else(|| totp::steps_late(&data.secret.0, code, now));
            continue;
        };
        steps.push((factor.id, step));
    }
    match late {
        _ if !steps.is_empty() => Ok(steps),
        Some(steps) => Err(Failure::Drift(-steps * totp::STEP_MS / SECOND)),
        None => Err(Code::FactorCodeWrong.into()),
    }
}

async fn use_backup_code(app: &App, account: AccountId, caller: &Caller, code: &str) -> Result<Used, Failure> {
    let hash = app.backup_code_hash(account, code).ok_or(Code::FactorCodeWrong)?;
    let act = Act::by_owner(account, caller, app.now(), audit::action::BACKUP_CODE_USED)
        .telling(app.notice_to(account, &Event::BackupCodeUsed).await?);
    match app.store.use_backup_code(account, hash, app.now(), &|head| act.link(head)).await? {
        BackupCodeUse::Spent { left } => {
            Ok(Used { by: None, backup_codes_left: Some(u32::try_from(left).unwrap_or(0)) })
        }
        BackupCodeUse::UsedBefore => Err(Code::FactorCodeUsed.into()),
        BackupCodeUse::Unknown => Err(Code::FactorCodeWrong.into()),
    }
}
