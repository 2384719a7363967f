//! Objects signed by a device or by the account: no session, no cookie, no second factor.
//!
//! An unknown account, an unknown device and a revoked device look alike.

use axum::extract::{FromRequest, Request};
use vault_protocol::device::CAPABILITY_APPEND;
use vault_protocol::limits::MAX_RECORD_BYTES;
use vault_protocol::messages::{Held, ProofQuestion};
use vault_protocol::problem::Code;
use vault_protocol::record::{AuthorKind, Header, Part, SUITE, Save, SaveRequest};
use vault_protocol::statement::KeyStatement;
use vault_protocol::verify::{self, VerifyError};
use vault_protocol::{FixedBytes, PublicKey, Signed};
use vault_store::{AccountId, DeviceId, DeviceState, RecordId};

use crate::app::App;
use crate::failure::{Failure, Fault};
use crate::http::{Json, path_id};

/// Longest name of a kind of record.
const KIND_BYTES: usize = 64;
/// Most recipients of a part: the account, an organisation, and room for a few more.
const RECIPIENTS: usize = 8;
/// Length of an X-Wing encapsulated key.
const ENC_BYTES: usize = 1120;
/// Length of a sealed content key.
const SEALED_KEY_BYTES: usize = 48;
/// The algorithm of device keys, as their rows name it.
const ALG_ED25519: &str = "ed25519";
/// Most index entries: account and organisation, with room.
const INDEX_ENTRIES: usize = 8;

/// A save whose signature, author, capability and parts were checked.
#[derive(Debug)]
pub(crate) struct SignedSave {
    request: SaveRequest,
    header: Header,
    save: Save,
    author: PublicKey,
}

impl SignedSave {
    /// As it was sent.
    pub(crate) fn request(&self) -> &SaveRequest {
        &self.request
    }

    /// What the server reads.
    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    /// What was signed.
    pub(crate) fn save(&self) -> &Save {
        &self.save
    }

    /// The key that signed.
    pub(crate) fn author(&self) -> &PublicKey {
        &self.author
    }

    /// The device that signed; `None` when the owner did.
    pub(crate) fn device(&self) -> Option<DeviceId> {
        (self.header.author_kind == AuthorKind::Device).then(|| self.header.author_id.into())
    }
}

impl FromRequest<App> for SignedSave {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &App) -> Result<Self, Failure> {
        let (mut parts, body) = request.into_parts();
        let id: RecordId = path_id(&mut parts, Code::RecordInvalid).await?;
        let Json(request) = Json::<SaveRequest>::from_request(Request::from_parts(parts, body), app).await?;
        let header = check_shape(&request)?;
        let author = match header.author_kind {
            AuthorKind::Device => device_key(app, header.account_id, header.author_id.into()).await,
            AuthorKind::Account => author_key(app, &header).await,
        };
        let author = author.map_err(Failure::during_save)?;
        let save = verify::save(&request, &author).map_err(of_save)?;
        if save.record_id != id || save.seq == 0 || i64::try_from(save.seq).is_err() {
            return Err(Code::RecordInvalid.into());
        }
        if save.index.len() > INDEX_ENTRIES || save.index.iter().any(|entry| entry.scope != "account") {
            return Err(Code::RecordInvalid.into());
        }
        Ok(Self { request, header, save, author })
    }
}

/// Everything that can be judged before it is known who signed.
fn check_shape(request: &SaveRequest) -> Result<Header, Failure> {
    let length = request.header.len() + request.meta.len() + request.secret.len();
    let header: Header = serde_json::from_slice(&request.header).map_err(|_| Code::RecordInvalid)?;
    let fits = length <= MAX_RECORD_BYTES
        && header.suite == SUITE
        && (1..=KIND_BYTES).contains(&header.kind.len())
        && !header.kind.chars().any(char::is_control)
        // Organisations are for later; until then nobody could be told who else can open the record.
        && header.org_id.is_none()
        && header.supersedes != Some(header.record_id)
        && is_part(&request.meta)
        && is_part(&request.secret);
    if fits { Ok(header) } else { Err(Code::RecordInvalid.into()) }
}

