//! The account as its owner sees it, and its audit trail.

use axum::extract::State;
use vault_protocol::limits::MAX_AUDIT_PAGE;
use vault_protocol::messages::{AccountView, AuditPage};
use vault_protocol::problem::Code;

use super::Page;
use super::sign_in::{audit_head, current_statement};
use crate::app::App;
use crate::authority::Session;
use crate::failure::Failure;
use crate::http::{Json, Query};

/// `GET /v1/account`
pub(super) async fn show(State(app): State<App>, session: Session) -> Result<Json<AccountView>, Failure> {
    let account = app.store.account(session.account()).await?.ok_or(Code::AuthSessionExpired)?;
    let key_statement = current_statement(&app, &account).await?;
    let audit_head = audit_head(&app.store.audit_head(account.id).await?);
    Ok(Json(AccountView {
        account_id: account.id,
        email: account.email_norm,
        two_factor: account.two_factor,
        off_at: account.off_at,
        created_at: account.created_at,
        key_statement,
        audit_head,
    }))
}

/// `GET /v1/audit`. The head is read first, so that a page never ends before the head it is told with.
pub(super) async fn audit(
    State(app): State<App>,
    session: Session,
    Query(page): Query<Page<i64>>,
) -> Result<Json<AuditPage>, Failure> {
    let head = app.store.audit_head(session.account()).await?;
    let (after, limit) = (page.after.unwrap_or(0), page.limit(MAX_AUDIT_PAGE));
    let rows = app.store.audit_page(session.account(), after, limit.into()).await?;
    let entries = rows.into_iter().map(|row| row.link.body.into()).collect();
    Ok(Json(AuditPage { entries, head: audit_head(&head) }))
}
