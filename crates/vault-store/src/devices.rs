//! Devices, and the short-lived codes by which they are enrolled.

use async_trait::async_trait;

use crate::{AccountId, DeviceId, Digest, Error, GrantUse, LinkMaker, Millis};

/// Whether a device may still save.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceState {
    /// It may.
    Active,
    /// The owner ended it.
    Revoked,
}

/// One row of `devices`.
#[derive(Debug, Clone)]
pub struct Device {
    /// Chosen by the client that signed the certificate.
    pub id: DeviceId,
    /// The one account it belongs to.
    pub account_id: AccountId,
    /// Public key its saves are checked with.
    pub pk: Vec<u8>,
    /// `ed25519` or `es256`.
    pub alg: String,
    /// The signed certificate, as bytes.
    pub certificate: Vec<u8>,
    /// What it may do.
    pub capability: String,
    /// Whether it still may.
    pub state: DeviceState,
    /// Highest number of a save.
    pub last_seq: i64,
    /// When it was enrolled.
    pub created_at: Millis,
    /// When it last called.
    pub seen_at: Millis,
    /// When it was revoked.
    pub revoked_at: Option<Millis>,
    /// The name its owner gave it, sealed; none for the one in the certificate.
    pub label_sealed: Option<Vec<u8>>,
}

/// How far an enrolment code got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceCodeState {
    /// Waiting for the owner.
    Pending,
    /// The owner approved; `answer` is there.
    Approved,
    /// Out of tries.
    Failed,
}

/// One row of `device_codes`.
#[derive(Debug, Clone)]
pub struct DeviceCode {
    /// SHA-256 of the device code. The code itself is not stored.
    pub hash: Digest,
    /// What the person types.
    pub user_code: String,
    /// The device's public key.
    pub device_pk: Vec<u8>,
    /// Its kind.
    pub alg: String,
    /// The device's box public key.
    pub box_pk: Vec<u8>,
    /// The device's nonce.
    pub nonce: Vec<u8>,
    /// What the device said about itself, as bytes.
    pub request: Vec<u8>,
    /// The device's proof that its person holds the enrolment secret.
    pub tag_h: Option<Vec<u8>>,
    /// The account that looked it up first; no other can approve it.
    pub account_id: Option<AccountId>,
    /// What the owner's client left for the device, as bytes.
    pub answer: Option<Vec<u8>>,
    /// How far it got.
    pub state: DeviceCodeState,
    /// When the device last asked.
    pub polled_at: Option<Millis>,
    /// End of the code.
    pub expires_at: Millis,
}

/// The approval of a waiting device.
#[derive(Debug, Clone)]
pub struct CodeAnswer {
    /// The code the owner typed.
    pub user_code: String,
    /// Box key in the certificate; it must be the one that waits.
    pub box_pk: Vec<u8>,
    /// What the device will be given.
    pub answer: Vec<u8>,
}

/// Devices and their codes.
#[async_trait]
pub trait Devices {
    /// Enrols a device: spends the grant, adds the device, answers the waiting code if there is one, adds the audit
    /// entry. One transaction.
    ///
    /// # Errors
    /// Refusals: [`Grant`](crate::Refusal::Grant), [`DeviceCode`](crate::Refusal::DeviceCode),
    /// [`IdTaken`](crate::Refusal::IdTaken).
    async fn enrol_device(
        &self,
        device: &Device,
        code: Option<&CodeAnswer>,
        grant: &GrantUse,
        link: LinkMaker<'_>,
    ) -> Result<(), Error>;

    /// One device of an account.
    async fn device(&self, account: AccountId, device: DeviceId) -> Result<Option<Device>, Error>;

    /// All devices of an account, revoked ones too, oldest first.
    async fn devices(&self, account: AccountId) -> Result<Vec<Device>, Error>;

    /// Revokes a device of the grant's account: spends the grant, ends the device, adds the audit entry. Revoking twice
    /// is refused.
    ///
    /// # Errors
    /// Refusals: [`Grant`](crate::Refusal::Grant); [`NotFound`](crate::Refusal::NotFound): not of this account, or revoked
    /// before.
    async fn revoke_device(&self, device: DeviceId, grant: &GrantUse, link: LinkMaker<'_>) -> Result<(), Error>;

    /// Begins an enrolment by code.
    ///
    /// # Errors
    /// Refusal [`IdTaken`](crate::Refusal::IdTaken) when the user code is in use: the caller draws another.
    async fn add_device_code(&self, code: &DeviceCode) -> Result<(), Error>;

    /// A code by the hash of its device half.
    async fn device_code(&self, hash: Digest) -> Result<Option<DeviceCode>, Error>;

    /// Stores the device's tag, once.
    ///
    /// # Errors
    /// Refusal [`DeviceCode`](crate::Refusal::DeviceCode) when the code is over or has a different tag.
    async fn set_device_code_tag(&self, hash: Digest, tag_h: &[u8], now: Millis) -> Result<(), Error>;

    /// Looks a waiting code up for an account and counts a try, once the device's tag is there. The first account to do
    /// so keeps it; when the tries are used up the code is dead.
    ///
    /// # Errors
    /// Refusal [`DeviceCode`](crate::Refusal::DeviceCode), whatever the reason.
    async fn claim_device_code(
        &self,
        user_code: &str,
        account: AccountId,
        now: Millis,
        max_tries: i64,
    ) -> Result<DeviceCode, Error>;

    /// Notes that the device asked.
    async fn touch_device_code(&self, hash: Digest, polled_at: Millis) -> Result<(), Error>;
}
