//! Slots: both roots, wrapped under something the owner has or knows.
//!
//! `wrap = nonce ‖ AES-256-GCM(HKDF(ikm, salt, "vault/1/slot/cat" or ".../vault"), root)`; the associated data names slot,
//! account, kind, generation and the hash of that generation's key statement. So opening a slot also authenticates every
//! public key of the account: only who knows the slot's secret can have made the wrap.

use secret::{SecretBytes, SecretVec, random_bytes};
use vault_protocol::messages::{CatalogueSlot, SlotUpload, VaultSlot};
use vault_protocol::{AccountId, Bytes, FixedBytes, SlotId};

use crate::kdf::derive;
use crate::{CatalogueRoot, Error, VaultRoot, aead};

/// Kind of the slot that the password opens.
pub const PASSWORD: &str = "password";
/// Kind of the slot that a passkey opens, by the output of its `prf` extension.
pub const PASSKEY: &str = "passkey";
/// Kind of the slot that the printed kit opens.
pub const KIT: &str = "kit";

const NONCE_BYTES: usize = 12;

/// What a wrap is bound to.
#[derive(Debug, Clone, Copy)]
pub struct Binding {
    /// Whose slot.
    pub account_id: AccountId,
    /// Generation of the roots.
    pub generation: u32,
    /// Hash of that generation's key statement.
    pub statement_hash: [u8; 32],
}

impl Binding {
    fn aad(&self, slot_id: SlotId, kind: &str) -> Vec<u8> {
        let mut aad = Vec::with_capacity(80 + kind.len());
        aad.extend_from_slice(slot_id.as_bytes());
        aad.extend_from_slice(self.account_id.as_bytes());
        // Kinds are short words; the length keeps them apart from what follows.
        aad.push(u8::try_from(kind.len()).unwrap_or(u8::MAX));
        aad.extend_from_slice(kind.as_bytes());
        aad.extend_from_slice(&self.generation.to_le_bytes());
        aad.extend_from_slice(&self.statement_hash);
        aad
    }
}

/// Makes a slot for `key_material`: an OPAQUE export key or the bits of a kit code.
#[must_use]
pub fn make(
    kind: &str,
    key_material: &SecretVec,
    catalogue: &CatalogueRoot,
    vault: &VaultRoot,
    binding: &Binding,
) -> SlotUpload {
    let slot_id = SlotId::new();
    let mut salt = [0; 16];
    random_bytes(&mut salt);
    let aad = binding.aad(slot_id, kind);
    let wrap = |purpose, root: &SecretBytes<32>| {
        let mut nonce = [0; NONCE_BYTES];
        random_bytes(&mut nonce);
        let key = derive(key_material.expose(), &salt, purpose);
        let mut wrap = nonce.to_vec();
        wrap.extend_from_slice(&aead::seal(&key, &nonce, root.expose(), &aad));
        Bytes(wrap)
    };
    SlotUpload {
        slot_id,
        kind: kind.to_owned(),
        wrap_c: wrap("slot/cat", &catalogue.0),
        wrap_v: wrap("slot/vault", &vault.0),
        salt: FixedBytes(salt),
        credential_id: None,
    }
}

/// Makes the slot of a passkey from what its `prf` extension gives for the service's one input. The salt of the slot keeps slots
/// apart that the same passkey opens one after the other.
#[must_use]
pub fn make_for_passkey(
    prf: &SecretBytes<32>,
    credential_id: Bytes,
    catalogue: &CatalogueRoot,
    vault: &VaultRoot,
    binding: &Binding,
) -> SlotUpload {
    let slot = make(PASSKEY, &SecretVec::new(prf.expose().to_vec()), catalogue, vault, binding);
    SlotUpload { credential_id: Some(credential_id), ..slot }
}

/// Opens the catalogue root; proves that the statement in `binding` is the account's.
///
/// # Errors
/// [`Error::Open`] for another secret, another statement, or a changed slot.
pub fn open_catalogue(
    slot: &CatalogueSlot,
    key_material: &SecretVec,
    binding: &Binding,
) -> Result<CatalogueRoot, Error> {
    let key = derive(key_material.expose(), &slot.salt.0, "slot/cat");
    open(&key, &slot.wrap_c, &binding.aad(slot.slot_id, &slot.kind), "the catalogue slot").map(CatalogueRoot)
}

/// Opens the vault root.
///
/// # Errors
/// As [`open_catalogue`].
pub fn open_vault(slot: &VaultSlot, key_material: &SecretVec, binding: &Binding) -> Result<VaultRoot, Error> {
    let key = derive(key_material.expose(), &slot.salt.0, "slot/vault");
    open(&key, &slot.wrap_v, &binding.aad(slot.slot_id, &slot.kind), "the vault slot").map(VaultRoot)
}

fn open(key: &SecretBytes<32>, wrap: &[u8], aad: &[u8], what: &'static str) -> Result<SecretBytes<32>, Error> {
    let (nonce, ciphertext) = wrap.split_first_chunk::<NONCE_BYTES>().ok_or(Error::Malformed { what })?;
    let root = aead::open(key, nonce, ciphertext, aad, what)?;
    SecretBytes::from_slice(root.expose()).ok_or(Error::Malformed { what })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binding() -> Binding {
        Binding { account_id: AccountId::from_bytes([1; 16]), generation: 1, statement_hash: [2; 32] }
    }

    fn vault_slot(slot: &SlotUpload) -> VaultSlot {
        let SlotUpload { slot_id, kind, salt, wrap_v, credential_id, .. } = slot.clone();
        VaultSlot { slot_id, kind, salt, wrap_v, credential_id }
    }

    #[test]
    fn a_slot_opens_with_its_secret_and_its_binding_only() {
        let (catalogue, vault) = (CatalogueRoot::random(), VaultRoot::random());
        let material = SecretVec::random(64);
        let slot = make(PASSWORD, &material, &catalogue, &vault, &binding());
        let opened = open_vault(&vault_slot(&slot), &material, &binding()).map(|root| root.0 == vault.0);
        assert_eq!(opened, Ok(true));

        let refused = |slot: VaultSlot, material: &SecretVec, binding: &Binding| {
            assert!(open_vault(&slot, material, binding).is_err());
        };
        refused(vault_slot(&slot), &SecretVec::random(64), &binding());
        refused(vault_slot(&slot), &material, &Binding { generation: 2, ..binding() });
        refused(vault_slot(&slot), &material, &Binding { statement_hash: [3; 32], ..binding() });
        refused(vault_slot(&slot), &material, &Binding { account_id: AccountId::from_bytes([9; 16]), ..binding() });
        refused(VaultSlot { kind: KIT.to_owned(), ..vault_slot(&slot) }, &material, &binding());
        refused(VaultSlot { slot_id: SlotId::new(), ..vault_slot(&slot) }, &material, &binding());
        // The two wraps cannot take each other's place.
        refused(VaultSlot { wrap_v: slot.wrap_c.clone(), ..vault_slot(&slot) }, &material, &binding());
        refused(VaultSlot { wrap_v: Bytes(vec![0; 5]), ..vault_slot(&slot) }, &material, &binding());
    }
}
