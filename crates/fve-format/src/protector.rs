//! Key protectors: the VMK wrapped one way.
//!
//! Data after the entry header: identifier (16 bytes), modified FILETIME, hints u16, protection u16, nested entries.

use std::fmt;

use crate::entry::{encode_entries, entry_type, value_type};
use crate::reader::Reader;
use crate::{Error, Filetime, Guid, MetadataEntry, Structure, parse_entries};

/// A key protector.
#[derive(Debug, Clone)]
pub struct KeyProtector {
    /// Its identifier; the first eight characters are the "key ID" on a locked PC's screen.
    pub identifier: Guid,
    /// When it was made or changed.
    pub modified: Filetime,
    /// Hints, 0 in every volume seen.
    pub hints: u16,
    /// What protects it; the high byte is a set of bits.
    pub protection: u16,
    /// The wrapped VMK, salts, names and backups.
    pub entries: Vec<MetadataEntry>,
}

/// What a key protector asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProtectorKind {
    /// Nothing: the key lies in the clear. Protection is suspended or was never activated.
    ClearKey,
    /// The TPM of one PC.
    Tpm,
    /// A `.BEK` file (startup key, recovery key file, or automatic unlocking).
    ExternalKey,
    /// TPM and startup key.
    TpmAndStartupKey,
    /// TPM and PIN.
    TpmAndPin,
    /// TPM, PIN and startup key.
    TpmPinAndStartupKey,
    /// The 48 digits.
    RecoveryPassword,
    /// A certificate or smart card.
    PublicKey,
    /// A password.
    Password,
    /// Any other combination, kept.
    Unknown(u16),
}

impl KeyProtector {
    pub(crate) fn parse(entry: &MetadataEntry) -> Result<Self, Error> {
        let mut reader = Reader::new(&entry.data, 0, Structure::Entry);
        let identifier = reader.guid()?;
        let modified = reader.filetime()?;
        let (hints, protection) = (reader.u16()?, reader.u16()?);
        let base = reader.position();
        let entries = parse_entries(reader.rest(), base)?;
        Ok(Self { identifier, modified, hints, protection, entries })
    }

    /// What it asks for.
    #[must_use]
    pub fn kind(&self) -> ProtectorKind {
        ProtectorKind::from_protection(self.protection)
    }

    /// The entry that is stored in the metadata block.
    ///
    /// # Errors
    /// [`Error::TooLarge`] when the nested entries do not fit.
    pub fn to_entry(&self) -> Result<MetadataEntry, Error> {
        let mut data = Vec::new();
        data.extend_from_slice(&self.identifier.to_bytes());
        data.extend_from_slice(&self.modified.0.to_le_bytes());
        data.extend_from_slice(&self.hints.to_le_bytes());
        data.extend_from_slice(&self.protection.to_le_bytes());
        encode_entries(&self.entries, &mut data)?;
        Ok(MetadataEntry::stored(entry_type::PROTECTOR, value_type::VMK, data))
    }
}

impl ProtectorKind {
    /// From the protection field.
    #[must_use]
    pub fn from_protection(protection: u16) -> Self {
        match protection & 0xFF00 {
            0x0000 => Self::ClearKey,
            0x0100 => Self::Tpm,
            0x0200 => Self::ExternalKey,
            0x0300 => Self::TpmAndStartupKey,
            0x0500 => Self::TpmAndPin,
            0x0700 => Self::TpmPinAndStartupKey,
            0x0800 => Self::RecoveryPassword,
            0x1000 => Self::PublicKey,
            0x2000 => Self::Password,
            _ => Self::Unknown(protection),
        }
    }

    /// The protection field of a new protector of this kind.
    #[must_use]
    pub fn protection(self) -> u16 {
        match self {
            Self::ClearKey => 0x0000,
            Self::Tpm => 0x0100,
            Self::ExternalKey => 0x0200,
            Self::TpmAndStartupKey => 0x0300,
            Self::TpmAndPin => 0x0500,
            Self::TpmPinAndStartupKey => 0x0700,
            Self::RecoveryPassword => 0x0800,
            Self::PublicKey => 0x1000,
            Self::Password => 0x2000,
            Self::Unknown(protection) => protection,
        }
    }
}

impl fmt::Display for ProtectorKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::ClearKey => "clear key",
            Self::Tpm => "TPM",
            Self::ExternalKey => "external key",
            Self::TpmAndStartupKey => "TPM and startup key",
            Self::TpmAndPin => "TPM and PIN",
            Self::TpmPinAndStartupKey => "TPM, PIN and startup key",
            Self::RecoveryPassword => "recovery password",
            Self::PublicKey => "smart card or certificate",
            Self::Password => "password",
            Self::Unknown(protection) => return write!(formatter, "unknown ({protection:#06x})"),
        })
    }
}
