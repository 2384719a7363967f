//! Listing, finding and releasing keys.

use std::collections::BTreeMap;

use secret::RecoveryPassword;
use vault_crypto::record::{Meta, Secret, open_meta, open_secret};
use vault_crypto::{BoxKey, VaultRoot};
use vault_protocol::limits::MAX_PAGE;
use vault_protocol::messages::{
    DeviceList, ExportRequest, Exported, Purpose, RecordPage, RecordView, RevealRequest, Revealed, export_target,
};
use vault_protocol::note::{Finding, Note};
use vault_protocol::record::{AuthorKind, Header, Save};
use vault_protocol::statement::KeyStatement;
use vault_protocol::{AccountId, AuthorId, Bytes, DeviceId, Millis, PublicKey, RecordId, Signed, routes, verify};

use crate::client::Owner;
use crate::orders::Ordered;
use crate::{Client, Confirm, Error, Transport};

/// Records of one account that are read: more than a service stores for anybody.
const MOST_RECORDS: usize = 1 << 17;

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
    /// What a device found last: how the key stands, when, and the device's name.
    pub finding: Option<(Finding, Millis, String)>,
    /// Number of the save among its author's.
    pub seq: u64,
    /// Whether it was, by its author's signature, saved before the account got its present keys: then only the emergency kit of that time opens it
    /// ([`Client::bring_over`]).
    pub former: bool,
}

impl RecordSummary {
    /// Whether it was left behind by a new start: nothing that the account reads took its place.
    #[must_use]
    pub fn is_left_behind(&self) -> bool {
        self.former && self.state == "live"
    }
}

/// A released key.
pub struct RevealedKey {
    /// The 48 digits, check digits verified.
    pub password: RecoveryPassword,
    /// Titles.
    pub meta: Meta,
}

/// A released key of any kind.
pub struct RevealedSecret {
    /// The key.
    pub secret: Secret,
    /// Titles.
    pub meta: Meta,
    /// What became of the wish to have it replaced.
    pub ordered: Option<Ordered>,
}

/// Whether a key that is shown shall be replaced afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Afterwards {
    /// Order the computer that saved it to replace it.
    Rotate,
    /// Leave it as it is.
    Leave,
}

/// A released key with what proves where it comes from.
pub struct ExportedKey {
    /// Which record.
    pub record_id: RecordId,
    /// The key, its titles.
    pub key: RevealedSecret,
    /// What the author signed.
    pub save: Signed,
    /// Bytes of the header, which the save names by hash.
    pub header: Bytes,
    /// What the service signed.
    pub receipt: Signed,
}

/// Keys and names of those who may author records: each only under the keys it was certified for.
pub(crate) struct Authors(BTreeMap<(AuthorId, u32), (PublicKey, String)>);

impl Authors {
    /// The devices whose certificates are signed by the identity key of one of these statements, and the owner.
    pub(crate) fn of(account: AccountId, statements: &[KeyStatement], certificates: &[Signed]) -> Self {
        let mut authors = BTreeMap::new();
        for statement in statements {
            for signed in certificates {
                if let Ok(certificate) = verify::certificate(signed, account, &statement.identity_pk) {
                    let author = (certificate.device_id.into(), statement.generation);
                    authors.insert(author, (certificate.device_pk, certificate.name));
                }
            }
            let owner = (statement.author_pk.clone(), "owner".to_owned());
            authors.insert((account.into(), statement.generation), owner);
        }
        Self(authors)
    }

    /// The owner's own name for a device, in place of the one in its certificate.
    fn rename(&mut self, device: DeviceId, label: &str) {
        for ((author, _), (_, name)) in &mut self.0 {
            if *author == device.into() {
                label.clone_into(name);
            }
        }
    }

    /// Who made a record with this header.
    fn author_of(&self, header: &[u8], account: AccountId) -> Option<&(PublicKey, String)> {
        let header: Header = serde_json::from_slice(header).ok()?;
        // A device must not pass for the owner, nor the other way round.
        let is_owner = header.author_id == AuthorId::from(account);
        let author = (header.author_id, header.generation);
        (is_owner == (header.author_kind == AuthorKind::Account)).then(|| self.0.get(&author))?
    }

