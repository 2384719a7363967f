//! A new emergency kit, in two steps: the one before stays good until the new one is known to be kept.

use axum::extract::State;
use vault_protocol::messages::{KIT_TARGET, KitFinishRequest, KitStartRequest, KitStarted, PasswordChanged, Purpose};
use vault_protocol::problem::Code;
use vault_protocol::{Bytes, audit};
use vault_store::{NewKit, SessionLevel};

use super::change;
use super::sign_up::slot_row;
use crate::app::App;
use crate::audit::Act;
use crate::authority::{GrantedAct, Session, SteppedUp};
use crate::clock::MINUTE;
use crate::failure::Failure;
use crate::http::{Caller, Json};
use crate::notices::Event;

const CEREMONY: &str = "kit";
/// Time to print it.
const LIFETIME: i64 = 30 * MINUTE;
/// Retries after lost answers.
const TRIES: i64 = 10;

impl GrantedAct for KitStartRequest {
    const PURPOSE: Purpose = Purpose::Password;
    fn grant(&self) -> &Bytes {
        &self.grant
    }
    fn target(&self, _: &str) -> String {
        KIT_TARGET.to_owned()
    }
}

/// `POST /v1/account/kit/start`
pub(super) async fn start(
    State(app): State<App>,
    stepped_up: SteppedUp<KitStartRequest>,
) -> Result<Json<KitStarted>, Failure> {
    let by = (stepped_up.session().into(), stepped_up.grant());
    let ceremony_id = change::begin_granted(&app, by, CEREMONY, (), LIFETIME).await?;
    Ok(Json(KitStarted { ceremony_id }))
}

/// `POST /v1/account/kit/finish`
pub(super) async fn finish(
    State(app): State<App>,
    session: Session,
    caller: Caller,
    Json(request): Json<KitFinishRequest>,
) -> Result<Json<PasswordChanged>, Failure> {
    let () = change::go_on(&app, session.into(), request.ceremony_id, CEREMONY, TRIES).await?;
    if request.slot.kind != "kit" {
        return Err(Code::RequestInvalid.into());
    }
    let account = app.store.account(session.account()).await?.ok_or(Code::AuthSessionExpired)?;
    let now = app.now();
    let proof_hash = Some(request.kit_proof_hash);
    let slot = slot_row(account.id, &request.slot, account.generation, proof_hash, now).ok_or(Code::RequestInvalid)?;
    let (next, granted) = app.new_session(account.id, 0, SessionLevel::Full, &caller);
    let new = NewKit {
        account_id: account.id,
        slot,
        ceremony: request.ceremony_id,
        ceremony_kind: CEREMONY.to_owned(),
        from_session: session.token_hash(),
        session: next,
        now,
    };
    let act = Act::by_owner(account.id, &caller, now, audit::action::KIT_REPLACED)
        .telling(app.notice(&account, &Event::KitReplaced)?);
    app.store.replace_kit(&new, &|head| act.link(head)).await?;
    Ok(Json(PasswordChanged { session: granted }))
}
