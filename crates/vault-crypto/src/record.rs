//! Sealing and opening records.
//!
//! Each part has a content key of its own: `ct = AES-256-GCM(CEK, nonce, padded JSON, AAD = SHA-256(header) ‖ part name)`,
//! and for each recipient HPKE seals the CEK with info `vault/1/record/<part>` and AAD `SHA-256(header) ‖ kid`. So a part
//! opens only with its own header and under its own name.

use data_encoding::BASE64URL_NOPAD;
use secret::{RecoveryPassword, SecretBytes, SecretString, SecretVec, random_bytes};
use serde::{Deserialize, Serialize};
use vault_protocol::record::{
    AuthorKind, Header, IndexEntry, KIND_EXTERNAL_KEY, KIND_RECOVERY_PASSWORD, PART_META, PART_SECRET, Part, Recipient,
    SUITE, Save, SaveRequest,
};
use vault_protocol::statement::KeyStatement;
use vault_protocol::{AuthorId, Bytes, FixedBytes, Millis, RecordId, VERSION, sha256};
use zeroize::{Zeroize, Zeroizing};

use crate::{BoxKey, Error, SigningKey, aead, hpke_box, kid};

/// Parts are padded to multiples of this, so that sizes tell little.
const PADDING_BYTES: usize = 256;
/// Recipients of a part: the owner's key now, an organisation's later.
const MAX_RECIPIENTS: usize = 8;

/// What the owner sees in a listing; sealed to the catalogue key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Meta {
    /// Identifier of the key protector, upper case, without braces.
    pub key_id: String,
    /// `os`, `fixed`, `removable`, `unknown`.
    pub volume_type: String,
    /// Where it was mounted, or the file's name.
    pub mount: String,
    /// Label of the drive.
    pub label: String,
    /// Name of the PC.
    pub computer: String,
    /// Operating system that saved it.
    pub os: String,
    /// Encryption method.
    pub method: String,
    /// When the protector was made, as BitLocker shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protector_created: Option<String>,
    /// Where the key came from: `drive`, `file`, ...
    pub source: String,
    /// Program and version.
    pub client: String,
}

/// The secret part as JSON. Wiped after use; has no `Debug`.
#[derive(Serialize, Deserialize)]
struct SecretJson {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    password: Option<String>,
    /// Base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    external_key: Option<String>,
}

impl Drop for SecretJson {
    fn drop(&mut self) {
        self.password.zeroize();
        self.external_key.zeroize();
    }
}

/// What a record keeps, to be sealed.
#[derive(Clone, Copy)]
pub enum SecretRef<'a> {
    /// 48 digits.
    RecoveryPassword(&'a RecoveryPassword),
    /// The key of a `.BEK` file.
    ExternalKey(&'a SecretBytes<32>),
}

/// What a record keeps, opened.
pub enum Secret {
    /// 48 digits, check digits verified.
    RecoveryPassword(RecoveryPassword),
    /// The key of a `.BEK` file.
    ExternalKey(SecretBytes<32>),
}

impl SecretRef<'_> {
    /// The kind of record that keeps it.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::RecoveryPassword(_) => KIND_RECOVERY_PASSWORD,
            Self::ExternalKey(_) => KIND_EXTERNAL_KEY,
        }
    }
}

impl<'a> From<&'a RecoveryPassword> for SecretRef<'a> {
    fn from(password: &'a RecoveryPassword) -> Self {
        Self::RecoveryPassword(password)
    }
}

/// A record to be saved.
pub struct Draft<'a> {
    /// The owner's keys; must have been authenticated.
    pub statement: &'a KeyStatement,
    /// Who saves.
    pub author_id: AuthorId,
    /// As what.
    pub author_kind: AuthorKind,
    /// Signs the save.
    pub author_key: &'a SigningKey,
    /// Number of this save among the author's.
    pub seq: u64,
    /// When.
    pub created_at: Millis,
    /// The record it takes the place of.
    pub supersedes: Option<RecordId>,
    /// Titles.
    pub meta: &'a Meta,
    /// Index entry of the key identifier.
    pub index: IndexEntry,
}

