//! `.BEK` files: a metadata header and one external-key entry.
//!
//! The entry's data: identifier (16 bytes), modified FILETIME, nested entries (name, volume identifier, the key of type 0x2002).

use zeroize::Zeroizing;

use crate::entry::{encode_entries, entry_type, value_type};
use crate::metadata_header::{METADATA_HEADER_BYTES, MetadataHeader};
use crate::reader::Reader;
use crate::value::{Value, key_type};
use crate::{EncryptionMethod, Error, Filetime, Guid, MetadataEntry, Structure, parse_entries};

/// Files are 156 or 180 bytes; anything near this is something else.
const MAX_FILE_BYTES: usize = 4096;

/// The external key with its identifiers. The key is wiped when this is dropped.
#[derive(Debug, Clone)]
pub struct ExternalKeyFile {
    /// Identifier of the protector it opens; also the file's name.
    pub identifier: Guid,
    /// The protector's time.
    pub modified: Filetime,
    /// When the file was saved.
    pub saved: Filetime,
    /// Name, volume identifier, key, in the order of the file.
    pub entries: Vec<MetadataEntry>,
    /// What else the file holds; kept, so that writing it back loses nothing.
    rest: Rest,
}

/// The parts of a file around the external key.
#[derive(Debug, Clone)]
struct Rest {
    header: MetadataHeader,
    /// The entry's own type and flags.
    entry_type: u16,
    flags: u16,
    before: Vec<MetadataEntry>,
    behind: Vec<MetadataEntry>,
}

impl Rest {
    fn header(identifier: Guid, created: Filetime) -> MetadataHeader {
        MetadataHeader {
            identifier,
            next_nonce: 1,
            method: EncryptionMethod::None,
            preferred_method: EncryptionMethod::None,
            created,
        }
    }
}

impl ExternalKeyFile {
    /// A new file as Windows 10 writes it: the name `ExternalKey`, then the key. Other implementations read this form best:
    /// dislocker 0.7.2 fails on files that name the volume, too.
    #[must_use]
    pub fn new(identifier: Guid, modified: Filetime, saved: Filetime, key: &[u8; 32]) -> Self {
        let header = Rest::header(identifier, saved);
        let rest =
            Rest { header, entry_type: entry_type::EXTERNAL_KEY, flags: 1, before: Vec::new(), behind: Vec::new() };
        let entries = vec![
            MetadataEntry::unicode(entry_type::PROPERTY, Self::NAME),
            MetadataEntry::key(entry_type::PROPERTY, key_type::EXTERNAL_KEY, key),
        ];
        Self { identifier, modified, saved, entries, rest }
    }

    /// What Windows calls such a key, in the file and in the protector.
    pub const NAME: &str = "ExternalKey";

