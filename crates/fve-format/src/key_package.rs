//! Key packages: what is needed, beside a secret, to decrypt the sectors of a volume whose metadata is lost.
//!
//! ```text
//! metadata header    as in the volume: identifier, encryption method
//! entries            the key protector, then the wrapped full volume encryption key
//! ```
//!
//! Windows writes such files (`manage-bde -KeyPackage`) and puts them into directories. None was seen; the layout is inferred
//! from the descriptions, from `.BEK` files, which have the same header, and from what decryption needs. Reading takes the
//! entries in any order and keeps those that it does not know.

use crate::entry::{encode_entries, entry_type, value_type};
use crate::metadata_header::{METADATA_HEADER_BYTES, MetadataHeader};
use crate::value::Value;
use crate::{Error, KeyProtector, MetadataEntry, Structure, parse_entries};

/// A package is a part of a metadata block, so no larger than its region.
const MAX_PACKAGE_BYTES: usize = 0x1_0000;

/// A key package. Everything in it is wrapped: whoever has it needs the secret of its protector, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPackage {
    /// Volume identifier and encryption method.
    pub header: MetadataHeader,
    /// Protectors and wrapped keys, in the order of the file.
    pub entries: Vec<MetadataEntry>,
}

impl KeyPackage {
    /// Reads a whole file.
    ///
    /// # Errors
    /// [`Error`] when it is no key package, or a damaged one.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let bad_size = |found: usize| Error::BadField {
            structure: Structure::KeyPackage,
            field: "size",
            position: 0,
            found: found as u64,
            expected: "the length of the file, 65536 at most",
        };
        if bytes.len() > MAX_PACKAGE_BYTES {
            return Err(bad_size(bytes.len()));
        }
        let (header, size) = MetadataHeader::parse(bytes, 0)?;
        if size != bytes.len() {
            return Err(bad_size(size));
        }
        let entries = parse_entries(&bytes[METADATA_HEADER_BYTES..], METADATA_HEADER_BYTES)?;
        let package = Self { header, entries };
        // A `.BEK` file has the same header, and is not this.
        if package.protectors().is_empty() || package.wrapped_fveks().next().is_none() {
            return Err(Error::NoSignature { structure: Structure::KeyPackage });
        }
        Ok(package)
    }

    /// The bytes of the file.
    ///
    /// # Errors
    /// [`Error::TooLarge`] when the entries do not fit.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        let mut entries = Vec::new();
        encode_entries(&self.entries, &mut entries)?;
        let needed = METADATA_HEADER_BYTES + entries.len();
        let too_large = Error::TooLarge { needed, available: MAX_PACKAGE_BYTES };
        let size = u32::try_from(needed).ok().filter(|_| needed <= MAX_PACKAGE_BYTES).ok_or(too_large)?;
        let mut out = Vec::with_capacity(needed);
        self.header.encode(size, &mut out);
        out.extend_from_slice(&entries);
        Ok(out)
    }

    /// The key protectors in it; one in every package we write.
    #[must_use]
    pub fn protectors(&self) -> Vec<KeyProtector> {
        let protectors = self.entries.iter().filter(|entry| entry.entry_type == entry_type::PROTECTOR);
        let parsed = protectors.filter_map(|entry| match entry.value() {
            Ok(Value::Vmk(protector)) => Some(protector),
            _ => None,
        });
        parsed.collect()
    }

    /// The wrapped full volume encryption keys.
    pub fn wrapped_fveks(&self) -> impl Iterator<Item = &MetadataEntry> {
        self.entries
            .iter()
            .filter(|entry| entry.entry_type == entry_type::FVEK && entry.value_type == value_type::AES_CCM)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EncryptionMethod, Filetime, Guid, ProtectorKind};

    fn package() -> KeyPackage {
        let protector = KeyProtector {
            identifier: Guid::from_random([3; 16]),
            modified: Filetime(5),
            hints: 0,
            protection: ProtectorKind::RecoveryPassword.protection(),
            entries: vec![MetadataEntry::aes_ccm(0, &[1; 12], &[2; 16], &[3; 44])],
        };
        let header = MetadataHeader {
            identifier: Guid::from_random([9; 16]),
            next_nonce: 10,
            method: EncryptionMethod::AesXts128,
            preferred_method: EncryptionMethod::AesXts128,
            created: Filetime(4),
        };
        let fvek = MetadataEntry::aes_ccm(entry_type::FVEK, &[4; 12], &[5; 16], &[6; 44]);
        KeyPackage { header, entries: vec![protector.to_entry().unwrap(), fvek] }
    }

    #[test]
    fn what_is_encoded_is_parsed() {
        let package = package();
        let bytes = package.encode().unwrap();
        assert_eq!(KeyPackage::parse(&bytes), Ok(package.clone()));
        assert_eq!((package.protectors().len(), package.wrapped_fveks().count()), (1, 1));
    }

    #[test]
    fn parts_of_a_package_are_refused() {
        let bytes = package().encode().unwrap();
        for length in 0..bytes.len() {
            assert!(KeyPackage::parse(&bytes[..length]).is_err(), "{length}");
        }
        for left_out in 0..2 {
            let mut package = package();
            package.entries.remove(left_out);
            let refused = KeyPackage::parse(&package.encode().unwrap());
            assert_eq!(refused, Err(Error::NoSignature { structure: Structure::KeyPackage }));
        }
        let mut package = package();
        package.entries = vec![package.entries[1].clone(); 1000];
        assert!(matches!(package.encode(), Err(Error::TooLarge { .. })));
    }
}
