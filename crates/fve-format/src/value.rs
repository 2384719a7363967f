//! What the data of a metadata entry says, one level deep: nested entries are given as entries.

use crate::entry::{encode_entries, entry_type, value_type};
use crate::reader::Reader;
use crate::{
    Error, ExternalKeyFile, Filetime, Guid, KeyProtector, MetadataEntry, Structure, Virtualization, parse_entries,
};

/// First field of a key: what the key is used for.
pub mod key_type {
    /// The 16-byte recovery key before stretching; also the type in the stretch key of a recovery password.
    pub const RECOVERY_KEY: u16 = 0x1000;
    /// The type in the stretch key of a password.
    pub const PASSWORD: u16 = 0x1001;
    /// A clear key.
    pub const CLEAR_KEY: u16 = 0x2000;
    /// An external key.
    pub const EXTERNAL_KEY: u16 = 0x2002;
    /// The volume master key.
    pub const VMK: u16 = 0x2003;
    /// SHA-256 of the metadata block.
    pub const METADATA_HASH: u16 = 0x2005;
    /// A stretched password.
    pub const STRETCHED_PASSWORD: u16 = 0x2007;
    /// A stretched recovery password.
    pub const STRETCHED_RECOVERY_PASSWORD: u16 = 0x2008;
    /// Flag of a stretch key: PBKDF2 instead of the iterated SHA-256.
    pub const FLAG_PBKDF2: u16 = 0x40;
}

/// The data of an entry, interpreted by its value type.
#[non_exhaustive]
pub enum Value<'a> {
    /// A key in the clear.
    Key(KeyValue<'a>),
    /// Text, terminator removed; unpaired surrogates are replaced.
    Unicode(String),
    /// Salt for stretching, with nested entries.
    StretchKey(StretchKey),
    /// Use of an external or intermediate key, with nested entries.
    UseKey(UseKey),
    /// Wrapped data.
    AesCcm(AesCcm<'a>),
    /// A key protector.
    Vmk(KeyProtector),
    /// The external key of a `.BEK` file.
    ExternalKey(ExternalKeyFile),
    /// Where the first sectors were moved to.
    Virtualization(Virtualization),
    /// When and how a recovery password was backed up.
    BackupInfo(BackupInfo),
    /// An identifier.
    Guid(Guid),
    /// A value type that is not interpreted; the entry keeps its bytes.
    Other,
}

/// A key in the clear: in a clear-key protector, a `.BEK` file, or unwrapped.
pub struct KeyValue<'a> {
    /// What it is, see [`key_type`].
    pub key_type: u16,
    /// Key flags, 0 except for PINs.
    pub flags: u16,
    /// The key itself.
    pub key: &'a [u8],
}

/// Salt of a stretched key.
#[derive(Debug, Clone)]
pub struct StretchKey {
    /// Of a password or a recovery password, see [`key_type`].
    pub key_type: u16,
    /// Key flags; [`key_type::FLAG_PBKDF2`] marks another derivation.
    pub flags: u16,
    /// The salt, 16 bytes.
    pub salt: [u8; 16],
    /// The stretched key and the recovery key, wrapped under the VMK.
    pub entries: Vec<MetadataEntry>,
}

/// Use of an external or intermediate key.
#[derive(Debug, Clone)]
pub struct UseKey {
    /// See [`key_type`].
    pub key_type: u16,
    /// Key flags.
    pub flags: u16,
    /// The key, wrapped under the VMK.
    pub entries: Vec<MetadataEntry>,
}

/// Data wrapped by AES-256-CCM.
#[derive(Debug, Clone, Copy)]
pub struct AesCcm<'a> {
    /// Time stamp (8 bytes) and counter (4 bytes), used as stored.
    pub nonce: [u8; 12],
    /// The authentication tag.
    pub mac: [u8; 16],
    /// As long as the plaintext.
    pub ciphertext: &'a [u8],
}

/// When and how a recovery password was backed up (Windows 10 1903 and later).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackupInfo {
    /// First time.
    pub created: Filetime,
    /// Last time.
    pub backed_up: Filetime,
    /// 1 directory, 2 Microsoft account, 4 Azure AD, 8 file, 0x10 printed. Documented by dissect.fve.
    pub method: u16,
    /// Flags, meaning unknown.
    pub flags: u16,
}