/// Seals and signs a key.
///
/// # Errors
/// [`Error::Malformed`] when a key of the statement is not an X-Wing key.
pub fn seal<'a>(draft: &Draft<'_>, secret: impl Into<SecretRef<'a>>) -> Result<SaveRequest, Error> {
    let secret = secret.into();
    let header = Header {
        v: VERSION,
        suite: SUITE.to_owned(),
        account_id: draft.statement.account_id,
        record_id: RecordId::new(),
        author_id: draft.author_id,
        author_kind: draft.author_kind,
        kind: secret.kind().to_owned(),
        created_at: draft.created_at,
        generation: draft.statement.generation,
        supersedes: draft.supersedes,
        org_id: None,
    };
    let header_bytes = json(&header)?;
    let header_hash = sha256(&[&header_bytes]);
    let meta = seal_part(PART_META, &draft.statement.catalogue_pk, &header_hash, &json(draft.meta)?)?;
    let secret = seal_part(PART_SECRET, &draft.statement.vault_pk, &header_hash, &secret_json(secret)?)?;
    let (meta, secret) = (json(&meta)?, json(&secret)?);
    let save = Save {
        v: VERSION,
        account_id: header.account_id,
        record_id: header.record_id,
        author_id: header.author_id,
        seq: draft.seq,
        header_sha256: FixedBytes(header_hash),
        meta_sha256: FixedBytes(sha256(&[&meta])),
        secret_sha256: FixedBytes(sha256(&[&secret])),
        index: vec![draft.index.clone()],
    };
    Ok(SaveRequest {
        save: draft.author_key.sign(Save::KIND, &save)?,
        header: Bytes(header_bytes.to_vec()),
        meta: Bytes(meta.to_vec()),
        secret: Bytes(secret.to_vec()),
    })
}

/// Opens the titles of a record whose signature was verified.
///
/// # Errors
/// [`Error`].
pub fn open_meta(header: &[u8], meta: &[u8], catalogue_key: &BoxKey) -> Result<Meta, Error> {
    let plain = open_part(PART_META, header, meta, catalogue_key)?;
    serde_json::from_slice(plain.expose()).map_err(|_| Error::Malformed { what: "the record's metadata" })
}

/// Opens the recovery password of a record whose signature was verified.
///
/// # Errors
/// [`Error`]; [`Error::RecoveryPassword`] when what was saved does not pass its check digits.
pub fn open_recovery_password(header: &[u8], secret: &[u8], vault_key: &BoxKey) -> Result<RecoveryPassword, Error> {
    match open_secret(header, secret, vault_key)? {
        Secret::RecoveryPassword(password) => Ok(password),
        Secret::ExternalKey(_) => Err(Error::Malformed { what: "the record's secret" }),
    }
}

/// Opens whatever a record keeps whose signature was verified. Its kind must be the one that the header names.
///
/// # Errors
/// [`Error::UnknownKind`] for what a later version saved; [`Error`].
pub fn open_secret(header: &[u8], secret: &[u8], vault_key: &BoxKey) -> Result<Secret, Error> {
    let malformed = Error::Malformed { what: "the record's secret" };
    let parsed: Header =
        serde_json::from_slice(header).map_err(|_| Error::Malformed { what: "the record's header" })?;
    if ![KIND_RECOVERY_PASSWORD, KIND_EXTERNAL_KEY].contains(&parsed.kind.as_str()) {
        return Err(Error::UnknownKind);
    }
    let plain = open_part(PART_SECRET, header, secret, vault_key)?;
    let opened: SecretJson = serde_json::from_slice(plain.expose()).map_err(|_| malformed.clone())?;
    if opened.kind != parsed.kind {
        return Err(malformed);
    }
    match (opened.kind.as_str(), &opened.password, &opened.external_key) {
        (KIND_RECOVERY_PASSWORD, Some(password), _) => Ok(Secret::RecoveryPassword(RecoveryPassword::parse(password)?)),
        (KIND_EXTERNAL_KEY, _, Some(text)) => {
            let mut key = Zeroizing::new([0; 32]);
            let fits = BASE64URL_NOPAD.decode_len(text.len()) == Ok(key.len());
            if !fits || BASE64URL_NOPAD.decode_mut(text.as_bytes(), &mut *key) != Ok(key.len()) {
                return Err(malformed);
            }
            Ok(Secret::ExternalKey(SecretBytes::from_fn(|out| out.copy_from_slice(&*key))))
        }
        _ => Err(malformed),
    }
}

fn secret_json(secret: SecretRef<'_>) -> Result<Zeroizing<Vec<u8>>, Error> {
    let kind = secret.kind().to_owned();
    let (mut password, mut external_key) = (None, None);
    match secret {
        SecretRef::RecoveryPassword(digits) => {
            let text: SecretString = digits.to_text();
            password = Some(text.expose().to_owned());
        }
        SecretRef::ExternalKey(key) => external_key = Some(BASE64URL_NOPAD.encode(key.expose())),
    }
    json(&SecretJson { kind, password, external_key })
}