fn is_part(bytes: &[u8]) -> bool {
    let Ok(part) = serde_json::from_slice::<Part>(bytes) else { return false };
    (1..=RECIPIENTS).contains(&part.recipients.len())
        && part.recipients.iter().all(|to| to.enc.len() == ENC_BYTES && to.ct.len() == SEALED_KEY_BYTES)
}

fn of_save(error: VerifyError) -> Failure {
    match error {
        VerifyError::Payload | VerifyError::Version | VerifyError::Kind => Code::RecordInvalid.into(),
        _ => Code::RecordSignature.into(),
    }
}

/// The key of an active device of this account that may append. The certificate was verified when the device was enrolled.
pub(super) async fn device_key(app: &App, account: AccountId, device: DeviceId) -> Result<PublicKey, Failure> {
    let key = app.store.device_key(account, device).await?.ok_or(Code::DeviceRevoked)?;
    if key.state != DeviceState::Active || key.expires_at.is_some_and(|expires_at| expires_at <= app.now()) {
        return Err(Code::DeviceRevoked.into());
    }
    if key.capability != CAPABILITY_APPEND {
        return Err(Code::DeviceCapability.into());
    }
    match (key.alg.as_str(), key.pk.try_into()) {
        (ALG_ED25519, Ok(pk)) => Ok(PublicKey::Ed25519(FixedBytes(pk))),
        _ => Err(Fault::Stored("device key").into()),
    }
}

/// The account's author key.
async fn author_key(app: &App, header: &Header) -> Result<PublicKey, Failure> {
    if header.author_id != header.account_id.into() {
        return Err(Code::RecordSignature.into());
    }
    let account = app.store.account(header.account_id).await?.ok_or(Code::RecordSignature)?;
    let row = app.store.key_statement(account.id, account.generation).await?.ok_or(Fault::Stored("key statement"))?;
    let statement: KeyStatement = serde_json::from_slice(&row.body).map_err(|_| Fault::Stored("key statement"))?;
    Ok(statement.author_pk)
}

/// A question about a record, signed by an active device.
#[derive(Debug)]
pub(crate) struct SignedHeld(Held);

impl SignedHeld {
    /// The question.
    pub(crate) fn question(&self) -> &Held {
        &self.0
    }
}

impl FromRequest<App> for SignedHeld {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &App) -> Result<Self, Failure> {
        let (mut parts, body) = request.into_parts();
        let id: RecordId = path_id(&mut parts, Code::RecordNotFound).await?;
        let Json(signed) = Json::<Signed>::from_request(Request::from_parts(parts, body), app).await?;
        let claimed: Held = serde_json::from_slice(&signed.payload).map_err(|_| Code::RequestInvalid)?;
        let key = device_key(app, claimed.account_id, claimed.device_id).await?;
        let held: Held = verify::open(&signed, Held::KIND, &key).map_err(|_| Code::RecordSignature)?;
        if held.v != vault_protocol::VERSION || held.record_id != id {
            return Err(Code::RequestInvalid.into());
        }
        Ok(Self(held))
    }
}

/// A question where the save of a record lies in the global log, signed by an active device.
#[derive(Debug)]
pub(crate) struct SignedProofQuestion(ProofQuestion);

impl SignedProofQuestion {
    /// The question.
    pub(crate) fn question(&self) -> &ProofQuestion {
        &self.0
    }
}

impl FromRequest<App> for SignedProofQuestion {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &App) -> Result<Self, Failure> {
        let (mut parts, body) = request.into_parts();
        let id: RecordId = path_id(&mut parts, Code::RecordNotFound).await?;
        let Json(signed) = Json::<Signed>::from_request(Request::from_parts(parts, body), app).await?;
        let claimed: ProofQuestion = serde_json::from_slice(&signed.payload).map_err(|_| Code::RequestInvalid)?;
        let key = device_key(app, claimed.account_id, claimed.device_id).await?;
        let question: ProofQuestion =
            verify::open(&signed, ProofQuestion::KIND, &key).map_err(|_| Code::RecordSignature)?;
        if question.v != vault_protocol::VERSION || question.record_id != id {
            return Err(Code::RequestInvalid.into());
        }
        Ok(Self(question))
    }
}
