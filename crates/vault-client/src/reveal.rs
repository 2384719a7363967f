//! Listing, finding and releasing keys.

use std::collections::BTreeMap;

use secret::RecoveryPassword;
use vault_crypto::VaultRoot;
use vault_crypto::record::{Meta, open_meta, open_recovery_password};
use vault_protocol::limits::MAX_PAGE;
use vault_protocol::messages::{
    DeviceList, ExportRequest, Exported, Purpose, RecordPage, RecordView, RevealRequest, Revealed, export_target,
};
use vault_protocol::record::{AuthorKind, Header};
use vault_protocol::{AuthorId, Bytes, Millis, PublicKey, RecordId, Signed, routes, verify};

use crate::client::Owner;
use crate::{Client, Confirm, Error, Transport};

/// A saved key, without the key.
#[derive(Debug, Clone)]
pub struct RecordSummary {
    /// Which record.
    pub record_id: RecordId,
    /// What it keeps.
    pub kind: String,
    /// Titles; `None` when they cannot be opened.
    pub meta: Option<Meta>,
    /// Whether its author's signature fits. Others must not be used without comparing.
    pub verified: bool,
    /// Name of the device that saved it, or `owner`.
    pub author: String,
    /// `live`, `superseded`, `retired`, `hidden`.
    pub state: String,
    /// When it was saved.
    pub received_at: Millis,
    /// When it was last revealed.
    pub revealed_at: Option<Millis>,
    /// Number of the save among its author's.
    pub seq: u64,
}

/// A released key.
pub struct RevealedKey {
    /// The 48 digits, check digits verified.
    pub password: RecoveryPassword,
    /// Titles.
    pub meta: Meta,
}

/// A released key with what proves where it comes from.
pub struct ExportedKey {
    /// Which record.
    pub record_id: RecordId,
    /// The key and its titles.
    pub key: RevealedKey,
    /// What the author signed.
    pub save: Signed,
    /// Bytes of the header, which the save names by hash.
    pub header: Bytes,
    /// What the service signed.
    pub receipt: Signed,
}

/// Keys and names of those who may author records.
type Authors = BTreeMap<AuthorId, (PublicKey, String)>;

impl<T: Transport> Client<T> {
    /// All saved keys, newest last.
    ///
    /// # Errors
    /// [`Error`].
    pub fn records(&self) -> Result<Vec<RecordSummary>, Error> {
        let owner = self.owner()?;
        let authors = self.authors(&owner)?;
        let views = self.record_views(&owner)?;
        Ok(views.iter().map(|view| summary(&owner, &authors, view)).collect())
    }

    /// Saved keys whose identifier starts with what a locked PC shows (or equals it); superseded ones come last.
    ///
    /// # Errors
    /// [`Error`].
    pub fn find_records(&self, key_id: &str) -> Result<Vec<RecordSummary>, Error> {
        let wanted = key_id.trim().trim_matches(['{', '}']).to_ascii_uppercase();
        let mut found: Vec<RecordSummary> = self
            .records()?
            .into_iter()
            .filter(|_| !wanted.is_empty())
            .filter(|record| record.meta.as_ref().is_some_and(|meta| meta.key_id.starts_with(&wanted)))
            .collect();
        found.sort_by_key(|record| (record.state != "live", std::cmp::Reverse(record.received_at)));
        Ok(found)
    }