/// JSON in a buffer that is wiped; it is sized so that growing leaves no copy behind.
fn json<T: Serialize>(value: &T) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut out = Zeroizing::new(Vec::with_capacity(8192));
    serde_json::to_writer(&mut *out, value).map_err(|_| Error::Malformed { what: "the record" })?;
    Ok(out)
}

fn seal_part(name: &str, recipient: &[u8], header_hash: &[u8; 32], plain: &[u8]) -> Result<Part, Error> {
    let content_key = SecretBytes::<32>::random();
    let mut nonce = [0; 12];
    random_bytes(&mut nonce);
    let kid = kid(recipient);
    let (enc, ct) = hpke_box::seal(recipient, content_key.expose(), &info(name), &recipient_aad(header_hash, &kid))?;
    Ok(Part {
        recipients: vec![Recipient { kid, enc: Bytes(enc), ct: Bytes(ct) }],
        nonce: FixedBytes(nonce),
        ct: Bytes(aead::seal(&content_key, &nonce, &pad(plain), &content_aad(header_hash, name))),
    })
}

fn open_part(name: &'static str, header: &[u8], part: &[u8], key: &BoxKey) -> Result<SecretVec, Error> {
    let parsed: Header =
        serde_json::from_slice(header).map_err(|_| Error::Malformed { what: "the record's header" })?;
    if parsed.suite != SUITE {
        return Err(Error::Suite);
    }
    let part: Part = serde_json::from_slice(part).map_err(|_| Error::Malformed { what: "the record's part" })?;
    let header_hash = sha256(&[header]);
    let own = kid(key.public());
    let recipient = part
        .recipients
        .iter()
        .take(MAX_RECIPIENTS)
        .find(|recipient| recipient.kid == own)
        .ok_or(Error::NotARecipient)?;
    let aad = recipient_aad(&header_hash, &own);
    let content_key = key.open(&recipient.enc, &recipient.ct, &info(name), &aad, "the record")?;
    let content_key = SecretBytes::from_slice(content_key.expose()).ok_or(Error::Malformed { what: "the record" })?;
    let padded = aead::open(&content_key, &part.nonce.0, &part.ct, &content_aad(&header_hash, name), "the record")?;
    unpad(padded.expose()).ok_or(Error::Malformed { what: "the record's padding" })
}

fn info(name: &str) -> Vec<u8> {
    format!("vault/1/record/{name}").into_bytes()
}

fn recipient_aad(header_hash: &[u8; 32], kid: &FixedBytes<8>) -> Vec<u8> {
    [header_hash.as_slice(), &kid.0].concat()
}

fn content_aad(header_hash: &[u8; 32], name: &str) -> Vec<u8> {
    [header_hash.as_slice(), name.as_bytes()].concat()
}

/// 0x80, then zeros up to a multiple of 256.
fn pad(plain: &[u8]) -> Zeroizing<Vec<u8>> {
    let length = (plain.len() + 1).next_multiple_of(PADDING_BYTES);
    let mut padded = Zeroizing::new(Vec::with_capacity(length));
    padded.extend_from_slice(plain);
    padded.push(0x80);
    padded.resize(length, 0);
    padded
}

