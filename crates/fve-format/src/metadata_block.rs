//! A metadata block: block header, metadata header, entries, padding, validation record, zeros to the end of the region.

use crate::block_header::{BLOCK_HEADER_BYTES, BlockHeader};
use crate::entry::encode_entries;
use crate::metadata_header::{METADATA_HEADER_BYTES, MetadataHeader};
use crate::validation::VALIDATION_BYTES;
use crate::value::Value;
use crate::{Error, Guid, KeyProtector, MetadataEntry, Structure, Validation, Virtualization, parse_entries};
use crate::{entry_type, value_type};

/// Length of a metadata region in bytes, version 2.
pub const METADATA_REGION_BYTES: usize = 0x1_0000;

/// One copy of the metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataBlock {
    /// State and places.
    pub header: BlockHeader,
    /// Volume identifier, method, nonce counter.
    pub metadata: MetadataHeader,
    /// Everything else, in the order in which it is stored.
    pub entries: Vec<MetadataEntry>,
    /// Bytes between the last entry and the end of the block; zeros in every volume seen.
    padding: Vec<u8>,
    /// CRC-32 and hash.
    pub validation: Validation,
    /// Bytes between the validation record and the end of what was parsed; zeros in every volume seen.
    tail: Vec<u8>,
}

impl MetadataBlock {
    /// Reads a region and checks its CRC-32. `region` starts at the block and ends where the region does.
    ///
    /// # Errors
    /// [`Error::NoSignature`] where there is no block at all, [`Error::Checksum`] where it is damaged, and what else is
    /// not as it must be. A block that parses may still have been tampered with: the wrapped hash tells.
    pub fn parse(region: &[u8]) -> Result<Self, Error> {
        let (header, block_bytes) = BlockHeader::parse(region)?;
        let smallest = BLOCK_HEADER_BYTES + METADATA_HEADER_BYTES;
        if block_bytes < smallest || block_bytes + VALIDATION_BYTES > region.len() {
            return Err(Error::BadField {
                structure: Structure::BlockHeader,
                field: "block length",
                position: 8,
                found: block_bytes as u64,
                expected: "112 or more, with room for the validation record behind it",
            });
        }
        let (block, behind) = region.split_at(block_bytes);
        // The checksum first: a damaged copy shall be called damaged, whatever its fields say.
        let validation = Validation::parse(behind, block_bytes)?;
        let found = crc32fast::hash(block);
        if found != validation.crc32 {
            return Err(Error::Checksum { found, stored: validation.crc32 });
        }
        let (metadata, size) = MetadataHeader::parse(&block[BLOCK_HEADER_BYTES..], BLOCK_HEADER_BYTES)?;
        let entries_at = BLOCK_HEADER_BYTES + METADATA_HEADER_BYTES;
        let end = BLOCK_HEADER_BYTES + size;
        let entries = parse_entries(&block[entries_at..end], entries_at)?;
        let tail = behind[8 + validation.hash.encoded_bytes()..].to_vec();
        Ok(Self { header, metadata, entries, padding: block[end..].to_vec(), validation, tail })
    }

    /// A new block; call [`Self::seal`] once everything in it is final.
    #[must_use]
    pub fn new(header: BlockHeader, metadata: MetadataHeader, entries: Vec<MetadataEntry>) -> Self {
        let hash = MetadataEntry::stored(0, value_type::AES_CCM, vec![0; 72]);
        let validation = Validation { size: 0, version: 2, crc32: 0, hash };
        Self { header, metadata, entries, padding: Vec::new(), validation, tail: Vec::new() }
    }

    /// Makes the validation record fit the block. `wrap_hash` gets the bytes of the block, whose SHA-256 it wraps under
    /// the VMK, with a nonce that [`MetadataHeader::next_nonce`] already counts.
    ///
    /// # Errors
    /// [`Error::TooLarge`] when the block does not fit into its region.
    pub fn seal(&mut self, wrap_hash: impl FnOnce(&[u8]) -> MetadataEntry) -> Result<(), Error> {
        self.padding.clear();
        self.tail.clear();
        let block = self.encode_block()?;
        let behind = METADATA_REGION_BYTES.saturating_sub(block.len());
        if behind < VALIDATION_BYTES {
            let available = METADATA_REGION_BYTES - VALIDATION_BYTES;
            return Err(Error::TooLarge { needed: block.len(), available });
        }
        self.validation = Validation {
            size: u16::try_from(behind).unwrap_or(u16::MAX),
            version: 2,
            crc32: crc32fast::hash(&block),
            hash: wrap_hash(&block),
        };
        self.tail = vec![0; behind - 8 - self.validation.hash.encoded_bytes()];
        Ok(())
    }

