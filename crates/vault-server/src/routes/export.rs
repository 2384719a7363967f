//! Releasing several records at once, for the owner to keep elsewhere: after a step-up for exactly these records, and after
//! an audit entry for each of them is durable.

use std::collections::BTreeSet;

use axum::extract::State;
use vault_protocol::limits::MAX_EXPORT;
use vault_protocol::messages::{ExportRequest, Exported, FormerKeys, Purpose, export_target};
use vault_protocol::problem::Code;
use vault_protocol::{Bytes, audit, sha256};
use vault_store::AccountId;

use super::by_kit::whole_slot;
use super::reveal::as_saved;
use crate::app::App;
use crate::audit::Act;
use crate::authority::{GrantedAct, SteppedUp};
use crate::clock::DAY;
use crate::failure::{Failure, Fault};
use crate::http::{Caller, Json};
use crate::notices::Event;

impl GrantedAct for ExportRequest {
    const PURPOSE: Purpose = Purpose::Export;
    fn grant(&self) -> &Bytes {
        &self.grant
    }
    fn target(&self, _path_id: &str) -> String {
        export_target(&self.records)
    }
}

/// `POST /v1/records/export`
pub(super) async fn export(
    State(app): State<App>,
    caller: Caller,
    stepped_up: SteppedUp<ExportRequest>,
) -> Result<Json<Exported>, Failure> {
    let records = &stepped_up.act().records;
    let different: BTreeSet<_> = records.iter().map(|id| *id.as_bytes()).collect();
    if !(1..=MAX_EXPORT).contains(&records.len()) || different.len() != records.len() {
        return Err(Code::RequestInvalid.into());
    }
    let account = stepped_up.session().account();
    // Before anything is released: a kit that opens nothing spends nothing.
    let former = match &stepped_up.act().former_kit_proof {
        Some(proof) => Some(former_keys(&app, account, &proof.0).await?),
        None => None,
    };
    let (limit, over) = (app.limits().exports_per_day, Code::RevealLimit);
    let taken = app.take(format!("export/day/{account}"), DAY, limit, over).await?;
    let act = Act::by_owner(account, &caller, app.now(), audit::action::EXPORT);
    let notice = app.notice_to(account, &Event::KeysExported).await?;
    // One notice for all of them: it goes with the entry of the first.
    let link = |id, head: &_| {
        let first = records.first() == Some(&id);
        act.clone().on(id).telling(notice.clone().filter(|_| first)).link(head)
    };
    let released = app.store.release_all(records, stepped_up.grant(), &link).await;
    let released = match released {
        Ok(released) => released,
        Err(error) => {
            // Nothing was released, so nothing counts.
            app.give_back(&taken).await?;
            return Err(error.into());
        }
    };
    // What the kit opens is handed out with the answer: nothing of it before the trail says so.
    if former.is_some() {
        let act = Act::by_owner(account, &caller, app.now(), audit::action::FORMER_OPENED)
            .telling(app.notice_to(account, &Event::FormerOpened).await?);
        app.store.append_audit(account, &|head| act.link(head)).await?;
    }
    app.new_entries.notify_one();
    let records = released.into_iter().map(as_saved).collect::<Result<_, Fault>>()?;
    Ok(Json(Exported { records, former }))
}

/// What a kit of before a new start opens.
async fn former_keys(app: &App, account: AccountId, proof: &[u8]) -> Result<FormerKeys, Failure> {
    let slot = app.store.former_kit(account, sha256(&[proof])).await?.ok_or(Code::RecoverNoSlot)?;
    let stored = || Fault::Stored("key statement");
    let row = app.store.key_statement(account, slot.generation).await?.ok_or_else(stored)?;
    let key_statement = serde_json::from_slice(&row.signature).map_err(|_| stored())?;
    Ok(FormerKeys { key_statement, slot: whole_slot(&slot)? })
}
