//! Envelopes: saved once, listed without their secret part, released under a grant.

use async_trait::async_trait;

use crate::{AccountId, AuthorId, ChainHead, DeviceId, Digest, Error, GrantUse, Link, LinkMaker, Millis, RecordId};

/// One row of `records`.
#[derive(Debug, Clone)]
pub struct Record {
    /// Whose.
    pub account_id: AccountId,
    /// Chosen by the author.
    pub id: RecordId,
    /// The device, or the account itself.
    pub author_id: AuthorId,
    /// What it keeps; unknown kinds are stored like known ones.
    pub kind: String,
    /// The part of the save that the server reads, as it was sent.
    pub header: Vec<u8>,
    /// The metadata envelope.
    pub meta: Vec<u8>,
    /// The secret envelope.
    pub secret: Vec<u8>,
    /// The signed save, as the server will hand it out.
    pub signature: Vec<u8>,
    /// SHA-256 of the signed bytes.
    pub body_sha256: Digest,
    /// The record it takes the place of.
    pub supersedes: Option<RecordId>,
    /// When it was committed.
    pub received_at: Millis,
}

/// One row of `record_index`: how an owner or an organisation finds the record without opening it.
#[derive(Debug, Clone)]
pub struct IndexEntry {
    /// `account` or `org`.
    pub scope: String,
    /// Which one.
    pub scope_id: [u8; 16],
    /// Keyed hash of the whole key identifier.
    pub full: Vec<u8>,
    /// Keyed hash of its first eight characters.
    pub prefix: Vec<u8>,
}

/// A save, checked by the caller, ready to be stored.
#[derive(Debug, Clone)]
pub struct NewRecord {
    /// The record.
    pub record: Record,
    /// Its index entries.
    pub index: Vec<IndexEntry>,
    /// The device and the number of its save; `None` when the owner saves directly.
    pub device: Option<(DeviceId, i64)>,
    /// Most live records the account may hold.
    pub max_records: i64,
    /// A place that it takes,
    pub place: Option<Place>,
    /// and one that it takes where the account has no record of this key.
    pub new_key_place: Option<Place>,
}

/// A place in a window of an abuse limit, to be taken in the transaction of the act that it limits: an act that does not happen
/// takes none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The limit, and who it is for.
    pub bucket: String,
    /// When the window began.
    pub window: Millis,
    /// When it ends.
    pub until: Millis,
    /// Places in it.
    pub places: i64,
}

/// Makes the audit entry and the receipt of a save from the chain's head. Like [`LinkMaker`], it may be called again.
pub type SaveSealer<'a> = &'a (dyn Fn(&ChainHead) -> (Link, Vec<u8>) + Send + Sync);

/// Makes the audit entry of one of several releases from the chain's head. Like [`LinkMaker`], it may be called again.
pub type ReleaseLinker<'a> = &'a (dyn Fn(RecordId, &ChainHead) -> Link + Send + Sync);

/// What became of a save.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Saved {
    /// Stored by this call. Holds the receipt.
    New(Vec<u8>),
    /// Stored before with the same bytes. Holds the receipt of that time.
    Before(Vec<u8>),
}

/// State of a record beside its immutable content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordState {
    /// The newest for its key protector.
    Live,
    /// A newer record took its place; it stays readable.
    Superseded,
    /// The key protector is gone from the drive.
    Retired,
    /// Waits for the end of the hold before deletion.
    Hidden,
}

/// A record as it is listed: no secret envelope.
#[derive(Debug, Clone)]
pub struct Listing {
    /// The record; `secret` is empty.
    pub record: Record,
    /// Beside its content.
    pub state: RecordState,
    /// When it was last revealed.
    pub revealed_at: Option<Millis>,
}

/// What a reveal hands out.
#[derive(Debug, Clone)]
pub struct Released {
    /// The record, secret envelope included.
    pub record: Record,
    /// The receipt of its save.
    pub receipt: Vec<u8>,
}

/// Envelopes.
#[async_trait]
pub trait Records {
    /// Stores a save: record, index, receipt, places, audit entry and chain head in one transaction, durable when it returns.
    ///
    /// # Errors
    /// Refusals: [`IdConflict`](crate::Refusal::IdConflict), [`DeviceRevoked`](crate::Refusal::DeviceRevoked),
    /// [`Limit`](crate::Refusal::Limit), [`Quota`](crate::Refusal::Quota).
    async fn save_record(&self, new: &NewRecord, seal: SaveSealer<'_>) -> Result<Saved, Error>;

    /// The receipt of a record that was saved with exactly these bytes.
    ///
    /// # Errors
    /// Refusal [`IdConflict`](crate::Refusal::IdConflict) when it was saved with others.
    async fn receipt(&self, account: AccountId, id: RecordId, body_sha256: Digest) -> Result<Option<Vec<u8>>, Error>;

    /// Whether the account holds a record with this full index in its own scope.
    async fn key_is_known(&self, account: AccountId, full: &[u8]) -> Result<bool, Error>;

    /// Records after `after` in the order of their identifiers, at most `limit`, without secret envelopes.
    async fn records_page(
        &self,
        account: AccountId,
        after: Option<RecordId>,
        limit: i64,
    ) -> Result<Vec<Listing>, Error>;

    /// One record, whole. Only for answers that do not carry the secret envelope; see [`Records::release`].
    async fn record(&self, account: AccountId, id: RecordId) -> Result<Option<Record>, Error>;

    /// Spends the grant, notes the reveal and commits the audit entry; only then returns the envelope.
    ///
    /// # Errors
    /// Refusals: [`Grant`](crate::Refusal::Grant), [`NotFound`](crate::Refusal::NotFound). The grant is not spent then.
    async fn release(&self, id: RecordId, grant: &GrantUse, link: LinkMaker<'_>) -> Result<Released, Error>;

    /// Like [`Records::release`] for several records under one grant, with an audit entry for each: all or none.
    ///
    /// # Errors
    /// As there.
    async fn release_all(
        &self,
        ids: &[RecordId],
        grant: &GrantUse,
        link: ReleaseLinker<'_>,
    ) -> Result<Vec<Released>, Error>;
}
