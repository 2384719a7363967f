//! What the modules of all tables use.

use super::QueryDone;
use crate::{Error, Refusal};

/// What is left of bytes that are not needed any more; no way to write it means the same to both engines.
pub(super) const EMPTY: &[u8] = &[];

/// `Ok` when a conditional update hit exactly one row.
pub(super) fn exactly_one(done: &QueryDone, refusal: Refusal) -> Result<(), Error> {
    if done.rows_affected() == 1 { Ok(()) } else { Err(refusal.into()) }
}

/// Turns the violation of a uniqueness rule into a refusal.
pub(super) fn unique(error: sqlx::Error, refusal: Refusal) -> Error {
    match &error {
        sqlx::Error::Database(cause) if cause.is_unique_violation() => refusal.into(),
        _ => Error::Database(error),
    }
}