    /// The key and name of a device, under whichever keys it is certified.
    fn device(&self, device: DeviceId) -> Option<&(PublicKey, String)> {
        self.0.iter().find(|((author, _), _)| *author == device.into()).map(|(_, author)| author)
    }
}

/// The present statement and those it follows on, which the service shows.
///
/// # Errors
/// [`Error::Unverified`] when one is not the one whose hash its successor names.
pub(crate) fn statements(
    account: AccountId,
    present: &KeyStatement,
    former: &[Signed],
) -> Result<Vec<KeyStatement>, Error> {
    let former =
        verify::former_statements(present, former, account).map_err(Error::unverified("a former key statement"))?;
    Ok(std::iter::once(present.clone()).chain(former).collect())
}

/// Keys that open the records of one generation.
pub(crate) struct Opening {
    pub(crate) generation: u32,
    pub(crate) catalogue: BoxKey,
    pub(crate) vault: BoxKey,
}

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
        let revealed = self.reveal_any(record, reason, presence, Afterwards::Leave)?;
        match revealed.secret {
            Secret::RecoveryPassword(password) => Ok(RevealedKey { password, meta: revealed.meta }),
            Secret::ExternalKey(_) => Err(Error::OtherKind),
        }
    }

    /// As [`Client::reveal`], for every kind of key; afterwards the key may be ordered to be replaced, while the vault is
    /// open for that. An order that cannot be given takes nothing away from the key.
    ///
    /// # Errors
    /// As there.
    pub fn reveal_any<'a>(
        &self,
        record: RecordId,
        reason: &str,
        presence: impl Into<Confirm<'a>>,
        afterwards: Afterwards,
    ) -> Result<RevealedSecret, Error> {
        let owner = self.owner()?;
        let confirmed = self.step_up(Purpose::Reveal, &record.to_string(), presence)?;
        let authors = self.authors(&owner)?;
        let path = routes::with_id(routes::REVEAL, &record.to_string());
        let body = RevealRequest { grant: confirmed.grant.clone(), reason: reason.to_owned() };
        let revealed: Revealed = self.post(&path, Some(owner.token()), &body)?;
        self.remember_reveals(&owner, &[record]);
        let vault = confirmed.vault()?;
        let mut opened = open(&owner, &authors, vault, record, &revealed)?;
        // Startup keys lie on sticks that a computer cannot rewrite by itself.
        if afterwards == Afterwards::Rotate && matches!(opened.secret, Secret::RecoveryPassword(_)) {
            let save: Save = serde_json::from_slice(&revealed.record.save.payload)
                .map_err(|_| Error::Answer("a save that cannot be read"))?;
            opened.ordered = Some(self.give_order(&owner, vault, record, &save));
        }
        Ok(opened)
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
        let body = ExportRequest { grant: confirmed.grant.clone(), records: records.to_vec(), former_kit_proof: None };
        let exported: Exported = self.post(routes::EXPORT, Some(owner.token()), &body)?;
        if exported.records.len() != records.len() {
            return Err(Error::Answer("another number of records than asked for"));
        }
        self.remember_reveals(&owner, records);
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
            // Pages that repeat themselves would never end.
            let mut last = views.last().map(|view| view.record_id);
            for view in page.records {
                if last.is_some_and(|last| view.record_id <= last) {
                    return Err(Error::Answer("records out of order"));
                }
                last = Some(view.record_id);
                views.push(view);
            }
            if views.len() > MOST_RECORDS {
                return Err(Error::Answer("records without end"));
            }
            if !page.more || !went_on {
                return Ok(views);
            }
        }
    }

    /// The devices whose certificates are signed by the identity key, and the owner.
    pub(crate) fn authors(&self, owner: &Owner) -> Result<Authors, Error> {
        let list: DeviceList = self.get(routes::DEVICES, Some(owner.token()))?;
        let account = owner.profile.account_id;
        let certificates: Vec<Signed> = list.devices.iter().map(|device| device.certificate.clone()).collect();
        let statements = statements(account, &owner.statement, &list.former_statements)?;
        let mut authors = Authors::of(account, &statements, &certificates);
        let labels = owner.catalogue.label_key();
        for device in list.devices {
            let label = device.label_sealed.and_then(|label| labels.open(account, device.device_id, &label).ok());
            if let Some(label) = label {
                authors.rename(device.device_id, &label);
            }
        }
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
) -> Result<RevealedSecret, Error> {
    let keys = Opening {
        generation: owner.statement.generation,
        catalogue: owner.catalogue.catalogue_key(),
        vault: vault.vault_key(),
    };
    open_with(owner, authors, &keys, record, revealed)
}

