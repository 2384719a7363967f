//! Changes in two steps, of which the second comes from the session that began: what is between them is sealed to it.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use vault_protocol::problem::Code;
use vault_protocol::{CeremonyId, FixedBytes};
use vault_store::{AccountId, Ceremony, Digest, GrantUse};

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
    let ceremony = ceremony(app, whose, kind, state, lifetime_ms)?;
    app.store.add_ceremony(&ceremony).await?;
    Ok(ceremony.id)
}

/// The same, and spends the grant with it: one that is spent has begun something.
pub(super) async fn begin_granted<S: Serialize>(
    app: &App,
    (whose, grant): (Whose, &GrantUse),
    kind: &'static str,
    state: S,
    lifetime_ms: i64,
) -> Result<CeremonyId, Failure> {
    let ceremony = ceremony(app, whose, kind, state, lifetime_ms)?;
    app.store.add_granted_ceremony(&ceremony, grant).await?;
    Ok(ceremony.id)
}

fn ceremony<S: Serialize>(
    app: &App,
    whose: Whose,
    kind: &'static str,
    state: S,
    lifetime_ms: i64,
) -> Result<Ceremony, Failure> {
    let begun = Begun { session: FixedBytes(whose.token_hash), state };
    app.ceremony(CeremonyId::new(), kind, Some(whose.account), &begun, lifetime_ms)
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