    /// The bytes that the CRC-32 and the hash cover: signature through padding.
    ///
    /// # Errors
    /// [`Error::TooLarge`] when the entries do not fit.
    pub fn encode_block(&self) -> Result<Vec<u8>, Error> {
        let mut entries = Vec::new();
        encode_entries(&self.entries, &mut entries)?;
        let size = METADATA_HEADER_BYTES + entries.len();
        let unpadded = BLOCK_HEADER_BYTES + size;
        let block_bytes = if self.padding.is_empty() && self.header.version == 2 {
            unpadded.next_multiple_of(16)
        } else {
            unpadded + self.padding.len()
        };
        let size_field = if self.header.version == 1 { block_bytes } else { block_bytes / 16 };
        let too_large = || Error::TooLarge { needed: block_bytes, available: METADATA_REGION_BYTES };
        let mut out = Vec::with_capacity(block_bytes);
        self.header.encode(u16::try_from(size_field).map_err(|_| too_large())?, &mut out);
        self.metadata.encode(u32::try_from(size).map_err(|_| too_large())?, &mut out);
        out.extend_from_slice(&entries);
        out.extend_from_slice(&self.padding);
        out.resize(block_bytes, 0);
        Ok(out)
    }

    /// The whole region: what was parsed, byte for byte, or what [`Self::seal`] finished.
    ///
    /// # Errors
    /// [`Error::TooLarge`] when the entries do not fit.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        let mut out = self.encode_block()?;
        self.validation.encode(&mut out)?;
        out.extend_from_slice(&self.tail);
        Ok(out)
    }

    /// The key protectors in the order in which they are stored. Those that cannot be interpreted are left out; they
    /// stay among the entries.
    #[must_use]
    pub fn protectors(&self) -> Vec<KeyProtector> {
        self.entries
            .iter()
            .filter(|entry| entry.entry_type == entry_type::PROTECTOR)
            .filter_map(|entry| match entry.value() {
                Ok(Value::Vmk(protector)) => Some(protector),
                _ => None,
            })
            .collect()
    }

    /// The protector with this identifier.
    #[must_use]
    pub fn protector(&self, identifier: Guid) -> Option<KeyProtector> {
        self.protectors().into_iter().find(|protector| protector.identifier == identifier)
    }

    /// Where the first sectors were moved to, if an entry says so.
    #[must_use]
    pub fn virtualization(&self) -> Option<Virtualization> {
        self.entries.iter().find_map(|entry| match entry.value() {
            Ok(Value::Virtualization(virtualization)) => Some(virtualization),
            _ => None,
        })
    }

    /// The description: computer, label or drive, date.
    #[must_use]
    pub fn description(&self) -> Option<String> {
        self.entries.iter().filter(|entry| entry.entry_type == entry_type::DESCRIPTION).find_map(|entry| {
            match entry.value() {
                Ok(Value::Unicode(text)) => Some(text),
                _ => None,
            }
        })
    }

    /// The wrapped full volume encryption keys, in the order in which they are stored. One in every volume seen; others are
    /// documented (dislocker, dissect.fve), so the one that opens counts.
    pub fn wrapped_fveks(&self) -> impl Iterator<Item = &MetadataEntry> {
        let is_fvek = |entry: &&MetadataEntry| {
            matches!(entry.entry_type, entry_type::FVEK | entry_type::SECOND_FVEK)
                && entry.value_type == value_type::AES_CCM
        };
        self.entries.iter().filter(is_fvek)
    }

    /// Protectors that cannot be interpreted: their identifier, where that much is there.
    #[must_use]
    pub fn unreadable_protectors(&self) -> Vec<Option<Guid>> {
        self.entries
            .iter()
            .filter(|entry| entry.entry_type == entry_type::PROTECTOR && !matches!(entry.value(), Ok(Value::Vmk(_))))
            .map(|entry| entry.data.first_chunk().copied().map(Guid::from_bytes))
            .collect()
    }
}
