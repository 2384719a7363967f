//! Second factors as proofs of presence: which code fits, and that it is used once.

use serde::{Deserialize, Serialize};
use vault_protocol::problem::Code;
use vault_store::{AccountId, Factor, FactorId};

use crate::app::{App, Inner};
use crate::failure::Failure;
use crate::secret_field::SecretField;
use crate::totp;

/// Kind of a factor with time-based codes.
pub(crate) const TOTP: &str = "totp";

/// What is sealed in a `totp` factor's row.
#[derive(Serialize, Deserialize)]
pub(crate) struct TotpData {
    pub(crate) secret: SecretField,
}

impl Inner {
    /// Seals a factor's secret to its row.
    pub(crate) fn seal_factor(&self, id: FactorId, data: &TotpData) -> Result<Vec<u8>, Failure> {
        let plain = serde_json::to_vec(data).map_err(|_| crate::failure::Fault::Made("a factor"))?;
        Ok(self.keys.factor_seal.seal(&factor_context(id), &zeroize::Zeroizing::new(plain))?)
    }

    fn open_factor(&self, factor: &Factor) -> Result<TotpData, Failure> {
        let plain = self.keys.factor_seal.open(&factor_context(factor.id), &factor.data_sealed)?;
        Ok(serde_json::from_slice(plain.expose()).map_err(|_| crate::failure::Fault::Stored("factor"))?)
    }
}

fn factor_context(id: FactorId) -> Vec<u8> {
    format!("factors/{id}").into_bytes()
}

/// Kinds of factors the account has, each once.
pub(crate) fn kinds(factors: &[Factor]) -> Vec<String> {
    let kinds: std::collections::BTreeSet<&str> = factors.iter().map(|factor| factor.kind.as_str()).collect();
    kinds.into_iter().map(str::to_owned).collect()
}

/// Accepts a code of one of the account's factors, once.
///
/// A wrong code costs one of the account's tries; a right one costs none, and is never accepted again.
pub(crate) async fn use_code(app: &App, account: AccountId, kind: &str, code: &str) -> Result<FactorId, Failure> {
    if kind != TOTP {
        return Err(Code::RequestInvalid.into());
    }
    let taken = app.take_totp_try(account).await?;
    let now = app.now();
    for factor in app.store.factors(account).await?.iter().filter(|factor| factor.kind == TOTP) {
        let data = app.open_factor(factor)?;
        let Some(step) = totp::matching_step(&data.secret.0, code, now) else { continue };
        if !app.store.use_totp_step(account, factor.id, step, now).await? {
            return Err(Code::FactorCodeUsed.into());
        }
        app.give_back(&taken).await?;
        return Ok(factor.id);
    }
    Err(Code::FactorCodeWrong.into())
}
