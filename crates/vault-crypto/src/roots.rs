//! The two roots of an account and the keys that come from them.

use secret::SecretBytes;
use vault_protocol::statement::KeyStatement;
use vault_protocol::{AccountId, Bytes, FixedBytes, Millis, Signed, VERSION};

use crate::kdf::derive;
use crate::label::LabelKey;
use crate::{BoxKey, Error, IndexKey, SigningKey};

/// CR, 32 random bytes: everything a signed-in owner needs to see titles and find records.
pub struct CatalogueRoot(pub(crate) SecretBytes<32>);

/// VR, 32 random bytes: everything needed to open secrets and to speak for the account. In memory only while a step-up
/// is used.
pub struct VaultRoot(pub(crate) SecretBytes<32>);

impl CatalogueRoot {
    /// A new root.
    ///
    /// # Panics
    /// When the operating system has no randomness to give.
    #[must_use]
    pub fn random() -> Self {
        Self(SecretBytes::random())
    }

    /// The root that was kept while a session lasts.
    #[must_use]
    pub fn from_secret(secret: SecretBytes<32>) -> Self {
        Self(secret)
    }

    /// The root itself, to be kept while a session lasts. The vault root has no such way out.
    #[must_use]
    pub fn secret(&self) -> &SecretBytes<32> {
        &self.0
    }

    /// Opens the metadata of records.
    #[must_use]
    pub fn catalogue_key(&self) -> BoxKey {
        BoxKey::from_seed(&derive(self.0.expose(), &[], "catalogue-box"))
    }

    /// Makes and matches index entries.
    #[must_use]
    pub fn index_key(&self) -> IndexKey {
        IndexKey::new(derive(self.0.expose(), &[], "index"))
    }

    /// Seals the names that the owner gives to devices.
    #[must_use]
    pub fn label_key(&self) -> LabelKey {
        LabelKey::new(derive(self.0.expose(), &[], "device-label"))
    }

    /// Signs records that the owner saves directly.
    #[must_use]
    pub fn author_key(&self) -> SigningKey {
        SigningKey::from_seed(&derive(self.0.expose(), &[], "author"))
    }
}

impl VaultRoot {
    /// A new root.
    ///
    /// # Panics
    /// When the operating system has no randomness to give.
    #[must_use]
    pub fn random() -> Self {
        Self(SecretBytes::random())
    }

    /// Opens the secrets of records.
    #[must_use]
    pub fn vault_key(&self) -> BoxKey {
        BoxKey::from_seed(&derive(self.0.expose(), &[], "vault-box"))
    }

    /// Signs key statements and device certificates.
    #[must_use]
    pub fn identity_key(&self) -> SigningKey {
        SigningKey::from_seed(&derive(self.0.expose(), &[], "identity"))
    }
}

/// The signed key statement of a generation, which names the hash of the statement before it; the first one names none.
///
/// # Errors
/// [`Error::Malformed`], never for these inputs.
pub fn key_statement(
    account_id: AccountId,
    (generation, previous_hash): (u32, Option<[u8; 32]>),
    catalogue: &CatalogueRoot,
    vault: &VaultRoot,
    created_at: Millis,
) -> Result<Signed, Error> {
    let identity = vault.identity_key();
    let statement = KeyStatement {
        v: VERSION,
        account_id,
        generation,
        catalogue_pk: Bytes(catalogue.catalogue_key().public().to_vec()),
        vault_pk: Bytes(vault.vault_key().public().to_vec()),
        identity_pk: identity.public(),
        author_pk: catalogue.author_key().public(),
        previous_hash: previous_hash.map(FixedBytes),
        created_at,
    };
    identity.sign(KeyStatement::KIND, &statement)
}
