//! Changes in two steps, of which the second comes from the session that began: what is between them is sealed to it.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use vault_protocol::problem::Code;
use vault_protocol::{CeremonyId, FixedBytes};
use vault_store::{AccountId, Digest};

use super::try_ceremony;
use crate::app::App;
use crate::authority::{AnySession, Session};
use crate::failure::Failure;

/// What is between the two steps.
#[derive(Serialize, Deserialize)]
struct Begun<S> {
    session: FixedBytes<32>,
    state: S,
}

/// The session that a change belongs to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Whose {
    account: AccountId,
    token_hash: Digest,
}

impl From<AnySession> for Whose {
    fn from(session: AnySession) -> Self {
        Self { account: session.account(), token_hash: session.token_hash() }
    }
}

impl From<Session> for Whose {
    fn from(session: Session) -> Self {
        Self { account: session.account(), token_hash: session.token_hash() }
    }
}

/// Keeps `state` for the second step.
pub(super) async fn begin<S: Serialize>(
    app: &App,
    whose: Whose,
    kind: &'static str,
    state: S,
    lifetime_ms: i64,
) -> Result<CeremonyId, Failure> {
    let id = CeremonyId::new();
    let begun = Begun { session: FixedBytes(whose.token_hash), state };
    app.store.add_ceremony(&app.ceremony(id, kind, Some(whose.account), &begun, lifetime_ms)?).await?;
    Ok(id)
}

/// What the first step kept. It is not spent here, but in the transaction of the change.
pub(super) async fn go_on<S: DeserializeOwned>(
    app: &App,
    whose: Whose,
    id: CeremonyId,
    kind: &str,
    tries: i64,
) -> Result<S, Failure> {
    let over = Code::StepupGrantUsed;
    let ceremony = try_ceremony(app, id, kind, tries, over).await?;
    let begun: Begun<S> = app.ceremony_state(&ceremony)?;
    if begun.session.0 == whose.token_hash { Ok(begun.state) } else { Err(over.into()) }
}
