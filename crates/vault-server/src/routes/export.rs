//! Releasing several records at once, for the owner to keep elsewhere: after a step-up for exactly these records, and after
//! an audit entry for each of them is durable.

use std::collections::BTreeSet;

use axum::extract::State;
use vault_protocol::limits::MAX_EXPORT;
use vault_protocol::messages::{ExportRequest, Exported, Purpose, export_target};
use vault_protocol::problem::Code;
use vault_protocol::{Bytes, audit};

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
    app.new_entries.notify_one();
    let records = released.into_iter().map(as_saved).collect::<Result<_, Fault>>()?;
    Ok(Json(Exported { records }))
}
