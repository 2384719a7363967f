//! Nodes of an NTFS directory index.
//!
//! A node is a list of names in their order; each may have a child node in front of it. The root is a resident attribute,
//! the others are records in an attribute of their own.

use super::record::undo_fixup;
use crate::Error;
use crate::bytes::{array_at, index, slice_at, u8_at, u16_at, u32_at, u64_at, units};

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

fn index_at(bytes: &[u8], offset: usize) -> Result<usize, Error> {
    u32_at(bytes, offset).map(|value| index(value.into())).ok_or_else(damaged)
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
        if array_at(record, 0) != Some(*b"INDX") {
            return Err(Error::damaged("a node of a directory index has no signature"));
        }
        if u64_at(record, 16) != Some(expected) {
            return Err(Error::damaged("a node of a directory index belongs elsewhere"));
        }
        undo_fixup(record).map_err(|reason| Error::damaged(format!("a node of a directory index {reason}")))?;
        Self::parse(record, RECORD_HEADER)
    }

    fn parse(bytes: &[u8], header: usize) -> Result<Self, Error> {
        let first = header + index_at(bytes, header)?;
        let end = header + index_at(bytes, header + 4)?;
        let mut rest = bytes.get(first..end).ok_or_else(damaged)?;
        let mut entries = Vec::new();
        while !rest.is_empty() {
            let length = usize::from(u16_at(rest, 8).ok_or_else(damaged)?);
            let bytes = rest.get(..length).filter(|bytes| bytes.len() >= 16).ok_or_else(damaged)?;
            let flags = u8_at(bytes, 12).ok_or_else(damaged)?;
            let last = flags & 2 != 0;
            let child = if flags & 1 == 0 {
                None
            } else {
                let start = length.checked_sub(8).filter(|start| *start >= 16).ok_or_else(damaged)?;
                Some(u64_at(bytes, start).ok_or_else(damaged)?)
            };
            let key = if last { None } else { Some(Key::parse(bytes).ok_or_else(damaged)?) };
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
    fn parse(entry: &[u8]) -> Option<Self> {
        let reference = u64_at(entry, 0)?;
        let key = slice_at(entry, 16, usize::from(u16_at(entry, 10)?))?;
        let [characters, namespace] = array_at(key, 64)?;
        let name = slice_at(key, KEY_HEADER, 2 * usize::from(characters))?;
        Some(Self {
            record: reference & 0xFFFF_FFFF_FFFF,
            sequence: u16_at(entry, 6)?,
            alias: namespace == 2,
            name: units(name),
        })
    }
}
