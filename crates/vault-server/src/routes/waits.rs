//! Safety delays: the one before an account stops asking for a second factor, those before deletions, which delays run,
//! cancelling one.

use axum::extract::State;
use vault_protocol::messages::{
    ACCOUNT_TARGET, AccountDeleteRequest, FactorsOffRequest, OFF_TARGET, Purpose, RecordDeleteRequest, WaitBegun,
    WaitList, WaitView,
};
use vault_protocol::problem::Code;
use vault_protocol::{Bytes, RecordId, audit};
use vault_store::{Wait, WaitBegunBy, WaitKind};

use crate::app::App;
use crate::audit::Act;
use crate::authority::{GrantedAct, MayCancel, Session, SteppedUp};
use crate::failure::Failure;
use crate::http::{Caller, Json};
use crate::waits::{self, Beginning};

impl GrantedAct for FactorsOffRequest {
    const PURPOSE: Purpose = Purpose::Factors;
    fn grant(&self) -> &Bytes {
        &self.grant
    }
    fn target(&self, _: &str) -> String {
        OFF_TARGET.to_owned()
    }
}

/// `POST /v1/factors/off`
pub(super) async fn off(
    State(app): State<App>,
    caller: Caller,
    stepped_up: SteppedUp<FactorsOffRequest>,
) -> Result<Json<WaitBegun>, Failure> {
    let account = app.store.account(stepped_up.session().account()).await?.ok_or(Code::AuthSessionExpired)?;
    if !account.two_factor {
        return Err(Code::WaitOver.into());
    }
    let act = Act::by_owner(account.id, &caller, app.now(), audit::action::OFF_BEGUN);
    let beginning = Beginning {
        account: &account,
        kind: WaitKind::Off,
        target: String::new(),
        by: WaitBegunBy::Owner,
        grant: Some(stepped_up.grant().clone()),
        ceremony: None,
    };
    waits::begin(&app, beginning, act).await.map(Json)
}

impl GrantedAct for RecordDeleteRequest {
    const PURPOSE: Purpose = Purpose::Delete;
    fn grant(&self) -> &Bytes {
        &self.grant
    }
    fn target(&self, id: &str) -> String {
        id.to_owned()
    }
}

impl GrantedAct for AccountDeleteRequest {
    const PURPOSE: Purpose = Purpose::Delete;
    fn grant(&self) -> &Bytes {
        &self.grant
    }
    fn target(&self, _: &str) -> String {
        ACCOUNT_TARGET.to_owned()
    }
}

/// `POST /v1/records/{id}/delete`
pub(super) async fn delete_record(
    State(app): State<App>,
    caller: Caller,
    stepped_up: SteppedUp<RecordDeleteRequest>,
) -> Result<Json<WaitBegun>, Failure> {
    let record: RecordId = stepped_up.grant().target.parse().map_err(|_| Code::RecordNotFound)?;
    begin_deletion(&app, &caller, WaitKind::DeleteRecord, record.to_string(), &stepped_up).await
}

/// `POST /v1/account/delete`
pub(super) async fn delete_account(
    State(app): State<App>,
    caller: Caller,
    stepped_up: SteppedUp<AccountDeleteRequest>,
) -> Result<Json<WaitBegun>, Failure> {
    begin_deletion(&app, &caller, WaitKind::DeleteAccount, String::new(), &stepped_up).await
}

async fn begin_deletion<A>(
    app: &App,
    caller: &Caller,
    kind: WaitKind,
    target: String,
    stepped_up: &SteppedUp<A>,
) -> Result<Json<WaitBegun>, Failure> {
    let account = app.store.account(stepped_up.session().account()).await?.ok_or(Code::AuthSessionExpired)?;
    let act = Act::by_owner(account.id, caller, app.now(), audit::action::DELETE_BEGUN);
    let by = WaitBegunBy::Owner;
    let grant = Some(stepped_up.grant().clone());
    let beginning = Beginning { account: &account, kind, target, by, grant, ceremony: None };
    waits::begin(app, beginning, act).await.map(Json)
}

/// `GET /v1/waits`
pub(super) async fn list(State(app): State<App>, session: Session) -> Result<Json<WaitList>, Failure> {
    let view = |wait: Wait| WaitView {
        wait_id: wait.id,
        kind: wait.kind.name().to_owned(),
        target: wait.target,
        begun_by: wait.begun_by.name().to_owned(),
        begun_at: wait.begun_at,
        due_at: wait.due_at,
    };
    let waits = app.store.waits(session.account()).await?.into_iter().map(view).collect();
    Ok(Json(WaitList { waits }))
}

/// `POST /v1/waits/cancel`
pub(super) async fn cancel(State(app): State<App>, caller: Caller, may_cancel: MayCancel) -> Result<Json<()>, Failure> {
    let (wait, now) = (may_cancel.wait(), app.now());
    let act = if may_cancel.by_owner() {
        Act::by_owner(wait.account_id, &caller, now, audit::action::WAIT_CANCELLED).because("session")
    } else {
        Act::by_unknown(&caller, now, audit::action::WAIT_CANCELLED).done().because("code")
    };
    waits::cancel(&app, wait, act).await.map(Json)
}