/// As [`open`], with the keys of another generation.
pub(crate) fn open_with(
    owner: &Owner,
    authors: &Authors,
    keys: &Opening,
    record: RecordId,
    revealed: &Revealed,
) -> Result<RevealedSecret, Error> {
    let request = &revealed.record;
    let unverified = Error::unverified("the record");
    let author = authors.author_of(&request.header, owner.profile.account_id);
    let author = author.ok_or(Error::Answer("an unknown author"))?;
    let save = verify::save(request, &author.0).map_err(unverified)?;
    if save.record_id != record || save.account_id != owner.profile.account_id {
        return Err(Error::Answer("another record than the one asked for"));
    }
    let receipt = verify::receipt(&revealed.receipt, &owner.profile.receipt_pk);
    let receipt = receipt.map_err(Error::unverified("the receipt"))?;
    let fits = receipt.record_id == record
        && receipt.account_id == owner.profile.account_id
        && receipt.body_sha256.0 == request.save.payload_sha256();
    if !fits {
        return Err(Error::Answer("the receipt is for something else"));
    }
    if generation_of(&request.header) != Some(keys.generation) {
        return Err(Error::FormerKeys);
    }
    let meta = open_meta(&request.header, &request.meta, &keys.catalogue)?;
    let secret = open_secret(&request.header, &request.secret, &keys.vault)?;
    Ok(RevealedSecret { secret, meta, ordered: None })
}

/// Under which keys a record was saved.
fn generation_of(header: &[u8]) -> Option<u32> {
    serde_json::from_slice::<Header>(header).ok().map(|header| header.generation)
}

/// The save of a listed record, once it is its author's and of this record.
pub(crate) fn verified_save(view: &RecordView, account: AccountId, authors: &Authors) -> Option<Save> {
    let (key, _) = authors.author_of(&view.header, account)?;
    let save = verify::save_without_secret(&view.save, &view.header, &view.meta, key).ok()?;
    (save.record_id == view.record_id && save.account_id == account).then_some(save)
}

/// The newest note about a record, when it is signed by a device of the account.
fn finding(view: &RecordView, authors: &Authors) -> Option<(Finding, Millis, String)> {
    let signed = view.note.as_ref()?;
    let claimed: Note = serde_json::from_slice(&signed.payload).ok()?;
    let (key, name) = authors.device(claimed.device_id)?;
    let note = verify::note(signed, key).ok()?;
    (note.record_id == Some(view.record_id)).then(|| (note.finding, note.at, name.clone()))
}

pub(crate) fn summary(owner: &Owner, authors: &Authors, view: &RecordView) -> RecordSummary {
    let header: Option<Header> = serde_json::from_slice(&view.header).ok();
    let account = owner.profile.account_id;
    let author = authors.author_of(&view.header, account);
    let save = verified_save(view, account, authors);
    RecordSummary {
        record_id: view.record_id,
        kind: header.map(|header| header.kind).unwrap_or_default(),
        meta: open_meta(&view.header, &view.meta, &owner.catalogue.catalogue_key()).ok(),
        verified: save.is_some(),
        author: author.map(|(_, name)| name.clone()).unwrap_or_default(),
        state: view.state.clone(),
        received_at: view.received_at,
        revealed_at: view.revealed_at,
        finding: finding(view, authors),
        seq: save.as_ref().map_or(0, |save| save.seq),
        former: save.is_some()
            && generation_of(&view.header).is_some_and(|generation| generation < owner.statement.generation),
    }
}
