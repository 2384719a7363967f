//! A save that comes again although it was stored: the moment to look whether what is stored is still what was saved.
//!
//! Rows can be lost or changed behind the service's back. A lost one is stored again like any new save. A changed one stays
//! as it is, beside it a copy of what its author signed is stored, and from then on that copy is the record.

use vault_protocol::{audit, verify};
use vault_store::{Record, Refusal};

use super::records::stored_save;
use crate::app::App;
use crate::audit::Act;
use crate::authority::SignedSave;
use crate::failure::Failure;
use crate::http::Caller;

/// Looks for a receipt of this save. Where its stored record is damaged, stores it anew first.
pub(super) async fn earlier_receipt(
    app: &App,
    caller: &Caller,
    save: &SignedSave,
    body_sha256: [u8; 32],
) -> Result<Option<Vec<u8>>, Failure> {
    let header = save.header();
    let (account, id) = (header.account_id, header.record_id);
    let found = app.store.receipt(account, id, body_sha256).await;
    let receipt = match found {
        Ok(None) => return Ok(None),
        Ok(Some(receipt)) => Some(receipt),
        Err(vault_store::Error::Refused(Refusal::IdConflict)) => None,
        Err(error) => return Err(error.into()),
    };
    let stored = app.store.record(account, id).await?;
    let is_damaged = stored.as_ref().is_some_and(|stored| match &receipt {
        Some(_) => !is_same(stored, save),
        // Other bytes under this name are a conflict, unless they are nobody's.
        None => stored.author_id == header.author_id && !is_sound(stored, save),
    });
    if !is_damaged {
        return receipt.map(Some).ok_or_else(|| Refusal::IdConflict.into());
    }
    let (record, act) = (super::records::record(save, body_sha256, app.now())?, audit::action::SAVE_REPAIRED);
    let act = match save.device() {
        Some(device) => Act::by_device(device, caller, app.now(), act),
        None => Act::by_owner(account, caller, app.now(), act),
    };
    let act = act.on(id);
    app.store.store_copy(&record, &|head| act.link(head)).await?;
    Ok(app.store.receipt(account, id, body_sha256).await?)
}

fn is_same(stored: &Record, save: &SignedSave) -> bool {
    let request = save.request();
    stored.header == request.header.0
        && stored.meta == request.meta.0
        && stored.secret == request.secret.0
        && stored_save(stored).is_ok_and(|stored| stored == request.save)
}

/// Whether a stored record is what its author signed.
fn is_sound(stored: &Record, save: &SignedSave) -> bool {
    let Ok(signed) = stored_save(stored) else { return false };
    let request = vault_protocol::record::SaveRequest {
        save: signed,
        header: stored.header.clone().into(),
        meta: stored.meta.clone().into(),
        secret: stored.secret.clone().into(),
    };
    request.save.payload_sha256() == stored.body_sha256 && verify::save(&request, save.author()).is_ok()
}