fn unpad(padded: &[u8]) -> Option<SecretVec> {
    let end = padded.iter().rposition(|byte| *byte != 0)?;
    (padded[end] == 0x80 && padded.len().is_multiple_of(PADDING_BYTES)).then(|| SecretVec::new(padded[..end].to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CatalogueRoot, VaultRoot, key_statement};
    use vault_protocol::{AccountId, DeviceId, verify};

    const TEXT: &str = "235818-357951-253979-013365-241120-245575-342914-591910";

    struct Sealed {
        catalogue: CatalogueRoot,
        vault: VaultRoot,
        author: SigningKey,
        request: SaveRequest,
    }

    fn sealed() -> Sealed {
        sealed_with(SecretRef::from(&RecoveryPassword::parse(TEXT).unwrap()))
    }

    fn sealed_with(secret: SecretRef<'_>) -> Sealed {
        let (catalogue, vault) = (CatalogueRoot::random(), VaultRoot::random());
        let account = AccountId::new();
        let signed = key_statement(account, (1, None), &catalogue, &vault, 1).unwrap();
        let statement = verify::key_statement(&signed, account).unwrap();
        let author = SigningKey::from_seed(&SecretBytes::random());
        let meta = Meta { key_id: "3E55195C-8811-4D9B-97B4-2B9E5F8F5384".to_owned(), ..Meta::default() };
        let draft = Draft {
            statement: &statement,
            author_id: DeviceId::new().into(),
            author_kind: AuthorKind::Device,
            author_key: &author,
            seq: 1,
            created_at: 2,
            supersedes: None,
            meta: &meta,
            index: catalogue.index_key().entry(&meta.key_id),
        };
        let request = seal(&draft, secret).unwrap();
        Sealed { catalogue, vault, author, request }
    }

    #[test]
    fn what_was_sealed_opens_for_the_owner() {
        let Sealed { catalogue, vault, author, request } = sealed();
        verify::save(&request, &author.public()).unwrap();
        let meta = open_meta(&request.header, &request.meta, &catalogue.catalogue_key()).unwrap();
        assert_eq!(meta.key_id, "3E55195C-8811-4D9B-97B4-2B9E5F8F5384");
        let password = open_recovery_password(&request.header, &request.secret, &vault.vault_key()).unwrap();
        assert_eq!(password.to_text().expose(), TEXT);
    }

    #[test]
    fn an_external_key_opens_as_what_it_is() {
        let key = SecretBytes::from_fn(|out| out.fill(0x5C));
        let Sealed { vault, request, .. } = sealed_with(SecretRef::ExternalKey(&key));
        let header: Header = serde_json::from_slice(&request.header).unwrap();
        assert_eq!(header.kind, KIND_EXTERNAL_KEY);
        match open_secret(&request.header, &request.secret, &vault.vault_key()).unwrap() {
            Secret::ExternalKey(opened) => assert!(opened == key),
            Secret::RecoveryPassword(_) => panic!("another kind"),
        }
        assert!(open_recovery_password(&request.header, &request.secret, &vault.vault_key()).is_err());
        // A kind of a later version is told as such, and another kind than the header's is no key.
        let later = String::from_utf8(request.header.0.clone()).unwrap().replace(KIND_EXTERNAL_KEY, "luks-passphrase");
        let opened = open_secret(later.as_bytes(), &request.secret, &vault.vault_key());
        assert_eq!(opened.err(), Some(Error::UnknownKind));
    }

    #[test]
    fn the_catalogue_key_does_not_open_the_secret() {
        let Sealed { catalogue, request, .. } = sealed();
        let result = open_recovery_password(&request.header, &request.secret, &catalogue.catalogue_key());
        assert_eq!(result.err(), Some(Error::NotARecipient));
    }

    #[test]
    fn parts_cannot_take_each_others_place_or_move() {
        let Sealed { catalogue, vault, author, request } = sealed();
        let other = sealed();
        // Another record's part under this header, and the parts swapped.
        assert!(open_meta(&request.header, &other.request.meta, &other.catalogue.catalogue_key()).is_err());
        assert!(open_meta(&request.header, &request.secret, &catalogue.catalogue_key()).is_err());
        assert!(open_recovery_password(&other.request.header, &request.secret, &vault.vault_key()).is_err());
        for changed in [
            SaveRequest { secret: other.request.secret.clone(), ..request.clone() },
            SaveRequest { meta: request.secret.clone(), ..request.clone() },
            SaveRequest { header: other.request.header.clone(), ..request.clone() },
            SaveRequest { save: other.request.save.clone(), ..request.clone() },
        ] {
            assert!(verify::save(&changed, &author.public()).is_err());
        }
    }

    #[test]
    fn sizes_tell_little() {
        assert_eq!(pad(&[1; 255]).len(), 256);
        assert_eq!(pad(&[1; 256]).len(), 512);
        assert!(unpad(&[0; 256]).is_none());
        assert!(unpad(&[1; 256]).is_none());
        assert!(unpad(&pad(b"{}")).is_some_and(|plain| plain.expose() == b"{}"));
    }

    #[test]
    fn an_unknown_suite_is_refused() {
        let Sealed { catalogue, request, .. } = sealed();
        let header = String::from_utf8(request.header.0).unwrap().replace(SUITE, "null");
        let result = open_meta(header.as_bytes(), &request.meta, &catalogue.catalogue_key());
        assert_eq!(result.err(), Some(Error::Suite));
    }
}
