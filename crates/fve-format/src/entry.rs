//! Metadata entries: typed records packed one after the other, without alignment.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 2 | total size in bytes, these eight included |
//! | 2 | 2 | entry type: what it is for |
//! | 4 | 2 | value type: how its data is laid out |
//! | 6 | 2 | flags: 1 in stored entries, 0 in the plaintext of a wrapped one |
//! | 8 | .. | data |
//!
//! An entry keeps its data as it is; [`crate::Value`] interprets it on demand, one level at a time, so hostile nesting
//! cannot cost anything.

use std::fmt;

use zeroize::Zeroizing;

use crate::reader::Reader;
use crate::{Error, Structure};

/// Bytes before the data of an entry.
pub const ENTRY_HEADER_BYTES: usize = 8;

/// What an entry is for.
pub mod entry_type {
    /// A property of what holds it.
    pub const PROPERTY: u16 = 0x00;
    /// A key protector.
    pub const PROTECTOR: u16 = 0x02;
    /// The full volume encryption key, wrapped under the VMK.
    pub const FVEK: u16 = 0x03;
    /// The external key of a `.BEK` file.
    pub const EXTERNAL_KEY: u16 = 0x06;
    /// Description: computer, label or drive, date.
    pub const DESCRIPTION: u16 = 0x07;
    /// A second full volume encryption key, as dislocker and dissect.fve document it; never seen.
    pub const SECOND_FVEK: u16 = 0x0C;
    /// The key for automatic unlocking of other volumes, wrapped under the VMK of an operating-system volume.
    pub const AUTO_UNLOCK: u16 = 0x0B;
    /// Where the first sectors were moved to.
    pub const VIRTUALIZATION: u16 = 0x0F;
    /// In a recovery-password protector: the 16-byte recovery key, wrapped under the VMK.
    pub const RECOVERY_KEY_BACKUP: u16 = 0x12;
    /// In a recovery-password protector: the stretched key, wrapped under the VMK.
    pub const STRETCHED_KEY_BACKUP: u16 = 0x13;
    /// In a `.BEK` file: the volume it belongs to.
    pub const VOLUME_IDENTIFIER: u16 = 0x19;
}

/// How the data of an entry is laid out.
pub mod value_type {
    /// A key: type, flags, bytes.
    pub const KEY: u16 = 0x01;
    /// UTF-16LE text with its terminating zero.
    pub const UNICODE: u16 = 0x02;
    /// Salt of a stretched key, with nested entries.
    pub const STRETCH_KEY: u16 = 0x03;
    /// Marks the use of an external or intermediate key, with nested entries.
    pub const USE_KEY: u16 = 0x04;
    /// Data wrapped by AES-CCM.
    pub const AES_CCM: u16 = 0x05;
    /// An object sealed by a TPM.
    pub const TPM_BLOB: u16 = 0x06;
    /// A key protector, with nested entries.
    pub const VMK: u16 = 0x08;
    /// An external key with its identifier, with nested entries.
    pub const EXTERNAL_KEY: u16 = 0x09;
    /// Where the first sectors were moved to.
    pub const VIRTUALIZATION: u16 = 0x0F;
    /// When and how a recovery password was backed up.
    pub const BACKUP_INFO: u16 = 0x15;
    /// An identifier.
    pub const GUID: u16 = 0x17;
}

/// One metadata entry, its data uninterpreted. The data is wiped when it is dropped: it may hold a clear key.
#[derive(Clone, PartialEq, Eq)]
pub struct MetadataEntry {
    /// What it is for, see [`entry_type`].
    pub entry_type: u16,
    /// How the data is laid out, see [`value_type`].
    pub value_type: u16,
    /// 1 in stored entries; see the format description for the other bits.
    pub flags: u16,
    /// Everything after the eight header bytes.
    pub data: Zeroizing<Vec<u8>>,
}

impl MetadataEntry {
    /// An entry as it is stored on a volume (flags 1).
    #[must_use]
    pub fn stored(entry_type: u16, value_type: u16, data: Vec<u8>) -> Self {
        Self { entry_type, value_type, flags: 1, data: Zeroizing::new(data) }
    }