impl MetadataEntry {
    /// Interprets the data. An unknown value type is [`Value::Other`], not an error.
    ///
    /// # Errors
    /// [`Error`] when the data is shorter than its type demands or a nested entry does not fit.
    pub fn value(&self) -> Result<Value<'_>, Error> {
        let mut reader = Reader::new(&self.data, 0, Structure::Entry);
        Ok(match self.value_type {
            value_type::KEY => {
                Value::Key(KeyValue { key_type: reader.u16()?, flags: reader.u16()?, key: reader.rest() })
            }
            value_type::UNICODE => Value::Unicode(utf16_text(reader.rest())),
            value_type::STRETCH_KEY => Value::StretchKey(StretchKey {
                key_type: reader.u16()?,
                flags: reader.u16()?,
                salt: reader.array()?,
                entries: nested(&mut reader)?,
            }),
            value_type::USE_KEY => {
                Value::UseKey(UseKey { key_type: reader.u16()?, flags: reader.u16()?, entries: nested(&mut reader)? })
            }
            value_type::AES_CCM => {
                Value::AesCcm(AesCcm { nonce: reader.array()?, mac: reader.array()?, ciphertext: reader.rest() })
            }
            value_type::VMK => Value::Vmk(KeyProtector::parse(self)?),
            value_type::EXTERNAL_KEY => Value::ExternalKey(ExternalKeyFile::from_entry(self)?),
            value_type::VIRTUALIZATION => Value::Virtualization(Virtualization::parse(&self.data)?),
            value_type::BACKUP_INFO => Value::BackupInfo(BackupInfo {
                created: reader.filetime()?,
                backed_up: reader.filetime()?,
                method: reader.u16()?,
                flags: reader.u16()?,
            }),
            value_type::GUID => Value::Guid(reader.guid()?),
            _ => Value::Other,
        })
    }

    /// A key: stored in the clear, or to be wrapped (then set `flags` to 0).
    #[must_use]
    pub fn key(entry_type: u16, key_type: u16, key: &[u8]) -> Self {
        let mut data = Vec::with_capacity(4 + key.len());
        data.extend_from_slice(&key_type.to_le_bytes());
        data.extend_from_slice(&0_u16.to_le_bytes());
        data.extend_from_slice(key);
        Self::stored(entry_type, value_type::KEY, data)
    }

    /// Text with its terminating zero.
    #[must_use]
    pub fn unicode(entry_type: u16, text: &str) -> Self {
        let data = text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
        Self::stored(entry_type, value_type::UNICODE, data)
    }

    /// Wrapped data.
    #[must_use]
    pub fn aes_ccm(entry_type: u16, nonce: &[u8; 12], mac: &[u8; 16], ciphertext: &[u8]) -> Self {
        let mut data = Vec::with_capacity(28 + ciphertext.len());
        data.extend_from_slice(nonce);
        data.extend_from_slice(mac);
        data.extend_from_slice(ciphertext);
        Self::stored(entry_type, value_type::AES_CCM, data)
    }

    /// Salt of a stretched key, with its nested entries.
    ///
    /// # Errors
    /// [`Error::TooLarge`] when the nested entries do not fit.
    pub fn stretch_key(key_type: u16, salt: &[u8; 16], entries: &[Self]) -> Result<Self, Error> {
        let mut data = Vec::new();
        data.extend_from_slice(&key_type.to_le_bytes());
        data.extend_from_slice(&0_u16.to_le_bytes());
        data.extend_from_slice(salt);
        encode_entries(entries, &mut data)?;
        Ok(Self::stored(entry_type::PROPERTY, value_type::STRETCH_KEY, data))
    }

    /// Use of an external key, with its nested entries.
    ///
    /// # Errors
    /// [`Error::TooLarge`] when the nested entries do not fit.
    pub fn use_key(key_type: u16, entries: &[Self]) -> Result<Self, Error> {
        let mut data = Vec::new();
        data.extend_from_slice(&key_type.to_le_bytes());
        data.extend_from_slice(&0_u16.to_le_bytes());
        encode_entries(entries, &mut data)?;
        Ok(Self::stored(entry_type::PROPERTY, value_type::USE_KEY, data))
    }
}

fn nested(reader: &mut Reader<'_>) -> Result<Vec<MetadataEntry>, Error> {
    let base = reader.position();
    parse_entries(reader.rest(), base)
}

/// Text up to the first zero.
fn utf16_text(bytes: &[u8]) -> String {
    let units = bytes.as_chunks::<2>().0.iter().map(|pair| u16::from_le_bytes(*pair));
    char::decode_utf16(units.take_while(|unit| *unit != 0))
        .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_keeps_its_terminator_on_disk_and_loses_it_when_read() {
        let entry = MetadataEntry::unicode(entry_type::DESCRIPTION, "PC E: 2026");
        assert_eq!(entry.data.len(), 22);
        assert!(matches!(entry.value(), Ok(Value::Unicode(text)) if text == "PC E: 2026"));
    }

    #[test]
    fn data_shorter_than_its_type_is_an_error() {
        for value_type in 0..=0x20 {
            let entry = MetadataEntry::stored(0, value_type, vec![0; 1]);
            let interpreted = matches!(entry.value(), Ok(Value::Other | Value::Unicode(_)) | Err(_));
            assert!(interpreted, "value type {value_type:#x}");
        }
    }
}
