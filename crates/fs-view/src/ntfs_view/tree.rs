//! The tree of names of one NTFS directory.

use std::cmp::Ordering;
use std::collections::HashSet;

use ntfs::{Ntfs, NtfsAttributeType, NtfsFile};

use super::extents::Content;
use super::index::{Key, Node};
use super::{Device, STEP_BUDGET, text};
use crate::Error;
use crate::path::fold;

/// Name of the directory index among the indexes that a record can have.
const INDEX_NAME: &str = "$I30";
/// A tree of this depth holds more names than a volume has records.
const MAX_LEVELS: usize = 32;
/// Names listed from one directory.
const MAX_KEYS: usize = 4_000_000;

/// An open directory.
pub(super) struct Directory {
    root: Node,
    node_bytes: usize,
    /// Bytes that one step of a node number stands for.
    unit: u64,
    allocation: Option<Content>,
}

/// What a walk over the tree gathers.
#[derive(Default)]
struct Gathered {
    keys: Vec<Key>,
    problems: Vec<String>,
    seen: HashSet<u64>,
}

impl Directory {
    pub(super) fn open(ntfs: &Ntfs, stream: &mut Device<'_>, file: &NtfsFile<'_>) -> Result<Self, Error> {
        let root = Content::find(ntfs, stream, file, NtfsAttributeType::IndexRoot, INDEX_NAME)?;
        let root = root.ok_or_else(|| Error::damaged("a directory has no index"))?;
        // The root of an index is resident, so no longer than a record.
        let length = usize::try_from(root.size()).ok().filter(|length| *length <= 65_536);
        let mut value = vec![0; length.ok_or_else(|| Error::damaged("the root of an index is too long"))?];
        root.read_exact_at(stream, 0, &mut value)?;
        let (root, node_bytes) = Node::from_root(&value)?;
        let allocation = Content::find(ntfs, stream, file, NtfsAttributeType::IndexAllocation, INDEX_NAME)?;
        // Nodes are numbered by clusters, or by 512 bytes where a cluster is larger than a node.
        let cluster = u64::from(ntfs.cluster_size());
        let unit = if cluster > node_bytes as u64 { 512 } else { cluster };
        Ok(Self { root, node_bytes, unit, allocation })
    }

    fn node(&self, stream: &mut Device<'_>, number: u64) -> Result<Node, Error> {
        stream.meter().start(STEP_BUDGET);
        let missing = || Error::damaged("a directory index refers to a node that does not exist");
        let allocation = self.allocation.as_ref().ok_or_else(missing)?;
        let offset = number.checked_mul(self.unit).ok_or_else(missing)?;
        let mut record = vec![0; self.node_bytes];
        allocation.read_exact_at(stream, offset, &mut record)?;
        Node::from_record(&mut record, number)
    }

    /// All names in their order, and what could not be read.
    pub(super) fn keys(&self, stream: &mut Device<'_>) -> (Vec<Key>, Vec<String>) {
        let mut gathered = Gathered::default();
        self.gather(stream, &self.root, 0, &mut gathered);
        (gathered.keys, gathered.problems)
    }

    fn gather(&self, stream: &mut Device<'_>, node: &Node, level: usize, gathered: &mut Gathered) {
        for entry in &node.entries {
            if let Some(number) = entry.child {
                if level >= MAX_LEVELS || !gathered.seen.insert(number) {
                    gathered.problems.push("a directory index leads back into itself".to_owned());
                } else {
                    match self.node(stream, number) {
                        Ok(child) => self.gather(stream, &child, level + 1, gathered),
                        Err(error) => gathered.problems.push(error.to_string()),
                    }
                }
            }
            match &entry.key {
                Some(key) if gathered.keys.len() < MAX_KEYS => gathered.keys.push(key.clone()),
                Some(_) if gathered.keys.len() == MAX_KEYS => {
                    gathered.problems.push("the directory has more names than are listed".to_owned());
                    return;
                }
                _ => {}
            }
        }
    }

    /// Finds a name without regard to case; `upcase` is the volume's table, or empty.
    pub(super) fn lookup(&self, stream: &mut Device<'_>, name: &str, upcase: &[u16]) -> Result<Option<Key>, Error> {
        let units: Vec<u16> = name.encode_utf16().collect();
        // Names that are no valid UTF-16 are told with replacement characters, under which the tree does not know them.
        if !upcase.is_empty()
            && !name.contains(char::REPLACEMENT_CHARACTER)
            && let Ok(found) = self.descend(stream, &units, upcase)
        {
            return Ok(found);
        }
        let wanted = fold(name);
        let (keys, problems) = self.keys(stream);
        match (keys.into_iter().find(|key| fold(&text(&key.name)) == wanted), problems.into_iter().next()) {
            (None, Some(reason)) => Err(Error::Damaged { reason }),
            (found, _) => Ok(found),
        }
    }

    fn descend(&self, stream: &mut Device<'_>, name: &[u16], upcase: &[u16]) -> Result<Option<Key>, Error> {
        let mut current = None;
        for _ in 0..MAX_LEVELS {
            let node = current.as_ref().unwrap_or(&self.root);
            match place(node, name, upcase) {
                Place::Here(key) => return Ok(Some(key)),
                Place::Below(None) => return Ok(None),
                Place::Below(Some(number)) => current = Some(self.node(stream, number)?),
            }
        }
        Err(Error::damaged("a directory index leads back into itself"))
    }
}

/// Where a name is, seen from one node.
enum Place {
    Here(Key),
    Below(Option<u64>),
}

fn place(node: &Node, name: &[u16], upcase: &[u16]) -> Place {
    for entry in &node.entries {
        let order = entry.key.as_ref().map_or(Ordering::Less, |key| compare(name, &key.name, upcase));
        match (order, &entry.key) {
            (Ordering::Equal, Some(key)) => return Place::Here(key.clone()),
            (Ordering::Less, _) => return Place::Below(entry.child),
            _ => {}
        }
    }
    Place::Below(None)
}

/// The order of NTFS: by upper-case units, shorter names first.
fn compare(left: &[u16], right: &[u16], upcase: &[u16]) -> Ordering {
    let upper = |unit: &u16| upcase.get(usize::from(*unit)).copied().unwrap_or(*unit);
    left.iter().map(upper).cmp(right.iter().map(upper))
}
