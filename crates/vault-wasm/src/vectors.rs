//! One of everything that an account keeps, sealed by one side to be read by the other: the same functions compiled for browsers and for
//! this machine. For tests; the pages are built without it.

use data_encoding::BASE64;
use secret::{RecoveryPassword, SecretBytes, SecretString, SecretVec, random_bytes};
use serde::{Deserialize, Serialize};
use vault_crypto::kit::KitCode;
use vault_crypto::record::{Draft, Meta, open_meta, open_recovery_password, seal};
use vault_crypto::slot::{self, Binding};
use vault_crypto::{CatalogueRoot, SigningKey, VaultRoot, key_statement};
use vault_protocol::messages::{CatalogueSlot, SlotUpload, VaultSlot};
use vault_protocol::record::{AuthorKind, Receipt, SaveRequest};
use vault_protocol::statement::statement_hash;
use vault_protocol::{AccountId, FixedBytes, PublicKey, Signed, VERSION, verify};

/// A moment that nothing depends on.
const AT: i64 = 1_764_000_000_000;
const KEY_ID: &str = "5F2B0A11-0000-4000-8000-0123456789AB";

/// Sealed things of an account that nobody has, and what opens them.
#[derive(Serialize, Deserialize)]
pub struct Vectors {
    account_id: AccountId,
    statement: Signed,
    /// What a password gives once it is proven.
    export_key: String,
    kit_code: String,
    kit_proof_hash: FixedBytes<32>,
    password_slot: SlotUpload,
    kit_slot: SlotUpload,
    record: SaveRequest,
    receipt_pk: PublicKey,
    receipt: Signed,
    /// What is in the record.
    digits: String,
    label: String,
}

/// What was read.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Read {
    /// The key of the record.
    pub digits: String,
    /// Its title.
    pub label: String,
    /// The entry that the receipt names.
    pub audit_seq: u64,
    /// Whether kit and password open the same roots, and these are the statement's.
    pub same_roots: bool,
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Makes new ones.
///
/// # Errors
/// A sentence: something could not be sealed.
pub fn make() -> Result<Vectors, String> {
    let account_id = AccountId::new();
    let (catalogue, vault) = (CatalogueRoot::random(), VaultRoot::random());
    let statement = key_statement(account_id, (1, None), &catalogue, &vault, AT).map_err(text)?;
    let binding = Binding { account_id, generation: 1, statement_hash: statement_hash(&statement) };
    let mut export_key = vec![0; 64];
    random_bytes(&mut export_key);
    let kit = KitCode::random();
    let password = RecoveryPassword::random();
    let label = "Laufwerk C: \u{1f511}".to_owned();
    let meta = Meta { key_id: KEY_ID.to_owned(), label: label.clone(), ..Meta::default() };
    let keys = verify::key_statement(&statement, account_id).map_err(text)?;
    let draft = Draft {
        statement: &keys,
        author_id: account_id.into(),
        author_kind: AuthorKind::Account,
        author_key: &catalogue.author_key(),
        seq: 7,
        created_at: AT,
        supersedes: None,
        meta: &meta,
        index: catalogue.index_key().entry(KEY_ID),
    };
    let record = seal(&draft, &password).map_err(text)?;
    let (receipt_pk, receipt) = receipt(account_id, &record)?;
    Ok(Vectors {
        account_id,
        password_slot: slot::make(slot::PASSWORD, &SecretVec::new(export_key.clone()), &catalogue, &vault, &binding),
        kit_slot: slot::make(slot::KIT, &kit.key_material(), &catalogue, &vault, &binding),
        export_key: BASE64.encode(&export_key),
        kit_proof_hash: kit.proof_hash(),
        kit_code: kit.to_text().expose().to_owned(),
        statement,
        record,
        receipt_pk,
        receipt,
        digits: password.to_text().expose().to_owned(),
        label,
    })
}

