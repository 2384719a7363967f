//! Tries of what somebody has to prove, and their places in the windows of limits, each in one transaction with what they are for.

use vault_protocol::CeremonyId;
use vault_protocol::problem::Code;
use vault_store::{AccountId, Ceremony, Place, Refusal};

use super::{instead, try_ceremony};
use crate::app::App;
use crate::failure::Failure;
use crate::http::Caller;

/// Begins a password run in its places.
pub(super) async fn begin_run(
    app: &App,
    ceremony: &Ceremony,
    places: &[Place],
    mail_name: &str,
    caller: &Caller,
) -> Result<(), Failure> {
    match app.store.begin_in_places(ceremony, places).await {
        // Whoever finds no place is told how long that lasts.
        Err(vault_store::Error::Refused(Refusal::Limit { .. })) => {
            app.begin_password_run(mail_name, &caller.limit_net).await?;
            Ok(app.store.add_ceremony(ceremony).await?)
        }
        begun => Ok(begun?),
    }
}

/// A ceremony that has tries left; whoever proves something takes one.
pub(super) async fn open(app: &App, id: CeremonyId, kind: &str, tries: i64, over: Code) -> Result<Ceremony, Failure> {
    let found = app.store.ceremony(id, kind, app.now(), tries).await?;
    found.ok_or_else(|| over.into())
}

/// Takes a try before a proof is looked at, and where it is a code of six digits of an account, a place among the account's. Gives
/// that place, to be given back when the code is right.
pub(super) async fn take(
    app: &App,
    id: CeremonyId,
    kind: &str,
    code_of: Option<AccountId>,
    over: Code,
) -> Result<Option<(String, i64)>, Failure> {
    let tries = app.limits().factor_tries;
    let Some(account) = code_of else {
        try_ceremony(app, id, kind, tries, over).await?;
        return Ok(None);
    };
    let place = app.totp_place(account);
    match app.store.try_in_place(id, kind, app.now(), tries, &place).await {
        // Whoever finds no place is told how long that lasts.
        Err(vault_store::Error::Refused(Refusal::Limit { .. })) => {
            try_ceremony(app, id, kind, tries, over).await?;
            app.take_totp_try(account).await?;
        }
        taken => taken.map_err(|error| instead(error, Refusal::Ceremony, over))?,
    }
    Ok(Some((place.bucket, place.window)))
}
