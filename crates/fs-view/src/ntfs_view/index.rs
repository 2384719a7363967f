//! Nodes of an NTFS directory index.
//!
//! Parsed here, not by the library: its walk over the tree neither ends on a cycle nor goes on behind a damaged node,
//! and it finds the nodes wrongly where clusters are larger than nodes.

use crate::Error;

/// Entries of one node, the end entry included.
pub(super) struct Node {
    pub(super) entries: Vec<IndexEntry>,
}

/// A name in a directory, or the end of a node.
pub(super) struct IndexEntry {
    /// `None` for the end entry.
    pub(super) key: Option<Key>,
    /// The node with the names that sort before this one.
    pub(super) child: Option<u64>,
}

/// A name and the record behind it.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) record: u64,
    pub(super) sequence: u16,
    pub(super) reparse: bool,
    /// An 8.3 alias of a long name that is listed itself.
    pub(super) alias: bool,
    pub(super) name: Vec<u16>,
}

/// Length of the index-root header before its node header.
const ROOT_HEADER: usize = 16;
/// Length of the record header before the node header.
const RECORD_HEADER: usize = 24;
/// Length of the fixed part of a file-name key.
const KEY_HEADER: usize = 66;

fn damaged() -> Error {
    Error::damaged("a directory index has lengths that lead outside of it")
}

fn bytes_at<const N: usize>(bytes: &[u8], offset: usize) -> Result<[u8; N], Error> {
    bytes.get(offset..).and_then(|rest| rest.first_chunk()).copied().ok_or_else(damaged)
}

fn u16_at(bytes: &[u8], offset: usize) -> Result<u16, Error> {
    Ok(u16::from_le_bytes(bytes_at(bytes, offset)?))
}

fn index_at(bytes: &[u8], offset: usize) -> Result<usize, Error> {
    usize::try_from(u32::from_le_bytes(bytes_at(bytes, offset)?)).map_err(|_| damaged())
}

impl Node {
    /// Parses the value of an `$INDEX_ROOT`; also tells the size of the other nodes.
    pub(super) fn from_root(value: &[u8]) -> Result<(Self, usize), Error> {
        let node_bytes = index_at(value, 8)?;
        if !node_bytes.is_power_of_two() || !(512..=65_536).contains(&node_bytes) {
            return Err(Error::damaged("a directory index has an impossible node size"));
        }
        Ok((Self::parse(value, ROOT_HEADER)?, node_bytes))
    }

    /// Parses a node of an `$INDEX_ALLOCATION`, which must say that it is number `expected`.
    pub(super) fn from_record(record: &mut [u8], expected: u64) -> Result<Self, Error> {
        if bytes_at(record, 0)? != *b"INDX" {
            return Err(Error::damaged("a node of a directory index has no signature"));
        }
        if u64::from_le_bytes(bytes_at(record, 16)?) != expected {
            return Err(Error::damaged("a node of a directory index belongs elsewhere"));
        }
        undo_fixup(record)?;
        Self::parse(record, RECORD_HEADER)
    }

    fn parse(bytes: &[u8], header: usize) -> Result<Self, Error> {
        let first = header + index_at(bytes, header)?;
        let end = header + index_at(bytes, header + 4)?;
        let mut rest = bytes.get(first..end).ok_or_else(damaged)?;
        let mut entries = Vec::new();
        while !rest.is_empty() {
            let length = usize::from(u16_at(rest, 8)?);
            let bytes = rest.get(..length).filter(|bytes| bytes.len() >= 16).ok_or_else(damaged)?;
            let last = bytes[12] & 2 != 0;
            let child = if bytes[12] & 1 == 0 {
                None
            } else {
                let start = length.checked_sub(8).filter(|start| *start >= 16).ok_or_else(damaged)?;
                Some(u64::from_le_bytes(bytes_at(bytes, start)?))
            };
            let key = if last { None } else { Some(Key::parse(bytes)?) };
            entries.push(IndexEntry { key, child });
            if last {
                break;
            }
            rest = &rest[length..];
        }
        Ok(Self { entries })
    }
}

impl Key {
    fn parse(entry: &[u8]) -> Result<Self, Error> {
        let reference = u64::from_le_bytes(bytes_at(entry, 0)?);
        let key = entry.get(16..16 + usize::from(u16_at(entry, 10)?)).ok_or_else(damaged)?;
        let attributes = u32::from_le_bytes(bytes_at(key, 56)?);
        let [characters, namespace] = bytes_at(key, 64)?;
        let name = key.get(KEY_HEADER..KEY_HEADER + 2 * usize::from(characters)).ok_or_else(damaged)?;
        Ok(Self {
            record: reference & 0xFFFF_FFFF_FFFF,
            sequence: u16_at(entry, 6)?,
            reparse: attributes & 0x400 != 0,
            alias: namespace == 2,
            name: name.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect(),
        })
    }
}

/// Puts back the last two bytes of every 512, which are replaced on disk to detect torn writes.
fn undo_fixup(record: &mut [u8]) -> Result<(), Error> {
    let start = usize::from(u16_at(record, 4)?);
    let count = usize::from(u16_at(record, 6)?);
    if count.checked_sub(1) != Some(record.len() / 512) {
        return Err(Error::damaged("a node of a directory index has an impossible update sequence"));
    }
    let number: [u8; 2] = bytes_at(record, start)?;
    for sector in 1..count {
        let original: [u8; 2] = bytes_at(record, start + 2 * sector)?;
        let tail = sector * 512 - 2;
        if bytes_at(record, tail)? != number {
            return Err(Error::damaged("a node of a directory index was written only in part"));
        }
        record[tail..tail + 2].copy_from_slice(&original);
    }
    Ok(())
}