fn receipt(account_id: AccountId, record: &SaveRequest) -> Result<(PublicKey, Signed), String> {
    let save: vault_protocol::record::Save = serde_json::from_slice(&record.save.payload).map_err(text)?;
    let key = SigningKey::from_seed(&SecretBytes::random());
    let receipt = Receipt {
        v: VERSION,
        record_id: save.record_id,
        body_sha256: FixedBytes(record.save.payload_sha256()),
        account_id,
        audit_seq: 12,
        audit_hash: FixedBytes([3; 32]),
        committed_at: AT,
        log_origin: "https://keys.example.org".to_owned(),
    };
    Ok((key.public(), key.sign(Receipt::KIND, &receipt).map_err(text)?))
}

/// Reads what the other side made, as a client would: nothing is used before it is verified.
///
/// # Errors
/// A sentence: a part was changed, or is not read alike by both sides.
pub fn read(vectors: &Vectors) -> Result<Read, String> {
    let account = vectors.account_id;
    let statement = verify::key_statement(&vectors.statement, account).map_err(text)?;
    let statement_hash = statement_hash(&vectors.statement);
    let binding = Binding { account_id: account, generation: statement.generation, statement_hash };
    let export_key = SecretVec::new(BASE64.decode(vectors.export_key.as_bytes()).map_err(text)?);
    let kit = KitCode::parse(&vectors.kit_code).map_err(text)?;
    let by_password = open(&vectors.password_slot, &export_key, &binding)?;
    let by_kit = open(&vectors.kit_slot, &kit.key_material(), &binding)?;
    let (catalogue, vault) = &by_password;
    let same_roots = catalogue.secret().expose() == by_kit.0.secret().expose()
        && vault.identity_key().public() == by_kit.1.identity_key().public()
        && vault.identity_key().public() == statement.identity_pk
        && kit.proof_hash() == vectors.kit_proof_hash;

    let request = &vectors.record;
    let save = verify::save(request, &statement.author_pk).map_err(text)?;
    let meta = open_meta(&request.header, &request.meta, &catalogue.catalogue_key()).map_err(text)?;
    if save.index != [catalogue.index_key().entry(&meta.key_id)] {
        return Err("another blind index".to_owned());
    }
    let digits: SecretString =
        open_recovery_password(&request.header, &request.secret, &vault.vault_key()).map_err(text)?.to_text();
    let receipt = verify::receipt(&vectors.receipt, &vectors.receipt_pk).map_err(text)?;
    if receipt.body_sha256.0 != request.save.payload_sha256() || receipt.record_id != save.record_id {
        return Err("the receipt is for something else".to_owned());
    }
    Ok(Read { digits: digits.expose().to_owned(), label: meta.label.clone(), audit_seq: receipt.audit_seq, same_roots })
}

fn open(slot: &SlotUpload, material: &SecretVec, binding: &Binding) -> Result<(CatalogueRoot, VaultRoot), String> {
    let SlotUpload { slot_id, kind, salt, wrap_c, wrap_v, credential_id } = slot.clone();
    let catalogue = CatalogueSlot { slot_id, kind: kind.clone(), salt, wrap_c, credential_id: credential_id.clone() };
    let vault = VaultSlot { slot_id, kind, salt, wrap_v, credential_id };
    let catalogue = slot::open_catalogue(&catalogue, material, binding).map_err(text)?;
    Ok((catalogue, slot::open_vault(&vault, material, binding).map_err(text)?))
}

/// The same for Node.js, by JSON. Errors: the sentence of [`make`] or [`read`].
#[cfg(target_arch = "wasm32")]
pub mod node {
    use wasm_bindgen::prelude::*;

    /// New ones, as JSON.
    #[wasm_bindgen]
    pub fn make_vectors() -> Result<String, String> {
        serde_json::to_string(&super::make()?).map_err(super::text)
    }

    /// What is in these, as JSON.
    #[wasm_bindgen]
    pub fn read_vectors(json: &str) -> Result<String, String> {
        let vectors = serde_json::from_str(json).map_err(super::text)?;
        serde_json::to_string(&super::read(&vectors)?).map_err(super::text)
    }
}