    /// Reads one entry that fills `bytes` exactly: the plaintext of a wrapped entry.
    ///
    /// # Errors
    /// [`Error`] when the size field does not equal the length, or is below eight.
    pub fn parse_exact(bytes: &[u8]) -> Result<Self, Error> {
        let mut entries = parse_entries(bytes, 0)?;
        match (entries.pop(), entries.is_empty()) {
            (Some(entry), true) => Ok(entry),
            _ => Err(Error::BadField {
                structure: Structure::Entry,
                field: "size",
                position: 0,
                found: bytes.len() as u64,
                expected: "exactly one entry",
            }),
        }
    }

    /// Total size in bytes.
    #[must_use]
    pub fn encoded_bytes(&self) -> usize {
        ENTRY_HEADER_BYTES + self.data.len()
    }

    /// Appends the entry.
    ///
    /// # Errors
    /// [`Error::TooLarge`] when the data exceeds what the 16-bit size field can tell.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        let size = u16::try_from(self.encoded_bytes())
            .map_err(|_| Error::TooLarge { needed: self.encoded_bytes(), available: usize::from(u16::MAX) })?;
        for field in [size, self.entry_type, self.value_type, self.flags] {
            out.extend_from_slice(&field.to_le_bytes());
        }
        out.extend_from_slice(&self.data);
        Ok(())
    }
}

impl fmt::Debug for MetadataEntry {
    /// Types and length only: the data may be a key.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "MetadataEntry {{ entry_type: {:#x}, value_type: {:#x}, flags: {:#x}, data: {} bytes }}",
            self.entry_type,
            self.value_type,
            self.flags,
            self.data.len()
        )
    }
}

/// Reads entries until `bytes` ends. `base` is added to the positions in errors.
///
/// # Errors
/// [`Error`] when an entry is shorter than its header or longer than what is left.
pub fn parse_entries(bytes: &[u8], base: usize) -> Result<Vec<MetadataEntry>, Error> {
    let mut reader = Reader::new(bytes, base, Structure::Entry);
    let mut entries = Vec::new();
    while reader.position() - base < bytes.len() {
        let start = reader.position();
        let size = usize::from(reader.u16()?);
        if size < ENTRY_HEADER_BYTES {
            return Err(reader.bad_field("size", 2, size as u64, "8 or more"));
        }
        let available = bytes.len() - (start - base);
        if size > available {
            return Err(Error::Truncated { structure: Structure::Entry, position: start, needed: size, available });
        }
        let (entry_type, value_type, flags) = (reader.u16()?, reader.u16()?, reader.u16()?);
        let data = Zeroizing::new(reader.take(size - ENTRY_HEADER_BYTES)?.to_vec());
        entries.push(MetadataEntry { entry_type, value_type, flags, data });
    }
    Ok(entries)
}

/// The bytes of several entries, one after the other.
///
/// # Errors
/// As [`MetadataEntry::encode`].
pub(crate) fn encode_entries(entries: &[MetadataEntry], out: &mut Vec<u8>) -> Result<(), Error> {
    entries.iter().try_for_each(|entry| entry.encode(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expected: Result<usize, Error>) {
        assert_eq!(parse_entries(bytes, 0x70).map(|entries| entries.len()), expected);
    }

    #[test]
    fn sizes_are_bounded() {
        check(&[], Ok(0));
        check(&[8, 0, 0, 0, 0, 0, 1, 0], Ok(1));
        check(&[9, 0, 0, 0, 0, 0, 1, 0, 5, 8, 0, 0, 0, 0, 0, 1, 0], Ok(2));
        let size = |found, expected| Error::BadField {
            structure: Structure::Entry,
            field: "size",
            position: 0x70,
            found,
            expected,
        };
        check(&[0, 0, 0, 0, 0, 0, 1, 0], Err(size(0, "8 or more")));
        check(&[7, 0, 0, 0, 0, 0, 1, 0], Err(size(7, "8 or more")));
        let truncated =
            |needed, available| Error::Truncated { structure: Structure::Entry, position: 0x70, needed, available };
        check(&[9, 0, 0, 0, 0, 0, 1, 0], Err(truncated(9, 8)));
        check(&[8], Err(truncated(2, 1)));
    }

    proptest::proptest! {
        #[test]
        fn parse_then_encode_is_identity(bytes in proptest::collection::vec(0..=255_u8, 0..64)) {
            if let Ok(entries) = parse_entries(&bytes, 0) {
                let mut out = Vec::new();
                encode_entries(&entries, &mut out).unwrap();
                proptest::prop_assert_eq!(out, bytes);
            }
        }
    }
}