    /// The name that Windows looks for, `{IDENTIFIER}.BEK` without the braces.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{}.BEK", self.identifier)
    }

    /// Reads a whole file.
    ///
    /// # Errors
    /// [`Error`] when it is not a `.BEK` file, or a damaged one.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let bad_size = |found: usize| Error::BadField {
            structure: Structure::ExternalKeyFile,
            field: "size",
            position: 0,
            found: found as u64,
            expected: "the length of the file",
        };
        if bytes.len() > MAX_FILE_BYTES {
            return Err(bad_size(bytes.len()));
        }
        let (header, size) = MetadataHeader::parse(bytes, 0)?;
        if size != bytes.len() {
            return Err(bad_size(size));
        }
        let mut before = parse_entries(&bytes[METADATA_HEADER_BYTES..], METADATA_HEADER_BYTES)?;
        let place = before
            .iter()
            .position(|entry| entry.value_type == value_type::EXTERNAL_KEY)
            .ok_or(Error::NoSignature { structure: Structure::ExternalKeyFile })?;
        let behind = before.split_off(place + 1);
        let entry = before.pop().ok_or(Error::NoSignature { structure: Structure::ExternalKeyFile })?;
        let mut file = Self::from_entry(&entry)?;
        file.saved = header.created;
        file.rest = Rest { header, entry_type: entry.entry_type, flags: entry.flags, before, behind };
        Ok(file)
    }

    pub(crate) fn from_entry(entry: &MetadataEntry) -> Result<Self, Error> {
        let mut reader = Reader::new(&entry.data, 0, Structure::ExternalKeyFile);
        let identifier = reader.guid()?;
        let modified = reader.filetime()?;
        let base = reader.position();
        let entries = parse_entries(reader.rest(), base)?;
        let header = Rest::header(identifier, modified);
        let rest =
            Rest { header, entry_type: entry.entry_type, flags: entry.flags, before: Vec::new(), behind: Vec::new() };
        Ok(Self { identifier, modified, saved: modified, entries, rest })
    }

    /// The 32-byte key; `None` when the file holds none.
    #[must_use]
    pub fn key(&self) -> Option<Zeroizing<[u8; 32]>> {
        self.entries.iter().find_map(|entry| match entry.value() {
            Ok(Value::Key(key)) if key.key_type == key_type::EXTERNAL_KEY => {
                <[u8; 32]>::try_from(key.key).ok().map(Zeroizing::new)
            }
            _ => None,
        })
    }

    /// The volume it belongs to, where the file says so (Windows 11).
    #[must_use]
    pub fn volume(&self) -> Option<Guid> {
        self.entries.iter().filter(|entry| entry.entry_type == entry_type::VOLUME_IDENTIFIER).find_map(|entry| {
            match entry.value() {
                Ok(Value::Guid(guid)) => Some(guid),
                _ => None,
            }
        })
    }

    /// The bytes of the file.
    ///
    /// # Errors
    /// [`Error::TooLarge`] when the entries do not fit.
    pub fn encode(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        // Room for all of it: a vector that grows leaves copies of the key behind that nobody wipes.
        let inside = self.entries.iter().map(MetadataEntry::encoded_bytes).sum::<usize>();
        let mut data = Zeroizing::new(Vec::with_capacity(24 + inside));
        data.extend_from_slice(&self.identifier.to_bytes());
        data.extend_from_slice(&self.modified.0.to_le_bytes());
        encode_entries(&self.entries, &mut data)?;
        let Rest { header, entry_type, flags, before, behind } = &self.rest;
        let entry =
            MetadataEntry { entry_type: *entry_type, value_type: value_type::EXTERNAL_KEY, flags: *flags, data };
        let around = before.iter().chain(behind).map(MetadataEntry::encoded_bytes).sum::<usize>();
        let size = METADATA_HEADER_BYTES + entry.encoded_bytes() + around;
        let mut out = Zeroizing::new(Vec::with_capacity(size));
        let size = u32::try_from(size).map_err(|_| Error::TooLarge { needed: size, available: MAX_FILE_BYTES })?;
        MetadataHeader { created: self.saved, ..*header }.encode(size, &mut out);
        encode_entries(before, &mut out)?;
        entry.encode(&mut out)?;
        encode_entries(behind, &mut out)?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    /// Made by Windows 10; the key opens a published test volume.
    const FILE: [u8; 156] = hex!(
        "9c00000001000000300000009c00000059f78143f8c4e04dbb61fc33a831bda50100000000000000f002bafe318bd6016c000600"
        "0900010059f78143f8c4e04dbb61fc33a831bda520525f30318bd6012000000002000100450078007400650072006e0061006c00"
        "4b006500790000002c0000000100010002200000e0bb38b9bc55e69e52837281655a762be4e460f95867c65186931d6998021866"
    );

    #[test]
    fn a_windows_file_reads_and_writes_back() {
        let file = ExternalKeyFile::parse(&FILE).expect("a good file");
        assert_eq!(file.identifier.to_string(), "4381F759-C4F8-4DE0-BB61-FC33A831BDA5");
        assert_eq!(file.key().expect("a key")[..2], [0xe0, 0xbb]);
        assert_eq!(file.volume(), None);
        assert_eq!(file.encode().expect("fits").as_slice(), &FILE);
    }

    #[test]
    fn a_new_file_is_what_windows_would_write() {
        let read = ExternalKeyFile::parse(&FILE).expect("a good file");
        let key = read.key().expect("a key");
        let made = ExternalKeyFile::new(read.identifier, read.modified, read.saved, &key);
        assert_eq!(made.encode().expect("fits").as_slice(), &FILE);
        assert_eq!(made.file_name(), "4381F759-C4F8-4DE0-BB61-FC33A831BDA5.BEK");
    }

    #[test]
    fn truncated_and_extended_files_are_refused() {
        for length in 0..FILE.len() {
            assert!(ExternalKeyFile::parse(&FILE[..length]).is_err(), "{length}");
        }
        let mut longer = FILE.to_vec();
        longer.push(0);
        assert!(ExternalKeyFile::parse(&longer).is_err());
    }
}