    /// Releases one key after a fresh confirmation. The service writes the audit entry before it answers.
    ///
    /// # Errors
    /// [`Error::Unverified`] when the record is not what its author signed; [`Error`].
    pub fn reveal<'a>(
        &self,
        record: RecordId,
        reason: &str,
        presence: impl Into<Confirm<'a>>,
    ) -> Result<RevealedKey, Error> {
        let owner = self.owner()?;
        let confirmed = self.step_up(Purpose::Reveal, &record.to_string(), presence)?;
        let authors = self.authors(&owner)?;
        let path = routes::with_id(routes::REVEAL, &record.to_string());
        let body = RevealRequest { grant: confirmed.grant.clone(), reason: reason.to_owned() };
        let revealed: Revealed = self.post(&path, Some(owner.token()), &body)?;
        open(&owner, &authors, confirmed.vault()?, record, &revealed)
    }

    /// Releases several keys after one fresh confirmation, at most [`MAX_EXPORT`](vault_protocol::limits::MAX_EXPORT). The
    /// service writes an audit entry for each before it answers.
    ///
    /// # Errors
    /// [`Error::Unverified`] when a record is not what its author signed; [`Error`].
    pub fn export<'a>(
        &self,
        records: &[RecordId],
        presence: impl Into<Confirm<'a>>,
    ) -> Result<Vec<ExportedKey>, Error> {
        let owner = self.owner()?;
        let authors = self.authors(&owner)?;
        let confirmed = self.step_up(Purpose::Export, &export_target(records), presence)?;
        let body = ExportRequest { grant: confirmed.grant.clone(), records: records.to_vec() };
        let exported: Exported = self.post(routes::EXPORT, Some(owner.token()), &body)?;
        if exported.records.len() != records.len() {
            return Err(Error::Answer("another number of records than asked for"));
        }
        let each = records.iter().zip(exported.records);
        each.map(|(record, revealed)| {
            let key = open(&owner, &authors, confirmed.vault()?, *record, &revealed)?;
            let (save, header) = (revealed.record.save, revealed.record.header);
            Ok(ExportedKey { record_id: *record, key, save, header, receipt: revealed.receipt })
        })
        .collect()
    }

    pub(crate) fn record_views(&self, owner: &Owner) -> Result<Vec<RecordView>, Error> {
        let mut views: Vec<RecordView> = Vec::new();
        loop {
            let after = views.last().map(|view| format!("&after={}", view.record_id)).unwrap_or_default();
            let path = format!("{}?limit={MAX_PAGE}{after}", routes::RECORDS);
            let page: RecordPage = self.get(&path, Some(owner.token()))?;
            let went_on = !page.records.is_empty();
            views.extend(page.records);
            if !page.more || !went_on {
                return Ok(views);
            }
        }
    }

    /// The devices whose certificates are signed by the identity key, and the owner.
    pub(crate) fn authors(&self, owner: &Owner) -> Result<Authors, Error> {
        let list: DeviceList = self.get(routes::DEVICES, Some(owner.token()))?;
        let account = owner.profile.account_id;
        let mut authors = Authors::new();
        for device in list.devices {
            if let Ok(certificate) = verify::certificate(&device.certificate, account, &owner.statement.identity_pk) {
                authors.insert(certificate.device_id.into(), (certificate.device_pk, certificate.name));
            }
        }
        authors.insert(account.into(), (owner.statement.author_pk.clone(), "owner".to_owned()));
        Ok(authors)
    }
}

/// Opens a released record, once it is what its author signed and the service gave a receipt for.
fn open(
    owner: &Owner,
    authors: &Authors,
    vault: &VaultRoot,
    record: RecordId,
    revealed: &Revealed,
) -> Result<RevealedKey, Error> {
    let request = &revealed.record;
    let unverified = Error::unverified("the record");
    let author = author_of(&request.header, owner, authors).ok_or(Error::Answer("an unknown author"))?;
    let save = verify::save(request, &author.0).map_err(unverified)?;
    if save.record_id != record || save.account_id != owner.profile.account_id {
        return Err(Error::Answer("another record than the one asked for"));
    }
    verify::receipt(&revealed.receipt, &owner.profile.receipt_pk).map_err(Error::unverified("the receipt"))?;
    let meta = open_meta(&request.header, &request.meta, &owner.catalogue.catalogue_key())?;
    let password = open_recovery_password(&request.header, &request.secret, &vault.vault_key())?;
    Ok(RevealedKey { password, meta })
}

fn author_of<'a>(header: &[u8], owner: &Owner, authors: &'a Authors) -> Option<&'a (PublicKey, String)> {
    let header: Header = serde_json::from_slice(header).ok()?;
    // A device must not pass for the owner, nor the other way round.
    let is_owner = header.author_id == AuthorId::from(owner.profile.account_id);
    (is_owner == (header.author_kind == AuthorKind::Account)).then(|| authors.get(&header.author_id))?
}

pub(crate) fn summary(owner: &Owner, authors: &Authors, view: &RecordView) -> RecordSummary {
    let header: Option<Header> = serde_json::from_slice(&view.header).ok();
    let author = author_of(&view.header, owner, authors);
    let save = author.and_then(|(key, _)| verify::save_without_secret(&view.save, &view.header, &view.meta, key).ok());
    let save = save.filter(|save| save.record_id == view.record_id && save.account_id == owner.profile.account_id);
    RecordSummary {
        record_id: view.record_id,
        kind: header.map(|header| header.kind).unwrap_or_default(),
        meta: open_meta(&view.header, &view.meta, &owner.catalogue.catalogue_key()).ok(),
        verified: save.is_some(),
        author: author.map(|(_, name)| name.clone()).unwrap_or_default(),
        state: view.state.clone(),
        received_at: view.received_at,
        revealed_at: view.revealed_at,
        seq: save.map_or(0, |save| save.seq),
    }
}
