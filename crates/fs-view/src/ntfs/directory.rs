//! The tree of names of one NTFS directory.

use std::cmp::Ordering;
use std::collections::HashSet;

use super::index::{Key, Node};
use super::record::{Record, types};
use super::{Ntfs, text};
use crate::Error;
use crate::bytes::index;
use crate::cache::Source;
use crate::content::Content;
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
    pub(super) fn open(ntfs: &Ntfs, source: Source<'_>, record: &Record) -> Result<Self, Error> {
        let root = ntfs.content(source, record, types::INDEX_ROOT, INDEX_NAME)?;
        let root = root.ok_or_else(|| Error::damaged("a directory has no index"))?;
        // The root of an index is resident, so no longer than a record.
        let length = Some(index(root.size())).filter(|length| *length <= 65_536);
        let mut value = vec![0; length.ok_or_else(|| Error::damaged("the root of an index is too long"))?];
        root.read_exact_at(source, 0, &mut value)?;
        let (root, node_bytes) = Node::from_root(&value)?;
        let allocation = ntfs.content(source, record, types::INDEX_ALLOCATION, INDEX_NAME)?;
        // Nodes are numbered by clusters, or by 512 bytes where a cluster is larger than a node.
        let cluster = ntfs.cluster_bytes();
        let unit = if cluster > node_bytes as u64 { 512 } else { cluster };
        Ok(Self { root, node_bytes, unit, allocation })
    }

    fn node(&self, source: Source<'_>, number: u64) -> Result<Node, Error> {
        let missing = || Error::damaged("a directory index refers to a node that does not exist");
        let allocation = self.allocation.as_ref().ok_or_else(missing)?;
        let offset = number.checked_mul(self.unit).ok_or_else(missing)?;
        let mut record = vec![0; self.node_bytes];
        allocation.read_exact_at(source, offset, &mut record)?;
        Node::from_record(&mut record, number)
    }

    /// All names in their order, and what could not be read.
    pub(super) fn keys(&self, source: Source<'_>) -> (Vec<Key>, Vec<String>) {
        let mut gathered = Gathered::default();
        self.gather(source, &self.root, 0, &mut gathered);
        (gathered.keys, gathered.problems)
    }

    fn gather(&self, source: Source<'_>, node: &Node, level: usize, gathered: &mut Gathered) {
        for entry in &node.entries {
            if let Some(number) = entry.child {
                if level >= MAX_LEVELS || !gathered.seen.insert(number) {
                    gathered.problems.push("a directory index leads back into itself".to_owned());
                } else {
                    match self.node(source, number) {
                        Ok(child) => self.gather(source, &child, level + 1, gathered),
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

    /// Finds a name: as it is written, or else without regard to case. `upcase` is the volume's table, or empty.
    pub(super) fn lookup(&self, source: Source<'_>, name: &str, upcase: &[u16]) -> Result<Option<Key>, Error> {
        let units: Vec<u16> = name.encode_utf16().collect();
        // Names that are no valid UTF-16 are told with replacement characters, under which the tree does not know them.
        if !upcase.is_empty() && !name.contains(char::REPLACEMENT_CHARACTER) {
            let exact = |left: &[u16], right: &[u16]| compare(left, right, upcase).then_with(|| left.cmp(right));
            let folded = |left: &[u16], right: &[u16]| compare(left, right, upcase);
            let found = self.descend(source, &units, &exact).and_then(|found| match found {
                None => self.descend(source, &units, &folded),
                found => Ok(found),
            });
            if let Ok(found) = found {
                return Ok(found);
            }
        }
        let (keys, problems) = self.keys(source);
        let same = |key: &&Key| text(&key.name) == name;
        let wanted = fold(name);
        let found = keys.iter().find(same).or_else(|| keys.iter().find(|key| fold(&text(&key.name)) == wanted));
        match (found, problems.into_iter().next()) {
            (None, Some(reason)) => Err(Error::Damaged { reason }),
            (found, _) => Ok(found.cloned()),
        }
    }

    fn descend(&self, source: Source<'_>, name: &[u16], order: Order<'_>) -> Result<Option<Key>, Error> {
        let mut current = None;
        for _ in 0..MAX_LEVELS {
            let node = current.as_ref().unwrap_or(&self.root);
            match place(node, name, order) {
                Place::Here(key) => return Ok(Some(key)),
                Place::Below(None) => return Ok(None),
                Place::Below(Some(number)) => current = Some(self.node(source, number)?),
            }
        }
        Err(Error::damaged("a directory index leads back into itself"))
    }
}

/// How two names follow each other.
type Order<'o> = &'o dyn Fn(&[u16], &[u16]) -> Ordering;

/// Where a name is, seen from one node.
enum Place {
    Here(Key),
    Below(Option<u64>),
}

fn place(node: &Node, name: &[u16], order: Order<'_>) -> Place {
    for entry in &node.entries {
        let order = entry.key.as_ref().map_or(Ordering::Less, |key| order(name, &key.name));
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
