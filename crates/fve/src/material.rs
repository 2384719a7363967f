//! Secrets that open a volume: what a person holds, turned into an unwrapped VMK.

use secret::{RecoveryPassword, SecretBytes, SecretString};

use fve_crypto::stretch;
use fve_format::{ExternalKeyFile, Guid, KeyProtector, MetadataEntry, ProtectorKind, Value, key_type, value_type};

use crate::wrapping::{Unwrapped, unwrap_vmk};
use crate::{Error, Vmk};

/// Something that can unwrap the VMK of some protectors.
pub trait KeyMaterial {
    /// Tries one protector.
    ///
    /// `None`: this protector does not take such a secret. `Some(Err)`: it does, and the secret failed. `Some(Ok)`: the
    /// VMK, proven right by the authentication tag.
    fn unwrap_vmk(&self, protector: &KeyProtector) -> Option<Result<Vmk, UnwrapError>>;

    /// The kind of protector it is for.
    fn kind(&self) -> ProtectorKind;

    /// The protector that the secret itself names, as a `.BEK` file does.
    fn names_protector(&self) -> Option<Guid> {
        None
    }
}

/// Why a secret that applies to a protector did not open it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnwrapError {
    /// The authentication tag does not fit: another secret, or a damaged protector.
    #[error("AES-CCM tag mismatch")]
    WrongSecret,
    /// The protector does not hold what its kind needs.
    #[error("{0}")]
    BadProtector(&'static str),
    /// The protector asks for something that is not supported; it may be sound.
    #[error("{0}")]
    Unsupported(&'static str),
}

impl KeyMaterial for RecoveryPassword {
    fn unwrap_vmk(&self, protector: &KeyProtector) -> Option<Result<Vmk, UnwrapError>> {
        if protector.kind() != self.kind() {
            return None;
        }
        Some(stretched(protector, key_type::RECOVERY_KEY, |salt| stretch::recovery_password(self, salt)))
    }

    fn kind(&self) -> ProtectorKind {
        ProtectorKind::RecoveryPassword
    }
}

/// A password, as typed.
pub struct Password(pub SecretString);

impl KeyMaterial for Password {
    fn unwrap_vmk(&self, protector: &KeyProtector) -> Option<Result<Vmk, UnwrapError>> {
        if protector.kind() != self.kind() {
            return None;
        }
        Some(stretched(protector, key_type::PASSWORD, |salt| stretch::password(&self.0, salt)))
    }

    fn kind(&self) -> ProtectorKind {
        ProtectorKind::Password
    }
}

/// The key of a `.BEK` file: a startup key or a recovery key file.
pub struct ExternalKey {
    identifier: Guid,
    key: SecretBytes<32>,
}

impl ExternalKey {
    /// Takes the key out of a parsed file; `None` when it holds none.
    #[must_use]
    pub fn from_file(file: &ExternalKeyFile) -> Option<Self> {
        let key = SecretBytes::from_slice(file.key()?.as_slice())?;
        Some(Self { identifier: file.identifier, key })
    }

    /// The protector it opens.
    #[must_use]
    pub fn identifier(&self) -> Guid {
        self.identifier
    }
}

impl KeyMaterial for ExternalKey {
    fn unwrap_vmk(&self, protector: &KeyProtector) -> Option<Result<Vmk, UnwrapError>> {
        if protector.kind() != self.kind() || protector.identifier != self.identifier {
            return None;
        }
        Some(wrapped_vmk(protector).and_then(|entry| finish(unwrap_vmk(&self.key, entry))))
    }

    fn kind(&self) -> ProtectorKind {
        ProtectorKind::ExternalKey
    }

    fn names_protector(&self) -> Option<Guid> {
        Some(self.identifier)
    }
}

/// No secret at all: opens volumes whose protection is suspended, because their key lies in the clear.
pub struct ClearKey;

impl KeyMaterial for ClearKey {
    fn unwrap_vmk(&self, protector: &KeyProtector) -> Option<Result<Vmk, UnwrapError>> {
        if protector.kind() != self.kind() {
            return None;
        }
        let clear = protector.entries.iter().find_map(|entry| match entry.value() {
            Ok(Value::Key(key)) if key.key_type == key_type::CLEAR_KEY => SecretBytes::from_slice(key.key),
            _ => None,
        });
        let Some(clear) = clear else {
            return Some(Err(UnwrapError::BadProtector("it holds no clear key")));
        };
        Some(wrapped_vmk(protector).and_then(|entry| finish(unwrap_vmk(&clear, entry))))
    }

    fn kind(&self) -> ProtectorKind {
        ProtectorKind::ClearKey
    }
}

/// Finds salt and wrapped VMK, stretches, unwraps.
fn stretched(
    protector: &KeyProtector,
    salt_type: u16,
    stretch: impl FnOnce(&[u8; 16]) -> SecretBytes<32>,
) -> Result<Vmk, UnwrapError> {
    let salt = salt(protector, salt_type)?;
    let entry = wrapped_vmk(protector)?;
    finish(unwrap_vmk(&stretch(&salt), entry))
}

fn salt(protector: &KeyProtector, salt_type: u16) -> Result<[u8; 16], UnwrapError> {
    let salt = protector.entries.iter().find_map(|entry| match entry.value() {
        Ok(Value::StretchKey(salt)) if salt.key_type == salt_type => Some(salt),
        _ => None,
    });
    let salt = salt.ok_or(UnwrapError::BadProtector("it holds no salt"))?;
    if salt.flags & key_type::FLAG_PBKDF2 != 0 {
        return Err(UnwrapError::Unsupported("its key is derived by PBKDF2"));
    }
    Ok(salt.salt)
}

/// The salt of a recovery-password protector that can be used; `None` for every other.
pub(crate) fn recovery_salt(protector: &KeyProtector) -> Option<[u8; 16]> {
    let usable = protector.kind() == ProtectorKind::RecoveryPassword && wrapped_vmk(protector).is_ok();
    salt(protector, key_type::RECOVERY_KEY).ok().filter(|_| usable)
}

/// Whether a recovery password that was stretched to `key` opens the protector.
pub(crate) fn opens_with_stretched(protector: &KeyProtector, key: &SecretBytes<32>) -> bool {
    wrapped_vmk(protector).is_ok_and(|entry| finish(unwrap_vmk(key, entry)).is_ok())
}

/// The protector's own AES-CCM entry, which holds the VMK; backups are nested deeper.
fn wrapped_vmk(protector: &KeyProtector) -> Result<&MetadataEntry, UnwrapError> {
    protector
        .entries
        .iter()
        .find(|entry| entry.value_type == value_type::AES_CCM)
        .ok_or(UnwrapError::BadProtector("it holds no wrapped volume master key"))
}

fn finish(unwrapped: Unwrapped) -> Result<Vmk, UnwrapError> {
    match unwrapped {
        Unwrapped::Key(key) => SecretBytes::from_slice(key.expose())
            .map(Vmk)
            .ok_or(UnwrapError::BadProtector("its volume master key is not 32 bytes long")),
        Unwrapped::WrongKey => Err(UnwrapError::WrongSecret),
        Unwrapped::Malformed(reason) => Err(UnwrapError::BadProtector(reason)),
    }
}

/// Tries `material` on every protector of the volume.
pub(crate) fn try_protectors(protectors: &[KeyProtector], material: &dyn KeyMaterial) -> Result<(Vmk, Guid), Error> {
    let mut tried = Vec::new();
    let (mut damaged, mut unsupported) = (None, None);
    for protector in protectors {
        match material.unwrap_vmk(protector) {
            None => {}
            Some(Ok(vmk)) => return Ok((vmk, protector.identifier)),
            Some(Err(UnwrapError::BadProtector(reason))) => damaged = Some((protector.identifier, reason)),
            Some(Err(UnwrapError::Unsupported(reason))) => unsupported = Some((protector.identifier, reason)),
            Some(Err(UnwrapError::WrongSecret)) => tried.push(protector.identifier),
        }
    }
    if !tried.is_empty() {
        return Err(Error::WrongSecret { kind: material.kind(), tried });
    }
    if let Some((identifier, reason)) = unsupported {
        return Err(Error::UnsupportedProtector { identifier, reason });
    }
    if let Some((identifier, reason)) = damaged {
        return Err(Error::BadProtector { identifier, reason });
    }
    let wanted = material.names_protector();
    let named = protectors.iter().find(|protector| Some(protector.identifier) == wanted);
    Err(Error::NoSuchProtector { kind: material.kind(), wanted, found: named.map(KeyProtector::kind) })
}
