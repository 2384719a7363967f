//! New backup codes, in two steps: the ones before stay good until the new ones are known to be kept.

use axum::extract::State;
use vault_protocol::messages::{
    BackupCodesFinishRequest, BackupCodesStartRequest, BackupCodesStarted, FactorsChanged, Purpose,
};
use vault_protocol::{Bytes, FixedBytes, audit, backup_code};
use vault_store::{ReplaceBackupCodes, SessionLevel};

use super::change;
use crate::app::App;
use crate::audit::Act;
use crate::authority::{GrantedAct, Session, SteppedUp};
use crate::backup_codes::new_codes;
use crate::clock::MINUTE;
use crate::failure::{Failure, Fault};
use crate::http::{Caller, Json};
use crate::notices::Event;

const CEREMONY: &str = "backup-codes";
/// Time to print them.
const LIFETIME: i64 = 30 * MINUTE;
/// Retries after lost answers.
const TRIES: i64 = 10;

impl GrantedAct for BackupCodesStartRequest {
    const PURPOSE: Purpose = Purpose::Factors;
    fn grant(&self) -> &Bytes {
        &self.grant
    }
    fn target(&self, _: &str) -> String {
        backup_code::TARGET.to_owned()
    }
}

/// `POST /v1/factors/backup-codes/start`
pub(super) async fn start(
    State(app): State<App>,
    stepped_up: SteppedUp<BackupCodesStartRequest>,
) -> Result<Json<BackupCodesStarted>, Failure> {
    let session = stepped_up.session();
    let codes = new_codes();
    let hashes: Option<Vec<_>> =
        codes.iter().map(|code| app.backup_code_hash(session.account(), code).map(FixedBytes)).collect();
    let hashes = hashes.ok_or(Fault::Made("a backup code"))?;
    let by = (session.into(), stepped_up.grant());
    let ceremony_id = change::begin_granted(&app, by, CEREMONY, hashes, LIFETIME).await?;
    let codes = codes.iter().map(|code| code.to_string()).collect();
    Ok(Json(BackupCodesStarted { ceremony_id, codes }))
}

/// `POST /v1/factors/backup-codes/finish`
pub(super) async fn finish(
    State(app): State<App>,
    session: Session,
    caller: Caller,
    Json(request): Json<BackupCodesFinishRequest>,
) -> Result<Json<FactorsChanged>, Failure> {
    let hashes: Vec<FixedBytes<32>> = change::go_on(&app, session.into(), request.ceremony_id, CEREMONY, TRIES).await?;
    let account_id = session.account();
    let (next, granted) = app.new_session(account_id, 0, SessionLevel::Full, &caller);
    let now = app.now();
    let replace = ReplaceBackupCodes {
        account_id,
        hashes: hashes.iter().map(|hash| hash.0).collect(),
        ceremony: request.ceremony_id,
        ceremony_kind: CEREMONY.to_owned(),
        from_session: session.token_hash(),
        session: next,
        now,
    };
    let act = Act::by_owner(account_id, &caller, now, audit::action::BACKUP_CODES_MADE)
        .telling(app.notice_to(account_id, &Event::BackupCodesMade).await?);
    app.store.replace_backup_codes(&replace, &|head| act.link(head)).await?;
    Ok(Json(FactorsChanged { session: granted, factor_id: None }))
}
