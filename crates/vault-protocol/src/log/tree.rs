//! The tree's arithmetic (RFC 6962, section 2.1; checking as in RFC 9162, section 2.1).
//!
//! A proof is a list of hashes, each of a [`Span`] of leaves. Every span consists of complete subtrees ([`Node`]), and those
//! are what a log stores. So making a proof is: ask for the spans, fetch their nodes, fold.

use super::Hash;
use crate::sha256;

/// Root of the complete subtree of `2^height` leaves that is number `index` in its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    /// Rows above the leaves.
    pub height: u8,
    /// Number in its row, from the left.
    pub index: u64,
}

/// A run of leaves whose hash is an inner node of some tree: it begins where a subtree of its size can begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    begin: u64,
    end: u64,
}

impl Span {
    /// The complete subtrees it consists of, from the left; each is smaller than the one before.
    pub fn nodes(self) -> impl Iterator<Item = Node> {
        let mut begin = self.begin;
        std::iter::from_fn(move || {
            let length = self.end.checked_sub(begin).filter(|length| *length > 0)?;
            let height = length.ilog2().min(begin.trailing_zeros());
            let node = Node { height: u8::try_from(height).ok()?, index: begin >> height };
            begin += 1 << height;
            Some(node)
        })
    }

    /// Its hash; `None` when `node` does not know one of its nodes.
    pub fn hash(self, node: impl Fn(Node) -> Option<Hash>) -> Option<Hash> {
        let hashes = self.nodes().map(node).collect::<Option<Vec<_>>>()?;
        hashes.into_iter().rev().reduce(|right, left| node_hash(&left, &right))
    }
}

/// Hash of two nodes that lie side by side.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    sha256(&[&[1], left, right])
}

/// Root of the tree without leaves.
#[must_use]
pub fn empty_root() -> Hash {
    sha256(&[])
}

/// What the root of a tree of `size` leaves is made of; nothing for the empty tree.
#[must_use]
pub fn root_spans(size: u64) -> Vec<Span> {
    if size == 0 { Vec::new() } else { vec![Span { begin: 0, end: size }] }
}

/// The hashes that prove leaf `index` in a tree of `size`, nearest first; nothing when there is no such leaf.
#[must_use]
pub fn inclusion_spans(index: u64, size: u64) -> Vec<Span> {
    let mut spans = Vec::new();
    if index >= size {
        return spans;
    }
    let (mut begin, mut end) = (0, size);
    while end - begin > 1 {
        let middle = begin + left_part(end - begin);
        if index < middle {
            spans.push(Span { begin: middle, end });
            end = middle;
        } else {
            spans.push(Span { begin, end: middle });
            begin = middle;
        }
    }
    spans.reverse();
    spans
}

/// The hashes that prove that a tree of `old` leaves is the beginning of one of `new`; nothing when it needs none or cannot be.
#[must_use]
pub fn consistency_spans(old: u64, new: u64) -> Vec<Span> {
    let mut spans = Vec::new();
    if old == 0 || old >= new {
        return spans;
    }
    let (mut begin, mut end) = (0, new);
    while end != old {
        let middle = begin + left_part(end - begin);
        if old <= middle {
            spans.push(Span { begin: middle, end });
            end = middle;
        } else {
            spans.push(Span { begin, end: middle });
            begin = middle;
        }
    }
    // The old root is known to whoever checks; another complete part of the old tree is not.
    if begin != 0 {
        spans.push(Span { begin, end });
    }
    spans.reverse();
    spans
}

/// The largest power of two below `length`, which is at least 2.
fn left_part(length: u64) -> u64 {
    1 << (length - 1).ilog2()
}

/// Whether `path` proves that leaf `index` of the tree with this size and root is `leaf`.
#[must_use]
pub fn is_included(leaf: &Hash, index: u64, size: u64, path: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut at, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in path {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            hash = node_hash(sibling, &hash);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// Whether `path` proves that the tree `old` is the beginning of the tree `new`. Each is a size and a root.
#[must_use]
pub fn is_consistent(old: (u64, &Hash), new: (u64, &Hash), path: &[Hash]) -> bool {
    let ((old_size, old_root), (new_size, new_root)) = (old, new);
    if old_size == 0 {
        return path.is_empty() && *old_root == empty_root() && (new_size != 0 || new_root == old_root);
    }
    if old_size >= new_size {
        return path.is_empty() && old_size == new_size && old_root == new_root;
    }
    let mut path = path.iter();
    // A complete old tree is a node of the new one, and is not told again.
    let first = if old_size.is_power_of_two() { Some(old_root) } else { path.next() };
    let Some(first) = first else { return false };
    let shared = (old_size - 1).trailing_ones();
    let (mut at, mut last) = ((old_size - 1) >> shared, (new_size - 1) >> shared);
    let (mut old_hash, mut new_hash) = (*first, *first);
    for sibling in path {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            old_hash = node_hash(sibling, &old_hash);
            new_hash = node_hash(sibling, &new_hash);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            new_hash = node_hash(&new_hash, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && old_hash == *old_root && new_hash == *new_root
}
