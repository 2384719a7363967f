//! Releasing a record: after a step-up for exactly this record, with a reason, and after the audit entry is durable.

use axum::extract::State;
use vault_protocol::messages::{Purpose, REVEAL_REASONS, RevealRequest, Revealed};
use vault_protocol::problem::Code;
use vault_protocol::record::SaveRequest;
use vault_protocol::{Bytes, RecordId, audit};
use vault_store::Released;

use super::records::{stored_receipt, stored_save};
use crate::app::App;
use crate::audit::Act;
use crate::authority::{GrantedAct, SteppedUp};
use crate::clock::{DAY, HOUR};
use crate::failure::{Failure, Fault};
use crate::http::{Caller, Json};
use crate::notices::Event;

impl GrantedAct for RevealRequest {
    const PURPOSE: Purpose = Purpose::Reveal;
    fn grant(&self) -> &Bytes {
        &self.grant
    }
    fn target(&self, path_id: &str) -> String {
        path_id.to_owned()
    }
}

/// `POST /v1/records/{id}/reveal`
pub(super) async fn reveal(
    State(app): State<App>,
    caller: Caller,
    stepped_up: SteppedUp<RevealRequest>,
) -> Result<Json<Revealed>, Failure> {
    let reason = stepped_up.act().reason.as_str();
    if !REVEAL_REASONS.contains(&reason) {
        return Err(Code::RevealReason.into());
    }
    let record: RecordId = stepped_up.grant().target.parse().map_err(|_| Code::RecordNotFound)?;
    let account = stepped_up.session().account();
    let (limits, over) = (app.limits(), Code::RevealLimit);
    let hour = app.take(format!("reveal/hour/{account}"), HOUR, limits.reveals_per_hour, over).await?;
    let day = app.take(format!("reveal/day/{account}"), DAY, limits.reveals_per_day, over).await?;
    let act = Act::by_owner(account, &caller, app.now(), audit::action::REVEAL)
        .on(record)
        .because(reason)
        .telling(app.notice_to(account, &Event::KeyReleased).await?);
    let released = match app.store.release(record, stepped_up.grant(), &|head| act.link(head)).await {
        Ok(released) => released,
        Err(error) => {
            // Nothing was released, so nothing counts.
            app.give_back(&hour).await?;
            app.give_back(&day).await?;
            return Err(error.into());
        }
    };
    app.new_entries.notify_one();
    Ok(Json(as_saved(released)?))
}

/// A released record as it was saved, with its receipt.
pub(super) fn as_saved(released: Released) -> Result<Revealed, Fault> {
    let save = stored_save(&released.record)?;
    let receipt = stored_receipt(&released.receipt)?;
    let record = SaveRequest {
        save,
        header: Bytes(released.record.header),
        meta: Bytes(released.record.meta),
        secret: Bytes(released.record.secret),
    };
    Ok(Revealed { record, receipt })
}
