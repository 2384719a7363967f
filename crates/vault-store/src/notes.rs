//! What devices find out about records, and what is kept beside devices and records.

use async_trait::async_trait;
use vault_protocol::note::Finding;

use crate::{AccountId, DeviceId, Error, LinkMaker, Millis, Record, RecordId};

/// A device's note about a record.
#[derive(Debug, Clone)]
pub struct NewNote {
    /// Whose.
    pub account_id: AccountId,
    /// Who found it.
    pub device_id: DeviceId,
    /// About which record.
    pub record_id: RecordId,
    /// How it stands.
    pub finding: Finding,
    /// The signed note, as bytes.
    pub body: Vec<u8>,
    /// When, as the device says.
    pub at: Millis,
}

/// Most copies of one record that was found damaged.
pub const MAX_COPIES: i64 = 8;

/// Notes, names of devices, copies of damaged records.
#[async_trait]
pub trait Notes {
    /// Keeps the newest note about a record; `retired` and `verified` are noted in its state as well.
    ///
    /// # Errors
    /// Refusal [`NotFound`](crate::Refusal::NotFound): the device neither saved the record nor has an order about it.
    async fn note_record(&self, note: &NewNote, link: Option<LinkMaker<'_>>) -> Result<(), Error>;

    /// The newest notes about the records of an account from one to another in the order of their identifiers, both
    /// included, as they were sent.
    async fn notes(
        &self,
        account: AccountId,
        first: RecordId,
        last: RecordId,
    ) -> Result<Vec<(RecordId, Vec<u8>)>, Error>;

    /// Gives a device another name, sealed by its owner, with the audit entry.
    ///
    /// # Errors
    /// Refusal [`NotFound`](crate::Refusal::NotFound).
    async fn label_device(
        &self,
        account: AccountId,
        device: DeviceId,
        label_sealed: &[u8],
        link: LinkMaker<'_>,
    ) -> Result<(), Error>;

    /// Notes that a device called.
    async fn see_device(&self, account: AccountId, device: DeviceId, now: Millis) -> Result<(), Error>;

    /// Stores a record anew beside its damaged row, which stays as it is, with the audit entry. From now on this copy is the
    /// record. The caller checked that it is what the author signed.
    ///
    /// # Errors
    /// Refusals: [`NotFound`](crate::Refusal::NotFound); [`Quota`](crate::Refusal::Quota) after [`MAX_COPIES`].
    async fn store_copy(&self, record: &Record, link: LinkMaker<'_>) -> Result<(), Error>;
}
