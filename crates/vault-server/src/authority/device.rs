//! What a device signs besides saves: questions and reports. Like a save, it needs no session and no second factor, and it
//! gives no right to read.

use axum::extract::{FromRequest, Request};
use serde::de::DeserializeOwned;
use vault_protocol::messages::StatusQuestion;
use vault_protocol::note::Note;
use vault_protocol::order::OrderReport;
use vault_protocol::problem::Code;
use vault_protocol::{PublicKey, Signed, VERSION, verify};
use vault_store::{AccountId, DeviceId};

use super::signed::device_key;
use crate::app::App;
use crate::failure::Failure;
use crate::http::Json;

/// Something that a device signs.
pub(crate) trait DeviceWord: DeserializeOwned + Send {
    /// Type of the signed object.
    const KIND: &'static str;

    /// Version of the payload, the account it names, the device that says it.
    fn of(&self) -> (u32, AccountId, DeviceId);
}

impl DeviceWord for StatusQuestion {
    const KIND: &'static str = Self::KIND;
    fn of(&self) -> (u32, AccountId, DeviceId) {
        (self.v, self.account_id, self.device_id)
    }
}

impl DeviceWord for Note {
    const KIND: &'static str = Self::KIND;
    fn of(&self) -> (u32, AccountId, DeviceId) {
        (self.v, self.account_id, self.device_id)
    }
}

impl DeviceWord for OrderReport {
    const KIND: &'static str = Self::KIND;
    fn of(&self) -> (u32, AccountId, DeviceId) {
        (self.v, self.account_id, self.device_id)
    }
}

/// A word signed by an active device of the account that it names.
#[derive(Debug)]
pub(crate) struct SignedByDevice<W> {
    word: W,
    signed: Signed,
}

impl<W> SignedByDevice<W> {
    /// What it says.
    pub(crate) fn word(&self) -> &W {
        &self.word
    }

    /// As it was sent.
    pub(crate) fn signed(&self) -> &Signed {
        &self.signed
    }
}

impl<W: DeviceWord> FromRequest<App> for SignedByDevice<W> {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &App) -> Result<Self, Failure> {
        let Json(signed) = Json::<Signed>::from_request(request, app).await?;
        let claimed: W = serde_json::from_slice(&signed.payload).map_err(|_| Code::RequestInvalid)?;
        let (version, account, device) = claimed.of();
        let key: PublicKey = device_key(app, account, device).await?;
        let word: W = verify::open(&signed, W::KIND, &key).map_err(|_| Code::RecordSignature)?;
        if version != VERSION {
            return Err(Code::RequestInvalid.into());
        }
        Ok(Self { word, signed })
    }
}
